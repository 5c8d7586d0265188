import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { buffer } from 'node:stream/consumers';
import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  DescribeAutoScalingGroupsCommand,
  DetachInstancesCommand,
  EnterStandbyCommand,
  PutWarmPoolCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  CreateLaunchTemplateCommand,
  CreateLaunchTemplateVersionCommand,
  CreateNetworkInterfaceCommand,
  CreateSecurityGroupCommand,
  CreateVolumeCommand,
  DescribeInstancesCommand,
  DescribeLaunchTemplateVersionsCommand,
  DescribeSubnetsCommand,
  DescribeVolumesCommand,
  EC2Client,
  RunInstancesCommand,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2';
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCommand } from '../../cli/command-line/run.ts';
import { reconcileAt } from '../../cli/reconcile.ts';
import { Terminal } from '../../cli/terminal/terminal.ts';
import { handler as findLeftovers } from '../../functions/find-leftovers.ts';
import type { DeployedSettings } from '../../functions/lib/contracts.ts';
import { secretsProvider } from '../../functions/lib/secrets.ts';
import { KEEP_TAG, STACK_TAG } from '../../functions/lib/tags.ts';
import { handler as repairLeftovers } from '../../functions/repair-leftovers.ts';
import { CircleCi } from '../../sandbox/circleci.ts';
import { SILENT } from '../../sandbox/workflow.ts';
import { deployedSettings, readerOf } from '../support/inputs.ts';
import { address } from '../support/serve.ts';
import { startMoto } from './moto.ts';

/**
 * `npm run reconcile` against moto, with instances in each state that moto knows, and a stand-in of CircleCI that lists
 * runners. The clock of the command is ahead, because everything in moto is new.
 */

const APP = 'circleci-runners';
const GROUP = `${APP}-linux`;
const TOKEN = 'CCIPAT_reconcile_0123456789abcdef';
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const ZONE = 'eu-west-1a';
const IMAGE = 'ami-12c6146b';

let moto: Awaited<ReturnType<typeof startMoto>>;
let server: Server;
/** Answers when a secret was stored, because moto says that it was just now. It passes on all other calls. */
let secretsManager: Server;
const storedAt = Date.now() / 1_000 - 3_600;
let ec2: EC2Client;
let autoScaling: AutoScalingClient;
const circleci = new CircleCi();

/** Members in service: two whose runners are in contact, and one whose runner never connected. */
let connected: string[];
let silent: string;
let detached: string;
let standby: string;
let stopped: string;
let kept: string;
let named: string;
let elsewhere: string;
let volume: string;
let networkInterface: string;
let template: string;
let ahead = 3 * HOUR;
let settings: DeployedSettings;

beforeAll(async () => {
  moto = await startMoto();
  secretsManager = createServer(async (request, response) => {
    const body = await buffer(request);
    const { authorization = '', 'content-type': type = '', 'x-amz-target': target = '' } = request.headers;
    const answer = `${target}`.endsWith('ListSecretVersionIds')
      ? JSON.stringify({ Versions: [{ VersionStages: ['AWSCURRENT'], CreatedDate: storedAt }] })
      : await fetch(moto.endpoint, {
          method: 'POST',
          headers: { authorization, 'content-type': type, 'x-amz-target': `${target}` },
          body,
        }).then((response) => response.text());
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' }).end(answer);
  }).listen(0, '127.0.0.1');
  await once(secretsManager, 'listening');
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_SECRETS_MANAGER: address(secretsManager),
    AWS_ENDPOINT_URL: moto.endpoint,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'moto',
    AWS_SECRET_ACCESS_KEY: 'moto',
  });
  ec2 = new EC2Client({});
  autoScaling = new AutoScalingClient({});
  circleci.tokens.add(TOKEN);
  circleci.classes.set('acme/linux', { unclaimed: 0, running: 0 });
  circleci.runners.set('acme/linux', () =>
    connected.map((name) => ({ name, firstConnected: Date.now(), lastConnected: Date.now() + ahead })),
  );
  server = await circleci.listen();
  await deploy();
  await leaveBehind();
});

afterAll(() => {
  for (const each of [server, secretsManager]) {
    each?.closeAllConnections();
    each?.close();
  }
  moto?.stop();
});

