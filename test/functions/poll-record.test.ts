import { describe, expect, it } from 'vitest';
import type { Observation, PollSettings, PollState } from '../../functions/lib/contracts.ts';
import { decidePoll, planRest } from '../../functions/lib/poll.ts';
import type { Withheld } from '../../functions/lib/withheld.ts';
import type { ZeroCheck } from '../../functions/lib/zero.ts';
import { EXECUTION_START, pollHistory, POLL_SETTINGS as SETTINGS } from '../support/inputs.ts';

/** Converts seconds since the execution's start to milliseconds since the epoch. */
const at = (seconds: number) => EXECUTION_START + seconds * 1_000;

const ACTIVITIES: PollState['activities'] = {
  lastAt: at(-60),
  failedLaunches: 0,
  cameInService: 0,
  breaker: { open: false },
};
const FIRST = { number: 1, dueAt: at(0), timeoutSeconds: 8 };
/** The last poll of an execution through which three tasks waited and two ran. */
const LAST = { number: 11, dueAt: at(50), timeoutSeconds: 1, seen: pollHistory({ running: 2 }) };
const MEMBERS = { pending: 0, inService: 2, leaving: 0, standby: 0 };
const GROUP: Observation['group'] = {
  desired: 2,
  members: MEMBERS,
  launchProcess: { suspended: false, byBreaker: false },
  paused: 'false',
};

interface Given {
  poll?: PollState['poll'];
  activities?: Partial<PollState['activities']>;
  unclaimed?: number;
  running?: number;
  check?: ZeroCheck;
  group?: Partial<Observation['group']>;
  capacity?: Partial<PollSettings['capacity']>;
  concurrency?: PollSettings['concurrency'];
}

/** A poll that is complete 0.3 s after it was due. */
function polled({ poll = FIRST, activities, group, capacity, check, concurrency, ...counts }: Given) {
  const { unclaimed = 3, running = 2 } = counts;
  return decidePoll(
    { poll, activities: { ...ACTIVITIES, ...activities } },
    {
      unclaimed: { unclaimed },
      running: { running, ...(check && { check }) },
      group: { ...GROUP, ...group },
    },
    { ...SETTINGS, capacity: { ...SETTINGS.capacity, ...capacity }, concurrency },
    poll.dueAt + 300,
  );
}

describe('a check of the counts', () => {
  const NONE = { unclaimed: 0, running: 0, group: { desired: 0, members: { ...MEMBERS, inService: 0 } } };
  const FINE: ZeroCheck = { inventory: 3, unseen: 0, skipped: [] };

  it.each<{ case: string; check: ZeroCheck; adds: string[]; doubtful?: 1 }>([
    { case: 'that contradicts nothing adds nothing', check: FINE, adds: [] },
    {
      case: 'that contradicts them adds a reason and a metric',
      check: { ...FINE, unseen: 3 },
      adds: ['the counts are doubtful: 3 runners ran tasks in the last 15 minutes that were never counted'],
      doubtful: 1,
    },
    {
      case: 'that could not be made adds the reason of each part, and no metric',
      check: { ...FINE, skipped: ['the inventory: a', 'the fleet: b'] },
      adds: [
        'the counts were not checked against the inventory: a',
        'the counts were not checked against the fleet: b',
      ],
    },
  ])('$case, and changes nothing else', ({ check, adds, doubtful }) => {
    const without = polled(NONE);
    expect(polled({ ...NONE, check })).toEqual({
      ...without,
      decision: { ...without.decision, reasons: [...without.decision.reasons, ...adds] },
      metrics: { ...without.metrics, ...(doubtful && { CountsDoubtful: doubtful }) },
    });
  });

  it.each([
    { case: 'a moment ago', readyAt: at(0), doubtful: 1 },
    { case: 'a day ago', readyAt: at(-86_400), doubtful: undefined },
  ])('knows that a launch came into service $case', ({ readyAt, doubtful }) => {
    const check: ZeroCheck = { inventory: 0, unseen: 0, skipped: [] };
    const { metrics } = polled({ ...NONE, check, activities: { lastReadyAt: readyAt } });
    expect(metrics.CountsDoubtful).toBe(doubtful);
  });
});

