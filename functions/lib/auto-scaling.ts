import {
  AutoScalingClient,
  CreateOrUpdateTagsCommand,
  DeleteTagsCommand,
  DescribeAutoScalingGroupsCommand,
  PutWarmPoolCommand,
  ResumeProcessesCommand,
  SetDesiredCapacityCommand,
  SuspendProcessesCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import * as z from 'zod/mini';
import { clientSettings } from './client-settings.ts';
import { parseLevels, type Sharer, type TaskLevels } from './concurrency.ts';
import { Count, type Group } from './contracts.ts';
import {
  AutoScalingDenied,
  AutoScalingUnavailable,
  GroupNotFound,
  GroupUnreadable,
  GroupUpdateRefused,
} from './errors.ts';
import { LAUNCH, launchProcessOf, type SuspendedFor } from './launch-process.ts';
import { parseOutside } from './outside.ts';
import { isYoung } from './pacing.ts';
import { printableName } from './printable.ts';
import { sentence } from './sentence.ts';
import {
  FALLBACK_TAG,
  LAUNCH_SUSPENDED_TAG,
  OUTSIDE_TAG,
  PAUSED_AT_TAG,
  PAUSED_TAG,
  TASKS_TAG,
  WITHHELD_TAG,
} from './tags.ts';
import { parseWithheld } from './withheld.ts';

/** Makes a function's client, once for each function. */
export const autoScalingClient = () => new AutoScalingClient(clientSettings);

const Described = z.object({
  DesiredCapacity: Count,
  CreatedTime: z.optional(z.date()),
  MaxSize: z.optional(Count),
  NewInstancesProtectedFromScaleIn: z.optional(z.boolean()),
  Instances: z._default(
    z.array(z.object({ LifecycleState: z.string(), ProtectedFromScaleIn: z.optional(z.boolean()) })),
    [],
  ),
  SuspendedProcesses: z._default(
    z.array(z.object({ ProcessName: z.string(), SuspensionReason: z.optional(z.string()) })),
    [],
  ),
  Tags: z._default(z.array(z.object({ Key: z.string(), Value: z._default(z.string(), '') })), []),
  MixedInstancesPolicy: z.optional(
    // AWS returns all of it, emulators less.
    z.object({
      InstancesDistribution: z.optional(
        z.looseObject({ OnDemandPercentageAboveBaseCapacity: z.optional(Count) }),
      ),
    }),
  ),
  WarmPoolConfiguration: z.optional(
    z.object({
      MinSize: z._default(Count, 0),
      PoolState: z._default(z.enum(['Stopped', 'Hibernated', 'Running']), 'Stopped'),
    }),
  ),
});

/**
 * Reads a group's desired capacity, counts its members by lifecycle state, and says how it buys them.
 *
 * @param sharing The groups of all fleets that share a plan's concurrency, this one included.
 * @param now Milliseconds since the epoch: the answer says when the group was created if it is young then. Default: it
 * never says so.
 * @throws GroupNotFound, GroupUnreadable, AutoScalingDenied, AutoScalingUnavailable
 */
export async function describeGroup(
  autoScaling: AutoScalingClient,
  groupName: string,
  sharing: readonly string[] = [],
  now = Number.POSITIVE_INFINITY,
): Promise<Group> {
  const { group: described, others } = await readGroups(autoScaling, groupName, sharing);
  const { CreatedTime, DesiredCapacity, MaxSize, Instances, Tags } = described;
  const { MixedInstancesPolicy, WarmPoolConfiguration } = described;
  const members = membersOf(Instances);
  // A pending instance gets its protection from the group.
  const unprotected =
    described.NewInstancesProtectedFromScaleIn === false ||
    Instances.some(
      ({ LifecycleState, ProtectedFromScaleIn }) =>
        !LifecycleState.startsWith('Warmed') &&
        memberKind(LifecycleState) === 'inService' &&
        ProtectedFromScaleIn === false,
    );
  const onDemandPercentage = MixedInstancesPolicy?.InstancesDistribution?.OnDemandPercentageAboveBaseCapacity;
  const withheld = parseWithheld(Tags.find(({ Key }) => Key === WITHHELD_TAG)?.Value ?? '');
  const tasksOutside = parseOutside(Tags.find(({ Key }) => Key === OUTSIDE_TAG)?.Value ?? '');
  const byFallback = Tags.some(({ Key }) => Key === FALLBACK_TAG);
  const paused = Tags.find(({ Key }) => Key === PAUSED_TAG)?.Value ?? 'false';
  if (paused !== 'true' && paused !== 'drain' && paused !== 'false') {
    throw new GroupUnreadable(
      `Auto Scaling group ${groupName}: its tag ${PAUSED_TAG} must be true, drain or false, got "${printableName(paused, LONGEST_TIME)}". Capacity is held.`,
    );
  }
  const pausedAt = Tags.find(({ Key }) => Key === PAUSED_AT_TAG)?.Value;
  return {
    desired: DesiredCapacity,
    members,
    ...(MaxSize !== undefined && { maxSize: MaxSize }),
    launchProcess: launchProcessOf(described),
    paused,
    ...(paused !== 'false' && pausedAt !== undefined && { pausedAt: printableName(pausedAt, LONGEST_TIME) }),
    ...(unprotected && { unprotected }),
    ...(withheld && { withheld }),
    ...(tasksOutside && { tasksOutside }),
    ...levelsOf(described),
    ...(CreatedTime &&
      isYoung(CreatedTime.getTime(), now) && { createdAt: Math.floor(CreatedTime.getTime() / 1_000) }),
    ...(sharing.length > 0 && { sharers: others }),
    ...(WarmPoolConfiguration && {
      warmPool: { size: WarmPoolConfiguration.MinSize, state: WarmPoolConfiguration.PoolState },
    }),
    ...(onDemandPercentage !== undefined && { purchase: { onDemandPercentage, byFallback } }),
  };
}

type Described = z.infer<typeof Described>;

/** Of a time in a tag, as text, in characters. Whoever may tag the group can write anything there. */
const LONGEST_TIME = 64;

/** The maximum of groups in an answer: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html */
const MAX_RECORDS = 100;

/** Reads a group, and those of other fleets, which are in the order of the names. One that cannot be read has no members. */
async function readGroups(
  autoScaling: AutoScalingClient,
  groupName: string,
  sharing: readonly string[] = [],
): Promise<{ group: Described; others: Sharer[] }> {
  const otherNames = sharing.filter((name) => name !== groupName);
  const answer = await translated(groupName, GroupNotFound, () =>
    autoScaling.send(
      new DescribeAutoScalingGroupsCommand({
        AutoScalingGroupNames: [groupName, ...otherNames],
        ...(otherNames.length > 0 && { MaxRecords: MAX_RECORDS }),
      }),
    ),
  );
  const named = (name: string) =>
    answer.AutoScalingGroups?.find(({ AutoScalingGroupName }) => AutoScalingGroupName === name);
  const others = otherNames.map((name): Sharer => {
    const other = z.safeParse(Described, named(name));
    if (!other.success) return { present: 0 };
    const { pending, inService } = membersOf(other.data.Instances);
    return { present: pending + inService, ...levelsOf(other.data) };
  });
  const group = named(groupName);
  if (group === undefined) {
    throw new GroupNotFound(
      `No Auto Scaling group is named ${groupName} in this account and region. If somebody deleted it, deploy with npx cdk deploy --all --revert-drift.`,
    );
  }
  const parsed = z.safeParse(Described, group);
  if (!parsed.success) {
    throw new GroupUnreadable(
      `Auto Scaling group ${groupName} was described without what every group has: ${z.prettifyError(parsed.error)}`,
    );
  }
  return { group: parsed.data, others };
}

function membersOf(instances: Described['Instances']): Group['members'] {
  const members = { pending: 0, inService: 0, leaving: 0, standby: 0 };
  for (const { LifecycleState } of instances) {
    // Instances of the warm pool have a list of their own, DescribeWarmPool. Should one be here, it is no member.
    if (!LifecycleState.startsWith('Warmed')) members[memberKind(LifecycleState)] += 1;
  }
  return members;
}

function levelsOf({ Tags }: Pick<Described, 'Tags'>): { levels?: TaskLevels } {
  const levels = parseLevels(Tags.find(({ Key }) => Key === TASKS_TAG)?.Value ?? '');
  return levels === undefined ? {} : { levels };
}

/**
 * The lifecycle states and what they mean for capacity:
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html
 * An unknown state counts as in service, so that no instance is mistaken for one that has left.
 */
export function memberKind(lifecycleState: string): keyof Group['members'] {
  if (lifecycleState.startsWith('Pending')) return 'pending';
  if (/^(Terminat|Detach)/.test(lifecycleState)) return 'leaving';
  if (/Standby$/.test(lifecycleState)) return 'standby';
  return 'inService';
}

/**
 * Sets a group's desired capacity. Writing the same value twice does no harm.
 *
 * @throws GroupUpdateRefused, AutoScalingDenied, AutoScalingUnavailable
 */
export async function setDesiredCapacity(
  autoScaling: AutoScalingClient,
  groupName: string,
  desired: number,
): Promise<void> {
  await translated(groupName, GroupUpdateRefused, () =>
    autoScaling.send(
      new SetDesiredCapacityCommand({ AutoScalingGroupName: groupName, DesiredCapacity: desired }),
    ),
  );
}

/**
 * Suspends a group's `Launch` process, so that it replaces nothing. A tag records that the workflow did it, and for what.
 * The tag is written first: if the second call fails, the workflow still knows that it may resume the process.
 *
 * @throws GroupUpdateRefused, AutoScalingDenied, AutoScalingUnavailable
 */
export async function suspendLaunchProcess(
  autoScaling: AutoScalingClient,
  groupName: string,
  cause: SuspendedFor = 'breaker',
): Promise<void> {
  const tag = { ...groupTag(groupName, LAUNCH_SUSPENDED_TAG), Value: cause, PropagateAtLaunch: false };
  await translated(groupName, GroupUpdateRefused, async () => {
    await autoScaling.send(new CreateOrUpdateTagsCommand({ Tags: [tag] }));
    await autoScaling.send(
      new SuspendProcessesCommand({ AutoScalingGroupName: groupName, ScalingProcesses: [LAUNCH] }),
    );
  });
}

/**
 * Resumes a group's `Launch` process, and then deletes the tag that says that the workflow suspended it.
 *
 * @throws GroupUpdateRefused, AutoScalingDenied, AutoScalingUnavailable
 */
export async function resumeLaunchProcess(autoScaling: AutoScalingClient, groupName: string): Promise<void> {
  await translated(groupName, GroupUpdateRefused, async () => {
    await autoScaling.send(
      new ResumeProcessesCommand({ AutoScalingGroupName: groupName, ScalingProcesses: [LAUNCH] }),
    );
    await autoScaling.send(new DeleteTagsCommand({ Tags: [groupTag(groupName, LAUNCH_SUSPENDED_TAG)] }));
  });
}

/**
 * Sets how much of a group beyond its base is On-Demand: 100 for the fallback, which is put on record first, or
 * what the fleet is configured to, after which the record is deleted. Members stay as they are. The rest of the
 * distribution is written as it is, because what is left out of it might become a default.
 *
 * @throws GroupNotFound, GroupUnreadable, GroupUpdateRefused, AutoScalingDenied, AutoScalingUnavailable
 */
export async function setOnDemandPercentage(
  autoScaling: AutoScalingClient,
  groupName: string,
  percentage: number,
): Promise<void> {
  const {
    group: { MixedInstancesPolicy },
  } = await readGroups(autoScaling, groupName);
  const distribution = MixedInstancesPolicy?.InstancesDistribution;
  if (distribution === undefined) return;
  const tag = groupTag(groupName, FALLBACK_TAG);
  const fallback = percentage === 100;
  await translated(groupName, GroupUpdateRefused, async () => {
    if (fallback) {
      const Tags = [{ ...tag, Value: 'spot-shortage', PropagateAtLaunch: false }];
      await autoScaling.send(new CreateOrUpdateTagsCommand({ Tags }));
    }
    if (distribution.OnDemandPercentageAboveBaseCapacity !== percentage) {
      const InstancesDistribution = { ...distribution, OnDemandPercentageAboveBaseCapacity: percentage };
      await autoScaling.send(
        new UpdateAutoScalingGroupCommand({
          AutoScalingGroupName: groupName,
          MixedInstancesPolicy: { InstancesDistribution },
        }),
      );
    }
    if (!fallback) await autoScaling.send(new DeleteTagsCommand({ Tags: [tag] }));
  });
}

/**
 * Sets how many instances a group's warm pool holds, at any desired capacity of the group: minimum and maximum are the
 * same. https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutWarmPool.html
 *
 * @throws GroupUpdateRefused, AutoScalingDenied, AutoScalingUnavailable
 */
export async function putWarmPool(
  autoScaling: AutoScalingClient,
  groupName: string,
  { size, state }: NonNullable<Group['warmPool']>,
): Promise<void> {
  await translated(groupName, GroupUpdateRefused, () =>
    autoScaling.send(
      new PutWarmPoolCommand({
        AutoScalingGroupName: groupName,
        MinSize: size,
        MaxGroupPreparedCapacity: size,
        PoolState: state,
        InstanceReusePolicy: { ReuseOnScaleIn: false },
      }),
    ),
  );
}

/** A tag of a group, for a request that writes or deletes it. */
export const groupTag = (groupName: string, key: string) => ({
  ResourceId: groupName,
  ResourceType: 'auto-scaling-group',
  Key: key,
});

/**
 * Error names: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/CommonErrors.html
 *
 * @param Invalid What it means that the request itself is refused.
 */
export async function translated<T>(
  groupName: string,
  Invalid: typeof GroupNotFound | typeof GroupUpdateRefused,
  call: () => Promise<T>,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const cause = error as Error;
    const said = sentence(`EC2 Auto Scaling, group ${groupName}: ${cause.name}: ${cause.message}`);
    switch (cause.name) {
      case 'ValidationError':
      case 'ValidationException':
        throw new Invalid(
          `${said} Does the group still exist, and is its maximum size the largest maxReplicas of the fleet and its schedules? Deploy with npx cdk deploy --all --revert-drift.`,
          { cause },
        );
      case 'AccessDenied':
      case 'AccessDeniedException':
      case 'UnauthorizedOperation':
        throw new AutoScalingDenied(
          `${said} The step's role lacks a permission: deploy with npx cdk deploy --all --revert-drift.`,
          { cause },
        );
      default:
        throw new AutoScalingUnavailable(`${said} Capacity is held.`, { cause });
    }
  }
}
