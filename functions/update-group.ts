import {
  autoScalingClient,
  describeGroup,
  putWarmPool,
  recordLevels,
  recordWithheld,
  resumeLaunchProcess,
  setDesiredCapacity,
  setOnDemandPercentage,
  suspendLaunchProcess,
} from './lib/auto-scaling.ts';
import { stillToWrite } from './lib/capacity.ts';
import { UpdateGroupInput } from './lib/contracts.ts';
import { fleetMetrics, publishMetrics } from './lib/metrics.ts';
import { step } from './lib/step.ts';
import { poolSizeToWrite } from './lib/warm-pool.ts';

/**
 * Reads the group again, and sets its desired capacity to what Compute Capacity decided, unless another execution was
 * faster. It suspends the `Launch` process before that, or resumes it after that, so that nothing launches in between.
 * The warm pool comes last, because no job waits for it.
 */
export const handler = step(
  'Update Group',
  UpdateGroupInput,
  { autoScaling: autoScalingClient(), metrics: fleetMetrics() },
  async (input, { autoScaling, metrics, settings }) => {
    const { fleet, decision, again } = input;
    const { groupName } = await settings.of(input);
    const group = await describeGroup(autoScaling, groupName);
    const desired = stillToWrite(decision, group);
    const { suspended, byBreaker } = group.launchProcess;
    if (decision.launchProcess === 'suspend' && !suspended)
      await suspendLaunchProcess(autoScaling, groupName);
    if (desired !== undefined) await setDesiredCapacity(autoScaling, groupName, desired);
    if (decision.launchProcess === 'resume' && byBreaker) await resumeLaunchProcess(autoScaling, groupName);
    // After the capacity: if this fails, the capacity is written.
    if (decision.onDemandPercentage !== undefined && group.purchase !== undefined)
      await setOnDemandPercentage(autoScaling, groupName, decision.onDemandPercentage);
    if (decision.withheld !== undefined) await recordWithheld(autoScaling, groupName, decision.withheld);
    if (decision.levels !== undefined) await recordLevels(autoScaling, groupName, decision.levels);
    const { warmPool } = group;
    const size = poolSizeToWrite(decision.warmPoolSize, group);
    if (warmPool !== undefined && size !== undefined)
      await putWarmPool(autoScaling, groupName, { size, state: warmPool.state });
    const launches = Math.max((desired ?? 0) - group.desired, 0);
    publishMetrics(metrics, fleet, {
      ...(launches > 0 && { Launches: launches }),
      ...(!again && { ExecutionsSucceeded: 1 }),
    });
    return { desired: desired ?? group.desired, written: desired !== undefined };
  },
  (updated) => updated,
);
