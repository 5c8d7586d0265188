import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Poll } from '../../functions/lib/contracts.ts';
import {
  computeTimeout,
  isYoung,
  LIMITS,
  pace,
  pollFits,
  pollInterval,
  pollTimeout,
  secondsIdle,
} from '../../functions/lib/pacing.ts';
import { EXECUTION_START, parsedPoll, secondsIn } from '../support/inputs.ts';

const SLACK_SECONDS = 0.5;

const intervals = fc.integer({ min: 1, max: 60 });
/** Milliseconds into the execution, whole seconds often among them. */
const instants = fc.oneof(
  fc.nat({ max: LIMITS.executionSeconds * 1_000 }),
  fc.nat({ max: LIMITS.executionSeconds }).map((seconds) => seconds * 1_000),
);
/** Executions start at any millisecond of a second; Wait knows whole seconds only. */
const startsOfExecutions = fc.nat({ max: 999 }).map((milliseconds) => EXECUTION_START + milliseconds);
const elapsed = (time: string | number, start = EXECUTION_START) =>
  (new Date(time).getTime() - start) / 1_000;

/** When Wait ends: https://docs.aws.amazon.com/step-functions/latest/dg/state-wait.html */
const waitedUntil = ({ dueAt }: Pick<Poll, 'dueAt'>) => Math.floor(dueAt / 1_000) * 1_000;

/** When the polls of an execution start, in seconds into it, if each poll and each write takes the given time. */
function polls(
  pollIntervalSeconds: number,
  takes: { poll: number; write?: number },
  start = EXECUTION_START,
): { startsAt: number; timeoutSeconds: number }[] {
  const starts = [];
  let poll: Parameters<typeof pace>[0] = parsedPoll({
    executionStartedAt: secondsIn(0, start),
    dueAt: secondsIn(0, start),
  });
  let now = start;
  for (;;) {
    now = Math.max(now, waitedUntil(poll));
    starts.push({ startsAt: elapsed(now, start), timeoutSeconds: poll.timeoutSeconds });
    now += takes.poll * 1_000;
    const rest = pace(poll, pollIntervalSeconds, now, { write: takes.write !== undefined });
    now += (takes.write ?? 0) * 1_000;
    if (!rest.again) return starts;
    if (starts.length > LIMITS.executionSeconds) throw new Error('The polls never end');
    poll = rest.next;
  }
}

describe('polls of one execution', () => {
  it.each([
    { every: 5, each: 0.3, starts: [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50] },
    { every: 10, each: 0.3, starts: [0, 10, 20, 30, 40, 50] },
    { every: 15, each: 0.3, starts: [0, 15, 30, 45] },
    { every: 20, each: 0.3, starts: [0, 20, 40] },
    { every: 30, each: 0.3, starts: [0, 30] },
    { every: 60, each: 0.3, starts: [0] },
  ])('an interval of $every s polls at $starts s', ({ every, each, starts }) => {
    expect(polls(every, { poll: each }).map(({ startsAt }) => startsAt)).toEqual(starts);
  });

  it.each([1, 250, 700, 999])(
    'come once at each point of the grid when the execution starts %i ms into a second',
    (milliseconds) => {
      const start = EXECUTION_START + milliseconds;
      const starts = polls(5, { poll: 0.3 }, start).map(({ startsAt }) => startsAt);
      const points = [5, 10, 15, 20, 25, 30, 35, 40, 45, 50].map((point) => elapsed(secondsIn(point), start));
      expect(starts).toEqual([0, ...points]);
    },
  );

  it('that are each followed by a write lose no more than the last one', () => {
    const starts = polls(5, { poll: 0.3, write: 0.2 }).map(({ startsAt }) => startsAt);
    expect(starts).toEqual([0, 5, 10, 15, 20, 25, 30, 35, 40, 45]);
  });

  it('give each attempt less time towards the end, never more than was left', () => {
    expect(polls(5, { poll: 0.3 }).map(({ timeoutSeconds }) => timeoutSeconds)).toEqual([
      8, 8, 8, 8, 8, 8, 8, 8, 6, 3, 1,
    ]);
  });

  it.each([
    { every: 5, each: 2, starts: [0, 5, 10, 15, 20, 25, 30, 35, 40, 45] },
    { every: 5, each: 4, starts: [0, 5, 10, 15, 20, 25, 30, 35] },
    { every: 2, each: 3, starts: [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40] },
  ])('are fewer and skip what they missed of the grid when each takes $each s', ({ every, each, starts }) => {
    expect(polls(every, { poll: each }).map(({ startsAt }) => startsAt)).toEqual(starts);
  });

  it('are few when each takes 6 s', () => {
    expect(polls(5, { poll: 6 }).length).toBeLessThan(8);
  });

  it('go on after secrets that were read for 6 s', () => {
    expect(pace(parsedPoll(), 5, EXECUTION_START + 6_000, { write: false }).again).toBe(true);
  });

  it('never overrun, however slow they are', () => {
    fc.assert(
      fc.property(
        intervals,
        fc.nat({ max: 17_000 }),
        fc.option(fc.nat({ max: 9_000 }), { nil: undefined }),
        startsOfExecutions,
        (every, poll, write, start) => {
          const takes = { poll: poll / 1_000, ...(write !== undefined && { write: write / 1_000 }) };
          for (const { startsAt, timeoutSeconds } of polls(every, takes, start)) {
            const worst = LIMITS.attempts * timeoutSeconds + LIMITS.retrySeconds;
            const end = startsAt + worst + LIMITS.computeSeconds + LIMITS.reportSeconds;
            expect(end).toBeLessThanOrEqual(LIMITS.executionSeconds - SLACK_SECONDS);
          }
        },
      ),
    );
  });

  it('are never more when each of them is slower', () => {
    fc.assert(
      fc.property(intervals, fc.nat({ max: 8_000 }), fc.nat({ max: 8_000 }), (every, a, b) => {
        const fast = polls(every, { poll: Math.min(a, b) / 1_000 });
        const slow = polls(every, { poll: Math.max(a, b) / 1_000 });
        expect(slow.length).toBeLessThanOrEqual(fast.length);
      }),
    );
  });
});

