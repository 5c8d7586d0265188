import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { EC2Client } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { RequestRefused } from '../../infra/group-settings-request.ts';
import { LEASE_MILLISECONDS } from '../../infra/image-messages.ts';
import { handler } from '../../infra/images-handler.ts';
import { replaceOldMembers } from '../../infra/pool-images.ts';
import { ImageAws } from '../support/image-aws.ts';
import { address } from '../support/serve.ts';

const STOCK = 'ami-00000000000000001';
const FIRST = 'ami-00000000000000002';
const SECOND = 'ami-00000000000000003';
const HOUR = 3_600_000;
const TOPIC = 'arn:aws:sns:eu-west-1:111122223333:circleci-runners';
const TEAM_TOPIC = 'arn:aws:sns:eu-west-1:111122223333:team';

const parameter = (fleet: string) => `/circleci-runners/images/${fleet}`;
const MESSAGES = '/circleci-runners/image-messages';
const arnOf = (name: string, build: number) =>
  `arn:aws:imagebuilder:eu-west-1:111122223333:image/${name}/1.0.7/${build}`;

let aws: ImageAws;
/** What CloudFormation was answered. */
let answers: { Status: string; Reason?: string; PhysicalResourceId: string }[];

/** The fleets that are deployed, and the name of the image of each. */
function deploy(fleets: Record<string, { image?: string; topic?: string }>): void {
  for (const [fleet, { image, topic = TOPIC }] of Object.entries(fleets)) {
    const settings = {
      alarmTopicArn: topic,
      capacity: {},
      ...(image !== undefined && { imageBuiltBy: image }),
    };
    aws.put(`/circleci-runners/fleets/${fleet}`, JSON.stringify(settings));
    if (image !== undefined) aws.put(parameter(fleet), STOCK, Date.now() - 100 * HOUR);
  }
}

/** As EC2 Image Builder sends it: https://docs.aws.amazon.com/imagebuilder/latest/userguide/integ-eventbridge.html */
const built = (arn: string, status: string) => ({
  version: '0',
  'detail-type': 'EC2 Image Builder Image State Change',
  source: 'aws.imagebuilder',
  region: 'eu-west-1',
  resources: [arn],
  detail: { 'previous-state': { status: 'TESTING' }, state: { status } },
});

/** As CloudWatch sends it: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html */
const breakerOpen = (fleet: string, { app = 'circleci-runners', at = Date.now() } = {}) => ({
  'detail-type': 'CloudWatch Alarm State Change',
  source: 'aws.cloudwatch',
  time: new Date(at).toISOString(),
  detail: { alarmName: `${app}-${fleet}-BreakerOpen`, state: { value: 'ALARM' } },
});

const asked = (RequestType: string, Source: string, before?: string) => ({
  RequestType,
  ResponseURL: 'http://127.0.0.1:1/answer',
  StackId: 'arn:aws:cloudformation:eu-west-1:111122223333:stack/circleci-runners-linux/1',
  RequestId: '1',
  LogicalResourceId: 'ImageParameter',
  ResourceProperties: { GroupName: 'circleci-runners-linux', Source },
  ...(before !== undefined && {
    OldResourceProperties: { GroupName: 'circleci-runners-linux', Source: before },
  }),
});

beforeAll(async () => {
  aws = await new ImageAws().listen();
  const environment = {
    STACK_NAME: 'circleci-runners',
    TOPIC_ARN: TOPIC,
    BUILD_FAILED: 'The build of the image of fleet FLEET_NAME failed.',
    ROLLED_BACK: 'Launches of fleet FLEET_NAME failed.',
    AWS_REGION: 'eu-west-1',
    AWS_ENDPOINT_URL: address(aws.server),
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  };
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
});
afterAll(() => {
  vi.unstubAllEnvs();
  aws.close();
});
beforeEach(() => {
  aws.parameters = new Map();
  // As a deployment makes it.
  aws.put(MESSAGES, 'none');
  aws.images = new Map([STOCK, FIRST, SECOND].map((id) => [id, new Map()]));
  aws.builds = [];
  aws.messages = [];
  aws.deletedTopics = new Set();
  aws.pools = new Map();
  aws.terminated = [];
  aws.calls.length = 0;
  aws.denied = new Set();
  aws.deniedParameters = new Set();
  answers = [];
  const network = globalThis.fetch;
  const spies = [
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (url, init) => {
      if (!String(url).endsWith('/answer')) return network(url, init);
      answers.push(JSON.parse(String(init?.body)));
      return new Response();
    }),
    ...(['info', 'warn', 'error'] as const).map((method) =>
      vi.spyOn(console, method).mockImplementation(() => undefined),
    ),
  ];
  onTestFinished(() => {
    for (const spy of spies) spy.mockRestore();
  });
});

