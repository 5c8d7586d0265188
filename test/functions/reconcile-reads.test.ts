import { describe, expect, it } from 'vitest';
import { describeInstances, instancesById } from '../../functions/lib/ec2-instances.ts';
import type { Inventory } from '../../functions/lib/inventory.ts';
import { readFleetSeen } from '../../functions/lib/reconcile-reads.ts';
import { DETACHED_TAG, KEEP_TAG } from '../../functions/lib/tags.ts';
import { DAY, HOUR, MINUTE, NOW } from '../support/fleet-seen.ts';
import { clientsThat } from '../support/leftover-account.ts';

/** The requests of both functions that reconcile, and what they make of the answers. */

const GROUP = 'circleci-runners-linux';
const TEMPLATE = 'lt-0000000000000000a';
const SECRET = 'linux/runner';

/** What AWS answers to an operation: one page, or more of them. Without an answer, AWS has nothing of that kind. */
type Answers = Record<string, object | object[] | ((input: never) => object)>;

interface Request {
  operation: string;
  input: object;
}

function account(answers: Answers) {
  const requests: Request[] = [];
  const clients = clientsThat((operation, { ...input }: { NextToken?: string }) => {
    requests.push({ operation, input });
    const answer = answers[operation] ?? {};
    if (typeof answer === 'function') return answer(input as never);
    if (!Array.isArray(answer)) return answer;
    const page = Number(input.NextToken ?? 0);
    return { ...answer[page], ...(page + 1 < answer.length && { NextToken: `${page + 1}` }) };
  });
  return { clients, requests };
}

const groupOf = (more: object = {}) => ({
  AutoScalingGroups: [
    {
      AutoScalingGroupName: GROUP,
      LaunchTemplate: { LaunchTemplateId: TEMPLATE, Version: '7' },
      Instances: [],
      ...more,
    },
  ],
});

const memberOf = (InstanceId: string, LifecycleState = 'InService') => ({ InstanceId, LifecycleState });

const instanceOf = (InstanceId: string, more: object = {}) => ({
  InstanceId,
  State: { Name: 'running' },
  LaunchTime: new Date(NOW - HOUR),
  ...more,
});

const inventory = (...names: string[]): Inventory => ({
  at: NOW,
  runners: names.map((name) => ({
    name,
    firstConnected: NOW - HOUR,
    lastConnected: NOW - MINUTE,
  })),
});

/** What is read of an account that answers so, and the requests that it takes. */
async function read(
  answers: Answers,
  { listed = inventory(), runnerSecretName }: { listed?: Inventory; runnerSecretName?: string } = {},
) {
  const { clients, requests } = account({ DescribeAutoScalingGroups: groupOf(), ...answers });
  const about = { groupName: GROUP, runnerSecretName };
  const { signal } = new AbortController();
  const { seen, missing } = await readFleetSeen(clients, about, Promise.resolve(listed), NOW, signal);
  const asked = (operation: string) =>
    requests.filter((request) => request.operation === operation).map(({ input }) => input);
  return { seen, missing, asked, operations: new Set(requests.map(({ operation }) => operation)) };
}

const ids = (count: number, first = 0) =>
  Array.from({ length: count }, (_, index) => `i-${(first + index).toString(16).padStart(8, '0')}`);

