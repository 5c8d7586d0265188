import { describe, expect, it } from 'vitest';
import { LAUNCH_SUSPENDED_TAG, PAUSED_AT_TAG, PAUSED_TAG } from '../../functions/lib/tags.ts';
import { SANDBOX_START } from '../../sandbox/trace.ts';
import { jobs, LINUX, openSandbox } from '../support/sandbox.ts';

const MINUTE = 60;

/** An hour before minute 5, as if somebody had paused it without the second tag's being changed. */
const PAUSED_AT = new Date(SANDBOX_START.getTime() - 55 * 60_000).toISOString();

/** A fleet that gets a job at each of these seconds, and is paused by this tag from minute 5 to minute 25. */
async function played(value: string) {
  const sandbox = await openSandbox();
  const queued = [...jobs(2, 20 * MINUTE), ...jobs(3, 100, 10 * MINUTE)];
  const world = sandbox.addFleet(LINUX, queued);
  sandbox.agenda.plan(5 * MINUTE, () => world.group.tags.set(PAUSED_TAG, value));
  sandbox.agenda.plan(5 * MINUTE, () => world.group.tags.set(PAUSED_AT_TAG, PAUSED_AT));
  sandbox.agenda.plan(25 * MINUTE, () => world.group.tags.delete(PAUSED_TAG));
  const launchedAt: number[] = [];
  sandbox.watch = ({ at, kind }) => {
    if (kind === 'launches') launchedAt.push(at / MINUTE);
  };
  return { sandbox, world, launchedAt };
}

describe('a fleet that is', () => {
  it.each([
    { reuse: 'single-task' as const, empty: true },
    { reuse: 'continuous' as const, empty: false },
  ])('drained while jobs keep coming becomes empty, with $reuse: $empty', async ({ reuse, empty }) => {
    const sandbox = await openSandbox();
    const queued = Array.from({ length: 40 }, (_, job) => ({ queuedAt: 60 * job, durationSeconds: 120 }));
    const world = sandbox.addFleet({ ...LINUX, reuse }, queued);
    sandbox.agenda.plan(10 * MINUTE, () => world.group.tags.set(PAUSED_TAG, 'drain'));
    await sandbox.runUntil(30 * MINUTE);
    expect(world.group.instances.length === 0).toBe(empty);
  });

  it('drained has its suspended Launch process on record for the drain, and after that not', async () => {
    const { sandbox, world } = await played('drain');
    await sandbox.runUntil(24 * MINUTE);
    expect([...world.group.suspendedProcesses]).toEqual(['Launch']);
    expect(world.group.tags.get(LAUNCH_SUSPENDED_TAG)).toBe('drain');
    await sandbox.runUntil(27 * MINUTE);
    expect(world.group.tags.has(LAUNCH_SUSPENDED_TAG)).toBe(false);
  });

  it.each(['true', 'drain'])(
    'paused (%s) launches nothing, keeps its jobs, and goes on when it is resumed',
    async (value) => {
      const { sandbox, world, launchedAt } = await played(value);
      await sandbox.runUntil(24 * MINUTE);
      expect(launchedAt).toEqual([0, 0]);
      expect(world.queue.unclaimed).toBe(3);
      expect(world.queue.ended).toBe(2);
      await sandbox.runUntil(40 * MINUTE);
      expect(launchedAt.filter((at) => at >= 25)).toHaveLength(3);
      expect(world.queue.ended).toBe(5);
      expect(world.queue.tasks.some(({ killed }) => killed)).toBe(false);
      expect(world.group.suspendedProcesses.size).toBe(0);
      expect(world.outcomes.failed).toBe(0);
    },
  );

  it.each(['true', 'drain'])(
    'paused (%s) and forgotten rings one alarm of its own while jobs wait',
    async (value) => {
      const { sandbox } = await played(value);
      await sandbox.runUntil(40 * MINUTE);
      const minutesOf = (metric: string) =>
        sandbox.workflow.metrics
          .filter(({ name, value }) => name === metric && value > 0)
          .map(({ at }) => Math.floor((at - SANDBOX_START.getTime()) / 60_000));
      expect(minutesOf('PausedWithTasks')).toEqual(Array.from({ length: 15 }, (_, minute) => 10 + minute));
      // The notification quotes the values: for how many minutes the fleet has been paused.
      const values = sandbox.workflow.metrics.filter(({ name }) => name === 'PausedWithTasks');
      expect(values.map(({ value }) => value)).toEqual(
        Array.from({ length: 15 }, (_, minute) => 65 + minute),
      );
      expect(minutesOf('Starving').filter((at) => at >= 5 && at < 25)).toEqual([]);
    },
  );
});
