import { describe, expect, it } from 'vitest';
import { alarmsOver } from '../../sandbox/alarms.ts';
import { BEGINS, endOf, playFault } from '../../sandbox/fault-outcomes.ts';
import type { Fault } from '../../sandbox/faults/fault.ts';
import { FAULTS } from '../../sandbox/faults/faults.ts';
import { ALWAYS, LaunchFaults } from '../../sandbox/group/faults.ts';
import { SANDBOX_START } from '../../sandbox/trace.ts';
import { fleetsWith } from '../support/fleets.ts';
import { LINUX, openSandbox } from '../support/sandbox.ts';
import { SOME_STARTS } from '../support/starts.ts';

/** How much later an alarm may ring, and be over, than with starts on time, in minutes. */
const LATER = 8;
const SOON = 10;

/** One fault of each alarm. */
const ONE_OF_EACH = FAULTS.reduce((found, fault) => {
  const heading = fault.rings ?? fault.ends?.state ?? 'no alarm';
  // With that plan, a task that ends leaves its place free until the next instance has booted: not the maximum all the time.
  const comesAndGoes = fault.unsteady || fault.lasts || heading === 'Saturated';
  return comesAndGoes || found.has(heading) ? found : found.set(heading, fault);
}, new Map<string, Fault>());
/** These ring beside another alarm. */
const MORE = ['EC2 has no capacity', 'CircleCI hands out no tasks'];
const PLAYED = [
  ...ONE_OF_EACH.values(),
  ...FAULTS.filter((fault) => MORE.includes(fault.name) && ![...ONE_OF_EACH.values()].includes(fault)),
];

describe.each(SOME_STARTS)('with starts that are $name', ({ starts }) => {
  it.each(PLAYED)('when $name, the same alarm rings once, and no job is lost', async (fault) => {
    const outcome = await playFault(fault, 'below', starts);
    const { ends, rings = ends?.state, late, kills } = fault;
    const headings = outcome.alarms.map(({ heading }) => heading);
    const ringing = outcome.alarms.find(({ heading }) => heading === rings);
    expect(ringing?.heading).toBe(rings);
    if (rings === undefined) expect(headings).toEqual([]);
    const [first, ...more] = ringing?.ringings ?? [];
    expect(more).toEqual([]);
    expect((first?.from ?? BEGINS) - BEGINS).toBeLessThanOrEqual((late ? 2 * SOON : SOON) + LATER);
    const over = (first?.until ?? (ringing ? Number.POSITIVE_INFINITY : 0)) - endOf(fault);
    if (rings !== 'Zone Unusable') expect(over).toBeLessThanOrEqual((late ? 4 * SOON : SOON) + LATER);
    if (fault.ofLaunches || fault.name === 'CircleCI hands out no tasks') {
      const starving = outcome.alarms.find(({ heading }) => heading === 'Starving')?.ringings ?? [];
      expect(starving).toHaveLength(1);
      expect((starving[0]?.from ?? 0) - BEGINS).toBeLessThanOrEqual(2 * SOON + LATER);
    }
    if (fault.ofLaunches) expect(headings).toContain('Launches Failing');
    expect(outcome.jobs.neverRun).toBe(0);
    if (!kills) expect(outcome.jobs.killed).toBe(0);
  });

  it('Spot Unavailable rings within 2 hours without Spot capacity', async () => {
    const minutes = 180;
    const sandbox = await openSandbox();
    sandbox.schedule.starts = starts;
    const { ofLaunch } = new LaunchFaults({ spotShortages: [ALWAYS] });
    sandbox.addFleet(
      { ...LINUX, maxReplicas: 60, onDemandPercentage: 0, launchFault: ofLaunch },
      Array.from({ length: 230 }, (_, job) => ({ queuedAt: 47 * job, durationSeconds: 120 })),
    );
    await sandbox.runUntil(minutes * 60);
    const [config] = fleetsWith({ linux: {} });
    const { metrics } = sandbox.workflow;
    const run = { metrics, executions: [], startedAt: SANDBOX_START.getTime(), minutes };
    const rung = alarmsOver(config ? [config] : [], run).filter(({ ringings }) => ringings.length > 0);
    expect(rung.map(({ heading, ringings }) => [heading, ringings.length])).toEqual([
      ['Spot Unavailable', 1],
    ]);
    expect(rung[0]?.ringings[0]?.from).toBeGreaterThan(80);
    expect(rung[0]?.ringings[0]?.from).toBeLessThan(125);
  });

  it('Saturated rings once while more jobs wait than may run', async () => {
    const minutes = 40;
    const sandbox = await openSandbox();
    sandbox.schedule.starts = starts;
    const queued = Array.from({ length: 60 }, (_, job) => ({
      queuedAt: 0,
      durationSeconds: 400 + 37 * (job % 10),
    }));
    sandbox.addFleet({ ...LINUX, maxReplicas: 10 }, queued);
    await sandbox.runUntil(minutes * 60);
    const [config] = fleetsWith({ linux: {} });
    const { metrics } = sandbox.workflow;
    const run = { metrics, executions: [], startedAt: SANDBOX_START.getTime(), minutes };
    const rung = alarmsOver(config ? [config] : [], run).filter(({ ringings }) => ringings.length > 0);
    expect(rung.map(({ heading, ringings }) => [heading, ringings.length])).toEqual([['Saturated', 1]]);
  });
});
