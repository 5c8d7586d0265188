import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_FAULTS } from '../../../sandbox/group/faults.ts';
import { tableOf } from '../../../simulator/job-table.ts';
import { pack, unpack } from '../../../simulator/report/packed.ts';
import {
  MOST_POINTS,
  samplesOf,
  stretchesOf,
  summed,
  WAIT_SHARES,
} from '../../../simulator/report/samples.ts';
import type { Sample } from '../../../simulator/series.ts';
import { simulateOne } from '../../../simulator/simulate.ts';
import { WORLD } from '../../../simulator/world.ts';
import { MORNING } from './reports.ts';

const MRO = { name: 'mro', parameters: {}, maxReplicas: 1_000 };
const DAY = 86_400;
const SILENT = { faults: NO_FAULTS, progress: () => undefined };

const counted = (counts: readonly number[], every = 1): Sample[] =>
  counts.map((count, index) => ({
    at: index * every,
    unclaimed: count,
    running: count,
    desired: 0,
    instances: count,
  }));

describe('packed counts', () => {
  it('are the same when they are unpacked', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(300_000)), (counts) => {
        expect(unpack(pack(counts))).toEqual(counts);
      }),
    );
  });

  it('have one character each if they are small', () => {
    expect(pack([0, 9, 10, 63])).toEqual({ digits: 1, text: '09a_' });
    expect(pack([0, 64])).toEqual({ digits: 2, text: '0010' });
  });
});

describe('summed', () => {
  it('keeps all of few samples', () => {
    const series = summed(counted([3, 1, 2]), 4, 1, false);
    expect({ ...series, running: unpack(series.running) }).toMatchObject({
      everySeconds: 1,
      running: [3, 1, 2],
    });
    expect(series).not.toHaveProperty('tenths');
  });

  it('keeps the highest value of each interval, and the mean', () => {
    const { everySeconds, running, tenths } = summed(counted([5, 9, 1, 2, 2, 2, 0, 7, 3]), 5, 1, true);
    expect(everySeconds).toBe(2);
    expect(unpack(running)).toEqual([9, 2, 2, 7, 3]);
    expect(tenths && unpack(tenths.running)).toEqual([70, 15, 20, 35, 30]);
  });

  it('loses no peak, adds none, and never exceeds the number of points', () => {
    const counts = fc.array(fc.nat(100), { minLength: 2, maxLength: 200 });
    fc.assert(
      fc.property(
        counts,
        fc.integer({ min: 2, max: 50 }),
        fc.integer({ min: 1, max: 61 }),
        (all, most, every) => {
          const { running, everySeconds } = summed(counted(all, every), most, 1, false);
          const highest = unpack(running);
          expect(Math.max(...highest)).toBe(Math.max(...all));
          expect(highest.length).toBeLessThanOrEqual(most);
          expect(everySeconds).toBeGreaterThanOrEqual(every);
        },
      ),
    );
  });
});

describe('the periods of a report', () => {
  const job = (day: number, durationSeconds: number) => ({ queuedAt: day * DAY + 60, durationSeconds });
  const LONG = tableOf([job(0, 50), job(2, 40), job(2, 40), job(5, 70)]);

  it('are the whole of a short trace', () => {
    expect(stretchesOf(MORNING, WORLD).map(({ name }) => name)).toEqual(['whole trace']);
  });

  it('are the whole of a long trace, its days, and the busiest of them', () => {
    const [all, ...days] = stretchesOf(LONG, WORLD);
    expect(all).toEqual({ name: 'whole trace', from: 0, until: null });
    expect(days).toHaveLength(6);
    expect(days[0]).toEqual({ name: 'day 1', from: 0, until: DAY });
    expect(days[2]).toEqual({ name: 'day 3, the busiest', from: 2 * DAY, until: 3 * DAY });
  });

  it('begin at midnight of the time zone', () => {
    const world = { ...WORLD, startsAt: Date.UTC(2026, 0, 5, 22), zone: 'Europe/Berlin' };
    expect(stretchesOf(LONG, world).slice(1, 3)).toEqual([
      { name: 'Mon 2026-01-05', from: 0, until: 3_600 },
      { name: 'Tue 2026-01-06', from: 3_600, until: 3_600 + DAY },
    ]);
  });

  it('have hours for the whole of a long trace, and shorter intervals for its days', () => {
    const { overview, detail } = samplesOf(LONG, MRO, WORLD, SILENT);
    expect(overview?.everySeconds).toBe(3_600);
    expect(unpack(overview?.running ?? pack([]))[48]).toBe(2);
    expect(detail?.everySeconds).toBe(120);
    const counts = unpack(detail?.running ?? pack([]));
    expect(counts.length).toBeLessThanOrEqual(MOST_POINTS.days);
    expect(Math.max(...counts.slice(2 * 720, 3 * 720))).toBe(2);
    expect(samplesOf(LONG, MRO, WORLD, { ...SILENT, detailed: false })).not.toHaveProperty('detail');
    expect(samplesOf(MORNING, MRO, WORLD, { ...SILENT, detailed: false })).not.toHaveProperty('overview');
  });
});

describe('the waits of the chart', () => {
  it('are those of the outcome, for every share in both', () => {
    const { waits } = samplesOf(MORNING, MRO, WORLD, SILENT);
    const { waitSeconds } = simulateOne(MORNING, MRO, WORLD);
    const at = (share: number) => waits[WAIT_SHARES.indexOf(share)];
    expect(waits).toHaveLength(WAIT_SHARES.length);
    expect(at(0.5)).toBeCloseTo(waitSeconds.p50, 0);
    expect(at(0.95)).toBeCloseTo(waitSeconds.p95, 0);
    expect(at(1)).toBeCloseTo(waitSeconds.max, 0);
    expect(waits).toEqual(waits.toSorted((a, b) => a - b));
  });
});
