import { describe, expect, it } from 'vitest';
import { learnedContexts } from '../../functions/lib/learned-contexts.ts';
import { remember } from '../../functions/lib/spare-memory.ts';
import {
  type Arrival,
  keptForGood,
  lastCounts,
  type Memory,
  sparesThatPay,
  sparesUntil,
} from '../../functions/lib/spare-runners.ts';
import { COUNTS, DAY, EVEN, MEMORY, NOW } from '../support/spare-memory.ts';

/** What is learned, to the second and to the hundredth. The lead time is 100 s. */

/** Arrivals by how many seconds they came after NOW. */
const arrived = (...arrivals: [seconds: number, tasks: number][]): Arrival[] =>
  arrivals.map(([seconds, tasks]) => [NOW + seconds, tasks]);

describe('learnedContexts', () => {
  it('has the busiest first, and says how often at least a number of tasks came', () => {
    const seen = {
      s1: [30],
      a2: [10, 0, 5, 5],
      s3: [0, 2],
      a1: [7],
      s0: [1],
      s2: [1],
      a10: [0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 4],
    };
    expect(learnedContexts({ ...MEMORY, seen })).toEqual({
      leadSeconds: 100,
      contexts: [
        {
          before: { tasks: [512, 1_023] },
          times: 7,
          atLeast: [
            [10, 7],
            [12, 4],
          ],
        },
        {
          before: { tasks: [2, 3] },
          times: 20,
          atLeast: [
            [2, 10],
            [3, 5],
          ],
        },
        { before: { tasks: [1, 1] }, times: 7, atLeast: [] },
        { before: { silence: [100, 500] }, times: 1, atLeast: [] },
        { before: { silence: [500, 2_000] }, times: 30, atLeast: [] },
        { before: { silence: [2_000, 6_000] }, times: 1, atLeast: [] },
        { before: { silence: [6_000, Number.POSITIVE_INFINITY] }, times: 2, atLeast: [[1, 2]] },
      ],
    });
  });
});

