import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  AutoScalingClient,
  CreateOrUpdateTagsCommand,
  DeleteAutoScalingGroupCommand,
  DeleteTagsCommand,
  DescribeAutoScalingGroupsCommand,
  UpdateAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  CloudFormationClient,
  DeleteStackCommand,
  waitUntilStackDeleteComplete,
} from '@aws-sdk/client-cloudformation';
import { GetScheduleCommand, SchedulerClient, UpdateScheduleCommand } from '@aws-sdk/client-scheduler';
import {
  DeleteSecretCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { SFNClient, StartSyncExecutionCommand } from '@aws-sdk/client-sfn';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { stringify } from 'yaml';
import type { LocalAws } from '../../cli/local-aws/local-aws.ts';
import { WITHHELD_TAG } from '../../functions/lib/tags.ts';
import { formatWithheld } from '../../functions/lib/withheld.ts';
import { CircleCi } from '../../sandbox/circleci.ts';
import { address } from '../support/serve.ts';
import { startGatedAws } from './gated-aws.ts';
import type { Gate } from './models/gate.ts';

/**
 * The runbook, tried against its faults: each test breaks a deployed fleet, follows the text of docs/operations.md, and
 * sees it repaired. test/docs/remedies.ts says where each other remedy is tried, or why it cannot be.
 */

const run = promisify(execFile);

/** A test with deployments: each takes up to a minute on a busy machine. */
vi.setConfig({ testTimeout: 400_000 });

const TOKEN = 'CCIPAT_remedies_0123456789abcdef';
const NEW_TOKEN = 'CCIPAT_remedies_another_11111111';
const RUNNER_TOKEN = 'class_remedies_77aa01';
const SCALER = 'circleci-runners/linux/scaler';
const GROUP = 'circleci-runners-linux';

let aws: LocalAws;
let gate: Gate;
let server: Server;
let folder: string;
let stateMachineArn: string | undefined;
let secrets: SecretsManagerClient;
let autoScaling: AutoScalingClient;
const counts = { unclaimed: 0, running: 0 };
const circleci = new CircleCi();
const fleet = { resourceClass: 'acme/linux', instanceTypes: ['m7g.large'], maxReplicas: 3 };

/** `npx cdk deploy --all`, with changed settings of the fleet. */
async function deploy(changes: object = {}): Promise<void> {
  const file = join(folder, 'fleets.yaml');
  writeFileSync(file, stringify({ linux: { ...fleet, circleciUrl: address(server), ...changes } }));
  stateMachineArn = (await aws.deploy(file, () => undefined)).StateMachineArn;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'remedies-test-'));
  circleci.tokens.add(TOKEN);
  circleci.classes.set('acme/linux', counts);
  circleci.classes.set('acme/renamed', counts);
  server = await circleci.listen();
  ({ aws, gate } = await startGatedAws());
  await deploy();
  secrets = new SecretsManagerClient({});
  autoScaling = new AutoScalingClient({});
});

afterAll(async () => {
  server?.closeAllConnections();
  server?.close();
  gate?.close();
  aws?.stop();
  if (folder) rmSync(folder, { recursive: true });
});

beforeEach(() => Object.assign(counts, { unclaimed: 0, running: 0 }));

/** `npm run execute -- linux`: one execution with one poll. */
async function execute(input: object = {}) {
  const { status, error, output } = await new SFNClient({ disableHostPrefix: true }).send(
    new StartSyncExecutionCommand({
      stateMachineArn,
      input: JSON.stringify({ fleet: 'linux', once: true, ...input }),
    }),
  );
  const { decision } = JSON.parse(output ?? '{}');
  return { status, error, decision };
}

/** `npm run NAME -- linux`, with what a person types or pastes. */
async function command(name: string, typed = ''): Promise<void> {
  const words = name === 'secrets' ? ['--fleets', join(folder, 'fleets.yaml')] : [];
  const started = run(process.execPath, ['--import', 'tsx', 'cli/main.ts', name, 'linux', ...words], {
    env: process.env,
  });
  started.child.stdin?.end(typed);
  await started;
}

const storeTokens = (token = TOKEN) => command('secrets', `${token}\n${RUNNER_TOKEN}\n`);

const putScaler = (SecretString: string) =>
  secrets.send(new PutSecretValueCommand({ SecretId: SCALER, SecretString }));

const stored = (resource_class: string) =>
  JSON.stringify({ resource_class, circleci_url: address(server), circle_token: TOKEN });

async function group() {
  const { AutoScalingGroups = [] } = await autoScaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [GROUP] }),
  );
  return AutoScalingGroups[0];
}