describe('the idle time of a fleet', () => {
  const NONE = { unclaimed: 0, running: 0, poll: { ...LAST, seen: pollHistory({ unclaimed: 0 }) } };
  const idle = (lastAt: number | null, createdAt?: number) =>
    polled({
      ...NONE,
      activities: { lastAt },
      group: {
        desired: 0,
        members: { ...MEMBERS, inService: 0 },
        ...(createdAt !== undefined && { createdAt: createdAt / 1_000 }),
      },
    }).metrics.ExecutionsSucceeded !== 1;

  it.each([
    { case: 'its last activity', lastAt: at(-3_600), createdAt: at(-7_200), isIdle: true },
    { case: 'its last activity, though it is younger', lastAt: at(-3_600), createdAt: at(0), isIdle: true },
    { case: 'its creation, if nothing has happened', lastAt: null, createdAt: at(0), isIdle: false },
    { case: 'no known time', lastAt: null, createdAt: undefined, isIdle: true },
  ])('counts from $case: $isIdle', ({ lastAt, createdAt, isIdle }) => {
    expect(idle(lastAt, createdAt)).toBe(isIdle);
  });
});

describe('the record of launches that come to nothing', () => {
  const NOW = at(50.3) / 1_000;
  const RECORD: Withheld = {
    since: NOW - 600,
    unused: 3,
    canaries: 0,
    lastAt: NOW - 10,
    unclaimed: 3,
    running: 2,
    level: 2,
    came: 0,
    outside: 0,
    claimed: 0,
    claimedAt: NOW - 20,
    idleSeconds: 0,
    inService: 2,
    risen: 0,
    mostRunning: 2,
  };
  const last = (seen: Parameters<typeof pollHistory>[0]) => ({
    ...LAST,
    seen: pollHistory({ running: 2, ...seen }),
  });

  it.each([
    { failures: undefined, limits: true },
    { failures: 3, limits: true },
    { failures: 4, limits: false },
  ])('limits launches after breaker.failures of $failures: $limits', ({ failures, limits }) => {
    const activities = failures === undefined ? {} : { breakerFailures: failures };
    const { decision } = polled({ activities, group: { withheld: RECORD } });
    expect(decision.desired).toBe(limits ? 2 : 5);
  });

  it.each([
    { case: 'as many came to nothing as breaker.failures says', unused: 3, failures: 3, metric: 1 },
    { case: 'the default is reached', unused: 3, failures: undefined, metric: 1 },
    { case: 'fewer came to nothing', unused: 2, failures: undefined, metric: undefined },
    { case: 'breaker.failures is higher', unused: 3, failures: 4, metric: undefined },
  ])('is published if $case: $metric', ({ unused, failures, metric }) => {
    const { metrics } = polled({
      poll: LAST,
      activities: failures === undefined ? {} : { breakerFailures: failures },
      group: { withheld: { ...RECORD, unused } },
    });
    expect(metrics.TasksWithheld).toBe(metric);
  });

  it('begins at the last poll of an execution in which runners were idle', () => {
    const { decision } = polled({ poll: last({ idle: true, idlePolls: 2 }), group: { desired: 5 } });
    expect(decision).toMatchObject({ change: true, withheld: { unused: 0, level: 2 } });
  });

  it('is none of an execution in which all runners worked', () => {
    const { decision } = polled({ poll: LAST, group: { desired: 5 } });
    expect(decision.change).toBe(false);
    expect(decision).not.toHaveProperty('withheld');
  });

  it('ends when no task waits', () => {
    const { decision } = polled({ poll: last({ waiting: false }), group: { desired: 5, withheld: RECORD } });
    expect(decision).toMatchObject({ change: true, withheld: null });
  });

  it('waits for the last poll, and no other poll is held up by it', () => {
    const poll = { number: 5, dueAt: at(20), timeoutSeconds: 8, seen: pollHistory({ running: 2 }) };
    const { decision, again } = polled({ poll, group: { withheld: RECORD } });
    expect(again).toBe(true);
    expect(decision.reasons.join('\n')).not.toContain('not written');
  });

  it.each([
    { case: 'more members than the level are there', pending: 1, failures: 3, level: 4 },
    { case: 'no more members are there', pending: 0, failures: 3, level: 3 },
    { case: 'it does not limit launches yet', pending: 1, failures: 4, level: 3 },
  ])('has a level of $level after claims if $case', ({ pending, failures, level }) => {
    const { decision } = polled({
      poll: last({ claimed: 1 }),
      activities: { breakerFailures: failures },
      group: {
        desired: 5,
        members: { ...MEMBERS, inService: 3, pending },
        withheld: { ...RECORD, level: 3 },
      },
    });
    expect(decision.withheld).toMatchObject({ level });
  });
});

