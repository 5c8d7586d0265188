import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { remember } from '../../functions/lib/spare-memory.ts';
import {
  type Arrival,
  arrivedBetween,
  lastCounts,
  type Memory,
  type SpareSettings,
  sparesThatPay,
} from '../../functions/lib/spare-runners.ts';
import { COUNTS, DAY, EVEN, MEMORY, NOW } from '../support/spare-memory.ts';

/** Executions of a minute each: those with arrivals remember them. */
function executions(arrivals: readonly Arrival[], memory?: Memory): Memory | undefined {
  const minuteOf = (at: number) => Math.floor((at - NOW) / 60);
  return [...new Set(arrivals.map(([at]) => minuteOf(at)))].reduce((known, minute) => {
    const those = arrivals.filter(([at]) => minuteOf(at) === minute);
    return remember(known, { arrivals: those, counts: COUNTS }, NOW + 60 * minute + 59);
  }, memory);
}

describe('sparesThatPay', () => {
  it.each<{
    case: string;
    seen?: Memory['seen'];
    arrivals?: [ago: number, tasks: number][];
    settings?: Partial<SpareSettings>;
    spare: number;
    why?: string;
  }>([
    { case: 'nothing has ever arrived', spare: 0 },
    {
      case: 'nothing is learned, and tasks have just arrived for the first time',
      arrivals: [[10, 9]],
      spare: 0,
    },
    {
      case: 'nothing is learned, and tasks arrived twice in the last ten minutes',
      arrivals: [
        [599, 9],
        [10, 9],
      ],
      spare: 1,
      why: 'nothing is learned yet',
    },
    {
      case: 'nothing is learned, and they arrived once before that',
      arrivals: [
        [600, 9],
        [10, 9],
      ],
      spare: 0,
    },
    {
      case: 'too little is learned of times like this',
      seen: { a1: [0, 0, 19], s0: [9] },
      arrivals: [[10, 1]],
      spare: 0,
    },
    {
      case: 'two or more came half of the times',
      seen: { a1: [10, 10, 12, 8] },
      arrivals: [[10, 1]],
      spare: 2,
      why: '20 of 40 times like this, 2 or more tasks came within 100 s',
    },
    { case: 'they came less often', seen: { a1: [10, 11, 12, 7] }, arrivals: [[10, 1]], spare: 1 },
    {
      case: 'waiting costs three times as much as an idle runner',
      seen: { a1: [10, 10, 10, 10] },
      arrivals: [[10, 1]],
      settings: { waitingCost: 3 },
      spare: 3,
      why: 'an hour of waiting costs 3 dollars, an idle one 1',
    },
    {
      case: 'waiting costs nothing',
      seen: { a1: [1, 39] },
      arrivals: [[10, 1]],
      settings: { waitingCost: 0 },
      spare: 0,
    },
    {
      case: 'an idle runner costs nothing: as many as ever came',
      seen: { a1: [38, 1, 1] },
      arrivals: [[10, 1]],
      settings: { idleCost: 0 },
      spare: 2,
    },
    {
      case: 'the maximum is lower',
      seen: { a1: [0, 0, 0, 0, 20] },
      arrivals: [[10, 1]],
      settings: { max: 2 },
      spare: 2,
    },
    { case: 'nothing came', seen: { a1: [40] }, arrivals: [[10, 1]], spare: 0 },
    {
      case: 'three or four arrived in the lead time',
      seen: { a2: [0, 0, 20] },
      arrivals: [
        [90, 2],
        [10, 1],
      ],
      spare: 2,
    },
    {
      case: 'they arrived before the lead time',
      seen: { a2: [0, 0, 20], s0: [0, 20] },
      arrivals: [[100, 3]],
      spare: 1,
    },
    { case: 'a silence of an hour', seen: { s2: [0, 0, 20] }, arrivals: [[3_600, 1]], spare: 2 },
    { case: 'a long silence', seen: { s3: [0, 20] }, arrivals: [[DAY, 1]], spare: 1 },
    {
      case: 'large numbers, in steps',
      seen: { a1: [...Array(10).fill(0), 20] },
      arrivals: [[10, 1]],
      spare: 12,
    },
  ])('$case', ({ seen = {}, arrivals = [], settings, spare, why = '' }) => {
    const memory = { ...MEMORY, seen, arrivals: arrivals.map(([ago, tasks]) => [NOW - ago, tasks] as const) };
    const found = sparesThatPay(memory, [], { ...EVEN, ...settings }, NOW);
    expect(found.spare).toBe(spare);
    expect(found.why).toContain(why);
  });

  it('counts the arrivals of the execution with those that it remembers', () => {
    const memory = { ...MEMORY, seen: { a1: [20], a2: [0, 20] }, arrivals: [[NOW - 60, 1] as const] };
    expect(sparesThatPay(memory, [], EVEN, NOW).spare).toBe(0);
    expect(sparesThatPay(memory, [[NOW, 1]], EVEN, NOW).spare).toBe(1);
  });
});

