import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DURATIONS } from '../../sandbox/group/durations.ts';
import { type FleetWorld, Sandbox, type SandboxEvent, type SandboxFleet } from '../../sandbox/sandbox.ts';
import { counts, jobs, LINUX, oneFleet, openSandbox } from '../support/sandbox.ts';
import { tryFor } from '../support/time-limit.ts';

type Job = { queuedAt: number; durationSeconds: number };

interface RanTrace {
  world: FleetWorld;
  events: SandboxEvent[];
  seconds: number;
}

/** Runs a trace of jobs through a world of its own until all have ended and every instance has left. */
async function replay(trace: Job[], fleet: Partial<SandboxFleet> = {}): Promise<RanTrace> {
  const sandbox = await Sandbox.open();
  const events: SandboxEvent[] = [];
  sandbox.watch = (item) => events.push(item);
  const world = sandbox.addFleet(
    { ...LINUX, pollIntervalSeconds: 15, quietPollIntervalSeconds: 15, ...fleet },
    trace,
  );
  await sandbox.drain(trace.length);
  return { world, events, seconds: sandbox.now };
}

/** After this time, in milliseconds, no further trace is tried. */
const ENOUGH = 20_000;

const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);

const traces = fc.array(
  fc.record({ queuedAt: fc.nat({ max: 400 }), durationSeconds: fc.integer({ min: 1, max: 300 }) }),
  { minLength: 1, maxLength: 12 },
);
const fleets = fc.record({
  maxReplicas: fc.integer({ min: 1, max: 6 }),
  pollIntervalSeconds: fc.constantFrom(10, 20, 60),
});

function everyJobRanOnce({ world, events }: RanTrace, trace: Job[]): void {
  const { tasks } = world.queue;
  expect(tasks).toHaveLength(trace.length);
  for (const { queuedAt, startedAt = Number.NaN, endedAt, durationSeconds, killed } of tasks) {
    expect(startedAt).toBeGreaterThanOrEqual(queuedAt);
    expect(endedAt).toBeCloseTo(startedAt + durationSeconds, 6);
    expect(killed).toBeUndefined();
  }
  expect(events.filter(({ kind }) => kind === 'claims')).toHaveLength(trace.length);
  expect(events.filter(({ kind }) => kind === 'finishes')).toHaveLength(trace.length);
  const runners = events.filter(({ kind }) => kind === 'claims').map(({ subject }) => subject);
  expect(new Set(runners).size).toBe(runners.length);
}

function mostAtOnce(events: SandboxEvent[]): number {
  let there = 0;
  let most = 0;
  for (const { kind } of events) {
    if (kind === 'launches') there += 1;
    if (kind === 'leaves') there -= 1;
    most = Math.max(most, there);
  }
  return most;
}

