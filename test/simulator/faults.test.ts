import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Faults, NO_FAULTS, nextEdge } from '../../sandbox/group/faults.ts';
import type { Job } from '../../sandbox/trace.ts';
import { workingDay } from '../../sandbox/trace.ts';
import { type PolicyChoice, policyOf } from '../../simulator/peers.ts';
import { plainFleet } from '../../simulator/plain-fleet.ts';
import { replay } from '../../simulator/replay.ts';
import { simulateOne } from '../../simulator/simulate.ts';
import { WORLD } from '../../simulator/world.ts';
import { choices, ours } from './choices.ts';
import { traces } from './generated-traces.ts';

const job = (queuedAt: number, durationSeconds = 100): Job => ({ queuedAt, durationSeconds });
const peer = (name: string, parameters: Record<string, number> = {}): PolicyChoice => ({
  name,
  parameters,
  maxReplicas: 1_000,
});
const run = (choice: PolicyChoice, jobs: Job[], faults: Partial<Faults>) =>
  replay(jobs, policyOf(choice), WORLD, { faults: { ...NO_FAULTS, ...faults } });
const FOREVER = Number.POSITIVE_INFINITY;
const always = (share: number) => [{ from: 0, to: FOREVER, share }];
const waits = (jobs: Job[], startedAt: Float64Array) =>
  jobs.map(({ queuedAt }, number) => (startedAt[number] ?? Number.NaN) - queuedAt);