describe('the group', () => {
  it.each([
    { case: 'AWS knows none', AutoScalingGroups: undefined },
    { case: 'AWS gives another one', AutoScalingGroups: [{ AutoScalingGroupName: `${GROUP}-2` }] },
  ])('must exist: $case', async ({ AutoScalingGroups }) => {
    await expect(read({ DescribeAutoScalingGroups: { AutoScalingGroups } })).rejects.toMatchObject({
      name: 'GroupNotFound',
      message: `No Auto Scaling group is named ${GROUP} in this account and region.`,
    });
  });

  it('is asked for by its name', async () => {
    const { asked } = await read({});
    expect(asked('DescribeAutoScalingGroups')).toEqual([{ AutoScalingGroupNames: [GROUP] }]);
  });

  it('of a fleet that left nothing is read as empty', async () => {
    const { seen, missing } = await read({}, { runnerSecretName: SECRET });
    expect(seen).toEqual({
      members: [],
      instances: [],
      inOtherGroups: new Set(),
      inventory: inventory(),
      foreign: new Set(),
      tokenStoredAt: undefined,
      volumes: [],
      interfaces: [],
      versions: { template: TEMPLATE, unused: [] },
    });
    expect(missing).toEqual([]);
  });

  it('without a launch template or a secret has neither versions nor a token to read', async () => {
    const { seen, operations, missing } = await read({
      DescribeAutoScalingGroups: groupOf({ LaunchTemplate: undefined, Instances: undefined }),
    });
    expect(operations).toEqual(
      new Set(['DescribeAutoScalingGroups', 'DescribeInstances', 'DescribeVolumes']),
    );
    expect(seen).toMatchObject({ members: [], instances: [] });
    expect(seen).toMatchObject({ versions: undefined, interfaces: undefined, tokenStoredAt: undefined });
    expect(missing).toEqual([]);
  });
});

describe('a read that AWS refuses', () => {
  const refused = () => {
    throw Object.assign(new Error('no'), { name: 'UnauthorizedOperation' });
  };
  it.each([
    { operation: 'DescribeInstances', what: ['instances'], left: { instances: undefined } },
    { operation: 'DescribeScalingActivities', what: ['activities'], left: {} },
    {
      operation: 'DescribeAutoScalingInstances',
      what: ['members of other groups'],
      left: { inOtherGroups: undefined },
    },
    { operation: 'DescribeVolumes', what: ['volumes'], left: { volumes: undefined } },
    {
      operation: 'DescribeLaunchTemplateVersions',
      what: ['network interfaces'],
      left: { interfaces: undefined },
    },
    {
      operation: 'DescribeLaunchTemplates',
      what: ['launch template versions'],
      left: { versions: undefined },
    },
    {
      operation: 'ListSecretVersionIds',
      what: ['the resource class token'],
      left: { tokenStoredAt: undefined },
    },
  ])('is named, and takes no other read with it: $operation', async ({ operation, what, left }) => {
    const { seen, missing } = await read(
      {
        DescribeAutoScalingGroups: groupOf({ Instances: [memberOf('i-0000000a', 'Terminating')] }),
        DescribeInstances: { Reservations: [{ Instances: [instanceOf('i-0000000b')] }] },
        DescribeVolumes: {
          Volumes: [{ VolumeId: 'vol-1', CreateTime: new Date(NOW), Size: 8 }],
        },
        [operation]: refused,
      },
      { runnerSecretName: SECRET },
    );
    expect(missing).toEqual(what.map((name) => `${name} (UnauthorizedOperation)`));
    expect(seen).toMatchObject({
      members: [{ id: 'i-0000000a', lifecycleState: 'Terminating' }],
      instances: [{ id: 'i-0000000b' }],
      volumes: [{ id: 'vol-1' }],
      ...left,
    });
  });

  it('of instances leaves it open which groups they are in', async () => {
    const { seen } = await read({ DescribeInstances: refused });
    expect(seen.inOtherGroups).toBeUndefined();
  });

  it('of instances that only share the name of a runner is named', async () => {
    const { seen, missing } = await read(
      {
        DescribeInstances: ({ Filters: [{ Name }] }: { Filters: [{ Name: string }] }) =>
          Name === 'instance-id' ? refused() : {},
      },
      { listed: inventory('i-0000000c') },
    );
    expect(missing).toEqual(['other instances (UnauthorizedOperation)']);
    expect(seen).toMatchObject({ instances: [], foreign: undefined });
  });

  it('by CircleCI is named with its reason', async () => {
    const { missing } = await read({}, { listed: { missing: 'CircleCI answered 503' } });
    expect(missing).toEqual(['runners (CircleCI answered 503)']);
  });

  it('is none if CircleCI knows no runner of the class', async () => {
    const { seen, missing } = await read({}, { listed: { none: true } });
    expect(seen).toMatchObject({ inventory: { none: true }, foreign: new Set() });
    expect(missing).toEqual([]);
  });
});

