import {
  type AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  paginateDescribeWarmPool,
} from '@aws-sdk/client-auto-scaling';
import { type EC2Client, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { instancesById } from '../functions/lib/ec2-instances.ts';
import { POOL_IMAGE_TAG } from '../functions/lib/tags.ts';

/** An instance of a warm pool. */
export interface PoolMember {
  id: string;
  lifecycleState: string;
  /** `undefined` if EC2 does not know the instance any more, or it was launched before fleets had the tag. */
  image: string | undefined;
}

/** At most five instances of a pool, and at most a quarter of it, are replaced at a time, but one in any case. */
const MOST_AT_A_TIME = 5;
const SHARE = 1 / 4;

/** An instance that waits here is off. Even if the group takes it now, it boots for seconds before it can claim a job. */
const ASLEEP = /^Warmed:(Stopped|Hibernated)$/;

/**
 * The instances of a warm pool to replace, because they were launched from another image than the one in use.
 *
 * @param image The image that launches have now.
 */
export function membersToReplace(members: readonly PoolMember[], image: string): string[] {
  const most = Math.max(1, Math.min(MOST_AT_A_TIME, Math.floor(members.length * SHARE)));
  // They enter the pool, and are its replacements of before.
  const underway = members.filter(({ lifecycleState }) => !ASLEEP.test(lifecycleState)).length;
  return members
    .filter(
      (member) => ASLEEP.test(member.lifecycleState) && member.image !== undefined && member.image !== image,
    )
    .slice(0, Math.max(0, most - underway))
    .map(({ id }) => id);
}

/**
 * Milliseconds from the reading of the pool to the last moment at which an instance of it may end. The group may take an
 * instance meanwhile, and a start from the pool needs 10 s and more before it claims a job.
 */
const MOST_AFTER_READING = 5_000;
const MOST_FOR_ENDING = 3_000;

/**
 * Replaces some instances of a fleet's warm pool that have an old image. The group notices that they are gone, and launches
 * others from the image in use.
 *
 * @param now Milliseconds since the epoch.
 * @returns What was replaced. Nothing while the group launches nothing, because the pool would only become smaller, and nothing
 * if AWS answered so slowly that an instance may run a job by now: the next call tries again.
 */
export async function replaceOldMembers(
  { autoScaling, ec2 }: { autoScaling: AutoScalingClient; ec2: EC2Client },
  groupName: string,
  image: string,
  now: () => number = Date.now,
): Promise<string[]> {
  const asked = new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [groupName] });
  const { AutoScalingGroups: [group] = [] } = await autoScaling.send(asked);
  const launches = !(group?.SuspendedProcesses ?? []).some(({ ProcessName }) => ProcessName === 'Launch');
  if (group?.WarmPoolConfiguration === undefined || !launches) return [];
  const readAt = now();
  const states = new Map<string, string>();
  for await (const { Instances = [] } of paginateDescribeWarmPool(
    { client: autoScaling },
    { AutoScalingGroupName: groupName },
  ))
    for (const { InstanceId: id, LifecycleState = '' } of Instances)
      if (id !== undefined) states.set(id, LifecycleState);
  const images = await imagesOf([...states.keys()], ec2);
  const members = [...states].map(([id, lifecycleState]) => ({ id, lifecycleState, image: images.get(id) }));
  const old = membersToReplace(members, image);
  if (old.length === 0 || now() - readAt > MOST_AFTER_READING) return [];
  const abortSignal = AbortSignal.timeout(MOST_FOR_ENDING);
  await ec2.send(new TerminateInstancesCommand({ InstanceIds: old }), { abortSignal });
  return old;
}

async function imagesOf(ids: readonly string[], client: EC2Client): Promise<Map<string, string>> {
  const images = new Map<string, string>();
  for (const { InstanceId, ImageId, Tags = [] } of await instancesById(client, ids))
    if (InstanceId !== undefined && ImageId !== undefined && Tags.some(({ Key }) => Key === POOL_IMAGE_TAG))
      images.set(InstanceId, ImageId);
  return images;
}
