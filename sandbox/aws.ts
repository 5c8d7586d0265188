import { channel } from 'node:diagnostics_channel';
import type { SecretsProvider } from '@aws-lambda-powertools/parameters/secrets';
import { AutoScalingClient, DescribeAutoScalingGroupsCommand } from '@aws-sdk/client-auto-scaling';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { GetParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { clientSettings } from '../functions/lib/client-settings.ts';
import { type LearnedStore, learnedStore } from '../functions/lib/learned-store.ts';
import { secretsProvider } from '../functions/lib/secrets.ts';
import { type SettingsReader, settingsReader } from '../functions/lib/settings.ts';
import { type AutoScalingGroup, GroupRefusal } from './auto-scaling-group.ts';
import type { RecordedActivity } from './group/activities.ts';
import { AVAILABILITY_ZONE, activityElements } from './group/activity-texts.ts';
import { REMEMBERED_SECONDS } from './group/history.ts';
import { type Latency, NO_LATENCY, type Sleep, sleepReally } from './latency.ts';

/** A fault instead of the true answer: an error that the service sends, none at all, or as if there were no group. */
export type AwsFault = ErrorAnswer | 'reset' | 'no group';

/** What the functions call. */
export interface AwsClients {
  autoScaling: AutoScalingClient;
  secrets: SecretsProvider;
  settings: SettingsReader;
  learned: LearnedStore;
}

/** The stack that has deployed the embedded fleets. */
export const SANDBOX_STACK = 'circleci-runner-autoscaler';

/** The channel of `node:diagnostics_channel` that has each request that is answered here: its headers and its body. */
export const SANDBOX_REQUESTS = 'circleci-runners:sandbox-requests';
const requests = channel(SANDBOX_REQUESTS);

/** What the SDK does for a log and a header that nobody reads here takes a quarter of the time of a call. */
const UNREAD = ['loggerMiddleware', 'getUserAgentMiddleware'];

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
 * Embedded EC2 Auto Scaling, Secrets Manager and Systems Manager. They answer real SDK clients at their request
 * handler: the commands are serialised, and the answers parsed, as against AWS.
 */
export class Aws {
  readonly groups = new Map<string, AutoScalingGroup>();
  /** Secret values by name; `undefined` is a secret that exists and has no value. */
  readonly secrets = new Map<string, string | undefined>();
  /** Values of parameters by name, each the list of its versions. */
  readonly parameters = new Map<string, string[]>();
  /** When the newest version of each was written, in seconds since the epoch. */
  readonly parameterDates = new Map<string, number>();
  /** API calls so far, by action. */
  readonly calls = new Map<string, number>();
  /** Asked before each answer, with the API's action; `undefined` means no fault. */
  fault: (action: string) => AwsFault | undefined = () => undefined;

  /** Called before each answer, so that the world can catch up with the clock. */
  beforeAnswer: () => void = () => undefined;
  /** How long the next request travels, and then its answer. */
  latency: () => Latency = () => NO_LATENCY;

  #staleness = 0;

  /** @param sleep Resolves after this many seconds. */
  constructor(readonly sleep: Sleep = sleepReally) {}

  /**
   * By how many seconds `DescribeAutoScalingGroups` lags behind, which AWS's may:
   * https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
   */
  get staleness(): number {
    return this.#staleness;
  }

  set staleness(seconds: number) {
    if (!(seconds >= 0 && seconds <= REMEMBERED_SECONDS)) {
      throw new RangeError(`staleness must be 0 to ${REMEMBERED_SECONDS} seconds, got ${seconds}`);
    }
    this.#staleness = seconds;
  }

  /**
   * Makes clients whose requests are answered here. Before its first request, the SDK reads files in real time; when
   * this is done, it has read them.
   */
  async clients(): Promise<AwsClients> {
    const autoScaling = new AutoScalingClient(this.#settings((request) => this.#autoScaling(request)));
    const secretsManager = new SecretsManagerClient(
      this.#settings((request) => this.#secretsManager(request)),
    );
    const ssm = new SSMClient(this.#settings((request) => this.#systemsManager(request)));
    // Powertools changes the client that it reads settings with.
    const store = new SSMClient(this.#settings((request) => this.#systemsManager(request)));
    for (const { middlewareStack } of [autoScaling, secretsManager, ssm, store]) {
      for (const name of UNREAD) middlewareStack.remove(name);
    }
    await autoScaling.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: ['-'] }));
    await secretsManager.send(new GetSecretValueCommand({ SecretId: '-' })).catch(() => undefined);
    for (const client of [ssm, store])
      await client.send(new GetParameterCommand({ Name: '-' })).catch(() => undefined);
    this.calls.clear();
    return {
      autoScaling,
      secrets: secretsProvider(secretsManager),
      settings: settingsReader(SANDBOX_STACK, ssm),
      learned: learnedStore(SANDBOX_STACK, store),
    };
  }

  #settings(answer: (request: WireRequest) => Answer) {
    const handle = async (request: WireRequest) => {
      const [before, after] = this.latency();
      if (before > 0) await this.sleep(before);
      if (requests.hasSubscribers) requests.publish({ headers: request.headers, body: text(request.body) });
      const { status, headers, body } = answer(request);
      if (after > 0) await this.sleep(after);
      return { response: { statusCode: status, headers, body: new TextEncoder().encode(body) } };
    };
    return {
      ...clientSettings,
      region: 'eu-west-1',
      // The SDK computes one for each request.
      endpointProvider: () => ({ url: new URL('https://sandbox.invalid') }),
      credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
      cacheMiddleware: true,
      // Nobody checks signatures here, and they take a third of the time of a call.
      signer: { sign: async <Request>(request: Request) => request },
      requestHandler: { handle } as never,
    };
  }

  #count(action: string): Exclude<AwsFault, 'reset'> | undefined {
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
    if (typeof fault === 'object') return queryError(fault.status, fault.code, fault.message);
    const named = (name: string) => (fault === 'no group' ? undefined : this.groups.get(name));
    switch (action) {
      case 'DescribeAutoScalingGroups': {
        const groups = listOf(parameters, 'AutoScalingGroupNames.member').flatMap(
          (name) => named(name) ?? [],
        );
        const described = groups.map((group) => describe(group, this.staleness)).join('');
        return queryResult(action, `<AutoScalingGroups>${described}</AutoScalingGroups>`);
      }
      case 'DescribeScalingActivities': {
        const name = parameters.get('AutoScalingGroupName') ?? '';
        const group = named(name);
        if (group === undefined) {
          const message = `AutoScalingGroup name not found - AutoScalingGroup ${name} not found`;
          return queryError(400, 'ValidationError', message);
        }
        const most = Math.min(Number(parameters.get('MaxRecords') ?? MAX_RECORDS), MAX_RECORDS);
        const from = Number(parameters.get('NextToken') ?? 0);
        const all = group.activities.newest();
        const page = all.slice(from, from + most).map((activity) => describeActivity(name, activity));
        const next = from + most < all.length ? `<NextToken>${from + most}</NextToken>` : '';
        return queryResult(action, `<Activities>${page.join('')}</Activities>${next}`);
      }
      case 'SetDesiredCapacity': {
        const group = named(parameters.get('AutoScalingGroupName') ?? '');
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
      case 'UpdateAutoScalingGroup': {
        const group = named(parameters.get('AutoScalingGroupName') ?? '');
        if (group === undefined) {
          return queryError(400, 'ValidationError', 'AutoScalingGroup name not found - null');
        }
        group.onDemandPercentage = Number(parameters.get(`${DISTRIBUTION}.${ON_DEMAND_PERCENTAGE}`));
        return queryMetadata(action);
      }
      case 'PutWarmPool': {
        const group = named(parameters.get('AutoScalingGroupName') ?? '');
        if (group === undefined) {
          return queryError(400, 'ValidationError', 'AutoScalingGroup name not found - null');
        }
        group.putWarmPool(Number(parameters.get('MinSize')));
        return queryResult(action, '');
      }
      case 'SuspendProcesses':
      case 'ResumeProcesses': {
        const group = named(parameters.get('AutoScalingGroupName') ?? '');
        if (group === undefined) {
          return queryError(400, 'ValidationError', 'AutoScalingGroup name not found - null');
        }
        const names = listOf(parameters, 'ScalingProcesses.member');
        if (action === 'ResumeProcesses') group.resumeProcesses(names);
        else group.suspendProcesses(names);
        return queryMetadata(action);
      }
      case 'CreateOrUpdateTags':
      case 'DeleteTags': {
        const tag = (key: string) => parameters.get(`Tags.member.1.${key}`) ?? '';
        const group = named(tag('ResourceId'));
        if (group === undefined) {
          return queryError(400, 'ValidationError', `Group ${tag('ResourceId')} not found`);
        }
        if (action === 'DeleteTags') group.tags.delete(tag('Key'));
        else group.tags.set(tag('Key'), tag('Value'));
        return queryMetadata(action);
      }
      default:
        return queryError(400, 'InvalidAction', `The embedded Auto Scaling does not know ${action}`);
    }
  }

  /** The JSON 1.1 API: https://docs.aws.amazon.com/secretsmanager/latest/apireference */
  #secretsManager(request: WireRequest): Answer {
    const action = (request.headers['x-amz-target'] ?? '').replace(/^secretsmanager\./, '');
    const fault = this.#count(action);
    if (typeof fault === 'object') return jsonError(fault.status, fault.code, fault.message);
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

  /** The JSON 1.1 API: https://docs.aws.amazon.com/systems-manager/latest/APIReference/Welcome.html */
  #systemsManager(request: WireRequest): Answer {
    const action = (request.headers['x-amz-target'] ?? '').replace(/^AmazonSSM\./, '');
    const fault = this.#count(action);
    if (typeof fault === 'object') return jsonError(fault.status, fault.code, fault.message);
    const asked = JSON.parse(text(request.body));
    const [name = '', selector] = String(asked.Name).split(':');
    const versions = this.parameters.get(name);
    if (action === 'PutParameter') return this.#putParameter(name, asked);
    if (versions === undefined) return jsonError(400, 'ParameterNotFound', '');
    const Version = selector === undefined ? versions.length : Number(selector);
    const Value = versions[Version - 1];
    if (Value === undefined) {
      const message = `Systems Manager could not find version ${selector} of ${name}.`;
      return jsonError(400, 'ParameterVersionNotFound', message);
    }
    const LastModifiedDate = this.parameterDates.get(name);
    return json(200, { Parameter: { Name: name, Type: 'String', Value, Version, LastModifiedDate } });
  }

  #putParameter(name: string, { Value, Overwrite }: { Value: string; Overwrite?: boolean }): Answer {
    const versions = this.parameters.get(name) ?? [];
    if (versions.length > 0 && Overwrite !== true)
      return jsonError(400, 'ParameterAlreadyExists', 'The parameter already exists.');
    if (Value.length > MOST_CHARACTERS)
      return jsonError(400, 'ValidationException', 'Standard tier parameters support a maximum of 4096.');
    this.parameters.set(name, [...versions, Value]);
    return json(200, { Tier: 'Standard', Version: versions.length + 1 });
  }
}

