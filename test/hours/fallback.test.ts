import { describe, expect, it } from 'vitest';
import { COUNTED_TAG, FALLBACK_TAG } from '../../functions/lib/tags.ts';
import { alarmsOver } from '../../sandbox/alarms.ts';
import { SANDBOX_START } from '../../sandbox/trace.ts';
import { fleetsWith } from '../support/fleets.ts';
import { jobs, LINUX, oneFleet, openSandbox, visits } from '../support/sandbox.ts';

const MINUTE = 60;

/** A fleet of Spot capacity alone, with jobs that wait, and no Spot capacity until that minute. */
async function shortOfSpot(untilMinute: number, fleet = {}) {
  const stage = await oneFleet({
    queued: 4,
    fleet: {
      onDemandPercentage: 0,
      launchFault: (now) => (now < untilMinute * MINUTE ? 'no-spot' : undefined),
      ...fleet,
    },
  });
  return { ...stage, group: stage.world.group, calls: stage.sandbox.aws.calls };
}

/** The tags of a group, but for the one that says which launches were counted. */
const tagsOf = ({ tags }: { tags: Map<string, string> }) => [...tags].filter(([key]) => key !== COUNTED_TAG);

const onDemand = (group: { instances: { onDemand: boolean }[] }) =>
  group.instances.filter((instance) => instance.onDemand).length;

describe('a fleet of Spot capacity, while EC2 has none', () => {
  it('gets On-Demand instances with the first execution that sees it', async () => {
    const { sandbox, world, group } = await shortOfSpot(60);
    await sandbox.runUntil(2 * MINUTE + 30);
    expect(group.onDemandPercentage).toBe(100);
    expect(tagsOf(group)).toEqual([[FALLBACK_TAG, 'spot-shortage']]);
    expect(onDemand(group)).toBe(4);
    // The first launch that failed was seen a minute later; the group tries again within another.
    await sandbox.runUntil(4 * MINUTE);
    expect(world.queue.running).toBe(4);
    expect(group.totals.refusedLaunches).toBeLessThanOrEqual(2);
    expect(world.outcomes.failed).toBe(0);
  });

  it('opens no breaker, and says in its decision why', async () => {
    const { sandbox, world } = await shortOfSpot(60, { breaker: { failures: 1, windowSeconds: 900 } });
    await sandbox.runUntil(5 * MINUTE);
    expect(sandbox.workflow.metrics.filter(({ name }) => name === 'BreakerOpen')).toEqual([]);
    const reasons = world.executions.flatMap((execution) =>
      visits(execution, 'Update Group').flatMap(
        ({ parameters }) => (parameters as { decision: { reasons: string[] } }).decision.reasons,
      ),
    );
    expect(reasons.filter((reason) => reason.startsWith('On-Demand alone until '))).toHaveLength(1);
  });

  it('tries Spot capacity again every 15 minutes, and stays with it once there is some', async () => {
    const { sandbox, group, calls } = await shortOfSpot(30, { pollIntervalSeconds: 15 });
    const later = jobs(1, 60);
    for (let minute = 5; minute < 60; minute += 2) {
      sandbox.agenda.plan(minute * MINUTE, () => {
        for (const job of later) sandbox.fleet('linux').queue.add({ ...job, queuedAt: minute * MINUTE });
      });
    }
    await sandbox.runUntil(15 * MINUTE);
    expect(group.onDemandPercentage).toBe(100);
    await sandbox.runUntil(60 * MINUTE);
    expect(group.onDemandPercentage).toBe(0);
    expect(tagsOf(group)).toEqual([]);
    // One try and one return for each quarter of an hour, and no more.
    expect(calls.get('UpdateAutoScalingGroup')).toBeLessThanOrEqual(6);
    expect(group.totals.refusedLaunches).toBeLessThanOrEqual(6);
  });

  it('kills no job, and loses none', async () => {
    const { sandbox, world } = await shortOfSpot(20);
    await sandbox.drain(4);
    expect(world.queue.tasks.filter(({ killed }) => killed)).toEqual([]);
    expect(world.group.totals.unusedLaunches).toBe(0);
  });

  it('leaves alone what a person has set', async () => {
    const { sandbox, group, calls } = await shortOfSpot(0);
    group.onDemandPercentage = 100;
    await sandbox.runUntil(5 * MINUTE);
    expect(group.onDemandPercentage).toBe(100);
    expect(calls.has('UpdateAutoScalingGroup')).toBe(false);
  });

  it('still has its capacity written if the policy cannot be', async () => {
    const { sandbox, world, group } = await shortOfSpot(60);
    sandbox.aws.fault = (action) =>
      action === 'UpdateAutoScalingGroup'
        ? { status: 403, code: 'AccessDenied', message: 'not authorized' }
        : undefined;
    await sandbox.runUntil(3 * MINUTE);
    expect(group.desired).toBe(4);
    expect(world.executions.map(({ status }) => status)).toContain('FAILED');
    expect(world.executions.find(({ status }) => status === 'FAILED')?.error).toBe('AutoScalingDenied');
  });

  it.each([
    { case: 'there is no On-Demand capacity either', onDemandFault: 'refused' as const, denied: false },
    { case: 'the fallback cannot be written', onDemandFault: undefined, denied: true },
  ])('opens the breaker for 200 jobs if $case', async ({ onDemandFault, denied }) => {
    const sandbox = await openSandbox();
    const fleet = { ...LINUX, pollIntervalSeconds: 60, maxReplicas: 200, onDemandPercentage: 0 };
    const launchFault = (_: number, isOnDemand: boolean) => (isOnDemand ? onDemandFault : 'no-spot');
    const world = sandbox.addFleet({ ...fleet, launchFault }, jobs(200));
    if (denied) {
      const refusal = { status: 403, code: 'AccessDenied', message: 'not authorized' };
      sandbox.aws.fault = (action) => (action === 'UpdateAutoScalingGroup' ? refusal : undefined);
    }
    await sandbox.runUntil(90 * MINUTE);
    const open = sandbox.workflow.metrics.filter(({ name }) => name === 'BreakerOpen');
    expect(open[0]?.at).toBeLessThanOrEqual(SANDBOX_START.getTime() + 10 * 60_000);
    expect(open.length).toBeGreaterThanOrEqual(80);
    expect(world.group.totals.refusedLaunches).toBeLessThanOrEqual(80);
    expect(world.group.totals.launches).toBe(0);
  });

  it('has no fallback if it is of On-Demand capacity, and what fails there opens the breaker', async () => {
    const { sandbox, calls } = await shortOfSpot(0, {
      onDemandPercentage: 100,
      launchFault: () => 'refused',
    });
    await sandbox.runUntil(6 * MINUTE);
    expect(calls.has('UpdateAutoScalingGroup')).toBe(false);
    expect(sandbox.workflow.metrics.some(({ name }) => name === 'BreakerOpen')).toBe(true);
  });
});