describe('tasks that run on no member', () => {
  it('are those beyond the members in any state and the other runners', () => {
    const members = { pending: 1, inService: 2, leaving: 3, standby: 4 };
    const running = (count: number) =>
      polled({ running: count, group: { members }, capacity: { otherRunners: 5 } }).next.poll.seen?.elsewhere;
    expect(running(16)).toBe(1);
    expect(running(15)).toBeUndefined();
  });

  /** Of six running tasks, four are on record as outside, and two members are idle. */
  const KNOWN: Given = {
    unclaimed: 0,
    running: 6,
    capacity: { minReplicas: 2 },
    group: { members: { pending: 1, inService: 5, leaving: 0, standby: 0 }, desired: 6 },
  };
  const known = (given: Given, tasksOutside?: Observation['group']['tasksOutside']) =>
    polled({ ...KNOWN, ...given, group: { ...KNOWN.group, tasksOutside } });

  it('are those on record, less the members that come, leave or are in standby, if these hide them', () => {
    const { seen } = known({}, { outside: 4, running: 6 }).next.poll;
    expect(seen).toMatchObject({ outside: 4, elsewhere: 3 });
    expect(known({}).next.poll.seen).not.toHaveProperty('elsewhere');
  });

  it('let no instance launch to be idle beside idle members', () => {
    expect(known({}, { outside: 4, running: 6 }).decision.desired).toBe(6);
    expect(known({}).decision.desired).toBe(7);
  });

  it('are put on record after the last poll, with what its polls have seen', () => {
    const seen = pollHistory({ unclaimed: 0, running: 6, outside: 4 });
    const { decision } = known({ poll: { ...LAST, seen } }, { outside: 5, running: 7 });
    expect(decision).toMatchObject({ desired: 6, change: true, tasksOutside: { outside: 4, running: 6 } });
    const before = known({ poll: { ...FIRST, number: 2, seen } }, { outside: 5, running: 7 });
    expect(before).toMatchObject({ again: true, decision: { change: false } });
    expect(before.decision.reasons.join('\n')).not.toContain('not written');
  });

  it.each([
    { case: 'as many are', capacity: {}, record: { outside: 4, running: 6 }, written: undefined },
    {
      case: 'fewer are, of as many tasks',
      capacity: {},
      record: { outside: 5, running: 6 },
      written: { outside: 4, running: 6 },
    },
    {
      case: 'as many are, of more tasks',
      capacity: {},
      record: { outside: 4, running: 7 },
      written: { outside: 4, running: 6 },
    },
    {
      case: 'no runner without a task is kept',
      capacity: { minReplicas: 0 },
      record: { outside: 4, running: 6 },
      written: null,
    },
  ])('are written if the record says something else: $case', ({ capacity, record, written }) => {
    const seen = pollHistory({ unclaimed: 0, running: 6, outside: 4 });
    const { decision } = known(
      { poll: { ...LAST, seen }, capacity: { minReplicas: 2, ...capacity } },
      record,
    );
    expect(decision.tasksOutside).toEqual(written);
    expect(decision.change).toBe(written !== undefined);
  });

  it('are remembered by an execution whose last poll CircleCI refuses', () => {
    const seen = pollHistory({ unclaimed: 0, running: 6, outside: 4 });
    const { decision } = decidePoll(
      { poll: { ...LAST, seen }, activities: ACTIVITIES },
      {
        unclaimed: { retryAfterSeconds: 60 },
        running: { running: 6 },
        group: { ...GROUP, ...KNOWN.group, tasksOutside: { outside: 5, running: 7 } },
      },
      { ...SETTINGS, capacity: { ...SETTINGS.capacity, minReplicas: 2 } },
      LAST.dueAt + 300,
    );
    expect(decision.tasksOutside).toEqual({ outside: 4, running: 6 });
  });
});

