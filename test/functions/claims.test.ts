import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addPoll, type PollHistory } from '../../functions/lib/claims.ts';

interface Counts {
  unclaimed: number;
  running: number;
  inService?: number;
}

/** What the last of these polls has seen. */
function seen(polls: Counts[]): PollHistory & { claimedNow: number } {
  let last: (PollHistory & { claimedNow: number }) | undefined;
  for (const counts of polls) {
    const { seen, claimedNow } = addPoll(last, { inService: 0, ...counts });
    last = { ...seen, claimedNow };
  }
  if (last === undefined) throw new Error('There was no poll');
  return last;
}

describe('addPoll', () => {
  it.each<{ case: string; polls: [number, number][]; claimed: number; claimedNow: number; waiting: boolean }>(
    [
      {
        case: 'one poll shows no claim, whatever it counts',
        polls: [[3, 7]],
        claimed: 0,
        claimedNow: 0,
        waiting: true,
      },
      {
        case: 'a task that begins to run was claimed',
        polls: [
          [1, 0],
          [0, 1],
        ],
        claimed: 1,
        claimedNow: 1,
        waiting: false,
      },
      {
        case: 'one that came and was claimed between two polls was claimed',
        polls: [
          [2, 0],
          [2, 1],
        ],
        claimed: 1,
        claimedNow: 1,
        waiting: true,
      },
      {
        case: 'one that was claimed and ended between two polls was claimed',
        polls: [
          [2, 0],
          [1, 0],
        ],
        claimed: 1,
        claimedNow: 1,
        waiting: true,
      },
      {
        case: 'arrivals and ends are no claims',
        polls: [
          [2, 5],
          [9, 1],
        ],
        claimed: 0,
        claimedNow: 0,
        waiting: true,
      },
      {
        case: 'claims add up, and those of the last poll are counted separately',
        polls: [
          [4, 0],
          [1, 3],
          [0, 4],
          [0, 4],
        ],
        claimed: 4,
        claimedNow: 0,
        waiting: false,
      },
      {
        case: 'tasks that were gone once have not waited all the time',
        polls: [
          [1, 0],
          [0, 0],
          [1, 0],
        ],
        claimed: 1,
        claimedNow: 0,
        waiting: false,
      },
      {
        case: 'nothing is nothing',
        polls: [
          [0, 0],
          [0, 0],
        ],
        claimed: 0,
        claimedNow: 0,
        waiting: false,
      },
    ],
  )('$case', ({ polls, claimed, claimedNow, waiting }) => {
    const counts = polls.map(([unclaimed, running]) => ({ unclaimed, running }));
    // No instance is in service, at any poll.
    const nobody = { idle: false, idlePolls: 0 };
    const mostRunning = Math.max(...polls.map(([, running]) => running));
    const surplus = Math.min(...polls.map(([, running]) => running));
    const most = { mostRunning, ...(surplus > 0 && { surplus }) };
    expect(seen(counts)).toEqual({ ...counts.at(-1), claimed, claimedNow, waiting, ...nobody, ...most });
  });

  it('adds up the idle instances of all polls, and keeps how many were in service at the first', () => {
    const counts = [3, 1, 2, 0, 4].map((inService) => ({ unclaimed: 1, running: 1, inService }));
    expect(seen(counts)).toMatchObject({ idleSum: 6, inServiceFirst: 3, inService: 4 });
    expect(seen([{ unclaimed: 1, running: 1, inService: 1 }])).not.toHaveProperty('idleSum');
    const seenWith = (...each: number[]) =>
      seen(each.map((inService) => ({ unclaimed: 1, running: 1, inService })));
    expect(seenWith(0, 2, 2)).toMatchObject({ inServiceFirst: 0, inService: 2 });
    expect(seenWith(2, 2, 1)).toMatchObject({ inServiceFirst: 2, inService: 1 });
    expect(seenWith(2, 1, 2)).not.toHaveProperty('inServiceFirst');
  });

  it.each([
    { case: 'more in service than tasks running', inService: [4, 2, 3], idle: true, polls: 3, idlers: 1 },
    { case: 'as many as tasks running, once', inService: [3, 1, 2], idle: false, polls: 2, idlers: 0 },
    { case: 'as many as tasks running, at last', inService: [3, 3, 1], idle: false, polls: 2, idlers: 0 },
    { case: 'as many as tasks running, at first', inService: [1, 3, 3], idle: false, polls: 2, idlers: 0 },
    { case: 'none at first', inService: [0, 3, 2], idle: false, polls: 2, idlers: 1 },
    { case: 'none in the end', inService: [3, 0, 0], idle: false, polls: 1, idlers: 2 },
    { case: 'none', inService: [0, 0, 0], idle: false, polls: 0, idlers: undefined },
  ])('with $case in service, the fewest idle ones are $idlers', ({ inService, idle, polls, idlers }) => {
    const counts = inService.map((inService) => ({ unclaimed: 1, running: 1, inService }));
    expect(seen(counts)).toMatchObject({ idle, idlePolls: polls });
    expect(seen(counts).idlers).toBe(idlers);
    expect('idlers' in seen(counts)).toBe(idlers !== undefined);
  });

  it('has no less than none idle if tasks also run elsewhere', () => {
    expect(seen([{ unclaimed: 1, running: 5, inService: 2 }]).idlers).toBe(0);
  });
});

/** What happens between one poll and the next, one after the other. */
const events = fc.array(fc.constantFrom('arrives', 'claimed', 'ends'), { maxLength: 12 });

