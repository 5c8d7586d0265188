import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  concurrencyShare,
  formatLevels,
  levelsToWrite,
  parseLevels,
  type Sharer,
  type TaskLevels,
} from '../../functions/lib/concurrency.ts';

const NOW = Date.parse('2026-01-05T08:00:00Z');
const AT = NOW / 1_000;

const levels = (unclaimed: number, running: number, more: Partial<TaskLevels> = {}): TaskLevels => ({
  unclaimed,
  running,
  elsewhere: 0,
  present: running,
  at: AT,
  ...more,
});
const fleet = (present: number, ofFleet?: TaskLevels): Sharer => ({ present, levels: ofFleet });

describe('the share of a fleet', () => {
  it.each<{ case: string; own: [number, number]; others: Sharer[]; position?: number; share: number }>([
    { case: 'alone, it is the limit', own: [3, 2], others: [], share: 10 },
    { case: 'what the others do not need', own: [20, 0], others: [fleet(0, levels(0, 0))], share: 10 },
    { case: 'without what runs of the others', own: [20, 0], others: [fleet(4, levels(0, 4))], share: 6 },
    { case: 'without what waits of the others', own: [20, 0], others: [fleet(0, levels(3, 0))], share: 7 },
    { case: 'half, if both have plenty', own: [20, 5], others: [fleet(5, levels(20, 5))], share: 5 },
    {
      case: 'as much as waits and runs, if that is less than half',
      own: [1, 3],
      others: [fleet(0, levels(6, 0))],
      share: 4,
    },
    {
      case: 'as much as waits and runs, though the other one could use all that is left',
      own: [1, 3],
      others: [fleet(0, levels(20, 0))],
      share: 4,
    },
    {
      case: 'a third, if one of them needs little, and what is left of that',
      own: [20, 0],
      others: [fleet(0, levels(9, 0)), fleet(0, levels(1, 0))],
      share: 5,
    },
    {
      case: 'no more than is free, while another one runs more than its share',
      own: [20, 1],
      others: [fleet(9, levels(20, 9))],
      share: 1,
    },
    { case: 'none, if the others run all', own: [5, 0], others: [fleet(10, levels(9, 10))], share: 0 },
    {
      case: 'an instance that has left the other fleet gives its task back at once',
      own: [20, 0],
      others: [fleet(7, levels(0, 10))],
      share: 3,
    },
    {
      case: 'tasks of the other fleet that run on runners outside its group stay counted',
      own: [20, 0],
      others: [fleet(6, levels(0, 10, { elsewhere: 4 }))],
      share: 0,
    },
    {
      case: 'of old levels nothing counts, but each member may run a task',
      own: [20, 0],
      others: [fleet(3, levels(90, 90, { at: AT - 151 }))],
      share: 7,
    },
    {
      case: 'levels count for 150 s',
      own: [20, 0],
      others: [fleet(3, levels(0, 3, { at: AT - 150 })), fleet(0, levels(2, 0, { at: AT - 150 }))],
      share: 5,
    },
    { case: 'without levels, each member may run a task', own: [20, 0], others: [fleet(4)], share: 6 },
    {
      case: 'members that have come since the levels came for tasks',
      own: [20, 0],
      others: [fleet(3, levels(0, 0)), fleet(4, levels(1, 2))],
      share: 3,
    },
    {
      case: 'levels of 0 do not become old, so idle runners take no share',
      own: [20, 0],
      others: [fleet(4, levels(0, 0, { present: 4, at: AT - 86_400 }))],
      share: 10,
    },
    {
      case: 'what is left over of an even share goes to the last one',
      own: [20, 0],
      others: [fleet(0, levels(20, 0)), fleet(0, levels(20, 0))],
      position: 2,
      share: 4,
    },
  ])('$case: $share', ({ own: [unclaimed, running], others, position = 0, share }) => {
    expect(concurrencyShare(10, position, { unclaimed, running }, others, NOW)).toBe(share);
  });

  const tasks = fc.record({ unclaimed: fc.nat({ max: 40 }), running: fc.nat({ max: 40 }) });

  it('never adds up to more than the limit, nor leaves any of it unused while tasks wait', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 6 }),
        (limit, waiting) => {
          // Nothing runs yet, and all know the same.
          const shares = waiting.map((unclaimed, position) => {
            const others = waiting
              .filter((_, index) => index !== position)
              .map((n) => fleet(0, levels(n, 0)));
            const share = concurrencyShare(limit, position, { unclaimed, running: 0 }, others, NOW);
            return Math.min(share, unclaimed);
          });
          const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
          expect(sum(shares)).toBe(Math.min(limit, sum(waiting)));
        },
      ),
    );
  });

  it('never lets more run than the limit and what runs already', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        tasks,
        fc.array(tasks, { maxLength: 5 }),
        (limit, own, all) => {
          const others = all.map(({ unclaimed, running }) => fleet(running, levels(unclaimed, running)));
          const running = all.reduce((sum, other) => sum + other.running, 0);
          const share = concurrencyShare(limit, 0, own, others, NOW);
          expect(share).toBeGreaterThanOrEqual(0);
          expect(share + running).toBeLessThanOrEqual(Math.max(limit, running));
        },
      ),
    );
  });
});

describe('the levels of a fleet', () => {
  it.each<{ case: string; before?: TaskLevels; now: [number, number]; write: boolean }>([
    { case: 'are written at first', now: [0, 0], write: true },
    { case: 'are written again while there are tasks', before: levels(1, 1), now: [1, 1], write: true },
    { case: 'are written when the last task has ended', before: levels(0, 1), now: [0, 0], write: true },
    {
      case: 'are not written while there are none',
      before: levels(0, 0, { present: 9 }),
      now: [0, 0],
      write: false,
    },
    { case: 'are written when members come', before: levels(0, 0, { present: 8 }), now: [0, 0], write: true },
    {
      case: 'are written with the first task',
      before: levels(0, 0, { present: 9 }),
      now: [1, 0],
      write: true,
    },
    {
      case: 'are written with the first tasks, if one of them runs already',
      before: levels(0, 0, { present: 9 }),
      now: [1, 1],
      write: true,
    },
  ])('$case', ({ before, now: [unclaimed, running], write }) => {
    const members = { pending: 2, inService: 7 };
    const written = levelsToWrite(before, { unclaimed, running, members }, NOW + 500);
    expect(written).toEqual(write ? levels(unclaimed, running, { present: 9 }) : undefined);
  });

  it('say how many tasks run on no member', () => {
    const members = { pending: 4, inService: 3 };
    expect(levelsToWrite(undefined, { unclaimed: 0, running: 5, members }, NOW)).toEqual(
      levels(0, 5, { elsewhere: 2, present: 7 }),
    );
  });

  it('are read as they were written, and as nothing if somebody wrote something else', () => {
    for (const written of [levels(3, 4, { elsewhere: 2 }), levels(999_999, 120)])
      expect(parseLevels(formatLevels(written))).toEqual(written);
    for (const tag of ['', '3 4 2', '3 4 2 1', '3 4 2 1 x', '-1 0 0 0 1', '1 2 3 4 5 6', '9999999 0 0 0 1'])
      expect(parseLevels(tag)).toBeUndefined();
  });
});
