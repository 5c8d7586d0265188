import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  SetDesiredCapacityCommand,
} from '@aws-sdk/client-auto-scaling';
import { CloudFormationClient, GetTemplateCommand } from '@aws-sdk/client-cloudformation';
import { CloudWatchClient, ListMetricsCommand } from '@aws-sdk/client-cloudwatch';
import {
  CloudWatchLogsClient,
  DescribeLogGroupsCommand,
  FilterLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import { PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import {
  CreateStateMachineCommand,
  DescribeExecutionCommand,
  DescribeStateMachineCommand,
  GetExecutionHistoryCommand,
  ListExecutionsCommand,
  SFNClient,
  StartSyncExecutionCommand,
} from '@aws-sdk/client-sfn';
import { GetParameterCommand, PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { LocalAws } from '../../cli/local-aws/local-aws.ts';
import { describeGroup } from '../../functions/lib/auto-scaling.ts';
import { CircleCi, type CircleCiFault } from '../../sandbox/circleci.ts';
import { address } from '../support/serve.ts';
import { alarmChanges, alarmStates, failures, listen, makeCompositeAlarms, setAlarmState } from './alarms.ts';
import { startGatedAws } from './gated-aws.ts';
import type { Gate } from './models/gate.ts';

const run = promisify(execFile);

const TOKEN = 'CCIPAT_deployed_5f2c1d7e9ab34c60';
const CLASSES = { alpha: 'acme/linux', beta: 'acme/big+arm:x' };
type Fleet = keyof typeof CLASSES;

const RUNNER_TOKEN = 'class_deployed_77aa01';

/** What each fleet's CircleCI answers; tests set it. */
const counts = { alpha: { unclaimed: 0, running: 0 }, beta: { unclaimed: 0, running: 0 } };

let aws: LocalAws;
let gate: Gate;
let server: Server;
let folder: string;
let fleetsFile: string;
let outputs: Record<string, string>;
const circleci = new CircleCi();
let sfn: SFNClient;
let autoScaling: AutoScalingClient;
let received: Awaited<ReturnType<typeof listen>>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'deployed-test-'));
  circleci.tokens.add(TOKEN);
  for (const fleet of ['alpha', 'beta'] as const) circleci.classes.set(CLASSES[fleet], counts[fleet]);
  server = await circleci.listen();
  const circleciUrl = address(server);
  const fleets = {
    alpha: { resourceClass: CLASSES.alpha, instanceTypes: ['m7g.large'], maxReplicas: 10, circleciUrl },
    beta: {
      resourceClass: CLASSES.beta,
      instanceTypes: ['m7i.large', 'm6i.large'],
      maxReplicas: 3,
      minReplicas: 1,
      network: 'new-vpc',
      pollInterval: '30s',
      circleciUrl,
    },
  };
  fleetsFile = join(folder, 'fleets.yaml');
  writeFileSync(fleetsFile, stringify(fleets));
  ({ aws, gate } = await startGatedAws());
  outputs = await aws.deploy(fleetsFile, () => undefined);
  sfn = new SFNClient({ disableHostPrefix: true });
  autoScaling = new AutoScalingClient({});
  await makeCompositeAlarms(aws.leftOut);
  received = await listen();
});

afterAll(async () => {
  server?.closeAllConnections();
  server?.close();
  gate?.close();
  aws?.stop();
  if (folder) rmSync(folder, { recursive: true });
});

beforeEach(() => {
  circleci.fault = () => undefined;
});

/** One execution that ends after its first poll. */
const execute = (fleet: Fleet, stateMachineArn = outputs.StateMachineArn) =>
  sfn.send(new StartSyncExecutionCommand({ stateMachineArn, input: JSON.stringify({ fleet, once: true }) }));

/**
 * Deploys a fleet with other settings for a moment, in which no schedule starts.
 *
 * @returns The version of these settings, and the topic of the fleet.
 */
