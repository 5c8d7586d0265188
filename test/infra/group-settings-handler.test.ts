import { createServer } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import * as z from 'zod';
import { connectionSettings } from '../../functions/lib/client-settings.ts';
import { DELETION_REFUSED_TAG, STACK_ID_TAG, STACK_TAG } from '../../functions/lib/tags.ts';
import { PRODUCTION, handler as production } from '../../infra/group-settings-handler.ts';
import { checkedRequest } from '../../infra/group-settings-request.ts';
import { KeptMetrics, type MetricLine } from '../../sandbox/kept-metrics.ts';
import { GroupSettingsAws, listed, type StandInInstance } from '../support/group-settings-aws.ts';

const GROUP = 'circleci-runners-linux';
const STACK_ID = 'arn:aws:cloudformation:eu-west-1:111122223333:stack/circleci-runners-linux/1';

const ago = (seconds: number) => new Date(Date.now() - seconds * 1_000).toISOString();

/** Moves what the tag says of the last refusal into the past. */
const later = (seconds: number) => {
  const [date = '', ...requests] = aws.tags[DELETION_REFUSED_TAG]?.split(' ') ?? [];
  const moved = new Date(Date.parse(date) - seconds * 1_000).toISOString();
  aws.tags[DELETION_REFUSED_TAG] = [moved, ...requests].join(' ');
};

const aws = new GroupSettingsAws(GROUP);
const beats: MetricLine[] = [];
const metrics = new KeptMetrics(Date.now, (line) => beats.push(line));
const handler = production.with({ autoScaling: aws.client(), sleep: async () => undefined, metrics });

beforeAll(() => {
  vi.stubEnv('AWS_REGION', 'eu-west-1');
  vi.stubEnv('STACK_NAME', 'circleci-runners');
  vi.stubEnv('AWS_ENDPOINT_URL', 'http://127.0.0.1:1'); // nobody listens there
});
afterAll(() => {
  vi.unstubAllEnvs();
});

beforeEach(() => {
  beats.length = 0;
  aws.instances = [];
  aws.tags = { [STACK_ID_TAG]: STACK_ID, [DELETION_REFUSED_TAG]: `${ago(600)} request-0` };
  aws.calls = [];
  aws.fault = undefined;
  aws.meanwhile = () => undefined;
  for (const method of ['error', 'warn'] as const) {
    const spy = vi.spyOn(console, method).mockImplementation(() => undefined);
    onTestFinished(() => spy.mockRestore());
  }
});

const Address = z.object({ port: z.number() });

