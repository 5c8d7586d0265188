import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { DURATIONS } from '../../sandbox/group/durations.ts';
import type { LaunchFault } from '../../sandbox/group/faults.ts';
import { SANDBOX_START } from '../../sandbox/trace.ts';
import type { Metric } from '../../sandbox/workflow.ts';
import {
  AWS_ACTIONS,
  AWS_FAULTS,
  BREAKER_ACTIONS,
  CIRCLECI_FAULTS,
  calmFrom,
  type Fault,
  longestGap,
  type Played,
  play,
  type Scenario,
} from '../support/scenario.ts';
import { tryFor } from '../support/time-limit.ts';

/** How many scenarios each property tries, in place of the few that a usual run has time for. */
const RUNS = Number(process.env.GUARD_RUNS ?? 0);
vi.setConfig({ testTimeout: 60_000 + RUNS * 30_000 });

/** After this time, in milliseconds, no further scenario is tried, and no counterexample is shrunk. */
const ENOUGH = RUNS > 0 ? Number.POSITIVE_INFINITY : 10_000;

async function always(
  scenarios: fc.Arbitrary<Scenario>,
  few: number,
  holds: (scenario: Scenario) => Promise<void>,
  examples: Scenario[] = [],
): Promise<void> {
  const property = fc.asyncProperty(scenarios, tryFor(ENOUGH, holds));
  const numRuns = examples.length + (RUNS || few);
  // The same few each time; GUARD_RUNS tries as many new ones.
  const seed = RUNS === 0 ? { seed: 2 } : {};
  await fc.assert(property, { numRuns, ...seed, examples: examples.map((scenario) => [scenario]) });
}

const { request, boot, leave, idleTimeout, launchHook } = DURATIONS;
const MINUTE = 60;
const READY = request + boot;

/** How many minutes in a row make the alarm ring. */
const STARVING_AFTER = 15;

/** When the last fault has ended at the latest. */
const FAULTS_END = 40 * MINUTE;

const seconds = (min: number, max: number) => fc.integer({ min, max });
const keysOf = <Key extends string>(of: Record<Key, unknown>) =>
  fc.constantFrom(...(Object.keys(of) as Key[]));

const LAUNCH_FAULTS = ['refused', 'no-spot', 'dead', 'failing', 'lost'] as const satisfies LaunchFault[];

type What = Fault extends infer Each ? (Each extends Fault ? Omit<Each, 'from' | 'to'> : never) : never;

const what: fc.Arbitrary<What> = fc.oneof(
  fc.record({ kind: fc.constant('launches' as const), how: fc.constantFrom(...LAUNCH_FAULTS) }),
  fc.record({ kind: fc.constant('circleci' as const), how: keysOf(CIRCLECI_FAULTS) }),
  fc.record({
    kind: fc.constant('aws' as const),
    action: fc.constantFrom(...AWS_ACTIONS, ...BREAKER_ACTIONS),
    how: keysOf(AWS_FAULTS),
  }),
  fc.record({ kind: fc.constant('stale' as const), seconds: seconds(1, 60) }),
  fc.record({ kind: fc.constant('slow' as const), seconds: seconds(1, 5) }),
  fc.record({ kind: fc.constant('twice' as const), offset: seconds(0, 59) }),
  fc.record({ kind: fc.constant('foreign' as const), tasks: seconds(1, 6) }),
  fc.record({ kind: fc.constant('taken out' as const), replaced: fc.boolean() }),
  fc.record({ kind: fc.constant('by hand' as const), desired: seconds(0, 8) }),
  fc.record({
    kind: fc.constant('smaller' as const),
    maxSize: seconds(2, 7),
    maxReplicasToo: fc.boolean(),
  }),
);
const fault: fc.Arbitrary<Fault> = fc
  .tuple(what, seconds(0, FAULTS_END - 1), seconds(1, FAULTS_END))
  .map(([fault, from, length]) => ({ ...fault, from, to: Math.min(from + length, FAULTS_END) }));

