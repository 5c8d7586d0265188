import { describe, expect, it } from 'vitest';
import type { Decision, Situation } from '../../functions/lib/capacity.ts';
import { addPoll } from '../../functions/lib/claims.ts';
import type { Observation, PollSettings, PollState } from '../../functions/lib/contracts.ts';
import { concludePoll, decidePoll, planRest } from '../../functions/lib/poll.ts';
import { EXECUTION_START, pollHistory, POLL_SETTINGS as SETTINGS } from '../support/inputs.ts';

/** Converts seconds since the execution's start to milliseconds since the epoch. */
const at = (seconds: number) => EXECUTION_START + seconds * 1_000;

const FIRST: PollState = {
  poll: { number: 1, dueAt: at(0), timeoutSeconds: 8 },
  activities: { lastAt: at(-60), failedLaunches: 0, cameInService: 0, breaker: { open: false } },
};

const SEEN = pollHistory();

const MEMBERS = { pending: 0, inService: 2, leaving: 0, standby: 0 };
const LAUNCH_PROCESS = { suspended: false, byBreaker: false };
const OBSERVATION: Observation = {
  unclaimed: { unclaimed: 3 },
  running: { running: 2 },
  group: { desired: 2, members: MEMBERS, launchProcess: LAUNCH_PROCESS, paused: 'false' },
};

const SITUATION: Situation = {
  unclaimed: 3,
  running: 2,
  desired: 2,
  members: MEMBERS,
  minReplicas: 0,
  maxReplicas: 10,
  launchProcess: LAUNCH_PROCESS,
};

/** Three launches have come to nothing while tasks waited. */
const WITHHELD = {
  since: 1,
  unused: 3,
  canaries: 0,
  lastAt: 1,
  unclaimed: 3,
  running: 0,
  level: 0,
  came: 0,
  outside: 0,
  claimed: 0,
  claimedAt: 1,
  idleSeconds: 0,
  inService: 0,
  risen: 0,
  mostRunning: 0,
};

describe('a decision that is handed in', () => {
  const conclude = (decision: Partial<Decision>) =>
    concludePoll(
      {
        decision: { from: 2, desired: 2, change: false, reasons: [], ...decision },
        situation: SITUATION,
        history: addPoll(undefined, { unclaimed: 3, running: 2, inService: 2 }),
      },
      FIRST,
      SETTINGS,
      at(0.3),
    );

  it.each<{ case: string; decision: Partial<Decision>; fault: string }>([
    {
      case: 'rises above maxReplicas',
      decision: { desired: 11, change: true },
      fault: '11 is above maxReplicas (10)',
    },
    {
      case: 'falls below the members',
      decision: { desired: 1, change: true },
      fault: '1 is below the 2 members that are pending or in service',
    },
    {
      case: 'claims to change nothing, and does',
      decision: { desired: 5 },
      fault: 'from 2 to 5 is a change',
    },
    {
      case: 'is no number of instances',
      decision: { desired: Number.NaN, change: true },
      fault: 'NaN is not a number of instances',
    },
  ])('fails with DecisionInvalid if it $case', ({ decision, fault }) => {
    expect(() => conclude(decision)).toThrow(
      expect.objectContaining({
        name: 'DecisionInvalid',
        message: `What was decided must not be: ${fault}. Capacity is held.`,
      }),
    );
  });

  it('is taken as it is if it breaks no law', () => {
    const decision = { from: 2, desired: 4, change: true, reasons: ['handed in'] };
    expect(conclude(decision)).toMatchObject({ decision, again: true, metrics: { UnclaimedTasks: 3 } });
  });
});

