import { type Answer, type Asked, AwsStandIn, ec2Xml, json, resultXml } from './aws-stand-in.ts';

/** A group, as its tests describe it. */
export interface StandInGroup {
  fleet: string;
  desired: number;
  members?: { id: string; state: string }[];
  tags?: Record<string, string>;
  suspended?: Record<string, string>;
  /** Version of its launch template. */
  version?: string;
}

/**
 * A stand-in of the AWS that `status` and `explain` read: groups, activities and instances as XML, logs and parameters
 * as JSON. Every other call is refused, as for a person without the right; CloudWatch is tested on an emulator.
 */
export class OperatorAws extends AwsStandIn {
  groups: StandInGroup[] = [];
  /** The lines of each log group, with their times. */
  logs = new Map<string, { timestamp: number; message: string }[]>();
  parameters = new Map<string, string>();
  launchedAt = new Map<string, Date>();
  /** XML of the scaling activities of each group. */
  activities = new Map<string, string>();

  protected override answer(operation: string, asked: Asked): Answer | undefined {
    const text = (key: string) => `${asked[key] ?? ''}`;
    switch (operation) {
      case 'GetCallerIdentity':
        return resultXml(operation, '<Account>111122223333</Account>');
      case 'DescribeAutoScalingGroups':
        return resultXml(
          operation,
          `<AutoScalingGroups>${this.groups.map(groupXml).join('')}</AutoScalingGroups>`,
        );
      case 'DescribeScalingActivities':
        return resultXml(
          operation,
          `<Activities>${this.activities.get(text('AutoScalingGroupName')) ?? ''}</Activities>`,
        );
      case 'DescribeInstances': {
        const instances = [...this.launchedAt].map(
          ([id, at]) =>
            `<item><instanceId>${id}</instanceId><launchTime>${at.toISOString()}</launchTime></item>`,
        );
        return ec2Xml(
          operation,
          `<reservationSet><item><instancesSet>${instances.join('')}</instancesSet></item></reservationSet>`,
        );
      }
      case 'FilterLogEvents': {
        const [from, to] = [Number(asked.startTime ?? 0), Number(asked.endTime ?? Number.POSITIVE_INFINITY)];
        const events = (this.logs.get(text('logGroupName')) ?? []).filter(
          ({ timestamp }) => timestamp >= from && timestamp <= to,
        );
        return json({ events });
      }
      case 'GetParametersByPath':
        return json({
          Parameters: [...this.parameters].map(([Name, Value]) => ({ Name, Value })),
        });
      default:
        return undefined;
    }
  }
}

function groupXml(group: StandInGroup): string {
  const { fleet, desired, members = [], tags = {}, suspended = {}, version } = group;
  const name = `circleci-runners-${fleet}`;
  const all = { 'circleci-runners:stack': 'circleci-runners', ...tags };
  const list = (items: string[]) => items.map((item) => `<member>${item}</member>`).join('');
  const instances = members.map(
    ({ id, state }) =>
      `<InstanceId>${id}</InstanceId><InstanceType>m7g.large</InstanceType><LifecycleState>${state}</LifecycleState>`,
  );
  const tagged = Object.entries(all).map(([key, value]) => `<Key>${key}</Key><Value>${value}</Value>`);
  const processes = Object.entries(suspended).map(
    ([process, reason]) =>
      `<ProcessName>${process}</ProcessName><SuspensionReason>${reason}</SuspensionReason>`,
  );
  return `<member><AutoScalingGroupName>${name}</AutoScalingGroupName><DesiredCapacity>${desired}</DesiredCapacity><MaxSize>10</MaxSize>${version === undefined ? '' : `<LaunchTemplate><Version>${version}</Version></LaunchTemplate>`}<Instances>${list(instances)}</Instances><Tags>${list(tagged)}</Tags><SuspendedProcesses>${list(processes)}</SuspendedProcesses></member>`;
}