const jobs = fc.array(fc.record({ queuedAt: seconds(0, 25 * MINUTE), durationSeconds: seconds(1, 400) }), {
  minLength: 1,
  maxLength: 12,
});
/** A quarter of an hour, ten minutes after the sandbox begins. */
const QUARTER = { start: '10 8 * * *', end: '25 8 * * *', timezone: 'UTC', minReplicas: 2 };
const fleet = {
  minReplicas: seconds(0, 2),
  maxReplicas: seconds(2, 8),
  pollIntervalSeconds: fc.constantFrom(60, 60, 30, 30, 20, 20, 7, 5),
  headroom: fc.constantFrom(undefined, 1, 2, '20%', '100%'),
  maxSurge: fc.constantFrom(undefined, 2, 3),
  schedules: fc.constantFrom(undefined, [QUARTER], [{ ...QUARTER, minReplicas: 0, headroom: 0 }]),
  breaker: fc.record({ failures: seconds(1, 4), windowSeconds: fc.constantFrom(900, 300, 60) }),
  jobs,
};
const scenarios: fc.Arbitrary<Scenario> = fc.record({
  ...fleet,
  faults: fc.uniqueArray(fault, {
    maxLength: 4,
    // Two at once would undo each other's end.
    selector: (fault) => (fault.kind === 'smaller' ? fault.kind : JSON.stringify(fault)),
  }),
});

const STEADY: Scenario = {
  minReplicas: 0,
  maxReplicas: 5,
  pollIntervalSeconds: 20,
  breaker: { failures: 3, windowSeconds: 900 },
  jobs: [],
  faults: [],
};

const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);

/** The longest time that the queue takes to drain once nothing is wrong any more. */
function drainBound(scenario: Scenario): number {
  const { faults, jobs, maxReplicas, maxSurge = maxReplicas } = scenario;
  const gap = longestGap(scenario);
  const launchFaults = faults.flatMap((fault) => (fault.kind === 'launches' ? [fault.how] : []));
  // The execution that is under way may still fail, and a fleet that was idle may wait for the next one.
  const noticed = MINUTE + gap;
  const lastFailure = launchFaults.includes('dead') ? request + launchHook : READY;
  const costly = launchFaults.some((how) => how === 'dead' || how === 'failing');
  // The breaker's longest rest, the execution that knows it is over, the canary, the one that knows it succeeded.
  const canary = lastFailure + (costly ? 30 : 2) * MINUTE + MINUTE + gap + READY + MINUTE;
  const waves = Math.ceil(maxReplicas / maxSurge);
  const turns = jobs.map(({ durationSeconds }) => waves * gap + READY + durationSeconds + leave);
  return noticed + (launchFaults.length > 0 ? canary : 0) + sum(turns) / maxReplicas + Math.max(0, ...turns);
}

/** How many instances may be launched at most: one for each job, and those that something explains. */
function launchBound(scenario: Scenario, until: number): number {
  const { faults, jobs, maxReplicas } = scenario;
  const idle = request + boot + idleTimeout;
  const twice = faults.some(({ kind }) => kind === 'twice') ? 2 : 1;
  const explained = faults.map((fault) => {
    const cycles = (cycle: number) => Math.ceil((fault.to - fault.from) / cycle) + 1;
    switch (fault.kind) {
      case 'launches': {
        const cycle = { failing: request + boot / 3, lost: request + boot / 2, dead: request + launchHook };
        return fault.how in cycle ? maxReplicas * cycles(cycle[fault.how as keyof typeof cycle]) : 0;
      }
      case 'foreign':
        return Math.min(fault.tasks, maxReplicas) * cycles(idle);
      case 'taken out':
        return 1;
      case 'by hand':
        return fault.desired;
      // Jobs that are claimed, or done, between the answers of one poll count twice.
      case 'circleci':
        return Math.min(jobs.length, maxReplicas);
      case 'slow':
        return 2 * twice * jobs.length;
      default:
        return 0;
    }
  });
  return jobs.length + sum(explained) + spareAtMost(scenario) * (Math.ceil(until / idle) + 1);
}

