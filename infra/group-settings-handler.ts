import { setTimeout as sleep } from 'node:timers/promises';
import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  SetInstanceProtectionCommand,
  SuspendProcessesCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { clientSettings } from '../functions/lib/client-settings.ts';

/** What CloudFormation sends: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html */
interface Request {
  RequestType: 'Create' | 'Update' | 'Delete';
  ResponseURL: string;
  StackId: string;
  RequestId: string;
  LogicalResourceId: string;
  ResourceProperties: { GroupName: string };
}

/** Below the function's timeout: CloudFormation would wait an hour for an answer that Lambda cut off. */
const WORK_SECONDS = 150;

/** The most instances that one call may name. */
const BATCH = 50;

/** Tries again, unlike the steps' clients: there is no workflow around this function. */
export const autoScaling = new AutoScalingClient({ ...clientSettings, maxAttempts: 3 });

/**
 * The settings of a group that CloudFormation has no property for. Created: zones are not rebalanced, which
 * would terminate instances that run jobs. Deleted: instances lose their protection, which would hold up the
 * deletion of the stack for an hour and then let it fail.
 */
export async function handler(request: Request): Promise<void> {
  const group = request.ResourceProperties.GroupName;
  const deadline = AbortSignal.timeout(WORK_SECONDS * 1_000);
  let failure: string | undefined;
  try {
    if (request.RequestType === 'Delete') await endProtection(group, deadline);
    else await suspendRebalancing(group, deadline);
  } catch (thrown) {
    const error = thrown as Error;
    const why = deadline.aborted ? `not done within ${WORK_SECONDS} s` : `${error.name}: ${error.message}`;
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
  // Thrown, so that Lambda calls again.
  if (!answer.ok) throw new Error(`CloudFormation did not take the answer: status ${answer.status}`);
}

async function suspendRebalancing(group: string, abortSignal: AbortSignal): Promise<void> {
  try {
    await autoScaling.send(
      new SuspendProcessesCommand({ AutoScalingGroupName: group, ScalingProcesses: ['AZRebalance'] }),
      { abortSignal },
    );
  } catch (error) {
    // An emulator without the action has no rebalancing to suspend either; AWS always knows it.
    if ((error as Error).name !== 'InvalidAction') throw error;
    console.warn(`This endpoint cannot suspend AZRebalance of ${group}`);
  }
}

async function endProtection(group: string, abortSignal: AbortSignal): Promise<void> {
  if ((await describe(group, abortSignal)) === undefined) return;
  // First, because an execution of the workflow may still run and launch instances.
  await autoScaling.send(
    new UpdateAutoScalingGroupCommand({
      AutoScalingGroupName: group,
      NewInstancesProtectedFromScaleIn: false,
    }),
    { abortSignal },
  );
  for (;;) {
    const described = await describe(group, abortSignal);
    const held = (described?.Instances ?? []).filter(
      (instance) =>
        instance.ProtectedFromScaleIn && !/^(Terminat|Detach)/.test(instance.LifecycleState ?? ''),
    );
    if (held.length === 0) return;
    // An instance keeps its protection until it is in service: those that are pending are waited for.
    const settable = held.filter((instance) =>
      /^(InService|\w*Standby)$/.test(instance.LifecycleState ?? ''),
    );
    await unprotect(
      group,
      settable.flatMap((instance) => instance.InstanceId ?? []),
      abortSignal,
    );
    await sleep(500, undefined, { signal: abortSignal });
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
      // One that has begun to leave meanwhile makes the call fail; the others are named again.
      if (!/is not in InService/.test((error as Error).message)) throw error;
    }
  }
}
