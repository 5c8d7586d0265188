import type { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import {
  putWarmPool,
  resumeLaunchProcess,
  setDesiredCapacity,
  setOnDemandPercentage,
  suspendLaunchProcess,
} from './auto-scaling.ts';
import { type Decision, stillToWrite } from './capacity.ts';
import type { Group } from './contracts.ts';
import { recordLevels, recordOutside, recordWithheld } from './records.ts';
import { SUSPENDED_FOR_DRAIN } from './tags.ts';
import { poolSizeToWrite } from './warm-pool.ts';
import type { Withheld } from './withheld.ts';

/**
 * Writes a decision to its group, unless another execution was faster. It suspends the `Launch` process before the
 * desired capacity, or resumes it after that, so that nothing launches in between. The rest comes after the capacity:
 * if a write of it fails, the capacity is written. The warm pool comes last, because no job waits for it.
 *
 * @param group As it was read just before.
 * @returns The desired capacity that it wrote; `undefined` if there was none to write.
 */
export async function writeDecision(
  autoScaling: AutoScalingClient,
  groupName: string,
  decision: Decision,
  group: Group,
): Promise<number | undefined> {
  const { launchProcess, purchase, warmPool, paused } = group;
  // Somebody may have paused the fleet since the decision.
  const mayRise = paused === 'false';
  const desired = mayRise || decision.desired < decision.from ? stillToWrite(decision, group) : undefined;
  // What is on record for another cause is written again. A suspension of somebody else stays theirs.
  const onRecord =
    launchProcess.suspended && (!launchProcess.byBreaker || launchProcess.forDrain === decision.forDrain);
  if (decision.launchProcess === 'suspend' && !onRecord)
    await suspendLaunchProcess(autoScaling, groupName, decision.forDrain ? SUSPENDED_FOR_DRAIN : 'breaker');
  if (desired !== undefined) await setDesiredCapacity(autoScaling, groupName, desired);
  if (decision.launchProcess === 'resume' && launchProcess.byBreaker)
    await resumeLaunchProcess(autoScaling, groupName);
  if (decision.onDemandPercentage !== undefined && purchase !== undefined)
    await setOnDemandPercentage(autoScaling, groupName, decision.onDemandPercentage);
  if (decision.withheld !== undefined && !isBehind(decision.withheld, group.withheld))
    await recordWithheld(autoScaling, groupName, decision.withheld);
  if (decision.tasksOutside !== undefined) await recordOutside(autoScaling, groupName, decision.tasksOutside);
  if (decision.levels !== undefined) await recordLevels(autoScaling, groupName, decision.levels);
  const size = poolSizeToWrite(decision.warmPoolSize, group);
  if (warmPool !== undefined && size !== undefined && mayRise)
    await putWarmPool(autoScaling, groupName, { size, state: warmPool.state });
  return desired;
}

/** Whether an execution that ran at the same time has counted launches that this one has not. */
const isBehind = (record: Withheld | null, now: Withheld | undefined) =>
  record !== null && now !== undefined && now.since === record.since && now.unused > record.unused;
