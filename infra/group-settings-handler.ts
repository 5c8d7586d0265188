import { setTimeout as sleep } from 'node:timers/promises';
import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  SetInstanceProtectionCommand,
  SuspendProcessesCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { connectionSettings } from '../functions/lib/client-settings.ts';
import { checkedRequest } from './group-settings-request.ts';

/**
 * How long the function works: as long as Lambda allows, because an instance that boots keeps its protection until it is
 * in service. It is less than the function's timeout, because CloudFormation waits an hour for an answer that Lambda cuts
 * off.
 */
export const WORK_SECONDS = 870;

/** Milliseconds between two looks at the group. They become longer, because EC2 Auto Scaling throttles. */
const FIRST_LOOKS_AFTER = [500, 1_000, 2_000];
const LOOKS_AFTER = 5_000;

/** Maximum number of instances in one call. */
const BATCH = 50;

/** Retries, unlike the clients of the steps, because no workflow retries this function. */
export const autoScaling = new AutoScalingClient({ ...connectionSettings, maxAttempts: 3 });

/**
 * Settings of a group for which CloudFormation has no property. When the stack is created or updated, it suspends the
 * rebalancing of zones, which would terminate instances that run jobs. When the stack is deleted, it removes the
 * protection of instances, which would delay the deletion for an hour and then make it fail.
 *
 * @throws RequestRefused if the event is not CloudFormation's for this stack. Then nothing is called and nobody answered.
 */
export async function handler(event: unknown): Promise<void> {
  const request = checkedRequest(event, process.env);
  const group = request.ResourceProperties.GroupName;
  const deadline = AbortSignal.timeout(WORK_SECONDS * 1_000);
  let failure: string | undefined;
  try {
    if (request.RequestType === 'Delete') await endProtection(group, deadline);
    else await suspendRebalancing(group, deadline);
  } catch (thrown) {
    const error = thrown as Error;
    const why = deadline.aborted
      ? `not done within ${WORK_SECONDS} s, because instances still boot. Delete the stack again`
      : `${error.name}: ${error.message}`;
    failure = `${request.RequestType} of the settings of ${group}: ${why}`;
    console.error(failure);
  }
  const answer = await fetch(request.ResponseURL, {
    method: 'PUT',
    body: JSON.stringify({
      Status: failure === undefined ? 'SUCCESS' : 'FAILED',
      ...(failure !== undefined && { Reason: failure }),
      PhysicalResourceId: `${group}-settings`,
      StackId: request.StackId,
      RequestId: request.RequestId,
      LogicalResourceId: request.LogicalResourceId,
    }),
    signal: AbortSignal.timeout(10_000),
  });
  // Lambda calls again after an error.
  if (!answer.ok) throw new Error(`CloudFormation did not take the answer: status ${answer.status}`);
}

async function suspendRebalancing(group: string, abortSignal: AbortSignal): Promise<void> {
  try {
    await autoScaling.send(
      new SuspendProcessesCommand({ AutoScalingGroupName: group, ScalingProcesses: ['AZRebalance'] }),
      { abortSignal },
    );
  } catch (error) {
    // An emulator without this action has no rebalancing to suspend. AWS always has the action.
    if ((error as Error).name !== 'InvalidAction') throw error;
    console.warn(`This endpoint cannot suspend AZRebalance of ${group}`);
  }
}

async function endProtection(group: string, abortSignal: AbortSignal): Promise<void> {
  if ((await describe(group, abortSignal)) === undefined) return;
  // First of all, because an execution of the workflow may still run and launch instances.
  await autoScaling.send(
    new UpdateAutoScalingGroupCommand({
      AutoScalingGroupName: group,
      NewInstancesProtectedFromScaleIn: false,
    }),
    { abortSignal },
  );
  for (let look = 0; ; look += 1) {
    const described = await describe(group, abortSignal);
    const held = (described?.Instances ?? []).filter(
      (instance) =>
        instance.ProtectedFromScaleIn && !/^(Terminat|Detach)/.test(instance.LifecycleState ?? ''),
    );
    if (held.length === 0) return;
    // A pending instance keeps its protection until it is in service, so the loop waits for it.
    const settable = held.filter((instance) =>
      /^(InService|\w*Standby)$/.test(instance.LifecycleState ?? ''),
    );
    await unprotect(
      group,
      settable.flatMap((instance) => instance.InstanceId ?? []),
      abortSignal,
    );
    await sleep(FIRST_LOOKS_AFTER[look] ?? LOOKS_AFTER, undefined, { signal: abortSignal });
  }
}

async function describe(group: string, abortSignal: AbortSignal) {
  const answer = await autoScaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [group] }),
    { abortSignal },
  );
  return answer.AutoScalingGroups?.[0];
}

async function unprotect(group: string, ids: string[], abortSignal: AbortSignal): Promise<void> {
  for (let start = 0; start < ids.length; start += BATCH) {
    try {
      await autoScaling.send(
        new SetInstanceProtectionCommand({
          AutoScalingGroupName: group,
          InstanceIds: ids.slice(start, start + BATCH),
          ProtectedFromScaleIn: false,
        }),
        { abortSignal },
      );
    } catch (error) {
      // The call fails if one of the instances has begun to leave. The next round names the others again.
      if (!/is not in InService/.test((error as Error).message)) throw error;
    }
  }
}