describe('npm run secrets', () => {
  it('ends the wait of a fleet for its tokens', async () => {
    expect(await execute()).toEqual({ status: 'SUCCEEDED', error: undefined, decision: undefined });
    await storeTokens();
    expect(await execute()).toMatchObject({ status: 'SUCCEEDED', decision: { desired: 0 } });
  });

  it.each<{ case: string; breaks: () => Promise<unknown>; error: string }>([
    { case: 'the secret has no JSON', breaks: () => putScaler('my-token'), error: 'SecretMalformed' },
    {
      case: 'the secret is of another resource class',
      breaks: () => putScaler(stored('acme/other')),
      error: 'SecretMismatch',
    },
    {
      case: 'somebody deleted the secret, and it can be restored',
      breaks: () => secrets.send(new DeleteSecretCommand({ SecretId: SCALER, RecoveryWindowInDays: 7 })),
      error: 'SecretNotFound',
    },
    {
      case: 'somebody deleted the secret by force',
      breaks: () =>
        secrets.send(new DeleteSecretCommand({ SecretId: SCALER, ForceDeleteWithoutRecovery: true })),
      error: 'SecretNotFound',
    },
  ])('repairs $error: $case', async ({ breaks, error }) => {
    await breaks();
    expect(await execute()).toMatchObject({ status: 'FAILED', error });
    await storeTokens();
    expect(await execute()).toMatchObject({ status: 'SUCCEEDED' });
  });

  it('repairs CircleCiUnauthorized: the personal API token was revoked', async () => {
    circleci.tokens.delete(TOKEN);
    circleci.tokens.add(NEW_TOKEN);
    expect(await execute()).toMatchObject({ status: 'FAILED', error: 'CircleCiUnauthorized' });
    await storeTokens(NEW_TOKEN);
    expect(await execute()).toMatchObject({ status: 'SUCCEEDED' });
    circleci.tokens.add(TOKEN);
  });
});

it('InputInvalid passes when an execution begins with the name of a fleet alone', async () => {
  expect(await execute({ settings: {} })).toMatchObject({ status: 'FAILED', error: 'InputInvalid' });
  expect(await execute()).toMatchObject({ status: 'SUCCEEDED' });
});

it('SettingsNotFound says that no such fleet is deployed, and a fleet that is runs', async () => {
  expect(await execute({ fleet: 'lunix' })).toMatchObject({ status: 'FAILED', error: 'SettingsNotFound' });
  expect(await execute()).toMatchObject({ status: 'SUCCEEDED' });
});

it('a disabled schedule is found by npm run doctor, and enabled', async () => {
  const scheduler = new SchedulerClient({});
  const named = { GroupName: 'circleci-runners', Name: GROUP };
  const { ScheduleExpression, FlexibleTimeWindow, Target } = await scheduler.send(
    new GetScheduleCommand(named),
  );
  const set = (State: 'ENABLED' | 'DISABLED') =>
    scheduler.send(
      new UpdateScheduleCommand({ ...named, ScheduleExpression, FlexibleTimeWindow, Target, State }),
    );
  const found = async () => {
    const words = [
      '--import',
      'tsx',
      'cli/main.ts',
      'doctor',
      '--json',
      '--fleets',
      join(folder, 'fleets.yaml'),
    ];
    const { stdout } = await run(process.execPath, words, { env: process.env }).catch((failed) => failed);
    return JSON.parse(stdout).findings.find(({ check }: { check: string }) => check === 'schedule');
  };
  await set('DISABLED');
  expect((await found()).level).not.toBe('ok');
  await set('ENABLED');
  expect((await found()).level).toBe('ok');
});

it('a deleted tag lets a fleet launch again for which CircleCI handed out no tasks', async () => {
  const tag = { ResourceId: GROUP, ResourceType: 'auto-scaling-group', Key: WITHHELD_TAG };
  const now = Math.floor(Date.now() / 1_000);
  // Runners came to nothing, and the last canary did so just now.
  const Value = formatWithheld({
    since: now - 600,
    unused: 5,
    canaries: 1,
    lastAt: now,
    unclaimed: 2,
    running: 0,
    level: 0,
    came: 0,
    outside: 0,
    claimed: 0,
    claimedAt: 0,
    idleSeconds: 0,
    inService: 0,
    risen: 0,
    mostRunning: 0,
  });
  await autoScaling.send(
    new CreateOrUpdateTagsCommand({ Tags: [{ ...tag, Value, PropagateAtLaunch: false }] }),
  );
  Object.assign(counts, { unclaimed: 2 });
  expect((await execute()).decision).toMatchObject({
    desired: 0,
    reasons: expect.arrayContaining([expect.stringContaining('CircleCI hands out no more tasks')]),
  });
  await autoScaling.send(new DeleteTagsCommand({ Tags: [tag] }));
  expect((await execute()).decision).toMatchObject({ desired: 2 });
});

it('npm run resume lets a paused fleet launch for the jobs that wait', async () => {
  await command('pause');
  Object.assign(counts, { unclaimed: 3 });
  expect((await execute()).decision).toMatchObject({
    desired: 2,
    reasons: [expect.stringMatching(/^held: the fleet is paused/)],
  });
  await command('resume');
  expect((await execute()).decision).toMatchObject({ desired: 3 });
});