describe('instances', () => {
  const TAGGED = [{ Key: 'aws:ec2launchtemplate:id', Value: TEMPLATE }];
  /** Answers by the filter, as EC2 does. */
  const ec2 =
    (found: Record<string, object[]>) =>
    ({ Filters }: { Filters: [{ Name: string; Values: string[] }] }) => ({
      Reservations: [
        {
          Instances: (found[Filters[0].Name] ?? []).filter(
            (instance) =>
              Filters[0].Name !== 'instance-id' ||
              Filters[0].Values.includes((instance as { InstanceId: string }).InstanceId),
          ),
        },
      ],
    });

  it.each([
    { case: 'the group has', LaunchTemplate: { LaunchTemplateId: TEMPLATE } },
    {
      case: 'its policy of many types has',
      LaunchTemplate: undefined,
      MixedInstancesPolicy: {
        LaunchTemplate: { LaunchTemplateSpecification: { LaunchTemplateId: TEMPLATE } },
      },
    },
  ])('are found by the tag of the template that $case, by their name, and as members', async (group) => {
    const { seen, asked } = await read({
      DescribeAutoScalingGroups: groupOf({
        ...group,
        Instances: [memberOf('i-0000000a'), memberOf('i-0000000c'), { LifecycleState: 'Pending' }],
      }),
      DescribeInstances: ec2({
        'tag:aws:ec2launchtemplate:id': [instanceOf('i-0000000a', { Tags: TAGGED })],
        'tag:Name': [instanceOf('i-0000000b')],
        'instance-id': [instanceOf('i-0000000c')],
      }),
    });
    expect(asked('DescribeInstances')).toMatchObject([
      { Filters: [{ Name: 'tag:aws:ec2launchtemplate:id', Values: [TEMPLATE] }] },
      { Filters: [{ Name: 'tag:Name', Values: [GROUP] }] },
      // The member that neither the tag nor the name found.
      { Filters: [{ Name: 'instance-id', Values: ['i-0000000c'] }] },
    ]);
    expect(seen.instances?.map(({ id }) => id)).toEqual(['i-0000000a', 'i-0000000b', 'i-0000000c']);
  });

  it.each([
    { case: 'no id', instance: { InstanceId: undefined } },
    { case: 'no state', instance: { State: undefined } },
    { case: 'a state without a name', instance: { State: {} } },
    { case: 'no launch time', instance: { LaunchTime: undefined } },
  ])('with $case are left out', async ({ instance }) => {
    const { seen } = await read({
      DescribeInstances: ec2({ 'tag:Name': [instanceOf('i-0000000a', instance), instanceOf('i-0000000b')] }),
    });
    expect(seen.instances?.map(({ id }) => id)).toEqual(['i-0000000b']);
  });

  const STOPPED = Date.parse('2026-01-03T12:00:00Z');
  const reason = 'User initiated (2026-01-03 12:00:00 GMT)';
  it.each([
    {
      case: 'an instance of the template',
      instance: { Tags: [...TAGGED, { Key: 'aws:ec2launchtemplate:version', Value: '40' }] },
      found: { fromTemplate: true, templateVersion: '40' },
    },
    {
      case: 'one of another template',
      instance: { Tags: [{ Key: 'aws:ec2launchtemplate:id', Value: 'lt-b' }] },
      found: { fromTemplate: false },
    },
    {
      case: 'one with the id of the template in another tag',
      instance: { Tags: [{ Key: 'Template', Value: TEMPLATE }] },
      found: { fromTemplate: false },
    },
    {
      case: 'one that a person keeps',
      instance: { Tags: [...TAGGED, { Key: KEEP_TAG, Value: '' }] },
      found: { fromTemplate: true, kept: true },
    },
    {
      case: 'a stopped one',
      instance: { State: { Name: 'stopped' }, StateTransitionReason: reason },
      found: { state: 'stopped', stoppedAt: STOPPED },
    },
    {
      case: 'one that runs again, whose reason is older',
      instance: { StateTransitionReason: reason },
      found: { state: 'running' },
    },
  ])('say of $case: $found', async ({ instance, found }) => {
    const { seen } = await read({
      DescribeInstances: ec2({ 'tag:Name': [instanceOf('i-0000000a', instance)] }),
    });
    expect(seen.instances).toEqual([
      {
        id: 'i-0000000a',
        state: 'running',
        launchedAt: NOW - HOUR,
        fromTemplate: false,
        kept: false,
        ...found,
      },
    ]);
  });

  it('are read page by page', async () => {
    const pages = ['i-0000000a', 'i-0000000b'].map((id) => ({
      Reservations: [{}, { Instances: [instanceOf(id)] }],
    }));
    const { clients } = account({ DescribeInstances: [...pages, {}] });
    const found = await describeInstances(clients.ec2, [{ Name: 'tag:Name', Values: [GROUP] }]);
    expect(found.map(({ InstanceId }) => InstanceId)).toEqual(['i-0000000a', 'i-0000000b']);
  });

  it.each([
    { count: 0, calls: [] },
    { count: 200, calls: [200] },
    { count: 201, calls: [200, 1] },
    { count: 450, calls: [200, 200, 50] },
  ])('$count are asked for by id in calls of at most 200', async ({ count, calls }) => {
    const all = ids(count);
    const asked: string[][] = [];
    const { clients } = account({
      DescribeInstances: ({ Filters }: { Filters: [{ Values: string[] }] }) => {
        const [{ Values }] = Filters;
        asked.push(Values);
        return { Reservations: [{ Instances: Values.map((id) => instanceOf(id)) }] };
      },
    });
    const found = await instancesById(clients.ec2, all);
    expect(asked.map(({ length }) => length)).toEqual(calls);
    expect(found.map(({ InstanceId }) => InstanceId)).toEqual(all);
  });

  it('that are runners of the class and not of the fleet are looked up', async () => {
    const runners = inventory(
      'i-0000000a',
      'i-0000000d',
      'i-0123456789abcdef0',
      'i-000000e',
      'xi-0000000d',
      'i-0123456789abcdef01',
      'laptop',
    );
    if (!('runners' in runners)) expect.fail();
    for (const [id, silence] of [
      ['i-0000000e', 20 * MINUTE],
      ['i-0000000f', 20 * MINUTE + 1],
    ] as const)
      runners.runners.push({ name: id, firstConnected: NOW - HOUR, lastConnected: NOW - silence });
    const { seen, asked } = await read(
      {
        DescribeInstances: ec2({
          'tag:Name': [instanceOf('i-0000000a')],
          'instance-id': [instanceOf('i-0000000d'), { State: {} }],
        }),
      },
      { listed: runners },
    );
    expect(asked('DescribeInstances').at(-1)).toMatchObject({
      Filters: [{ Name: 'instance-id', Values: ['i-0000000d', 'i-0123456789abcdef0', 'i-0000000e'] }],
    });
    expect(seen.foreign).toEqual(new Set(['i-0000000d']));
  });

  it('are not members of the group that EC2 does not list', async () => {
    const { asked } = await read(
      { DescribeAutoScalingGroups: groupOf({ Instances: [memberOf('i-0000000c')] }) },
      { listed: inventory('i-0000000c') },
    );
    // By the template, by the name, and the member by its id.
    expect(asked('DescribeInstances')).toHaveLength(3);
  });
});