describe('a poll', () => {
  it('leaves what it was given as it was', () => {
    const given = structuredClone({ FIRST, OBSERVATION, SETTINGS });
    const first = decidePoll(FIRST, OBSERVATION, SETTINGS, at(0.3));
    expect(decidePoll(FIRST, OBSERVATION, SETTINGS, at(0.3))).toEqual(first);
    expect({ FIRST, OBSERVATION, SETTINGS }).toEqual(given);
  });

  it('that changes nothing hands on what planRest alone hands on', () => {
    const settled = { ...OBSERVATION, unclaimed: { unclaimed: 0 } };
    const { decision, again, next } = decidePoll(FIRST, settled, SETTINGS, at(0));
    expect(decision.change).toBe(false);
    expect(planRest({ ...SITUATION, unclaimed: 0 }, FIRST, SETTINGS, at(0), false)).toMatchObject({
      again,
      next,
    });
  });
});

describe('a record that changes although the decision changes nothing', () => {
  const observation = {
    ...OBSERVATION,
    running: { running: 0 },
    group: { ...OBSERVATION.group, withheld: WITHHELD },
  };
  const polled = (poll: PollState['poll'], elapsed: number) =>
    decidePoll({ ...FIRST, poll }, observation, SETTINGS, at(elapsed));

  it('is written after the last poll of an execution, which has the time for it', () => {
    expect(polled({ number: 11, dueAt: at(50), timeoutSeconds: 1, seen: SEEN }, 50.3)).toMatchObject({
      again: false,
      updateTimeoutSeconds: 1,
      decision: { from: 2, desired: 2, change: true, withheld: { unused: 3 } },
    });
  });

  it('is not written before', () => {
    const { decision, again } = polled({ number: 5, dueAt: at(20), timeoutSeconds: 8, seen: SEEN }, 20.3);
    expect({ again, change: decision.change }).toEqual({ again: true, change: false });
    expect(decision).not.toHaveProperty('withheld');
  });
});

describe('the canary of an open breaker', () => {
  const NOW = at(5.3);
  const OPEN = { open: true, isNew: false, failures: 3, kind: 'boot', reason: 'no heartbeat' } as const;
  const activities = (canaryAt: number): PollState['activities'] => ({
    ...FIRST.activities,
    breaker: { ...OPEN, canaryAt },
  });
  const handedOn = (given: PollState['activities'], pending: number) => {
    const members = { ...MEMBERS, pending };
    return planRest({ ...SITUATION, members }, { ...FIRST, activities: given }, SETTINGS, NOW, false).next
      .activities;
  };

  it.each([
    {
      case: 'is put off when it is due and something launches',
      canaryAt: NOW,
      pending: 1,
      becomes: NOW + 120_000,
    },
    { case: 'stays due while nothing launches', canaryAt: NOW, pending: 0, becomes: NOW },
    { case: 'stays as it is when it is not due', canaryAt: NOW + 1, pending: 1, becomes: NOW + 1 },
  ])('$case', ({ canaryAt, pending, becomes }) => {
    expect(handedOn(activities(canaryAt), pending)).toEqual(activities(becomes));
  });

  it('is none while the breaker is closed', () => {
    expect(handedOn(FIRST.activities, 1)).toBe(FIRST.activities);
  });
});

