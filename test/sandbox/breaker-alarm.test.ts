import { expect, it } from 'vitest';
import { SANDBOX_START } from '../../sandbox/trace.ts';
import { jobs, LINUX, openSandbox } from '../support/sandbox.ts';

const MINUTE = 60;
const HOUR = 60 * MINUTE;

it('the breaker rings no more once nothing wants an instance, and rings again with the next job', async () => {
  const sandbox = await openSandbox();
  const world = sandbox.addFleet(
    { ...LINUX, pollIntervalSeconds: 15, launchFault: () => 'failing' },
    jobs(3),
  );
  // The pipeline is cancelled after half an hour. The next job comes hours later.
  sandbox.agenda.plan(30 * MINUTE, () => world.queue.cancelWaiting(1_800));
  sandbox.agenda.plan(4 * HOUR, () => {
    world.queue.add({ queuedAt: 4 * HOUR, durationSeconds: 60 });
  });
  await sandbox.runUntil(5 * HOUR);
  const minutes = sandbox.workflow.metrics
    .filter(({ name }) => name === 'BreakerOpen')
    .map(({ at }) => Math.floor((at - SANDBOX_START.getTime()) / 60_000));
  const inHours = (from: number, to: number) => minutes.filter((at) => at >= from * 60 && at < to * 60);
  expect(inHours(0, 0.5).length).toBeGreaterThan(20);
  expect(inHours(1.5, 4)).toEqual([]);
  expect(Math.min(...inHours(4, 5))).toBeLessThanOrEqual(241);
  expect(new Set(inHours(4, 5)).size).toBeGreaterThan(50);
  // The guard was there all the time: one canary for the one job, then others at longer intervals.
  expect(world.group.suspendedProcesses.has('Launch')).toBe(true);
  expect(world.group.totals.failedBoots).toBeLessThan(15);
});
