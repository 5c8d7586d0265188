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
}

const OLD = { id: 'i-00000000000000001', version: '6' };
const NEW = { id: 'i-00000000000000002', version: '7' };
const OLD_PENDING = { id: 'i-00000000000000003', version: '6', state: 'Pending:Wait' };
const OLD_LEAVING = { id: 'i-00000000000000004', version: '6', state: 'Terminating:Wait' };

/** The group; `undefined` if there is none. */
let group: { members: Member[]; version: string; mixed?: boolean } | undefined;
/** The tags of each instance. */
let tags: Map<string, Map<string, string>>;
/** The number of instances in each call that tags. */
let calls: number[];
/** Instances that no longer exist. */
let gone: Set<string>;
let denied: boolean;
/** The names of the described groups. */
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
  tags = new Map();
  calls = [];
  gone = new Set();
  denied = false;
  asked = [];
  server = createServer(async (request, response) => {
    const parameters = new URLSearchParams(await text(request));
    const action = parameters.get('Action');
    const name = parameters.get('AutoScalingGroupNames.member.1');
    if (action === 'DescribeAutoScalingGroups') asked.push(name);
    const named = name === 'circleci-runners-example';
    const { status, body } =
      action === 'CreateTags'
        ? createTags(parameters)
        : {
            status: 200,
            body: `<${action}Response><${action}Result><AutoScalingGroups>${named ? describeGroups() : ''}</AutoScalingGroups></${action}Result></${action}Response>`,
          };
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
          'Fleet example, launch template version 7: 2 of 3 instances marked.',
          `  ${OLD.id}  InService     version 6`,
          `  ${OLD_PENDING.id}  Pending:Wait  version 6`,
          'Idle instances leave within seconds, busy ones after their job.',
          '',
        ].join('\n'),
      );
    },
  );

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
      all: false,
      marked: [
        { instance: OLD.id, state: 'InService', version: '6' },
        { instance: OLD_PENDING.id, state: 'Pending:Wait', version: '6' },
      ],
      kept: [{ instance: NEW.id, state: 'InService', version: '7' }],
    });
    expect(stderr).toBe('');
  });

  it.each([
    { case: 'there is none', members: [], says: '0 of 0 instances marked.\n' },
    {
      case: 'all are of the newest',
      members: [NEW],
      says: '0 of 1 instances marked.\nAll instances have the newest version. --all marks them too.\n',
    },
  ])('marks nothing if $case', async ({ members, says }) => {
    group = { members, version: '7' };
    const { status, stdout } = await command('example');
    expect({ status, calls }).toEqual({ status: 0, calls: [] });
    expect(stdout).toBe(`Fleet example, launch template version 7: ${says}`);
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
      says: 'The fleet must be one of fleets.yaml (example), got "nowhere". To read another file: --fleets FILE\n',
    },
    { case: 'no fleet', words: [], says: "error: missing required argument 'fleet'\n" },
    { case: 'an unknown option', words: ['example', '--force'], says: "error: unknown option '--force'\n" },
  ])('refuses $case', async ({ words, says }) => {
    const { status, stderr } = await command(...words);
    expect(status).toBe(2);
    expect(stderr).toContain(says);
    expect(calls).toEqual([]);
  });

  it('says what to do if the fleet is not deployed', async () => {
    group = undefined;
    expect(await command('example')).toEqual({
      status: 2,
      stdout: '',
      stderr:
        'Fleet example is not deployed by stack circleci-runners. Deploy it first: npx cdk deploy --all\n',
    });
  });

  it('looks in the stack of --stack', async () => {
    const { status, stderr } = await command('example', '--stack', 'team-b');
    expect({ status, calls }).toEqual({ status: 2, calls: [] });
    expect(asked).toEqual(['team-b-example']);
    expect(stderr).toContain('is not deployed by stack team-b.');
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