describe('the metrics', () => {
  const LAST = { number: 11, dueAt: at(50), timeoutSeconds: 1 };
  const metrics = (state: Partial<PollState>, observation: Partial<Observation>, elapsed = 0.3) =>
    decidePoll({ ...FIRST, ...state }, { ...OBSERVATION, ...observation }, SETTINGS, at(elapsed)).metrics;
  const idle: Partial<Observation> = {
    unclaimed: { unclaimed: 0 },
    running: { running: 0 },
    group: { ...OBSERVATION.group, desired: 0, members: { ...MEMBERS, inService: 0 } },
  };
  const idleFor = (seconds: number) => ({
    poll: LAST,
    activities: { ...FIRST.activities, lastAt: at(50.3 - seconds) },
  });

  it('are all published by a fleet that has been idle for less than 10 minutes', () => {
    expect(metrics(idleFor(599.999), idle, 50.3)).toEqual({
      PollDuration: 300,
      UnclaimedTasks: 0,
      RunningTasks: 0,
      Starving: 0,
      ExecutionsSucceeded: 1,
    });
  });

  it('are the heartbeat alone after 10 minutes', () => {
    expect(metrics(idleFor(600), idle, 50.3)).toEqual({ PollDuration: 300 });
  });

  const NOTHING_CLAIMED = { poll: { ...LAST, seen: SEEN } };
  const waiting = (
    group: Partial<Observation['group']>,
    unclaimed = 3,
    running = 0,
  ): Partial<Observation> => ({
    unclaimed: { unclaimed },
    running: { running },
    group: { ...OBSERVATION.group, ...group },
  });

  it('say of a fleet that somebody paused that jobs wait for it, and nothing else of its launches', () => {
    const observed = waiting({ desired: 10, members: { ...MEMBERS, inService: 10 } }, 5, 10);
    const open = {
      ...FIRST.activities,
      breaker: { open: true, isNew: false, failures: 3, kind: 'boot', reason: '', canaryAt: at(0) } as const,
    };
    const poll = { ...LAST, seen: { ...SEEN, unclaimed: 5, running: 10 } };
    const of = (paused: 'false' | 'true' | 'drain') =>
      metrics(
        { poll, activities: open },
        { ...observed, group: { ...OBSERVATION.group, ...observed.group, paused } },
        50.3,
      );
    expect(of('false')).toMatchObject({ AtMaximum: 1, BreakerOpen: 1 });
    for (const paused of ['true', 'drain'] as const) {
      expect(of(paused)).toMatchObject({ PausedWithTasks: 1 });
      expect(Object.keys(of(paused))).not.toContain('AtMaximum');
      expect(Object.keys(of(paused))).not.toContain('BreakerOpen');
    }
    expect(metrics(NOTHING_CLAIMED, waiting({ paused: 'true' }, 0), 50.3).PausedWithTasks).toBeUndefined();
    expect(metrics(NOTHING_CLAIMED, waiting({}), 50.3)).toMatchObject({ Starving: 1 });
    expect(metrics(NOTHING_CLAIMED, waiting({ paused: 'true' }), 50.3)).toMatchObject({ Starving: 0 });
  });

  it.each([
    { pausedAt: undefined, minutes: 1 },
    { pausedAt: 'yesterday', minutes: 1 },
    { pausedAt: new Date(at(60)).toISOString(), minutes: 1 },
    { pausedAt: new Date(at(50.3) - 7_200_000).toISOString(), minutes: 120 },
  ])('say that a fleet has been paused for $minutes minutes, since $pausedAt', ({ pausedAt, minutes }) => {
    const observed = waiting({ paused: 'true', ...(pausedAt && { pausedAt }) });
    expect(metrics(NOTHING_CLAIMED, observed, 50.3)).toMatchObject({ PausedWithTasks: minutes });
  });

  it('say that a fleet starves whose runners claim tasks, if it has less members than it should and launches none', () => {
    const claims = { poll: { ...LAST, seen: { ...SEEN, claimed: 2, running: 3 } } };
    const of = (members: Partial<Observation['group']['members']>, desired: number) =>
      metrics(claims, waiting({ desired, members: { ...MEMBERS, inService: 3, ...members } }, 5, 3), 50.3);
    expect(of({}, 8)).toMatchObject({ Starving: 1 });
    expect(of({ pending: 1 }, 8)).toMatchObject({ Starving: 0 });
    expect(of({}, 3)).toMatchObject({ Starving: 0 });
  });

  it('say of a fleet whose members all boot after their last tasks that it is at its maximum', () => {
    const booting = waiting({ desired: 10, members: { ...MEMBERS, pending: 10, inService: 0 } }, 12);
    const of = (bootSeconds?: number) => {
      const activities = { ...FIRST.activities, ...(bootSeconds !== undefined && { bootSeconds }) };
      return metrics({ poll: LAST, activities }, booting, 50.3);
    };
    expect(of(0)).toMatchObject({ AtMaximum: 1 });
    const idler = waiting({ desired: 10, members: { ...MEMBERS, pending: 9, inService: 1 } }, 12);
    const activities = { ...FIRST.activities, bootSeconds: 0 };
    expect(metrics({ poll: LAST, activities }, idler, 50.3)).not.toHaveProperty('AtMaximum');
    expect(of(419)).toMatchObject({ AtMaximum: 1 });
    expect(of(420)).not.toHaveProperty('AtMaximum');
    expect(of()).not.toHaveProperty('AtMaximum');
  });

  it('say nothing of tasks that are not handed out to a fleet that somebody paused', () => {
    const of = (paused: 'false' | 'true') =>
      metrics(NOTHING_CLAIMED, waiting({ withheld: WITHHELD, paused }), 50.3);
    expect(of('false')).toMatchObject({ TasksWithheld: 1 });
    expect(of('true').TasksWithheld).toBeUndefined();
  });

  it('say once an execution that members lack their protection, also of an idle fleet', () => {
    const group = { ...OBSERVATION.group, desired: 0, members: { ...MEMBERS, inService: 0 } };
    const unprotected = { ...idle, group: { ...group, unprotected: true } as const };
    expect(metrics(idleFor(600), unprotected, 50.3)).toEqual({ PollDuration: 300, ProtectionOff: 1 });
    expect(metrics({}, unprotected).ProtectionOff).toBeUndefined();
  });

  it.each([
    { case: 'a task waits', unclaimed: 1, running: 0, inService: 0, minReplicas: 0, rings: true },
    { case: 'nothing waits', unclaimed: 0, running: 2, inService: 2, minReplicas: 0, rings: false },
    {
      case: 'a runner of minReplicas lacks',
      unclaimed: 0,
      running: 1,
      inService: 2,
      minReplicas: 2,
      rings: true,
    },
    { case: 'minReplicas are there', unclaimed: 0, running: 1, inService: 3, minReplicas: 2, rings: false },
  ])(
    'say that the breaker is open if $case: $rings',
    ({ unclaimed, running, inService, minReplicas, rings }) => {
      const breaker = {
        open: true,
        isNew: false,
        failures: 3,
        kind: 'boot',
        reason: '',
        canaryAt: at(90),
      } as const;
      const group = { desired: inService, members: { ...MEMBERS, inService } };
      const state = { ...FIRST, poll: LAST, activities: { ...FIRST.activities, breaker } };
      const settings = { ...SETTINGS, capacity: { minReplicas, maxReplicas: 10 } };
      const observed = { ...OBSERVATION, ...waiting(group, unclaimed, running) };
      expect(decidePoll(state, observed, settings, at(50.3)).metrics.BreakerOpen).toBe(rings ? 1 : undefined);
    },
  );

  it.each<{ case: string; poll: PollState['poll']; elapsed: number; claimed: number | undefined }>([
    { case: 'that fell', poll: { ...LAST, seen: SEEN }, elapsed: 50.3, claimed: 2 },
    {
      case: 'of instances that came, at the only poll',
      poll: { ...LAST, number: 1 },
      elapsed: 50.3,
      claimed: 4,
    },
    { case: 'of none, at the first of several polls', poll: FIRST.poll, elapsed: 0.3, claimed: undefined },
    {
      case: 'of none, at the last of several polls',
      poll: { ...LAST, seen: { ...SEEN, running: 2 } },
      elapsed: 50.3,
      claimed: undefined,
    },
  ])('count the claims $case: $claimed', ({ poll, elapsed, claimed }) => {
    const state = { poll, activities: { ...FIRST.activities, cameInService: 4 } };
    expect(metrics(state, {}, elapsed).ClaimedTasks).toBe(claimed);
  });

  it('count no claim of instances that came and stand idle', () => {
    const state = { poll: { ...LAST, number: 1 }, activities: { ...FIRST.activities, cameInService: 4 } };
    expect(metrics(state, { running: { running: 1 } }, 50.3).ClaimedTasks).toBeUndefined();
  });
});