describe('whatever the trace of jobs,', () => {
  it('each job runs once and on an instance of its own, and there are never too many instances', async () => {
    await fc.assert(
      fc.asyncProperty(
        traces,
        fleets,
        tryFor(ENOUGH, async (trace, fleet) => {
          const outcome = await replay(trace, fleet);
          everyJobRanOnce(outcome, trace);
          const { totals } = outcome.world.group;
          expect(totals).toMatchObject({ launches: trace.length, unusedLaunches: 0, refusedLaunches: 0 });
          const work = sum(trace.map(({ durationSeconds }) => durationSeconds));
          expect(totals.billedSeconds).toBeGreaterThanOrEqual(work + trace.length * DURATIONS.boot);
          expect(mostAtOnce(outcome.events)).toBeLessThanOrEqual(fleet.maxReplicas);
          expect(outcome.world.outcomes.failed).toBe(0);
        }),
      ),
      { numRuns: 20 },
    );
  });

  it('launches that EC2 refuses, and instances that never come alive, lose no job', async () => {
    const faults = fc.array(fc.constantFrom('refused', 'dead', undefined), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(
        traces,
        faults,
        tryFor(ENOUGH, async (trace, faults) => {
          const remaining = [...faults];
          const durations = { launchHook: 120 };
          const outcome = await replay(trace, { durations, launchFault: () => remaining.shift() });
          everyJobRanOnce(outcome, trace);
        }),
      ),
      { numRuns: 12 },
    );
  });

  it('minReplicas instances are there, idle or not, as long as the schedule runs', async () => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet({ ...LINUX, minReplicas: 2 }, [...jobs(1, 60, 130)]);
    // An instance that leaves lowers the desired capacity, and the next poll raises it: each 5 s, up to second 50.
    let below = 0;
    let longest = 0;
    for (let second = 1; second <= 1_200; second += 1) {
      sandbox.agenda.plan(second, () => {
        below = world.group.desired < 2 ? below + 1 : 0;
        longest = Math.max(longest, below);
      });
    }
    await sandbox.runUntil(1_200);
    const [task] = world.queue.tasks;
    expect(task?.startedAt).toBe(130 + DURATIONS.idleClaim);
    expect(longest).toBeGreaterThan(0);
    expect(longest).toBeLessThanOrEqual(10);
    expect(world.group.totals.unusedLaunches).toBeGreaterThan(0);
  });

  it('the same trace gives the same figures', async () => {
    await fc.assert(
      fc.asyncProperty(
        traces,
        fleets,
        tryFor(ENOUGH, async (trace, fleet) => {
          const [first, second] = [await replay(trace, fleet), await replay(trace, fleet)];
          expect(second.events).toEqual(first.events);
          expect(second.seconds).toBe(first.seconds);
          expect(second.world.group.totals).toEqual(first.world.group.totals);
          expect(second.world.queue.tasks).toEqual(first.world.queue.tasks);
          expect(second.world.executions).toEqual(first.world.executions);
        }),
      ),
      { numRuns: 6 },
    );
  });
});

describe('a trace', () => {
  it('with one job: the job waits for the poll, the request, and the boot', async () => {
    const { world } = await replay([{ queuedAt: 0, durationSeconds: 100 }], { pollIntervalSeconds: 5 });
    const [task] = world.queue.tasks;
    expect(task?.startedAt).toBe(DURATIONS.request + DURATIONS.boot);
    expect(world.group.totals.billedSeconds).toBe(DURATIONS.boot + 100 + DURATIONS.leave);
  });

  it('that comes between two polls waits for the second one', async () => {
    const { world } = await replay([{ queuedAt: 11, durationSeconds: 10 }], {
      pollIntervalSeconds: 5,
      quietPollIntervalSeconds: 5,
    });
    expect(world.queue.tasks[0]?.startedAt).toBe(15 + DURATIONS.request + DURATIONS.boot);
  });

  it('with a burst launches one instance for each job, at once, and no unused one', async () => {
    const { world } = await replay(jobs(7, 60), { pollIntervalSeconds: 5 });
    const ready = DURATIONS.request + DURATIONS.boot;
    expect(world.queue.tasks.map(({ startedAt }) => startedAt)).toEqual(Array(7).fill(ready));
    expect(world.group.totals).toMatchObject({ launches: 7, unusedLaunches: 0 });
  });

  it('longer than maxReplicas is worked off in turns, first come, first served', async () => {
    const trace = jobs(7, 60);
    const { world } = await replay(trace, { maxReplicas: 3, pollIntervalSeconds: 5 });
    const starts = world.queue.tasks.map(({ startedAt }) => startedAt ?? Number.NaN);
    expect(starts).toEqual(starts.toSorted((a, b) => a - b));
    expect(new Set(starts).size).toBe(3);
    expect(world.group.totals.launches).toBe(7);
  });

  it('ends when only the minReplicas instances are left', async () => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet({ ...LINUX, minReplicas: 2 }, jobs(5));
    await sandbox.drain(5);
    expect(counts(world.queue)).toEqual({ unclaimed: 0, running: 0, ended: 5 });
    expect(world.group.size).toBeLessThanOrEqual(2);
    expect(sandbox.now).toBeLessThan(1_200);
  });

  it('without protection from scale-in loses no job either: the workflow takes nobody away', async () => {
    const trace = [...jobs(1, 900), ...jobs(4, 200)];
    const outcome = await replay(trace, { newInstancesProtectedFromScaleIn: false });
    everyJobRanOnce(outcome, trace);
  });
});

