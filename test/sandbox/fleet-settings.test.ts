import { describe, expect, it } from 'vitest';
import { DURATIONS } from '../../sandbox/group/durations.ts';
import type { FleetWorld, SandboxEvent } from '../../sandbox/sandbox.ts';
import type { EndedExecution } from '../../sandbox/workflow.ts';
import { jobs, LINUX, oneFleet, openSandbox, visits } from '../support/sandbox.ts';

const { request, boot, idleClaim } = DURATIONS;
const READY = request + boot;
const MINUTE = 60;

/** For an hour in which it does not matter how often the fleet is polled, and for hours. */
const RARELY_POLLED = { ...LINUX, pollIntervalSeconds: 15 };
const SELDOM_POLLED = { ...LINUX, pollIntervalSeconds: 30 };

const waits = ({ queue }: FleetWorld) =>
  queue.tasks.map(({ queuedAt, startedAt = Number.POSITIVE_INFINITY }) => startedAt - queuedAt);

/** Jobs one after the other, so that one kept runner is enough for all. */
const inTurn = (number: number, everySeconds: number, from = 0) =>
  Array.from({ length: number }, (_, index) => ({
    queuedAt: from + index * everySeconds,
    durationSeconds: 300,
  }));

describe('headroom', () => {
  it('lets a job find a runner within seconds while others run, which would have waited for a boot', async () => {
    const trace = inTurn(5, 3 * MINUTE);
    const waited: Record<string, number[]> = {};
    for (const headroom of [0, 1, '20%']) {
      const sandbox = await openSandbox();
      const world = sandbox.addFleet({ ...RARELY_POLLED, headroom }, trace);
      await sandbox.drain(trace.length);
      waited[headroom] = waits(world);
    }
    expect(waited[0]?.slice(1).every((seconds) => seconds >= READY)).toBe(true);
    // Nobody was there for the first one.
    expect(waited[1]).toEqual([READY, ...Array(4).fill(idleClaim)]);
    expect(waited['20%']).toEqual(waited[1]);
  });

  it('is let go when the last job has ended, by runners that idle out', async () => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet({ ...LINUX, headroom: 2 }, jobs(1, 60));
    await sandbox.runUntil(20 * MINUTE);
    expect(world.group).toMatchObject({ desired: 0, size: 0 });
    expect(world.group.totals).toMatchObject({ launches: 3, unusedLaunches: 2 });
  });
});

describe('minReplicas', () => {
  it('is a floor of runners without a task: busy ones do not use it up', async () => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet({ ...LINUX, minReplicas: 2 }, [
      ...jobs(2, 900, 300),
      ...jobs(2, 900, 420),
    ]);
    await sandbox.runUntil(10 * MINUTE);
    expect(waits(world)).toEqual(Array(4).fill(idleClaim));
    expect(world.group.desired).toBe(6);
  });

  it('survives idle exits: for each one a fresh instance comes, for as long as the schedule runs', async () => {
    const sandbox = await openSandbox();
    const events: SandboxEvent[] = [];
    sandbox.watch = (item) => events.push(item);
    const durations = { idleTimeout: 1_200, idleSpread: 600 };
    const world = sandbox.addFleet({ ...SELDOM_POLLED, minReplicas: 2, durations });
    await sandbox.runUntil(120 * MINUTE);
    const count = (what: string) => events.filter(({ kind }) => kind === what).length;
    expect(count('idles out')).toBeGreaterThanOrEqual(10);
    expect(count('launches')).toBe(count('leaves') + 2);
    expect(world.group).toMatchObject({ desired: 2, size: 2 });
    expect(world.outcomes.failed).toBe(0);
    // They came at once, and do not leave at once: the second one waits until the first one's successor is there.
    const [first = 0, second = 0] = events.filter(({ kind }) => kind === 'idles out').map(({ at }) => at);
    expect(second - first).toBeGreaterThan(MINUTE + READY);
  });

  it('is replaced once an hour if recycleAfter is an hour', async () => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet({ ...SELDOM_POLLED, minReplicas: 2, durations: { idleTimeout: 3_600 } });
    await sandbox.runUntil(180 * MINUTE);
    expect(world.group.totals.launches).toBe(2 * 3);
  });
});

