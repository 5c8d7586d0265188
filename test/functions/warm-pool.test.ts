import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Launch } from '../../functions/lib/breaker.ts';
import {
  changesOfDemand,
  highWater,
  launchDemand,
  nextDay,
  type Peaks,
  poolSizeToWrite,
  rememberPeak,
  sizeWarmPool,
} from '../../functions/lib/warm-pool.ts';

const HOUR = 3_600;
const DAY = 24 * HOUR;
const NOW = Date.parse('2026-01-12T08:00:00Z');

const at = (secondsAgo: number) => NOW - secondsAgo * 1_000;
const launch = (secondsAgo: number, outcome: Launch['outcome'] = 'succeeded'): Launch => {
  const startedAt = at(secondsAgo);
  if (outcome === 'underway') return { outcome, startedAt };
  if (outcome === 'succeeded') return { outcome, startedAt, endedAt: startedAt + 25_000 };
  return { outcome, startedAt, endedAt: startedAt + 25_000, kind: 'boot', reason: 'because' };
};
const boot = (seconds: number) => ({ startedAt: at(DAY), endedAt: at(DAY - seconds) });

describe('launchDemand', () => {
  it.each([
    { case: 'nothing was ever launched', ago: [], boots: [], peak: 0 },
    { case: 'one at a time', ago: [9_000, 8_000, 7_000], boots: [100], peak: 1 },
    { case: 'three within one boot', ago: [9_000, 8_950, 8_901, 7_000], boots: [100], peak: 3 },
    { case: 'three within more than one boot', ago: [9_000, 8_950, 8_900], boots: [100], peak: 2 },
    { case: 'all at once', ago: [9_000, 9_000, 9_000, 9_000], boots: [100], peak: 4 },
    { case: 'a longer boot', ago: [9_000, 8_950, 8_900], boots: [300], peak: 3 },
    { case: 'a boot that was an exception', ago: [9_000, 8_950, 8_900], boots: [90, 100, 5_000], peak: 2 },
    { case: 'boots that seem to take no time', ago: [9_000, 9_000, 8_999], boots: [0, 0], peak: 2 },
    { case: 'no boot on record', ago: [9_000, 8_881, 8_880], boots: [], peak: 2 },
    { case: 'a burst of a week ago', ago: [7 * DAY, 7 * DAY, 60], boots: [100], peak: 2 },
    { case: 'a burst of more than a week ago', ago: [7 * DAY + 1, 7 * DAY + 1, 60], boots: [100], peak: 1 },
  ])('is the busiest time of the week: $case', ({ ago, boots, peak }) => {
    const launches = ago.map((seconds) => launch(seconds));
    expect(launchDemand(launches, boots.map(boot), NOW).peak).toBe(peak);
  });

  it('counts launches under way, and none that failed', () => {
    const launches = [launch(30), launch(20, 'underway'), launch(10, 'failed')];
    expect(launchDemand(launches, [], NOW).peak).toBe(2);
  });

  it.each([
    { ago: [], resting: true },
    { ago: [HOUR], resting: true },
    { ago: [2 * HOUR, HOUR - 1], resting: false },
    { ago: [0], resting: false },
  ])('rests an hour after the last launch: $ago', ({ ago, resting }) => {
    expect(
      launchDemand(
        ago.map((seconds) => launch(seconds)),
        [],
        NOW,
      ).resting,
    ).toBe(resting);
  });

  it('does not change before changesOfDemand', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 8 * DAY }), { minLength: 1, maxLength: 8 }),
        fc.nat({ max: 8 * DAY }),
        (ago, later) => {
          const launches = ago.map((seconds) => launch(seconds));
          const changes = Math.min(changesOfDemand(launches, NOW), nextDay(NOW));
          const then = NOW + later * 1_000;
          const demand = launchDemand(launches, [], then);
          if (then < changes) expect(demand).toEqual(launchDemand(launches, [], NOW));
          else expect(changes).toBeGreaterThan(NOW);
        },
      ),
    );
  });

  it.each([
    { case: 'rests, an hour after the last', ago: 60, changesIn: HOUR - 60 },
    { case: 'rests, just so', ago: HOUR, changesIn: 7 * DAY - HOUR + 0.001 },
    { case: 'loses one that is a week old', ago: 7 * DAY, changesIn: 0.001 },
    { case: 'has nothing left to change', ago: 8 * DAY, changesIn: Number.POSITIVE_INFINITY },
  ])('with one launch changes when it $case', ({ ago, changesIn }) => {
    expect((changesOfDemand([launch(ago)], NOW) - NOW) / 1_000).toBe(changesIn);
  });

  it('does not change for a launch that failed', () => {
    const failed = [launch(60, 'failed'), launch(7 * DAY - 60, 'failed')];
    expect(changesOfDemand([...failed, launch(120)], NOW)).toBe(NOW + (HOUR - 120) * 1_000);
  });

  it.each([
    { boots: [300, 60, 100], peak: 2 },
    { boots: [60, 300, 100], peak: 2 },
    { boots: [60, 100, 300], peak: 2 },
    { boots: [300, 60], peak: 1 },
  ])('is within the usual boot, in any order: $boots', ({ boots, peak }) => {
    const launches = [9_000, 8_910, 8_820].map((seconds) => launch(seconds));
    expect(launchDemand(launches, boots.map(boot), NOW).peak).toBe(peak);
  });

  it('does not depend on the order of the launches, and is at most their number', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 2_000 })), fc.integer({ min: 1, max: 600 }), (ago, seconds) => {
        const launches = ago.map((second) => launch(second));
        const demand = launchDemand(launches, [boot(seconds)], NOW);
        expect(launchDemand(launches.toReversed(), [boot(seconds)], NOW)).toEqual(demand);
        expect(demand.peak).toBeLessThanOrEqual(ago.length);
        expect(demand.peak > 0).toBe(ago.length > 0);
      }),
    );
  });
});

