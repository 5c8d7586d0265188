/** Reads how long boots took from the consoles of a fleet's instances, and publishes it. */

import { type Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { type EC2Client, GetConsoleOutputCommand } from '@aws-sdk/client-ec2';
import { BOOT_PHASES, type BootSeconds, bootOn, bootsToRead } from './boots.ts';
import type { SeenInstance } from './fleet-seen.ts';
import { UNITS } from './metric-units.ts';

/** Reads the boots of a fleet's instances. What EC2 does not give is left out. */
export async function readBoots(
  client: EC2Client,
  instances: readonly SeenInstance[],
  now: number,
  abortSignal: AbortSignal,
): Promise<BootSeconds[]> {
  const read = async ({ id, state, launchedAt }: SeenInstance): Promise<BootSeconds | undefined> => {
    // Otherwise EC2 gives what it kept at the last change of the state. Only Nitro instances have the latest.
    for (const Latest of state === 'running' ? [true, false] : [false])
      try {
        const asked = new GetConsoleOutputCommand({ InstanceId: id, Latest });
        const { Output = '' } = await client.send(asked, { abortSignal });
        const boot = bootOn(Buffer.from(Output, 'base64').toString(), launchedAt);
        if (boot !== undefined) return boot;
      } catch {
        // It is gone, or it is no Nitro instance, or EC2 throttles.
      }
    return undefined;
  };
  const boots = await Promise.all(bootsToRead(instances, now).map(read));
  return boots.filter((boot) => boot !== undefined);
}

/** Publishes `BootSeconds` of a fleet by part, in log lines as other metrics. */
export function publishBoots(metrics: Metrics, fleet: string, boots: readonly BootSeconds[]): void {
  for (const phase of BOOT_PHASES) {
    const all = boots.flatMap((boot) => boot[phase] ?? []);
    if (all.length === 0) continue;
    metrics.addDimension('Fleet', fleet);
    metrics.addDimension('Phase', phase);
    for (const seconds of all) metrics.addMetric('BootSeconds', MetricUnit[UNITS.BootSeconds], seconds);
    metrics.publishStoredMetrics();
  }
}
