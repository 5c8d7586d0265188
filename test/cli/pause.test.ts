import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PAUSED_AT_TAG, PAUSED_TAG } from '../../functions/lib/tags.ts';
import { runAgainstAws } from '../support/in-process.ts';
import { address } from '../support/serve.ts';

/** Runs `npm run pause -- ...` and the like against the stand-in. */
const command = (action: 'pause' | 'drain' | 'resume', ...words: string[]) =>
  runAgainstAws(address(server), action, words);

/** The fleets that each stack has deployed. */
let stacks: Map<string, string[]>;
/** The tag of each group that pauses it. */
let paused: Map<string, string>;
let denied: boolean;
/** How it answers a call about the processes of a group that does not exist. */
let processes: Answer;
let server: Server;

interface Answer {
  status: number;
  body: string;
}

const answer = (action: string, result: string): Answer => ({
  status: 200,
  body: `<${action}Response><${action}Result>${result}</${action}Result></${action}Response>`,
});

const refusal = (code: string, message: string): Answer => ({
  status: 400,
  body: `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`,
});

/** The answers of AWS to the requests of the commands. */
function aws(parameters: URLSearchParams): Answer {
  const action = parameters.get('Action') ?? '';
  if (action === 'DescribeAutoScalingGroups') {
    expect(parameters.get('Filters.member.1.Name')).toBe('tag:circleci-runners:stack');
    const stack = parameters.get('Filters.member.1.Values.member.1') ?? '';
    const groups = (stacks.get(stack) ?? []).map(
      (fleet) =>
        `<member><AutoScalingGroupName>${stack}-${fleet}</AutoScalingGroupName><DesiredCapacity>3</DesiredCapacity><Instances><member><InstanceId>i-1</InstanceId></member><member><InstanceId>i-2</InstanceId></member></Instances></member>`,
    );
    return answer(action, `<AutoScalingGroups>${groups.join('')}</AutoScalingGroups>`);
  }
  if (action === 'SuspendProcesses') {
    expect(parameters.get('AutoScalingGroupName')).toMatch(/-no-group$/);
    return processes;
  }
  if (denied) return refusal('AccessDenied', 'You are not authorized to perform this operation.');
  const tag = (key: string) => parameters.get(`Tags.member.1.${key}`) ?? '';
  expect(tag('Key')).toBe(PAUSED_TAG);
  expect(parameters.get('Tags.member.2.Key')).toBe(PAUSED_AT_TAG);
  if (action === 'DeleteTags') paused.delete(tag('ResourceId'));
  else {
    paused.set(tag('ResourceId'), tag('Value'));
    expect(parameters.get('Tags.member.2.Value')).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  }
  return answer(action, '');
}