describe('poolSizeToWrite', () => {
  it.each([
    { case: 'another size', decided: 8, group: { warmPool: { size: 3 }, maxSize: 20 }, written: 8 },
    { case: 'nothing, if the pool has it', decided: 3, group: { warmPool: { size: 3 } }, written: undefined },
    {
      case: 'no more than the maximum size',
      decided: 8,
      group: { warmPool: { size: 3 }, maxSize: 5 },
      written: 5,
    },
    {
      case: 'no rise without a maximum size',
      decided: 8,
      group: { warmPool: { size: 3 } },
      written: undefined,
    },
    {
      case: 'nothing without a decision',
      decided: undefined,
      group: { warmPool: { size: 3 } },
      written: undefined,
    },
    { case: 'nothing without a pool', decided: 8, group: { maxSize: 20 }, written: undefined },
  ])('is $case', ({ decided, group, written }) => {
    expect(poolSizeToWrite(decided, group)).toBe(written);
  });
});

describe('sizeWarmPool', () => {
  it.each([
    { case: 'grows to the peak', peak: 8, resting: false, size: 3, becomes: 8 },
    { case: 'grows to maxReplicas at most', peak: 80, resting: false, size: 3, becomes: 20 },
    { case: 'stays at the peak', peak: 3, resting: false, size: 3, becomes: 3 },
    { case: 'does not shrink while launches happen', peak: 2, resting: false, size: 8, becomes: 8 },
    { case: 'shrinks at rest', peak: 2, resting: true, size: 8, becomes: 2 },
    { case: 'ends with the last launch on record', peak: 0, resting: true, size: 8, becomes: 0 },
    { case: 'shrinks at rest to a lower maxReplicas', peak: 30, resting: true, size: 30, becomes: 20 },
  ])('$case', ({ peak, resting, size, becomes }) => {
    expect(sizeWarmPool({ peak, resting }, size, 20)).toBe(becomes);
  });
});

describe('the peaks of the last days', () => {
  const day = (ago: number) => Math.floor(NOW / 1_000 / DAY) - ago;
  const peaksOf = (...days: [ago: number, peak: number][]): Peaks =>
    days.map(([ago, peak]) => [day(ago), peak]);

  it.each<{ case: string; peaks: Peaks | undefined; highest: number }>([
    { case: 'nothing is known', peaks: undefined, highest: 0 },
    { case: 'a peak of today', peaks: peaksOf([0, 3]), highest: 3 },
    { case: 'a higher one of a week ago', peaks: peaksOf([7, 40], [0, 3]), highest: 40 },
    { case: 'a higher one of more than a week ago', peaks: peaksOf([8, 40], [0, 3]), highest: 3 },
    { case: 'one of a day that is still to come', peaks: peaksOf([-1, 40], [0, 3]), highest: 3 },
  ])('the highest counts: $case', ({ peaks, highest }) => {
    expect(highWater(peaks, NOW)).toBe(highest);
  });

  it.each<{ case: string; peaks: Peaks | undefined; today: number; after: Peaks | undefined }>([
    { case: 'nothing was launched today', peaks: undefined, today: 0, after: undefined },
    { case: 'the first launches of today', peaks: peaksOf([1, 9]), today: 2, after: peaksOf([1, 9], [0, 2]) },
    { case: 'more than before', peaks: peaksOf([0, 2]), today: 5, after: peaksOf([0, 5]) },
    { case: 'old days', peaks: peaksOf([9, 70], [0, 2]), today: 5, after: peaksOf([0, 5]) },
  ])('are remembered: $case', ({ peaks, today, after }) => {
    expect(rememberPeak(peaks, { today }, NOW)).toEqual(after);
  });

  it('are the same if today has a higher one', () => {
    const peaks = peaksOf([0, 5]);
    expect(rememberPeak(peaks, { today: 5 }, NOW)).toBe(peaks);
  });

  it('counts the launches of today by UTC, with those of one boot before', () => {
    const midnight = Math.floor(NOW / 1_000 / DAY) * DAY * 1_000;
    const since = (NOW - midnight) / 1_000;
    const launches = [...Array(9).fill(since + 500), since + 10, since - 10, since - 20].map((ago) =>
      launch(ago),
    );
    expect(launchDemand(launches, [boot(100)], NOW)).toMatchObject({ peak: 9, today: 3 });
  });
});
