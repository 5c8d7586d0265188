import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Faults, NO_FAULTS } from '../../sandbox/group/faults.ts';
import type { Job } from '../../sandbox/trace.ts';
import { policyOf } from '../../simulator/peers.ts';
import type { OursSettings } from '../../simulator/policies/ours.ts';
import { replay } from '../../simulator/replay.ts';
import { WORLD } from '../../simulator/world.ts';
import { choices, ours } from '../simulator/choices.ts';
import { traces } from '../simulator/generated-traces.ts';

const HOUR = 3_600;
const FAILURES = 3;

const run = (settings: Partial<OursSettings>, jobs: Job[], faults: Partial<Faults>, boot = WORLD.boot) =>
  replay(jobs, policyOf(ours(settings)), { ...WORLD, boot }, { faults: { ...NO_FAULTS, ...faults } });

/** How many canaries fit into a time: they come 2, 4, 8, 16 and then 30 minutes apart. */
function canariesIn(seconds: number): number {
  let canaries = 0;
  for (let at = 0; at < seconds; canaries += 1) at += Math.min(120 * 2 ** canaries, 1_800);
  return canaries;
}

/** Each poll interval that `fleets.yaml` allows, and idle times that are longer than three of them, as it demands. */
const intervalsFrom = (...idleTimes: number[]) => ({
  intervals: fc
    .record({
      pollInterval: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 60 })),
      idleTimeout: fc.constantFrom(...idleTimes, 30, 31, 60, 150, 300, 900),
    })
    .map(({ pollInterval, idleTimeout }) => ({
      pollInterval,
      quietPollInterval: 60,
      idleTimeout: Math.max(idleTimeout, 3 * pollInterval + 1),
    })),
});

/**
 * Launches before the first evidence. A burst of a healthy fleet has as many under way before the first instance has booted.
 * Runners that leave sooner than evidence can come are replaced meanwhile.
 */
const beforeEvidence = ({ maxReplicas, idleTimeout }: Leaving) =>
  (idleTimeout < SOON ? 4 : 1) * Math.max(maxReplicas, FAILURES);

interface Leaving {
  maxReplicas: number;
  idleTimeout: number;
}

/** Runners that leave sooner are idle at few polls. */
const SOON = 150;

/** The most launches that run nothing. Some of the canaries that leave soon do not count, so the next ones come sooner. */
const mostUnused = (settings: Leaving, seconds: number) =>
  beforeEvidence(settings) + FAILURES + 1 + (settings.idleTimeout < SOON ? 2 : 1) * canariesIn(seconds);

describe('while CircleCI hands out no tasks', () => {
  it('launches that run nothing are bounded, whatever the demand, and every job runs afterwards', () => {
    const settings = fc.record({
      maxReplicas: fc.integer({ min: 1, max: 20 }),
      ...intervalsFrom(30),
    });
    fc.assert(
      fc.property(
        settings,
        traces,
        fc.integer({ min: 1, max: 6 }),
        ({ intervals, ...others }, jobs, hours) => {
          const settings = { ...others, ...intervals };
          const last = jobs.at(-1)?.queuedAt ?? 0;
          const until = last + hours * HOUR;
          const result = run(settings, jobs, { deafRunners: [{ from: 0, to: until, share: 1 }] });
          expect(result.unusedLaunches).toBeLessThanOrEqual(mostUnused(settings, until));
          expect(result.startedAt.every(Number.isFinite)).toBe(true);
        },
      ),
      { numRuns: 150 },
    );
  });

  it.each([1, 5, 30, 50, 51, 55, 60])(
    'ten tasks launch 18 instances in 3 hours, not 250, with a poll every %s s',
    (pollInterval) => {
      const jobs = Array.from({ length: 10 }, () => ({ queuedAt: 5, durationSeconds: 300 }));
      const deafRunners = [{ from: 0, to: 3 * HOUR, share: 1 }];
      const settings = { maxReplicas: 20, pollInterval, quietPollInterval: 60 };
      expect(run(settings, jobs, { deafRunners }).unusedLaunches).toBeLessThanOrEqual(19);
    },
  );
});

