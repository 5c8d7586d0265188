import { describe, expect, it } from 'vitest';
import { costOf, pricedBy } from '../../simulator/cost.ts';
import { monthOf, monthRuleFor, pricedForPart } from '../../simulator/month.ts';
import { LIST_PRICES } from '../../simulator/prices.ts';
import { simulateOne } from '../../simulator/simulate.ts';
import { generatedTrace, WORKLOADS, type WorkloadName } from '../../simulator/workloads.ts';
import { WORLD } from '../../simulator/world.ts';
import { ours } from './choices.ts';

const HOUR = 3_600;

const spanning = (hours: number, from = 0) => [{ queuedAt: from }, { queuedAt: from + hours * HOUR }];

describe('a month of costs', () => {
  it.each([
    { trace: 'one job', jobs: spanning(0), days: 22 },
    { trace: 'nine hours', jobs: spanning(9), days: 22 },
    { trace: 'nine hours that begin on the third day', jobs: spanning(9, 50 * HOUR), days: 22 },
    { trace: 'almost a day', jobs: spanning(23.99), days: 22 },
    { trace: 'a day', jobs: spanning(24), days: undefined },
    { trace: '26 hours', jobs: spanning(26), days: undefined },
    { trace: 'three days', jobs: spanning(72), days: undefined },
  ])('of $trace has $days days like it, or else 730 hours', ({ jobs, days }) => {
    const month = monthOf(monthRuleFor(jobs), 10);
    expect(month.days).toBe(days);
    expect(month.hours).toBe(days === undefined ? 730 : 220);
  });

  it.each([
    { hours: 24, isShort: true },
    { hours: 72, isShort: true },
    { hours: 144, isShort: true },
    { hours: 145, isShort: false },
    { hours: 14 * 24, isShort: false },
  ])('of $hours hours says so if they are less than a week', ({ hours, isShort }) => {
    const { is } = monthOf(monthRuleFor(spanning(hours)), hours);
    expect(is.startsWith(`730 hours like the ${hours}.0 replayed`)).toBe(true);
    expect(is.includes('less than a week')).toBe(isShort);
  });

  it('of a part of a day has as many whole days', () => {
    const day = {
      ...pricedBy(LIST_PRICES, { instanceTypes: ['m7i.large'] }),
      month: monthRuleFor(spanning(9)),
    };
    const { month } = pricedForPart(pricedForPart(day, 0.5), 0.5);
    expect(monthOf(month, 2)).toMatchObject({ days: 22, hours: (22 * 2) / 0.25 });
    const week = { ...day, month: monthRuleFor(spanning(168)) };
    expect(pricedForPart(week, 0.5)).toEqual(week);
  });

  it('of a day has an idle scaler in its other hours', () => {
    const priced = pricedBy(LIST_PRICES, { instanceTypes: ['m7i.large'] });
    const replayed = { billedSeconds: 0, spotSeconds: 0, stoppedSeconds: 0, polls: 11, starts: 1 };
    const scaler = (jobs: { queuedAt: number }[], polls = 11) =>
      costOf('ours', { ...replayed, polls, endedAt: 9 * HOUR }, { ...priced, month: monthRuleFor(jobs) })
        ?.scaler ?? Number.NaN;
    const [idle, busy] = [scaler(spanning(48), 1), scaler(spanning(48))];
    expect(scaler(spanning(9))).toBeCloseTo(idle + (busy - idle) * ((22 * 9) / 730), 2);
    expect(scaler(spanning(9), 1)).toBeCloseTo(idle, 6);
  });

  it.each(Object.keys(WORKLOADS) as WorkloadName[])(
    'of %s is what its days cost, as often as the month has them',
    (name) => {
      const { jobs } = generatedTrace(name, 1);
      const priced = {
        ...pricedBy(LIST_PRICES, { instanceTypes: ['m7i.large'] }),
        month: monthRuleFor(jobs),
      };
      const { cost, month, costReplayed, days, replayedHours } = simulateOne(jobs, ours(), WORLD, { priced });
      const times = (month?.hours ?? 0) / replayedHours;
      expect(times).toBeCloseTo(name === 'weekly' ? 730 / replayedHours : 22, 1);
      const paid = days.reduce((sum, day) => sum + (day.cost ?? Number.NaN), 0);
      expect((paid * times) / (cost?.total ?? 0)).toBeCloseTo(1, 2);
      const { perDay = 0, days: count = 0 } = costReplayed ?? {};
      expect((perDay * count * times) / (cost?.total ?? 0)).toBeCloseTo(1, 2);
    },
  );
});