describe('an alarm over the fallback', () => {
  it.each([47, 400])('rings after hours of On-Demand alone, with a job every %i s', async (every) => {
    const [config] = fleetsWith({ linux: { spot: '{}' } });
    if (config === undefined) throw new Error('There is no fleet');
    const minutes = 130;
    const queue = Array.from({ length: Math.ceil((minutes * MINUTE) / every) }, (_, number) => ({
      queuedAt: number * every,
      durationSeconds: 120,
    }));
    const ringingsWith = async (untilMinute: number) => {
      const sandbox = await openSandbox();
      const launchFault = (now: number) => (now < untilMinute * MINUTE ? ('no-spot' as const) : undefined);
      const fleet = { ...LINUX, pollIntervalSeconds: 60, onDemandPercentage: 0 };
      const world = sandbox.addFleet({ ...fleet, launchFault }, queue);
      await sandbox.runUntil(minutes * MINUTE);
      const { metrics } = sandbox.workflow;
      const run = { metrics, executions: world.executions, startedAt: SANDBOX_START.getTime(), minutes };
      return alarmsOver([config], run)
        .filter(({ ringings }) => ringings.length > 0)
        .map(({ heading }) => heading);
    };
    expect(await ringingsWith(minutes)).toEqual(['Spot Unavailable']);
    expect(await ringingsWith(30)).toEqual([]);
  });
});
