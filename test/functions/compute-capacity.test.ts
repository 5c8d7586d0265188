import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { handler as computeCapacity } from '../../functions/compute-capacity.ts';
import { type CapacitySettings, Plan } from '../../functions/lib/contracts.ts';
import { SILENT } from '../../sandbox/workflow.ts';
import {
  type ActivitiesJson,
  activities,
  deployedSettings,
  EXECUTION_START,
  firstPoll,
  openBreaker,
  type PollJson,
  pollHistory,
  readerOf,
  secondsIn,
  TASK,
} from '../support/inputs.ts';
import { failure } from '../support/said.ts';
import { publishedMetrics } from './published.ts';

let now = EXECUTION_START;
const published = publishedMetrics(() => now);
let deployed = deployedSettings();
const handler = computeCapacity.with({
  now: () => now,
  log: SILENT,
  metrics: published.metrics,
  settings: readerOf(() => deployed),
});

interface Observed {
  unclaimed: object;
  running: object;
  group?: object;
}

interface World {
  /** When the counts come in. */
  elapsedSeconds?: number;
  poll?: Partial<PollJson>;
  activities?: Partial<ActivitiesJson>;
  capacity?: Partial<CapacitySettings>;
  once?: boolean;
}

const SETTINGS = { version: 1, once: false, alarmTopicArn: 'arn:aws:sns:eu-west-1:000000000000:alarms' };
const ACTIVE = { suspended: false, byBreaker: false };
const NOBODY = { pending: 0, inService: 0, leaving: 0, standby: 0 };

/** What the step plans when these observations come in, of a poll that was due at the last point of a 5 s grid. */
async function computed(observed: Observed, world: World = {}) {
  const { elapsedSeconds = 0.3, capacity } = world;
  const dueAt = secondsIn(Math.floor(elapsedSeconds / 5) * 5);
  const { executionStartedAt, ...poll } = firstPoll({ dueAt, ...world.poll });
  now = EXECUTION_START + elapsedSeconds * 1_000;
  deployed = deployedSettings({
    capacity: { minReplicas: 0, maxReplicas: 10, ...capacity },
    quietPollIntervalSeconds: 30,
  });
  const answer = await handler({
    ...TASK,
    settings: { ...SETTINGS, once: world.once ?? false },
    executionStartedAt,
    poll,
    activities: activities(world.activities),
    observed: {
      group: { desired: 2, members: { ...NOBODY, inService: 2 }, launchProcess: ACTIVE, paused: 'false' },
      ...observed,
    },
  });
  z.parse(Plan, answer);
  return answer;
}

const tasks = (unclaimed: number, running: number) => ({ unclaimed: { unclaimed }, running: { running } });
const limited = (seconds: number) => ({ retryAfterSeconds: seconds });
/** A group with a desired capacity, and without members unless a test adds them. */
const group = (desired: number, members: Partial<typeof NOBODY> = {}, launchProcess = ACTIVE) => ({
  group: { desired, members: { ...NOBODY, ...members }, launchProcess, paused: 'false' },
});

