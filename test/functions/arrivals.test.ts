import { describe, expect, it } from 'vitest';
import { sparesOf, withArrivals } from '../../functions/lib/arrivals.ts';
import type { PollState } from '../../functions/lib/contracts.ts';
import { isPaused, minutesPaused } from '../../functions/lib/paused.ts';
import { pollHistory } from '../support/inputs.ts';

const NOW = 1_800_000_000_900;
const AT = 1_800_000_000;

const STATE: PollState = {
  poll: { number: 1, dueAt: NOW, timeoutSeconds: 8 },
  activities: { lastAt: null, failedLaunches: 0, cameInService: 0, breaker: { open: false } },
};
const LEARNS = { spareRunners: { idleCost: 1, waitingCost: 1 } };
const SPARES = {
  at: AT - 10,
  readySeconds: 92,
  learnedUntil: AT - 10,
  fadedAt: AT - 10,
  arrivals: [],
  counts: { unclaimed: 1, running: 0 },
  seen: {},
};
const EMPTY = { desired: 0, members: { pending: 0, inService: 0, leaving: 0, standby: 0 } };
const waiting = (unclaimed: number) => ({ unclaimed, running: 0 });

describe('withArrivals', () => {
  it('leaves the state of a fleet that does not learn', () => {
    expect(withArrivals(STATE, waiting(3), EMPTY, {}, NOW)).toBe(STATE);
  });

  it('leaves the state if nothing arrived', () => {
    expect(withArrivals(STATE, waiting(0), EMPTY, LEARNS, NOW)).toBe(STATE);
  });

  it('adds the tasks with the whole second', () => {
    const first = withArrivals(STATE, waiting(3), EMPTY, LEARNS, NOW);
    expect(first).toEqual({ ...STATE, poll: { ...STATE.poll, arrivals: [[AT, 3]] } });
    const second = withArrivals(first, waiting(2), EMPTY, LEARNS, NOW + 5_000);
    expect(second.poll.arrivals).toEqual([
      [AT, 3],
      [AT + 5, 2],
    ]);
  });

  it('compares with the poll before, or with what the execution before has left', () => {
    const learned = { version: 1 as const, spares: SPARES };
    expect(withArrivals(STATE, waiting(3), EMPTY, { ...LEARNS, learned }, NOW).poll.arrivals).toEqual([
      [AT, 2],
    ]);
    const later = { ...STATE, poll: { ...STATE.poll, seen: pollHistory({ unclaimed: 2 }) } };
    expect(withArrivals(later, waiting(3), EMPTY, { ...LEARNS, learned }, NOW).poll.arrivals).toEqual([
      [AT, 1],
    ]);
  });
});

describe('sparesOf', () => {
  it('is nothing for a fleet that does not learn', () => {
    expect(sparesOf(STATE, {}, NOW)).toBeUndefined();
  });

  it('counts the arrivals of the execution, by whole seconds', () => {
    const state: PollState = {
      ...STATE,
      poll: {
        ...STATE.poll,
        arrivals: [
          [AT - 98, 1],
          [AT, 1],
        ],
      },
    };
    expect(sparesOf(state, LEARNS, NOW)).toMatchObject({ spare: 1, until: AT + 98 });
    expect(sparesOf(STATE, LEARNS, NOW)).toMatchObject({ spare: 0, until: Number.POSITIVE_INFINITY });
    const learned = {
      version: 1 as const,
      spares: {
        ...SPARES,
        arrivals: [
          [AT - 110, 1],
          [AT - 5, 1],
        ] as const,
      },
    };
    expect(sparesOf(STATE, { ...LEARNS, learned }, NOW)).toMatchObject({ spare: 1, until: AT + 95 });
  });
});

describe('a paused fleet', () => {
  it.each([
    { paused: undefined, is: false },
    { paused: 'false' as const, is: false },
    { paused: 'true' as const, is: true },
    { paused: 'drain' as const, is: true },
  ])('$paused: $is', ({ paused, is }) => {
    expect(isPaused(paused === undefined ? {} : { paused })).toBe(is);
  });

  const minutesAgo = (minutes: number) => new Date(NOW - minutes * 60_000).toISOString();

  it.each([
    { case: 'not on record', since: undefined, minutes: 1 },
    { case: 'not a time', since: 'soon', minutes: 1 },
    { case: 'now', since: minutesAgo(0), minutes: 1 },
    { case: 'in the future', since: minutesAgo(-10), minutes: 1 },
    { case: '1 min ago', since: minutesAgo(1), minutes: 1 },
    { case: '2 min ago', since: minutesAgo(2), minutes: 2 },
    { case: 'just less than 90 min ago', since: minutesAgo(89.99), minutes: 89 },
  ])('has been paused since $case: $minutes min', ({ since, minutes }) => {
    expect(minutesPaused(since, NOW)).toBe(minutes);
  });
});