const text = (body: unknown): string =>
  body instanceof Uint8Array ? new TextDecoder().decode(body) : String(body);

/** A parameter that is a list, whose members are numbered from 1. */
function listOf(parameters: URLSearchParams, name: string): string[] {
  const members: string[] = [];
  for (let value = parameters.get(`${name}.1`); value !== null; ) {
    members.push(value);
    value = parameters.get(`${name}.${members.length + 1}`);
  }
  return members;
}

const DISTRIBUTION = 'MixedInstancesPolicy.InstancesDistribution';
const ON_DEMAND_PERCENTAGE = 'OnDemandPercentageAboveBaseCapacity';

/** The longest value of a standard parameter. */
const MOST_CHARACTERS = 4_096;

/** The default and the maximum of `DescribeScalingActivities`. */
const MAX_RECORDS = 100;

function describe(group: AutoScalingGroup, staleness: number): string {
  const { desired, instances } = group.viewed(staleness);
  const members = instances.map(
    (instance) =>
      `<member><InstanceId>${instance.id}</InstanceId><AvailabilityZone>${AVAILABILITY_ZONE}</AvailabilityZone>` +
      `<LifecycleState>${instance.state}</LifecycleState><HealthStatus>Healthy</HealthStatus>` +
      `<ProtectedFromScaleIn>${instance.protectedFromScaleIn}</ProtectedFromScaleIn></member>`,
  );
  const suspended = [...group.suspendedProcesses].map(
    (name) =>
      `<member><ProcessName>${name}</ProcessName><SuspensionReason>${escaped(group.suspensionReason)}</SuspensionReason></member>`,
  );
  const tags = [...group.tags].map(
    ([key, value]) =>
      `<member><ResourceId>${group.settings.name}</ResourceId><ResourceType>auto-scaling-group</ResourceType>` +
      `<Key>${escaped(key)}</Key><Value>${escaped(value)}</Value><PropagateAtLaunch>false</PropagateAtLaunch></member>`,
  );
  const policy =
    group.onDemandPercentage === undefined
      ? ''
      : '<MixedInstancesPolicy><InstancesDistribution><OnDemandAllocationStrategy>prioritized</OnDemandAllocationStrategy>' +
        `<OnDemandBaseCapacity>${group.settings.onDemandBase ?? 0}</OnDemandBaseCapacity><${ON_DEMAND_PERCENTAGE}>${group.onDemandPercentage}</${ON_DEMAND_PERCENTAGE}>` +
        '<SpotAllocationStrategy>price-capacity-optimized</SpotAllocationStrategy></InstancesDistribution></MixedInstancesPolicy>';
  const { warmPool } = group;
  const pool =
    warmPool === undefined
      ? ''
      : `<WarmPoolConfiguration><MinSize>${warmPool.size}</MinSize>` +
        `<MaxGroupPreparedCapacity>${warmPool.size}</MaxGroupPreparedCapacity><PoolState>Stopped</PoolState>` +
        '<InstanceReusePolicy><ReuseOnScaleIn>false</ReuseOnScaleIn></InstanceReusePolicy></WarmPoolConfiguration>' +
        `<WarmPoolSize>${warmPool.stopped + warmPool.warming}</WarmPoolSize>`;
  return (
    `<member><AutoScalingGroupName>${group.settings.name}</AutoScalingGroupName>${policy}` +
    `<MinSize>${group.settings.minSize}</MinSize><MaxSize>${group.settings.maxSize}</MaxSize>` +
    `<NewInstancesProtectedFromScaleIn>${group.settings.newInstancesProtectedFromScaleIn}</NewInstancesProtectedFromScaleIn>` +
    `<CreatedTime>${new Date(group.createdAt).toISOString()}</CreatedTime>` +
    `<DesiredCapacity>${desired}</DesiredCapacity><Instances>${members.join('')}</Instances>` +
    `<SuspendedProcesses>${suspended.join('')}</SuspendedProcesses><Tags>${tags.join('')}</Tags>${pool}</member>`
  );
}

function describeActivity(groupName: string, activity: RecordedActivity): string {
  const elements = { AutoScalingGroupName: groupName, ...activityElements(activity) };
  const xml = Object.entries(elements).map(([name, value]) => `<${name}>${escaped(value)}</${name}>`);
  return `<member>${xml.join('')}</member>`;
}

const escaped = (value: string) =>
  value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const NAMESPACE = 'http://autoscaling.amazonaws.com/doc/2011-01-01/';

function queryResult(action: string, result: string): Answer {
  return xml(
    200,
    `<${action}Response xmlns="${NAMESPACE}"><${action}Result>${result}</${action}Result></${action}Response>`,
  );
}

/** The answer of an action that has no result. */
const queryMetadata = (action: string): Answer =>
  xml(
    200,
    `<${action}Response xmlns="${NAMESPACE}"><ResponseMetadata><RequestId>sandbox</RequestId></ResponseMetadata></${action}Response>`,
  );

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