describe('Compute Capacity', () => {
  it('plans the rise, the time to write it, and the next poll, and passes the launches on', async () => {
    expect(await computed(tasks(3, 2))).toEqual({
      decision: {
        from: 2,
        desired: 5,
        change: true,
        reasons: ['3 unclaimed + 2 running = 5 wanted', 'desired capacity rises from 2 to 5'],
      },
      settings: SETTINGS,
      updateTimeoutSeconds: 4,
      again: true,
      next: {
        settings: SETTINGS,
        poll: {
          number: 2,
          dueAt: secondsIn(5),
          timeoutSeconds: 8,
          executionStartedAt: secondsIn(0),
          computeTimeoutSeconds: 1,
          seen: {
            unclaimed: 3,
            running: 2,
            claimed: 0,
            waiting: true,
            idle: false,
            idlePolls: 0,
            idlers: 0,
            idlersNow: 0,
            inService: 2,
            mostRunning: 2,
          },
        },
        activities: activities(),
      },
    });
  });

  const pooled = (size: number) => ({
    group: { ...group(2, { inService: 2 }).group, warmPool: { size, state: 'Stopped' as const } },
  });

  it.each([
    { case: 'grows', size: 1, demand: { peak: 4, resting: false }, becomes: 4, says: 'grows from 1 to 4' },
    { case: 'shrinks', size: 6, demand: { peak: 4, resting: true }, becomes: 4, says: 'shrinks from 6 to 4' },
    { case: 'is left', size: 4, demand: { peak: 4, resting: true } },
    { case: 'is left while launches happen', size: 6, demand: { peak: 4, resting: false } },
    { case: 'is left to its owner', size: 6, demand: undefined },
    {
      case: 'is left while the breaker is open',
      size: 1,
      demand: { peak: 4, resting: false },
      breaker: openBreaker(-60),
    },
  ])('the warm pool $case', async ({ size, demand, becomes, says, breaker }) => {
    const given = { ...(demand && { launchDemand: demand }), ...(breaker && { breaker }) };
    const { decision } = await computed({ ...tasks(0, 2), ...pooled(size) }, { activities: given });
    expect(decision.warmPoolSize).toBe(becomes);
    if (breaker === undefined) expect(decision.change).toBe(becomes !== undefined);
    expect(decision.reasons.filter((reason) => reason.startsWith('the warm pool'))).toEqual(
      says === undefined ? [] : [`the warm pool ${says}`],
    );
  });

  it('takes a count of 0 for what it is', async () => {
    const { decision } = await computed(tasks(0, 0));
    expect(decision).toMatchObject({ desired: 2, change: false });
  });

  it.each([
    { case: 'no count of unclaimed tasks', unclaimed: limited(7), running: { running: 2 }, seconds: 7 },
    { case: 'no count of running tasks', unclaimed: { unclaimed: 3 }, running: limited(12), seconds: 12 },
    { case: 'neither count', unclaimed: limited(9), running: limited(3), seconds: 9 },
  ])(
    'holds when CircleCI allows $case for now, and waits as long as it must',
    async ({ seconds, ...counts }) => {
      const given = { breaker: openBreaker(0) };
      const { decision, again, next } = await computed(counts, { activities: given });
      expect(decision).toEqual({
        from: 2,
        desired: 2,
        change: false,
        reasons: [`held: CircleCI allows no request for ${seconds} s`],
      });
      expect(again).toBe(true);
      expect(Date.parse(next.poll.dueAt)).toBeGreaterThanOrEqual(EXECUTION_START + 300 + seconds * 1_000);
      expect(next.activities).toEqual(activities(given));
      expect(published.lines()).toEqual([]);
    },
  );

  /** What the polls before saw. */
  const seen = pollHistory({ running: 1, claimed: 2 });

  it('keeps in mind what the polls before saw while CircleCI limits the rate', async () => {
    const observed = { unclaimed: limited(3), running: { running: 1 } };
    const { next } = await computed(observed, { elapsedSeconds: 10.3, poll: { number: 3, seen } });
    expect(next.poll).toMatchObject({ number: 4, seen });
  });

  it('fails with CircleCiRateLimited when that wait has come not to fit any more', async () => {
    const observed = { unclaimed: limited(9), running: { running: 2 } };
    const thrown = await failure(computed(observed, { elapsedSeconds: 45 }));
    expect(thrown.name).toBe('CircleCiRateLimited');
    expect(thrown.message).toContain('no request for 9 s (status 429)');
    expect(published.lines()).toEqual([]);
  });

  it('holds and ends well in that case, if there was a good poll before', async () => {
    const observed = { unclaimed: limited(9), running: { running: 2 } };
    const world = { elapsedSeconds: 45, poll: { number: 10, seen } };
    const { decision, again } = await computed(observed, world);
    expect(decision).toMatchObject({ desired: 2, change: false });
    expect(again).toBe(false);
  });

  it('plans no poll that does not fit any more', async () => {
    expect(await computed(tasks(0, 2), { elapsedSeconds: 50.3 })).toMatchObject({ again: false });
  });

  it('leaves a change to the next execution when there is no time to write it, and says so', async () => {
    const { decision, again, updateTimeoutSeconds } = await computed(tasks(3, 2), { elapsedSeconds: 55 });
    expect(decision).toEqual({
      from: 2,
      desired: 2,
      change: false,
      reasons: [
        '3 unclaimed + 2 running = 5 wanted',
        'desired capacity rises from 2 to 5',
        'not written: too late in this execution, the next one reads fresh counts',
      ],
    });
    expect(updateTimeoutSeconds).toBe(1);
    expect(again).toBe(false);
    expect(published.values()).toMatchObject({ ExecutionsSucceeded: [1] });
  });

  it.each([
    { case: 'a count is missing', observed: { unclaimed: {}, running: { running: 2 } } },
    { case: 'a count is negative', observed: { unclaimed: { unclaimed: -1 }, running: { running: 2 } } },
    { case: 'the counts are mixed up', observed: { unclaimed: { running: 2 }, running: { unclaimed: 3 } } },
    { case: 'the group is missing', observed: { ...tasks(3, 2), group: {} } },
  ])('fails with InputInvalid when $case', async ({ observed }) => {
    expect(await failure(computed(observed))).toMatchObject({ name: 'InputInvalid' });
    expect(published.lines()).toEqual([]);
  });
});

