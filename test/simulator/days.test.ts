import { describe, expect, it } from 'vitest';
import { choosePolicies } from '../../cli/replays/policies.ts';
import { Calendar } from '../../simulator/calendar.ts';
import { pricedBy } from '../../simulator/cost.ts';
import { tableOf } from '../../simulator/job-table.ts';
import { PEERS } from '../../simulator/peers.ts';
import { plainFleet } from '../../simulator/plain-fleet.ts';
import { LIST_PRICES } from '../../simulator/prices.ts';
import { simulateOne } from '../../simulator/simulate.ts';
import { weekly } from '../../simulator/workloads.ts';
import { WORLD } from '../../simulator/world.ts';
import { ours } from './choices.ts';

const MONDAY = Date.UTC(2026, 0, 5);
const WEEK = tableOf(weekly(1));
const priced = pricedBy(LIST_PRICES, { instanceTypes: ['m7i.large'] });

const built = choosePolicies({ set: ['image.build=weekly'] }).choices.slice(0, 1);

const choices = [
  ours(),
  ...built,
  ours({ warmPool: { size: 3, state: 'stopped' }, minReplicas: 1 }),
  ...PEERS.map(({ name }) => ({ name, parameters: {}, maxReplicas: 10_000 })),
];

describe('the figures of days', () => {
  it.each(choices.map((choice) => [choice.name, choice] as const))(
    'add up to those of the replay: %s',
    (_, choice) => {
      const world = { ...WORLD, startsAt: MONDAY, zone: 'UTC' };
      const { days, jobs, instanceHours, waitSeconds, cost, replayedHours } = simulateOne(
        WEEK,
        choice,
        world,
        { priced },
      );
      const sum = (of: (day: (typeof days)[number]) => number) =>
        days.reduce((total, day) => total + of(day), 0);
      expect(sum((day) => day.jobs)).toBe(jobs);
      expect(sum(({ hours }) => hours)).toBeCloseTo(replayedHours, 1);
      expect(sum((day) => day.instanceHours)).toBeCloseTo(instanceHours, 1);
      expect(sum((day) => day.jobs * (day.waitSeconds?.mean ?? 0)) / jobs).toBeCloseTo(waitSeconds.mean, 1);
      expect(sum((day) => day.cost ?? Number.NaN)).toBeCloseTo(((cost?.total ?? 0) * replayedHours) / 730, 1);
      expect(days.map(({ day }) => day)).toEqual(
        [5, 6, 7, 8, 9, 10, 11].map((day) => `2026-01-${String(day).padStart(2, '0')}`),
      );
    },
  );

  it('begin at midnight of the time zone, or at second 0 of a trace without dates', () => {
    const jobs = [0, 3_600, 7_200].map((queuedAt) => ({ queuedAt, durationSeconds: 60 }));
    const startsAt = Date.UTC(2026, 0, 5, 22, 30);
    const daysIn = (zone?: string) =>
      simulateOne(jobs, ours(), { ...WORLD, startsAt, ...(zone !== undefined && { zone }) }).days.map(
        ({ day, jobs: queued }) => [day, queued],
      );
    expect(daysIn('UTC')).toEqual([
      ['2026-01-05', 2],
      ['2026-01-06', 1],
    ]);
    expect(daysIn('Europe/Berlin')).toEqual([
      ['2026-01-05', 1],
      ['2026-01-06', 2],
    ]);
    expect(daysIn('Asia/Kolkata')).toEqual([['2026-01-06', 3]]);
    expect(daysIn()).toEqual([[1, 3]]);
  });

  it('have no cost without a price, and no wait without a job', () => {
    const jobs = [0, 2 * 86_400].map((queuedAt) => ({ queuedAt, durationSeconds: 60 }));
    const { days } = simulateOne(jobs, { name: 'ours', settings: plainFleet({}) }, WORLD);
    expect(days[1]).toEqual({ day: 2, hours: 24, jobs: 0, waitSeconds: null, instanceHours: 0 });
  });

  it('are left out of a trace of decades', () => {
    const jobs = [0, 1_100 * 86_400].map((queuedAt) => ({ queuedAt, durationSeconds: 60 }));
    expect(simulateOne(jobs, ours(), WORLD).days).toEqual([]);
  });
});

describe('the hours of a clock', () => {
  const hours = (zone: string, startsAt: number, count: number) => {
    const calendar = new Calendar({ startsAt, zone });
    return Array.from({ length: count }, (_, hour) => calendar.clockOf(hour).hour);
  };

  it('are those of the time zone, also on the day of a change', () => {
    // On 29 March 2026, clocks in Berlin go from 02:00 to 03:00.
    expect(hours('Europe/Berlin', Date.UTC(2026, 2, 28, 23, 40), 4)).toEqual([0, 1, 3, 4]);
    expect(hours('America/New_York', Date.UTC(2026, 0, 5, 4), 3)).toEqual([23, 0, 1]);
  });

  it('begin at whole hours in a time zone that is half an hour off', () => {
    const calendar = new Calendar({ startsAt: Date.UTC(2026, 0, 5), zone: 'Asia/Kolkata' });
    expect([calendar.hourAt(0), calendar.hourAt(1_799), calendar.hourAt(1_800)]).toEqual([0, 0, 1]);
    expect(calendar.clockOf(0).hour).toBe(5);
  });
});
