import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { checkedRequest, RequestRefused } from '../../infra/group-settings-request.ts';
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
    detail: { alarmName: 'circleci-runners-linux-BreakerOpen', state: { value: 'ALARM' } },
  },
];

/** Settings of fleets, and what they begin with. */
const FLEETS = {
  linux: {
    imageBuiltBy: 'circleci-runners-linux',
    imageSource: 'ssm:/aws/service/ubuntu',
    alarmTopicArn: TOPIC,
  },
  stock: { alarmTopicArn: TOPIC },
};

/** Another copy of the module than other tests have: its clients keep the address of the AWS that they were made for. */
const COPY = '../../infra/images-handler.ts?fuzzed';
const { handler }: typeof import('../../infra/images-handler.ts') = await import(COPY);

const aws = new ImageAws();
/** The hosts to which an answer went. */
let answered: string[];

beforeAll(async () => {
  await aws.listen();
  const environment = {
    STACK_NAME: 'circleci-runners',
    TOPIC_ARN: TOPIC,
    AWS_REGION: 'eu-west-1',
    AWS_ENDPOINT_URL: address(aws.server),
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  };
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
        await handler(event).catch(() => undefined);
        const { '/circleci-runners/images/linux': image, ...others } = values();
        expect(others).toEqual(before);
        expect([undefined, STOCK, BUILT]).toContain(image);
        expect(answered.filter((host) => host !== BUCKET && host !== '127.0.0.1')).toEqual([]);
        expect(aws.messages.filter(({ topic }) => topic !== TOPIC)).toEqual([]);
      }),
      FUZZED,
    );
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
