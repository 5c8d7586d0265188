import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RECYCLE_TAG } from '../../functions/lib/tags.ts';
import { runAgainstAws } from '../support/in-process.ts';
import { address } from '../support/serve.ts';

/** Runs `npm run recycle -- ...` against the stand-in. */
const command = (...words: string[]) => runAgainstAws(address(server), 'recycle', words);

interface Member {
  id: string;
  state?: string;
  version?: string;
  image?: string;
}

const IMAGE = 'ami-00000000000000002';
const OLD_IMAGE = 'ami-00000000000000001';

const OLD = { id: 'i-00000000000000001', version: '6' };
const NEW = { id: 'i-00000000000000002', version: '7' };
const OLD_PENDING = { id: 'i-00000000000000003', version: '6', state: 'Pending:Wait' };
const OF_OLD_IMAGE = { id: 'i-00000000000000005', version: '7', image: OLD_IMAGE };
const OLD_LEAVING = { id: 'i-00000000000000004', version: '6', state: 'Terminating:Wait' };

/** The group; `undefined` if there is none. */
let group: { members: Member[]; version: string; mixed?: boolean } | undefined;
/** The image that a new launch gets; the stand-in's answer about the launch template. */
let image: string;
/** Runs when EC2 has told the images of instances, as if a build ended just then. */
let published: () => void;
/** The tags of each instance. */
let tags: Map<string, Map<string, string>>;
/** The number of instances in each call that tags. */
let calls: number[];
/** Instances that no longer exist. */
let gone: Set<string>;
let denied: boolean;
/** The stacks whose groups were described. */
let asked: (string | null)[];
let server: Server;

const template = (version: string) =>
  `<LaunchTemplateName>circleci-runners-example</LaunchTemplateName><Version>${version}</Version>`;

function describeGroups(): string {
  if (group === undefined) return '';
  const { members, version, mixed = false } = group;
  const instances = members.map(
    (member) =>
      `<member><InstanceId>${member.id}</InstanceId><LifecycleState>${member.state ?? 'InService'}</LifecycleState>` +
      `<LaunchTemplate>${template(member.version ?? version)}</LaunchTemplate></member>`,
  );
  const specification = mixed
    ? `<MixedInstancesPolicy><LaunchTemplate><LaunchTemplateSpecification>${template(version)}</LaunchTemplateSpecification></LaunchTemplate></MixedInstancesPolicy>`
    : `<LaunchTemplate>${template(version)}</LaunchTemplate>`;
  return `<member><AutoScalingGroupName>circleci-runners-example</AutoScalingGroupName>${specification}<Instances>${instances.join('')}</Instances></member>`;
}

function describeInstances(parameters: URLSearchParams): string {
  const ids = listOf(parameters, 'Filter.1.Value');
  const instances = (group?.members ?? [])
    .filter(({ id }) => ids.includes(id) && !gone.has(id))
    .map(
      (member) =>
        `<item><instanceId>${member.id}</instanceId><imageId>${member.image ?? IMAGE}</imageId></item>`,
    );
  published();
  return `<DescribeInstancesResponse><reservationSet><item><instancesSet>${instances.join('')}</instancesSet></item></reservationSet></DescribeInstancesResponse>`;
}

function describeTemplate(parameters: URLSearchParams): string {
  expect(Object.fromEntries(parameters)).toMatchObject({
    LaunchTemplateName: 'circleci-runners-example',
    'LaunchTemplateVersion.1': '7',
    ResolveAlias: 'true',
  });
  return `<DescribeLaunchTemplateVersionsResponse><launchTemplateVersionSet><item><versionNumber>7</versionNumber><launchTemplateData><imageId>${image}</imageId></launchTemplateData></item></launchTemplateVersionSet></DescribeLaunchTemplateVersionsResponse>`;
}

const listOf = (parameters: URLSearchParams, name: string) =>
  [...parameters].flatMap(([key, value]) => (key.startsWith(`${name}.`) ? [value] : []));