interface Gap extends Counts {
  arrived: number;
  claimed: number;
  ended: number;
}

/** The queue as it truly is after these events; what cannot happen does not. */
function afterwards(before: Counts, events: string[]): Gap {
  const gap = { ...before, arrived: 0, claimed: 0, ended: 0 };
  for (const event of events) {
    if (event === 'arrives') {
      gap.unclaimed += 1;
      gap.arrived += 1;
    } else if (event === 'claimed' && gap.unclaimed > 0) {
      gap.unclaimed -= 1;
      gap.running += 1;
      gap.claimed += 1;
    } else if (event === 'ends' && gap.running > 0) {
      gap.running -= 1;
      gap.ended += 1;
    }
  }
  return gap;
}

/** Counts of the first poll, and what truly happened before each of the others. */
const histories = fc
  .tuple(fc.nat({ max: 5 }), fc.nat({ max: 5 }), fc.array(events, { minLength: 1, maxLength: 11 }))
  .map(([unclaimed, running, gaps]) => {
    const first: Counts = { unclaimed, running };
    const truth: Gap[] = [];
    for (const gap of gaps) truth.push(afterwards(truth.at(-1) ?? first, gap));
    return { first, truth };
  });

/** Each gap with what was seen of it. */
function watched({ first, truth }: { first: Counts; truth: Gap[] }) {
  let before: PollHistory = addPoll(undefined, { inService: 0, ...first }).seen;
  return truth.map((gap) => {
    const { claimedNow, seen: now } = addPoll(before, { inService: 0, ...gap });
    before = now;
    return { gap, claimedNow, now };
  });
}

const law = (name: string, holds: (history: { first: Counts; truth: Gap[] }) => void) =>
  it(name, () => fc.assert(fc.property(histories, holds), { numRuns: 500 }));

describe('the laws of addPoll, against a queue that is known exactly', () => {
  law('it never sees more claims than there were', (history) => {
    for (const { gap, claimedNow } of watched(history)) expect(claimedNow).toBeLessThanOrEqual(gap.claimed);
  });

  law('it sees all of them, unless between two polls one task ended and another arrived', (history) => {
    for (const { gap, claimedNow } of watched(history))
      if (gap.arrived === 0 || gap.ended === 0) expect(claimedNow).toBe(gap.claimed);
  });

  law('it misses no more than both arrived and ended', (history) => {
    for (const { gap, claimedNow } of watched(history))
      expect(gap.claimed - claimedNow).toBeLessThanOrEqual(Math.min(gap.arrived, gap.ended));
  });

  law('its total is the sum of what it saw', (history) => {
    let sum = 0;
    for (const { claimedNow, now } of watched(history)) {
      sum += claimedNow;
      expect(now.claimed).toBe(sum);
    }
  });

  law('it says that tasks are waiting exactly if some did at every poll', ({ first, truth }) => {
    let waiting = first.unclaimed > 0;
    for (const { gap, now } of watched({ first, truth })) {
      waiting &&= gap.unclaimed > 0;
      expect(now.waiting).toBe(waiting);
    }
  });
});

it.each([
  { running: 3, concurrency: 4, waiting: true },
  { running: 4, concurrency: 4, waiting: false },
  { running: 4, concurrency: undefined, waiting: true },
])(
  'tasks beyond the plan do not wait for a runner: $running run, of at most $concurrency',
  ({ waiting, ...counts }) => {
    expect(addPoll(undefined, { unclaimed: 2, inService: 5, ...counts }).seen.waiting).toBe(waiting);
  },
);

describe('tasks that run on no member', () => {
  /** Of three tasks that run outside the group, as a record has it. */
  const KNOWN: PollHistory = {
    unclaimed: 5,
    running: 4,
    claimed: 0,
    waiting: true,
    idle: true,
    idlePolls: 0,
    mostRunning: 0,
    outside: 3,
  };
  const seenAfter = (counts: Counts) => addPoll(KNOWN, { inService: 0, ...counts }).seen;

  it.each([
    {
      case: 'a member that came and took no task',
      counts: { unclaimed: 5, running: 4, inService: 2 },
      idlersNow: 1,
    },
    { case: 'one that took a task', counts: { unclaimed: 4, running: 5, inService: 2 }, idlersNow: 0 },
    { case: 'no more than all members', counts: { unclaimed: 5, running: 0, inService: 1 }, idlersNow: 1 },
    { case: 'none if none is in service', counts: { unclaimed: 5, running: 3 }, idlersNow: undefined },
  ])('do not hide idle runners: $case', ({ counts, idlersNow }) => {
    const seen = seenAfter(counts);
    expect(seen.idlersNow).toBe(idlersNow);
    expect(Object.keys(seen).includes('idlersNow')).toBe(idlersNow !== undefined);
  });

  it.each([
    { case: 'one ended', counts: { unclaimed: 5, running: 3 }, outside: 2 },
    { case: 'one ended, and another one was claimed', counts: { unclaimed: 4, running: 4 }, outside: 2 },
    { case: 'one was claimed', counts: { unclaimed: 4, running: 5 }, outside: 3 },
    { case: 'one came', counts: { unclaimed: 6, running: 4 }, outside: 3 },
    { case: 'all ended', counts: { unclaimed: 5, running: 0 }, outside: undefined },
  ])('are fewer by each end that was seen: $case', ({ counts, outside }) => {
    expect(seenAfter(counts).outside).toBe(outside);
  });
});