describe('an image that was built', () => {
  beforeEach(() => {
    deploy({
      linux: { image: 'circleci-runners-linux' },
      again: { image: 'circleci-runners-linux' },
      own: { image: 'circleci-runners-own' },
      stock: {},
    });
    aws.builds = [
      { arn: arnOf('circleci-runners-linux', 1), status: 'AVAILABLE', ami: FIRST, createdAt: '' },
    ];
  });
  const available = () => handler(built(arnOf('circleci-runners-linux', 1), 'AVAILABLE'));

  it('goes to each fleet that has it, and to no other', async () => {
    await available();
    expect(['linux', 'again', 'own', 'stock'].map((fleet) => aws.valueOf(parameter(fleet)))).toEqual([
      FIRST,
      FIRST,
      STOCK,
      undefined,
    ]);
    expect(aws.messages).toEqual([]);
  });

  it('is written once, although EventBridge delivers an event twice', async () => {
    await available();
    await available();
    expect(aws.parameters.get(parameter('linux'))).toHaveLength(2);
  });

  it('is not published again by a late event after a rollback', async () => {
    await available();
    aws.put(parameter('linux'), STOCK);
    await available();
    expect(aws.valueOf(parameter('linux'))).toBe(STOCK);
  });

  it('is not published by a late event after a later image', async () => {
    const ofApp = () => new Map([['circleci-runners:stack', 'circleci-runners']]);
    aws.images.set(FIRST, ofApp()).set(SECOND, ofApp());
    const [first, second] = [1, 2].map((build) => ({
      arn: arnOf('circleci-runners-linux', build),
      status: 'AVAILABLE',
      ami: build === 1 ? FIRST : SECOND,
      createdAt: `2026-11-0${build}T03:00:00.000Z`,
    }));
    aws.builds = [first, second].flatMap((made) => made ?? []);
    await handler(built(arnOf('circleci-runners-linux', 2), 'AVAILABLE'));
    await available();
    expect(aws.valueOf(parameter('linux'))).toBe(SECOND);
  });

  it('reaches the fleets that a failed call left out, and the mark of the image before it goes', async () => {
    const marked = new Map(
      ['stack', 'image-in-use'].map((tag) => [`circleci-runners:${tag}`, 'circleci-runners']),
    );
    aws.images.set(SECOND, marked);
    for (const fleet of ['linux', 'again']) aws.put(parameter(fleet), SECOND, Date.now() - HOUR);
    let puts = 0;
    aws.after = (operation) => {
      if (operation === 'PutParameter' && ++puts === 1) aws.denied.add('PutParameter');
    };
    onTestFinished(() => {
      aws.after = () => undefined;
    });
    await expect(available()).rejects.toThrow();
    aws.denied.clear();
    await available();
    expect(['linux', 'again'].map((fleet) => aws.valueOf(parameter(fleet)))).toEqual([FIRST, FIRST]);
    expect(aws.images.get(SECOND)?.has('circleci-runners:image-in-use')).toBe(false);
  });

  it('is an error if it is in another Region only, so that EventBridge tries again', async () => {
    aws.builds = [{ arn: arnOf('circleci-runners-linux', 1), status: 'AVAILABLE', createdAt: '' }];
    await expect(available()).rejects.toThrow('has no image in this Region');
    expect(aws.valueOf(parameter('linux'))).toBe(STOCK);
  });
});

