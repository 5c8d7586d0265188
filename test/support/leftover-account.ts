import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { EC2Client } from '@aws-sdk/client-ec2';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import * as z from 'zod';
import { clientSettings } from '../../functions/lib/client-settings.ts';
import type { ReconcileClients } from '../../functions/lib/reconcile-reads.ts';
import { DETACHED_TAG } from '../../functions/lib/tags.ts';
import { DAY, HOUR, MINUTE, NOW } from './fleet-seen.ts';

/**
 * An account as the functions that reconcile see it: a fleet that has left something behind, and others beside it. It
 * answers SDK clients in the process, at their first step, and keeps what they write. test/local/reconcile.test.ts has
 * the same requests on the wire.
 */

export const OWN_GROUP = 'circleci-runner-autoscaler-linux';
const OTHER_GROUP = 'circleci-runner-autoscaler-other';
const OWN_TEMPLATE = 'lt-0000000000000000a';
const OTHER_TEMPLATE = 'lt-0000000000000000b';

/** Members of the fleet in contact with CircleCI. */
export const CONNECTED = ['i-0000000a', 'i-0000000b', 'i-0000000c'];
/** A member that never connected, an instance in no group, and a stopped one. */
const USELESS = ['i-0000000d', 'i-0000000e', 'i-0000000f'];
const VOLUME = 'vol-0000000a';
/** A volume that nothing says yet since when it is detached. */
const NEW_VOLUME = 'vol-0000000b';

/** All that belongs to the fleet: only this may be written to. */
export const OWN = [...CONNECTED, ...USELESS, VOLUME, NEW_VOLUME, OWN_TEMPLATE];

const VOLUMES = [
  {
    VolumeId: VOLUME,
    CreateTime: new Date(NOW - 30 * DAY),
    Size: 30,
    Tags: [{ Key: DETACHED_TAG, Value: new Date(NOW - 20 * DAY).toISOString() }],
  },
  { VolumeId: NEW_VOLUME, CreateTime: new Date(NOW - 30 * DAY), Size: 30 },
];

interface Placed {
  id: string;
  template: string | undefined;
  name: string;
  group?: string;
  age: number;
  state?: string;
}

const INSTANCES: Placed[] = [
  ...CONNECTED.map((id) => ({
    id,
    template: OWN_TEMPLATE,
    name: OWN_GROUP,
    group: OWN_GROUP,
    age: 2 * HOUR,
  })),
  { id: 'i-0000000d', template: OWN_TEMPLATE, name: OWN_GROUP, group: OWN_GROUP, age: 3 * HOUR },
  { id: 'i-0000000e', template: OWN_TEMPLATE, name: OWN_GROUP, age: 3 * HOUR },
  { id: 'i-0000000f', template: OWN_TEMPLATE, name: OWN_GROUP, age: 3 * DAY, state: 'stopped' },
  // Of another fleet, and of somebody who took the fleet's name.
  { id: 'i-0000001a', template: OTHER_TEMPLATE, name: OTHER_GROUP, group: OTHER_GROUP, age: 3 * HOUR },
  { id: 'i-0000001b', template: OTHER_TEMPLATE, name: OTHER_GROUP, age: 3 * HOUR },
  { id: 'i-0000001c', template: OTHER_TEMPLATE, name: OWN_GROUP, age: 4 * HOUR },
  { id: 'i-0000001f', template: undefined, name: OWN_GROUP, age: 4 * HOUR },
  { id: 'i-0000001d', template: undefined, name: 'production-web', age: 30 * DAY },
  { id: 'i-0000001e', template: OWN_TEMPLATE, name: OWN_GROUP, group: 'production-web', age: 3 * HOUR },
];

/** What CircleCI lists. */
export const LISTED = {
  items: CONNECTED.map((name) => ({
    resource_class: 'acme/linux',
    name,
    first_connected: new Date(NOW - 2 * HOUR + 5 * MINUTE).toISOString(),
    last_connected: new Date(NOW - MINUTE).toISOString(),
  })),
};

const Asked = z.looseObject({
  AutoScalingGroupNames: z.array(z.string()).default([]),
  InstanceIds: z.array(z.string()).default([]),
  Filters: z.array(z.object({ Name: z.string(), Values: z.array(z.string()) })).default([]),
});
type Asked = z.infer<typeof Asked>;

const tagsOf = ({ template, name }: Placed) => [
  { Key: 'Name', Value: name },
  ...(template === undefined
    ? []
    : [
        { Key: 'aws:ec2launchtemplate:id', Value: template },
        { Key: 'aws:ec2launchtemplate:version', Value: '40' },
      ]),
];