describe('a spare runner', () => {
  const arrivals: Arrival[] = [[NOW - 10, 1]];
  const settings = { ...EVEN, waitingCost: 4, stays: 500 };
  const spareFor = (later: number[] | undefined, changes: Partial<SpareSettings> = {}) =>
    sparesThatPay(
      { ...MEMORY, seen: { a1: [0, 0, 20, 20] }, ...(later && { later: { a1: later } }) },
      arrivals,
      { ...settings, ...changes },
      NOW,
    ).spare;

  it.each<{ case: string; later: number[] | undefined; changes?: Partial<SpareSettings>; spare: number }>([
    { case: 'nothing is known of its stay', later: undefined, spare: 3 },
    { case: 'too little is', later: [19], spare: 3 },
    { case: 'it leaves for nothing', later: [20], spare: 0 },
    { case: 'nobody says how long it stays', later: [20], changes: { stays: undefined }, spare: 3 },
    { case: 'it does not stay', later: [20], changes: { stays: 0, waitingCost: 0.5 }, spare: 0 },
    // Of six tasks in 600 s, the third one comes after 257 s: 100 s of waiting against 157 s without a task.
    { case: 'six tasks come', later: [0, 0, 0, 0, 0, 0, 20], spare: 3 },
    {
      case: 'six come, and waiting costs little more',
      later: [0, 0, 0, 0, 0, 0, 20],
      changes: { waitingCost: 1.58 },
      spare: 3,
    },
    {
      case: 'six come, and waiting costs too little',
      later: [0, 0, 0, 0, 0, 0, 20],
      changes: { waitingCost: 1.57 },
      spare: 2,
    },
    // The third of three comes after 450 s: 100 s of waiting against 350 s without a task.
    {
      case: 'as many come, and waiting costs just enough',
      later: [0, 0, 0, 20],
      changes: { waitingCost: 3.5 },
      spare: 3,
    },
    // One time in four, none comes: 600 s without a task.
    {
      case: 'six come three times of four',
      later: [10, 0, 0, 0, 0, 0, 30],
      changes: { waitingCost: 3.57 },
      spare: 2,
    },
    {
      case: 'six come three times of four',
      later: [10, 0, 0, 0, 0, 0, 30],
      changes: { waitingCost: 3.58 },
      spare: 3,
    },
    // The third of twenty-nine comes after 60 s.
    {
      case: 'it is needed before it is ready',
      later: [...Array(13).fill(0), 20],
      changes: { waitingCost: 1 },
      spare: 3,
    },
  ])('$case: $spare', ({ later, changes, spare }) => {
    expect(spareFor(later, changes)).toBe(spare);
  });
});

