import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  CreateLaunchConfigurationCommand,
  CreateOrUpdateTagsCommand,
  DescribeAutoScalingGroupsCommand,
  ResumeProcessesCommand,
  SetInstanceProtectionCommand,
  SuspendProcessesCommand,
} from '@aws-sdk/client-auto-scaling';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DELETION_REFUSED_TAG, PAUSED_TAG, STACK_ID_TAG } from '../../functions/lib/tags.ts';
import { deployedSettings, readerOf } from '../support/inputs.ts';
import { address } from '../support/serve.ts';
import { startMoto } from './moto.ts';

/**
 * What MiniStack cannot do, scale-in protection, suspended processes and calls that fail, against moto, which
 * answers these calls as AWS does. Instances that leave are in `test/instance`.
 */

const STACK = { STACK_NAME: 'calls' };
const STACK_ID = 'arn:aws:cloudformation:eu-west-1:111122223333:stack/calls-test/1';
const GROUP = 'calls-test';

/** What answers a call in moto's place: an error, or nothing at all. */
type Fault = { status: number; code: string } | 'reset';

let moto: Awaited<ReturnType<typeof startMoto>>;
/** Stands between the functions and moto. */
let between: Server;
let fault: (action: string) => Fault | undefined = () => undefined;
let autoScaling: AutoScalingClient;

beforeAll(async () => {
  moto = await startMoto();
  const { endpoint } = moto;
  between = createServer(async (request, response) => {
    const body = await text(request);
    const failure = fault(new URLSearchParams(body).get('Action') ?? '');
    if (failure === 'reset') {
      request.socket.destroy();
    } else if (failure !== undefined) {
      const { status, code } = failure;
      response.writeHead(status, { 'content-type': 'text/xml' });
      response.end(`<ErrorResponse><Error><Code>${code}</Code><Message>no</Message></Error></ErrorResponse>`);
    } else {
      const { authorization = '', 'content-type': type = '' } = request.headers;
      const headers = { authorization, 'content-type': type };
      const answer = await fetch(endpoint, { method: 'POST', headers, body });
      response.writeHead(answer.status, { 'content-type': 'text/xml' });
      response.end(await answer.text());
    }
  }).listen(0, '127.0.0.1');
  await once(between, 'listening');
  Object.assign(process.env, {
    ...STACK,
    AWS_ENDPOINT_URL: address(between),
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'moto',
    AWS_SECRET_ACCESS_KEY: 'moto',
  });
  autoScaling = new AutoScalingClient({});
});

afterAll(async () => {
  between?.closeAllConnections();
  between?.close();
  moto?.stop();
});

beforeEach(async () => {
  fault = () => undefined;
  const { ok } = await fetch(`${moto.endpoint}/moto-api/reset`, { method: 'POST' });
  if (!ok) throw new Error('moto was not reset');
});

async function createGroup(desired: number) {
  await autoScaling.send(
    new CreateLaunchConfigurationCommand({
      LaunchConfigurationName: GROUP,
      ImageId: 'ami-12c6146b',
      InstanceType: 't3.micro',
    }),
  );
  await autoScaling.send(
    new CreateAutoScalingGroupCommand({
      AutoScalingGroupName: GROUP,
      LaunchConfigurationName: GROUP,
      MinSize: 0,
      MaxSize: 10,
      DesiredCapacity: desired,
      NewInstancesProtectedFromScaleIn: true,
      AvailabilityZones: ['eu-west-1a'],
      Tags: [{ Key: STACK_ID_TAG, Value: STACK_ID, ResourceId: GROUP, ResourceType: 'auto-scaling-group' }],
    }),
  );
}

async function group() {
  const answer = await autoScaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [GROUP] }),
  );
  const [found] = answer.AutoScalingGroups ?? [];
  if (found === undefined) throw new Error('The group is gone');
  return {
    desired: found.DesiredCapacity,
    ids: (found.Instances ?? []).flatMap((instance) => instance.InstanceId ?? []),
    protectedInstances: (found.Instances ?? []).filter((instance) => instance.ProtectedFromScaleIn).length,
    refused: found.Tags?.find(({ Key }) => Key === DELETION_REFUSED_TAG)?.Value ?? '',
    suspended: (found.SuspendedProcesses ?? []).map((process_) => process_.ProcessName),
  };
}

const about = { fleet: 'calls', execution: 'e-1', settings: { version: 1 } };
/** The settings of the fleet; moto has no parameter of it. */
const deployed = { settings: readerOf(() => deployedSettings({ groupName: GROUP })) };
const poll = {
  number: 1,
  executionStartedAt: '2026-01-05T08:00:00Z',
  timeoutSeconds: 8,
};

