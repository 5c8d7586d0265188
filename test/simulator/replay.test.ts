import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Job } from '../../sandbox/trace.ts';
import { WAIT_PARTS } from '../../simulator/job-figures.ts';
import { PEERS, policyOf } from '../../simulator/peers.ts';
import { Grid, idleFor, PLAIN, type Policy, type ScalerObservation } from '../../simulator/policy.ts';
import { type ReplayOptions, type ReplayResult, replay } from '../../simulator/replay.ts';
import { simulateOne } from '../../simulator/simulate.ts';
import { WORLD, type World } from '../../simulator/world.ts';
import { choices, ours } from './choices.ts';
import { traces } from './generated-traces.ts';

/** Level polling and nothing else, with instances that leave by themselves. */
const level = (policy: Partial<Policy> = {}, pollInterval = 5): Policy => ({
  ...PLAIN,
  name: 'level',
  scaler: {
    kind: 'polls',
    polls: new Grid(pollInterval),
    target: ({ unclaimed, running }) => ({ desired: unclaimed + running }),
    requests: { ci: 2, aws: 1, write: 1, start: 0 },
  },
  leavesAt: idleFor(60),
  maxReplicas: Number.POSITIVE_INFINITY,
  ...policy,
});

const job = (queuedAt: number, durationSeconds: number): Job => ({ queuedAt, durationSeconds });
const waits = (jobs: Job[], { startedAt }: ReplayResult) =>
  jobs.map(({ queuedAt }, number) => (startedAt[number] ?? Number.NaN) - queuedAt);
const partsOf = ({ parts }: ReplayResult, number: number) =>
  Object.fromEntries(WAIT_PARTS.map((part) => [part, parts[part][number]]));

const worlds: fc.Arbitrary<World> = fc
  .record({
    request: fc.constantFrom(0, 3),
    boot: fc.constantFrom(0, 20, 90, 200),
    warmBoot: fc.constantFrom(5, 25),
    warmStop: fc.constantFrom(0, 30),
    idleClaim: fc.constantFrom(0, 2.5),
    leaveCall: fc.constantFrom(0, 5),
    leave: fc.constantFrom(0, 15),
    notice: fc.constantFrom(20, 60),
    minimumBilling: fc.constantFrom(0, 60),
    relaunch: fc.constant(60),
    otherZone: fc.constant(1),
    endsAtStart: fc.constant(30),
    launchHook: fc.constantFrom(120, 600),
    tidyUp: fc.constant(3_600),
  })
  .map((world) => ({ ...WORLD, ...world, leaveCall: Math.min(world.leaveCall, world.leave) }));