beforeEach(async () => {
  stacks = new Map([
    ['circleci-runners', ['linux', 'arm']],
    ['team-b', ['mac']],
  ]);
  paused = new Map();
  denied = false;
  processes = refusal('ValidationError', 'AutoScalingGroup name not found');
  server = createServer(async (request, response) => {
    const { status, body } = aws(new URLSearchParams(await text(request)));
    response.writeHead(status, { 'content-type': 'text/xml' }).end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(() => {
  server.close();
  server.closeAllConnections();
});

describe('npm run pause, drain and resume', () => {
  it('write the tag that the workflow reads, and delete it', async () => {
    const { status, stdout } = await command('pause', 'linux');
    expect(status).toBe(0);
    expect(stdout).toBe(
      'Fleet linux is paused. Its capacity is held. Desired capacity 3, instances 2.\nTo end this: npm run resume -- linux\n',
    );
    expect([...paused]).toEqual([['circleci-runners-linux', 'true']]);
    await command('drain', 'linux');
    expect([...paused]).toEqual([['circleci-runners-linux', 'drain']]);
    expect((await command('resume', 'linux')).stdout).toBe(
      'Fleet linux follows its queue again. Desired capacity 3, instances 2.\n',
    );
    expect([...paused]).toEqual([]);
  });

  it('drain nothing where AWS is an emulator without processes, and name another way', async () => {
    processes = refusal('InvalidAction', 'Unknown AutoScaling action: SuspendProcesses');
    const { status, stdout, stderr } = await command('drain', 'mac', '--stack', 'team-b');
    expect({ status, stdout, paused: [...paused] }).toEqual({ status: 1, stdout: '', paused: [] });
    expect(stderr).toBe(
      `Draining needs the call SuspendProcesses, which the AWS at ${address(server)} does not have (InvalidAction). After a drain, each execution would fail there, also after resume. Nothing was changed. Pause instead: npm run pause -- --stack team-b mac\n`,
    );
    expect((await command('pause', 'mac', '--stack', 'team-b')).status).toBe(0);
  });

  it('accept several fleets, and change each once', async () => {
    const { stdout } = await command('drain', 'linux', 'arm', 'linux', '--json');
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { fleet: 'linux', paused: 'drain', desiredCapacity: 3, instances: 2 },
      { fleet: 'arm', paused: 'drain', desiredCapacity: 3, instances: 2 },
    ]);
    expect([...paused.keys()]).toEqual(['circleci-runners-linux', 'circleci-runners-arm']);
  });

  it('say when instances with reuse leave, which take further jobs', async () => {
    const { stdout } = await command('drain', 'linux');
    expect(stdout).toContain('leave after their jobs, or with reuse when they are idle.');
    for (const action of ['pause', 'drain'] as const)
      expect((await command(action, '--help')).stdout.replace(/\s+/g, ' ')).toContain(
        'with reuse when they are idle',
      );
  });

  it('fit a terminal of 80 columns', async () => {
    for (const action of ['pause', 'drain', 'resume'] as const) {
      const { stdout } = await runAgainstAws(address(server), action, ['linux', 'arm'], {
        columns: 80,
        isTTY: true,
      });
      expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
    }
  });

  it('find the fleets of another stack, and print its name', async () => {
    const { stdout } = await command('pause', 'mac', '--stack', 'team-b');
    expect([...paused]).toEqual([['team-b-mac', 'true']]);
    expect(stdout).toContain('To end this: npm run resume -- --stack team-b mac\n');
  });

  it.each([
    {
      case: 'an unknown fleet, before any other is paused',
      words: ['linux', 'windows'],
      says: 'The fleet must be a deployed one (arm, linux), got "windows"\n',
    },
    {
      case: 'an unknown stack',
      words: ['linux', '--stack', 'team-c'],
      says: 'Stack team-c has no fleets. Deploy it first: npx cdk deploy --all -c fleets=FILE -c stack=team-c\n',
    },
    {
      case: 'a name that no stack can have',
      words: ['linux', '--stack', 'team_c'],
      says: "error: option '--stack <name>' argument 'team_c' is invalid. It must be a letter and at most 30 more letters, digits and hyphens.\n",
    },
    { case: 'no fleet', words: [], says: "error: missing required argument 'fleet'\n" },
  ])('refuse $case', async ({ words, says }) => {
    const { status, stdout, stderr } = await command('pause', ...words);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(says);
    expect(paused.size).toBe(0);
  });

  it('print the error of AWS if it refuses', async () => {
    denied = true;
    expect(await command('pause', 'linux')).toEqual({
      status: 1,
      stdout: '',
      stderr: 'AccessDenied: You are not authorized to perform this operation.\n',
    });
  });

  it.each(['pause', 'drain', 'resume'] as const)('have a help text: %s', async (action) => {
    const { status, stdout } = await command(action, '--help');
    expect(status).toBe(0);
    for (const what of [`Usage: npm run ${action} -- [options] <fleet...>`, '--json', '--stack <name>']) {
      expect(stdout).toContain(what);
    }
  });
});