/** What the handler answers to CloudFormation, which takes the answer with `status`. */
async function cloudFormationHears(
  RequestType: 'Create' | 'Update' | 'Delete',
  status = 200,
  more = {},
  asked = handler,
) {
  const heard: unknown[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    heard.push({ method: request.method, path: request.url, body: JSON.parse(body) });
    response.writeHead(status).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = Address.parse(server.address());
  await asked({
    RequestType,
    ResponseURL: `http://127.0.0.1:${port}/answer?signature=abc`,
    StackId: STACK_ID,
    RequestId: 'request-1',
    LogicalResourceId: 'Settings',
    ResourceProperties: { GroupName: GROUP },
    ...more,
  });
  expect(heard).toHaveLength(1);
  return heard[0];
}

const heard = (outcome: object) => ({
  method: 'PUT',
  path: '/answer?signature=abc',
  body: {
    PhysicalResourceId: `${GROUP}-settings`,
    StackId: STACK_ID,
    RequestId: 'request-1',
    LogicalResourceId: 'Settings',
    ...outcome,
  },
});
const success = heard({ Status: 'SUCCESS' });

const actions = () => aws.calls.map(({ action }) => action);

/** The instances that each call named. */
const unprotected = () =>
  aws.calls
    .filter(({ action }) => action === 'SetInstanceProtection')
    .map(({ parameters }) => listed(parameters, 'InstanceIds'));

describe('before the alarm on missing heartbeats is made,', () => {
  const first = { ResourceProperties: { GroupName: GROUP, Alarm: 'NotRunning' } };
  const done = heard({ Status: 'SUCCESS', PhysicalResourceId: `${GROUP}-heartbeat` });

  it('publishes one, and calls nothing', async () => {
    expect(await cloudFormationHears('Create', 200, first)).toEqual(done);
    expect(beats).toMatchObject([{ Fleet: 'linux', PollDuration: 0 }]);
    expect(actions()).toEqual([]);
  });

  it.each(['Update', 'Delete'] as const)('and publishes none for %s', async (request) => {
    expect(await cloudFormationHears(request, 200, first)).toEqual(done);
    expect(beats).toEqual([]);
    expect(actions()).toEqual([]);
  });
});

describe.each(['Create', 'Update'] as const)('%s', (request) => {
  it('suspends the rebalancing of zones, and nothing else', async () => {
    expect(await cloudFormationHears(request)).toEqual(success);
    expect(actions()).toEqual(['SuspendProcesses']);
    expect(aws.calls[0]?.parameters.get('AutoScalingGroupName')).toBe(GROUP);
    expect(listed(aws.calls[0]?.parameters ?? new URLSearchParams(), 'ScalingProcesses')).toEqual([
      'AZRebalance',
    ]);
  });

  it('succeeds at an endpoint without the action', async () => {
    aws.fault = { action: 'SuspendProcesses', status: 400, code: 'InvalidAction' };
    expect(await cloudFormationHears(request)).toEqual(success);
  });

  it.each([
    { status: 403, code: 'AccessDenied' },
    { status: 400, code: 'ValidationError' },
  ])('fails with the reason if EC2 Auto Scaling answers $code', async ({ status, code }) => {
    aws.fault = { action: 'SuspendProcesses', status, code };
    expect(await cloudFormationHears(request)).toEqual(
      heard({
        Status: 'FAILED',
        Reason: `${request} of the settings of ${GROUP}: ${code}: as the test wants it`,
      }),
    );
    expect(actions()).toEqual(['SuspendProcesses']);
  });

  it('retries a failure that passes', async () => {
    aws.fault = { action: 'SuspendProcesses', status: 503, code: 'ServiceUnavailable' };
    aws.meanwhile = () => {
      aws.fault = undefined;
    };
    expect(await cloudFormationHears(request)).toEqual(success);
    expect(actions()).toEqual(['SuspendProcesses', 'SuspendProcesses']);
  });
});

describe('Update', () => {
  it('is refused if the stack has the group of another fleet', async () => {
    const OldResourceProperties = { GroupName: 'circleci-runners-li_nux' };
    expect(await cloudFormationHears('Update', 200, { OldResourceProperties })).toEqual(
      heard({
        Status: 'FAILED',
        Reason: `Update of the settings of ${GROUP}: SettingsRefused: The stack has the group circleci-runners-li_nux already. Give the fleet another name`,
      }),
    );
    expect(aws.calls).toEqual([]);
  });
});

describe('Delete', () => {
  const inService = (number: number, state = 'InService'): StandInInstance => ({
    id: `i-${number}`,
    state,
    protected: true,
  });
  const ids = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => `i-${from + index}`);

  it('ends the protection of new instances first, then of existing ones, 50 at a time', async () => {
    aws.instances = Array.from({ length: 120 }, (_, index) => inService(index + 1));
    expect(await cloudFormationHears('Delete')).toEqual(success);
    expect(actions().slice(0, 4)).toEqual([
      'DescribeAutoScalingGroups',
      'UpdateAutoScalingGroup',
      'DescribeAutoScalingGroups',
      'SetInstanceProtection',
    ]);
    expect(aws.calls[1]?.parameters.get('NewInstancesProtectedFromScaleIn')).toBe('false');
    expect(unprotected()).toEqual([ids(1, 50), ids(51, 100), ids(101, 120)]);
    expect(aws.instances?.filter((instance) => instance.protected)).toEqual([]);
  });

  it('calls only for instances whose protection can and must be ended', async () => {
    aws.instances = [
      inService(1),
      { ...inService(2), protected: false },
      inService(3, 'Standby'),
      inService(4, 'Terminating:Wait'),
      inService(5, 'Terminated'),
    ];
    expect(await cloudFormationHears('Delete')).toEqual(success);
    expect(unprotected()).toEqual([['i-1', 'i-3']]);
  });

  it('waits for an instance that is still launching', async () => {
    const launching = inService(1, 'Pending');
    aws.instances = [launching];
    aws.meanwhile = (action) => {
      if (action === 'DescribeAutoScalingGroups' && aws.calls.length > 2) launching.state = 'InService';
    };
    expect(await cloudFormationHears('Delete')).toEqual(success);
    expect(unprotected()).toEqual([['i-1']]);
  });

  it('repeats the call for the others if one has begun to leave', async () => {
    const leaving = inService(1);
    aws.instances = [leaving, inService(2)];
    aws.meanwhile = () => {
      if (aws.calls.length === 3) leaving.state = 'Terminating';
    };
    expect(await cloudFormationHears('Delete')).toEqual(success);
    expect(unprotected()).toEqual([['i-1', 'i-2'], ['i-2']]);
  });

  it('is refused while there are instances, says what to do, and is done 5 minutes later', async () => {
    aws.tags = { [STACK_ID_TAG]: STACK_ID };
    aws.instances = [inService(1), inService(2, 'Standby'), inService(3, 'Terminating')];
    expect(await cloudFormationHears('Delete')).toEqual(
      heard({
        Status: 'FAILED',
        Reason: `Delete of the settings of ${GROUP}: SettingsRefused: The fleet has 2 instances, which may run jobs. It still follows its queue. Run npm run drain -- linux, and delete the stack again when no instance is left. Or delete it again 5 to 60 minutes after the first refusal, which ends their jobs`,
      }),
    );
    expect(actions()).toEqual(['DescribeAutoScalingGroups', 'CreateOrUpdateTags']);
    later(301);
    expect(await cloudFormationHears('Delete', 200, { RequestId: 'request-2' })).toMatchObject({
      body: { Status: 'SUCCESS' },
    });
    expect(unprotected()).toEqual([['i-1', 'i-2']]);
  });

  it('stays refused if Lambda calls again because CloudFormation did not take the answer', async () => {
    aws.tags = { [STACK_ID_TAG]: STACK_ID };
    aws.instances = [inService(1)];
    await expect(cloudFormationHears('Delete', 500)).rejects.toThrow('did not take the answer');
    for (const seconds of [60, 300, 600]) {
      later(seconds);
      expect(await cloudFormationHears('Delete')).toMatchObject({ body: { Status: 'FAILED' } });
    }
    expect(unprotected()).toEqual([]);
  });

  it('stays refused for each of several requests in the first minutes, whichever is delivered again', async () => {
    aws.tags = { [STACK_ID_TAG]: STACK_ID };
    aws.instances = [inService(1)];
    const asks = (RequestId: string) => cloudFormationHears('Delete', 200, { RequestId });
    for (const id of ['a', 'b', 'c']) {
      expect(await asks(id)).toMatchObject({ body: { Status: 'FAILED' } });
      later(60);
    }
    later(300);
    for (const id of ['a', 'b', 'c']) expect(await asks(id)).toMatchObject({ body: { Status: 'FAILED' } });
    expect(unprotected()).toEqual([]);
    expect(await asks('d')).toMatchObject({ body: { Status: 'SUCCESS' } });
  });

  it('leaves a tag that AWS takes, whatever the id of the request', async () => {
    aws.tags = { [STACK_ID_TAG]: STACK_ID };
    aws.instances = [inService(1)];
    for (let request = 0; request < 9; request += 1)
      await cloudFormationHears('Delete', 200, { RequestId: `${request}, ${'<x>'.repeat(99)}` });
    expect(aws.tags[DELETION_REFUSED_TAG]).toMatch(/^[\w :.-]{60,256}$/);
  });

  it.each([
    { case: 'an hour ago', refused: () => `${ago(3_601)} request-0` },
    { case: 'less than 5 minutes ago', refused: () => `${ago(298)} request-0` },
    { case: 'in the future', refused: () => `${ago(-60)} request-0` },
    { case: 'at no date', refused: () => 'soon request-0' },
    { case: 'of the same request', refused: () => `${ago(600)} request-0 request-1` },
    { case: 'of an unknown request', refused: () => ago(600) },
  ])('is refused again if the last refusal was $case', async ({ refused }) => {
    aws.tags[DELETION_REFUSED_TAG] = refused();
    aws.instances = [inService(1)];
    expect(await cloudFormationHears('Delete')).toMatchObject({ body: { Status: 'FAILED' } });
    expect(unprotected()).toEqual([]);
  });

  it('is not refused if the only instances are in the warm pool', async () => {
    aws.tags = { [STACK_ID_TAG]: STACK_ID };
    aws.instances = [{ ...inService(1, 'Warmed:Stopped'), protected: false }];
    expect(await cloudFormationHears('Delete')).toEqual(success);
  });

  it.each([undefined, STACK_ID.replace(/1$/, '2')])('is refused if %s made the group', async (owner) => {
    aws.tags = owner === undefined ? {} : { [STACK_ID_TAG]: owner };
    aws.instances = [inService(1)];
    expect(await cloudFormationHears('Delete')).toEqual(
      heard({
        Status: 'FAILED',
        Reason: `Delete of the settings of ${GROUP}: SettingsRefused: The group belongs to ${owner ?? 'no stack'}`,
      }),
    );
    expect(actions()).toEqual(['DescribeAutoScalingGroups']);
  });

  it('does nothing in a group without instances', async () => {
    expect(await cloudFormationHears('Delete')).toEqual(success);
    expect(unprotected()).toEqual([]);
  });

  it('succeeds if the group is gone', async () => {
    aws.instances = undefined;
    expect(await cloudFormationHears('Delete')).toEqual(success);
    expect(actions()).toEqual(['DescribeAutoScalingGroups']);
  });

  it('fails with the reason if the protection cannot be ended', async () => {
    aws.instances = [inService(1)];
    aws.fault = { action: 'SetInstanceProtection', status: 403, code: 'AccessDenied' };
    expect(await cloudFormationHears('Delete')).toEqual(
      heard({
        Status: 'FAILED',
        Reason: `Delete of the settings of ${GROUP}: AccessDenied: as the test wants it`,
      }),
    );
  });
});