describe('arrivedBetween', () => {
  const members = { pending: 1, inService: 2 };
  const now = (unclaimed: number, running: number) => ({ unclaimed, running, desired: 3, members });

  it.each([
    { case: 'a task waits more', before: { unclaimed: 0, running: 2 }, counts: now(1, 2), arrived: 1 },
    {
      case: 'a task was claimed at once',
      before: { unclaimed: 0, running: 2 },
      counts: now(0, 3),
      arrived: 1,
    },
    {
      case: 'a task was claimed that waited',
      before: { unclaimed: 1, running: 2 },
      counts: now(0, 3),
      arrived: 0,
    },
    { case: 'a task ended', before: { unclaimed: 0, running: 3 }, counts: now(0, 2), arrived: 0 },
    {
      case: 'one ended, and one waits more',
      before: { unclaimed: 0, running: 3 },
      counts: now(1, 2),
      arrived: 1,
    },
    { case: 'nothing is known of before', before: undefined, counts: now(1, 2), arrived: 0 },
    { case: 'tasks have no instance yet', before: undefined, counts: now(4, 2), arrived: 3 },
    {
      case: 'instances are asked for that are no members yet',
      before: undefined,
      counts: { unclaimed: 4, running: 0, desired: 3, members: { pending: 1, inService: 0 } },
      arrived: 1,
    },
    {
      case: 'members boot above the desired capacity',
      before: undefined,
      counts: { unclaimed: 4, running: 0, desired: 1, members: { pending: 2, inService: 1 } },
      arrived: 1,
    },
    { case: 'tasks run elsewhere', before: undefined, counts: now(0, 9), arrived: 0 },
    { case: 'tasks run elsewhere, and one waits', before: undefined, counts: now(1, 9), arrived: 1 },
  ])('$case', ({ before, counts, arrived }) => {
    expect(arrivedBetween(before, counts)).toBe(arrived);
  });

  it('is never more than what arrived', () => {
    const poll = fc.record({ arrived: fc.nat(5), claimed: fc.nat(9), ended: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(poll), (polls) => {
        let before = { unclaimed: 0, running: 0 };
        for (const { arrived, claimed, ended } of polls) {
          const claims = Math.min(claimed, before.unclaimed + arrived);
          const ends = Math.min(ended, before.running + claims);
          const counts = {
            unclaimed: before.unclaimed + arrived - claims,
            running: before.running + claims - ends,
          };
          expect(arrivedBetween(before, { ...counts, desired: 0, members })).toBeLessThanOrEqual(arrived);
          before = counts;
        }
      }),
    );
  });

  it('compares with the last poll of the executions before', () => {
    expect(lastCounts({ ...MEMORY, at: NOW - 10 }, NOW)).toEqual(COUNTS);
    expect(lastCounts({ ...MEMORY, at: NOW - DAY }, NOW)).toEqual(COUNTS);
    expect(lastCounts({ ...MEMORY, at: NOW + 1 }, NOW)).toBeUndefined();
    expect(lastCounts(undefined, NOW)).toBeUndefined();
  });
});

describe('remember', () => {
  it('is the same memory if nothing arrives', () => {
    expect(remember(MEMORY, { arrivals: [], counts: COUNTS }, NOW + 60)).toBe(MEMORY);
    expect(remember(undefined, { arrivals: [], counts: COUNTS }, NOW + 60)).toBeUndefined();
  });

  it.each([
    { unclaimed: 1, running: 0 },
    { unclaimed: 0, running: 1 },
  ])('has the counts of the last poll: %j', (counts) => {
    const memory = remember(MEMORY, { arrivals: [], counts }, NOW + 60);
    expect(memory).toEqual({ ...MEMORY, at: NOW + 60, counts });
  });

  it('learns what comes within the lead time after each context', () => {
    // Two tasks every ten minutes, and two more a minute later.
    const arrivals = Array.from({ length: 12 * 10 }, (_, number) => NOW + number * 300).flatMap((at) =>
      (at - NOW) % 600 === 0 ? [[at, 2] as const, [at + 60, 2] as const] : [],
    );
    const memory = executions(arrivals);
    const spareAt = (at: number) => sparesThatPay(memory, [], EVEN, at).spare;
    const [last = 0] = arrivals.at(-1) ?? [];
    // After the first two, two more come. After four, nothing comes for minutes.
    const again = executions([[last + 540, 2]], memory);
    expect(sparesThatPay(again, [], EVEN, last + 541).spare).toBe(2);
    expect(spareAt(last + 5)).toBe(0);
  });

  it('keeps the counts of the last poll, and how long launches take', () => {
    const counts = { unclaimed: 3, running: 4 };
    const first = remember(undefined, { arrivals: [[NOW, 1]], counts, readySeconds: 24 }, NOW);
    expect(first).toMatchObject({ counts, readySeconds: 24, learnedUntil: NOW, at: NOW });
    const second = remember(first, { arrivals: [[NOW + 60, 1]], counts, readySeconds: 64 }, NOW + 60);
    expect(second).toMatchObject({ readySeconds: 34 });
  });

  it('forgets half of what it knows in two weeks', () => {
    const memory = { ...MEMORY, seen: { a9: [0, 80] } };
    const later = remember(memory, { arrivals: [[NOW + 14 * DAY, 1]], counts: COUNTS }, NOW + 14 * DAY);
    expect(later?.seen.a9?.[1]).toBe(40);
  });

  it('learns the same in one execution as in many', () => {
    const bursts = fc.array(fc.tuple(fc.nat(15_000), fc.integer({ min: 1, max: 9 })), {
      minLength: 1,
      maxLength: 30,
    });
    fc.assert(
      fc.property(bursts, (drawn) => {
        const arrivals = drawn.map(([at, tasks]): Arrival => [NOW + at, tasks]).toSorted(([a], [b]) => a - b);
        const end = NOW + 18_000;
        const last: Arrival = [end, 1];
        // In whole minutes, which are kept exactly.
        const whole = arrivals.map(([at, tasks]): Arrival => [at - (at % 60), tasks]);
        const many = remember(executions(whole), { arrivals: [last], counts: COUNTS }, end);
        const one = remember(undefined, { arrivals: [...whole, last], counts: COUNTS }, end);
        expect(many?.seen).toEqual(one?.seen);
        expect(many?.learnedUntil).toBe(one?.learnedUntil);
      }),
    );
  });
});