describe('the steps against a group with scale-in protection', () => {
  it('counts the members and the desired capacity', async () => {
    const handler = (await import('../../functions/describe-group.ts')).handler.with(deployed);
    await createGroup(3);
    const answer = await handler({ ...about, poll });
    expect(answer).toEqual({
      createdAt: expect.closeTo(Date.now() / 1_000, -2),
      desired: 3,
      members: { pending: 0, inService: 3, leaving: 0, standby: 0 },
      launchProcess: { suspended: false, byBreaker: false },
      maxSize: 10,
      paused: 'false',
    });
  });

  it('sets the desired capacity, and launches follow', async () => {
    const handler = (await import('../../functions/update-group.ts')).handler.with(deployed);
    await createGroup(1);
    const decision = { from: 1, desired: 4, change: true, reasons: [] };
    const answer = await handler({ ...about, decision, again: false });
    expect(answer).toEqual({ desired: 4, written: true });
    expect(await group()).toMatchObject({ desired: 4 });
    expect((await group()).ids).toHaveLength(4);
  });

  it('looks again before it writes: what another execution wrote, and members that came, are left alone', async () => {
    const handler = (await import('../../functions/update-group.ts')).handler.with(deployed);
    await createGroup(3);
    const decided = (from: number, desired: number) => ({
      ...about,
      decision: { from, desired, change: true, reasons: [] },
      again: false,
    });
    expect(await handler(decided(0, 2))).toEqual({ desired: 3, written: false });
    expect(await handler(decided(3, 1))).toEqual({ desired: 3, written: false });
    expect(await group()).toMatchObject({ desired: 3, protectedInstances: 3 });
  });

  const launchProcess = (to: 'suspend' | 'resume') => ({
    ...about,
    decision: { from: 2, desired: 2, change: true, launchProcess: to, reasons: [] },
    again: false,
  });

  it('suspends launches in the name of the breaker, and resumes them', async () => {
    const handler = (await import('../../functions/update-group.ts')).handler.with(deployed);
    const { describeGroup } = await import('../../functions/lib/auto-scaling.ts');
    await createGroup(2);
    await handler(launchProcess('suspend'));
    expect(await group()).toMatchObject({ desired: 2, suspended: ['Launch'] });
    expect((await describeGroup(autoScaling, GROUP)).launchProcess).toEqual({
      suspended: true,
      byBreaker: true,
    });
    await handler(launchProcess('resume'));
    expect(await group()).toMatchObject({ desired: 2, suspended: [] });
    expect((await describeGroup(autoScaling, GROUP)).launchProcess).toEqual({
      suspended: false,
      byBreaker: false,
    });
  });

  it('leaves launches suspended that a person has suspended, until a person resumes them', async () => {
    const handler = (await import('../../functions/update-group.ts')).handler.with(deployed);
    const { describeGroup } = await import('../../functions/lib/auto-scaling.ts');
    await createGroup(2);
    await autoScaling.send(
      new SuspendProcessesCommand({ AutoScalingGroupName: GROUP, ScalingProcesses: ['Launch'] }),
    );
    await handler(launchProcess('suspend'));
    await handler(launchProcess('resume'));
    expect((await describeGroup(autoScaling, GROUP)).launchProcess).toEqual({
      suspended: true,
      byBreaker: false,
    });
    // As the runbook says.
    await autoScaling.send(
      new ResumeProcessesCommand({ AutoScalingGroupName: GROUP, ScalingProcesses: ['Launch'] }),
    );
    expect((await describeGroup(autoScaling, GROUP)).launchProcess).toEqual({
      suspended: false,
      byBreaker: false,
    });
  });

  it('sees no more members without protection once a person protects them', async () => {
    const { describeGroup } = await import('../../functions/lib/auto-scaling.ts');
    await createGroup(2);
    const { ids } = await group();
    const protect = (ProtectedFromScaleIn: boolean) =>
      autoScaling.send(
        new SetInstanceProtectionCommand({
          AutoScalingGroupName: GROUP,
          InstanceIds: ids,
          ProtectedFromScaleIn,
        }),
      );
    await protect(false);
    expect((await describeGroup(autoScaling, GROUP)).unprotected).toBe(true);
    await protect(true);
    expect((await describeGroup(autoScaling, GROUP)).unprotected).toBeUndefined();
  });

  it('suspends launches while a tag has the fleet drain', async () => {
    const updateGroup = (await import('../../functions/update-group.ts')).handler.with(deployed);
    const computeCapacity = (await import('../../functions/compute-capacity.ts')).handler.with(deployed);
    const { describeGroup } = await import('../../functions/lib/auto-scaling.ts');
    await createGroup(2);
    const tag = { ResourceId: GROUP, ResourceType: 'auto-scaling-group', Key: PAUSED_TAG };
    const drain = { ...tag, Value: 'drain', PropagateAtLaunch: false };
    await autoScaling.send(new CreateOrUpdateTagsCommand({ Tags: [drain] }));
    const observed = {
      unclaimed: { unclaimed: 5 },
      running: { running: 2 },
      group: await describeGroup(autoScaling, GROUP),
    };
    const now = new Date().toISOString();
    const { decision } = await computeCapacity({
      ...about,
      settings: { version: 1, alarmTopicArn: 'arn:aws:sns:eu-west-1:123456789012:alarms', once: true },
      activities: { lastAt: null, failedLaunches: 0, cameInService: 0, breaker: { open: false } },
      observed,
      executionStartedAt: now,
      poll: { ...poll, dueAt: now },
    });
    await updateGroup({ ...about, decision, again: false });
    expect(await group()).toMatchObject({ desired: 2, suspended: ['Launch'] });
  });

  it('keeps protected instances even if somebody sets the desired capacity under them', async () => {
    const { setDesiredCapacity } = await import('../../functions/lib/auto-scaling.ts');
    await createGroup(3);
    await setDesiredCapacity(autoScaling, GROUP, 0);
    expect((await group()).ids).toHaveLength(3);
  });
});

