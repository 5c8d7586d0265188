/**
 * Which launches an execution counts: those that have ended since the last count. EventBridge Scheduler starts
 * executions up to a minute late, and now and then skips one or starts it twice, so that the calendar cannot say it.
 * The end of the last launch that was counted is on record as a tag of the group.
 * https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
 */

import {
  type AutoScalingClient,
  CreateOrUpdateTagsCommand,
  DescribeAutoScalingGroupsCommand,
} from '@aws-sdk/client-auto-scaling';
import { groupTag, translated } from './auto-scaling.ts';
import { AutoScalingUnavailable, GroupNotFound, GroupUpdateRefused } from './errors.ts';
import { COUNTED_TAG } from './tags.ts';

/** Launches are counted if they have ended after `after` and no later than `until`, in milliseconds since the epoch. */
export interface CountingWindow {
  after: number;
  until: number;
}

/** Launches that ended earlier are not counted as new, whatever was counted. If executions stop for so long, an alarm rings. */
const LONGEST_WINDOW = 300_000;

/**
 * How long a launch must have ended before it is counted. Activities end in whole seconds, so one may end later in the
 * same second than one that was counted.
 */
const SETTLES = 2_000;

/** The clocks of functions may differ by this. A record from further in the future was written by somebody else. */
const CLOCKS_DIFFER = 60_000;

/**
 * @param now Milliseconds since the epoch.
 * @param countedUntil When the last launch ended that was counted; `undefined` if none is on record.
 */
export function countingWindow(now: number, countedUntil: number | undefined): CountingWindow {
  const until = Math.floor(now / 1_000) * 1_000 - SETTLES;
  const counted = countedUntil === undefined || countedUntil > now + CLOCKS_DIFFER ? 0 : countedUntil;
  return { after: Math.max(counted, now - LONGEST_WINDOW), until };
}

export const isWithin = ({ after, until }: CountingWindow, at: number) => at > after && at <= until;

/**
 * Reads from the group when the last launch ended that was counted; `undefined` if none is on record.
 *
 * @throws GroupNotFound, AutoScalingDenied, AutoScalingUnavailable
 */
export async function readCountedUntil(
  autoScaling: AutoScalingClient,
  groupName: string,
): Promise<number | undefined> {
  const answer = await translated(groupName, GroupNotFound, () =>
    autoScaling.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [groupName] })),
  );
  const tags = answer.AutoScalingGroups?.[0]?.Tags ?? [];
  const tag = tags.find(({ Key }) => Key === COUNTED_TAG)?.Value ?? '';
  return /^\d{1,12}$/.test(tag) ? Number(tag) * 1_000 : undefined;
}

/**
 * Puts on record when the last launch ended that was counted. If EC2 Auto Scaling is not available, the next execution
 * counts again: it is better to count a launch twice than to poll nothing.
 *
 * @returns Whether it is on record.
 * @throws GroupUpdateRefused, AutoScalingDenied
 */
export async function recordCountedUntil(
  autoScaling: AutoScalingClient,
  groupName: string,
  countedUntil: number,
): Promise<boolean> {
  const tag = {
    ...groupTag(groupName, COUNTED_TAG),
    Value: String(countedUntil / 1_000),
    PropagateAtLaunch: false,
  };
  try {
    await translated(groupName, GroupUpdateRefused, () =>
      autoScaling.send(new CreateOrUpdateTagsCommand({ Tags: [tag] })),
    );
    return true;
  } catch (error) {
    if (error instanceof AutoScalingUnavailable) return false;
    throw error;
  }
}