describe('the time until which a number of spare runners stays', () => {
  /** Each context has its own number, by which it is known again. */
  const seen = {
    a1: [0, 20],
    a2: [0, 0, 20],
    a3: [0, 0, 0, 20],
    s0: [0, 0, 0, 0, 20],
    s1: [0, 0, 0, 0, 0, 20],
    s2: [0, 0, 0, 0, 0, 0, 20],
    s3: [0, 0, 0, 0, 0, 0, 0, 20],
  };

  it.each<{ case: string; arrivals: [seconds: number, tasks: number][]; spare: number; until: number }>([
    { case: 'nothing ever arrived', arrivals: [], spare: 7, until: Number.POSITIVE_INFINITY },
    { case: 'a task arrived now', arrivals: [[0, 1]], spare: 1, until: 100 },
    { case: 'a task arrived', arrivals: [[-10, 1]], spare: 1, until: 90 },
    {
      case: 'the first of some leaves the lead time',
      arrivals: [
        [-90, 1],
        [-10, 1],
      ],
      spare: 2,
      until: 10,
    },
    { case: 'three tasks', arrivals: [[-99, 3]], spare: 2, until: 1 },
    { case: 'four tasks', arrivals: [[-99, 4]], spare: 3, until: 1 },
    {
      case: 'others came before the lead time',
      arrivals: [
        [-100, 9],
        [-10, 1],
      ],
      spare: 1,
      until: 90,
    },
    {
      case: 'others are still to come',
      arrivals: [
        [-10, 1],
        [1, 9],
      ],
      spare: 1,
      until: 90,
    },
    { case: 'the lead time has passed', arrivals: [[-100, 1]], spare: 4, until: 400 },
    { case: 'a silence of just less than five of them', arrivals: [[-499, 1]], spare: 4, until: 1 },
    { case: 'a silence of five of them', arrivals: [[-500, 1]], spare: 5, until: 1_500 },
    { case: 'a silence of just less than twenty', arrivals: [[-1_999, 1]], spare: 5, until: 1 },
    { case: 'a silence of twenty', arrivals: [[-2_000, 1]], spare: 6, until: 4_000 },
    { case: 'a silence of sixty', arrivals: [[-6_000, 1]], spare: 7, until: Number.POSITIVE_INFINITY },
  ])('$case', ({ arrivals, spare, until }) => {
    const found = sparesThatPay({ ...MEMORY, seen }, arrived(...arrivals), EVEN, NOW);
    expect(found).toMatchObject({ spare, until: NOW + until });
    expect(sparesUntil({ ...MEMORY, seen }, arrived(...arrivals), EVEN, NOW)).toBe(NOW + until);
    const kept = keptForGood({ ...MEMORY, seen }, arrived(...arrivals), EVEN, NOW);
    expect(kept).toBe(until === Number.POSITIVE_INFINITY ? spare : 0);
  });

  it.each<{ case: string; ago: number[]; spare: number; until: number }>([
    { case: 'the silence becomes another one', ago: [350, 200], spare: 1, until: 250 },
    { case: 'it does so first', ago: [550, 490], spare: 0, until: 10 },
    { case: 'ten minutes have passed since the last task but one', ago: [550, 410], spare: 1, until: 50 },
    { case: 'they pass now', ago: [600, 110], spare: 0, until: 390 },
    { case: 'a lead time is between two tasks', ago: [300, 200], spare: 1, until: 300 },
    { case: 'less than that is', ago: [299, 200], spare: 0, until: 300 },
    { case: 'the last ones came together', ago: [310, 200, 190, 110], spare: 1, until: 290 },
    { case: 'one task came', ago: [200], spare: 0, until: 300 },
    { case: 'tasks came three times', ago: [500, 250, 100], spare: 1, until: 350 },
    { case: 'a task comes, if none ever came', ago: [], spare: 0, until: Number.POSITIVE_INFINITY },
  ])('is, while nothing is learned, when $case', ({ ago, spare, until }) => {
    const arrivals = arrived(...ago.map((seconds): [number, number] => [-seconds, 1]));
    const found = {
      spare,
      until: NOW + until,
      why: 'nothing is learned yet; jobs came twice in the last 10 min',
    };
    expect(sparesThatPay(MEMORY, arrivals, EVEN, NOW)).toEqual(found);
    const [first = [], others] = [arrivals.slice(0, 1), arrivals.slice(1)];
    expect(sparesThatPay({ ...MEMORY, arrivals: first }, others, EVEN, NOW)).toEqual(found);
  });

  it('is that of a boot of 90 s if none is on record', () => {
    expect(sparesThatPay(undefined, arrived([-110, 1], [-10, 1]), EVEN, NOW)).toMatchObject({
      spare: 1,
      until: NOW + 88,
    });
  });

  it('is no spare runner in a context that was hardly seen, once others were', () => {
    const memory = { ...MEMORY, seen: { s0: [12], a1: [0, 7], a2: [0, 0] } };
    const arrivals = arrived([-150, 1], [-10, 1]);
    expect(sparesThatPay(memory, arrivals, EVEN, NOW)).toMatchObject({ spare: 1, until: NOW + 90 });
    const more = { ...memory, seen: { ...memory.seen, a2: [0, 1] } };
    expect(sparesThatPay(more, arrivals, EVEN, NOW)).toEqual({ spare: 0, until: NOW + 90, why: '' });
  });

  it('comes with rounded numbers of times, and with no words if none pays', () => {
    const memory = { ...MEMORY, seen: { a1: [10.4, 20.3] } };
    const { why } = sparesThatPay(memory, arrived([0, 1]), EVEN, NOW);
    expect(why).toContain('20 of 31 times like this, 1 or more tasks came within 100 s;');
    const idle = { ...MEMORY, seen: { a1: [40] } };
    expect(sparesThatPay(idle, arrived([0, 1]), EVEN, NOW)).toEqual({ spare: 0, why: '', until: NOW + 100 });
  });
});

