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
  createdAt?: Date;
  /** The instances of its warm pool. */
  pool?: { id: string; state: string }[];
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
  /** When the parameters were written, in milliseconds since the epoch. */
  deployedAt = Date.now();
  launchedAt = new Map<string, Date>();
  /** The value of each secret; others may not be read. */
  secrets = new Map<string, string>();
  /** What each instance has written to its console. */
  consoles = new Map<string, string>();
  /** XML of the scaling activities of each group. */
  activities = new Map<string, string>();

  /** Whether calls have no answer any more. */
  isSilent = false;

  protected override answer(operation: string, asked: Asked): Answer | 'silence' | undefined {
    if (this.isSilent) return 'silence';
    const text = (key: string) => `${asked[key] ?? ''}`;
    switch (operation) {
      case 'GetCallerIdentity':
        return resultXml(operation, '<Account>111122223333</Account>');
      case 'DescribeAutoScalingGroups':
        return this.#groupPage(Number(asked.NextToken ?? 0), Number(asked.MaxRecords ?? DEFAULT_GROUPS));
      case 'DescribeWarmPool': {
        const group = this.groups.find(({ fleet }) => text('AutoScalingGroupName').endsWith(`-${fleet}`));
        const instances = (group?.pool ?? []).map(
          ({ id, state }) => `<InstanceId>${id}</InstanceId><LifecycleState>${state}</LifecycleState>`,
        );
        return resultXml(operation, `<Instances>${members(instances)}</Instances>`);
      }
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
      case 'GetConsoleOutput': {
        const output = Buffer.from(this.consoles.get(text('InstanceId')) ?? '').toString('base64');
        return ec2Xml(operation, `<instanceId>${text('InstanceId')}</instanceId><output>${output}</output>`);
      }
      case 'FilterLogEvents': {
        const [from, to] = [Number(asked.startTime ?? 0), Number(asked.endTime ?? Number.POSITIVE_INFINITY)];
        const events = (this.logs.get(text('logGroupName')) ?? []).filter(
          ({ timestamp }) => timestamp >= from && timestamp <= to,
        );
        return json({ events });
      }
      case 'GetSecretValue': {
        const SecretString = this.secrets.get(text('SecretId'));
        return SecretString === undefined ? undefined : json({ SecretString });
      }
      case 'GetParameter': {
        // Parameters of others, such as that of the bootstrap, may not be read.
        if (!text('Name').startsWith('/circleci-runners/')) return undefined;
        const Value = this.parameters.get(text('Name'));
        if (Value === undefined) return json({ __type: 'ParameterNotFound', message: 'no' }, 400);
        return json({ Parameter: { Name: text('Name'), Value, Version: 1 } });
      }
      case 'GetParametersByPath':
        return this.#parameterPage(text('Path'), Number(asked.NextToken ?? 0));
      default:
        return undefined;
    }
  }

  #groupPage(from: number, size: number): Answer {
    const end = from + Math.min(size, MOST_GROUPS);
    const page = this.groups.slice(from, end).map(groupXml).join('');
    const next = end < this.groups.length ? `<NextToken>${end}</NextToken>` : '';
    return resultXml('DescribeAutoScalingGroups', `<AutoScalingGroups>${page}</AutoScalingGroups>${next}`);
  }

  #parameterPage(path: string, from: number): Answer {
    const all = [...this.parameters]
      .filter(([name]) => name.startsWith(path))
      .map(([Name, Value]) => ({
        Name,
        Value,
        ARN: `arn:aws:ssm:eu-west-1:111122223333:parameter${Name}`,
        LastModifiedDate: this.deployedAt / 1_000,
      }));
    const end = from + PARAMETERS;
    return json({ Parameters: all.slice(from, end), ...(end < all.length && { NextToken: `${end}` }) });
  }
}

/** Groups a page: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html */
const DEFAULT_GROUPS = 50;
const MOST_GROUPS = 100;

/** The largest page: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html */
const PARAMETERS = 10;

const members = (items: string[]) => items.map((item) => `<member>${item}</member>`).join('');

function groupXml(group: StandInGroup): string {
  const { fleet, desired, tags = {}, suspended = {}, version, createdAt, pool } = group;
  const name = `circleci-runners-${fleet}`;
  const all = { 'circleci-runners:stack': 'circleci-runners', ...tags };
  const instances = (group.members ?? []).map(
    ({ id, state }) =>
      `<InstanceId>${id}</InstanceId><InstanceType>m7g.large</InstanceType><LifecycleState>${state}</LifecycleState>`,
  );
  const tagged = Object.entries(all).map(([key, value]) => `<Key>${key}</Key><Value>${value}</Value>`);
  const processes = Object.entries(suspended).map(
    ([process, reason]) =>
      `<ProcessName>${process}</ProcessName><SuspensionReason>${reason}</SuspensionReason>`,
  );
  return `<member><AutoScalingGroupName>${name}</AutoScalingGroupName><DesiredCapacity>${desired}</DesiredCapacity><MaxSize>10</MaxSize>${pool === undefined ? '' : `<WarmPoolConfiguration><MinSize>0</MinSize></WarmPoolConfiguration><WarmPoolSize>${pool.length}</WarmPoolSize>`}${createdAt === undefined ? '' : `<CreatedTime>${createdAt.toISOString()}</CreatedTime>`}${version === undefined ? '' : `<LaunchTemplate><Version>${version}</Version></LaunchTemplate>`}<Instances>${members(instances)}</Instances><Tags>${members(tagged)}</Tags><SuspendedProcesses>${members(processes)}</SuspendedProcesses></member>`;
}