describe('members', () => {
  const HELD = ['Terminating', 'Terminating:Wait', 'Terminating:Proceed', 'Standby'];
  const activity = (id: string, age: number) => ({
    Description: `Terminating EC2 instance: ${id}`,
    StartTime: new Date(NOW - age),
  });

  it.each(HELD)('in %s are so since their newest activity', async (state) => {
    const { seen, asked } = await read({
      DescribeAutoScalingGroups: groupOf({
        Instances: [
          memberOf('i-0000000a', state),
          memberOf('i-0000000b'),
          { InstanceId: 'i-0000000c' },
          { LifecycleState: 'Pending' },
        ],
      }),
      DescribeScalingActivities: {
        Activities: [
          { Description: 'Terminating EC2 instance: i-0000000a' },
          { StartTime: new Date(NOW) },
          activity('i-0000000b', MINUTE),
          activity('i-0000000a', 2 * HOUR),
          activity('i-0000000a', 5 * HOUR),
        ],
      },
    });
    expect(seen.members).toEqual([
      { id: 'i-0000000a', lifecycleState: state, since: NOW - 2 * HOUR },
      { id: 'i-0000000b', lifecycleState: 'InService', since: undefined },
    ]);
    expect(asked('DescribeScalingActivities')).toEqual([{ AutoScalingGroupName: GROUP, MaxRecords: 100 }]);
  });

  it.each(['InService', 'Pending', 'EnteringStandby:Wait'])('in %s need no activities', async (state) => {
    const { operations } = await read({
      DescribeAutoScalingGroups: groupOf({ Instances: [memberOf('i-0000000a', state)] }),
    });
    expect(operations).not.toContain('DescribeScalingActivities');
  });

  const leaving = ['i-0000000a', 'i-0000000b'];
  it.each<{ case: string; pages: object[]; calls: number; since: (number | undefined)[] }>([
    {
      case: 'as soon as all members are found',
      pages: [
        { Activities: [activity('i-0000000a', HOUR)] },
        { Activities: [activity('i-0000000b', 2 * HOUR)] },
        { Activities: [activity('i-0000000a', 3 * HOUR)] },
      ],
      calls: 2,
      since: [NOW - HOUR, NOW - 2 * HOUR],
    },
    {
      case: 'at the last page, and says nothing of a member without an activity',
      pages: [{ Activities: [activity('i-0000000a', HOUR)] }, {}],
      calls: 2,
      since: [NOW - HOUR, undefined],
    },
    {
      case: 'after three pages: a member that is not there is held for at least as long',
      pages: [HOUR, 3 * HOUR, 2 * HOUR, 9 * HOUR].map((age) => ({
        Activities: [activity('i-0000000a', age)],
      })),
      calls: 3,
      since: [NOW - HOUR, NOW - 3 * HOUR],
    },
    {
      case: 'after three pages without any activity',
      pages: [{}, {}, {}, {}],
      calls: 3,
      since: [undefined, undefined],
    },
  ])('are looked for until $case', async ({ pages, calls, since }) => {
    const { seen, asked } = await read({
      DescribeAutoScalingGroups: groupOf({ Instances: leaving.map((id) => memberOf(id, 'Terminating')) }),
      DescribeScalingActivities: pages,
    });
    expect(asked('DescribeScalingActivities')).toHaveLength(calls);
    expect(seen.members.map((each) => each.since)).toEqual(since);
  });
});