describe('a replay, computed by hand:', () => {
  it.each<{ case: string; jobs: Job[]; policy?: Policy; waits: number[]; billed: number; launches: number }>([
    {
      case: 'a job waits for the poll, the request and the boot, and its instance is paid for from pending to gone',
      jobs: [job(1, 100)],
      waits: [4 + 3 + 90],
      billed: 90 + 100 + 15,
      launches: 1,
    },
    {
      case: 'an instance that is leaving counts until it terminates itself, so the next job waits for that',
      // It ends at 193 and calls at 198; the next job's poll at 195 changes nothing, that at 200 does.
      jobs: [job(0, 100), job(194, 10)],
      waits: [93, 200 - 194 + 93],
      billed: 90 + 100 + 15 + 90 + 10 + 15,
      launches: 2,
    },
    {
      case: 'a runner that is reused finds the next job with its next request',
      jobs: [job(0, 100), job(200, 50)],
      policy: level({ reuse: true }),
      waits: [93, 2.5],
      // Idle from 193 to 202.5 and for 60 s at the end.
      billed: 90 + 100 + 9.5 + 50 + 60 + 15,
      launches: 1,
    },
    {
      case: 'a busy runner that is reused takes what waits, and the instance launched for it idles out',
      jobs: [job(0, 100), job(150, 50)],
      policy: level({ reuse: true }),
      // Busy until 193; the other would be ready at 243.
      waits: [93, 193 + 2.5 - 150],
      billed: 90 + 100 + 2.5 + 50 + 60 + 15 + (90 + 60 + 15),
      launches: 2,
    },
    {
      case: 'the warm pool serves its instances, and refilling it costs',
      jobs: [job(0, 100), job(0, 100)],
      policy: level({ warmPool: 1 }),
      waits: [3 + 25, 93],
      billed: 25 + 100 + 15 + (90 + 30) + (90 + 100 + 15),
      launches: 2,
    },
    {
      case: 'an instance that is made for the warm pool joins it 3 s, a boot and 30 s later, and not before',
      jobs: [job(0, 10), job(120, 10), job(130, 10)],
      policy: level({ warmPool: 1, reuse: false }),
      // Launched at 0, so back in stock at 123: too late for 120, and there for 130. The first in the queue gets it.
      waits: [28, 130 + 28 - 120, 120 + 93 - 130],
      // Each of those two is there for 50 s, and a minute is the least that is paid for.
      billed: 2 * (60 + 120) + (90 + 10 + 15),
      launches: 3,
    },
    {
      case: 'what leaves within a minute is paid for a minute',
      jobs: [job(0, 1)],
      policy: level({ warmPool: 1 }),
      waits: [28],
      billed: 60 + 120,
      launches: 1,
    },
    {
      case: 'a group replaces a stopped instance 60 s after it is gone, if it still counts it: an unused launch',
      // Seen at 0 and 60: two wanted. The first ends at 104, is gone at 119, and at 120 one is wanted. At 174 the
      // second ends, is gone at 189 and counts no more at 180: so it is replaced by nothing.
      jobs: [job(0, 11), job(0, 81)],
      policy: level({ leaving: 'stops' }, 60),
      waits: [93, 93],
      billed: 90 + 11 + 15 + 90 + 81 + 15,
      launches: 2,
    },
    {
      case: 'of two that stop shortly one after the other, the first one’s replacement is for the second',
      // At 180 two are wanted still. The first is gone at 208 and acted on at 268, when the second, which ends at
      // 241 and is gone at 256, is counted by the poll at 240: one is launched, idles for a minute, and stops.
      jobs: [job(0, 100), job(0, 148)],
      policy: level({ leaving: 'stops' }, 60),
      waits: [93, 93],
      billed: 90 + 100 + 15 + 90 + 148 + 15 + (90 + 60 + 15),
      launches: 3,
    },
    {
      case: 'the most instances are not exceeded, and jobs wait their turn',
      jobs: [job(0, 60), job(0, 60)],
      policy: level({ maxReplicas: 1 }),
      // Ends at 153, terminates itself at 158, seen at 160.
      waits: [93, 160 + 93],
      billed: 2 * (90 + 60 + 15),
      launches: 2,
    },
  ])('$case', ({ jobs, policy = level(), waits: expected, billed, launches }) => {
    const replayed = replay(jobs, policy, WORLD);
    expect(waits(jobs, replayed)).toEqual(expected);
    expect(replayed.billedSeconds).toBeCloseTo(billed, 6);
    expect(replayed.launches).toBe(launches);
  });

  it.each<{ case: string; jobs: Job[]; policy?: Policy; parts: object }>([
    {
      case: 'of a cold start',
      jobs: [job(1, 100)],
      parts: { seen: 4, launch: 3, boot: 90, claim: 0, capacity: 0 },
    },
    {
      case: 'of a job that comes to an idle runner',
      jobs: [job(0, 100), job(200, 50)],
      policy: level({ reuse: true }),
      parts: { seen: 0, launch: 0, boot: 0, claim: 2.5, capacity: 0 },
    },
    {
      case: 'of a job that waits for a busy runner',
      jobs: [job(0, 100), job(151, 50)],
      policy: level({ reuse: true }),
      parts: { seen: 4, launch: 0, boot: 0, claim: 2.5, capacity: 193 - 155 },
    },
    {
      case: 'of a job for which there is no room',
      jobs: [job(0, 60), job(1, 60)],
      policy: level({ maxReplicas: 1 }),
      parts: { seen: 4, launch: 3, boot: 90, claim: 0, capacity: 155 },
    },
  ])('the parts of the wait $case', ({ jobs, policy = level(), parts }) => {
    expect(partsOf(replay(jobs, policy, WORLD), jobs.length - 1)).toEqual(parts);
  });

  it('counts peak instances, unused launches, and the requests of the scaler', () => {
    const jobs = [job(0, 100), job(0, 148)];
    const replayed = replay(jobs, level({ leaving: 'stops' }, 60), WORLD);
    expect(replayed).toMatchObject({ peakInstances: 2, unusedLaunches: 1, launches: 3, jobsKilled: 0 });
    // The unused instance stops at 268 + 3 + 90 + 60 + 15 = 436, and the group acts on that a minute later.
    expect(replayed.endedAt).toBe(496);
    expect(replayed.polls).toBe(9);
    // Two counts each; to AWS one look each, and three writes: two wanted, one, none.
    expect(replayed.requests).toEqual({ ci: 18, aws: 9 + 3 });
  });

  it('counts the idle time of a terminated instance', () => {
    const target = ({ now, unclaimed }: ScalerObservation) => ({
      desired: now < 200 || unclaimed > 0 ? 1 : 0,
      until: 200,
    });
    const policy = level({
      scaler: {
        kind: 'polls',
        polls: new Grid(5),
        target,
        requests: { ci: 2, aws: 1, write: 1, start: 0 },
      },
      reuse: true,
      protectedFromScaleIn: false,
      leavesAt: idleFor(1_000),
    });
    // Idle from 143 until the poll at 200.
    expect(replay([job(0, 50)], policy, WORLD)).toMatchObject({
      idleSeconds: 57,
      billedSeconds: 90 + 50 + 57,
    });
  });

  it('records queue and capacity at the given interval', () => {
    const { series } = replay([job(1, 100)], level(), WORLD, { seriesEvery: 60 });
    expect(series).toEqual([
      { at: 0, unclaimed: 0, running: 0, desired: 0, instances: 0 },
      { at: 60, unclaimed: 1, running: 0, desired: 1, instances: 1 },
      { at: 120, unclaimed: 0, running: 1, desired: 1, instances: 1 },
      { at: 180, unclaimed: 0, running: 1, desired: 1, instances: 1 },
    ]);
  });

  it('a runner whose job another one took while it asked finds the next one', () => {
    // The first is idle again at 196.5 and asks for the third job; the second boots at 198 and takes it at once.
    const jobs = [job(0, 100), job(104, 1), job(196.6, 100), job(210, 10)];
    const replayed = replay(jobs, level({ reuse: true }), WORLD);
    expect(waits(jobs, replayed).map((wait) => Math.round(wait * 10) / 10)).toEqual([93, 91.5, 1.4, 2.5]);
  });

  it('with reuse, the runner that became idle last takes the next job', () => {
    const jobs = [job(0, 100), job(0, 140), job(240, 10)];
    const runners: number[] = [];
    replay(jobs, level({ reuse: true }), WORLD, { claimed: (_, instance) => runners.push(instance.number) });
    expect(runners[2]).toBe(runners[1]);
  });

  it('reports that jobs never run, instead of running forever', () => {
    const none = level({ maxReplicas: 0 });
    expect(() => replay([job(0, 1), job(5, 1)], none, WORLD)).toThrow('2 of 2 jobs never run under level');
  });
});