describe('maxSurge', () => {
  it('launches a burst in steps, and no step waits for the boots of the one before', async () => {
    const sandbox = await openSandbox();
    const launched: number[] = [];
    sandbox.watch = ({ at, kind }) => {
      if (kind === 'launches') launched.push(at);
    };
    const world = sandbox.addFleet({ ...LINUX, maxSurge: 3 }, jobs(8, 60));
    await sandbox.drain(8);
    expect(launched).toEqual([0, 0, 0, 5, 5, 5, 10, 10]);
    expect(waits(world)).toEqual([0, 0, 0, 5, 5, 5, 10, 10].map((at) => at + READY));
  });

  it('and the breaker: the canary is one, whatever maxSurge allows', async () => {
    let failing = true;
    const sandbox = await openSandbox();
    const world = sandbox.addFleet(
      { ...LINUX, maxSurge: 4, launchFault: () => (failing ? 'failing' : undefined) },
      jobs(8, 60),
    );
    await sandbox.runUntil(5 * MINUTE);
    failing = false;
    await sandbox.drain(8);
    const reasons = world.executions.flatMap(reasonsIn);
    expect(reasons).toContainEqual(expect.stringContaining('lets one canary launch'));
    expect(reasons).toContainEqual(expect.stringContaining('(maxSurge)'));
  });
});

/** What the decisions of an execution give for reasons. */
function reasonsIn(execution: EndedExecution): string[] {
  return visits(execution, 'Compute Capacity').flatMap(
    ({ output }) => (output as { decision?: { reasons: string[] } } | undefined)?.decision?.reasons ?? [],
  );
}

describe('a schedule', () => {
  const HOUR = { start: '5 8 * * *', end: '5 9 * * *', timezone: 'UTC' };

  it('has its runners there minutes after it begins, says so, and lets them go after it has ended', async () => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet(
      { ...RARELY_POLLED, schedules: [{ ...HOUR, minReplicas: 3 }], durations: { idleTimeout: 1_200 } },
      jobs(3, 30, 12 * MINUTE),
    );
    await sandbox.runUntil(5 * MINUTE);
    expect(world.group.desired).toBe(0);
    await sandbox.runUntil(8 * MINUTE);
    expect(world.group).toMatchObject({ desired: 3, size: 3 });
    await sandbox.runUntil(64 * MINUTE);
    expect(world.group.desired).toBe(3);
    expect(waits(world)).toEqual(Array(3).fill(idleClaim));
    const said = 'schedule 1 (5 8 * * * UTC) is in force: minReplicas 3';
    const [first, , , , , , , last] = world.executions.map(reasonsIn);
    expect(first).not.toContain(said);
    expect(last).toContain(said);
    await sandbox.runUntil(90 * MINUTE);
    expect(world.group).toMatchObject({ desired: 0, size: 0 });
    expect(world.outcomes.failed).toBe(0);
  });

  it('may allow more than the fleet, and the group takes it', async () => {
    const { sandbox, world } = await oneFleet({
      fleet: { maxReplicas: 2, schedules: [{ ...HOUR, maxReplicas: 6 }] },
      queued: 6,
    });
    await sandbox.runUntil(4 * MINUTE);
    expect(world.group.desired).toBe(2);
    await sandbox.runUntil(7 * MINUTE);
    expect(world.group.desired).toBe(6);
    expect(world.outcomes.failed).toBe(0);
  });

  it('takes no runner away when it ends', async () => {
    const { sandbox, world } = await oneFleet({
      fleet: {
        maxReplicas: 2,
        schedules: [{ ...HOUR, start: '0 8 * * *', end: '5 8 * * *', maxReplicas: 6 }],
      },
      queued: 6,
    });
    await sandbox.runUntil(8 * MINUTE);
    expect(world.queue.running).toBe(6);
    await sandbox.drain(6);
    expect(world.queue.tasks.filter(({ killed }) => killed)).toEqual([]);
  });
});
