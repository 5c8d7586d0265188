import { autoScalingClient, describeGroup } from './lib/auto-scaling.ts';
import { UpdateGroupInput } from './lib/contracts.ts';
import { fleetMetrics, publishMetrics } from './lib/metrics.ts';
import { step } from './lib/step.ts';
import { writeDecision } from './lib/writes.ts';

/** Reads the group again, and writes to it what Compute Capacity decided. */
export const handler = step(
  'Update Group',
  UpdateGroupInput,
  { autoScaling: autoScalingClient(), metrics: fleetMetrics() },
  async (input, { autoScaling, metrics, settings }) => {
    const { fleet, decision, again } = input;
    const { groupName } = await settings.of(input);
    const group = await describeGroup(autoScaling, groupName);
    const desired = await writeDecision(autoScaling, groupName, decision, group);
    const launches = Math.max((desired ?? 0) - group.desired, 0);
    publishMetrics(metrics, fleet, {
      ...(launches > 0 && { Launches: launches }),
      ...(!again && { ExecutionsSucceeded: 1 }),
    });
    return { desired: desired ?? group.desired, written: desired !== undefined };
  },
  (updated) => updated,
);