describe('the next poll', () => {
  /** A poll that was due somewhere in the execution, and the time at which its counts came in. */
  const situations = fc
    .tuple(startsOfExecutions, instants, instants, intervals, fc.boolean(), fc.nat({ max: 12 }))
    .map(([start, a, b, pollIntervalSeconds, write, number]) => {
      const dueAt = secondsIn(Math.min(a, b) / 1_000, start);
      const poll = parsedPoll({ number, executionStartedAt: secondsIn(0, start), dueAt });
      return { poll, pollIntervalSeconds, now: start + Math.max(a, b), write };
    });

  it('is on the grid of whole seconds, and the first point of it that is still to come', () => {
    fc.assert(
      fc.property(situations, ({ poll, pollIntervalSeconds, now, write }) => {
        const { next } = pace(poll, pollIntervalSeconds, now, { write });
        const due = elapsed(next.dueAt);
        expect(waitedUntil(next)).toBe(next.dueAt);
        expect(due % pollIntervalSeconds).toBe(0);
        expect(due).toBeGreaterThan(elapsed(now));
        expect(due).toBeLessThanOrEqual(elapsed(now) + pollIntervalSeconds);
      }),
    );
  });

  it('is not planned after the last point of the execution at which one may start', () => {
    fc.assert(
      fc.property(situations, ({ poll, pollIntervalSeconds, now, write }) => {
        const { again, next } = pace(poll, pollIntervalSeconds, now, { write });
        const due = elapsed(next.dueAt, poll.executionStartedAt);
        if (again) expect(due).toBeLessThanOrEqual(LIMITS.lastPollSeconds + SLACK_SECONDS);
      }),
    );
  });

  it('is planned only if it may take as long as the one before, or as long as any may', () => {
    fc.assert(
      fc.property(situations, ({ poll, pollIntervalSeconds, now, write }) => {
        const { again, next } = pace(poll, pollIntervalSeconds, now, { write });
        const took = (now - poll.dueAt) / 1_000;
        if (again) expect(next.timeoutSeconds).toBeGreaterThanOrEqual(Math.min(took, LIMITS.attemptSeconds));
      }),
    );
  });

  it('has the next number, belongs to the same execution, and keeps its contract even if it is not planned', () => {
    fc.assert(
      fc.property(situations, ({ poll, pollIntervalSeconds, now, write }) => {
        const { next } = pace(poll, pollIntervalSeconds, now, { write });
        expect(next).toMatchObject({ number: poll.number + 1, executionStartedAt: poll.executionStartedAt });
        expect(next.timeoutSeconds).toBeGreaterThanOrEqual(1);
      }),
    );
  });

  it('is a later one even if the clock of this poll was a moment behind that of the workflow', () => {
    const poll = parsedPoll({ number: 2, dueAt: secondsIn(5) });
    const { next } = pace(poll, 5, EXECUTION_START + 4_990, { write: false });
    expect(next.dueAt).toBe(Date.parse(secondsIn(10)));
  });

  it('is not before CircleCI takes the next request', () => {
    fc.assert(
      fc.property(situations, fc.integer({ min: 1, max: 60 }), ({ poll, pollIntervalSeconds, now }, wait) => {
        const notBefore = now + wait * 1_000;
        const { next } = pace(poll, pollIntervalSeconds, now, { write: false, notBefore });
        expect(waitedUntil(next)).toBeGreaterThanOrEqual(notBefore);
      }),
    );
  });

  it('is planned after a rate limit exactly if the wait fits into the execution', () => {
    fc.assert(
      fc.property(situations, fc.integer({ min: 1, max: 60 }), ({ poll, now }, wait) => {
        const notBefore = now + wait * 1_000;
        const { again, next } = pace(poll, 1, now, { write: false, notBefore });
        const written = now + LIMITS.computeSeconds * 1_000;
        expect(again).toBe(pollFits(poll, Math.max(next.dueAt, written)));
      }),
    );
  });
});

