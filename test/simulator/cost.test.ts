import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { costOf, pricedBy } from '../../simulator/cost.ts';
import { plainFleet } from '../../simulator/plain-fleet.ts';
import { LIST_PRICES, PricesInvalid, readPrices } from '../../simulator/prices.ts';

const HOUR = 3_600;
const MONTH = 730 * HOUR;
const NOTHING = { billedSeconds: 0, spotSeconds: 0, stoppedSeconds: 0, polls: 1, starts: 1, endedAt: MONTH };
const PRICED = { instanceHour: 0.1, spotShare: 0.3, volumeMonth: 4 };

describe('the monthly cost of a replay', () => {
  it.each([
    {
      case: 'an instance that is there all the time, and its volume',
      used: { billedSeconds: MONTH },
      cost: { instances: 73, volumes: 4, scaler: 0, total: 77 },
    },
    {
      case: 'the same for a tenth of a month, which goes on like that',
      used: { billedSeconds: MONTH / 10, endedAt: MONTH / 10 },
      cost: { instances: 73, volumes: 4, scaler: 0, total: 77 },
    },
    {
      case: 'half of it as Spot',
      used: { billedSeconds: MONTH, spotSeconds: MONTH / 2 },
      cost: { instances: 36.5 * 1.3, volumes: 4, scaler: 0, total: 36.5 * 1.3 + 4 },
    },
    {
      case: 'two stopped instances of a warm pool, which cost only their volumes',
      used: { stoppedSeconds: 2 * MONTH },
      cost: { instances: 0, volumes: 8, scaler: 0, total: 8 },
    },
  ])('$case', ({ used, cost }) => {
    const found = costOf('circleci-tutorial', { ...NOTHING, ...used }, PRICED);
    expect(Object.keys(found ?? {})).toEqual(Object.keys(cost));
    for (const [part, dollars] of Object.entries(cost))
      expect(found?.[part as keyof typeof cost]).toBeCloseTo(dollars, 3);
  });

  it('includes our scaler, whose cost grows with its polls', () => {
    const scaler = (polls: number) => costOf('ours', { ...NOTHING, polls }, PRICED)?.scaler ?? 0;
    expect(scaler(1)).toBeGreaterThan(3);
    expect(scaler(11)).toBeGreaterThan(2 * scaler(1));
    expect(scaler(11)).toBeLessThan(20);
    expect(scaler(6)).toBeCloseTo((scaler(1) + scaler(11)) / 2, 1);
  });

  it.each([
    { fleet: {}, dollars: 2.4 },
    { fleet: { rootVolumeSize: 100 }, dollars: 8 },
    { fleet: { rootVolume: { size: 100, iops: 4_000, throughput: 500 } }, dollars: 8 + 5 + 15 },
  ])('counts the volume of a fleet with $fleet as $dollars dollars a month', ({ fleet, dollars }) => {
    expect(pricedBy(LIST_PRICES, plainFleet(fleet)).volumeMonth).toBeCloseTo(dollars, 6);
  });

  it('is unknown if the price of the instance type is unknown', () => {
    const priced = pricedBy(LIST_PRICES, plainFleet({ instanceTypes: ['u7i-12tb.224xlarge'] }));
    expect(costOf('circleci-tutorial', NOTHING, priced)).toBeUndefined();
  });
});

describe('prices', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'prices-test-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = (text: string) => {
    const path = join(folder, 'prices.yaml');
    writeFileSync(path, text);
    return path;
  };

  it.each([
    { type: 'm7g.large', price: 0.0816 },
    { type: 'm7g.medium', price: 0.0408 },
    { type: 'm7g.2xlarge', price: 0.3264 },
    { type: 'c6i.24xlarge', price: 4.08 },
    { type: 't4g.micro', price: 0.0084 },
    { type: 'm7g.metal', price: undefined },
    { type: 'x9.large', price: undefined },
    { type: 'large', price: undefined },
  ])('of the list: $type costs $price', ({ type, price }) => {
    const found = LIST_PRICES.instanceHour(type);
    if (price === undefined) expect(found).toBeUndefined();
    else expect(found).toBeCloseTo(price, 4);
  });

  it('from a file replace list prices, and all others stay', () => {
    const prices = readPrices(
      file('source: our contract\ninstanceHour: { m7g.large: 0.05 }\nspotShare: 0.25\n'),
    );
    expect(prices.instanceHour('m7g.large')).toBe(0.05);
    expect(prices.instanceHour('m7i.large')).toBe(0.1008);
    expect(prices).toMatchObject({ spotShare: 0.25, volumeGbMonth: 0.08, volumeIopsMonth: 0.005 });
    expect(prices.source).toContain('our contract');
  });

  it.each([
    {
      case: 'a price that is none',
      text: 'instanceHour: { m7g.large: cheap }',
      says: 'instanceHour.m7g.large: must be the price of an hour in US dollars',
    },
    { case: 'a key that nobody knows', text: 'instanceHour: {}\nspot: 1', says: 'prices.yaml: Unrecognized' },
    { case: 'no prices', text: '- 1', says: 'prices.yaml: Invalid input' },
    {
      case: 'a document',
      text: '# Title\n\n- a: b: c\n',
      says: ':3 is neither YAML nor JSON, so it has no prices.',
    },
  ])('cannot be $case', ({ text, says }) => {
    const path = file(text);
    expect(() => readPrices(path)).toThrow(PricesInvalid);
    expect(() => readPrices(path)).toThrow(says);
    expect(() => readPrices(path)).toThrow(path);
  });

  it('from a missing file are refused', () => {
    expect(() => readPrices(join(folder, 'none.yaml'))).toThrow('cannot be read');
    expect(() => readPrices('/dev/zero')).toThrow('/dev/zero cannot be read: it has more than 10 MB');
  });
});
