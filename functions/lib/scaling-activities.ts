import { type AutoScalingClient, DescribeScalingActivitiesCommand } from '@aws-sdk/client-auto-scaling';
import * as z from 'zod/mini';
import type { LaunchRecord } from './activities.ts';
import { translated } from './auto-scaling.ts';
import type { Launch } from './breaker.ts';
import { GroupNotFound, GroupUnreadable } from './errors.ts';
import { classifyFailure } from './launch-failures.ts';
import { printable } from './printable.ts';
import type { Boot } from './warm-pool.ts';

export const Activity = z.object({
  /** Missing at some emulators. */
  ActivityId: z.optional(z.string()),
  Description: z._default(z.string(), ''),
  StatusCode: z.string(),
  StatusMessage: z._default(z.string(), ''),
  StartTime: z.date(),
  EndTime: z.optional(z.date()),
});
export type Activity = z.infer<typeof Activity>;
const Page = z._default(z.array(Activity), []);

/** How many scaling activities one answer holds at most, and how many answers are asked for. */
const ACTIVITIES_PER_PAGE = 100;
const MOST_PAGES = 5;

/**
 * Reads the record of a group's launches. The first 100 scaling activities mostly say it. More are read, up to 500, as long
 * as no launch among the last 100 succeeded, or as the execution counts some of them.
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeScalingActivities.html
 *
 * @param options.all Read 500 in any case.
 * @param options.counts Whether the execution counts any of these launches. Default: none.
 * @returns The launches, the boots that went well, whether there are no older ones, whether there may be more to count,
 * and when the last activity of any kind began or ended (milliseconds since the epoch).
 * @throws GroupNotFound, GroupUnreadable, AutoScalingDenied, AutoScalingUnavailable
 */
export async function describeActivities(
  autoScaling: AutoScalingClient,
  groupName: string,
  {
    all = false,
    counts = () => Promise.resolve(false),
  }: { all?: boolean; counts?: (launches: readonly Launch[]) => Promise<boolean> } = {},
): Promise<LaunchRecord> {
  // While one answer is read, new activities push others into the next one, which has them again.
  const activities = new Map<string, Activity>();
  let moreToCount = false;
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
    const parsed = z.safeParse(Page, answer.Activities);
    if (!parsed.success) {
      throw new GroupUnreadable(
        `The scaling activities of ${groupName} lack what every activity has: ${z.prettifyError(parsed.error)}`,
      );
    }
    for (const activity of parsed.data)
      activities.set(activity.ActivityId ?? `the ${activities.size}th`, activity);
    NextToken = answer.NextToken;
    const found = parsed.data.flatMap((activity) => asLaunch(activity) ?? []);
    moreToCount = await counts(found);
    const succeeded = found.some(({ outcome }) => outcome === 'succeeded');
    if (NextToken === undefined || (succeeded && !moreToCount && !all)) break;
  }
  const read = [...activities.values()];
  const times = read.map(({ StartTime, EndTime }) => (EndTime ?? StartTime).getTime());
  return {
    launches: read.flatMap((activity) => asLaunch(activity) ?? []),
    boots: read.flatMap((activity) => asBoot(activity) ?? []),
    complete: NextToken === undefined,
    ...(moreToCount && NextToken !== undefined && { moreToCount: true }),
    lastAt: times.length === 0 ? undefined : Math.max(...times),
  };
}

/** `Launching a new EC2 instance: i-...`, or `... from warm pool: i-...`, or `... into warm pool: i-...`. */
const LAUNCHING = /^Launching a new EC2 instance/;
const INTO_WARM_POOL = /^Launching a new EC2 instance into warm pool/;
const FROM_WARM_POOL = /^Launching a new EC2 instance from warm pool/;

/** https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Activity.html: those but the three below are under way. */
export function asLaunch({
  Description,
  StatusCode,
  StatusMessage,
  StartTime,
  EndTime,
}: Activity): Launch | undefined {
  if (!LAUNCHING.test(Description)) return undefined;
  // An instance that fails to get warm is a launch that failed. One that is warm is not in service: that its
  // runner starts is still to be seen, so it must not pass for a success.
  if (INTO_WARM_POOL.test(Description) && StatusCode !== 'Failed' && StatusCode !== 'Cancelled')
    return undefined;
  const startedAt = StartTime.getTime();
  // AWS reports it in whole seconds, so a launch that failed at once ends before its start.
  const endedAt = Math.max((EndTime ?? StartTime).getTime(), startedAt);
  if (StatusCode === 'Successful') return { outcome: 'succeeded', startedAt, endedAt };
  const launched = / i-[0-9a-f]+/.test(Description);
  const without = launched ? {} : { noInstance: true };
  if (StatusCode !== 'Failed' && StatusCode !== 'Cancelled')
    return { outcome: 'underway', startedAt, ...without };
  const reason = StatusMessage || Description;
  const { kind, spot } = classifyFailure(reason, launched);
  // Taken back before there was an instance, because the desired capacity fell: nothing failed.
  if (StatusCode === 'Cancelled' && !launched && kind === 'refused') return undefined;
  return {
    outcome: 'failed',
    startedAt,
    endedAt,
    kind,
    ...(spot && { spot }),
    ...without,
    reason: printable(reason),
  };
}

/** What was launched from nothing, and not out of the warm pool, and was well. */
function asBoot({ Description, StatusCode, StartTime, EndTime }: Activity): Boot | undefined {
  if (!LAUNCHING.test(Description) || FROM_WARM_POOL.test(Description)) return undefined;
  if (StatusCode !== 'Successful' || EndTime === undefined) return undefined;
  return { startedAt: StartTime.getTime(), endedAt: EndTime.getTime() };
}