describe('the time for a write', () => {
  it.each([
    { at: 'at the start of the execution', elapsedSeconds: 0.3, seconds: 4 },
    { at: 'when the poll at 40 s has come in', elapsedSeconds: 40.3, seconds: 2 },
    { at: 'when the poll at 45 s has come in', elapsedSeconds: 45.3, seconds: 1 },
    { at: 'when the last poll has come in fast', elapsedSeconds: 50.3, seconds: 1 },
    {
      at: 'at the last moment at which one attempt and its report still fit',
      elapsedSeconds: 50.5,
      seconds: 1,
    },
    { at: 'half a second after that', elapsedSeconds: 51, seconds: 0 },
    {
      at: 'when the last poll has come in late: none, the next execution reads fresh counts',
      elapsedSeconds: 53,
      seconds: 0,
    },
  ])('$at: $seconds s for each attempt', ({ elapsedSeconds, seconds }) => {
    const poll = parsedPoll({ dueAt: secondsIn(Math.floor(elapsedSeconds / 5) * 5) });
    const now = EXECUTION_START + elapsedSeconds * 1_000;
    expect(pace(poll, 5, now, { write: true }).updateTimeoutSeconds).toBe(seconds);
  });

  it('is none if nothing is to be written', () => {
    fc.assert(
      fc.property(instants, intervals, (now, every) => {
        const rest = pace(parsedPoll(), every, EXECUTION_START + now, { write: false });
        expect(rest.updateTimeoutSeconds).toBe(0);
      }),
    );
  });

  it('always leaves the failure of the write its time to be reported', () => {
    fc.assert(
      fc.property(instants, intervals, (now, every) => {
        const { updateTimeoutSeconds } = pace(parsedPoll(), every, EXECUTION_START + now, { write: true });
        const worst = LIMITS.attempts * updateTimeoutSeconds + LIMITS.retrySeconds;
        const end = now / 1_000 + LIMITS.computeSeconds + worst + LIMITS.reportSeconds;
        if (updateTimeoutSeconds > 0)
          expect(end).toBeLessThanOrEqual(LIMITS.executionSeconds - SLACK_SECONDS);
      }),
    );
  });
});

describe('pollTimeout', () => {
  it.each([
    { elapsedSeconds: 0, seconds: 8 },
    { elapsedSeconds: 36.5, seconds: 8 },
    { elapsedSeconds: 36.6, seconds: 7 },
    { elapsedSeconds: 50, seconds: 1 },
    { elapsedSeconds: 50.5, seconds: 1 },
    { elapsedSeconds: 50.6, seconds: 0 },
    { elapsedSeconds: 60, seconds: 0 },
  ])('a poll that starts $elapsedSeconds s into the execution has $seconds s for each attempt', (example) => {
    expect(pollTimeout(example.elapsedSeconds)).toBe(example.seconds);
  });

  it('is whole, at most attemptSeconds, and never more for a later start', () => {
    fc.assert(
      fc.property(instants, instants, (a, b) => {
        const [early, late] = [Math.min(a, b), Math.max(a, b)].map((at) => pollTimeout(at / 1_000));
        expect(Number.isInteger(early)).toBe(true);
        expect(early).toBeLessThanOrEqual(LIMITS.attemptSeconds);
        expect(late).toBeLessThanOrEqual(early ?? Number.NaN);
      }),
    );
  });

  it('says whether a poll fits', () => {
    fc.assert(
      fc.property(instants, (at) => {
        expect(pollFits(parsedPoll(), EXECUTION_START + at)).toBe(pollTimeout(at / 1_000) >= 1);
      }),
    );
  });
});

