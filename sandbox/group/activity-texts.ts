import type { ActivityStatus, FailureCause, RecordedActivity } from './activities.ts';
import { instanceId } from './instance.ts';

/** The zone of the simulated instances. */
export const AVAILABILITY_ZONE = 'eu-west-1a';

const SUBNET = 'subnet-0123456789abcdef0';

const PROGRESS: Record<ActivityStatus, number> = {
  PreInService: 30,
  MidLifecycleAction: 60,
  Successful: 100,
  Failed: 100,
  Cancelled: 100,
};

const abandoned = (result: string) => (number: number) =>
  `Instance failed to complete user's Lifecycle Action: Lifecycle Action with token ${uuid(number, 'a')} was abandoned: ${result}`;

/**
 * EC2 Auto Scaling's messages for failures:
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ts-as-instancelaunchfailure.html
 */
const STATUS_MESSAGES: Record<FailureCause, (number: number) => string> = {
  refused: () =>
    `We currently do not have sufficient m7g.large capacity in the Availability Zone you requested (${AVAILABILITY_ZONE}). Our system will be working on provisioning additional capacity. You can currently get m7g.large capacity by not specifying an Availability Zone in your request or choosing eu-west-1b, eu-west-1c. Launching EC2 instance failed.`,
  'no-spot': () =>
    'Could not launch Spot Instances. UnfulfillableCapacity - There is no capacity available that matches your request. Launching EC2 instance failed.',
  unplaced: () =>
    'Could not launch On-Demand Instances. Unsupported - Your requested instance type (m7g.large) is not supported in your requested Availability Zone (eu-west-1c). Please retry your request by not specifying an Availability Zone or choosing eu-west-1a, eu-west-1b. Launching EC2 instance failed.',
  'no-type': () =>
    'Could not launch On-Demand Instances. Unsupported - The requested configuration is currently not supported. Please check the documentation for supported configurations. Launching EC2 instance failed.',
  'no-addresses': () =>
    `There are not enough free addresses in subnet '${SUBNET}' to satisfy the requested number of instances. Launching EC2 instance failed.`,
  throttled: () => 'Request limit exceeded. Launching EC2 instance failed.',
  'no-spot-role': () =>
    'Could not launch Spot Instances. AuthFailure.ServiceLinkedRoleCreationNotPermitted - The provided credentials do not have permission to create the service-linked role for EC2 Spot Instances. Launching EC2 instance failed.',
  'heartbeat timeout': abandoned('Heartbeat Timeout'),
  abandoned: abandoned('Lifecycle Action Completed with ABANDON Result'),
  reclaimed: () =>
    'Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Server.SpotInstanceTermination: Spot instance termination',
  ended: () =>
    'Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Server.InternalError: Internal error on launch',
  'no-key': () =>
    'Instance became unhealthy while waiting for instance to be in InService state. Termination Reason: Client.InternalError: Client error on launch',
};

/** The status message of an activity. */
export function statusMessageOf({ number, cause, statusMessage }: RecordedActivity): string | undefined {
  return statusMessage ?? (cause && STATUS_MESSAGES[cause](number));
}

/** The description, in AWS's words. */
export function descriptionOf({ of, instance }: RecordedActivity): string {
  const named = instance === 0 ? '' : `: ${instanceId(instance)}`;
  switch (of) {
    case 'launch':
      return `Launching a new EC2 instance${named}`;
    case 'warm launch':
      return `Launching a new EC2 instance from warm pool${named}`;
    case 'into the warm pool':
      return `Launching a new EC2 instance into warm pool${named}`;
    case 'termination':
      return `Terminating EC2 instance${named}`;
    case 'detachment':
      return `Detaching EC2 instance${named}`;
    case 'standby':
      return `Moving EC2 instance to Standby${named}`;
  }
}

/** The causes. AWS does not document their wording. */
function causesOf({ of, instance, change, by }: RecordedActivity): string[] {
  const difference = 'in response to a difference between desired and actual capacity';
  const shrinking = change && `, shrinking the capacity from ${change.from} to ${change.to}`;
  switch (of) {
    case 'launch':
    case 'warm launch':
      return [
        `an instance was started ${difference}, increasing the capacity from ${change?.from} to ${change?.to}`,
      ];
    case 'into the warm pool':
      return ['a warm pool instance was started'];
    case 'detachment':
      return [
        `instance ${instanceId(instance)} was detached in response to a user request${shrinking ?? ''}`,
      ];
    case 'standby':
      return [
        `instance ${instanceId(instance)} was moved to standby in response to a user request${shrinking ?? ''}`,
      ];
    case 'termination':
      if (by === 'group') {
        return [
          `an instance was taken out of service ${difference}${shrinking}`,
          `instance ${instanceId(instance)} was selected for termination`,
        ];
      }
      if (by === 'health check') {
        return [
          'an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped',
        ];
      }
      return [
        `instance ${instanceId(instance)} was taken out of service in response to a user request${shrinking ?? ''}`,
      ];
  }
}

/** An activity's elements in the answer: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Activity.html */
export function activityElements(activity: RecordedActivity): Record<string, string> {
  const { number, startedAt, endedAt, status } = activity;
  const description = descriptionOf(activity);
  const statusMessage = statusMessageOf(activity);
  const at = wholeSeconds(startedAt);
  return {
    ActivityId: uuid(number, '8'),
    Description: statusMessage ? `${description}.  Status Reason: ${statusMessage}` : description,
    Cause: causesOf(activity)
      .map((cause) => `At ${at} ${cause}.`)
      .join('  '),
    StartTime: new Date(startedAt).toISOString(),
    ...(endedAt !== undefined && { EndTime: wholeSeconds(endedAt) }),
    StatusCode: status,
    ...(statusMessage !== undefined && { StatusMessage: statusMessage }),
    Progress: String(PROGRESS[status]),
    Details: JSON.stringify({ 'Subnet ID': SUBNET, 'Availability Zone': AVAILABILITY_ZONE }),
  };
}

const wholeSeconds = (milliseconds: number) => new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z');

/** A deterministic id, the same in each run. */
const uuid = (number: number, variant: '8' | 'a') =>
  `${number.toString(16).padStart(8, '0')}-0000-4000-${variant}000-000000000000`;
