import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  SetInstanceProtectionCommand,
  SuspendProcessesCommand,
} from '@aws-sdk/client-auto-scaling';

/** What CloudFormation sends: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html */
interface Request {
  RequestType: 'Create' | 'Update' | 'Delete';
  ResponseURL: string;
  StackId: string;
  RequestId: string;
  LogicalResourceId: string;
  ResourceProperties: { GroupName: string };
}

/** The most instances that one call may name. */
const BATCH = 50;

export const autoScaling = new AutoScalingClient({});

/**
 * The settings of a group that CloudFormation has no property for. Created: zones are not rebalanced, which
 * would terminate instances that run jobs. Deleted: instances lose their protection, which would hold up the
 * deletion of the stack for an hour and then let it fail.
 */
export async function handler(request: Request): Promise<void> {
  const group = request.ResourceProperties.GroupName;
  let failure: string | undefined;
  try {
    if (request.RequestType === 'Delete') await unprotectInstances(group);
    else await suspendRebalancing(group);
  } catch (error) {
    failure = `${request.RequestType} of the settings of ${group}: ${(error as Error).name}: ${(error as Error).message}`;
    console.error(failure);
  }
  await fetch(request.ResponseURL, {
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
}

async function suspendRebalancing(group: string): Promise<void> {
  try {
    await autoScaling.send(
      new SuspendProcessesCommand({ AutoScalingGroupName: group, ScalingProcesses: ['AZRebalance'] }),
    );
  } catch (error) {
    // An emulator without the action has no rebalancing to suspend either; AWS always knows it.
    if ((error as Error).name !== 'InvalidAction') throw error;
    console.warn(`This endpoint cannot suspend AZRebalance of ${group}`);
  }
}

async function unprotectInstances(group: string): Promise<void> {
  const answer = await autoScaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [group] }),
  );
  const ids = (answer.AutoScalingGroups?.[0]?.Instances ?? [])
    .filter((instance) => instance.ProtectedFromScaleIn)
    .flatMap((instance) => instance.InstanceId ?? []);
  for (let start = 0; start < ids.length; start += BATCH) {
    await autoScaling.send(
      new SetInstanceProtectionCommand({
        AutoScalingGroupName: group,
        InstanceIds: ids.slice(start, start + BATCH),
        ProtectedFromScaleIn: false,
      }),
    );
  }
}