describe('secondsIdle', () => {
  const NOW = EXECUTION_START;
  const NOBODY = { pending: 0, inService: 0, leaving: 0, standby: 0 };
  const IDLE = { unclaimed: 0, running: 0, desired: 0, members: NOBODY, minReplicas: 0 };
  const HOUR = 3_600;

  it.each<{ case: string; when?: object; lastAt?: string | null; idle: number }>([
    { case: 'nothing is there and nothing has happened for an hour', idle: HOUR },
    { case: 'nothing ever happened', lastAt: null, idle: Number.POSITIVE_INFINITY },
    { case: 'something happened a moment ago', lastAt: secondsIn(-0.5), idle: 0.5 },
    { case: 'something happens now', lastAt: secondsIn(0), idle: 0 },
    { case: 'something happens after now, by another clock', lastAt: secondsIn(1), idle: 0 },
    { case: 'a task waits', when: { unclaimed: 1 }, idle: 0 },
    { case: 'a task runs', when: { running: 1 }, idle: 0 },
    { case: 'more is wanted than minReplicas', when: { desired: 1 }, idle: 0 },
    { case: 'an instance launches', when: { members: { ...NOBODY, pending: 1 } }, idle: 0 },
    { case: 'an instance is in service', when: { members: { ...NOBODY, inService: 1 } }, idle: 0 },
    { case: 'an instance leaves', when: { members: { ...NOBODY, leaving: 1 } }, idle: 0 },
    { case: 'somebody took an instance aside', when: { members: { ...NOBODY, standby: 1 } }, idle: HOUR },
    {
      case: 'just the minReplicas are there',
      when: { minReplicas: 2, desired: 2, members: { ...NOBODY, inService: 2 } },
      idle: HOUR,
    },
    {
      case: 'one more than minReplicas is there',
      when: { minReplicas: 2, desired: 2, members: { ...NOBODY, inService: 2, leaving: 1 } },
      idle: 0,
    },
    { case: 'fewer than minReplicas are there', when: { minReplicas: 2 }, idle: HOUR },
  ])('$case: $idle', ({ when, lastAt = secondsIn(-HOUR), idle }) => {
    expect(secondsIdle({ ...IDLE, ...when }, lastAt === null ? null : Date.parse(lastAt), NOW)).toBe(idle);
  });
});

describe('isYoung', () => {
  it.each([
    { case: 'created just now', seconds: 0, young: true },
    { case: 'created later, by another clock', seconds: -5, young: true },
    { case: 'a second younger than four hours', seconds: 14_399, young: true },
    { case: 'four hours old', seconds: 14_400, young: false },
  ])('of a group that is $case: $young', ({ seconds, young }) => {
    expect(isYoung(EXECUTION_START - seconds * 1_000, EXECUTION_START)).toBe(young);
  });

  it('ends when the longest interval would be reached', () => {
    const settings = { pollIntervalSeconds: 1, quietPollIntervalSeconds: 60 };
    expect(pollInterval(14_400, settings)).toBe(60);
    expect(pollInterval(14_160, settings)).toBe(59);
  });
});

describe('pollInterval', () => {
  it.each<{ idle: number; poll?: number; most?: number; interval: number }>([
    { idle: 0, interval: 5 },
    { idle: 600, interval: 5 },
    { idle: 1_200, interval: 5 },
    { idle: 1_201, interval: 6 },
    { idle: 3_600, interval: 15 },
    { idle: 14_400, interval: 60 },
    { idle: 86_400, interval: 60 },
    { idle: Number.POSITIVE_INFINITY, interval: 60 },
    { idle: 86_400, most: 20, interval: 20 },
    { idle: 86_400, poll: 20, most: 20, interval: 20 },
    { idle: 3_600, poll: 20, interval: 20 },
    { idle: 0, poll: 60, interval: 60 },
  ])('is $interval s after $idle s of idling', ({ idle, poll = 5, most = 60, interval }) => {
    const settings = { pollIntervalSeconds: poll, quietPollIntervalSeconds: most };
    expect(pollInterval(idle, settings)).toBe(interval);
  });
});

describe('a write that only the last poll makes', () => {
  it.each([1, 5, 20, 60])('changes no plan, and has its time after the last poll, every %i s', (every) => {
    const seen = new Set<boolean>();
    for (let elapsed = 300; elapsed < 58_000; elapsed += 700) {
      const dueAt = EXECUTION_START + Math.floor(elapsed / 1_000) * 1_000;
      const planned = (write: boolean | 'if last') =>
        pace(parsedPoll({ dueAt: new Date(dueAt).toISOString() }), every, EXECUTION_START + elapsed, {
          write,
        });
      const { updateTimeoutSeconds, ...plan } = planned('if last');
      const { updateTimeoutSeconds: _, ...plain } = planned(false);
      expect(plan).toEqual(plain);
      expect(updateTimeoutSeconds).toBe(plan.again ? 0 : planned(true).updateTimeoutSeconds);
      seen.add(plan.again);
    }
    expect(seen).toContain(false);
    expect(seen.has(true)).toBe(every < 60);
  });
});

it('gives Compute Capacity more time in the first poll, when it may still have to start', () => {
  expect([1, 2, 3].map((number) => computeTimeout({ number }))).toEqual([
    LIMITS.firstComputeSeconds,
    LIMITS.laterComputeSeconds,
    LIMITS.laterComputeSeconds,
  ]);
  expect(LIMITS.firstComputeSeconds).toBeGreaterThan(LIMITS.laterComputeSeconds);
});
