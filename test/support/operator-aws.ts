import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { text } from 'node:stream/consumers';

/** A group, as its tests describe it. */
export interface StandInGroup {
  fleet: string;
  desired: number;
  members?: { id: string; state: string }[];
  tags?: Record<string, string>;
  suspended?: Record<string, string>;
}

/**
 * A stand-in of the AWS that `status` and `explain` read: groups, activities and instances as XML, logs and parameters
 * as JSON. Every other call is refused, as for a person without the right; CloudWatch is tested on an emulator.
 */
export class OperatorAws {
  groups: StandInGroup[] = [];
  /** The lines of each log group, with their times. */
  logs = new Map<string, { timestamp: number; message: string }[]>();
  parameters = new Map<string, string>();
  launchedAt = new Map<string, Date>();
  /** XML of the scaling activities of each group. */
  activities = new Map<string, string>();
  /** The number of calls by operation. */
  readonly calls = new Map<string, number>();
  readonly server: Server = createServer(async (request, response) => {
    const target = `${request.headers['x-amz-target'] ?? ''}`;
    const body = await text(request);
    const operation =
      target === '' ? (new URLSearchParams(body).get('Action') ?? '') : (target.split('.')[1] ?? '');
    this.calls.set(operation, (this.calls.get(operation) ?? 0) + 1);
    const answer =
      target === ''
        ? this.#xml(operation, new URLSearchParams(body))
        : this.#json(operation, JSON.parse(body));
    const type = target === '' ? 'text/xml' : 'application/x-amz-json-1.1';
    if (answer !== undefined) response.writeHead(200, { 'content-type': type }).end(answer);
    else if (target === '')
      response
        .writeHead(403, { 'content-type': type })
        .end('<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>');
    else
      response
        .writeHead(400, { 'content-type': type })
        .end('{"__type":"AccessDeniedException","message":"no"}');
  });

  async listen(): Promise<this> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return this;
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  #xml(operation: string, asked: URLSearchParams): string | undefined {
    const wrap = (result: string) =>
      `<${operation}Response><${operation}Result>${result}</${operation}Result></${operation}Response>`;
    switch (operation) {
      case 'GetCallerIdentity':
        return wrap('<Account>111122223333</Account>');
      case 'DescribeAutoScalingGroups':
        return wrap(`<AutoScalingGroups>${this.groups.map(groupXml).join('')}</AutoScalingGroups>`);
      case 'DescribeScalingActivities':
        return wrap(
          `<Activities>${this.activities.get(asked.get('AutoScalingGroupName') ?? '') ?? ''}</Activities>`,
        );
      case 'DescribeInstances': {
        const instances = [...this.launchedAt].map(
          ([id, at]) =>
            `<item><instanceId>${id}</instanceId><launchTime>${at.toISOString()}</launchTime></item>`,
        );
        return `<DescribeInstancesResponse><reservationSet><item><instancesSet>${instances.join('')}</instancesSet></item></reservationSet></DescribeInstancesResponse>`;
      }
      default:
        return undefined;
    }
  }

  #json(
    operation: string,
    asked: { logGroupName?: string; startTime?: number; endTime?: number; Path?: string },
  ): string | undefined {
    switch (operation) {
      case 'FilterLogEvents': {
        const { logGroupName = '', startTime = 0, endTime = Number.POSITIVE_INFINITY } = asked;
        const events = (this.logs.get(logGroupName) ?? []).filter(
          ({ timestamp }) => timestamp >= startTime && timestamp <= endTime,
        );
        return JSON.stringify({ events });
      }
      case 'GetParametersByPath':
        return JSON.stringify({
          Parameters: [...this.parameters].map(([Name, Value]) => ({ Name, Value })),
        });
      default:
        return undefined;
    }
  }
}

function groupXml({ fleet, desired, members = [], tags = {}, suspended = {} }: StandInGroup): string {
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
  return `<member><AutoScalingGroupName>${name}</AutoScalingGroupName><DesiredCapacity>${desired}</DesiredCapacity><MaxSize>10</MaxSize><Instances>${list(instances)}</Instances><Tags>${list(tagged)}</Tags><SuspendedProcesses>${list(processes)}</SuspendedProcesses></member>`;
}