describe('with any trace, policy and world,', () => {
  interface Claim {
    job: number;
    instance: number;
    at: number;
    until: number;
  }

  function observed(jobs: Job[], policy: Policy, world: World, options: ReplayOptions = {}) {
    const claims: Claim[] = [];
    const claimed: ReplayOptions['claimed'] = (number, instance, at, until) =>
      claims.push({ job: number, instance: instance.number, at, until });
    return { replayed: replay(jobs, policy, world, { ...options, claimed }), claims };
  }

  it('every job runs once, in the order of the queue, and no runner runs two at once', () => {
    fc.assert(
      fc.property(traces, choices, worlds, (jobs, choice, world) => {
        const { replayed, claims } = observed(jobs, policyOf(choice), world);
        expect(claims.map((claim) => claim.job)).toEqual(jobs.map((_, number) => number));
        const freeAt = new Map<number, number>();
        const { reuse } = policyOf(choice);
        for (const { job: number, instance, at, until } of claims) {
          expect(at).toBeGreaterThanOrEqual(jobs[number]?.queuedAt ?? Number.NaN);
          expect(at).toBe(replayed.startedAt[number]);
          if (!reuse) expect(freeAt.has(instance)).toBe(false);
          expect(at).toBeGreaterThanOrEqual(freeAt.get(instance) ?? 0);
          freeAt.set(instance, until);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('the components of each wait are at least 0 and add up to it', () => {
    fc.assert(
      fc.property(traces, choices, worlds, (jobs, choice, world) => {
        const replayed = replay(jobs, policyOf(choice), world);
        waits(jobs, replayed).forEach((wait, number) => {
          const parts = WAIT_PARTS.map((part) => replayed.parts[part][number] ?? Number.NaN);
          expect(Math.min(...parts)).toBeGreaterThanOrEqual(0);
          expect(parts.reduce((sum, part) => sum + part, 0)).toBeCloseTo(wait, 6);
        });
      }),
      { numRuns: 300 },
    );
  });

  it('the hours add up: boots, work, idle time, leaving, and boots for the warm pool', () => {
    fc.assert(
      fc.property(traces, choices, worlds, (jobs, choice, free) => {
        const policy = policyOf(choice);
        const keepsNone = 'settings' in choice ? choice.settings.schedules.length === 0 : true;
        fc.pre(policy.protectedFromScaleIn && policy.keeps(0) === 0 && keepsNone);
        const world = { ...free, minimumBilling: 0 };
        const replayed = replay(jobs, policy, world);
        const work = jobs.reduce((sum, { durationSeconds }) => sum + durationSeconds, 0);
        const { launches, warmLaunches, poolLaunches, idleSeconds } = replayed;
        const boots = (launches - warmLaunches) * world.boot + warmLaunches * world.warmBoot;
        const made = poolLaunches * (world.boot + world.warmStop);
        const leaving = launches * world.leave;
        expect(replayed.billedSeconds).toBeCloseTo(boots + work + idleSeconds + leaving + made, 4);
        // Each launch that is used runs one job.
        expect(launches - replayed.unusedLaunches).toBeLessThanOrEqual(jobs.length);
        if (!policy.reuse) expect(launches - replayed.unusedLaunches).toBe(jobs.length);
      }),
      { numRuns: 300 },
    );
  });

  it('there are never more instances than allowed', () => {
    fc.assert(
      fc.property(traces, choices, worlds, fc.integer({ min: 1, max: 5 }), (jobs, choice, world, most) => {
        const limited =
          'settings' in choice
            ? {
                ...choice,
                settings: { ...choice.settings, minReplicas: 0, maxReplicas: most, schedules: [] },
              }
            : { ...choice, parameters: {}, maxReplicas: most };
        const policy = policyOf(limited);
        // One that stops or detaches is replaced while it ends, so it takes no time here.
        const ends = policy.leaving === 'decrements' ? {} : { leaveCall: 0, leave: 0 };
        const { peakInstances } = replay(jobs, policy, { ...world, ...ends });
        expect(peakInstances).toBeLessThanOrEqual(most);
      }),
      { numRuns: 200 },
    );
  });

  it('skipped polls would have changed nothing', () => {
    fc.assert(
      fc.property(traces, choices, worlds, (jobs, choice, world) => {
        const options = { seriesEvery: 30 };
        const fast = replay(jobs, policyOf(choice), world, options);
        const slow = replay(jobs, policyOf(choice), world, { ...options, everyPoll: true });
        expect(slow.pollsMade).toBe(slow.polls);
        expect({ ...fast, pollsMade: 0 }).toEqual({ ...slow, pollsMade: 0 });
      }),
      { numRuns: 400 },
    );
  });

  it('the same trace gives the same bytes', () => {
    fc.assert(
      fc.property(traces, choices, worlds, (jobs, choice, world) => {
        const bytes = () => JSON.stringify(simulateOne(jobs, choice, world));
        expect(bytes()).toBe(bytes());
      }),
      { numRuns: 50 },
    );
  });
});

it('skips most polls of an idle fleet under every policy', () => {
  const jobs = [job(0, 100), job(40_000, 100)];
  const polling = [ours(), ...PEERS.map(({ name }) => ({ name, parameters: {}, maxReplicas: 10 }))]
    .map((choice) => replay(jobs, policyOf(choice), WORLD))
    .filter(({ polls }) => polls > 0);
  expect(polling.length).toBeGreaterThan(5);
  for (const { polls, pollsMade } of polling) {
    expect(polls).toBeGreaterThan(600);
    expect(pollsMade).toBeLessThan(50);
  }
});

describe('empty time costs nothing:', () => {
  it('hours without a job, as if each poll of them was made', () => {
    const jobs = [job(3, 60), job(30_000.5, 60), job(86_400 * 3 + 7, 60)];
    const policy = () => policyOf(ours());
    const fast = replay(jobs, policy(), WORLD);
    const slow = replay(jobs, policy(), WORLD, { everyPoll: true });
    expect(fast).toEqual({ ...slow, pollsMade: fast.pollsMade });
    expect(fast.pollsMade).toBeLessThan(slow.pollsMade / 20);
  });

  it.each([
    { case: 'a month', seconds: 30 * 86_400 },
    { case: 'seven years', seconds: 7 * 366 * 86_400 },
    { case: 'the longest time that a trace may have', seconds: 1e12 },
  ])('$case between two jobs', ({ seconds }) => {
    const jobs = [job(0, 60), job(seconds, 60)];
    for (const choice of [ours(), ...PEERS.map(({ name }) => ({ name, parameters: {}, maxReplicas: 9 }))]) {
      const { pollsMade, launches } = replay(jobs, policyOf(choice), WORLD);
      expect(pollsMade).toBeLessThan(1_000);
      expect(launches).toBe(2);
    }
  });
});

it('jobs that take no time have no overhead', () => {
  const outcome = simulateOne([job(0, 0), job(9, 0)], ours(), { ...WORLD, boot: 0 });
  expect(outcome.overhead).toBeNull();
  expect(
    JSON.stringify(Object.values(outcome), (_, value) => (Number.isNaN(value) ? 'NaN' : value)),
  ).not.toContain('NaN');
});