/** How many runners without a task are kept at the most. */
function spareAtMost({ minReplicas, maxReplicas, headroom = 0, schedules = [] }: Scenario): number {
  const ahead =
    typeof headroom === 'string' ? Math.ceil((maxReplicas * Number.parseInt(headroom, 10)) / 100) : headroom;
  return Math.max(minReplicas, ahead, ...schedules.map((schedule) => schedule.minReplicas ?? 0));
}

/** As plain data is read best: a line for each part. */
const readable = ({ jobs, faults, ...fleet }: Scenario) =>
  [
    JSON.stringify(fleet),
    `jobs ${jobs.map(({ queuedAt, durationSeconds }) => `${queuedAt}+${durationSeconds}`).join(' ')}`,
    ...faults.map(({ from, to, kind, ...rest }) => `${from}-${to} s ${kind} ${JSON.stringify(rest)}`),
  ].join('\n');

/** Plays a scenario to its end, and expects all that holds of every one. */
async function survive(scenario: Scenario): Promise<Played> {
  const calm = calmFrom(scenario);
  const bound = drainBound(scenario);
  const played = await play(scenario, calm + bound + idleTimeout);
  const { broken, drainedAt, launchedAt, seconds } = played;
  const story = () => readable(scenario);
  expect(broken, story()).toEqual([]);
  expect(drainedAt, `jobs are left ${bound} s after all was well again\n${story()}`).toBeDefined();
  expect(drainedAt, `drained, ${calm} s + ${bound} s\n${story()}`).toBeLessThanOrEqual(calm + bound);
  expect(launchedAt.length, `launches\n${story()}`).toBeLessThanOrEqual(launchBound(scenario, seconds));
  return played;
}

/** The metrics that tell of something, but for those that had reason to. */
function reported({ metrics, world }: Played): string[] {
  const wantedAt = (at: number) =>
    world.queue.tasks.filter(({ queuedAt, endedAt = at }) => queuedAt <= at && endedAt >= at).length;
  const usual = ['PollDuration', 'UnclaimedTasks', 'RunningTasks', 'ClaimedTasks', 'Launches'];
  return [
    ...metrics
      .filter(({ name }) => ![...usual, 'ExecutionsSucceeded', 'Starving', 'AtMaximum'].includes(name))
      .map(({ name }) => name),
    ...metrics
      .filter(
        (metric) =>
          metric.name === 'AtMaximum' && wantedAt(secondOf(metric)) <= world.settings.capacity.maxReplicas,
      )
      .map((metric) => `AtMaximum at ${secondOf(metric)} s`),
    ...starvingFrom(metrics).map((minute) => `Starving from minute ${minute} on`),
  ];
}

const secondOf = ({ at }: { at: number }) => (at - SANDBOX_START.getTime()) / 1_000;
const minuteOf = (metric: { at: number }) => Math.floor(secondOf(metric) / MINUTE);

/** The minutes that begin a starvation which is long enough for the alarm. */
function starvingFrom(metrics: Metric[]): number[] {
  const starving = new Set(
    metrics.filter(({ name, value }) => name === 'Starving' && value > 0).map(minuteOf),
  );
  const following = Array.from({ length: STARVING_AFTER }, (_, more) => more);
  return [...starving].filter((minute) => following.every((more) => starving.has(minute + more)));
}