describe('whatever arrives', () => {
  const minutes = fc.array(
    fc.record({
      pause: fc.oneof(fc.nat(3), fc.nat(600), fc.nat(10_000)),
      arrivals: fc.array(fc.tuple(fc.nat(59), fc.oneof(fc.nat(3), fc.nat(5_000))), { maxLength: 12 }),
      readySeconds: fc.option(fc.oneof(fc.nat(120), fc.nat(3_600)), { nil: undefined }),
      stays: fc.option(fc.oneof(fc.constant(787), fc.nat(3_600)), { nil: undefined }),
    }),
    { maxLength: 60 },
  );
  const settings = fc.record({
    idleCost: fc.double({ min: 0.001, max: 100, noNaN: true }),
    waitingCost: fc.double({ min: 0.001, max: 100, noNaN: true }),
    max: fc.option(fc.integer({ min: 1, max: 50 }), { nil: undefined }),
    stays: fc.option(fc.nat(3_600), { nil: undefined }),
  });

  interface Minute {
    pause: number;
    arrivals: [at: number, tasks: number][];
    readySeconds: number | undefined;
    stays: number | undefined;
  }

  /** What is remembered after these minutes. */
  function lived(drawn: Minute[]): { memory: Memory | undefined; now: number } {
    let memory: Memory | undefined;
    let now = NOW;
    for (const { pause, arrivals, readySeconds, stays } of drawn) {
      now += 60 * (pause + 1);
      const start = now - 60;
      const sorted = arrivals
        .map(([at, tasks]): Arrival => [start + at, tasks])
        .toSorted(([a], [b]) => a - b);
      memory = remember(memory, { arrivals: sorted, counts: COUNTS, readySeconds, stays }, now);
    }
    return { memory, now };
  }

  it('fits into a standard parameter', () => {
    fc.assert(
      fc.property(minutes, (drawn) => {
        expect(JSON.stringify(lived(drawn).memory ?? {}).length).toBeLessThanOrEqual(4_000);
      }),
    );
  });

  it('keeps a whole number of spare runners, at most the maximum, until it says so', () => {
    fc.assert(
      fc.property(
        minutes,
        settings,
        fc.nat(20_000),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (drawn, given, later, part) => {
          const { memory, now } = lived(drawn);
          const at = now + later;
          const { spare, until } = sparesThatPay(memory, [], given, at);
          expect(Number.isInteger(spare)).toBe(true);
          expect(spare).toBeGreaterThanOrEqual(0);
          expect(spare).toBeLessThanOrEqual(given.max ?? 4_096);
          expect(until).toBeGreaterThan(at);
          const between = Math.min(at + Math.floor(part * (Math.min(until, at + DAY) - at)), until - 1);
          expect(sparesThatPay(memory, [], given, between).spare).toBe(spare);
        },
      ),
    );
  });

  it('keeps no fewer runners if waiting costs more', () => {
    fc.assert(
      fc.property(minutes, settings, fc.double({ min: 1, max: 10, noNaN: true }), (drawn, given, times) => {
        const { memory, now } = lived(drawn);
        const dearer = { ...given, waitingCost: given.waitingCost * times };
        const { spare } = sparesThatPay(memory, [], given, now);
        expect(sparesThatPay(memory, [], dearer, now).spare).toBeGreaterThanOrEqual(spare);
      }),
    );
  });
});