function createTags(parameters: URLSearchParams): { status: number; body: string } {
  const error = (code: string, message: string) => ({
    status: 400,
    body: `<Response><Errors><Error><Code>${code}</Code><Message>${message}</Message></Error></Errors></Response>`,
  });
  const ids = listOf(parameters, 'ResourceId');
  calls.push(ids.length);
  if (denied) return error('UnauthorizedOperation', 'You are not authorized to perform this operation.');
  const missing = ids.find((id) => gone.has(id));
  if (missing !== undefined) {
    return error('InvalidInstanceID.NotFound', `The instance ID '${missing}' does not exist`);
  }
  for (const id of ids) {
    tags.set(id, new Map([[parameters.get('Tag.1.Key') ?? '', parameters.get('Tag.1.Value') ?? '']]));
  }
  return { status: 200, body: '<CreateTagsResponse><return>true</return></CreateTagsResponse>' };
}

beforeEach(async () => {
  group = { members: [OLD, NEW, OLD_PENDING, OLD_LEAVING], version: '7' };
  image = IMAGE;
  published = () => {};
  tags = new Map();
  calls = [];
  gone = new Set();
  denied = false;
  asked = [];
  server = createServer(async (request, response) => {
    const parameters = new URLSearchParams(await text(request));
    const action = parameters.get('Action');
    const name = parameters.get('Filters.member.1.Values.member.1');
    if (action === 'DescribeAutoScalingGroups') asked.push(name);
    const named = name === 'circleci-runners';
    const answers: Record<string, () => string> = {
      DescribeInstances: () => describeInstances(parameters),
      DescribeLaunchTemplateVersions: () => describeTemplate(parameters),
      DescribeAutoScalingGroups: () =>
        `<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups>${named ? describeGroups() : ''}</AutoScalingGroups></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>`,
    };
    const { status, body } =
      action === 'CreateTags'
        ? createTags(parameters)
        : { status: 200, body: answers[action ?? '']?.() ?? '' };
    response.writeHead(status, { 'content-type': 'text/xml' }).end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(() => {
  server.close();
  server.closeAllConnections();
});

const marked = () => [...tags.keys()];

describe('npm run recycle -- example', () => {
  it.each([{ mixed: false }, { mixed: true }])(
    'marks instances without the newest launch template, except those that leave (mixed: $mixed)',
    async ({ mixed }) => {
      group = { members: [OLD, NEW, OLD_PENDING, OLD_LEAVING], version: '7', mixed };
      const { status, stdout } = await command('example');
      expect(status).toBe(0);
      expect(marked()).toEqual([OLD.id, OLD_PENDING.id]);
      expect([...(tags.get(OLD.id) ?? [])]).toEqual([
        [RECYCLE_TAG, expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)],
      ]);
      expect(stdout).toBe(
        [
          `Fleet example, launch template version 7, image ${IMAGE}: 2 of 3 instances marked.`,
          `  ${OLD.id}  InService     version 6  ${IMAGE}`,
          `  ${OLD_PENDING.id}  Pending:Wait  version 6  ${IMAGE}`,
          'Idle instances leave within seconds, busy ones after their job.',
          '',
        ].join('\n'),
      );
    },
  );

  it('marks instances of another image than launches have now', async () => {
    group = { members: [NEW, OF_OLD_IMAGE], version: '7' };
    const { stdout } = await command('example');
    expect(marked()).toEqual([OF_OLD_IMAGE.id]);
    expect(stdout).toContain(`  ${OF_OLD_IMAGE.id}  InService     version 7  ${OLD_IMAGE}\n`);
  });

  it('marks no instance of an image that a build publishes meanwhile', async () => {
    const first = { id: 'i-00000000000000006', version: '7', image: 'ami-00000000000000003' };
    group = { members: [NEW, first], version: '7' };
    published = () => {
      image = first.image;
    };
    await command('example');
    expect(marked()).toEqual([NEW.id]);
  });

  it('compares launch templates only, if EC2 does not tell the image or the instance is gone', async () => {
    group = { members: [NEW, OF_OLD_IMAGE], version: '7' };
    image = 'resolve:ssm:/circleci-runners/images/example';
    const { stdout } = await command('example');
    expect(stdout).toContain('Fleet example, launch template version 7: 0 of 2 instances marked.');
    image = IMAGE;
    gone.add(OF_OLD_IMAGE.id);
    await command('example');
    expect(marked()).toEqual([]);
  });

  it('marks all instances with --all', async () => {
    await command('example', '--all');
    expect(marked()).toEqual([OLD.id, NEW.id, OLD_PENDING.id]);
  });

  it('prints one JSON object with --json', async () => {
    const { stdout, stderr } = await command('example', '--json');
    expect(JSON.parse(stdout)).toEqual({
      fleet: 'example',
      group: 'circleci-runners-example',
      newest: '7',
      image: IMAGE,
      all: false,
      marked: [
        { instance: OLD.id, state: 'InService', version: '6', image: IMAGE },
        { instance: OLD_PENDING.id, state: 'Pending:Wait', version: '6', image: IMAGE },
      ],
      kept: [{ instance: NEW.id, state: 'InService', version: '7', image: IMAGE }],
    });
    expect(stderr).toBe('');
  });

  it.each([
    { case: 'there is none', members: [], says: '0 of 0 instances marked.\n' },
    {
      case: 'all are of the newest',
      members: [NEW],
      says: '0 of 1 instances marked.\nAll instances have the newest launch template and image. --all marks them too.\n',
    },
  ])('marks nothing if $case', async ({ members, says }) => {
    group = { members, version: '7' };
    const { status, stdout } = await command('example');
    expect({ status, calls }).toEqual({ status: 0, calls: [] });
    expect(stdout).toBe(`Fleet example, launch template version 7, image ${IMAGE}: ${says}`);
  });

  it('marks many instances, and skips those that have gone', async () => {
    const members = Array.from({ length: 250 }, (_, index) => ({
      id: `i-${String(index).padStart(17, '0')}`,
      version: '6',
    }));
    gone = new Set([members[3]?.id ?? '', members[120]?.id ?? '']);
    group = { members, version: '7' };
    const { status, stdout } = await command('example', '--json');
    expect(status).toBe(0);
    expect(marked()).toHaveLength(248);
    expect(JSON.parse(stdout).marked).toHaveLength(248);
    expect(calls).toEqual([100, 99, 100, 99, 50]);
  });

  it.each([
    {
      case: 'an unknown fleet',
      words: ['nowhere'],
      says: 'The fleet must be a deployed one (example), got "nowhere"\n',
    },
    {
      case: 'a fleet that a named file does not have',
      words: ['example', '--fleets', 'examples/tutorial/fleets.yaml'],
      says: /^The fleet must be one of examples.*got "example". To read another file: --fleets FILE\n$/,
    },
    { case: 'no fleet', words: [], says: "error: missing required argument 'fleet'\n" },
    { case: 'an unknown option', words: ['example', '--force'], says: "error: unknown option '--force'\n" },
  ])('refuses $case', async ({ words, says }) => {
    const { status, stderr } = await command(...words);
    expect(status).toBe(2);
    expect(stderr).toEqual(
      typeof says === 'string' ? expect.stringContaining(says) : expect.stringMatching(says),
    );
    expect(calls).toEqual([]);
  });

  it('says what to do if the fleet is not deployed', async () => {
    group = undefined;
    expect(await command('example')).toEqual({
      status: 2,
      stdout: '',
      stderr: 'Stack circleci-runners has no fleets. Deploy it first: npx cdk deploy --all\n',
    });
  });

  it('looks in the stack of --stack', async () => {
    const { status, stderr } = await command('example', '--stack', 'team-b');
    expect({ status, calls }).toEqual({ status: 2, calls: [] });
    expect(asked).toEqual(['team-b']);
    expect(stderr).toContain('Stack team-b has no fleets.');
  });

  it('fails if the group names no version', async () => {
    group = { members: [OLD], version: '$Latest' };
    const { status, stderr } = await command('example');
    expect(status).toBe(1);
    expect(stderr).toContain('got $Latest. Deploy the stack again: npx cdk deploy --all --revert-drift');
    expect(calls).toEqual([]);
  });

  it('prints how many instances were marked if EC2 refuses', async () => {
    denied = true;
    const { status, stderr } = await command('example');
    expect(status).toBe(1);
    expect(stderr).toBe(
      'UnauthorizedOperation: You are not authorized to perform this operation. 0 of 2 instances were marked. Solve this, then run the command again; a second run does no harm.\n',
    );
  });

  it('has a help text', async () => {
    const { status, stdout } = await command('--help');
    expect(status).toBe(0);
    for (const what of ['Usage: npm run recycle -- [options] <fleet>', '--all', '--json']) {
      expect(stdout).toContain(what);
    }
  });
});
