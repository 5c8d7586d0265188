import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { EC2Client } from '@aws-sdk/client-ec2';
import { ImagebuilderClient } from '@aws-sdk/client-imagebuilder';
import { SNSClient } from '@aws-sdk/client-sns';
import { SSMClient } from '@aws-sdk/client-ssm';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { DELETION_REFUSED_TAG, STACK_ID_TAG, STACK_TAG } from '../../functions/lib/tags.ts';
import { handler as groupSettings } from '../../infra/group-settings-handler.ts';
import { checkedRequest, RequestRefused } from '../../infra/group-settings-request.ts';
import { handler as imagesHandler } from '../../infra/images-handler.ts';
import { KeptMetrics } from '../../sandbox/kept-metrics.ts';
import { GroupSettingsAws, listed } from '../support/group-settings-aws.ts';
import { ImageAws } from '../support/image-aws.ts';
import { address } from '../support/serve.ts';
import { changed, FUZZED } from './runs.ts';

const STOCK = 'ami-00000000000000001';
const BUILT = 'ami-00000000000000002';
/** It exists, and nobody has deployed or built it. */
const FOREIGN = 'ami-0000000000000bad1';
const TOPIC = 'arn:aws:sns:eu-west-1:111122223333:circleci-runners';
const BUILD = 'arn:aws:imagebuilder:eu-west-1:111122223333:image/circleci-runners-linux/1.0.7/1';
const BUCKET = 'cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com';

const asked = (RequestType: string, Source: string, before = Source) => ({
  RequestType,
  ResponseURL: `https://${BUCKET}/answer`,
  StackId: 'arn:aws:cloudformation:eu-west-1:111122223333:stack/circleci-runners-linux/1',
  RequestId: '1',
  LogicalResourceId: 'ImageParameter',
  ResourceProperties: { GroupName: 'circleci-runners-linux', Source },
  OldResourceProperties: { GroupName: 'circleci-runners-linux', Source: before },
});

const EVENTS = [
  ...['Create', 'Update', 'Delete'].flatMap((type) => [
    asked(type, `ssm:/aws/service/ubuntu`),
    asked(type, FOREIGN),
    asked(type, FOREIGN, STOCK),
    asked(type, 'ssm:/attacker'),
  ]),
  ...['AVAILABLE', 'FAILED'].map((status) => ({
    source: 'aws.imagebuilder',
    resources: [BUILD],
    detail: { state: { status } },
  })),
  {
    source: 'aws.cloudwatch',
    time: new Date().toISOString(),
    detail: { alarmName: 'circleci-runners-linux-BreakerOpen', state: { value: 'ALARM' } },
  },
];

const Request = z.object({ StackId: z.string(), RequestType: z.string(), RequestId: z.string() });
const NO_REQUEST = { StackId: '', RequestType: '', RequestId: '' };

/** Settings of fleets, and what they begin with. */
const FLEETS = {
  linux: {
    imageBuiltBy: 'circleci-runners-linux',
    imageSource: 'ssm:/aws/service/ubuntu',
    alarmTopicArn: TOPIC,
  },
  stock: { alarmTopicArn: TOPIC },
};

const aws = new ImageAws();
/** The function of built images, with clients of that AWS. */
let images: (event: unknown) => Promise<void>;
/** The hosts to which an answer went. */
let answered: string[];

beforeAll(async () => {
  await aws.listen();
  const here = {
    region: 'eu-west-1',
    endpoint: address(aws.server),
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  };
  images = imagesHandler.with({
    ssm: new SSMClient(here),
    autoScaling: new AutoScalingClient(here),
    ec2: new EC2Client(here),
    sns: new SNSClient(here),
    imageBuilder: new ImagebuilderClient(here),
  });
  // Without AWS_ENDPOINT_URL, as in the deployed function, so that an answer may go to AWS only.
  const environment = { STACK_NAME: 'circleci-runners', TOPIC_ARN: TOPIC, AWS_REGION: 'eu-west-1' };
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (url) => {
    answered.push(new URL(String(url)).hostname);
    return new Response();
  });
  for (const method of ['info', 'warn', 'error'] as const)
    vi.spyOn(console, method).mockImplementation(() => undefined);
});
afterAll(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  aws.close();
});