describe('a build that failed', () => {
  it('changes nothing, and tells each topic once where its log is', async () => {
    deploy({
      linux: { image: 'circleci-runners-linux' },
      again: { image: 'circleci-runners-linux', topic: TEAM_TOPIC },
      other: { image: 'circleci-runners-other', topic: `${TOPIC}-other` },
    });
    aws.builds = [
      {
        arn: arnOf('circleci-runners-linux', 3),
        status: 'FAILED',
        reason: 'SSM execution failed: image-build: failed in line 14',
        createdAt: '',
      },
    ];
    await handler(built(arnOf('circleci-runners-linux', 3), 'FAILED'));
    expect(aws.messages.map(({ topic }) => topic)).toEqual([TOPIC, TEAM_TOPIC]);
    const [{ subject, message } = { subject: '', message: '' }] = aws.messages;
    expect(subject).toBe('The build of an image failed: linux');
    expect(message.split('\n')).toEqual([
      'The build of the image of fleet linux failed.',
      '',
      'Fleets with this image: linux, again',
      'Reason: SSM execution failed: image-build: failed in line 14',
      'Log: https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Faws$252Fimagebuilder$252Fcircleci-runners-linux/log-events/1.0.7$252F3',
    ]);
    expect(aws.valueOf(parameter('linux'))).toBe(STOCK);
  });

  it('reaches the other topics, each once, if one was deleted', async () => {
    deploy({
      linux: { image: 'circleci-runners-linux', topic: `${TOPIC}-deleted` },
      again: { image: 'circleci-runners-linux', topic: TEAM_TOPIC },
    });
    aws.deletedTopics.add(`${TOPIC}-deleted`);
    aws.builds = [{ arn: arnOf('circleci-runners-linux', 3), status: 'FAILED', createdAt: '' }];
    await handler(built(arnOf('circleci-runners-linux', 3), 'FAILED'));
    expect(aws.messages.map(({ topic }) => topic)).toEqual([TOPIC, TEAM_TOPIC]);
    expect(console.error).toHaveBeenCalledWith(
      expect.stringMatching(
        /^Topics that did not take .*: arn:\S+-deleted: \S*NotFound\S*: Topic does not exist$/,
      ),
    );
  });

  it('is an error if no topic takes the message, so that Lambda calls again', async () => {
    deploy({ linux: { image: 'circleci-runners-linux' } });
    aws.deletedTopics.add(TOPIC);
    aws.builds = [{ arn: arnOf('circleci-runners-linux', 3), status: 'FAILED', createdAt: '' }];
    await expect(handler(built(arnOf('circleci-runners-linux', 3), 'FAILED'))).rejects.toThrow(
      'Topics that did not take the message "The build of an image failed: linux"',
    );
  });

  describe('sends its message', () => {
    const failed = (build = 3) => handler(built(arnOf('circleci-runners-linux', build), 'FAILED'));
    beforeEach(() => {
      deploy({ linux: { image: 'circleci-runners-linux' } });
      aws.builds = [3, 4].map((build) => ({
        arn: arnOf('circleci-runners-linux', build),
        status: 'FAILED',
        createdAt: '',
      }));
    });

    it('once, although its event comes twice, later or at the same moment', async () => {
      await Promise.all([failed(), failed()]);
      await failed();
      expect(aws.messages).toHaveLength(1);
      await Promise.all([failed(4), failed(4), failed(3)]);
      expect(aws.messages).toHaveLength(2);
    });

    it('by the next call if no topic took the message, and by no later one', async () => {
      aws.deletedTopics.add(TOPIC);
      for (const _ of [1, 2]) await expect(failed()).rejects.toThrow('did not take the message');
      aws.deletedTopics.clear();
      await Promise.all([failed(), failed()]);
      expect(aws.messages).toHaveLength(1);
    });

    it('by no other call while one is under way, and by the next one after a call that was ended', async () => {
      aws.put(
        MESSAGES,
        'begun build circleci-runners-linux 1.0.7/3',
        Date.now() - LEASE_MILLISECONDS + 5_000,
      );
      aws.put(MESSAGES, 'begun build circleci-runners-linux 1.0.7/4', Date.now() - LEASE_MILLISECONDS);
      await failed(3);
      await failed(4);
      expect(aws.messages.map(({ message }) => /events\/(.*)$/.exec(message)?.[1])).toEqual(['1.0.7$252F4']);
    });
  });

  it('of a fleet that is gone tells nobody', async () => {
    aws.builds = [{ arn: arnOf('circleci-runners-gone', 1), status: 'FAILED', createdAt: '' }];
    await handler(built(arnOf('circleci-runners-gone', 1), 'FAILED'));
    expect(aws.messages).toEqual([]);
  });
});

