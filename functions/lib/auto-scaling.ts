import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  DescribeScalingActivitiesCommand,
  SetDesiredCapacityCommand,
} from '@aws-sdk/client-auto-scaling';
import * as z from 'zod/mini';
import type { FailureKind, Launch } from './breaker.ts';
import { clientSettings } from './client-settings.ts';
import { Count, type Group } from './contracts.ts';
import {
  AutoScalingDenied,
  AutoScalingUnavailable,
  GroupNotFound,
  GroupUnreadable,
  GroupUpdateRefused,
} from './errors.ts';

export const autoScaling = new AutoScalingClient(clientSettings);

const Described = z.object({
  DesiredCapacity: Count,
  Instances: z._default(z.array(z.object({ LifecycleState: z.string() })), []),
});

/**
 * Reads a group's desired capacity and counts its members by lifecycle state.
 *
 * @throws GroupNotFound, GroupUnreadable, AutoScalingDenied, AutoScalingUnavailable
 */
export async function describeGroup(groupName: string): Promise<Group> {
  const answer = await translated(groupName, GroupNotFound, () =>
    autoScaling.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [groupName] })),
  );
  const group = answer.AutoScalingGroups?.[0];
  if (group === undefined) {
    throw new GroupNotFound(
      `No Auto Scaling group is named ${groupName} in this account and region. Deploy the stack again.`,
    );
  }
  const parsed = z.safeParse(Described, group);
  if (!parsed.success) {
    throw new GroupUnreadable(
      `Auto Scaling group ${groupName} was described without what every group has: ${z.prettifyError(parsed.error)}`,
    );
  }
  const members = { pending: 0, inService: 0, leaving: 0, standby: 0 };
  for (const instance of parsed.data.Instances) members[memberKind(instance.LifecycleState)] += 1;
  return { desired: parsed.data.DesiredCapacity, members };
}

/**
 * The lifecycle states and what they mean for capacity:
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html
 * A state unknown here counts as in service, so that nobody's instance is taken for one that has left.
 */
function memberKind(lifecycleState: string): keyof Group['members'] {
  if (lifecycleState.startsWith('Pending')) return 'pending';
  if (/^(Terminat|Detach)/.test(lifecycleState)) return 'leaving';
  if (/Standby$/.test(lifecycleState)) return 'standby';
  return 'inService';
}

const Activity = z.object({
  Description: z._default(z.string(), ''),
  StatusCode: z.string(),
  StatusMessage: z._default(z.string(), ''),
  StartTime: z.date(),
  EndTime: z.optional(z.date()),
});
type Activity = z.infer<typeof Activity>;

/** How many scaling activities one answer holds at most, and how many answers are asked for. */
const ACTIVITIES_PER_PAGE = 100;
const MOST_PAGES = 5;

/**
 * Reads what became of a group's launches. The first 100 scaling activities mostly say it; as those in progress
 * come first, more are read, up to 500, until there is one that has ended.
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeScalingActivities.html
 *
 * @returns The launches, and when the last activity of any kind began or ended (milliseconds since the epoch).
 * @throws GroupNotFound, GroupUnreadable, AutoScalingDenied, AutoScalingUnavailable
 */
export async function describeActivities(
  groupName: string,
): Promise<{ launches: Launch[]; lastAt: number | undefined }> {
  const activities: Activity[] = [];
  let NextToken: string | undefined;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer = await translated(groupName, GroupNotFound, () =>
      autoScaling.send(
        new DescribeScalingActivitiesCommand({
          AutoScalingGroupName: groupName,
          MaxRecords: ACTIVITIES_PER_PAGE,
          NextToken,
        }),
      ),
    );
    const parsed = z.safeParse(z._default(z.array(Activity), []), answer.Activities);
    if (!parsed.success) {
      throw new GroupUnreadable(
        `The scaling activities of ${groupName} lack what every activity has: ${z.prettifyError(parsed.error)}`,
      );
    }
    activities.push(...parsed.data);
    NextToken = answer.NextToken;
    if (NextToken === undefined || parsed.data.some(({ EndTime }) => EndTime !== undefined)) break;
  }
  const times = activities.map(({ StartTime, EndTime }) => (EndTime ?? StartTime).getTime());
  return {
    launches: activities.flatMap((activity) => asLaunch(activity) ?? []),
    lastAt: times.length === 0 ? undefined : Math.max(...times),
  };
}

const LAUNCH = /^Launching a new EC2 instance/;
const SHORTAGE = /capacity|spot|limit|quota|vcpu/i;

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Activity.html: those but the three below are under way. */
function asLaunch({
  Description,
  StatusCode,
  StatusMessage,
  StartTime,
  EndTime,
}: Activity): Launch | undefined {
  if (!LAUNCH.test(Description)) return undefined;
  const startedAt = StartTime.getTime();
  // It is told in whole seconds, so that what failed at once ends before it started.
  const endedAt = Math.max((EndTime ?? StartTime).getTime(), startedAt);
  if (StatusCode === 'Successful') return { outcome: 'succeeded', startedAt, endedAt };
  if (StatusCode !== 'Failed' && StatusCode !== 'Cancelled') return { outcome: 'underway', startedAt };
  const reason = StatusMessage || Description;
  // Taken back before there was an instance, because the desired capacity fell: nothing failed.
  const launched = / i-[0-9a-f]+/.test(Description);
  if (StatusCode === 'Cancelled' && !launched && !SHORTAGE.test(reason)) return undefined;
  const kind: FailureKind = SHORTAGE.test(reason) ? 'shortage' : launched ? 'boot' : 'refused';
  return { outcome: 'failed', startedAt, endedAt, kind, reason };
}

/**
 * Sets a group's desired capacity. Writing the same value twice does no harm.
 *
 * @throws GroupUpdateRefused, AutoScalingDenied, AutoScalingUnavailable
 */
export async function setDesiredCapacity(groupName: string, desired: number): Promise<void> {
  await translated(groupName, GroupUpdateRefused, () =>
    autoScaling.send(
      new SetDesiredCapacityCommand({ AutoScalingGroupName: groupName, DesiredCapacity: desired }),
    ),
  );
}

/**
 * Error names: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/CommonErrors.html
 *
 * @param Invalid What it means that the request itself is refused.
 */
async function translated<T>(
  groupName: string,
  Invalid: typeof GroupNotFound | typeof GroupUpdateRefused,
  call: () => Promise<T>,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const cause = error as Error;
    const said = `EC2 Auto Scaling, group ${groupName}: ${cause.name}: ${cause.message}`;
    switch (cause.name) {
      case 'ValidationError':
      case 'ValidationException':
        throw new Invalid(
          `${said}. Does the group still exist, and does its maximum size equal maxReplicas? Deploy the stack again.`,
          { cause },
        );
      case 'AccessDenied':
      case 'AccessDeniedException':
      case 'UnauthorizedOperation':
        throw new AutoScalingDenied(`${said}. The step's role lacks a permission: deploy the stack again.`, {
          cause,
        });
      default:
        throw new AutoScalingUnavailable(`${said}. Capacity is held.`, { cause });
    }
  }
}