describe('members of other groups', () => {
  const instances = (all: string[]) => ({
    Reservations: [{ Instances: all.map((id) => instanceOf(id)) }],
  });

  it.each([
    { count: 0, calls: [] },
    { count: 50, calls: [50] },
    { count: 101, calls: [50, 50, 1] },
  ])('are asked for with $count instances in calls of at most 50, without the members', async (given) => {
    const { count, calls } = given;
    const others = ids(count, 100);
    const { seen, asked } = await read({
      DescribeAutoScalingGroups: groupOf({ Instances: [memberOf('i-0000000a')] }),
      DescribeInstances: instances(['i-0000000a', ...others]),
      DescribeAutoScalingInstances: ({ InstanceIds }: { InstanceIds: string[] }) => ({
        AutoScalingInstances: [{ InstanceId: InstanceIds[0] }, {}],
      }),
    });
    const requests = asked('DescribeAutoScalingInstances') as { InstanceIds: string[] }[];
    expect(requests.map(({ InstanceIds }) => InstanceIds.length)).toEqual(calls);
    expect(requests.flatMap(({ InstanceIds }) => InstanceIds)).toEqual(others);
    expect(seen.inOtherGroups).toEqual(new Set(requests.map(({ InstanceIds }) => InstanceIds[0])));
  });

  it.each([
    { case: 'and the warm pool, page by page', WarmPoolConfiguration: {}, calls: 2 },
    { case: 'and no warm pool if the group has none', WarmPoolConfiguration: undefined, calls: 0 },
  ])('are read page by page $case', async ({ WarmPoolConfiguration, calls }) => {
    const { seen, asked } = await read({
      DescribeAutoScalingGroups: groupOf({ WarmPoolConfiguration }),
      DescribeInstances: instances(['i-0000000b']),
      DescribeAutoScalingInstances: [
        { AutoScalingInstances: [{ InstanceId: 'i-0000000b' }] },
        {},
        { AutoScalingInstances: [{ InstanceId: 'i-0000000c' }] },
      ],
      DescribeWarmPool: [{ Instances: [{ InstanceId: 'i-0000000d' }, {}] }, {}],
    });
    expect(asked('DescribeWarmPool')).toHaveLength(calls);
    for (const input of asked('DescribeWarmPool'))
      expect(input).toMatchObject({ AutoScalingGroupName: GROUP });
    expect(seen.inOtherGroups).toEqual(
      new Set(['i-0000000b', 'i-0000000c', ...(calls > 0 ? ['i-0000000d'] : [])]),
    );
  });
});