describe('a fault in a replay, worked out by hand:', () => {
  it.each<{ case: string; choice: PolicyChoice; jobs: Job[]; faults: Partial<Faults>; waits: number[] }>([
    {
      case: 'without counts nothing launches, and what came meanwhile is seen when it is over',
      choice: peer('mro'),
      jobs: [job(1)],
      faults: { outages: [{ from: 0, to: 62 }] },
      waits: [65 - 1 + 93],
    },
    {
      case: 'an execution of ours that got no counts is over, and the next one comes with the minute',
      choice: ours(),
      // Polled at 60, 65, 70 and so on, until the poll at 75 fails.
      jobs: [job(50, 300), job(72)],
      faults: { outages: [{ from: 73, to: 80 }] },
      waits: [10 + 93, 120 - 72 + 93],
    },
    {
      case: 'webhooks arrive when it is over',
      choice: peer('runs-on'),
      jobs: [job(1)],
      faults: { outages: [{ from: 0, to: 62 }] },
      waits: [61 + 93],
    },
    {
      case: 'a group tries a launch again a minute after EC2 had no capacity for it',
      choice: peer('mro'),
      jobs: [job(0)],
      faults: { shortages: [{ from: 0, to: 100 }] },
      // Refused at 0 and at 60.
      waits: [120 + 93],
    },
    {
      case: 'ours launches On-Demand where there is no Spot capacity',
      choice: ours({ spot: { percentage: 100, onDemandBase: 0 } }),
      // Refused at 60. The execution at 120 reads that, and the group tries again a minute after the refusal.
      jobs: [job(50)],
      faults: { spotShortages: [{ from: 0, to: 7_200 }] },
      waits: [180 - 50 + 93],
    },
    {
      case: 'an instance that sends nothing is replaced when its launch hook times out',
      choice: peer('mro'),
      jobs: [job(0)],
      faults: { deadInstances: [{ from: 0, to: 1, share: 1 }] },
      waits: [3 + WORLD.launchHook + 93],
    },
    {
      case: 'ours has a launch hook of its own',
      choice: ours({ bootTimeout: 240 }),
      jobs: [job(0)],
      faults: { deadInstances: [{ from: 0, to: 1, share: 1 }] },
      waits: [3 + 240 + 93],
    },
    {
      case: 'an instance that EC2 takes back while it boots is replaced at once',
      choice: peer('mro'),
      jobs: [job(0)],
      faults: { lostInstances: [{ from: 0, to: 1, share: 1 }] },
      waits: [3 + 45 + 93],
    },
    {
      case: 'a runner that takes no job keeps the next one from being launched until it leaves',
      choice: peer('mro'),
      jobs: [job(0)],
      faults: { deafRunners: [{ from: 0, to: 1, share: 1 }] },
      // Ready at 93, idle until 93 + 300, terminates itself 5 s later, seen by the poll at 400.
      waits: [400 + 93],
    },
    {
      case: 'who launches for one job launches again if its runner takes none',
      choice: peer('runs-on'),
      jobs: [job(0)],
      faults: { deafRunners: [{ from: 0, to: 1, share: 1 }] },
      waits: [93 + 93],
    },
    {
      case: 'no job is handed out for a while, and an idle runner finds one with its next request',
      choice: peer('mro'),
      jobs: [job(0)],
      faults: { taskLimits: [{ from: 0, to: 200, count: 0 }] },
      waits: [202.5],
    },
    {
      case: 'one job runs at a time, and an idle runner takes the next one as it ends',
      choice: peer('mro'),
      jobs: [job(0), job(0)],
      faults: { taskLimits: [{ from: 0, to: FOREVER, count: 1 }] },
      waits: [93, 93 + 100 + 2.5],
    },
    {
      case: 'who launches once for a job launches again if its runner left before the job was handed out',
      choice: peer('runs-on'),
      jobs: [job(0)],
      faults: { taskLimits: [{ from: 0, to: 700, count: 0 }] },
      // Ready at 93, idle for 600 s, terminates itself 5 s later.
      waits: [698 + 93],
    },
    {
      case: 'the group grows to the maximum size that somebody has set, and on when it is what it was',
      choice: ours(),
      jobs: [job(0), job(0)],
      faults: { maximumSizes: [{ from: 0, to: 40, count: 1 }] },
      waits: [93, 40 + 93],
    },
    {
      case: 'a fleet is polled like a busy one while tasks run that no runner runs',
      choice: ours(),
      jobs: [job(50)],
      faults: { phantomTasks: [{ from: 0, to: 1_000, count: 4 }] },
      waits: [93],
    },
    {
      case: 'a foreign runner takes a job, and the launch for it is unused',
      choice: peer('mro'),
      jobs: [job(0)],
      faults: { foreignRunners: 1 },
      waits: [2.5],
    },
  ])('$case', ({ choice, jobs, faults, waits: expected }) => {
    const replayed = run(choice, jobs, faults);
    expect(waits(jobs, replayed.startedAt)).toEqual(expected);
    if (faults.foreignRunners) expect(replayed).toMatchObject({ launches: 1, unusedLaunches: 1 });
  });

  it('a claim between the two requests of a poll counts twice in an even second, so one instance too many launches', () => {
    // Ready at 93 and claimed at once; polled at 94, 96 and 98, and what is asked for is pending by 97.
    const choice = peer('mro', { pollInterval: 2 });
    expect(run(choice, [job(0)], { readGap: 0.5 })).toMatchObject({ launches: 1 });
    expect(run(choice, [job(0)], { readGap: 6 })).toMatchObject({ launches: 2, unusedLaunches: 1 });
  });

  it('a claim that is not counted terminates no instance of ours', () => {
    // Polled at 95, an odd second: nothing is unclaimed, and nothing is running.
    const replayed = run(ours({ quietPollInterval: 5 }), [job(0, 600)], { readGap: 3 });
    expect(replayed).toMatchObject({ launches: 1, jobsKilled: 0 });
  });

  it('after a failed boot, an instance leaves by itself, or stays for hours under policies without that', () => {
    const jobs = Array.from({ length: 40 }, (_, number) => job(number * 60));
    const faults = { bootFailures: always(0.3) };
    const left = run(peer('mro'), jobs, faults);
    const stayed = run(peer('circleci-tutorial'), jobs, faults);
    for (const replayed of [left, stayed]) {
      expect(replayed.failedBoots).toBeGreaterThan(5);
      expect(replayed.startedAt.every((at) => at > 0)).toBe(true);
    }
    expect(stayed.billedSeconds - left.billedSeconds).toBeGreaterThan(5 * 0.9 * WORLD.tidyUp);
  });
});

