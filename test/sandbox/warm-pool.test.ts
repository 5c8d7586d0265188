import { describe, expect, it } from 'vitest';
import { DURATIONS } from '../../sandbox/group/durations.ts';
import { jobs, oneFleet } from '../support/sandbox.ts';

const { request, boot, warmBoot, warmStop } = DURATIONS;

describe('a warm pool of the size auto', () => {
  it('holds what the last burst would have needed, and serves the next one', async () => {
    const { sandbox, world } = await oneFleet({ fleet: { warmPoolSize: 'auto' }, queued: 6 });
    await sandbox.runUntil(600);
    expect(world.group.totals).toMatchObject({ launches: 6, warmLaunches: 0 });
    expect(world.group.warmPool).toEqual({ size: 6, stopped: 6, warming: 0 });

    for (const task of jobs(6, 60, 1_200)) {
      sandbox.agenda.plan(task.queuedAt, () => world.queue.add(task));
    }
    await sandbox.runUntil(1_800);
    expect(world.group.totals).toMatchObject({ launches: 12, warmLaunches: 6 });
    const waits = world.queue.tasks
      .slice(6)
      .map(({ queuedAt, startedAt = Number.NaN }) => startedAt - queuedAt);
    // A poll, and a warm start.
    expect(Math.max(...waits)).toBeLessThanOrEqual(10 + request + warmBoot + 1);
    expect(world.outcomes.failed).toBe(0);
  });

  it('is at most maxReplicas, however many were launched', async () => {
    const { sandbox, world } = await oneFleet({ fleet: { warmPoolSize: 'auto', maxReplicas: 4 }, queued: 9 });
    await sandbox.runUntil(900);
    expect(world.group.warmPool?.size).toBe(4);
  });

  it('is written once for each size', async () => {
    const { sandbox } = await oneFleet({ fleet: { warmPoolSize: 'auto' }, queued: 3 });
    await sandbox.runUntil(900);
    expect(sandbox.aws.calls.get('PutWarmPool')).toBe(1);
  });
});

describe('a warm pool of a size of its own', () => {
  it('is left as it is', async () => {
    const { sandbox, world } = await oneFleet({ fleet: { warmPoolSize: 2 }, queued: 6 });
    await sandbox.runUntil(900);
    expect(sandbox.aws.calls.has('PutWarmPool')).toBe(false);
    expect(world.group.warmPool).toEqual({ size: 2, stopped: 2, warming: 0 });
    expect(world.group.totals).toMatchObject({ launches: 6, warmLaunches: 2 });
  });

  it('with instances that never become warm opens the breaker, which stops the launches', async () => {
    let launches = 0;
    const { sandbox, world } = await oneFleet({
      // The one launch of the job is good; all that follow, into the pool, fail.
      fleet: {
        warmPoolSize: 1,
        pollIntervalSeconds: 15,
        launchFault: () => (++launches > 1 ? 'failing' : undefined),
      },
      queued: 1,
    });
    await sandbox.runUntil(3_600);
    expect([...world.group.suspendedProcesses]).toEqual(['Launch']);
    // Without a breaker it would have tried every half minute.
    expect(launches).toBeLessThan(10);
    expect(world.executions.at(-1)?.path.map(({ state }) => state)).toContain('Breaker Open');
  });

  it('is full again after its last instance was taken, a boot and a stop later', async () => {
    const { sandbox, world } = await oneFleet({ fleet: { warmPoolSize: 1 }, queued: 1 });
    await sandbox.runUntil(request + boot + warmStop + 60);
    expect(world.group.warmPool).toEqual({ size: 1, stopped: 1, warming: 0 });
  });
});