it('reads the detached volumes of the fleet, page by page', async () => {
  const CreateTime = new Date(NOW - 30 * DAY);
  const detached = new Date(NOW - 8 * DAY).toISOString();
  const { seen, asked } = await read({
    DescribeVolumes: [
      { Volumes: [{ VolumeId: 'vol-1', CreateTime, Size: 30 }, { VolumeId: 'vol-none' }, { CreateTime }] },
      {},
      {
        Volumes: [
          { VolumeId: 'vol-2', CreateTime, Tags: [{ Key: DETACHED_TAG, Value: detached }] },
          { VolumeId: 'vol-3', CreateTime, Size: 8, Tags: [{ Key: DETACHED_TAG, Value: 'last week' }] },
          {
            VolumeId: 'vol-4',
            CreateTime,
            Size: 8,
            Tags: [
              { Key: 'Name', Value: detached },
              { Key: KEEP_TAG, Value: '' },
            ],
          },
        ],
      },
    ],
  });
  expect(asked('DescribeVolumes')[0]).toMatchObject({
    Filters: [
      { Name: 'status', Values: ['available'] },
      { Name: 'tag:Name', Values: [GROUP] },
    ],
  });
  const createdAt = NOW - 30 * DAY;
  expect(seen.volumes).toEqual([
    { id: 'vol-1', createdAt, detachedAt: undefined, gib: 30, kept: false },
    { id: 'vol-2', createdAt, detachedAt: NOW - 8 * DAY, gib: 0, kept: false },
    { id: 'vol-3', createdAt, detachedAt: undefined, gib: 8, kept: false },
    { id: 'vol-4', createdAt, detachedAt: undefined, gib: 8, kept: true },
  ]);
});