describe('a breaker that opens', () => {
  const IMAGE = 'circleci-runners-linux';

  it('within an hour of a new image brings the one before it back, and tells so', async () => {
    deploy({ linux: { image: IMAGE, topic: TEAM_TOPIC }, again: { image: IMAGE } });
    aws.put(parameter('linux'), FIRST, Date.now() - 59 * 60_000);
    await handler(breakerOpen('linux'));
    expect(aws.valueOf(parameter('linux'))).toBe(STOCK);
    expect(aws.messages.map(({ topic }) => topic)).toEqual([TOPIC, TEAM_TOPIC]);
    expect(aws.messages[0]).toMatchObject({
      subject: 'An image was rolled back: linux',
      message: `Launches of fleet linux failed.\n\nImage that failed: ${FIRST}\nImage in use: ${STOCK}`,
    });
  });

  const IN_USE = 'circleci-runners:image-in-use';
  const ofApp = () => new Map([['circleci-runners:stack', 'circleci-runners']]);

  it('marks the image of the app that it brings back, so that it is not deleted, until another is published', async () => {
    deploy({ linux: { image: IMAGE } });
    aws.images.set(FIRST, ofApp());
    aws.put(parameter('linux'), FIRST, Date.now() - 200 * HOUR);
    aws.put(parameter('linux'), SECOND);
    await handler(breakerOpen('linux'));
    expect(aws.valueOf(parameter('linux'))).toBe(FIRST);
    expect(aws.images.get(FIRST)?.get(IN_USE)).toBe('circleci-runners');

    const third = 'ami-00000000000000004';
    aws.images.set(third, ofApp());
    aws.builds = [{ arn: arnOf(IMAGE, 4), status: 'AVAILABLE', ami: third, createdAt: '' }];
    await handler(built(arnOf(IMAGE, 4), 'AVAILABLE'));
    expect(aws.valueOf(parameter('linux'))).toBe(third);
    expect(aws.images.get(FIRST)?.has(IN_USE)).toBe(false);
  });

  it('takes the mark from an image that somebody chose and that is rolled back', async () => {
    deploy({ linux: { image: IMAGE } });
    aws.images.set(FIRST, ofApp().set(IN_USE, 'circleci-runners'));
    aws.put(parameter('linux'), FIRST);
    await handler(breakerOpen('linux'));
    expect(aws.valueOf(parameter('linux'))).toBe(STOCK);
    expect(aws.images.get(FIRST)?.has(IN_USE)).toBe(false);
  });

  it('leaves the mark to an image that another fleet has', async () => {
    deploy({ linux: { image: IMAGE }, other: { image: 'circleci-runners-other' } });
    aws.images.set(FIRST, ofApp().set(IN_USE, 'circleci-runners'));
    for (const fleet of ['linux', 'other']) aws.put(parameter(fleet), FIRST, Date.now() - 50 * HOUR);
    aws.builds = [{ arn: arnOf(IMAGE, 4), status: 'AVAILABLE', ami: SECOND, createdAt: '' }];
    await handler(built(arnOf(IMAGE, 4), 'AVAILABLE'));
    expect(aws.images.get(FIRST)?.has(IN_USE)).toBe(true);
  });

  it.each([
    { case: 'the stock image, which is not of the app', denied: [] },
    { case: 'an image that AWS does not let it mark', denied: ['CreateTags'] },
  ])('brings $case back as well', async ({ denied }) => {
    deploy({ linux: { image: IMAGE } });
    if (denied.length > 0) aws.images.set(STOCK, ofApp());
    aws.denied = new Set(denied);
    aws.put(parameter('linux'), FIRST);
    await handler(breakerOpen('linux'));
    expect(aws.valueOf(parameter('linux'))).toBe(STOCK);
    expect(aws.images.get(STOCK)?.has(IN_USE)).toBe(false);
  });

  it('rolls back one of two fleets that share an image, and leaves the other alone', async () => {
    deploy({ linux: { image: IMAGE }, again: { image: IMAGE } });
    for (const fleet of ['linux', 'again']) aws.put(parameter(fleet), FIRST);
    await handler(breakerOpen('linux'));
    expect(['linux', 'again'].map((fleet) => aws.valueOf(parameter(fleet)))).toEqual([STOCK, FIRST]);
  });

  it('within that hour brings the image before it back, although the event comes after the hour', async () => {
    deploy({ linux: { image: IMAGE } });
    aws.put(parameter('linux'), FIRST, Date.now() - 90 * 60_000);
    await handler(breakerOpen('linux', { at: Date.now() - 40 * 60_000 }));
    expect(aws.valueOf(parameter('linux'))).toBe(STOCK);
  });

  describe('rolls back and tells', () => {
    const rolledBack = () => aws.messages.map(({ topic, subject }) => `${topic} ${subject}`);
    const ONCE = [`${TOPIC} An image was rolled back: linux`];

    beforeEach(() => {
      deploy({ linux: { image: IMAGE } });
      aws.put(parameter('linux'), FIRST, Date.now() - 30 * 60_000);
    });

    it('once, although its event comes twice at the same moment', async () => {
      const event = breakerOpen('linux');
      await Promise.all([handler(event), handler(event)]);
      expect(aws.valueOf(parameter('linux'))).toBe(STOCK);
      expect(rolledBack()).toEqual(ONCE);
    });

    it('by the next call if no topic took the message, and by no later one', async () => {
      const event = breakerOpen('linux');
      aws.deletedTopics.add(TOPIC);
      for (const _ of [1, 2]) await expect(handler(event)).rejects.toThrow('did not take the message');
      expect(aws.valueOf(parameter('linux'))).toBe(STOCK);
      aws.deletedTopics.clear();
      await handler(event);
      await handler(event);
      expect(rolledBack()).toEqual(ONCE);
      expect(aws.messages[0]?.message).toContain(`Image that failed: ${FIRST}\nImage in use: ${STOCK}`);
      expect(aws.parameters.get(parameter('linux'))).toHaveLength(3);
    });

    it('by the next call if one was ended before its message', async () => {
      aws.put(parameter('linux'), STOCK);
      aws.put(MESSAGES, `begun rollback linux ${FIRST} ${STOCK}`, Date.now() - 60_000);
      await handler(breakerOpen('linux'));
      expect(rolledBack()).toEqual(ONCE);
    });

    it('by the next call if one was ended before it wrote the image', async () => {
      aws.put(MESSAGES, `begun rollback linux ${FIRST} ${STOCK}`, Date.now() - 60_000);
      await handler(breakerOpen('linux'));
      expect(aws.valueOf(parameter('linux'))).toBe(STOCK);
      expect(rolledBack()).toEqual(ONCE);
    });

    it('no more if no topic took the message and the fleet got another image since', async () => {
      aws.put(MESSAGES, `failed rollback linux ${FIRST} ${STOCK}`, Date.now() - 60_000);
      aws.put(parameter('linux'), STOCK, Date.now() - 20 * 60_000);
      aws.put(parameter('linux'), SECOND);
      await handler(breakerOpen('linux', { at: Date.now() - 10 * 60_000 }));
      expect(aws.valueOf(parameter('linux'))).toBe(SECOND);
      expect(rolledBack()).toEqual([]);
    });

    it('again, with another message, if the parameter was deleted and gets the same images', async () => {
      await handler(breakerOpen('linux'));
      aws.parameters.delete(parameter('linux'));
      aws.put(parameter('linux'), STOCK, Date.now() - 2_000);
      aws.put(parameter('linux'), FIRST, Date.now() - 1_000);
      await handler(breakerOpen('linux'));
      expect(aws.valueOf(parameter('linux'))).toBe(STOCK);
      expect(rolledBack()).toEqual([...ONCE, ...ONCE]);
      await handler(breakerOpen('linux'));
      expect(rolledBack()).toEqual([...ONCE, ...ONCE]);
    });

    it('although the record cannot be written', async () => {
      aws.parameters.delete(MESSAGES);
      aws.deniedParameters.add(MESSAGES);
      await handler(breakerOpen('linux'));
      expect(aws.valueOf(parameter('linux'))).toBe(STOCK);
      expect(rolledBack()).toEqual(ONCE);
      expect(console.error).toHaveBeenCalledWith(
        expect.stringMatching(/^The record of "rollback linux \S+ \S+ \S+" failed: /),
      );
    });

    it.each(['begun', 'sent'])('nobody, but writes the image, while the record says "%s"', async (state) => {
      const at = new Date(aws.parameters.get(parameter('linux'))?.at(-1)?.at ?? 0).toISOString();
      aws.put(MESSAGES, `${state} rollback linux ${FIRST} ${STOCK} ${at}`);
      await handler(breakerOpen('linux'));
      expect(aws.valueOf(parameter('linux'))).toBe(STOCK);
      expect(rolledBack()).toEqual([]);
    });

    it('also if the record of the messages was deleted', async () => {
      aws.parameters.delete(MESSAGES);
      await handler(breakerOpen('linux'));
      expect(rolledBack()).toEqual(ONCE);
    });
  });

  it('again after a rollback changes nothing more', async () => {
    deploy({ linux: { image: IMAGE } });
    aws.put(parameter('linux'), FIRST);
    await handler(breakerOpen('linux'));
    await handler(breakerOpen('linux'));
    expect(aws.valueOf(parameter('linux'))).toBe(STOCK);
    expect(aws.messages).toHaveLength(1);
  });

  it('brings back the latest image that still exists', async () => {
    deploy({ linux: { image: IMAGE } });
    aws.put(parameter('linux'), FIRST, Date.now() - 50 * HOUR);
    aws.put(parameter('linux'), SECOND, Date.now() - HOUR / 2);
    aws.images.delete(FIRST);
    await handler(breakerOpen('linux'));
    expect(aws.valueOf(parameter('linux'))).toBe(STOCK);
  });

  it.each([
    { case: 'later than an hour', event: () => breakerOpen('linux'), age: 61 * 60_000 },
    { case: 'of a fleet whose image nobody builds', event: () => breakerOpen('stock'), age: 0 },
    { case: 'of another app', event: () => breakerOpen('linux', { app: 'circleci-runners-b' }), age: 0 },
    {
      case: 'before the fleet got its image, and whose event comes late,',
      event: () => breakerOpen('linux', { at: Date.now() - 120_000 }),
      age: 60_000,
    },
  ])('$case changes nothing', async ({ event, age }) => {
    deploy({ linux: { image: IMAGE }, stock: {} });
    aws.put(parameter('linux'), FIRST, Date.now() - age);
    await handler(event());
    expect(aws.valueOf(parameter('linux'))).toBe(FIRST);
    expect(aws.messages).toEqual([]);
  });

  it('changes nothing if no image before it exists any more', async () => {
    deploy({ linux: { image: IMAGE } });
    aws.put(parameter('linux'), FIRST);
    aws.images.delete(STOCK);
    await handler(breakerOpen('linux'));
    expect(aws.valueOf(parameter('linux'))).toBe(FIRST);
    expect(aws.messages).toEqual([]);
  });
});