describe('a schedule', () => {
  const capacity: CapacitySettings = {
    minReplicas: 0,
    maxReplicas: 4,
    schedules: [
      { start: '0 8 * * 1-5', end: '0 18 * * *', timezone: 'Europe/Berlin', minReplicas: 4, maxReplicas: 9 },
      { name: 'nights', start: '0 22 * * *', end: '0 6 * * *', timezone: 'UTC', maxReplicas: 2 },
    ],
  };

  it('in force decides, and leads the reasons', async () => {
    const { decision } = await computed(tasks(2, 2), { capacity });
    expect(decision.desired).toBe(8);
    expect(decision.reasons).toEqual([
      'schedule 1 (0 8 * * 1-5 Europe/Berlin) is in force: minReplicas 4, maxReplicas 9',
      '2 unclaimed + 2 running = 4 wanted',
      'raised to 8: 4 without a task (minReplicas)',
      'desired capacity rises from 2 to 8',
    ]);
  });

  it('is looked up at the time of the poll', async () => {
    const evening = (Date.parse('2026-01-05T22:00:00Z') - EXECUTION_START) / 1_000;
    const at = (seconds: number) =>
      computed(tasks(2, 2), {
        capacity,
        elapsedSeconds: seconds,
        poll: { executionStartedAt: secondsIn(seconds), dueAt: secondsIn(seconds) },
      });
    expect((await at(evening - 1)).decision.reasons[0]).toBe('2 unclaimed + 2 running = 4 wanted');
    expect((await at(evening)).decision.reasons[0]).toBe(
      'schedule 2, nights (0 22 * * * UTC) is in force: maxReplicas 2',
    );
  });

  it.each([
    { waiting: 4, capacity: { maxReplicas: 5, minReplicas: 3, headroom: 4 }, atMaximum: undefined },
    { waiting: 4, capacity: { maxReplicas: 5, minReplicas: 0, headroom: '100%' }, atMaximum: undefined },
    { waiting: 6, capacity: { ...capacity, maxReplicas: 5 }, atMaximum: undefined },
    { waiting: 10, capacity: { ...capacity, maxReplicas: 50 }, atMaximum: [1] },
  ])('and its maximum tell whether $waiting tasks are too many for $capacity', async (example) => {
    await computed(tasks(example.waiting - 1, 1), { capacity: example.capacity });
    expect(published.values().AtMaximum).toEqual(example.atMaximum);
  });
});

describe('an execution for one poll', () => {
  it('has no other, whatever the intervals of the fleet', async () => {
    expect((await computed(tasks(3, 2), { once: true })).again).toBe(false);
    expect((await computed(tasks(3, 2), { once: false })).again).toBe(true);
  });
});