/** Tasks of these durations, with a limit of how many may run. Some wait until the limit ends. */
const backlogs = (...durations: number[]) =>
  fc.record({
    limit: fc.integer({ min: 1, max: 8 }),
    hours: fc.integer({ min: 1, max: 8 }),
    minutes: fc.array(fc.constantFrom(...durations), { minLength: 1, maxLength: 8 }),
    everySeconds: fc.constantFrom(0, 5, 30),
  });
type Backlog = ReturnType<typeof backlogs> extends fc.Arbitrary<infer T> ? T : never;

/** Plays a backlog behind a limit. No job may be killed, and each must run after the limit is lifted. */
function limited(
  settings: Partial<OursSettings> & { maxReplicas: number; idleTimeout: number },
  { limit, hours, minutes, everySeconds }: Backlog,
  others: Partial<Faults>,
  boot = WORLD.boot,
) {
  const lasts = hours * HOUR;
  const mean = minutes.reduce((sum, each) => sum + each, 0) / minutes.length;
  const length =
    settings.maxReplicas + Math.ceil((Math.max(limit, 1) * lasts) / 60 / mean) + minutes.length * limit;
  const jobs = Array.from({ length }, (_, number) => ({
    queuedAt: 5 + Math.min(number * everySeconds, lasts),
    durationSeconds: 60 * (minutes[number % minutes.length] ?? 0),
  }));
  const taskLimits = [{ from: 0, to: lasts, count: limit }];
  const result = run(settings, jobs, { ...others, taskLimits }, boot);
  expect(result.jobsKilled).toBe(0);
  expect(result.startedAt.every(Number.isFinite)).toBe(true);
  const { unusedLaunches, launches } = result;
  const most = mostUnused(settings, lasts);
  return { most, unusedLaunches, launches, lasts };
}