async function settingsWith(
  fleet: Fleet,
  changes: object,
): Promise<{ version: number; alarmTopicArn: string }> {
  const ssm = new SSMClient({});
  const Name = `/circleci-runners/fleets/${fleet}`;
  const { Parameter } = await ssm.send(new GetParameterCommand({ Name }));
  const deployed = JSON.parse(Parameter?.Value ?? '');
  const put = (value: object) =>
    ssm.send(new PutParameterCommand({ Name, Value: JSON.stringify(value), Overwrite: true }));
  const { Version = 0 } = await put({ ...deployed, ...changes });
  await put(deployed);
  return { version: Version, alarmTopicArn: deployed.alarmTopicArn };
}

/** In place of Read Settings: executions begin with these settings. */
const beginsWith = (settings: object) => ({
  'Read Settings': ({ Next }: State) => ({
    Type: 'Pass',
    Result: { ...settings, once: true, pollsFrom: new Date().toISOString() },
    ResultPath: '$.settings',
    Next,
  }),
});

type State = Record<string, unknown>;
let workflows = 0;

/** The deployed workflow once more, with other states in the place of some. */
async function workflowWith(others: Record<string, (state: State) => object>): Promise<string> {
  const deployed = await sfn.send(
    new DescribeStateMachineCommand({ stateMachineArn: outputs.StateMachineArn }),
  );
  const definition = JSON.parse(deployed.definition ?? '');
  for (const [name, other] of Object.entries(others))
    definition.States[name] = other(definition.States[name]);
  workflows += 1;
  const { stateMachineArn = '' } = await sfn.send(
    new CreateStateMachineCommand({
      name: `workflow-${workflows}`,
      type: 'EXPRESS',
      definition: JSON.stringify(definition),
      roleArn: deployed.roleArn,
    }),
  );
  return stateMachineArn;
}

const groupName = (fleet: Fleet) => outputs[fleet === 'alpha' ? 'AlphaGroupName' : 'BetaGroupName'];

async function group(fleet: Fleet) {
  const answer = await autoScaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [groupName(fleet) ?? ''] }),
  );
  const [found] = answer.AutoScalingGroups ?? [];
  return { desired: found?.DesiredCapacity, members: found?.Instances?.length ?? 0 };
}

async function storeSecret(fleet: Fleet, value: object) {
  const name = outputs[fleet === 'alpha' ? 'AlphaScalerSecretName' : 'BetaScalerSecretName'];
  await new SecretsManagerClient({}).send(
    new PutSecretValueCommand({ SecretId: name, SecretString: JSON.stringify(value) }),
  );
}

/** One of the project's own commands, as `npm run` starts it. */
function command(name: string, ...words: string[]) {
  return run(process.execPath, ['--import', 'tsx', 'cli/main.ts', name, ...words], { env: process.env });
}

/** What all log groups hold, the functions' and the executions'. */
async function everyLogLine(): Promise<string> {
  const client = new CloudWatchLogsClient({});
  const { logGroups = [] } = await client.send(new DescribeLogGroupsCommand({}));
  const pages = await Promise.all(
    logGroups.map(({ logGroupName }) => client.send(new FilterLogEventsCommand({ logGroupName }))),
  );
  return JSON.stringify(pages.map(({ events }) => events));
}

/**
 * The alarms that the topic has sent, without beta's: MiniStack ignores an alarm's dimensions, so the failure of
 * one fleet rings the alarms of all.
 */
async function alarmMessages() {
  return alarmChanges(await received()).filter(({ name }) => !name.startsWith('beta-'));
}

async function until(what: string, seconds: number, holds: () => Promise<boolean>) {
  for (let waited = 0; waited < seconds; waited += 1) {
    if (await holds()) return;
    await sleep(1_000);
  }
  throw new Error(`Not within ${seconds} s: ${what}`);
}