describe('the sandbox', () => {
  it('replaces nothing global, not even while it runs', async () => {
    const globals = () => ({
      fetch,
      Date,
      setTimeout,
      clearTimeout,
      setImmediate,
      timeout: AbortSignal.timeout,
      random: Math.random,
      write: process.stdout.write,
    });
    const before = globals();
    const { sandbox, execute } = await oneFleet({ queued: 1 });
    const seen: ReturnType<typeof globals>[] = [];
    sandbox.circleci.fault = () => {
      seen.push(globals());
      return undefined;
    };
    await execute();
    expect(seen.length).toBeGreaterThan(1);
    for (const each of [...seen, globals()]) expect(each).toEqual(before);
  });

  it('retries after the same waits when it is run again, jitter or not', async () => {
    const path = async () => {
      const { sandbox, execute } = await oneFleet({ queued: 2 });
      sandbox.circleci.fault = () =>
        sandbox.circleci.requests % 5 === 0 ? { status: 500, body: '' } : undefined;
      const execution = await execute();
      return execution.path;
    };
    const first = await path();
    expect(first.filter(({ retries }) => retries > 0).length).toBeGreaterThan(1);
    expect(await path()).toEqual(first);
  });

  it('gives up on jobs that nothing will ever run', async () => {
    const sandbox = await openSandbox();
    sandbox.addFleet({ ...LINUX, pollIntervalSeconds: 60 }, jobs(2));
    sandbox.aws.secrets.clear();
    await expect(sandbox.drain(2, 7_200)).rejects.toThrow(
      '2 jobs never ran: no instance came for them in 2 hours',
    );
    expect(sandbox.now).toBeGreaterThan(7_200);
    expect(sandbox.now).toBeLessThan(7_200 + 180);
  });

  it('waits for the instance of a last job that comes long after all others', async () => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet({ ...LINUX, pollIntervalSeconds: 60 }, [
      ...jobs(1),
      ...jobs(1, 60, 4 * 3_600),
    ]);
    await sandbox.drain(2, 3_600);
    expect(world.queue.ended).toBe(2);
  });

  it('keeps keepExecutions executions, and counts all', async () => {
    const sandbox = await openSandbox({ keepExecutions: 2 });
    const world = sandbox.addFleet({ ...LINUX, pollIntervalSeconds: 60 });
    const ended: string[] = [];
    sandbox.ended = (_, { name }) => ended.push(name);
    await sandbox.runUntil(240);
    expect(world.executions.map(({ name }) => name)).toEqual(['linux-3', 'linux-4']);
    expect(world.outcomes).toEqual({ succeeded: 4, failed: 0 });
    expect(ended).toEqual(['linux-1', 'linux-2', 'linux-3', 'linux-4']);
  });

  it('starts an execution at every full minute', async () => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet({ ...LINUX, pollIntervalSeconds: 60 });
    await sandbox.runUntil(180);
    const starts = world.executions.map(({ startedAt }) => new Date(startedAt).toISOString().slice(11, 19));
    expect(starts).toEqual(['08:00:00', '08:01:00', '08:02:00']);
  });

  it('keeps to the full minutes after an execution that was run by hand', async () => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet({ ...LINUX, quietPollIntervalSeconds: 5 });
    await sandbox.execute('linux');
    await sandbox.runUntil(240);
    const starts = world.executions.map(({ startedAt }) => new Date(startedAt).toISOString().slice(11, 19));
    expect(starts).toEqual(['08:00:00', '08:01:00', '08:02:00', '08:03:00']);
  });

  it('says which fleet it does not have', async () => {
    const sandbox = await openSandbox();
    expect(() => sandbox.fleet('nobody')).toThrow('no fleet nobody');
  });
});