/** Every kind of fault, most of them at once: a usual run's few scenarios may well miss a kind. */
const EVERYTHING: Scenario = {
  ...STEADY,
  minReplicas: 1,
  maxReplicas: 4,
  jobs: Array.from({ length: 12 }, (_, job) => ({ queuedAt: job * 100, durationSeconds: 200 })),
  faults: [
    { kind: 'twice', offset: 20, from: 0, to: FAULTS_END },
    { kind: 'stale', seconds: 20, from: 0, to: FAULTS_END },
    { kind: 'slow', seconds: 2, from: 0, to: FAULTS_END },
    { kind: 'foreign', tasks: 2, from: 60, to: 400 },
    { kind: 'by hand', desired: 4, from: 200, to: 201 },
    { kind: 'taken out', replaced: true, from: 420, to: 421 },
    { kind: 'launches', how: 'failing', from: 480, to: 1_500 },
    { kind: 'smaller', maxSize: 3, maxReplicasToo: true, from: 600, to: 1_200 },
    { kind: 'circleci', how: '503', from: 900, to: 1_100 },
    { kind: 'aws', action: 'SetDesiredCapacity', how: 'throttled', from: 0, to: 130 },
  ],
};

describe('whatever goes wrong, and when,', () => {
  it('no job is lost, no bound is broken, and the queue drains when it is over', async () => {
    await always(scenarios, 8, async (scenario) => {
      await survive(scenario);
    });
  });
});

describe('everything that goes wrong at once', () => {
  it('breaks no law either, with each guard at work', async () => {
    const { metrics } = await survive(EVERYTHING);
    const published = new Set(metrics.map(({ name }) => name));
    const guards = ['BreakerOpen', 'AtMaximum', 'CircleCiUnavailable', 'GroupUpdateRefused'];
    expect(guards.filter((metric) => !published.has(metric))).toEqual([]);
  });

  it('includes every kind of fault of a scenario', () => {
    const kinds = fc.sample(what, { numRuns: 1_000, seed: 2 }).map(({ kind }) => kind);
    expect(new Set(EVERYTHING.faults.map(({ kind }) => kind))).toEqual(new Set(kinds));
  });
});

describe('two slow executions at once', () => {
  const slowly: fc.Arbitrary<Scenario> = seconds(0, 4).map((offset) => ({
    ...STEADY,
    jobs: [0, 0, 30, 90, 130].map((queuedAt) => ({ queuedAt, durationSeconds: 100 })),
    faults: [
      { kind: 'twice', offset, from: 0, to: FAULTS_END / 4 },
      { kind: 'slow', seconds: 1, from: 0, to: FAULTS_END / 4 },
    ],
  }));

  it('write nothing that the other has written', async () => {
    await always(slowly, 5, async (scenario) => {
      await survive(scenario);
    });
  });
});

describe('an outage', () => {
  const CAUSES = [
    ...Object.keys(CIRCLECI_FAULTS).map((how) => ({ kind: 'circleci', how }) as What),
    ...AWS_ACTIONS.map((action) => ({ kind: 'aws', action, how: 'throttled' }) as What),
  ];

  it.each(CAUSES.map((cause) => ({ cause })))(
    'of $cause holds capacity, and no rise is lost',
    async ({ cause }) => {
      const [from, to] = [150, 400];
      const scenario: Scenario = {
        ...STEADY,
        jobs: [30, 30, 200, 210, 220].map((queuedAt) => ({ queuedAt, durationSeconds: 300 })),
        faults: [{ ...cause, from, to }],
      };
      const { events, world } = await survive(scenario);
      const launches = events.filter(({ kind }) => kind === 'launches').map(({ at }) => at);
      expect(launches.filter((at) => at >= from + MINUTE && at < to)).toEqual([]);
      const starts = world.queue.tasks.map(({ startedAt = Number.POSITIVE_INFINITY }) => startedAt);
      expect(Math.max(...starts)).toBeLessThanOrEqual(to + MINUTE + READY);
    },
  );
});

