/** Where the embedded instances run. */
export const AVAILABILITY_ZONE = 'eu-west-1a';

const SUBNET = 'subnet-0123456789abcdef0';

/** How many of the newest are kept, beside those in progress. AWS keeps six weeks, and answers with at most 100. */
const KEPT = 600;

const PROGRESS = { PreInService: 30, MidLifecycleAction: 60, Successful: 100, Failed: 100, Cancelled: 100 };

export type ActivityStatus = keyof typeof PROGRESS;

/**
 * What EC2 says when it refuses a launch, by fault:
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ts-as-instancelaunchfailure.html
 */
export const REFUSALS = {
  refused: `We currently do not have sufficient m7g.large capacity in the Availability Zone you requested (${AVAILABILITY_ZONE}). Our system will be working on provisioning additional capacity. You can currently get m7g.large capacity by not specifying an Availability Zone in your request or choosing eu-west-1b, eu-west-1c. Launching EC2 instance failed.`,
  'no-spot':
    'Could not launch Spot Instances. UnfulfillableCapacity - There is no capacity available that matches your request. Launching EC2 instance failed.',
} as const;

/** What the group says of a pending instance that EC2 has taken back. */
export const RECLAIMED =
  'Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Server.SpotInstanceTermination: Spot instance termination';

export type HookResult = 'Heartbeat Timeout' | 'Lifecycle Action Completed with ABANDON Result';

/** A change of capacity, as the causes of activities tell it. */
export interface CapacityChange {
  from: number;
  to: number;
}

/** Times are milliseconds since the epoch. */
export interface ScalingActivity {
  readonly number: number;
  readonly description: string;
  readonly causes: string[];
  readonly startedAt: number;
  endedAt?: number;
  status: ActivityStatus;
  statusMessage?: string;
}

/** The record that EC2 Auto Scaling keeps of a group's launches and terminations. */
export class ScalingActivities {
  readonly #now: () => number;
  /** In the order of their start. */
  #kept: ScalingActivity[] = [];
  #number = 0;
  #crowded = 2 * KEPT;

  /** @param now Milliseconds since the epoch. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** An instance is launched; what becomes of it is for `proceed`, `end`, `abandon` or `forget` to say. */
  launch(instanceId: string, change: CapacityChange): ScalingActivity {
    return this.#begin(`Launching a new EC2 instance: ${instanceId}`, [started(change)]);
  }

  /** An instance of the warm pool is launched into service. */
  launchWarm(instanceId: string, change: CapacityChange): ScalingActivity {
    return this.#begin(`Launching a new EC2 instance from warm pool: ${instanceId}`, [started(change)]);
  }

  /** An instance is launched into the warm pool. */
  warm(instanceId: string): ScalingActivity {
    return this.#begin(`Launching a new EC2 instance into warm pool: ${instanceId}`, [WARMED]);
  }

  /** EC2 refuses a launch into the warm pool. */
  refuseWarm(reason: string): void {
    this.end(this.#begin('Launching a new EC2 instance into warm pool', [WARMED]), 'Failed', reason);
  }

  /** EC2 refuses a launch: there is no instance. */
  refuse(reason: string, change: CapacityChange): void {
    this.end(this.#begin('Launching a new EC2 instance', [started(change)]), 'Failed', reason);
  }

  /** An instance terminates itself by the API; no change if the group is to replace it. */
  leave(instanceId: string, change?: CapacityChange): void {
    const shrinking = change && `, shrinking the capacity from ${change.from} to ${change.to}`;
    this.#terminate(instanceId, [
      `instance ${instanceId} was taken out of service in response to a user request${shrinking ?? ''}`,
    ]);
  }

  /** The group takes an instance away, because desired capacity is lower than its size. */
  scaleIn(instanceId: string, { from, to }: CapacityChange): void {
    this.#terminate(instanceId, [
      `an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity from ${from} to ${to}`,
      `instance ${instanceId} was selected for termination`,
    ]);
  }

  /** The launched instance is up, and its launch hook waits. */
  proceed(launch: ScalingActivity): void {
    launch.status = 'MidLifecycleAction';
  }

  end(
    activity: ScalingActivity,
    status: 'Successful' | 'Failed' | 'Cancelled',
    statusMessage?: string,
  ): void {
    activity.endedAt = this.#now();
    activity.status = status;
    if (statusMessage !== undefined) activity.statusMessage = statusMessage;
  }

  /** The launch hook gives the instance up. */
  abandon(launch: ScalingActivity, result: HookResult): void {
    this.end(
      launch,
      'Cancelled',
      `Instance failed to complete user's Lifecycle Action: Lifecycle Action with token ${uuid(launch.number, 'a')} was abandoned: ${result}`,
    );
  }

  /** The activity never began. */
  forget(activity: ScalingActivity): void {
    this.#kept.splice(this.#kept.lastIndexOf(activity), 1);
  }

  /** As `DescribeScalingActivities` has them: those in progress first, and then the newest. */
  newest(): ScalingActivity[] {
    const newest = this.#kept.toReversed();
    const inProgress = newest.filter(({ endedAt }) => endedAt === undefined);
    return [...inProgress, ...newest.filter(({ endedAt }) => endedAt !== undefined)];
  }

  #begin(description: string, causes: string[]): ScalingActivity {
    const activity: ScalingActivity = {
      number: ++this.#number,
      description,
      causes,
      startedAt: this.#now(),
      status: 'PreInService',
    };
    this.#kept.push(activity);
    if (this.#kept.length > this.#crowded) {
      const newest = this.#kept.length - KEPT;
      this.#kept = this.#kept.filter(({ endedAt }, index) => endedAt === undefined || index >= newest);
      this.#crowded = this.#kept.length + KEPT;
    }
    return activity;
  }

  /** Over as soon as it is begun: the embedded instance is gone then. */
  #terminate(instanceId: string, causes: string[]): void {
    this.end(this.#begin(`Terminating EC2 instance: ${instanceId}`, causes), 'Successful');
  }
}

/** The descriptions are AWS's own; its words for the cause are not published. */
const WARMED = 'a warm pool instance was started';

const started = ({ from, to }: CapacityChange) =>
  `an instance was started in response to a difference between desired and actual capacity, increasing the capacity from ${from} to ${to}`;

/**
 * An activity's elements in the answer: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Activity.html
 * Ends are in whole seconds, so that what ends at once ends up to a second before its start.
 */
export function activityElements(activity: ScalingActivity): Record<string, string> {
  const { number, description, causes, startedAt, endedAt, status, statusMessage } = activity;
  const start = new Date(startedAt).toISOString();
  const at = wholeSeconds(startedAt);
  return {
    ActivityId: uuid(number, '8'),
    Description: statusMessage ? `${description}.  Status Reason: ${statusMessage}` : description,
    Cause: causes.map((cause) => `At ${at} ${cause}.`).join('  '),
    StartTime: start,
    ...(endedAt !== undefined && { EndTime: wholeSeconds(endedAt) }),
    StatusCode: status,
    ...(statusMessage !== undefined && { StatusMessage: statusMessage }),
    Progress: String(PROGRESS[status]),
    Details: JSON.stringify({ 'Subnet ID': SUBNET, 'Availability Zone': AVAILABILITY_ZONE }),
  };
}

const wholeSeconds = (milliseconds: number) => new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z');

/** The same run has the same ids. */
const uuid = (number: number, variant: '8' | 'a') =>
  `${number.toString(16).padStart(8, '0')}-0000-4000-${variant}000-000000000000`;
