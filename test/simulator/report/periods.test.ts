import { describe, expect, it } from 'vitest';
import { NO_FAULTS } from '../../../sandbox/group/faults.ts';
import { Calendar } from '../../../simulator/calendar.ts';
import { pricedBy } from '../../../simulator/cost.ts';
import { tableOf } from '../../../simulator/job-table.ts';
import { LIST_PRICES } from '../../../simulator/prices.ts';
import { demandOf } from '../../../simulator/report/periods.ts';
import { samplesOf } from '../../../simulator/report/samples.ts';
import { simulateOne } from '../../../simulator/simulate.ts';
import { weekly } from '../../../simulator/workloads.ts';
import { WORLD } from '../../../simulator/world.ts';
import { ours } from '../choices.ts';

const MONDAY = { ...WORLD, startsAt: Date.UTC(2026, 0, 5), zone: 'UTC' };
const HOUR = 3_600;
const priced = pricedBy(LIST_PRICES, { instanceTypes: ['m7i.large'] });
const samples = (jobs: Parameters<typeof tableOf>[0], world = MONDAY) =>
  samplesOf(tableOf(jobs), ours(), world, { faults: NO_FAULTS, progress: () => undefined, priced });

describe('working hours, nights and weekends', () => {
  it('add up to the replay', () => {
    const jobs = tableOf(weekly(1));
    const { periods } = samples(jobs);
    const outcome = simulateOne(jobs, ours(), MONDAY, { priced });
    const sum = (of: (period: (typeof periods)[number]) => number) =>
      periods.reduce((total, period) => total + of(period), 0);
    expect(periods.map(({ name }) => name)).toEqual(['working hours', 'nights', 'weekends']);
    expect(sum((period) => period.jobs)).toBe(outcome.jobs);
    expect(sum(({ hours }) => hours)).toBeCloseTo(outcome.replayedHours, 2);
    expect(sum(({ instanceHours }) => instanceHours)).toBeCloseTo(outcome.instanceHours, 2);
    expect(sum(({ cost }) => cost ?? 0) / outcome.jobs).toBeCloseTo(outcome.costReplayed?.perJob ?? 0, 4);
  });

  it('are those of the time zone', () => {
    // 17:30 on a Friday in UTC is 18:30 in Berlin, and 23:30 is on Saturday.
    const friday = [17.5, 23.5].map((hour) => ({ queuedAt: (4 * 24 + hour) * HOUR, durationSeconds: 60 }));
    const jobsIn = (zone: string) => samples(friday, { ...MONDAY, zone }).periods.map(({ jobs }) => jobs);
    expect(jobsIn('UTC')).toEqual([1, 1, 0]);
    expect(jobsIn('Europe/Berlin')).toEqual([0, 1, 1]);
  });

  it('are unknown without dates', () => {
    expect(samples([{ queuedAt: 0, durationSeconds: 60 }], WORLD as typeof MONDAY).periods).toEqual([]);
  });
});

describe('the hours of the week', () => {
  const TWO_WEEKS = [0, 1, 7 * 24 * HOUR, 7 * 24 * HOUR + HOUR].map((queuedAt) => ({
    queuedAt,
    durationSeconds: 60,
  }));

  it('have the mean number of jobs over the weeks, and nothing where the trace has no hour', () => {
    const demand = demandOf(tableOf(TWO_WEEKS), new Calendar(MONDAY));
    expect(demand.slice(0, 3)).toEqual([1.5, 0.5, 0]);
    expect(demand).toHaveLength(168);
    const [first] = TWO_WEEKS;
    expect(demandOf(tableOf(first === undefined ? [] : [first]), new Calendar(MONDAY)).slice(0, 2)).toEqual([
      1,
      null,
    ]);
  });

  it('have the mean wait of their jobs, and nothing without a job', () => {
    const { week } = samples(TWO_WEEKS);
    expect(week[0]).toBeGreaterThan(90);
    expect(week[2]).toBe(null);
  });

  it('begin with the first job of a trace without dates', () => {
    const demand = demandOf(tableOf(TWO_WEEKS), new Calendar(WORLD));
    expect(demand[0]).toBe(1.5);
  });
});