describe('when nothing is wrong', () => {
  const calm: fc.Arbitrary<Scenario> = fc.record({ ...fleet, faults: fc.constant([]) });
  const delivered = (offset: number): Fault => ({ kind: 'twice', offset, from: 0, to: FAULTS_END });
  const twice: fc.Arbitrary<Scenario> = fc.record({
    ...fleet,
    faults: fc.tuple(seconds(0, 59).map(delivered)),
  });
  const usual = [0, 0, 10, 130].map((queuedAt) => ({ queuedAt, durationSeconds: 100 }));
  const both = [0, 30].map((offset) => ({ ...STEADY, jobs: usual, faults: [delivered(offset)] }));

  it.each([
    { case: 'one execution a minute', scenarios: calm, examples: [] },
    { case: 'two executions at once, of whatever age', scenarios: twice, examples: both },
  ])(
    '$case: nothing is reported, no launch is unused, and no job waits longer than it must',
    async ({ scenarios, examples }) => {
      const holds = async (scenario: Scenario) => {
        const played = await survive(scenario);
        const story = readable(scenario);
        expect(reported(played), story).toEqual([]);
        expect(overdue(scenario, played), story).toEqual([]);
        const claims = claimable(scenario, played) * (1 + scenario.faults.length);
        expect(claimed(played), story).toBeLessThanOrEqual(claims);
      };
      await always(scenarios, 3, holds, examples);
    },
  );

  it.each([
    { every: 30, second: 50 },
    { every: 20, second: 10 },
    { every: 5, second: 18 },
  ])(
    'polled every $every s: one job a minute, at second $second, is no starving fleet',
    async ({ every, second }) => {
      const jobs = Array.from({ length: 20 }, (_, minute) => ({
        queuedAt: minute * MINUTE + second,
        durationSeconds: 30,
      }));
      const scenario = { ...STEADY, maxReplicas: 8, pollIntervalSeconds: every, jobs };
      expect(reported(await play(scenario, 25 * MINUTE))).toEqual([]);
    },
  );

  /** Jobs that waited for longer than the poll, a member that leaves, and the boot, though there was room. */
  function overdue(scenario: Scenario, { world, events }: Played): string[] {
    const { tasks } = world.queue;
    const stirs = events.filter(({ kind }) => ['launches', 'ready', 'leaves'].includes(kind));
    return tasks.flatMap(({ queuedAt, startedAt = Number.POSITIVE_INFINITY }) => {
      const others = tasks.filter((other) => other.queuedAt <= startedAt && (other.endedAt ?? 0) >= queuedAt);
      if (others.length > scenario.maxReplicas) return [];
      const execution = Math.floor(queuedAt / MINUTE) * MINUTE;
      const awake = stirs.some(({ at }) => at < execution && at > queuedAt - 10 * MINUTE);
      const first = awake ? longestGap(scenario) : MINUTE;
      // A member that is about to leave looks as if it were one for this job.
      const leavers = events.filter(({ at, kind }) => kind === 'leaves' && at >= queuedAt && at < startedAt);
      // Those that launch at once are at most maxSurge, and others' launches come first.
      const waves = Math.ceil(scenario.maxReplicas / (scenario.maxSurge ?? scenario.maxReplicas)) - 1;
      const most =
        first + waves * longestGap(scenario) + leavers.length * (leave + longestGap(scenario)) + READY;
      return startedAt - queuedAt > most ? [`queued at ${queuedAt}, waited ${startedAt - queuedAt} s`] : [];
    });
  }

  const claimed = ({ metrics }: Played) =>
    sum(metrics.filter(({ name }) => name === 'ClaimedTasks').map(({ value }) => value));

  /** One poll alone sees no claim, and takes each instance that came into service for one. */
  const claimable = ({ pollIntervalSeconds, jobs }: Scenario, { endings }: Played) =>
    pollIntervalSeconds < MINUTE ? jobs.length : endings.length;
});

describe('a fleet whose runners come and take no tasks', () => {
  it.each([60, 20])('is starving, polled every %i s', async (every) => {
    const jobs = Array(3).fill({ queuedAt: 0, durationSeconds: 30 });
    const faults: Fault[] = [{ kind: 'launches', how: 'deaf', from: 0, to: FAULTS_END }];
    const { metrics } = await play({ ...STEADY, pollIntervalSeconds: every, jobs, faults }, FAULTS_END);
    expect(starvingFrom(metrics)).not.toEqual([]);
  });
});
