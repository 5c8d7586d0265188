import { describe, expect, it } from 'vitest';
import type { Day } from '../../simulator/days.ts';
import { daysToDraw, intervalOf, intervalOfChange } from '../../simulator/resampling.ts';

const day = (number: number, mean: number | null, instanceHours = 10, hours = 24): Day => ({
  day: number,
  hours,
  jobs: mean === null ? 0 : 100,
  waitSeconds: mean === null ? null : { mean, p95: mean },
  instanceHours,
  cost: instanceHours / 10,
});

const outcome = (days: Day[]) => ({
  days,
  replayedHours: days.reduce((sum, { hours }) => sum + hours, 0),
});

const WEEK = outcome([60, 70, 80, 90, 100, 110, 120].map((mean, index) => day(index + 1, mean)));

describe('the interval of an outcome', () => {
  it('contains its mean, and is the same each time', () => {
    const interval = intervalOf(WEEK);
    const [low = 0, high = 0] = interval?.waitSeconds.mean ?? [];
    expect(low).toBeLessThan(90);
    expect(high).toBeGreaterThan(90);
    // The standard error of the mean of these days is 7.6 s, and 90 % of a normal distribution are within 1.64 of them.
    expect(low).toBeGreaterThan(90 - 2 * 7.6);
    expect(high).toBeLessThan(90 + 2 * 7.6);
    expect(high - low).toBeGreaterThan(1.2 * 2 * 7.6);
    expect(intervalOf(WEEK)).toEqual(interval);
    expect(interval).toMatchObject({ level: 0.9, days: 7 });
  });

  it('is one point if all days are the same', () => {
    const days = [1, 2, 3, 4, 5].map((number) => day(number, 90));
    expect(intervalOf(outcome(days))).toMatchObject({
      waitSeconds: { mean: [90, 90] },
      instanceHours: [50, 50],
      cost: { total: [30.417, 30.417] },
    });
  });

  it('needs five days, and joins short ones at the ends to the days next to them', () => {
    const days = [1, 2, 3, 4].map((number) => day(number, 90));
    expect(intervalOf(outcome(days))).toBe(undefined);
    const short = [day(0, 90, 1, 2), ...days, day(5, 90, 1, 11)];
    expect(daysToDraw(outcome(short))).toBe(4);
    expect(intervalOf(outcome(short))).toBe(undefined);
    expect(daysToDraw(outcome([...days, day(5, 90, 10, 12)]))).toBe(5);
  });

  it('has no cost without a price, and ignores draws without a job', () => {
    const days = [90, null, null, null, null].map((mean, index) => {
      const { cost: _, ...others } = day(index + 1, mean);
      return others;
    });
    const interval = intervalOf(outcome(days));
    expect(interval?.waitSeconds.mean).toEqual([90, 90]);
    expect(interval).not.toHaveProperty('cost');
  });
});

describe('the interval of a change', () => {
  it('is narrow if each day changes by the same, however much the days differ', () => {
    const better = outcome(
      WEEK.days.map((each) => day(Number(each.day), (each.waitSeconds?.mean ?? 0) - 20, 12)),
    );
    expect(intervalOfChange(WEEK, better)).toMatchObject({
      waitSeconds: { mean: [-20, -20] },
      instanceHours: [14, 14],
      cost: { total: [6.083, 6.083] },
    });
  });

  it('is unknown if the days are not the same', () => {
    expect(intervalOfChange(WEEK, outcome(WEEK.days.slice(1)))).toBe(undefined);
  });
});