describe('the metric of what limits a fleet with more tasks than it may run', () => {
  const METRICS = ['AtMaximum', 'AtMaxHourlyCost', 'MaximumSizeTooSmall', 'TasksOverConcurrency'];

  it.each<{ case: string; given: Given; says: Record<string, number> }>([
    { case: 'maxReplicas', given: { capacity: { maxReplicas: 4 } }, says: { AtMaximum: 1 } },
    { case: 'maxHourlyCost', given: { capacity: { affordable: 4 } }, says: { AtMaxHourlyCost: 1 } },
    {
      case: "the group's maximum size",
      given: { group: { maxSize: 4 } },
      says: { MaximumSizeTooSmall: 1 },
    },
    {
      case: "the plan's concurrency",
      given: { concurrency: { limit: 4, position: 0 } },
      says: { AtMaximum: 1, TasksOverConcurrency: 8 },
    },
    {
      case: 'no limit, as the concurrency is for all tasks',
      given: { concurrency: { limit: 12, position: 0 }, capacity: { maxReplicas: 12 } },
      says: {},
    },
    {
      case: 'a person, who paused it at its maximum',
      given: { capacity: { maxReplicas: 4 }, group: { paused: 'true' } },
      says: {},
    },
    {
      case: 'a person, who paused it below the maximum size',
      given: { group: { maxSize: 4, paused: 'true' } },
      says: {},
    },
    {
      case: "a person, who paused it at the plan's concurrency",
      given: { concurrency: { limit: 4, position: 0 }, group: { paused: 'true' } },
      says: {},
    },
  ])('names $case', ({ given, says }) => {
    const group = { desired: 4, members: { ...MEMBERS, inService: 4 }, ...given.group };
    const { metrics } = polled({ unclaimed: 8, running: 4, capacity: { maxReplicas: 12 }, ...given, group });
    expect(Object.fromEntries(Object.entries(metrics).filter(([name]) => METRICS.includes(name)))).toEqual(
      says,
    );
  });
});

describe('a poll that writes nothing', () => {
  it.each(Array.from({ length: 11 }, (_, index) => index * 5))(
    'leaves the next one the time of a write, %s s after the start',
    (dueSeconds) => {
      const poll = { number: 2, dueAt: at(dueSeconds), timeoutSeconds: 8 };
      const group = { desired: 2 };
      const { decision, again, next } = polled({ poll, unclaimed: 0, group });
      expect(decision.change).toBe(false);
      const situation = { ...GROUP, unclaimed: 0, running: 2, minReplicas: 0, members: MEMBERS };
      const state = { poll, activities: ACTIVITIES };
      expect(planRest(situation, state, SETTINGS, at(dueSeconds + 0.3), false)).toMatchObject({
        again,
        next: { poll: { dueAt: next.poll.dueAt, timeoutSeconds: next.poll.timeoutSeconds } },
      });
    },
  );
});

describe('the last poll, which CircleCI refuses', () => {
  it('knows the tasks of the polls before: they wait for an open breaker', () => {
    const breaker = { open: true, isNew: false, failures: 3, kind: 'boot', reason: '' } as const;
    const of = (unclaimed: number) =>
      decidePoll(
        {
          poll: { ...LAST, seen: pollHistory({ unclaimed, running: 2 }) },
          activities: { ...ACTIVITIES, breaker: { ...breaker, canaryAt: at(90) } },
        },
        { unclaimed: { retryAfterSeconds: 30 }, running: { running: 2 }, group: GROUP },
        SETTINGS,
        at(50.3),
      ).metrics.BreakerOpen;
    expect(of(1)).toBe(1);
    expect(of(0)).toBeUndefined();
  });
});