function deploy(): void {
  aws.parameters = new Map();
  aws.images = new Map([STOCK, BUILT, FOREIGN].map((id) => [id, new Map()]));
  aws.builds = [{ arn: BUILD, status: 'AVAILABLE', ami: BUILT, createdAt: '2026-11-01T00:00:00Z' }];
  aws.messages = [];
  answered = [];
  for (const [fleet, settings] of Object.entries(FLEETS))
    aws.put(`/circleci-runners/fleets/${fleet}`, JSON.stringify(settings));
  aws.put('/aws/service/ubuntu', STOCK);
  aws.put('/attacker', FOREIGN);
}

/** What each parameter says. */
const values = () => Object.fromEntries([...aws.parameters.keys()].map((name) => [name, aws.valueOf(name)]));

describe('the function of built images', () => {
  it('gives fleets that build images those that were deployed or built, whatever event it gets', async () => {
    await fc.assert(
      fc.asyncProperty(changed<unknown>(EVENTS), async (event) => {
        deploy();
        const before = values();
        await images(event).catch(() => undefined);
        const {
          '/circleci-runners/images/linux': image,
          '/circleci-runners/image-messages': message = '',
          ...others
        } = values();
        expect(others).toEqual(before);
        expect(message).toMatch(/^$|^(begun|failed|sent) build circleci-runners-linux 1\.0\.7\/1$/);
        expect([undefined, STOCK, BUILT]).toContain(image);
        expect(answered.filter((host) => host !== BUCKET)).toEqual([]);
        expect(aws.messages.filter(({ topic }) => topic !== TOPIC)).toEqual([]);
      }),
      FUZZED,
    );
  });
});

