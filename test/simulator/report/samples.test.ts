import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_FAULTS } from '../../../sandbox/group/faults.ts';
import { tableOf } from '../../../simulator/job-table.ts';
import { MOST_POINTS, samplesOf, stretchesOf, thin, WAIT_SHARES } from '../../../simulator/report/samples.ts';
import type { Sample } from '../../../simulator/series.ts';
import { simulateOne } from '../../../simulator/simulate.ts';
import { WORLD } from '../../../simulator/world.ts';
import { MORNING } from './reports.ts';

const MRO = { name: 'mro', parameters: {}, maxReplicas: 1_000 };
const DAY = 86_400;

const counted = (counts: readonly number[]): Sample[] =>
  counts.map((count, index) => ({
    at: 100 + index * 5,
    unclaimed: count,
    running: count,
    desired: 0,
    instances: count,
  }));

describe('thin', () => {
  it('keeps all of few samples', () => {
    expect(thin(counted([3, 1, 2]), 4)).toEqual({
      from: 100,
      everySeconds: 5,
      thinned: false,
      waiting: [3, 1, 2],
      running: [3, 1, 2],
      instances: [3, 1, 2],
    });
  });

  it('keeps the lowest and the highest value of each stretch, in order', () => {
    const { everySeconds, thinned, running } = thin(counted([5, 9, 1, 2, 2, 2, 0, 7, 3]), 6);
    expect({ everySeconds, thinned, running }).toEqual({
      everySeconds: 7.5,
      thinned: true,
      running: [9, 1, 2, 2, 0, 7],
    });
  });

  it('loses no peak, adds none, and never exceeds the number of points', () => {
    const counts = fc.array(fc.nat(100), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(counts, fc.integer({ min: 2, max: 50 }), (all, most) => {
        const { running } = thin(counted(all), most);
        expect(Math.max(...running)).toBe(Math.max(...all));
        expect(Math.min(...running)).toBe(Math.min(...all));
        expect(running.length).toBeLessThanOrEqual(Math.max(most, 2));
        expect(running.filter((count) => !all.includes(count))).toEqual([]);
      }),
    );
  });
});

describe('the periods of a report', () => {
  it('are the whole of a short trace', () => {
    expect(stretchesOf(MORNING).map(({ name }) => name)).toEqual(['whole trace']);
  });

  it('are the whole of a long trace, and its busiest day', () => {
    const job = (day: number, durationSeconds: number) => ({ queuedAt: day * DAY + 60, durationSeconds });
    const stretches = stretchesOf(tableOf([job(0, 50), job(2, 40), job(2, 40), job(5, 70)]));
    expect(stretches.slice(1)).toEqual([{ name: 'day 3, the busiest', from: 2 * DAY, until: 3 * DAY }]);
  });

  it('each have samples', () => {
    const jobs = tableOf([
      { queuedAt: 0, durationSeconds: 60 },
      { queuedAt: 3 * DAY + 600, durationSeconds: 6_000 },
      { queuedAt: 5 * DAY, durationSeconds: 60 },
    ]);
    const { series } = samplesOf(jobs, MRO, WORLD, { faults: NO_FAULTS, progress: () => undefined });
    const [all, day] = series;
    expect(all).toMatchObject({ from: 0, thinned: true });
    expect(all?.running.length).toBeLessThanOrEqual(MOST_POINTS);
    expect(day?.from).toBeGreaterThanOrEqual(3 * DAY);
    expect(day?.from).toBeLessThan(3 * DAY + 60);
    expect(Math.max(...(day?.running ?? []))).toBe(1);
  });
});

describe('the waits of the chart', () => {
  it('are those of the outcome, for every share in both', () => {
    const { waits } = samplesOf(MORNING, MRO, WORLD, { faults: NO_FAULTS, progress: () => undefined });
    const { waitSeconds } = simulateOne(MORNING, MRO, WORLD);
    const at = (share: number) => waits[WAIT_SHARES.indexOf(share)];
    expect(waits).toHaveLength(WAIT_SHARES.length);
    expect(at(0.5)).toBeCloseTo(waitSeconds.p50, 0);
    expect(at(0.95)).toBeCloseTo(waitSeconds.p95, 0);
    expect(at(1)).toBeCloseTo(waitSeconds.max, 0);
    expect(waits).toEqual(waits.toSorted((a, b) => a - b));
  });
});