/** What a deployment makes: the secrets, the settings, the launch template and the group. */
async function deploy(): Promise<void> {
  const secrets = new SecretsManagerClient({});
  const secret = { resource_class: 'acme/linux', circleci_url: address(server), circle_token: TOKEN };
  await secrets.send(
    new CreateSecretCommand({ Name: `${APP}/linux/runner`, SecretString: 'a-resource-class-token' }),
  );
  await secrets.send(
    new CreateSecretCommand({ Name: `${APP}/linux/scaler`, SecretString: JSON.stringify(secret) }),
  );
  settings = deployedSettings({
    circleciUrl: address(server),
    groupName: GROUP,
    scalerSecretName: `${APP}/linux/scaler`,
    runnerSecretName: `${APP}/linux/runner`,
    lifetimes: { bootSeconds: 600, idleSeconds: 300, runSeconds: 18_000, ageLimitSeconds: 19_800 },
  });
  await new SSMClient({}).send(
    new PutParameterCommand({
      Name: `/${APP}/fleets/linux`,
      Type: 'String',
      Value: JSON.stringify(settings),
    }),
  );
  const { GroupId = '' } = await ec2.send(
    new CreateSecurityGroupCommand({ GroupName: GROUP, Description: 'runners' }),
  );
  const Tags = [{ Key: 'Name', Value: GROUP }];
  const { LaunchTemplate } = await ec2.send(
    new CreateLaunchTemplateCommand({
      LaunchTemplateName: GROUP,
      LaunchTemplateData: {
        ImageId: IMAGE,
        InstanceType: 'm7g.large',
        SecurityGroupIds: [GroupId],
        TagSpecifications: [{ ResourceType: 'instance', Tags }],
      },
    }),
  );
  template = LaunchTemplate?.LaunchTemplateId ?? '';
  const group = (AutoScalingGroupName: string, DesiredCapacity: number, stack: string) =>
    autoScaling.send(
      new CreateAutoScalingGroupCommand({
        AutoScalingGroupName,
        MinSize: 0,
        MaxSize: 10,
        DesiredCapacity,
        AvailabilityZones: [ZONE],
        LaunchTemplate: { LaunchTemplateId: template, Version: '1' },
        NewInstancesProtectedFromScaleIn: true,
        Tags: [{ Key: STACK_TAG, Value: stack, PropagateAtLaunch: false }],
      }),
    );
  await group(GROUP, 5, APP);
  await group('another', 1, 'another');
  elsewhere = (await members('another'))[0] ?? '';
  const [first = '', second = '', third = '', fourth = '', fifth = ''] = await members(GROUP);
  connected = [first, second];
  [silent, detached, standby] = [third, fourth, fifth];
}

/** An instance from the fleet's launch template that is in no group. */
async function fromTemplate(tags: string[]): Promise<string> {
  const { Instances } = await ec2.send(
    new RunInstancesCommand({
      MinCount: 1,
      MaxCount: 1,
      LaunchTemplate: { LaunchTemplateId: template },
      TagSpecifications: [
        { ResourceType: 'instance', Tags: ['launched', ...tags].map((Key) => ({ Key, Value: 'yes' })) },
      ],
    }),
  );
  return Instances?.[0]?.InstanceId ?? '';
}

/** What people and faults leave behind. */
async function leaveBehind(): Promise<void> {
  const inGroup = { AutoScalingGroupName: GROUP, ShouldDecrementDesiredCapacity: true };
  await autoScaling.send(new DetachInstancesCommand({ ...inGroup, InstanceIds: [detached] }));
  await autoScaling.send(new EnterStandbyCommand({ ...inGroup, InstanceIds: [standby] }));
  const launch = { MinCount: 1, MaxCount: 1 };
  stopped = await fromTemplate(['stopped']);
  await ec2.send(new StopInstancesCommand({ InstanceIds: [stopped] }));
  kept = await fromTemplate([KEEP_TAG]);
  const Name = [{ Key: 'Name', Value: GROUP }];
  const { Instances } = await ec2.send(
    new RunInstancesCommand({
      ...launch,
      ImageId: IMAGE,
      TagSpecifications: [{ ResourceType: 'instance', Tags: Name }],
    }),
  );
  named = Instances?.[0]?.InstanceId ?? '';
  const made = await ec2.send(
    new CreateVolumeCommand({
      AvailabilityZone: ZONE,
      Size: 30,
      TagSpecifications: [{ ResourceType: 'volume', Tags: Name }],
    }),
  );
  volume = made.VolumeId ?? '';
  const { LaunchTemplateVersions: [version] = [] } = await ec2.send(
    new DescribeLaunchTemplateVersionsCommand({ LaunchTemplateId: template, Versions: ['1'] }),
  );
  const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({}));
  const { NetworkInterface } = await ec2.send(
    new CreateNetworkInterfaceCommand({
      SubnetId: Subnets[0]?.SubnetId,
      Groups: version?.LaunchTemplateData?.SecurityGroupIds ?? [],
    }),
  );
  networkInterface = NetworkInterface?.NetworkInterfaceId ?? '';
  for (let number = 2; number <= 60; number += 1)
    await ec2.send(
      new CreateLaunchTemplateVersionCommand({
        LaunchTemplateId: template,
        SourceVersion: '1',
        LaunchTemplateData: { InstanceType: 'm7g.large' },
      }),
    );
}