describe('remember', () => {
  it.each<{
    case: string;
    memory?: Partial<Memory>;
    arrivals: [seconds: number, tasks: number][];
    now: number;
    seen: Memory['seen'];
    learnedUntil: number;
    kept: [seconds: number, tasks: number][];
  }>([
    {
      case: 'what follows on a long silence, on a task, and on what comes after it',
      arrivals: [[10, 1]],
      now: 300,
      seen: { s3: [0, 1], a1: [4], s0: [4] },
      learnedUntil: 225,
      // To 4 s, the 32nd part of the lead time.
      kept: [[8, 1]],
    },
    {
      case: 'all times of a silence, up to a lead time before it ends',
      memory: { arrivals: arrived([-1_000, 1]) },
      arrivals: [[400, 3]],
      now: 600,
      seen: { s1: [12, 0, 0, 4], a2: [4], s0: [1] },
      learnedUntil: 525,
      kept: [[400, 3]],
    },
    {
      case: 'nothing before the lead time after it has passed',
      arrivals: [[50, 1]],
      now: 99,
      seen: {},
      learnedUntil: 0,
      kept: [[48, 1]],
    },
    {
      case: 'what followed exactly a lead time ago',
      arrivals: [[50, 1]],
      now: 100,
      seen: { s3: [0, 1] },
      learnedUntil: 25,
      kept: [[48, 1]],
    },
    {
      case: 'a number between two steps as the lower one',
      arrivals: [[10, 11]],
      now: 100,
      seen: { s3: [...Array(9).fill(0), 1] },
      learnedUntil: 25,
      kept: [[8, 11]],
    },
    {
      case: 'a number above all steps as the highest one',
      arrivals: [[10, 5_000]],
      now: 100,
      seen: { s3: [...Array(44).fill(0), 1] },
      learnedUntil: 25,
      kept: [[8, 5_000]],
    },
    {
      case: 'arrivals of the same seconds as one',
      memory: { arrivals: arrived([-1_000, 1], [-200, 1]) },
      arrivals: [
        [0, 2],
        [1, 1],
        [4, 5],
        [7, 1],
      ],
      now: 7,
      seen: {},
      learnedUntil: 0,
      kept: [
        [-200, 1],
        [0, 3],
        [4, 6],
      ],
    },
    {
      case: 'no more of what came before than since when there was silence',
      memory: { arrivals: arrived([-1_000, 1], [-200, 1], [-100, 1]) },
      arrivals: [[4, 1]],
      now: 4,
      seen: {},
      learnedUntil: 0,
      kept: [
        [-100, 1],
        [4, 1],
      ],
    },
  ])('learns $case', ({ memory, arrivals, now, seen, learnedUntil, kept }) => {
    const given = { ...MEMORY, ...memory };
    expect(remember(given, { arrivals: arrived(...arrivals), counts: COUNTS }, NOW + now)).toEqual({
      at: NOW + now,
      readySeconds: 92,
      learnedUntil: NOW + learnedUntil,
      fadedAt: NOW,
      arrivals: arrived(...kept),
      counts: COUNTS,
      seen,
    });
  });

  const one = { arrivals: arrived([0, 1]), counts: COUNTS };

  it('learns what comes within the lead time and a stay, and keeps less exactly when', () => {
    const arrivals = arrived([13, 1], [17, 2], [225, 1], [404, 1]);
    expect(remember(MEMORY, { arrivals, counts: COUNTS, stays: 300 }, NOW + 405)).toEqual({
      ...MEMORY,
      at: NOW + 405,
      learnedUntil: NOW + 325,
      seen: { s3: [0, 0, 0, 1], a2: [4], s0: [0, 4], a1: [4] },
      laterUntil: NOW + 25,
      later: { s3: [0, 0, 0, 0, 1] },
      // To 10 s, the 32nd part of the stay, up to a lead time before NOW + 325.
      arrivals: arrived([10, 3], [220, 1], [404, 1]),
    });
  });

  it('learns from there on what comes during a stay, in tenths and with as many samples', () => {
    const later = { a8: [0, 80], a9: [0, 2_000, 500], a10: [10, 0, 80] };
    const memory = { ...MEMORY, laterUntil: NOW - 50, later, fadedAt: NOW - DAY };
    const after = remember(memory, { ...one, stays: 300 }, NOW + 340);
    expect(after).toMatchObject({
      laterUntil: NOW - 50,
      later: { a8: [0, 76.1], a9: [0, 800, 200], a10: [9.5, 0, 76.1] },
    });
    expect(remember(memory, { ...one, stays: 300 }, NOW + 350)).toMatchObject({
      laterUntil: NOW - 25,
      later: { s3: [0, 1] },
    });
  });

  it('forgets what came during a stay if nobody says how long that is', () => {
    const known = remember({ ...MEMORY, laterUntil: NOW, later: { a8: [0, 80] } }, one, NOW);
    expect(Object.keys(known ?? {})).not.toContain('later');
    expect(Object.keys(known ?? {})).not.toContain('laterUntil');
  });

  it('fades by whole days, rounded to hundredths', () => {
    const memory = { ...MEMORY, fadedAt: NOW - 1.5 * DAY, seen: { a9: [10, 80] } };
    expect(remember(memory, one, NOW)).toMatchObject({
      fadedAt: NOW - 0.5 * DAY,
      seen: { a9: [9.52, 76.14] },
    });
  });

  it('counts no context as more than 1,000 samples', () => {
    const seen = { a8: [0, 500, 500], a9: [0, 2_000, 500] };
    expect(remember({ ...MEMORY, seen }, one, NOW)?.seen).toEqual({ a8: [0, 500, 500], a9: [0, 800, 200] });
  });

  it('follows how long launches take by a quarter of the difference', () => {
    expect(remember(MEMORY, { ...one, readySeconds: 62 }, NOW)?.readySeconds).toBe(85);
    expect(remember(MEMORY, one, NOW)?.readySeconds).toBe(92);
    expect(remember(undefined, one, NOW)?.readySeconds).toBe(90);
  });

  it.each([{ learnedUntil: NOW + 1 }, { fadedAt: NOW + 1 }, { laterUntil: NOW + 1 }])(
    'starts over if %j is still to come, and keeps what is of now',
    (ahead) => {
      const memory = { ...MEMORY, readySeconds: 40, seen: { a9: [0, 80] } };
      expect(remember({ ...memory, ...ahead }, one, NOW)).toMatchObject({
        learnedUntil: NOW,
        fadedAt: NOW,
        readySeconds: 40,
        seen: {},
      });
      expect(remember(memory, one, NOW)?.seen).toEqual({ a9: [0, 80] });
    },
  );

  it('forgets first what it has seen least, until it fits', () => {
    const times = (number: number) => [number, ...Array(44).fill(0.25)];
    const seen = Object.fromEntries(
      Array.from({ length: 40 }, (_, number) => [`a${number}`, times(number + 1)]),
    );
    const memory = remember({ ...MEMORY, seen }, one, NOW);
    const kept = Object.keys(memory?.seen ?? {});
    expect(kept.length).toBeGreaterThan(15);
    expect(kept.toSorted()).toEqual(Object.keys(seen).slice(-kept.length).toSorted());
    const next = Object.keys(seen).at(-kept.length - 1) ?? '';
    const more = JSON.stringify({ ...memory, seen: { ...memory?.seen, [next]: seen[next] } });
    expect(more.length).toBeGreaterThan(4_000);
    expect(JSON.stringify(memory).length).toBeLessThanOrEqual(4_000);
  });
});

