import { DescribeAutoScalingGroupsCommand } from '@aws-sdk/client-auto-scaling';
import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { autoScaling } from '../functions/lib/auto-scaling.ts';
import { secretsManager } from '../functions/lib/secrets.ts';
import { type AutoScalingGroup, GroupRefusal } from './auto-scaling-group.ts';

/** A fault instead of the true answer: an error that the service sends, or none at all. */
export type AwsFault = ErrorAnswer | 'reset';

interface ErrorAnswer {
  status: number;
  code: string;
  message: string;
}

interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

interface WireRequest {
  headers: Record<string, string>;
  body?: unknown;
}

/**
 * Embedded EC2 Auto Scaling and Secrets Manager. They answer the functions' own SDK clients at their request
 * handler: the commands are serialised and signed, and the answers parsed, as against AWS.
 */
export class Aws {
  readonly groups = new Map<string, AutoScalingGroup>();
  /** Secret values by name; `undefined` is a secret that exists and has no value. */
  readonly secrets = new Map<string, string | undefined>();
  /** API calls so far, by action. */
  readonly calls = new Map<string, number>();
  /** Asked before each answer, with the API's action; `undefined` means no fault. */
  fault: (action: string) => AwsFault | undefined = () => undefined;

  /** Called before each answer, so that the world can catch up with the clock. */
  beforeAnswer: () => void = () => undefined;

  /**
   * Points the functions' clients of this process here. What the SDK reads from the machine before its first
   * request, in real time, it has read when this is done.
   */
  async install(): Promise<void> {
    process.env.AWS_REGION ??= 'eu-west-1';
    const credentials = async () => ({ accessKeyId: 'sandbox', secretAccessKey: 'sandbox' });
    for (const [client, answer] of [
      [autoScaling, (request: WireRequest) => this.#autoScaling(request)],
      [secretsManager, (request: WireRequest) => this.#secretsManager(request)],
    ] as const) {
      client.config.credentials = credentials as typeof client.config.credentials;
      client.config.requestHandler = {
        handle: async (request: WireRequest) => {
          const { status, headers, body } = answer(request);
          return { response: { statusCode: status, headers, body: new TextEncoder().encode(body) } };
        },
      } as never;
    }
    await autoScaling.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: ['-'] }));
    await secretsManager.send(new GetSecretValueCommand({ SecretId: '-' })).catch(() => undefined);
    this.calls.clear();
  }

  #count(action: string): ErrorAnswer | undefined {
    this.beforeAnswer();
    this.calls.set(action, (this.calls.get(action) ?? 0) + 1);
    const fault = this.fault(action);
    if (fault === 'reset')
      throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', name: 'Error' });
    return fault;
  }

  /** The query API: https://docs.aws.amazon.com/autoscaling/ec2/APIReference */
  #autoScaling(request: WireRequest): Answer {
    const parameters = new URLSearchParams(text(request.body));
    const action = parameters.get('Action') ?? '';
    const fault = this.#count(action);
    if (fault !== undefined) return queryError(fault.status, fault.code, fault.message);
    switch (action) {
      case 'DescribeAutoScalingGroups': {
        const group = this.groups.get(parameters.get('AutoScalingGroupNames.member.1') ?? '');
        return queryResult(action, `<AutoScalingGroups>${group ? describe(group) : ''}</AutoScalingGroups>`);
      }
      case 'SetDesiredCapacity': {
        const group = this.groups.get(parameters.get('AutoScalingGroupName') ?? '');
        if (group === undefined) {
          return queryError(400, 'ValidationError', 'AutoScalingGroup name not found - null');
        }
        try {
          group.setDesiredCapacity(Number(parameters.get('DesiredCapacity')));
        } catch (error) {
          if (error instanceof GroupRefusal) return queryError(400, error.code, error.message);
          throw error;
        }
        return queryResult(action, '');
      }
      default:
        return queryError(400, 'InvalidAction', `The embedded Auto Scaling does not know ${action}`);
    }
  }

  /** The JSON 1.1 API: https://docs.aws.amazon.com/secretsmanager/latest/apireference */
  #secretsManager(request: WireRequest): Answer {
    const action = (request.headers['x-amz-target'] ?? '').replace(/^secretsmanager\./, '');
    const fault = this.#count(action);
    if (fault !== undefined) return jsonError(fault.status, fault.code, fault.message);
    const name = String(JSON.parse(text(request.body)).SecretId);
    if (!this.secrets.has(name)) {
      return jsonError(400, 'ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
    }
    const value = this.secrets.get(name);
    if (value === undefined) {
      return jsonError(
        400,
        'ResourceNotFoundException',
        "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
      );
    }
    return json(200, { Name: name, SecretString: value, VersionStages: ['AWSCURRENT'] });
  }
}

const text = (body: unknown): string =>
  body instanceof Uint8Array ? new TextDecoder().decode(body) : String(body);

function describe(group: AutoScalingGroup): string {
  const instances = group.instances.map(
    (instance) =>
      `<member><InstanceId>${instance.id}</InstanceId><AvailabilityZone>eu-west-1a</AvailabilityZone>` +
      `<LifecycleState>${instance.state}</LifecycleState><HealthStatus>Healthy</HealthStatus>` +
      `<ProtectedFromScaleIn>${instance.protectedFromScaleIn}</ProtectedFromScaleIn></member>`,
  );
  return (
    `<member><AutoScalingGroupName>${group.settings.name}</AutoScalingGroupName>` +
    `<MinSize>${group.settings.minSize}</MinSize><MaxSize>${group.settings.maxSize}</MaxSize>` +
    `<DesiredCapacity>${group.desired}</DesiredCapacity><Instances>${instances.join('')}</Instances></member>`
  );
}

const NAMESPACE = 'http://autoscaling.amazonaws.com/doc/2011-01-01/';

function queryResult(action: string, result: string): Answer {
  return xml(
    200,
    `<${action}Response xmlns="${NAMESPACE}"><${action}Result>${result}</${action}Result></${action}Response>`,
  );
}

function queryError(status: number, code: string, message: string): Answer {
  return xml(
    status,
    `<ErrorResponse xmlns="${NAMESPACE}"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`,
  );
}

const xml = (status: number, body: string): Answer => ({
  status,
  headers: { 'content-type': 'text/xml' },
  body,
});

const json = (status: number, body: object): Answer => ({
  status,
  headers: { 'content-type': 'application/x-amz-json-1.1' },
  body: JSON.stringify(body),
});

const jsonError = (status: number, code: string, message: string) => json(status, { __type: code, message });