describe('every ten minutes, a warm pool', () => {
  /** As EventBridge sends it: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-run-lambda-schedule.html */
  const TICK = { source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} };
  const GROUP = 'circleci-runners-linux';
  const member = (index: number, state = 'Warmed:Stopped', image = STOCK, tagged = true) => ({
    id: `i-0000000000000000${index}`,
    state,
    image,
    tagged,
  });
  const members = (count: number, of: (index: number) => ReturnType<typeof member> = member) =>
    Array.from({ length: count }, (_, index) => of(index));

  beforeEach(() => {
    deploy({ linux: { image: GROUP }, stock: {} });
    aws.put(parameter('linux'), FIRST);
  });

  it.each([
    { case: 'of one instance loses it', pool: members(1), replaced: 1 },
    { case: 'of eight loses two', pool: members(8), replaced: 2 },
    {
      case: 'of many loses five',
      pool: members(9).concat(members(30, (index) => member(index + 10))),
      replaced: 5,
    },
    {
      case: 'loses fewer while its last replacements boot',
      pool: [...members(7), member(8, 'Warmed:Pending:Wait', FIRST)],
      replaced: 1,
    },
    {
      case: 'loses none while as many boot as may be replaced',
      pool: [...members(3), member(8, 'Warmed:Pending', FIRST)],
      replaced: 0,
    },
    {
      case: 'that hibernates is refreshed as well',
      pool: members(4, (index) => member(index, 'Warmed:Hibernated')),
      replaced: 1,
    },
    {
      case: 'of the image in use stays',
      pool: members(4, (index) => member(index, 'Warmed:Stopped', FIRST)),
      replaced: 0,
    },
    {
      case: 'without the tag, of a launch before this version, stays',
      pool: members(4, (index) => member(index, 'Warmed:Stopped', STOCK, false)),
      replaced: 0,
    },
    {
      case: 'loses no instance that the group has begun to take',
      pool: ['Warmed:Running', 'Warmed:Pending', 'Warmed:Terminating', 'Pending', 'InService'].map(
        (state, index) => member(index, state),
      ),
      replaced: 0,
    },
  ])('$case', async ({ pool, replaced }) => {
    aws.pools.set(GROUP, { members: pool });
    await handler(TICK);
    expect(aws.terminated).toHaveLength(replaced);
    const old = pool.filter(({ state, image }) => /Stopped|Hibernated/.test(state) && image === STOCK);
    expect(old.map(({ id }) => id)).toEqual(expect.arrayContaining(aws.terminated));
  });

  it('is refreshed in the end, and never lacks more than a quarter of its instances', async () => {
    const pool = { members: members(8) };
    aws.pools.set(GROUP, pool);
    for (let tick = 0; tick < 12; tick += 1) {
      await handler(TICK);
      expect(pool.members.filter(({ state }) => state === 'Warmed:Stopped').length).toBeGreaterThanOrEqual(6);
      // The group launches others, which are there at the tick after the next.
      for (const each of pool.members) if (each.state !== 'Warmed:Stopped') each.state = 'Warmed:Stopped';
      while (pool.members.length < 8)
        pool.members.push({
          ...member(9, 'Warmed:Pending', FIRST),
          id: `i-new-${tick}-${pool.members.length}`,
        });
    }
    expect(pool.members.map(({ image }) => image)).toEqual(Array.from({ length: 8 }, () => FIRST));
    expect(aws.terminated).toHaveLength(8);
  });

  it('goes back to the image before a rollback', async () => {
    aws.put(parameter('linux'), STOCK);
    aws.pools.set(GROUP, { members: [member(0, 'Warmed:Stopped', FIRST), member(1)] });
    await handler(TICK);
    expect(aws.terminated).toEqual([member(0).id]);
  });

  it('stays as it is while its group launches nothing, because it would only become smaller', async () => {
    aws.pools.set(GROUP, { suspended: ['Launch'], members: members(4) });
    await handler(TICK);
    expect(aws.terminated).toEqual([]);
  });

  it.each([
    { milliseconds: 5_000, replaced: 1 },
    { milliseconds: 5_001, replaced: 0 },
  ])(
    'loses $replaced if AWS takes $milliseconds ms to list it, because a job may run on an instance later',
    async ({ milliseconds, replaced }) => {
      aws.pools.set(GROUP, { members: members(4) });
      const clients = { autoScaling: new AutoScalingClient({}), ec2: new EC2Client({}) };
      let time = 0;
      const now = () => {
        time += milliseconds;
        return time;
      };
      await expect(replaceOldMembers(clients, GROUP, FIRST, now)).resolves.toHaveLength(replaced);
      expect(aws.terminated).toHaveLength(replaced);
    },
  );

  it('of a fleet whose image nobody builds is left alone', async () => {
    aws.pools.set('circleci-runners-stock', { members: members(4) });
    await handler(TICK);
    expect(aws.terminated).toEqual([]);
    expect(aws.calls).not.toContain('TerminateInstances');
  });

  it('that cannot be refreshed does not hold up the others, and is an error', async () => {
    deploy({ again: { image: GROUP } });
    aws.put(parameter('again'), FIRST);
    aws.pools.set(GROUP, { members: members(1) });
    aws.denied.add('TerminateInstances');
    await expect(handler(TICK)).rejects.toThrow(
      /^Warm pools were not refreshed: linux: UnauthorizedOperation/,
    );
    expect(aws.calls.filter((call) => call === 'DescribeAutoScalingGroups')).toHaveLength(2);
  });
});