/** The clients of the functions that reconcile, answered in the process, each request at its first step. */
export function clientsThat(answer: (operation: string, input: object) => object): ReconcileClients {
  const settings = {
    ...clientSettings,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  };
  const answering = <Client extends AutoScalingClient | EC2Client | SecretsManagerClient>(client: Client) => {
    const { middlewareStack } = client as Pick<EC2Client, 'middlewareStack'>;
    middlewareStack.add(
      (_, { commandName }) =>
        async ({ input }) => ({
          output: { ...answer((commandName ?? '').replace(/Command$/, ''), input), $metadata: {} } as never,
          response: undefined,
        }),
      { step: 'initialize', priority: 'high' },
    );
    return client;
  };
  return {
    autoScaling: answering(new AutoScalingClient(settings)),
    ec2: answering(new EC2Client(settings)),
    secrets: answering(new SecretsManagerClient(settings)),
  };
}

export class LeftoverAccount {
  /** Every request that is no read: the operation, and all texts of its input. */
  readonly writes: { operation: string; names: string[] }[] = [];

  /** @param watch Sees each request, and the answer. */
  constructor(
    private readonly watch: (operation: string, answer: object) => object = (_, answer) => answer,
  ) {}

  clients(): ReconcileClients {
    return clientsThat((operation, input) => this.#answer(operation, input));
  }

  #answer(operation: string, input: object): object {
    return this.watch(operation, this.#made(operation, input));
  }

  #made(operation: string, input: object): object {
    if (!/^(Describe|List|Get)/.test(operation)) {
      this.writes.push({ operation, names: textsIn(input) });
      return {};
    }
    const asked = Asked.parse(input);
    switch (operation) {
      case 'DescribeAutoScalingGroups':
        return { AutoScalingGroups: asked.AutoScalingGroupNames.map(groupOf) };
      case 'DescribeAutoScalingInstances':
        return {
          AutoScalingInstances: INSTANCES.filter(
            ({ id, group }) => group !== undefined && asked.InstanceIds.includes(id),
          ).map(({ id, group }) => ({
            InstanceId: id,
            AutoScalingGroupName: group,
            LifecycleState: 'InService',
          })),
        };
      case 'DescribeInstances':
        return {
          Reservations: [{ Instances: INSTANCES.filter((each) => isAsked(each, asked)).map(described) }],
        };
      case 'DescribeVolumes':
        return isFiltered(asked, 'tag:Name', [OWN_GROUP]) ? { Volumes: VOLUMES } : {};
      case 'DescribeLaunchTemplates':
        return { LaunchTemplates: [{ LaunchTemplateId: OWN_TEMPLATE, LatestVersionNumber: 80 }] };
      case 'DescribeLaunchTemplateVersions':
        return {
          LaunchTemplateVersions: Array.from({ length: 60 }, (_, index) => ({
            VersionNumber: index + 1,
            DefaultVersion: false,
            CreateTime: new Date(NOW - 60 * DAY),
          })),
        };
      case 'ListSecretVersionIds':
        return { Versions: [{ VersionStages: ['AWSCURRENT'], CreatedDate: new Date(NOW - 30 * DAY) }] };
      default:
        return {};
    }
  }
}

const groupOf = (name: string) => ({
  AutoScalingGroupName: name,
  LaunchTemplate: { LaunchTemplateId: name === OWN_GROUP ? OWN_TEMPLATE : OTHER_TEMPLATE, Version: '40' },
  Instances: INSTANCES.filter(({ group }) => group === name).map(({ id }) => ({
    InstanceId: id,
    LifecycleState: 'InService',
    LaunchTemplate: { Version: '40' },
  })),
});

const described = (instance: Placed) => ({
  InstanceId: instance.id,
  State: { Name: instance.state ?? 'running' },
  ...(instance.state === 'stopped' && {
    StateTransitionReason: 'User initiated (2026-01-03 12:00:00 GMT)',
  }),
  LaunchTime: new Date(NOW - instance.age),
  Tags: tagsOf(instance),
});

const isAsked = (instance: Placed, { Filters }: Asked) =>
  Filters.every(({ Name, Values }) =>
    Name === 'instance-id'
      ? Values.includes(instance.id)
      : tagsOf(instance).some(({ Key, Value }) => Name === `tag:${Key}` && Values.includes(Value)),
  );

const isFiltered = ({ Filters }: Asked, name: string, values: string[]) =>
  Filters.some(({ Name, Values }) => Name === name && String(Values) === String(values));

const textsIn = (value: unknown): string[] => {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
};