describe('network interfaces', () => {
  it.each([
    { case: 'that is in use', Version: '7', asked: '7' },
    { case: 'that is the newest if the group says none', Version: undefined, asked: '$Latest' },
  ])('have a security group of the version $case', async ({ Version, asked: version }) => {
    const { seen, asked } = await read({
      DescribeAutoScalingGroups: groupOf({ LaunchTemplate: { LaunchTemplateId: TEMPLATE, Version } }),
      DescribeLaunchTemplateVersions: {
        LaunchTemplateVersions: [
          {},
          {
            LaunchTemplateData: {
              SecurityGroupIds: ['sg-1'],
              NetworkInterfaces: [{ Groups: ['sg-2', 'sg-3'] }, {}],
            },
          },
        ],
      },
      DescribeNetworkInterfaces: [
        { NetworkInterfaces: [{ NetworkInterfaceId: 'eni-1' }, {}] },
        {},
        { NetworkInterfaces: [{ NetworkInterfaceId: 'eni-2' }] },
      ],
    });
    expect(asked('DescribeLaunchTemplateVersions')).toEqual([
      { LaunchTemplateId: TEMPLATE, Versions: [version] },
    ]);
    expect(asked('DescribeNetworkInterfaces')[0]).toMatchObject({
      Filters: [
        { Name: 'status', Values: ['available'] },
        { Name: 'group-id', Values: ['sg-1', 'sg-2', 'sg-3'] },
      ],
    });
    expect(seen.interfaces).toEqual(['eni-1', 'eni-2']);
  });

  it('are not asked for without a security group: the filter would match those of the whole account', async () => {
    const { seen, operations } = await read({
      DescribeNetworkInterfaces: { NetworkInterfaces: [{ NetworkInterfaceId: 'eni-1' }] },
    });
    expect(operations).not.toContain('DescribeNetworkInterfaces');
    expect(seen.interfaces).toEqual([]);
  });
});

describe('versions of the launch template', () => {
  const version = (VersionNumber: number, more: object = {}) => ({
    VersionNumber,
    DefaultVersion: false,
    CreateTime: new Date(NOW - 31 * DAY),
    ...more,
  });
  const template = (LatestVersionNumber: number) => ({
    DescribeLaunchTemplates: { LaunchTemplates: [{ LatestVersionNumber }] },
  });

  it('are unused if they are old, not among the newest, and neither a group nor an instance has them', async () => {
    const { seen, asked } = await read({
      ...template(30),
      DescribeAutoScalingGroups: groupOf({
        Instances: [{ ...memberOf('i-0000000a'), LaunchTemplate: { Version: '4' } }, memberOf('i-0000000b')],
      }),
      DescribeLaunchTemplateVersions: [
        {
          LaunchTemplateVersions: [
            version(10),
            version(11),
            version(9, { DefaultVersion: true }),
            version(8, { CreateTime: new Date(NOW - 30 * DAY) }),
            version(7),
            version(6, { CreateTime: undefined }),
          ],
        },
        {},
        {
          LaunchTemplateVersions: [
            version(5, { CreateTime: new Date(NOW - 30 * DAY - 1) }),
            version(4),
            version(3),
            { CreateTime: new Date(NOW - 31 * DAY) },
          ],
        },
      ],
    });
    expect(asked('DescribeLaunchTemplates')).toEqual([{ LaunchTemplateIds: [TEMPLATE] }]);
    expect(asked('DescribeLaunchTemplateVersions')[1]).toMatchObject({
      LaunchTemplateId: TEMPLATE,
      MinVersion: '1',
      MaxVersion: '10',
      MaxResults: 200,
    });
    expect(seen.versions).toEqual({ template: TEMPLATE, unused: [3, 5, 10] });
  });

  it.each([
    { latest: 20, calls: 1 },
    { latest: 21, calls: 2 },
  ])('are listed only with more than 20: $latest', async ({ latest, calls }) => {
    const { asked } = await read(template(latest));
    // One call is for the security groups.
    expect(asked('DescribeLaunchTemplateVersions')).toHaveLength(calls);
  });
});

it.each([
  { case: 'its current value', VersionStages: ['AWSCURRENT'], at: NOW - DAY },
  { case: 'no current value', VersionStages: ['AWSPREVIOUS'], at: undefined },
  { case: 'values without a stage', VersionStages: undefined, at: undefined },
])('reads when the token was stored, of a secret with $case', async ({ VersionStages, at }) => {
  const { seen, asked } = await read(
    {
      ListSecretVersionIds: {
        Versions: [
          { VersionStages: ['AWSPENDING'], CreatedDate: new Date(NOW) },
          { VersionStages, CreatedDate: new Date(NOW - DAY) },
        ],
      },
    },
    { runnerSecretName: SECRET },
  );
  expect(asked('ListSecretVersionIds')).toEqual([{ SecretId: SECRET }]);
  expect(seen.tokenStoredAt).toBe(at);
});