describe('the pace', () => {
  const LONG_AGO = { lastAt: secondsIn(-86_400) };
  const next = async (observed: Observed, world: World = {}) =>
    (await computed({ ...group(0), ...observed }, { activities: LONG_AGO, ...world })).next.poll.dueAt;

  it.each<{ case: string; observed: Observed; world?: World }>([
    { case: 'nothing has happened for a day', observed: tasks(0, 0) },
    {
      case: 'the group never launched anything',
      observed: tasks(0, 0),
      world: { activities: { lastAt: null } },
    },
    {
      case: 'nothing but its minReplicas is there',
      observed: { ...tasks(0, 0), ...group(2, { inService: 2 }) },
      world: { capacity: { minReplicas: 2 } },
    },
    {
      case: 'nothing but the minReplicas of the schedule in force is there',
      observed: { ...tasks(0, 0), ...group(3, { inService: 3 }) },
      world: {
        capacity: { schedules: [{ start: '0 7 * * *', end: '0 9 * * *', timezone: 'UTC', minReplicas: 3 }] },
      },
    },
    {
      case: 'headroom is for while there are tasks',
      observed: { ...tasks(0, 0), ...group(0) },
      world: { capacity: { headroom: 3 } },
    },
  ])('is 30 s while the fleet is idle: $case', async ({ observed, world }) => {
    expect(await next(observed, world)).toBe(secondsIn(30));
  });

  it.each<{ case: string; observed: Observed; world?: World }>([
    { case: 'a task waits', observed: tasks(1, 0) },
    { case: 'a task runs', observed: tasks(0, 1) },
    { case: 'an instance is there', observed: { ...tasks(0, 0), ...group(1, { inService: 1 }) } },
    { case: 'an instance is about to launch', observed: { ...tasks(0, 0), ...group(1) } },
    { case: 'an instance is leaving', observed: { ...tasks(0, 0), ...group(0, { leaving: 1 }) } },
    {
      case: 'something happened to the group 9 minutes ago',
      observed: tasks(0, 0),
      world: { activities: { lastAt: secondsIn(-540) } },
    },
    {
      case: 'something happened to the group 20 minutes ago',
      observed: tasks(0, 0),
      world: { activities: { lastAt: secondsIn(-1_199) } },
    },
    {
      case: 'the group was created 20 minutes ago, and nothing has happened to it',
      observed: { ...tasks(0, 0), group: { ...group(0).group, createdAt: EXECUTION_START / 1_000 - 1_199 } },
      world: { activities: { lastAt: null } },
    },
  ])('is 5 s while it is not, or not for long: $case', async ({ observed, world }) => {
    expect(await next(observed, world)).toBe(secondsIn(5));
  });

  it('grows while the fleet is idle', async () => {
    const world = { activities: { lastAt: secondsIn(-3_600) } };
    expect(await next(tasks(0, 0), world)).toBe(secondsIn(16));
  });

  it('is 5 s again from the very poll that finds a task', async () => {
    const second = { number: 2, dueAt: secondsIn(30) };
    const unseen = pollHistory({ unclaimed: 0, waiting: false });
    const world = { elapsedSeconds: 30.3, poll: { ...second, seen: unseen } };
    expect(await next(tasks(1, 0), world)).toBe(secondsIn(35));
    expect(await next(tasks(0, 0), world)).toBe(secondsIn(60));
  });

  it('is 5 s while CircleCI limits the rate: who knows what waits', async () => {
    const limiting = await computed(
      { ...group(0), unclaimed: limited(1), running: { running: 0 } },
      { activities: LONG_AGO },
    );
    expect(limiting.next.poll.dueAt).toBe(secondsIn(5));
  });
});