describe('what is remembered fits into its parameter', () => {
  const one = { arrivals: arrived([0, 1]), counts: COUNTS };
  const contexts = (count: number, histogram: number[]) =>
    Object.fromEntries(
      Array.from({ length: count }, (_, number) => [
        `${number < 90 ? 'a' : 's'}${10 + (number % 90)}`,
        histogram,
      ]),
    );
  /** Arrivals that nothing merges, as only a parameter that somebody else wrote has them. */
  const unsorted = (count: number) =>
    Array.from({ length: count }, (_, number): [number, number] => [number % 2 === 0 ? 0 : 4, 1 + number]);

  it.each<{ case: string; memory: Partial<Memory>; least: number }>([
    { case: 'many contexts', memory: { seen: contexts(180, [0, 0, 0, 0, 0, 0.25]) }, least: 150 },
    { case: 'long numbers', memory: { seen: contexts(20, Array(45).fill(20.25)) }, least: 12 },
    { case: 'many numbers', memory: { seen: contexts(40, Array(45).fill(1)) }, least: 36 },
  ])('with $case: as many contexts as do', ({ memory, least }) => {
    const kept = remember({ ...MEMORY, ...memory }, one, NOW);
    expect(JSON.stringify(kept).length).toBeLessThanOrEqual(4_000);
    expect(Object.keys(kept?.seen ?? {}).length).toBeGreaterThanOrEqual(least);
  });

  it('without what came during a stay, of the contexts that were seen least', () => {
    const seen = { a5: [9], ...contexts(30, Array(5).fill(1)), a6: [7], a7: [8] };
    const later = Object.fromEntries(Object.keys(seen).map((name) => [name, Array(43).fill(1.5)]));
    const kept = remember({ ...MEMORY, seen, later, laterUntil: NOW }, { ...one, stays: 300 }, NOW);
    expect(JSON.stringify(kept).length).toBeLessThanOrEqual(4_000);
    expect(kept?.seen).toEqual(seen);
    const names = Object.keys(kept?.later ?? {});
    expect(names.length).toBeGreaterThan(15);
    expect(names.length).toBeLessThan(33);
    expect(names).toEqual(expect.arrayContaining(['a5', 'a6', 'a7']));
    const next = Object.keys(seen).find((name) => !names.includes(name)) ?? '';
    const more = { ...kept, later: { ...kept?.later, [next]: later[next] } };
    expect(JSON.stringify(more).length).toBeGreaterThan(4_000);
  });

  it('with too many arrivals alone: the newer half of them', () => {
    const arrivals = arrived(...unsorted(299));
    const kept = remember(
      { ...MEMORY, arrivals, seen: contexts(2, [1]) },
      { ...one, arrivals: arrived([8, 1]) },
      NOW + 8,
    );
    expect(kept).toMatchObject({ at: NOW + 8, counts: COUNTS, seen: {} });
    expect(kept?.arrivals).toEqual([...arrivals.slice(-149), [NOW + 8, 1]]);
  });

  it('and is whole if it just does', () => {
    const remembered = (numbers: number, unclaimed: number) =>
      remember(
        { ...MEMORY, seen: { ...contexts(15, Array(45).fill(0.25)), a1: Array(numbers).fill(0.25) } },
        { ...one, counts: { unclaimed, running: 0 } },
        NOW,
      );
    const lengthOf = (memory: Memory | undefined) => JSON.stringify(memory).length;
    const base = lengthOf(remembered(1, 1));
    const rest = 4_000 - base;
    const numbers = 1 + Math.floor(rest / ',0.25'.length);
    const digits = 1 + (rest % ',0.25'.length);
    const whole = remembered(numbers, 10 ** (digits - 1));
    expect(lengthOf(whole)).toBe(4_000);
    expect(Object.keys(whole?.seen ?? {})).toHaveLength(16);
    expect(Object.keys(remembered(numbers, 10 ** digits)?.seen ?? {})).toHaveLength(15);
  });
});

describe('lastCounts', () => {
  it.each([
    { ago: 0, counts: COUNTS },
    { ago: DAY, counts: COUNTS },
    { ago: -1, counts: undefined },
  ])('of $ago s ago: $counts', ({ ago, counts }) => {
    expect(lastCounts({ ...MEMORY, at: NOW - ago }, NOW)).toEqual(counts);
  });
});