describe('a deployment', () => {
  const UBUNTU = 'ssm:/aws/service/ubuntu';
  const AMAZON = 'ssm:/aws/service/amazon';

  /** The settings of the fleet, which the deployment writes before it asks. */
  const settle = (imageSource: string) =>
    aws.put(
      '/circleci-runners/fleets/linux',
      JSON.stringify({ imageBuiltBy: 'circleci-runners-linux', imageSource, alarmTopicArn: TOPIC }),
    );

  beforeEach(() => {
    aws.put('/aws/service/ubuntu', STOCK);
    aws.put('/aws/service/amazon', SECOND);
  });

  it.each([
    {
      case: 'writes the stock image for a new fleet',
      had: undefined,
      request: asked('Create', UBUNTU),
      has: STOCK,
    },
    {
      case: 'writes the image whose id the fleet has',
      had: undefined,
      request: asked('Create', FIRST),
      has: FIRST,
    },
    { case: 'leaves the image that was built', had: FIRST, request: asked('Create', UBUNTU), has: FIRST },
    {
      case: 'leaves it when the stack is updated',
      had: FIRST,
      request: asked('Update', UBUNTU, UBUNTU),
      has: FIRST,
    },
    {
      case: 'takes an image back that was built on another one',
      had: FIRST,
      request: asked('Update', AMAZON, UBUNTU),
      has: SECOND,
    },
    {
      case: 'replaces an image that was deleted',
      had: 'ami-0000000000000dead',
      request: asked('Create', UBUNTU),
      has: STOCK,
    },
    { case: 'deletes nothing', had: FIRST, request: asked('Delete', UBUNTU), has: FIRST },
  ])('$case', async ({ had, request, has }) => {
    settle(request.ResourceProperties.Source);
    if (had !== undefined) aws.put(parameter('linux'), had);
    await handler(request);
    expect(aws.valueOf(parameter('linux'))).toBe(has);
    expect(answers).toMatchObject([
      { Status: 'SUCCESS', PhysicalResourceId: 'circleci-runners-linux-image' },
    ]);
  });

  it('takes no image from the event, which whoever may invoke the function can write', async () => {
    settle(UBUNTU);
    aws.put(parameter('linux'), FIRST);
    const evil = 'ami-0000000000000bad1';
    aws.images.set(evil, new Map());
    await handler(asked('Create', evil));
    await handler(asked('Update', evil, UBUNTU));
    expect(aws.valueOf(parameter('linux'))).toBe(FIRST);
    await handler(asked('Update', evil, AMAZON));
    expect(aws.valueOf(parameter('linux'))).toBe(STOCK);
  });

  it('writes nothing for a fleet that builds no image', async () => {
    await handler(asked('Create', UBUNTU));
    expect(answers[0]).toMatchObject({
      Status: 'FAILED',
      Reason: expect.stringContaining('The settings of fleet linux name no image to begin with'),
    });
    expect(aws.valueOf(parameter('linux'))).toBeUndefined();
  });

  it('fails with the reason if there is no image to begin with', async () => {
    settle('ssm:/acme/gone');
    await handler(asked('Create', 'ssm:/acme/gone'));
    expect(answers).toMatchObject([
      {
        Status: 'FAILED',
        Reason:
          'The parameter of the image of circleci-runners-linux: Error: There is no parameter /acme/gone',
      },
    ]);
  });

  it('fails with the reason if AWS refuses', async () => {
    settle(UBUNTU);
    aws.denied.add('PutParameter');
    await handler(asked('Create', UBUNTU));
    expect(answers[0]?.Reason).toContain('AccessDeniedException');
  });

  it.each([
    { case: 'of another stack', event: { ...asked('Create', UBUNTU), StackId: 'arn:aws:x:stack/other/1' } },
    { case: 'that is no event of these', event: { source: 'aws.ec2' } },
    { case: 'of a breaker at no time', event: { ...breakerOpen('linux'), time: 'yesterday' } },
  ])('$case is refused, and nothing is written', async ({ event }) => {
    await expect(handler(event)).rejects.toThrow(RequestRefused);
    expect(aws.valueOf(parameter('linux'))).toBeUndefined();
    expect(answers).toEqual([]);
  });
});