describe('the breaker', () => {
  const withBreaker = (canaryInSeconds: number) => ({
    activities: { breaker: openBreaker(canaryInSeconds) },
  });

  it.each<{
    case: string;
    members?: Partial<typeof NOBODY>;
    desired?: number;
    world: World;
    becomes: number;
  }>([
    { case: 'closed, everything that is wanted launches', world: {}, becomes: 4 },
    { case: 'open, nothing launches before the canary is due', world: withBreaker(60), becomes: 0 },
    { case: 'open, one canary launches when it is due', world: withBreaker(-60), becomes: 1 },
    { case: 'open, one canary launches at the very moment it is due', world: withBreaker(0.3), becomes: 1 },
    { case: 'open, nothing launches a moment before', world: withBreaker(0.301), becomes: 0 },
    {
      case: 'open, nothing launches beside a canary that is under way',
      members: { pending: 1 },
      desired: 1,
      world: withBreaker(-60),
      becomes: 1,
    },
    {
      case: 'open, a canary that was asked for and has not begun stays asked for',
      desired: 1,
      world: withBreaker(-60),
      becomes: 1,
    },
    {
      case: 'open, a canary launches on top of what runs',
      members: { inService: 2 },
      desired: 2,
      world: withBreaker(-60),
      becomes: 3,
    },
    {
      case: 'open, launches that have not begun are cancelled',
      members: { inService: 1 },
      desired: 4,
      world: withBreaker(60),
      becomes: 1,
    },
  ])('$case', async ({ members, desired = 0, world, becomes }) => {
    const { decision } = await computed({ ...tasks(4, 0), ...group(desired, members) }, world);
    expect(decision).toMatchObject({ from: desired, desired: becomes });
    const why = decision.reasons.filter((reason) => reason.includes('the breaker is open and lets'));
    expect(why).toHaveLength(world.activities === undefined ? 0 : 1);
  });

  it('suspends the Launch process of a group that nothing may launch in', async () => {
    const { decision } = await computed({ ...tasks(4, 0), ...group(0) }, withBreaker(60));
    expect(decision).toMatchObject({ from: 0, desired: 0, change: true, launchProcess: 'suspend' });
  });

  it('resumes it for a canary, once in an execution', async () => {
    const suspended = { suspended: true, byBreaker: true };
    const first = await computed({ ...tasks(4, 0), ...group(0, {}, suspended) }, withBreaker(-60));
    expect(first.decision).toMatchObject({ desired: 1, launchProcess: 'resume' });

    // It has not begun yet, and then it launches, and then it has failed.
    const later = { elapsedSeconds: 5.3, activities: first.next.activities };
    const asked = await computed({ ...tasks(4, 0), ...group(1) }, later);
    expect(asked.decision).toMatchObject({ desired: 1, change: false });
    const launching = await computed(
      { ...tasks(4, 0), ...group(1, { pending: 1 }) },
      { elapsedSeconds: 10.3, activities: asked.next.activities },
    );
    expect(launching.decision).toMatchObject({ desired: 1, launchProcess: 'suspend' });
    const failed = await computed(
      { ...tasks(4, 0), ...group(0, {}, suspended) },
      { elapsedSeconds: 40.3, activities: launching.next.activities },
    );
    expect(failed.decision).toMatchObject({ desired: 0, change: false });
  });

  it('closed, resumes what it had suspended', async () => {
    const suspended = { suspended: true, byBreaker: true };
    const { decision } = await computed({ ...tasks(4, 0), ...group(0, {}, suspended) });
    expect(decision).toMatchObject({ desired: 4, launchProcess: 'resume' });
  });

  it('makes no fleet idle or busy: a waiting task is polled for anyway', async () => {
    expect((await computed({ ...tasks(1, 0), ...group(0) }, withBreaker(60))).next.poll.dueAt).toBe(
      secondsIn(5),
    );
  });
});

describe('a fleet that a person', () => {
  const paused = (how: string, desired: number, members: Partial<typeof NOBODY> = {}) => {
    const seen = group(desired, members).group;
    return { ...tasks(3, 1), group: { ...seen, paused: how } };
  };

  it.each([
    { case: 'more is wanted', desired: 1, members: { inService: 1 } },
    { case: 'less is wanted', desired: 9, members: { inService: 1 } },
  ])('paused holds what it has, though $case', async ({ desired, members }) => {
    const { decision } = await computed(paused('true', desired, members));
    expect(decision).toEqual({
      from: desired,
      desired,
      change: false,
      reasons: ['held: the fleet is paused'],
    });
    expect(published.values()).toMatchObject({ PollDuration: [300], UnclaimedTasks: [3] });
  });

  it.each([
    { paused: 'true' as const, says: 'held: the fleet is paused since 2026-01-05T08:00:00Z' },
    { paused: 'drain' as const, says: 'the fleet drains since 2026-01-05T08:00:00Z: nothing launches' },
  ])('paused: $paused says since when, if the command wrote that down', async ({ paused, says }) => {
    const since = { ...group(1, { inService: 1 }).group, paused, pausedAt: '2026-01-05T08:00:00Z' };
    const { decision } = await computed({ ...tasks(3, 1), group: since });
    expect(decision.reasons[0]).toBe(says);
  });

  it('drains launches nothing, and cancels launches that have not begun', async () => {
    const { decision } = await computed(paused('drain', 5, { inService: 1, pending: 1 }));
    expect(decision).toMatchObject({ desired: 2, change: true, launchProcess: 'suspend', forDrain: true });
    expect(decision.reasons).toEqual([
      'the fleet drains: nothing launches',
      'desired capacity falls from 5 to 2: launches not begun are cancelled',
      'suspends the Launch process: the fleet drains, and the group would replace what fails',
    ]);
  });

  it('drains is not held by minReplicas', async () => {
    const { decision } = await computed(paused('drain', 2, { inService: 0 }), {
      capacity: { minReplicas: 2, maxReplicas: 10 },
    });
    expect(decision).toMatchObject({ desired: 0 });
  });

  it('resumed launches again', async () => {
    const suspended = { ...group(0, {}, { suspended: true, byBreaker: true }).group };
    const { decision } = await computed({ ...tasks(3, 0), group: suspended });
    expect(decision).toMatchObject({ desired: 3, launchProcess: 'resume' });
  });
});