describe('the shared stack', () => {
  const SHARED_ID = STACK_ID.replace('-linux', '');
  const asShared = (RequestType: 'Create' | 'Update' | 'Delete') =>
    cloudFormationHears(RequestType, 200, { StackId: SHARED_ID, ResourceProperties: {} });
  const heardShared = (outcome: object) => {
    const { body, ...request } = heard(outcome);
    return {
      ...request,
      body: { ...body, StackId: SHARED_ID, PhysicalResourceId: 'circleci-runners-settings' },
    };
  };

  it.each([
    { case: 'CloudFormation made a group for it', has: { 'aws:cloudformation:stack-id': SHARED_ID } },
    { case: 'an older version made a group', has: { [STACK_TAG]: 'circleci-runners' } },
  ])('is not updated while $case, because that would delete the group', async ({ has }) => {
    aws.tags = has;
    expect(await asShared('Create')).toEqual(
      heardShared({
        Status: 'FAILED',
        Reason: `Create of the settings of circleci-runners: SettingsRefused: The stack still has the groups ${GROUP}, which this deployment would delete with their jobs. Nothing is deleted. See docs/upgrading.md, "From one stack for all fleets"`,
      }),
    );
    expect(actions()).toEqual(['DescribeAutoScalingGroups']);
  });

  it.each([
    { case: 'fleets have stacks', has: { [STACK_TAG]: 'circleci-runners', [STACK_ID_TAG]: STACK_ID } },
    { case: 'groups are of another app', has: { [STACK_TAG]: 'circleci-runners-b' } },
    { case: 'groups are of others', has: { 'aws:cloudformation:stack-id': 'arn:web' } },
  ])('is updated while $case', async ({ has }) => {
    aws.tags = has;
    expect(await asShared('Update')).toEqual(heardShared({ Status: 'SUCCESS' }));
  });

  it('is deleted without a look at the groups', async () => {
    aws.tags = { [STACK_TAG]: 'circleci-runners' };
    expect(await asShared('Delete')).toEqual(heardShared({ Status: 'SUCCESS' }));
    expect(actions()).toEqual([]);
  });
});