describe('the breaker of ours', () => {
  it('opens in a shortage of capacity, and then requests one instance at a time', () => {
    const jobs = Array.from({ length: 30 }, () => job(60, 300));
    const shortage = { shortages: [{ from: 0, to: 7_200 }] };
    const { refusedLaunches, startedAt, jobsKilled } = run(ours(), jobs, shortage);
    expect(refusedLaunches).toBeGreaterThan(10);
    // The group by itself would ask every minute.
    expect(refusedLaunches).toBeLessThan(0.75 * (7_200 / 60));
    expect(jobsKilled).toBe(0);
    // The first canary after it closes the breaker, and the rest follows.
    expect(Math.max(...startedAt)).toBeLessThan(7_200 + 120 + 60 + 2 * 93 + 60);
  });

  it('limits the boots that are paid for while all of them fail', () => {
    const jobs = workingDay(1).slice(0, 60);
    const faults = { bootFailures: [{ from: 0, to: 14_400, share: 1 }] };
    const with_ = run(ours(), jobs, faults);
    const without = run(ours(plainFleet({ breaker: { failures: 100, window: 60 } })), jobs, faults);
    expect(with_.failedBoots).toBeLessThan(without.failedBoots / 2);
  });
});

describe('a zone that refuses one launch in six', () => {
  const jobs = Array.from({ length: 40 }, () => job(60, 300));

  // Once, the breaker took instant refusals for an outage while other launches booted: a median of 151 s, not 99 s.
  it.each([{ boot: 90 }, { boot: 300 }])('delays no job of 40, with boots of $boot s', ({ boot }) => {
    const world = { ...WORLD, boot };
    const median = (faults: Partial<Faults>) => {
      const { startedAt, refusedLaunches } = replay(jobs, policyOf(ours()), world, {
        faults: { ...NO_FAULTS, ...faults },
      });
      const sorted = waits(jobs, startedAt).toSorted((a, b) => a - b);
      return { refusedLaunches, wait: sorted[sorted.length / 2] ?? Number.NaN };
    };
    const healthy = median({});
    for (const seed of [1, 2, 3]) {
      const { refusedLaunches, wait } = median({ seed, zoneRefusals: always(1 / 6) });
      expect(refusedLaunches).toBeGreaterThanOrEqual(3);
      expect(wait).toBeLessThanOrEqual(healthy.wait + 5);
    }
  });
});

describe('Spot instances that EC2 takes back', () => {
  const spot = { percentage: 100, onDemandBase: 0 };
  const jobs = Array.from({ length: 60 }, (_, number) => job(number * 120, 900));
  const faults = { spotInterruptions: 1 };

  it('kill jobs, which run again with unsafeRetries', () => {
    const killed = run(ours({ spot }), jobs, faults);
    const retried = run(ours({ spot, unsafeRetries: true }), jobs, faults);
    expect(killed.jobsKilled).toBeGreaterThan(5);
    expect(killed.jobsRetried).toBe(0);
    expect(retried.jobsKilled).toBe(0);
    expect(retried.jobsRetried).toBeGreaterThan(5);
    // One that is taken back while it boots is a shortage of Spot capacity, and for a while ours buys On-Demand.
    expect(retried.spotSeconds).toBeGreaterThan(0.8 * retried.billedSeconds);
    expect(retried.spotSeconds).toBeLessThan(retried.billedSeconds);
  });

  it('do not extend the wait of a job that runs again', () => {
    const policy = policyOf(ours({ spot, unsafeRetries: true }));
    const first = new Map<number, number>();
    let claims = 0;
    const claimed = (number: number, _: unknown, at: number) => {
      claims += 1;
      if (!first.has(number)) first.set(number, at);
    };
    const { startedAt } = replay(jobs, policy, WORLD, { faults: { ...NO_FAULTS, ...faults }, claimed });
    expect([...startedAt]).toEqual(jobs.map((_, number) => first.get(number)));
    expect(claims).toBeGreaterThan(jobs.length);
  });

  it('do not exist in a fleet without Spot capacity', () => {
    expect(run(ours(), jobs, faults)).toMatchObject({ interruptions: 0, spotSeconds: 0, jobsKilled: 0 });
  });
});

const windows = fc
  .array(fc.record({ from: fc.nat({ max: 3_000 }), seconds: fc.integer({ min: 1, max: 900 }) }), {
    maxLength: 2,
  })
  .map((all) => all.map(({ from, seconds }) => ({ from, to: from + seconds })));