describe('the function of the group settings', () => {
  const GROUP = 'circleci-runners-linux';
  const OWN = 'arn:aws:cloudformation:eu-west-1:111122223333:stack/circleci-runners-linux/1';
  const settings = (RequestType: string, more = {}) => ({
    ...asked(RequestType, ''),
    ResourceProperties: { GroupName: GROUP },
    OldResourceProperties: { GroupName: GROUP },
    ...more,
  });
  const shared = OWN.replace('-linux', '');
  const SETTINGS = ['Create', 'Update', 'Delete'].flatMap((type) => [
    settings(type),
    settings(type, { StackId: OWN.replace(/1$/, '2') }),
    settings(type, { StackId: shared, ResourceProperties: {}, OldResourceProperties: {} }),
    settings(type, { StackId: shared }),
  ]);
  const group = new GroupSettingsAws(GROUP);
  let looks: number;
  const handler = groupSettings.with({
    autoScaling: group.client(),
    metrics: new KeptMetrics(Date.now, () => undefined),
    sleep: async () => {
      looks += 1;
      if (looks > 10) throw new Error('It looks at the group without end');
    },
  });
  const member = fc
    .record({
      id: fc.constantFrom('i-1', 'i-2', 'i-3'),
      state: fc.constantFrom('InService', 'Standby', 'Terminating:Wait', 'Warmed:Stopped'),
      protected: fc.boolean(),
    })
    // Members of a warm pool are not protected.
    .map((one) => ({ ...one, protected: one.protected && !one.state.startsWith('Warmed') }));
  const world = fc.record({
    instances: fc.uniqueArray(member, { selector: ({ id }) => id }),
    owner: fc.constantFrom(OWN, OWN.replace(/1$/, '2'), undefined),
    refused: fc.constantFrom(undefined, 600, 60, 7_200, -60),
    by: fc.constantFrom('earlier', '1', undefined),
  });

  it('changes only the group of the stack that asks, ends no protection unasked, and answers CloudFormation alone', async () => {
    await fc.assert(
      fc.asyncProperty(
        changed<unknown>(SETTINGS),
        world,
        async (event, { instances, owner, refused, by }) => {
          answered = [];
          looks = 0;
          group.calls = [];
          group.instances = structuredClone(instances);
          group.tags = {
            [STACK_TAG]: 'circleci-runners',
            ...(owner !== undefined && { [STACK_ID_TAG]: owner }),
            ...(refused !== undefined && {
              [DELETION_REFUSED_TAG]: [new Date(Date.now() - refused * 1_000).toISOString(), by]
                .join(' ')
                .trim(),
            }),
          };
          const reason = await handler(event).catch((error: unknown) => error);
          const writes = group.calls.filter(({ action }) => !action.startsWith('Describe'));
          const { StackId, RequestType, RequestId } = Request.catch(NO_REQUEST).parse(event);
          if (reason instanceof RequestRefused) expect([group.calls, answered]).toEqual([[], []]);
          expect(answered.filter((host) => host !== BUCKET)).toEqual([]);
          expect(looks).toBeLessThanOrEqual(10);
          for (const { action, parameters } of writes) {
            expect(StackId).toContain(`:stack/${GROUP}/`);
            const named =
              parameters.get('AutoScalingGroupName') ?? parameters.get('Tags.member.1.ResourceId');
            expect(named).toBe(GROUP);
            expect(
              [...parameters.keys()].filter((key) =>
                /^(MinSize|MaxSize|Desired|Launch|MixedInstances)|Zone/.test(key),
              ),
            ).toEqual([]);
            if (action === 'SuspendProcesses')
              expect(listed(parameters, 'ScalingProcesses')).toEqual(['AZRebalance']);
            else expect(RequestType).toBe('Delete');
            if (action === 'CreateOrUpdateTags')
              expect(parameters.get('Tags.member.1.Key')).toBe(DELETION_REFUSED_TAG);
          }
          const inUse = instances.some(({ state }) => !/^(Warmed|Terminat)/.test(state));
          const ended = writes.some(({ action }) => /^(Update|SetInstance)/.test(action));
          if (ended) {
            expect(StackId).toBe(owner);
            if (inUse) expect([refused, by !== undefined && by !== RequestId]).toEqual([600, true]);
          }
        },
      ),
      FUZZED,
    );
  });

  it('is tried with events that end the protection, that are refused, and that are not its own', async () => {
    const outcome = async (event: unknown, refused: boolean) => {
      looks = 0;
      group.calls = [];
      group.instances = [{ id: 'i-1', state: 'InService', protected: true }];
      group.tags = {
        [STACK_ID_TAG]: OWN,
        ...(refused && { [DELETION_REFUSED_TAG]: `${new Date(Date.now() - 600_000).toISOString()} earlier` }),
      };
      await handler(event).catch(() => undefined);
      return group.calls.at(-2)?.action ?? group.calls.at(-1)?.action;
    };
    expect(await outcome(settings('Delete'), true)).toBe('SetInstanceProtection');
    expect(await outcome(settings('Delete'), false)).toBe('DescribeAutoScalingGroups');
    expect(await outcome(settings('Delete', { StackId: shared }), true)).toBeUndefined();
  });
});

describe('a request of a custom resource', () => {
  it('is of the stack of its fleet, about a group of the app, and answered to CloudFormation, or refused', () => {
    const own = { STACK_NAME: 'circleci-runners', AWS_REGION: 'eu-west-1' };
    fc.assert(
      fc.property(changed<unknown>(EVENTS), (event) => {
        try {
          const { StackId, ResponseURL, ResourceProperties } = checkedRequest(event, own);
          const { GroupName } = ResourceProperties;
          expect(new URL(ResponseURL)).toMatchObject({ protocol: 'https:', hostname: BUCKET, username: '' });
          expect(StackId).toContain(`:stack/${GroupName ?? 'circleci-runners'}/`);
        } catch (error) {
          expect(error).toBeInstanceOf(RequestRefused);
        }
      }),
      FUZZED,
    );
  });
});
