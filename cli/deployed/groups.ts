import {
  type AutoScalingClient,
  type AutoScalingGroup,
  paginateDescribeAutoScalingGroups,
} from '@aws-sdk/client-auto-scaling';
import { groupNameOf } from '../../fleets/names.ts';
import { memberKind } from '../../functions/lib/auto-scaling.ts';
import type { Members } from '../../functions/lib/capacity.ts';
import {
  LAUNCH_SUSPENDED_TAG,
  PAUSED_AT_TAG,
  PAUSED_TAG,
  STACK_TAG,
  SUSPENDED_FOR_DRAIN,
} from '../../functions/lib/tags.ts';
import { RESTORE } from '../../statemachine/first-steps.ts';

/** The largest page: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html */
const PAGE = 100;

/** A member of a group. */
export interface Member {
  instance: string;
  type: string;
  lifecycleState: string;
  kind: keyof Members;
  /** Version of the launch template that it was launched from. */
  version: string | undefined;
}

/** An instance of a warm pool. Those of a pool are no members of the group. */
export type PoolInstance = Pick<Member, 'instance' | 'lifecycleState'>;

/** The group of a deployed fleet. */
export interface FleetGroup {
  fleet: string;
  group: string;
  desired: number;
  maxSize: number;
  members: Member[];
  /** How many instances are in its warm pool; `undefined` if it has none. */
  warmPoolSize: number | undefined;
  paused: { how: 'true' | 'drain'; since: string | undefined } | undefined;
  /** Suspended processes, with the reasons that AWS gives. */
  suspended: { process: string; reason: string }[];
  /** Whether the breaker suspended the `Launch` process. */
  breakerOpen: boolean;
  /** Whether the workflow suspended the `Launch` process because the fleet drains, and has not resumed it yet. */
  suspendedForDrain: boolean;
  /** Instance types that the group may launch, as far as the group itself names them. */
  types: string[];
  described: AutoScalingGroup;
}

/**
 * The groups of all fleets of an app, by their tag.
 *
 * @param app Name of the app, as in `-c stack`.
 */
export async function fleetGroups(app: string, client: AutoScalingClient): Promise<FleetGroup[]> {
  const groups: FleetGroup[] = [];
  const asked = { Filters: [{ Name: `tag:${STACK_TAG}`, Values: [app] }], MaxRecords: PAGE };
  for await (const page of paginateDescribeAutoScalingGroups({ client }, asked)) {
    for (const described of page.AutoScalingGroups ?? []) {
      const { AutoScalingGroupName: name = '' } = described;
      if (name.startsWith(groupNameOf(app, '')))
        groups.push(parseGroup(name.slice(app.length + 1), described));
    }
  }
  return groups.sort((a, b) => (a.fleet < b.fleet ? -1 : 1));
}

/**
 * How long after its group a fleet may have its first decision, in seconds: a deployment makes the schedule after the
 * group, the alarms and the warm pool, the schedule starts an execution within a minute, and logs arrive late.
 */
export const FIRST_DECISION_SECONDS = 300;

/**
 * How old the group of a fleet is, in seconds, if it is so new that the fleet's first execution may not have happened yet;
 * `undefined` if it is older or its age is not known.
 *
 * @param now Milliseconds since the epoch.
 */
export function newGroupAge({ described }: FleetGroup, now: number): number | undefined {
  const created = described.CreatedTime?.getTime();
  if (created === undefined) return undefined;
  const age = Math.max(Math.round((now - created) / 1_000), 0);
  return age <= FIRST_DECISION_SECONDS ? age : undefined;
}

/** The fleets that have settings and no group, which somebody deleted by hand. */
export const fleetsWithoutGroup = (
  settings: ReadonlyMap<string, unknown>,
  groups: readonly FleetGroup[],
): string[] => [...settings.keys()].filter((name) => !groups.some(({ fleet }) => fleet === name));

/** What is wrong with a fleet that has no group, and what to do. */
export const groupIsGone = (fleet: string): string =>
  `The Auto Scaling group of fleet ${fleet} is gone, so each of its executions fails. Restore it: ${RESTORE}. See docs/operations.md#group-unreadable`;

const tagOf = ({ Tags = [] }: AutoScalingGroup, key: string) =>
  Tags.find(({ Key }) => Key === key)?.Value || undefined;

export function parseGroup(fleet: string, described: AutoScalingGroup): FleetGroup {
  const { AutoScalingGroupName = '', DesiredCapacity = 0, MaxSize = 0, Instances = [] } = described;
  const paused = tagOf(described, PAUSED_TAG);
  const suspendedBy = tagOf(described, LAUNCH_SUSPENDED_TAG);
  const overrides = described.MixedInstancesPolicy?.LaunchTemplate?.Overrides ?? [];
  return {
    fleet,
    group: AutoScalingGroupName,
    desired: DesiredCapacity,
    maxSize: MaxSize,
    // Instances of the warm pool are no members.
    members: Instances.filter(({ LifecycleState = '' }) => !LifecycleState.startsWith('Warmed')).map(
      ({ InstanceId = '', InstanceType = '', LifecycleState = '', LaunchTemplate }) => ({
        instance: InstanceId,
        type: InstanceType,
        lifecycleState: LifecycleState,
        kind: memberKind(LifecycleState),
        version: LaunchTemplate?.Version,
      }),
    ),
    warmPoolSize: described.WarmPoolConfiguration === undefined ? undefined : (described.WarmPoolSize ?? 0),
    paused:
      paused === 'true' || paused === 'drain'
        ? { how: paused, since: tagOf(described, PAUSED_AT_TAG) }
        : undefined,
    suspended: (described.SuspendedProcesses ?? []).map(({ ProcessName = '', SuspensionReason = '' }) => ({
      process: ProcessName,
      reason: SuspensionReason,
    })),
    breakerOpen: suspendedBy !== undefined && suspendedBy !== SUSPENDED_FOR_DRAIN,
    suspendedForDrain: suspendedBy === SUSPENDED_FOR_DRAIN,
    types: overrides.flatMap(({ InstanceType }) => InstanceType ?? []),
    described,
  };
}