const anyFaults: fc.Arbitrary<Faults> = fc.record({
  seed: fc.nat({ max: 1_000 }),
  bootFailures: fc.constantFrom([], always(0.3), [{ from: 200, to: 900, share: 1 }]),
  deadInstances: fc.constantFrom([], always(0.1)),
  lostInstances: fc.constantFrom([], [{ from: 0, to: 1_800, share: 0.5 }]),
  deafRunners: fc.constantFrom([], always(0.1)),
  outages: windows,
  shortages: windows,
  spotShortages: windows,
  spotRoleMissing: windows,
  zoneRefusals: fc.constantFrom([], always(0.2)),
  typeMissing: windows,
  addressShortages: windows,
  throttled: windows,
  keyFailures: windows,
  spotInterruptions: fc.constantFrom(0, 1),
  readGap: fc.constantFrom(0, 0.5, 7),
  foreignRunners: fc.constantFrom(0, 0, 2),
  taskLimits: fc.constantFrom([], [{ from: 0, to: 5_000, count: 0 }], [{ from: 600, to: FOREVER, count: 2 }]),
  zeroCounts: fc.constantFrom([], [{ from: 300, to: 1_500 }]),
  phantomTasks: fc.constantFrom([], [{ from: 300, to: 2_000, count: 3 }]),
  runningLags: fc.constantFrom([], [{ from: 0, to: FOREVER, count: 10 }]),
  maximumSizes: fc.constantFrom([], [{ from: 900, to: 1_800, count: 1 }]),
});

describe('with any faults,', () => {
  it('skipped polls would have changed nothing', () => {
    fc.assert(
      fc.property(traces, choices, anyFaults, (jobs, choice, faults) => {
        const options = { seriesEvery: 30, faults };
        const fast = replay(jobs, policyOf(choice), WORLD, options);
        const slow = replay(jobs, policyOf(choice), WORLD, { ...options, everyPoll: true });
        expect({ ...fast, pollsMade: 0 }).toEqual({ ...slow, pollsMade: 0 });
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    {
      of: 'tasks that nothing of the fleet runs',
      faults: { phantomTasks: [{ from: 300, to: 2_000, count: 3 }] },
    },
    { of: 'tasks while nothing can launch', faults: { shortages: [{ from: 300, to: 2_000 }] } },
  ])('nor would those of spare runners in view of $of', ({ faults }) => {
    const jobs = [0, 0, 400, 3_000].map((queuedAt) => ({ queuedAt, durationSeconds: 20 }));
    const choice = ours({ spareRunners: 'auto' });
    const result = (everyPoll: boolean) => ({
      ...replay(jobs, policyOf(choice), WORLD, {
        faults: { ...NO_FAULTS, ...faults },
        seriesEvery: 30,
        everyPoll,
      }),
      pollsMade: 0,
    });
    expect(result(false)).toEqual(result(true));
  });

  it('every job is claimed, and ours kills none but by Spot interruptions', () => {
    fc.assert(
      fc.property(traces, choices, anyFaults, (jobs, choice, faults) => {
        const replayed = replay(jobs, policyOf(choice), WORLD, { faults });
        expect(replayed.startedAt.every((at, number) => at >= (jobs[number]?.queuedAt ?? 0))).toBe(true);
        if (choice.name === 'ours' && faults.spotInterruptions === 0) expect(replayed.jobsKilled).toBe(0);
        expect(replayed.idleSeconds).toBeLessThanOrEqual(replayed.billedSeconds + 1e-6);
      }),
      { numRuns: 300 },
    );
  });

  it('the same seed gives the same bytes, and another seed another replay', () => {
    const jobs = workingDay(2).slice(0, 100);
    const bytes = (seed: number) =>
      JSON.stringify(
        simulateOne(jobs, ours(), WORLD, { faults: { ...NO_FAULTS, seed, bootFailures: always(0.2) } }),
      );
    expect(bytes(1)).toBe(bytes(1));
    expect(bytes(1)).not.toBe(bytes(2));
  });
});

it.each([
  { after: 0, edge: 10 },
  { after: 10, edge: 20 },
  { after: 15, edge: 20 },
  { after: 20, edge: 40 },
  { after: 50, edge: Number.POSITIVE_INFINITY },
])('after $after the next edge of 10 to 20 and 40 to 50 is at $edge', ({ after, edge }) => {
  const all = [
    { from: 40, to: 50 },
    { from: 10, to: 20 },
  ];
  expect(nextEdge(all, after)).toBe(edge);
});