describe('while CircleCI refuses claims, or counts tasks that nobody runs', () => {
  const reuses = fc.constantFrom('single-task' as const, 'continuous' as const);
  const settings = fc.record({
    maxReplicas: fc.integer({ min: 1, max: 20 }),
    idleTimeout: fc.constantFrom(150, 300, 900),
    reuse: reuses,
  });
  const window = fc
    .record({ from: fc.nat({ max: 3_000 }), hours: fc.integer({ min: 1, max: 4 }) })
    .map(({ from, hours }) => ({ from, to: from + hours * HOUR }));

  it('launches that run nothing are bounded, no job is killed, and every job runs afterwards', () => {
    const faults = fc.record({
      phantoms: fc.record({
        from: fc.nat({ max: 6_000 }),
        hours: fc.nat({ max: 8 }),
        count: fc.nat({ max: 30 }),
      }),
      foreignRunners: fc.constantFrom(0, 0, 1, 3),
      share: fc.constantFrom(0, 1 / 6, 1 / 2),
      limit: fc.constantFrom(0, 0, 1, 2),
    });
    fc.assert(
      fc.property(
        fc.record({ maxReplicas: fc.integer({ min: 1, max: 20 }), reuse: reuses, ...intervalsFrom() }),
        traces,
        window,
        faults,
        ({ intervals, ...others }, jobs, refused, { phantoms, foreignRunners, share, limit }) => {
          const settings = { ...others, ...intervals };
          const { from, hours, count } = phantoms;
          const result = run(settings, jobs, {
            taskLimits: [{ ...refused, count: limit }],
            phantomTasks: [{ from, to: from + hours * HOUR, count }],
            zoneRefusals: [{ ...refused, share }],
            foreignRunners,
          });
          // Tasks that nobody runs look like claims, and the count begins again.
          const again = hours * count > 0 ? (60 * (refused.to - refused.from)) / HOUR : 0;
          // A runner outside the group takes the task that a launch came for, and nothing tells these claims from others.
          const taken = foreignRunners > 0 ? jobs.length : 0;
          const most = mostUnused(settings, refused.to - refused.from) + taken + again;
          expect(result.unusedLaunches).toBeLessThanOrEqual(most);
          expect(result.jobsKilled).toBe(0);
          expect(result.startedAt.every(Number.isFinite)).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });

  it.each([1, 4, 12])(
    'one task launches 15 instances in 3 hours while %s tasks run elsewhere, not 113',
    (count) => {
      const threeHours = { from: 0, to: 3 * HOUR };
      const faults = {
        taskLimits: [{ ...threeHours, count: 0 }],
        phantomTasks: [{ ...threeHours, count }],
      };
      const { unusedLaunches } = run({ maxReplicas: 20 }, [{ queuedAt: 5, durationSeconds: 300 }], faults);
      expect(unusedLaunches).toBeLessThanOrEqual(15);
    },
  );

  it('tasks that nobody runs launch nothing: 4 of them for 6 hours, 212 launches before', () => {
    const phantomTasks = [{ from: 0, to: 6 * HOUR, count: 4 }];
    const jobs = [...Array(4)].map((_, number) => ({ queuedAt: 600 + number * 4_800, durationSeconds: 300 }));
    expect(run({ maxReplicas: 20 }, jobs, { phantomTasks })).toMatchObject({
      launches: 4,
      unusedLaunches: 0,
    });
  });

  // Without these tasks, the fleets launch 15, 107 and 3 times.
  it.each<{ settings: Partial<OursSettings>; from: number; launches: number; was: number }>([
    { settings: { minReplicas: 2 }, from: 0, launches: 16, was: 43 },
    { settings: { minReplicas: 2 }, from: HOUR, launches: 28, was: 39 },
    { settings: { minReplicas: 2, recycleAfter: 300 }, from: 0, launches: 111, was: 326 },
    { settings: { minReplicas: 2, recycleAfter: 300 }, from: HOUR, launches: 111, was: 290 },
    { settings: { headroom: 2 }, from: 0, launches: 64, was: 186 },
    { settings: { headroom: 2 }, from: HOUR, launches: 53, was: 156 },
  ])(
    'and $launches in 6 hours beside the idle runners of $settings, $was before: 4 of them from second $from',
    ({ settings, from, launches }) => {
      const phantomTasks = [{ from, to: 6 * HOUR, count: 4 }];
      const jobs = [{ queuedAt: 6 * HOUR - 600, durationSeconds: 60 }];
      const result = run({ maxReplicas: 20, ...settings }, jobs, { phantomTasks });
      expect(result.launches).toBe(launches);
      expect(result.startedAt.every(Number.isFinite)).toBe(true);
    },
  );

  it.each([
    { limit: 1, jobs: 20, minutes: 30, unused: 37, was: 232 },
    { limit: 2, jobs: 20, minutes: 30, unused: 29, was: 109 },
    { limit: 5, jobs: 20, minutes: 30, unused: 20, was: 37 },
    { limit: 2, jobs: 200, minutes: 3, unused: 16, was: 594 },
    { limit: 5, jobs: 200, minutes: 3, unused: 10, was: 90 },
  ])(
    'a limit of $limit lets $unused launches run nothing, not $was: $jobs jobs of $minutes min',
    ({ limit, jobs: number, minutes, unused }) => {
      const jobs = Array.from({ length: number }, () => ({ queuedAt: 5, durationSeconds: 60 * minutes }));
      const taskLimits = [{ from: 0, to: Number.POSITIVE_INFINITY, count: limit }];
      const result = run({ maxReplicas: 20 }, jobs, { taskLimits });
      expect(result.unusedLaunches).toBe(unused);
      expect(result.startedAt.every(Number.isFinite)).toBe(true);
    },
  );

  it('short tasks that arrive as fast as the limit lets them run let 4 launches run nothing in 8 hours, not 275', () => {
    const arrivals = { limit: 1, hours: 8, minutes: [0.5], everySeconds: 30 as const };
    const fleet = { maxReplicas: 9, idleTimeout: 300, reuse: 'continuous' as const };
    expect(limited(fleet, arrivals, {})).toMatchObject({ most: 32, unusedLaunches: 4 });
    expect(limited({ ...fleet, concurrency: { limit: 1, fleets: [] } }, arrivals, {}).unusedLaunches).toBe(0);
  });

  it('launches beyond a limit of tasks are bounded, and every job runs after it is lifted', () => {
    fc.assert(
      fc.property(settings, backlogs(0.5, 1, 2, 3, 5, 10, 15, 30, 60), (settings, backlog) => {
        const { most, unusedLaunches } = limited(settings, backlog, {});
        expect(unusedLaunches).toBeLessThanOrEqual(most);
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    {
      settings: { maxReplicas: 19, idleTimeout: 30, pollInterval: 6 },
      reuse: 'continuous' as const,
      unused: 55,
      was: 7_333,
    },
    {
      settings: { maxReplicas: 19, idleTimeout: 31, pollInterval: 10 },
      reuse: 'continuous' as const,
      unused: 61,
      was: 7_333,
    },
  ])(
    'runners that leave after $settings.idleTimeout s let at most $unused launches run nothing in 7 hours with a limit of 1, not $was',
    ({ settings, reuse, unused }) => {
      const lasts = 7 * HOUR;
      const jobs = Array.from({ length: 233 }, (_, number) => ({
        queuedAt: 5,
        durationSeconds: number % 2 === 0 ? 60 : 180,
      }));
      const taskLimits = [{ from: 0, to: lasts, count: 1 }];
      const result = run({ ...settings, reuse, quietPollInterval: 60 }, jobs, { taskLimits }, 20);
      expect(result.unusedLaunches).toBeLessThanOrEqual(unused);
      expect(result.startedAt.every(Number.isFinite)).toBe(true);
    },
  );

  it('launches that run nothing are bounded with each idle time, poll interval, boot time and duration', () => {
    const legal = fc.record({
      maxReplicas: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 60 })),
      reuse: reuses,
      ...intervalsFrom(45, 90),
    });
    const others = fc.record({
      boot: fc.constantFrom(20, 35, 90, 200),
      share: fc.constantFrom(0, 0, 1 / 6, 1 / 2),
    });
    fc.assert(
      fc.property(
        legal,
        backlogs(0.1, 0.5, 1, 2, 3, 5, 10, 15, 30, 60),
        fc.integer({ min: 0, max: 8 }),
        others,
        ({ intervals, ...settings }, backlog, limit, { boot, share }) => {
          const zoneRefusals = [{ from: 0, to: Number.POSITIVE_INFINITY, share }];
          const given = { ...settings, ...intervals };
          const { unusedLaunches, launches, lasts } = limited(
            given,
            { ...backlog, limit },
            { zoneRefusals },
            boot,
          );
          const sum = Math.max(settings.maxReplicas, FAILURES) + FAILURES + 1 + canariesIn(lasts);
          const used = launches - unusedLaunches;
          const isLong = intervals.pollInterval <= 10 && Math.min(...backlog.minutes) >= 0.5;
          expect(unusedLaunches).toBeLessThanOrEqual((isLong ? 6 : 12) * sum + used);
        },
      ),
      { numRuns: 150 },
    );
  });

  it("a fleet that knows the plan's concurrency launches nothing beyond it", () => {
    fc.assert(
      fc.property(settings, traces, fc.integer({ min: 1, max: 6 }), (settings, jobs, limit) => {
        const taskLimits = [{ from: 0, to: Number.POSITIVE_INFINITY, count: limit }];
        const result = run({ ...settings, concurrency: { limit, fleets: [] } }, jobs, { taskLimits });
        expect(result.unusedLaunches).toBe(
          run({ ...settings, maxReplicas: Math.min(settings.maxReplicas, limit) }, jobs, {}).unusedLaunches,
        );
        expect(result.startedAt.every(Number.isFinite)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });
});

describe('a healthy fleet', () => {
  const oursAlone = choices.filter((choice) => choice.name === 'ours');

  it('is never held, whatever its load and its settings are', () => {
    const faults = fc.record({
      seed: fc.nat({ max: 1_000 }),
      spotInterruptions: fc.constantFrom(0, 1),
      foreignRunners: fc.constantFrom(0, 2),
      readGap: fc.constantFrom(0, 0.5),
    });
    fc.assert(
      fc.property(oursAlone, traces, faults, (choice, jobs, faults) => {
        if (!('settings' in choice)) throw new Error('not ours');
        const given = { ...NO_FAULTS, ...faults };
        const withFailures = (failures: number) => {
          const settings = { ...choice.settings, breaker: { ...choice.settings.breaker, failures } };
          return replay(jobs, policyOf(ours(settings)), WORLD, { faults: given });
        };
        const held = withFailures(FAILURES);
        const free = withFailures(1_000);
        expect({ ...held, pollsMade: 0 }).toEqual({ ...free, pollsMade: 0 });
      }),
      { numRuns: 300 },
    );
  });

  /** Hundreds of jobs at once, in bursts, at a steady rate or at random times, from 10 s on, and as long as the idle time. */
  const manyJobs = fc
    .record({
      kind: fc.constantFrom('burst', 'bursts', 'steady', 'random'),
      number: fc.integer({ min: 20, max: 400 }),
      gap: fc.constantFrom(0.5, 1, 2, 5, 7, 15, 60),
      durations: fc.constantFrom([10], [10, 60], [20, 31, 60], [30], [120, 300], [20, 40, 600]),
      random: fc.infiniteStream(fc.double({ min: 0.001, max: 1, noNaN: true })),
    })
    .map(({ kind, number, gap, durations, random }) => {
      let at = 1;
      const next = () => random.next().value ?? 1;
      return Array.from({ length: number }, (_, index): Job => {
        if (kind === 'steady') at += gap;
        if (kind === 'random') at -= Math.log(next()) * gap;
        if (kind === 'bursts' && index % 25 === 0) at += 25 * gap + 100 * next();
        const durationSeconds = durations[index % durations.length] ?? 0;
        return { queuedAt: Math.round(at * 10) / 10, durationSeconds };
      });
    });

  it('is never held with the shortest idle times, whatever its boots take and however many jobs come', () => {
    const settings = fc.record({
      maxReplicas: fc.constantFrom(3, 20, 60, 500),
      reuse: fc.constantFrom('single-task' as const, 'continuous' as const),
      minReplicas: fc.constantFrom(0, 0, 2),
      headroom: fc.constantFrom(0, 0, 2, '30%'),
      spareRunners: fc.constantFrom(undefined, undefined, 'auto' as const),
      maxSurge: fc.constantFrom(undefined, undefined, 1, 4),
      others: fc.constantFrom<Partial<OursSettings>>(
        {},
        { warmPool: { size: 3, state: 'stopped' } },
        { warmPool: { size: 'auto', state: 'stopped' } },
        { spot: { percentage: 60, onDemandBase: 1 } },
        { spot: { percentage: 100, onDemandBase: 0 }, unsafeRetries: true },
      ),
      ...intervalsFrom(45, 90),
    });
    const faults = fc.record({
      seed: fc.nat({ max: 1_000 }),
      spotInterruptions: fc.constantFrom(0, 0, 1, 5),
      readGap: fc.constantFrom(0, 0.5),
      runningLags: fc.constantFrom([], [{ from: 0, to: Number.POSITIVE_INFINITY, count: 10 }]),
    });
    const world = fc.record({ boot: fc.constantFrom(20, 35, 90, 200), leaveCall: fc.constantFrom(3, 5, 15) });
    fc.assert(
      fc.property(
        settings,
        manyJobs,
        faults,
        world,
        ({ intervals, others, ...settings }, jobs, faults, world) => {
          // Tasks of 10 s may fall between two polls that are further apart.
          const pollInterval = Math.min(intervals.pollInterval, 5);
          const withFailures = (failures: number) => {
            const { settings: all } = ours({ ...settings, ...others, ...intervals, pollInterval });
            const policy = policyOf({
              name: 'ours',
              settings: { ...all, breaker: { ...all.breaker, failures } },
            });
            return replay(jobs, policy, { ...WORLD, ...world }, { faults: { ...NO_FAULTS, ...faults } });
          };
          expect({ ...withFailures(FAILURES), pollsMade: 0 }).toEqual({
            ...withFailures(1_000),
            pollsMade: 0,
          });
        },
      ),
      { numRuns: 200 },
    );
  });

  it('is not held although no claim is seen, because as many tasks come as end', () => {
    // One job a minute, each of 5 minutes: at every poll there are as many as before.
    const jobs = Array.from({ length: 240 }, (_, number) => ({
      queuedAt: 60 * number + 1,
      durationSeconds: 300,
    }));
    expect(run({ pollInterval: 60 }, jobs, {}).unusedLaunches).toBe(0);
  });
});