async function members(name: string): Promise<string[]> {
  const [group] =
    (await autoScaling.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] })))
      .AutoScalingGroups ?? [];
  return (group?.Instances ?? []).flatMap(({ InstanceId }) => InstanceId ?? []);
}

async function desired(): Promise<number | undefined> {
  const answer = await autoScaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [GROUP] }),
  );
  return answer.AutoScalingGroups?.[0]?.DesiredCapacity;
}

async function stateOf(instance: string): Promise<string | undefined> {
  const { Reservations = [] } = await ec2.send(new DescribeInstancesCommand({ InstanceIds: [instance] }));
  return Reservations[0]?.Instances?.[0]?.State?.Name;
}

/** The states of all instances that nothing may end. */
async function states() {
  const all = {
    ...Object.fromEntries(connected.map((id) => [id, id])),
    silent,
    detached,
    standby,
    stopped,
    kept,
    named,
    elsewhere,
  };
  return Object.fromEntries(
    await Promise.all(Object.entries(all).map(async ([name, id]) => [name, await stateOf(id)])),
  );
}

async function command(...words: string[]) {
  const written = { stdout: '', stderr: '' };
  const into = (stream: keyof typeof written) => ({
    write: (text: string) => {
      written[stream] += text;
    },
  });
  const terminal = new Terminal({ stdout: { ...into('stdout'), columns: 80 }, stderr: into('stderr') });
  const cli = reconcileAt(() => Date.now() + ahead);
  const shell = { words, terminal, stdin: process.stdin, env: {}, exitCode: 0 };
  return { status: await runCommand(cli, shell), ...written };
}

/** The findings of the fleet, by resource. */
async function findings(...words: string[]) {
  const { status, stdout } = await command('linux', '--json', ...words);
  const [fleet] = JSON.parse(stdout).fleets;
  const byResource: Record<string, { kind: string; repair: { action: string } | null; because: string }> =
    Object.fromEntries(fleet.findings.map((each: { resource: string }) => [each.resource, each]));
  return { status, byResource, missing: fleet.missing, repaired: fleet.repaired };
}

it('finds each instance that is where it should not be, and nothing else', async () => {
  const { status, byResource, missing } = await findings();
  expect(status).toBe(1);
  expect(missing).toEqual([]);
  const expected = {
    [silent]: { kind: 'never connected', repair: { action: 'terminate-member', instance: silent } },
    [detached]: { kind: 'in no group', repair: { action: 'terminate-instance', instance: detached } },
    [stopped]: { kind: 'in no group', repair: null },
    [named]: { kind: 'in no group', repair: null, because: expect.stringContaining('only its Name') },
    [volume]: { kind: 'volume', repair: { action: 'mark-volume', volume } },
    [networkInterface]: { kind: 'interface', repair: null },
  };
  expect(byResource).toMatchObject(expected);
  expect(Object.keys(byResource).sort()).toEqual(Object.keys(expected).sort());
});

it('shows them in 80 columns', async () => {
  const { status, stdout, stderr } = await command();
  expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
  expect(stdout).toMatch(/^Fleet linux: 6 findings, 3 of them can be repaired\n/);
  expect(stdout.split('\n').filter(({ length }) => length > 80)).toEqual([]);
});

it.each([
  { case: 'CircleCI answers 404', fault: { status: 404, body: '{}' }, missing: [] },
  {
    case: 'CircleCI answers 503',
    fault: { status: 503, body: 'down' },
    missing: ['runners (CircleCI answered 503)'],
  },
  {
    case: 'CircleCI lists a runner without times',
    fault: { status: 200, body: '{"items": [{"name": "i-1"}]}' },
    missing: ['runners (CircleCI lists a runner without a name or without times)'],
  },
])('repairs nothing if $case', async ({ fault, missing }) => {
  const before = await states();
  circleci.fault = () => fault;
  try {
    const reported = await findings('--apply', '--yes');
    expect(reported).toMatchObject({ status: 1, missing, repaired: [] });
    expect(reported.byResource[detached]).toMatchObject({ kind: 'in no group', repair: null });
  } finally {
    circleci.fault = () => undefined;
  }
  expect(await states()).toEqual(before);
});