describe('the deployed app', () => {
  it('has the outputs that its people look for', () => {
    expect(Object.keys(outputs).sort()).toEqual([
      'AlphaGroupName',
      'AlphaRunnerSecretName',
      'AlphaScalerSecretName',
      'BetaGroupName',
      'BetaRunnerSecretName',
      'BetaScalerSecretName',
      'DashboardUrl',
      'StateMachineArn',
    ]);
  });

  it('waits while nobody has stored the tokens, rings no alarm and sends no message', async () => {
    const execution = await execute('alpha');
    expect(execution).toMatchObject({ status: 'SUCCEEDED' });
    expect(JSON.parse(execution.output ?? '').settings.waits).toMatch(
      /^waits for its tokens: the secret circleci-runners\/alpha\/scaler has no value yet/,
    );
    const ringing = Object.entries(await alarmStates()).filter(([, state]) => state === 'ALARM');
    expect(ringing).toEqual([]);
    expect(await alarmMessages()).toEqual([]);
  });

  it('fails if the secret is for another resource class, without telling its value', async () => {
    await storeSecret('alpha', {
      resource_class: 'acme/other',
      circleci_url: address(server),
      circle_token: TOKEN,
    });
    const execution = await execute('alpha');
    expect(execution).toMatchObject({ status: 'FAILED', error: 'SecretMismatch' });
    expect(execution.cause).not.toContain(TOKEN);
  });

  // MiniStack lets an alarm ring at the first datum, whatever the minutes that it is for: those are in test/infra.
  it('tells the topic of that once: by the alarm over the alarm that rings', async () => {
    expect(await alarmStates()).toMatchObject({
      'alpha-SecretsUnreadable': 'ALARM',
      'alpha-NeedsYou': 'ALARM',
      'alpha-CircleCiRefuses': 'INSUFFICIENT_DATA',
      Outage: 'OK',
    });
    await until('the topic has a message', 10, async () => (await alarmMessages()).length > 0);
    expect(await alarmMessages()).toEqual([
      {
        name: 'alpha-NeedsYou',
        state: 'ALARM',
        description: expect.stringContaining('See docs/operations.md, "Fleet Needs You".'),
      },
    ]);
  });

  it('takes the tokens from standard input, and shows neither', async () => {
    const stored = command('secrets', 'alpha', '--fleets', fleetsFile);
    stored.child.stdin?.end(`${TOKEN}\n${RUNNER_TOKEN}\n`);
    const { stdout, stderr } = await stored;
    expect(stdout).toContain('circleci-runners/alpha/scaler and circleci-runners/alpha/runner');
    expect(stdout + stderr).not.toMatch(new RegExp(`${TOKEN}|${RUNNER_TOKEN}`));
  });

  it('tells which fleets there are when an unknown one is to be executed', async () => {
    await expect(command('execute', 'gamma')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('(alpha, beta), got "gamma"'),
    });
  });

  it('lets the group follow the queue on its schedule, within two minutes of the deployment', async () => {
    await storeSecret('beta', {
      resource_class: CLASSES.beta,
      circleci_url: address(server),
      circle_token: TOKEN,
    });
    Object.assign(counts.alpha, { unclaimed: 3, running: 2 });
    await until('desired capacity 5', 130, async () => (await group('alpha')).desired === 5);
    expect(await group('alpha')).toEqual({ desired: 5, members: 5 });
  });

  it('polls again within the minute: a task queued in between is seen within seconds', async () => {
    const requests = circleci.requests;
    await until('a next poll', 70, async () => circleci.requests > requests);
    Object.assign(counts.alpha, { unclaimed: 4, running: 2 });
    await until('desired capacity 6', 12, async () => (await group('alpha')).desired === 6);
  });

  it('shows the steps and the decision of an execution', async () => {
    const { stdout } = await command('execute', 'alpha');
    expect(stdout).toContain('SUCCEEDED');
    expect(stdout).toContain('4 unclaimed + 2 running = 6 wanted');
    expect(stdout).toMatch(/Compute Capacity +Task +\+\d+\.\d s +Succeeded/);
  });

  it('keeps every member when the queue falls to nothing, because any of them may be busy', async () => {
    Object.assign(counts.alpha, { unclaimed: 0, running: 0 });
    const execution = await execute('alpha');
    expect(execution.status).toBe('SUCCEEDED');
    expect(JSON.parse(execution.output ?? '{}').decision).toMatchObject({ from: 6, desired: 6 });
    expect(await group('alpha')).toEqual({ desired: 6, members: 6 });
  });

  it('holds its capacity while a person has paused it', async () => {
    const { stdout } = await command('pause', 'alpha');
    expect(stdout).toContain('Fleet alpha is paused. Its capacity is held. Desired capacity 6, instances 6.');
    expect(stdout).toContain('npm run resume -- alpha');
    // Only now, because the schedule's own executions follow the counts as well.
    Object.assign(counts.alpha, { unclaimed: 2, running: 6 });
    const decided = async () => JSON.parse((await execute('alpha')).output ?? '{}').decision;
    expect(await decided()).toMatchObject({
      desired: 6,
      reasons: [expect.stringMatching(/^held: the fleet is paused since 20/)],
    });

    await command('resume', 'alpha');
    expect(await decided()).toMatchObject({ desired: 8 });
    Object.assign(counts.alpha, { unclaimed: 0, running: 6 });
    await autoScaling.send(
      new SetDesiredCapacityCommand({ AutoScalingGroupName: groupName('alpha'), DesiredCapacity: 6 }),
    );
    await expect(command('pause', 'gamma')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('The fleet must be a deployed one (alpha, beta), got "gamma"'),
    });
  });

  it('stays between minReplicas and maxReplicas', async () => {
    await autoScaling.send(
      new SetDesiredCapacityCommand({ AutoScalingGroupName: groupName('beta'), DesiredCapacity: 0 }),
    );
    await execute('beta');
    expect((await group('beta')).desired).toBe(1);
    Object.assign(counts.beta, { unclaimed: 40, running: 1 });
    await execute('beta');
    expect((await group('beta')).desired).toBe(3);
  });

  const REFUSES = 'CircleCiRefuses';
  const UNAVAILABLE = 'CircleCiUnavailable';
  const FAULTS: { case: string; fault: CircleCiFault; error: string; kind?: string }[] = [
    {
      case: '401',
      fault: { status: 401, body: '{"message":"no"}' },
      error: 'CircleCiUnauthorized',
      kind: REFUSES,
    },
    {
      case: '403',
      fault: { status: 403, body: '{"message":"no"}' },
      error: 'CircleCiUnauthorized',
      kind: REFUSES,
    },
    { case: '404', fault: { status: 404, body: '{}' }, error: 'CircleCiNotFound', kind: REFUSES },
    {
      case: '429',
      fault: { status: 429, headers: { 'retry-after': '120' }, body: '' },
      error: 'CircleCiRateLimited',
    },
    { case: '500', fault: { status: 500, body: 'oops' }, error: 'CircleCiUnavailable' },
    { case: '400', fault: { status: 400, body: '{}' }, error: 'CircleCiRejected', kind: REFUSES },
    {
      case: 'a redirect',
      fault: { status: 302, headers: { location: '/login' }, body: '' },
      error: 'CircleCiRejected',
      kind: REFUSES,
    },
    {
      case: 'JSON that is cut short',
      fault: { status: 200, body: '{"unclaimed_task_count":' },
      error: 'CircleCiNotJson',
    },
    {
      case: 'a number that is a text',
      fault: { status: 200, body: '{"unclaimed_task_count":"3","running_runner_tasks":"3"}' },
      error: 'CircleCiInvalidCount',
    },
    { case: 'a page of HTML', fault: { status: 200, body: '<html></html>' }, error: 'CircleCiNotJson' },
    { case: 'a connection that hangs', fault: 'hang', error: 'CircleCiTimeout' },
    { case: 'a connection that breaks', fault: 'reset', error: 'CircleCiUnreachable' },
    {
      case: 'a number that cannot be',
      fault: { status: 200, body: '{"unclaimed_task_count":-1,"running_runner_tasks":1.5}' },
      error: 'CircleCiInvalidCount',
    },
  ];

  it.each(FAULTS)(
    'holds the capacity, fails by name and counts the failure: $case',
    async ({ fault, error, kind = UNAVAILABLE }) => {
      Object.assign(counts.alpha, { unclaimed: 8, running: 0 });
      circleci.fault = ({ resourceClass }) => (resourceClass === CLASSES.alpha ? fault : undefined);
      const before = await failures('alpha', kind);
      const desired = (await group('alpha')).desired;
      const execution = await execute('alpha');
      expect(execution).toMatchObject({ status: 'FAILED', error });
      expect(execution.cause).toContain(error);
      expect(execution.cause).toContain('See docs/operations.md#circleci-');
      expect((await group('alpha')).desired).toBe(desired);
      expect(await failures('alpha', kind)).toBeGreaterThan(before);
    },
  );

  it('lets one fleet follow its queue while another fleet fails', async () => {
    circleci.fault = ({ resourceClass }) =>
      resourceClass === CLASSES.alpha ? { status: 500, body: '' } : undefined;
    const before = await failures('beta', UNAVAILABLE);
    Object.assign(counts.beta, { unclaimed: 2, running: 0 });
    const [alpha, beta] = await Promise.all([execute('alpha'), execute('beta')]);
    expect(alpha.status).toBe('FAILED');
    expect(beta.status).toBe('SUCCEEDED');
    expect(await failures('beta', UNAVAILABLE)).toBe(before);
  });

  it('tells of CircleCI that is away as of an outage, and not again of a fleet that is known to need somebody', async () => {
    const states = await alarmStates();
    expect(states).toMatchObject({ 'alpha-CircleCiRefuses': 'ALARM', 'alpha-CircleCiUnavailable': 'ALARM' });
    await until('the topic has a message', 10, async () => (await alarmMessages()).length > 1);
    expect(await alarmMessages()).toMatchObject([
      { name: 'alpha-NeedsYou', state: 'ALARM' },
      { name: 'Outage', state: 'ALARM', description: expect.stringContaining('operations.md, "Outage".') },
    ]);
  });

  // In MiniStack an alarm without data stays as it is, so here somebody says that it is over.
  it('tells when it is over', async () => {
    const isNotified = async () =>
      (await alarmMessages()).some(({ name, state }) => name === 'alpha-NeedsYou' && state === 'OK');
    await setAlarmState('alpha-SecretsUnreadable', 'OK');
    expect(await isNotified()).toBe(false);
    await setAlarmState('alpha-CircleCiRefuses', 'OK');
    await until('the topic has a message', 10, isNotified);
  });

  it('holds the capacity and tells of a group that cannot be found, and not again when it cannot be written', async () => {
    Object.assign(counts.alpha, { unclaimed: 8, running: 0 });
    await execute('alpha');
    const { desired } = await group('alpha');
    const rang = async () =>
      (await alarmMessages()).filter(({ name, state }) => name === 'alpha-NeedsYou' && state === 'ALARM')
        .length;
    const before = await rang();

    const gone = await settingsWith('alpha', { groupName: 'gone' });
    const unread = await execute('alpha', await workflowWith(beginsWith(gone)));
    expect(unread).toMatchObject({ status: 'FAILED', error: 'GroupNotFound' });
    expect(unread.cause).toContain('See docs/operations.md#group-unreadable');
    await until('the topic has a message', 10, async () => (await rang()) > before);
    expect(await alarmStates()).toMatchObject({
      'alpha-GroupUnreadable': 'ALARM',
      'alpha-NeedsYou': 'ALARM',
    });

    const one = await settingsWith('alpha', { capacity: { minReplicas: 1, maxReplicas: 10 } });
    const writesElsewhere = await workflowWith({
      ...beginsWith(one),
      'Update Group': (state) => ({
        ...state,
        Parameters: { ...Object(state.Parameters), settings: { version: gone.version } },
      }),
    });
    const unwritten = await execute('alpha', writesElsewhere);
    expect(unwritten).toMatchObject({ status: 'FAILED', error: 'GroupNotFound' });
    expect(unwritten.cause).toContain('See docs/operations.md#group-update-refused');
    await until(
      'the alarm rings',
      10,
      async () => (await alarmStates())['alpha-GroupUpdateRefused'] === 'ALARM',
    );
    expect(await rang()).toBe(before + 1);
    expect((await group('alpha')).desired).toBe(desired);
  });

  // MiniStack's groups have no scaling activities, so here a state says what they would show. Nor have they
  // processes: that launches are suspended until a canary is due is in calls.test.ts.
  it('announces an open breaker, and lets one canary launch', async () => {
    const breaker = {
      open: true,
      isNew: true,
      failures: 3,
      kind: 'shortage',
      reason: 'There is no capacity.',
      canaryAt: new Date(Date.now() - 1_000).toISOString(),
    };
    const two = await settingsWith('alpha', { capacity: { minReplicas: 2, maxReplicas: 10 } });
    const stateMachineArn = await workflowWith({
      ...beginsWith(two),
      'Describe Activities': ({ ResultPath, Next }) => ({
        Type: 'Pass',
        Result: { lastAt: null, failedLaunches: 1, cameInService: 0, breaker },
        ResultPath,
        Next,
      }),
    });
    Object.assign(counts.alpha, { unclaimed: 8, running: 0 });
    await execute('alpha');
    expect((await group('alpha')).desired).toBe(8);
    // Two more are wanted than the schedule's own executions want, which know of no breaker.
    const execution = await execute('alpha', stateMachineArn);
    expect(execution.status).toBe('SUCCEEDED');
    expect((await group('alpha')).desired).toBe(9);
    expect(await received()).toContainEqual({
      Subject: 'Breaker open: fleet alpha',
      Message: expect.stringMatching(
        /3 launches failed .*\(shortage\): There is no capacity\. The next canary may launch at 20.*#breaker-open$/,
      ),
    });
  });

  // MiniStack's CloudWatch takes every metric, so here a state requests something that does not exist.
  it('announces a failure that CloudWatch does not count', async () => {
    const stateMachineArn = await workflowWith({
      'Count Failure': (state) => ({
        ...state,
        Resource: 'arn:aws:states:::aws-sdk:cloudwatch:refuseMetricData',
      }),
    });
    circleci.fault = ({ resourceClass }) =>
      resourceClass === CLASSES.alpha ? { status: 404, body: '{}' } : undefined;
    const execution = await execute('alpha', stateMachineArn);
    expect(execution).toMatchObject({ status: 'FAILED', error: 'CircleCiNotFound' });
    expect(await received()).toContainEqual({
      Subject: expect.stringMatching(/^Count (Unclaimed|Running) failed: fleet alpha$/),
      Message: expect.stringMatching(
        /^CircleCiNotFound: .*See docs\/operations\.md#circleci-refuses \(CloudWatch/,
      ),
    });
  });

  it('has the token nowhere but in the secret', async () => {
    const { executions = [] } = await sfn.send(
      new ListExecutionsCommand({ stateMachineArn: outputs.StateMachineArn, maxResults: 100 }),
    );
    expect(executions.length).toBeGreaterThan(10);
    const executed = await Promise.all(
      executions.map(async ({ executionArn }) =>
        JSON.stringify([
          await sfn.send(new DescribeExecutionCommand({ executionArn })),
          await sfn.send(new GetExecutionHistoryCommand({ executionArn, maxResults: 1_000 })),
        ]),
      ),
    );
    const logs = await everyLogLine();
    expect(logs).toContain('Count Unclaimed');
    const template = await new CloudFormationClient({}).send(
      new GetTemplateCommand({ StackName: 'circleci-runners' }),
    );
    const emulator = existsSync(aws.logFile) ? readFileSync(aws.logFile, 'utf8') : '';
    const metrics = await new CloudWatchClient({}).send(new ListMetricsCommand({}));
    const places = [...executed, logs, JSON.stringify([template, metrics, await received()]), emulator];
    expect(places.filter((place) => place.includes(TOKEN) || place.includes(RUNNER_TOKEN))).toEqual([]);
    expect(executed.join()).toContain('circleci-runners/alpha/scaler');
  });

  // MiniStack has no processes to suspend. What the workflow does with them is in calls.test.ts.
  it('refuses to drain, and changes nothing', async () => {
    await expect(command('drain', 'alpha')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Draining needs the call SuspendProcesses'),
    });
    expect(await describeGroup(autoScaling, 'circleci-runners-alpha')).toMatchObject({ paused: 'false' });
  });
});

it('was sent only what AWS takes', () => gate.expectSound('deployed.test.ts'));
