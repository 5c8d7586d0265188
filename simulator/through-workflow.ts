import { Sandbox } from '../sandbox/sandbox.ts';
import { summarise } from '../sandbox/summary.ts';
import type { Job } from '../sandbox/trace.ts';
import type { OursSettings } from './policies/ours.ts';
import type { World } from './world.ts';

/** Runs ours through the real state machine and functions, in the sandbox: the same keys, and some hundred times the time. */
export async function throughWorkflow(
  jobs: readonly Job[],
  settings: OursSettings,
  { boot }: World,
  progress: (ended: number) => void = () => undefined,
) {
  const sandbox = await Sandbox.open({ keepExecutions: 1, keepMetrics: false });
  try {
    const fleet = sandbox.addFleet(
      {
        name: 'simulated',
        resourceClass: 'simulated/class',
        minReplicas: settings.minReplicas,
        maxReplicas: settings.maxReplicas,
        pollIntervalSeconds: settings.pollInterval,
        quietPollIntervalSeconds: settings.quietPollInterval,
        durations: { boot, idleTimeout: settings.idleTimeout },
      },
      [...jobs],
    );
    sandbox.ended = () => progress(fleet.queue.ended);
    await sandbox.drain(jobs.length);
    return { policy: 'ours (workflow)', ...summarise(fleet) };
  } finally {
    sandbox.close();
  }
}