it('does not end an instance whose runner is in contact, although it is in no group', async () => {
  connected.push(detached);
  const { byResource, repaired } = await findings();
  connected.pop();
  expect(byResource[detached]).toMatchObject({ kind: 'in no group', repair: null });
  expect(repaired).toEqual([]);
});

it('asks before it repairs', async () => {
  const { status, stderr } = await command('--apply');
  expect(status).toBe(2);
  expect(stderr).toContain('--apply asks first, and this is no terminal: add --yes');
});

it('ends what cannot be running a job, and lowers the desired capacity for a member', async () => {
  const before = await states();
  expect(await desired()).toBe(3);
  const { status, repaired } = await findings('--apply', '--yes');
  expect(status).toBe(1);
  expect(repaired).toHaveLength(3);
  expect(repaired).toEqual(
    expect.arrayContaining([
      { resource: silent, done: true, says: 'terminated, and the desired capacity is lower by 1' },
      { resource: detached, done: true, says: 'terminated' },
      { resource: volume, done: true, says: 'marked: it can be deleted in a week' },
    ]),
  );
  expect(await states()).toEqual({ ...before, silent: 'terminated', detached: 'terminated' });
  expect(await desired()).toBe(2);
  const { byResource } = await findings();
  expect(byResource).not.toHaveProperty(silent);
  expect(byResource[volume]).toMatchObject({ repair: null, because: expect.stringContaining('a week') });
});

const input = { fleet: 'linux', execution: 'linux-1' };
const started = { execution: 'linux-1', input: { fleet: 'linux' } };
const looks = (reconcile?: 'repair') => ({
  clients: { autoScaling, ec2, secrets: new SecretsManagerClient({}) },
  secrets: secretsProvider(new SecretsManagerClient({})),
  settings: readerOf(() => ({ ...settings, ...(reconcile && { reconcile }) })),
  now: () => Date.now() + ahead,
  log: SILENT,
});

it('the workflow finds the same, and repairs what it finds twice, if the fleet wants that', async () => {
  const stray = await fromTemplate([]);
  const reported = await findLeftovers.with(looks())(started);
  expect(reported.findings).toContainEqual(expect.objectContaining({ kind: 'in no group', resource: stray }));
  expect(reported).toMatchObject({ missing: [], repair: false, found: [] });
  expect(await repairLeftovers.with(looks())({ ...input, found: [`in no group ${stray}`] })).toEqual({
    repaired: [],
  });

  const { repair, found } = await findLeftovers.with(looks('repair'))(started);
  expect({ repair, found }).toEqual({ repair: true, found: [`in no group ${stray}`] });
  const before = await states();
  expect(await repairLeftovers.with(looks('repair'))({ ...input, found: [`in no group ${named}`] })).toEqual({
    repaired: [],
  });
  expect(await repairLeftovers.with(looks('repair'))({ ...input, found })).toEqual({
    repaired: [{ resource: stray, done: true, says: 'terminated' }],
  });
  expect(await stateOf(stray)).toBe('terminated');
  expect(await states()).toEqual(before);
});

it('deletes what is old enough, and still no instance whose runner is in contact', async () => {
  ahead = 40 * DAY;
  const before = await states();
  const { byResource, repaired } = await findings('--apply', '--yes');
  for (const id of connected) expect(byResource[id]).toMatchObject({ kind: 'too old', repair: null });
  const oldest = Array.from({ length: 20 }, (_, index) => index + 2);
  expect(byResource[template]).toMatchObject({ kind: 'versions', repair: { versions: oldest } });
  expect(repaired).toEqual([
    { resource: stopped, done: true, says: 'terminated' },
    { resource: volume, done: true, says: 'deleted' },
    // moto cannot delete versions; test/functions/repair.test.ts shows it.
    { resource: template, done: false, says: expect.stringMatching(/^not repaired: /) },
  ]);
  expect(await states()).toEqual({ ...before, stopped: 'terminated' });
  const { Volumes = [] } = await ec2.send(new DescribeVolumesCommand({}));
  expect(Volumes.map(({ VolumeId }) => VolumeId)).not.toContain(volume);
});

it('reads the warm pool of a fleet that has one', async () => {
  await autoScaling.send(new PutWarmPoolCommand({ AutoScalingGroupName: GROUP, MinSize: 0 }));
  expect((await findings()).missing).toEqual([]);
});

it('was sent only what AWS takes', () => moto.gate.expectSound('reconcile.test.ts'));