describe("an event that is not CloudFormation's for a stack of this app", () => {
  const OWN = { STACK_NAME: 'circleci-runners', AWS_REGION: 'eu-west-1' };
  const bucket = 'https://cloudformation-custom-resource-response-euwest1';
  const event = {
    RequestType: 'Delete',
    ResponseURL: `${bucket}.s3-eu-west-1.amazonaws.com/arn?X-Amz-Signature=abc`,
    StackId: STACK_ID,
    RequestId: 'request-1',
    LogicalResourceId: 'Settings',
    ResourceProperties: { GroupName: GROUP },
  };

  it.each([
    `${bucket}.s3-eu-west-1.amazonaws.com/arn?X-Amz-Signature=abc`,
    `${bucket}.s3.eu-west-1.amazonaws.com/arn?X-Amz-Signature=abc`,
    `${bucket}.s3.amazonaws.com/arn?X-Amz-Signature=abc`,
    `${bucket}.s3.eu-west-1.amazonaws.com.cn/arn?X-Amz-Signature=abc`,
  ])('is not one that answers to %s', (ResponseURL) => {
    expect(checkedRequest({ ...event, ResponseURL }, OWN).ResponseURL).toBe(ResponseURL);
  });

  it.each([
    { case: 'the stack of another fleet', changes: { StackId: STACK_ID.replace('linux', 'macos') } },
    { case: 'the shared stack', changes: { StackId: STACK_ID.replace('-linux', '') } },
    { case: 'the stack of a fleet, about no group', changes: { ResourceProperties: {} } },
    { case: 'no stack', changes: { StackId: undefined } },
    { case: 'a group of others', changes: { ResourceProperties: { GroupName: 'production-web' } } },
    { case: 'all groups', changes: { ResourceProperties: { GroupName: 'circleci-runners-*' } } },
    { case: 'an answer to others', changes: { ResponseURL: 'https://attacker.example/' } },
    { case: 'an answer to a bucket of others', changes: { ResponseURL: 'https://evil.s3.amazonaws.com/' } },
    {
      case: 'an answer to a bucket with a similar name',
      changes: { ResponseURL: `${bucket}2.s3.eu-west-1.amazonaws.com/` },
    },
    {
      case: 'an answer to a host that begins alike',
      changes: { ResponseURL: `${bucket}.s3.amazonaws.com.attacker.example/` },
    },
    {
      case: 'an answer to the host after a user',
      changes: { ResponseURL: `${bucket}.s3.amazonaws.com@attacker.example/` },
    },
    {
      case: 'an answer that is not encrypted',
      changes: { ResponseURL: event.ResponseURL.replace('https', 'http') },
    },
    { case: 'an answer to another port', changes: { ResponseURL: `${bucket}.s3.amazonaws.com:8443/` } },
    { case: 'an answer to this machine', changes: { ResponseURL: 'http://127.0.0.1:9000/' } },
    { case: 'an unknown request', changes: { RequestType: 'Destroy' } },
  ])('is refused with $case, and nobody is called', async ({ changes }) => {
    const asked = vi.spyOn(globalThis, 'fetch');
    onTestFinished(() => asked.mockRestore());
    vi.stubEnv('AWS_ENDPOINT_URL', undefined);
    onTestFinished(() => void vi.stubEnv('AWS_ENDPOINT_URL', 'http://127.0.0.1:1'));
    await expect(handler({ ...event, ...changes })).rejects.toThrow(
      expect.objectContaining({ name: 'RequestRefused' }),
    );
    expect(aws.calls).toEqual([]);
    expect(asked).not.toHaveBeenCalled();
  });
});

describe('the answer', () => {
  it('makes the function fail if CloudFormation refuses it, so that Lambda retries', async () => {
    await expect(cloudFormationHears('Create', 403)).rejects.toThrow(
      'CloudFormation did not take the answer: status 403',
    );
  });
});

describe('an endpoint that cannot be reached', () => {
  it('makes the request fail after three attempts, each with a deadline', async () => {
    const { config } = PRODUCTION.autoScaling;
    config.credentials = (async () => ({
      accessKeyId: 'test',
      secretAccessKey: 'test',
    })) as typeof config.credentials;
    const network = config.requestHandler;
    const attempts = vi.spyOn(network, 'handle');
    onTestFinished(() => attempts.mockRestore());
    expect(await cloudFormationHears('Create', 200, {}, production)).toMatchObject({
      body: { Status: 'FAILED', Reason: expect.stringContaining('ECONNREFUSED') },
    });
    expect(attempts).toHaveBeenCalledTimes(3);
    expect(network).toHaveProperty('config', expect.objectContaining(connectionSettings.requestHandler));
  });
});