describe.each([
  { action: 'DescribeScalingActivities', step: 'describe-activities', invalid: 'GroupNotFound' },
  { action: 'DescribeAutoScalingGroups', step: 'describe-group', invalid: 'GroupNotFound' },
  { action: 'SetDesiredCapacity', step: 'update-group', invalid: 'GroupUpdateRefused' },
])('where $action fails, $step', ({ action, step, invalid }) => {
  it.each<{ case: string; answer: Fault; error: string; attempts?: number }>([
    {
      case: 'is throttled',
      answer: { status: 400, code: 'Throttling' },
      error: 'AutoScalingUnavailable',
    },
    { case: 'is denied', answer: { status: 403, code: 'AccessDenied' }, error: 'AutoScalingDenied' },
    { case: 'is invalid', answer: { status: 400, code: 'ValidationError' }, error: invalid },
    {
      case: 'answers 500',
      answer: { status: 500, code: 'InternalFailure' },
      error: 'AutoScalingUnavailable',
    },
    { case: 'resets the connection', answer: 'reset', error: 'AutoScalingUnavailable', attempts: 2 },
  ])('as it $case, throws $error, and the group stays as it was', async (example) => {
    const handler = (await import(`../../functions/${step}.ts`)).handler.with(deployed);
    await createGroup(2);
    let calls = 0;
    fault = (asked) => {
      if (asked !== action) return undefined;
      calls += 1;
      return example.answer;
    };
    const asked = {
      ...about,
      poll,
      decision: { from: 2, desired: 4, change: true, reasons: [] },
      again: false,
    };
    await expect(handler(asked)).rejects.toMatchObject({ name: example.error });
    expect(calls).toBe(example.attempts ?? 1);
    fault = () => undefined;
    expect(await group()).toMatchObject({ desired: 2 });
  });
});

describe('the settings of a group', () => {
  let cloudFormation: Server;
  let answers: { Status: string; Reason?: string }[];

  beforeAll(async () => {
    cloudFormation = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        answers.push(JSON.parse(body));
        response.end();
      });
    }).listen(0, '127.0.0.1');
    await once(cloudFormation, 'listening');
  });

  beforeEach(() => {
    answers = [];
  });

  afterAll(() => {
    cloudFormation.close();
  });

  async function send(type: 'Create' | 'Delete', RequestId = 'r') {
    const { handler } = await import('../../infra/group-settings-handler.ts');
    await handler({
      RequestType: type,
      ResponseURL: `http://127.0.0.1:${(cloudFormation.address() as AddressInfo).port}/`,
      StackId: STACK_ID,
      RequestId,
      LogicalResourceId: 'l',
      ResourceProperties: { GroupName: GROUP },
    });
  }

  it('has AZRebalance suspended once it is created', async () => {
    await createGroup(1);
    await send('Create');
    expect(answers).toMatchObject([{ Status: 'SUCCESS' }]);
    expect((await group()).suspended).toEqual(['AZRebalance']);
  });

  it('lets protected instances go when the deletion of the stack is asked for again, by another request', async () => {
    await createGroup(3);
    expect((await group()).protectedInstances).toBe(3);
    await send('Delete');
    expect(answers).toMatchObject([
      { Status: 'FAILED', Reason: expect.stringContaining('The fleet has 3 instances') },
    ]);
    expect((await group()).protectedInstances).toBe(3);
    const [, request] = (await group()).refused.split(' ');
    const earlier = `${new Date(Date.now() - 600_000).toISOString()} ${request}`;
    const tag = { ResourceId: GROUP, ResourceType: 'auto-scaling-group', Key: DELETION_REFUSED_TAG };
    await autoScaling.send(
      new CreateOrUpdateTagsCommand({ Tags: [{ ...tag, Value: earlier, PropagateAtLaunch: false }] }),
    );
    answers = [];
    await send('Delete');
    expect(answers).toMatchObject([{ Status: 'FAILED' }]);
    expect((await group()).protectedInstances).toBe(3);
    answers = [];
    await send('Delete', 'r2');
    expect(answers).toMatchObject([{ Status: 'SUCCESS' }]);
    expect((await group()).protectedInstances).toBe(0);
  });
});

it('was sent only what AWS takes', () => moto.gate.expectSound('calls.test.ts'));