it('a saturated fleet launches more after a deployment with a larger maxReplicas', async () => {
  Object.assign(counts, { unclaimed: 2, running: 3 });
  expect((await execute()).decision).toMatchObject({
    desired: 3,
    reasons: expect.arrayContaining([expect.stringContaining('capped at maxReplicas')]),
  });
  await deploy({ maxReplicas: 5 });
  expect((await execute()).decision).toMatchObject({ desired: 5 });
});

it('a group whose maximum somebody lowered is no fault if maxReplicas is lowered, too', async () => {
  await autoScaling.send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: GROUP, MaxSize: 5 }));
  await deploy({ maxReplicas: 8 });
  await autoScaling.send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: GROUP, MaxSize: 6 }));
  Object.assign(counts, { unclaimed: 3, running: 5 });
  const small = expect.stringContaining("the group's maximum size is below maxReplicas");
  expect((await execute()).decision.reasons).toContainEqual(small);
  await deploy({ maxReplicas: 6 });
  expect((await execute()).decision.reasons).not.toContainEqual(small);
  expect((await group())?.MaxSize).toBe(6);
});

it('CircleCiNotFound passes after a deployment with the right resource class, and npm run secrets', async () => {
  circleci.classes.delete('acme/linux');
  expect(await execute()).toMatchObject({ status: 'FAILED', error: 'CircleCiNotFound' });
  await deploy({ resourceClass: 'acme/renamed', maxReplicas: 6 });
  // The stored secret still names the other class.
  expect(await execute()).toMatchObject({ status: 'FAILED', error: 'SecretMismatch' });
  await storeTokens();
  expect(await execute()).toMatchObject({ status: 'SUCCEEDED' });
  circleci.classes.set('acme/linux', counts);
});

it('CircleCiRejected passes after a deployment with the right address, and npm run secrets', async () => {
  const redirecting = createServer((_, response) =>
    response.writeHead(302, { location: address(server) }).end(),
  ).listen(0, '127.0.0.1');
  await once(redirecting, 'listening');
  await deploy({ circleciUrl: address(redirecting), maxReplicas: 6 });
  await putScaler(
    JSON.stringify({
      resource_class: 'acme/linux',
      circleci_url: address(redirecting),
      circle_token: TOKEN,
    }),
  );
  expect(await execute()).toMatchObject({ status: 'FAILED', error: 'CircleCiRejected' });
  await deploy({ maxReplicas: 6 });
  expect(await execute()).toMatchObject({ status: 'FAILED', error: 'SecretMismatch' });
  await storeTokens();
  expect(await execute()).toMatchObject({ status: 'SUCCEEDED' });
  redirecting.closeAllConnections();
  redirecting.close();
});

// MiniStack reverts no drift, so this shows what the text asks AWS for: test/docs/remedy-table.ts.
it('npx cdk deploy --all --revert-drift asks CloudFormation to revert what somebody changed by hand', async () => {
  const before = gate.requests.length;
  const words = ['deploy', '--all', '--revert-drift', '--require-approval=never'];
  const assembly = join(aws.folder, 'circleci-runners.out');
  await run('npx', ['cdk', ...words, '--app', assembly], { env: process.env, maxBuffer: 2 ** 26 });
  const asked = gate.requests
    .slice(before)
    .flatMap((request) => ('body' in request ? [new URLSearchParams(request.body)] : []))
    .filter((parameters) => parameters.get('Action') === 'CreateChangeSet');
  expect(asked.map((parameters) => parameters.get('StackName')).toSorted()).toEqual([
    'circleci-runners',
    'circleci-runners-linux',
  ]);
  for (const parameters of asked) expect(parameters.get('DeploymentMode')).toBe('REVERT_DRIFT');
});

it('GroupNotFound is repaired by deleting the stack of the fleet, a deployment, and its tokens', async () => {
  await storeTokens();
  await autoScaling.send(
    new DeleteAutoScalingGroupCommand({ AutoScalingGroupName: GROUP, ForceDelete: true }),
  );
  expect(await execute()).toMatchObject({ status: 'FAILED', error: 'GroupNotFound' });
  const cloudFormation = new CloudFormationClient({});
  await cloudFormation.send(new DeleteStackCommand({ StackName: GROUP }));
  await waitUntilStackDeleteComplete({ client: cloudFormation, maxWaitTime: 60 }, { StackName: GROUP });
  await deploy({ maxReplicas: 6 });
  await storeTokens();
  Object.assign(counts, { unclaimed: 1 });
  expect(await execute()).toMatchObject({ status: 'SUCCEEDED', error: undefined, decision: { desired: 1 } });
});

it('was sent only what AWS takes', () => gate.expectSound('remedies.test.ts'));
