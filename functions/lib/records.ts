/** What an execution leaves for the next ones, on tags of the group. */

import {
  type AutoScalingClient,
  CreateOrUpdateTagsCommand,
  DeleteTagsCommand,
} from '@aws-sdk/client-auto-scaling';
import { groupTag, translated } from './auto-scaling.ts';
import { formatLevels, type TaskLevels } from './concurrency.ts';
import { GroupUpdateRefused } from './errors.ts';
import { formatOutside, type TasksOutside } from './outside.ts';
import { OUTSIDE_TAG, TASKS_TAG, WITHHELD_TAG } from './tags.ts';
import { formatWithheld, type Withheld } from './withheld.ts';

/**
 * Puts on record what happened since the last claim, or takes it off the record.
 *
 * @throws GroupUpdateRefused, AutoScalingDenied, AutoScalingUnavailable
 */
export async function recordWithheld(
  autoScaling: AutoScalingClient,
  groupName: string,
  withheld: Withheld | null,
): Promise<void> {
  await record(autoScaling, groupName, WITHHELD_TAG, withheld && formatWithheld(withheld));
}

/**
 * Puts on record how many tasks run outside, or takes it off the record.
 *
 * @throws GroupUpdateRefused, AutoScalingDenied, AutoScalingUnavailable
 */
export async function recordOutside(
  autoScaling: AutoScalingClient,
  groupName: string,
  outside: TasksOutside | null,
): Promise<void> {
  await record(autoScaling, groupName, OUTSIDE_TAG, outside && formatOutside(outside));
}

/** Writes a tag of a group, or deletes it if the value is `null`. */
async function record(
  autoScaling: AutoScalingClient,
  groupName: string,
  key: string,
  value: string | null,
): Promise<void> {
  const tag = groupTag(groupName, key);
  await translated(groupName, GroupUpdateRefused, async () => {
    if (value === null) await autoScaling.send(new DeleteTagsCommand({ Tags: [tag] }));
    else {
      const Tags = [{ ...tag, Value: value, PropagateAtLaunch: false }];
      await autoScaling.send(new CreateOrUpdateTagsCommand({ Tags }));
    }
  });
}

/**
 * Puts the fleet's tasks on record for the fleets that share a plan with it.
 *
 * @throws GroupUpdateRefused, AutoScalingDenied, AutoScalingUnavailable
 */
export async function recordLevels(
  autoScaling: AutoScalingClient,
  groupName: string,
  levels: TaskLevels,
): Promise<void> {
  await record(autoScaling, groupName, TASKS_TAG, formatLevels(levels));
}
