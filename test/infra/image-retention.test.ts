import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { EC2Client } from '@aws-sdk/client-ec2';
import { ImagebuilderClient } from '@aws-sdk/client-imagebuilder';
import { SNSClient } from '@aws-sdk/client-sns';
import { SSMClient } from '@aws-sdk/client-ssm';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { IMAGE_IN_USE_TAG, STACK_TAG } from '../../functions/lib/tags.ts';
import { handler } from '../../infra/images-handler.ts';
import { ImageAws } from '../support/image-aws.ts';
import { runAgainstAws } from '../support/in-process.ts';
import { address } from '../support/serve.ts';

const APP = 'circleci-runners';
const STOCK = 'ami-00000000000000000';
const FLEETS = ['linux', 'large'];
const TOPIC = 'arn:aws:sns:eu-west-1:111122223333:circleci-runners';
const KEEP = 2;
const DAY = 86_400_000;

const parameter = (fleet: string) => `/${APP}/images/${fleet}`;

let aws: ImageAws;
let handle: (event: unknown) => Promise<void>;

beforeAll(async () => {
  aws = await new ImageAws().listen();
  const here = {
    region: 'eu-west-1',
    endpoint: address(aws.server),
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  };
  handle = handler.with({
    ssm: new SSMClient(here),
    autoScaling: new AutoScalingClient(here),
    ec2: new EC2Client(here),
    sns: new SNSClient(here),
    imageBuilder: new ImagebuilderClient(here),
  });
});
afterAll(() => aws.close());

/** An event for the deployed function. A command that ran in this process may have changed the environment. */
async function sent(event: object): Promise<void> {
  vi.stubEnv('STACK_NAME', APP);
  vi.stubEnv('TOPIC_ARN', TOPIC);
  vi.stubEnv('AWS_REGION', 'eu-west-1');
  await handle(event);
  vi.unstubAllEnvs();
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
  for (const method of ['info', 'warn', 'error'] as const)
    vi.spyOn(console, method).mockImplementation(() => undefined);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Two fleets that share an image, and have had none built yet. */
function deploy(): void {
  chosen = new Set();
  vi.setSystemTime(Date.UTC(2026, 10, 1));
  aws.parameters = new Map();
  aws.images = new Map([[STOCK, new Map()]]);
  aws.builds = [];
  for (const fleet of FLEETS) {
    const settings = { imageBuiltBy: `${APP}-linux`, alarmTopicArn: TOPIC };
    aws.put(`/${APP}/fleets/${fleet}`, JSON.stringify(settings));
    aws.put(parameter(fleet), STOCK);
  }
}

const inUse = () => FLEETS.map((fleet) => aws.valueOf(parameter(fleet)) ?? '');
const ofApp = () => [...aws.images].filter(([, tags]) => tags.get(STACK_TAG) === APP).map(([id]) => id);
const marked = () => [...aws.images].filter(([, tags]) => tags.has(IMAGE_IN_USE_TAG)).map(([id]) => id);

/** The fleets whose image somebody or a rollback has chosen. */
let chosen: Set<string>;

/** A build that succeeds. Its event comes once or twice, or not at all if each fleet has a chosen image or the stock one. */
async function build(given: number): Promise<void> {
  const mayBeLost = FLEETS.every((fleet) => chosen.has(fleet) || aws.valueOf(parameter(fleet)) === STOCK);
  const times = mayBeLost ? given : Math.max(1, given);
  if (times > 0) chosen.clear();
  const number = aws.builds.length + 1;
  const ami = `ami-${`${number}`.padStart(17, '0')}`;
  const arn = `arn:aws:imagebuilder:eu-west-1:111122223333:image/${APP}-linux/1.0.7/${number}`;
  aws.images.set(ami, new Map([[STACK_TAG, APP]]));
  aws.builds.push({ arn, status: 'AVAILABLE', ami, createdAt: new Date().toISOString() });
  for (let time = 0; time < times; time += 1)
    await sent({
      source: 'aws.imagebuilder',
      resources: [arn],
      detail: { state: { status: 'AVAILABLE' } },
    });
}

async function breakerOpens(fleet: string): Promise<void> {
  const before = aws.valueOf(parameter(fleet));
  await sent({
    source: 'aws.cloudwatch',
    time: new Date().toISOString(),
    detail: { alarmName: `${APP}-${fleet}-BreakerOpen` },
  });
  if (aws.valueOf(parameter(fleet)) !== before) chosen.add(fleet);
}

/** @param back `use` names the latest image, or one of those before it. */
async function choose(action: 'use' | 'rollback', fleet: string, back: number): Promise<void> {
  const image = ofApp().at(-1 - back);
  if (action === 'use' && image === undefined) return;
  const words = action === 'use' ? [action, image ?? '', fleet] : [action, fleet];
  const { status } = await runAgainstAws(address(aws.server), 'image', words);
  if (status === 0) chosen.add(fleet);
}

/** As the lifecycle policy of the pipeline says it, for a fleet that launches nothing in all these days. */
function deleteOldImages(): void {
  for (const image of ofApp().slice(0, -KEEP)) if (!marked().includes(image)) aws.images.delete(image);
}

const fleet = fc.constantFrom(...FLEETS);
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ of: fc.constant('build' as const), times: fc.integer({ min: 0, max: 2 }) }),
  },
  fc.record({ of: fc.constant('breaker' as const), fleet }),
  fc.record({
    of: fc.constantFrom('use' as const, 'rollback' as const),
    fleet,
    back: fc.integer({ min: 0, max: 3 }),
  }),
  fc.record({ of: fc.constant('days' as const), days: fc.integer({ min: 1, max: 8 }) }),
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Expects after each step that no image in use is gone, that only such are marked, and how many there are at most. */
async function play(steps: readonly Step[]): Promise<void> {
  deploy();
  for (const next of steps) {
    if (next.of === 'build') await build(next.times);
    else if (next.of === 'breaker') await breakerOpens(next.fleet);
    else if (next.of === 'days') vi.setSystemTime(Date.now() + next.days * DAY);
    else await choose(next.of, next.fleet, next.back);
    vi.setSystemTime(Date.now() + 60_000);
    deleteOldImages();
    for (const image of inUse()) expect([...aws.images.keys()]).toContain(image);
    expect(inUse()).toEqual(expect.arrayContaining(marked()));
    expect(ofApp().length).toBeLessThanOrEqual(KEEP + FLEETS.length);
  }
}

it('no image that a fleet has is ever deleted, and none stays for longer because a fleet had it', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 16 }), play), { numRuns: 15 });
}, 120_000);

it.each(['breaker', 'rollback', 'use'] as const)(
  'an image that the fleets have by %s stays, although later builds reach nobody',
  async (of) => {
    const made = (times: number) => ({ of: 'build' as const, times });
    await play([
      made(1),
      made(1),
      ...FLEETS.map((each) => ({ of, fleet: each, back: 1 })),
      ...[0, 0, 0].map(made),
    ]);
    expect(new Set(inUse())).toEqual(new Set([aws.builds[0]?.ami]));
    expect(ofApp()).toHaveLength(1 + KEEP);
  },
);
