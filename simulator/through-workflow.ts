import { sandboxFleet } from '../sandbox/fleet.ts';
import { type Faults, isWithin, LaunchFaults, NO_FAULTS } from '../sandbox/group/faults.ts';
import { Sandbox } from '../sandbox/sandbox.ts';
import { summarise } from '../sandbox/summary.ts';
import type { Job } from '../sandbox/trace.ts';
import type { OursSettings } from './policies/ours.ts';
import { type World, worldOf } from './world.ts';

/**
 * Runs ours in the sandbox, with the real state machine and functions. The result has the same keys and takes about a
 * hundred times as long. Executions start in whole seconds.
 */
export async function throughWorkflow(
  jobs: readonly Job[],
  settings: OursSettings,
  world: World,
  progress: (ended: number) => void = () => undefined,
  faults: Omit<Faults, 'readGap'> = NO_FAULTS,
) {
  const { boot, warmBoot, startsAt } = worldOf(world, settings);
  const sandbox = await Sandbox.open({
    keepExecutions: 1,
    keepMetrics: false,
    passOverIdleHours: faults === NO_FAULTS,
    startsAt: Math.floor(startsAt / 1_000) * 1_000,
  });
  const launches = new LaunchFaults(faults);
  const { concurrency } = settings;
  const fleet = sandbox.addFleet(
    {
      name: 'simulated',
      resourceClass: 'simulated/class',
      ...sandboxFleet(settings, { boot, warmBoot }),
      ...(concurrency && { concurrency: { ...concurrency, fleets: ['simulated'] } }),
      launchFault: launches.ofLaunch,
      interruptedAfter: launches.interruptedAfter,
      foreignRunners: faults.foreignRunners,
    },
    [...jobs],
  );
  sandbox.planFaults(fleet, faults);
  sandbox.circleci.fault = () =>
    isWithin(faults.outages, sandbox.now) ? { status: 503, body: '{}' } : undefined;
  sandbox.ended = () => progress(fleet.queue.ended);
  await sandbox.drain(jobs.length);
  return { policy: 'ours (workflow)', ...summarise(fleet) };
}