describe('what it publishes', () => {
  const BUSY = { ...tasks(3, 2), ...group(4, { pending: 1, inService: 2, leaving: 1 }) };

  it('is one line, by the fleet and nothing else', async () => {
    await computed(BUSY);
    expect(published.lines()).toEqual([
      {
        _aws: {
          Timestamp: EXECUTION_START + 300,
          CloudWatchMetrics: [
            {
              Namespace: 'CircleCIRunnerAutoscaler/circleci-runners',
              Dimensions: [['Fleet']],
              Metrics: [
                { Name: 'PollDuration', Unit: 'Milliseconds' },
                { Name: 'UnclaimedTasks', Unit: 'Count' },
                { Name: 'RunningTasks', Unit: 'Count' },
              ],
            },
          ],
        },
        Fleet: 'linux',
        PollDuration: 300,
        UnclaimedTasks: 3,
        RunningTasks: 2,
      },
    ]);
  });

  it.each([
    { case: 'in the middle of an execution', elapsedSeconds: 0.3 },
    { case: 'at its end', elapsedSeconds: 50.3 },
  ])('is only the heartbeat if the fleet is idle, $case', async ({ elapsedSeconds }) => {
    const world = { elapsedSeconds, activities: { lastAt: secondsIn(-86_400) } };
    await computed({ ...tasks(0, 0), ...group(0) }, world);
    expect(published.values()).toEqual({ PollDuration: [300] });
  });

  it('is how long the poll took since it was due, and never less than nothing', async () => {
    await computed(BUSY, { elapsedSeconds: 7.25 });
    await computed(BUSY, { elapsedSeconds: 7.25, poll: { dueAt: secondsIn(8) } });
    expect(published.values().PollDuration).toEqual([2_250, 0]);
  });

  it('counts the tasks that were claimed since the poll before', async () => {
    const before = pollHistory({ unclaimed: 5, claimed: 4 });
    const { next } = await computed(BUSY, { elapsedSeconds: 5.3, poll: { number: 2, seen: before } });
    expect(published.values().ClaimedTasks).toEqual([2]);
    expect(next.poll.seen).toEqual({
      unclaimed: 3,
      running: 2,
      claimed: 6,
      waiting: true,
      idle: false,
      idlePolls: 0,
      idlers: 0,
      idlersNow: 0,
      inService: 2,
      inServiceFirst: 0,
      mostRunning: 2,
    });
  });

  it.each([
    { case: 'below', waiting: 7, atMaximum: undefined },
    { case: 'as many as', waiting: 8, atMaximum: undefined },
    { case: 'one more than', waiting: 9, atMaximum: [1] },
  ])('tells that tasks want $case maxReplicas', async ({ waiting, atMaximum }) => {
    await computed(tasks(waiting, 2));
    expect(published.values().AtMaximum).toEqual(atMaximum);
  });

  describe('Starving', () => {
    /** The last poll of an execution through which one task waited and another ran. */
    const last = (seen: Parameters<typeof pollHistory>[0] = {}): World => ({
      elapsedSeconds: 50.3,
      poll: {
        number: 11,
        seen: pollHistory({ unclaimed: 1, running: 1, mostRunning: 1, ...seen }),
      },
    });
    /** The only poll of an execution. */
    const only: World = { elapsedSeconds: 50.3, poll: { number: 1 } };
    const one = { ...tasks(1, 1), ...group(2, { inService: 1, pending: 1 }) };

    it.each<{ case: string; observed?: Observed; world: World; starving: boolean | undefined }>([
      { case: 'a task waited at every poll and none was claimed', world: last(), starving: true },
      {
        case: 'the same, with as many tasks as maxReplicas allows',
        observed: tasks(9, 1),
        world: last({ unclaimed: 9 }),
        starving: true,
      },
      { case: 'another poll is to come', world: { ...last(), elapsedSeconds: 5.3 }, starving: undefined },
      { case: 'one was claimed earlier on', world: last({ claimed: 1 }), starving: false },
      { case: 'one was claimed just now', world: last({ unclaimed: 2 }), starving: false },
      { case: 'none waited for a while', world: last({ waiting: false }), starving: false },
      { case: 'none waits any more', observed: tasks(0, 2), world: last(), starving: false },
      {
        case: 'the fleet has no room for more, and its members work',
        observed: { ...tasks(10, 10), ...group(10, { inService: 10 }) },
        world: last({ unclaimed: 10, running: 10 }),
        starving: false,
      },
      {
        case: 'the fleet has no room for more, and its members do nothing',
        observed: { ...tasks(10, 0), ...group(10, { inService: 10 }) },
        world: last({ unclaimed: 10, running: 0, idle: true }),
        starving: true,
      },
      {
        case: 'the fleet has no room for more, and half of its members do nothing',
        observed: { ...tasks(30, 5), ...group(10, { inService: 10 }) },
        world: last({ unclaimed: 30, running: 5, idle: true, idlers: 5 }),
        starving: true,
      },
      {
        case: 'the same, but as many have come into service',
        observed: { ...tasks(30, 5), ...group(10, { inService: 10 }) },
        world: {
          ...last({ unclaimed: 30, running: 5, idle: true, idlers: 5 }),
          activities: { cameInService: 5 },
        },
        starving: false,
      },
      {
        case: 'the same, but one was claimed',
        observed: { ...tasks(30, 5), ...group(10, { inService: 10 }) },
        world: last({ unclaimed: 30, running: 5, idle: true, idlers: 5, claimed: 1 }),
        starving: false,
      },
      {
        case: 'the same, but for a while all of them worked',
        observed: { ...tasks(30, 5), ...group(10, { inService: 10 }) },
        world: last({ unclaimed: 30, running: 5, idle: false, idlers: 0 }),
        starving: false,
      },
      {
        case: 'more tasks wait than maxReplicas allows, and no instance comes',
        observed: { ...tasks(20, 0), ...group(10) },
        world: last({ unclaimed: 20, running: 0 }),
        starving: true,
      },
      { case: 'the only poll of an execution saw a task wait', world: only, starving: true },
      {
        case: 'the only poll saw a task wait, and an instance had just come into service',
        world: { ...only, activities: { cameInService: 1 } },
        starving: false,
      },
      {
        case: 'many polls saw no claim, but an instance had come into service, whose claim fell between two executions',
        world: { ...last(), activities: { cameInService: 1 } },
        starving: false,
      },
      {
        case: 'an instance had come into service and left, and no task ran at any of many polls',
        observed: { ...tasks(1, 0), ...group(1, { pending: 1 }) },
        world: { ...last({ running: 0, mostRunning: 0 }), activities: { cameInService: 1 } },
        starving: true,
      },
      {
        case: 'the same at the only poll, which may have missed a short task',
        observed: { ...tasks(1, 0), ...group(1, { pending: 1 }) },
        world: { ...only, activities: { cameInService: 1 } },
        starving: false,
      },
      {
        case: 'an instance had come into service, and one more was there at every poll than tasks running',
        observed: { ...tasks(1, 1), ...group(2, { inService: 2 }) },
        world: { ...last({ idle: true }), activities: { cameInService: 1 } },
        starving: true,
      },
      {
        case: 'an instance had come into service, and for a while one more was there than tasks running',
        observed: { ...tasks(1, 1), ...group(2, { inService: 2 }) },
        world: { ...last({ idle: false }), activities: { cameInService: 1 } },
        starving: false,
      },
    ])('$case: $starving', async ({ observed = one, world, starving }) => {
      await computed(observed, world);
      expect(published.values().Starving).toEqual(starving === undefined ? undefined : [Number(starving)]);
    });
  });

  it.each<{ case: string; observed: Observed; world: World; succeeded: boolean }>([
    { case: 'another poll is to come', observed: tasks(0, 2), world: {}, succeeded: false },
    { case: 'it is the last step', observed: tasks(0, 2), world: { elapsedSeconds: 50.3 }, succeeded: true },
    {
      case: 'Update Group is still to come, and no poll after it',
      observed: tasks(1, 2),
      world: { elapsedSeconds: 50.3 },
      succeeded: false,
    },
    {
      case: 'Update Group would be to come, but it is too late for it',
      observed: tasks(1, 2),
      world: { elapsedSeconds: 55 },
      succeeded: true,
    },
  ])('tells of the success of the execution if $case: $succeeded', async ({ observed, world, succeeded }) => {
    await computed(observed, world);
    expect(published.values().ExecutionsSucceeded).toEqual(succeeded ? [1] : undefined);
  });
});