describe('a rate limit of CircleCI', () => {
  const limited = (seconds: number) => ({ unclaimed: { retryAfterSeconds: seconds } });
  const CLAIMED = pollHistory({ running: 2, claimed: 1 });
  const poll = (seen?: typeof CLAIMED) => ({ number: 9, dueAt: at(40), timeoutSeconds: 6, seen });
  const polled = (state: Partial<PollState>, seconds: number, elapsed: number) =>
    decidePoll({ ...FIRST, ...state }, { ...OBSERVATION, ...limited(seconds) }, SETTINGS, at(elapsed));

  it('holds capacity, publishes nothing, and hands on what the polls before have seen', () => {
    expect(polled({ poll: poll(CLAIMED) }, 3, 40.3)).toEqual({
      decision: {
        from: 2,
        desired: 2,
        change: false,
        reasons: ['held: CircleCI allows no request for 3 s'],
      },
      updateTimeoutSeconds: 1,
      again: true,
      next: {
        poll: { number: 10, dueAt: at(45), timeoutSeconds: 3, seen: CLAIMED },
        activities: FIRST.activities,
      },
      metrics: {},
    });
  });

  it('fails an execution that it lets read nothing, and none that has read something', () => {
    expect(polled({ poll: poll(CLAIMED) }, 30, 40.3)).toMatchObject({ again: false });
    expect(() => polled({ poll: poll() }, 30, 40.3)).toThrow(
      expect.objectContaining({ name: 'CircleCiRateLimited' }),
    );
    expect(polled({ poll: poll() }, 3, 40.3)).toMatchObject({ again: true });
  });

  const ended = (
    seen: Partial<PollState['poll']['seen'] & object>,
    group: Partial<Observation['group']> = {},
    settings: Partial<PollSettings> = {},
  ) =>
    decidePoll(
      { ...FIRST, poll: { ...poll({ ...CLAIMED, ...seen }), dueAt: at(45) } },
      { ...OBSERVATION, ...limited(30), group: { ...OBSERVATION.group, ...group } },
      { ...SETTINGS, ...settings },
      at(45.3),
    );

  it.each([
    { case: 'tasks waited at all of them and none was claimed', seen: { claimed: 0 }, says: { Starving: 1 } },
    { case: 'tasks were claimed', seen: {}, says: { Starving: 0 } },
    { case: 'tasks ran elsewhere', seen: { elsewhere: 2 }, says: { Starving: 0, TasksElsewhere: 2 } },
    {
      case: 'tasks waited while the fleet was paused',
      seen: { claimed: 0 },
      group: { paused: 'true' as const },
      says: { Starving: 0, PausedWithTasks: 1 },
    },
    {
      case: 'members were not protected',
      seen: {},
      group: { unprotected: true as const },
      says: { Starving: 0, ProtectionOff: 1 },
    },
  ])('at the last poll publishes what the polls before have seen: $case', ({ seen, group, says }) => {
    const { again, metrics } = ended(seen, group);
    expect([again, metrics]).toEqual([false, { ...says, ExecutionsSucceeded: 1 }]);
  });

  it('at the last poll records that launches come to nothing, and changes no capacity', () => {
    const { decision, updateTimeoutSeconds, metrics } = ended(
      { claimed: 0, idle: true, idlePolls: 4, idlers: 2 },
      { withheld: { ...WITHHELD, running: 2, level: 2 } },
    );
    expect(decision).toMatchObject({ from: 2, desired: 2, change: true, withheld: { unused: 3 } });
    expect(updateTimeoutSeconds).toBeGreaterThan(0);
    // Update Group says so itself.
    expect(metrics).toEqual({ Starving: 1, TasksWithheld: 1 });
  });

  it('at the last poll records for the other fleets of the plan what the poll before counted', () => {
    const { decision } = ended({}, {}, { concurrency: { limit: 20, position: 0 } });
    expect(decision).toMatchObject({ desired: 2, change: true, levels: expect.anything() });
  });
});
