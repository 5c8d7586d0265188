import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CliCommand } from '../../cli/command-line/run.ts';
import { COMMANDS, type CommandName } from '../../cli/commands.ts';
import { Terminal } from '../../cli/terminal/terminal.ts';
import { commandWords } from '../support/bundled-commands.ts';
import { DoctorAws } from '../support/doctor-aws.ts';
import { runAgainstAws, runInProcess } from '../support/in-process.ts';
import { address } from '../support/serve.ts';

/** What each command of the registry has to be like. */

const NAMES = Object.keys(COMMANDS) as CommandName[];

/** A command, and the names of its options. */
async function commandOf(name: CommandName): Promise<{ aws: CliCommand['aws']; options: string[] }> {
  const command: CliCommand = await COMMANDS[name]();
  const { stdin } = process;
  const shell = { words: [], terminal: new Terminal(process), stdin, env: {}, exitCode: 0 };
  return {
    aws: command.aws,
    options: command.define(shell).options.flatMap(({ long }) => long ?? []),
  };
}

/** The arguments without which a command does not begin. */
const ARGUMENTS: Partial<Record<CommandName, string[]>> = {
  secrets: ['linux'],
  execute: ['linux'],
  pause: ['linux'],
  drain: ['linux'],
  resume: ['linux'],
  recycle: ['linux'],
  explain: ['linux'],
  image: ['list'],
  trace: ['--project', 'gh/acme/web'],
};

/** The commands that read fleets.yaml. */
const FLEETS_FILE: Partial<Record<CommandName, true>> = {
  start: true,
  zones: true,
  schedules: true,
  secrets: true,
  recycle: true,
  status: true,
  doctor: true,
};

/** They write a file that is named on the command line, or show a deployment until Ctrl-C. */
const WITHOUT_JSON: CommandName[] = ['benchmark', 'local', 'pin'];

/** Fleets that share settings by a merge key. */
const MERGED = `linux: &common
  resourceClass: acme/linux
  instanceTypes: [m7g.large]
  maxReplicas: 10
  image: ami-01234567
other:
  <<: *common
  resourceClass: acme/other
`;

let folder: string;
let fleets: string;
let aws: DoctorAws;
let expired: Server;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'commands-'));
  fleets = join(folder, 'fleets.yaml');
  writeFileSync(fleets, MERGED);
  aws = await new DoctorAws().listen();
  aws.groups = [{ fleet: 'linux', desired: 0, version: '3' }];
  expired = createServer((request, response) => {
    const isJson = !`${request.headers['content-type']}`.includes('form');
    response.writeHead(400, { 'content-type': isJson ? 'application/x-amz-json-1.1' : 'text/xml' });
    response.end(
      isJson
        ? JSON.stringify({ __type: 'ExpiredTokenException', message: 'expired' })
        : '<ErrorResponse><Error><Code>ExpiredToken</Code><Message>expired</Message></Error></ErrorResponse>',
    );
  });
  expired.listen(0, '127.0.0.1');
  await once(expired, 'listening');
});

afterAll(() => {
  aws.close();
  expired.close();
  rmSync(folder, { recursive: true });
});

describe.each(NAMES)('npm run %s', (name) => {
  const words = ARGUMENTS[name] ?? [];

  it('refuses an unknown option, and names the nearest one', async () => {
    const { options } = await commandOf(name);
    const { status, stdout, stderr } = await runInProcess(name, [...words, '--jsno']);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^error: unknown option '--jsno'/);
    if (options.includes('--json')) expect(stderr).toContain('(Did you mean --json?)');
    expect(stderr).toContain('Add --help to see all options.');
  });

  it('has the options that every command has', async () => {
    const { aws: talksTo, options } = await commandOf(name);
    expect(options.includes('--json')).toBe(!WITHOUT_JSON.includes(name));
    if (talksTo !== undefined) expect(options).toContain('--stack');
  });
});

describe('a command that talks to AWS', () => {
  const EXPIRED = /^Your (sign-in to AWS has|credentials have) expired\..*\n?$/;

  it.each(NAMES)('says one sentence about expired credentials: npm run %s', async (name) => {
    const { aws: talksTo } = await commandOf(name);
    if (talksTo === undefined || talksTo === 'optional') return;
    const file = FLEETS_FILE[name] === undefined ? [] : ['--fleets', fleets];
    const { status, stdout, stderr } = await runAgainstAws(
      address(expired),
      name,
      [...(ARGUMENTS[name] ?? []), ...file],
      { stdin: 'CCIPAT_commands_0123456789\n\n' },
    );
    expect({ stdout, stderr }).toEqual({ stdout: '', stderr: expect.stringMatching(EXPIRED) });
    expect(status).toBe(2);
  });

  it.each(NAMES)('refuses what is no region: npm run %s', async (name) => {
    const { aws: talksTo } = await commandOf(name);
    if (talksTo === undefined) return;
    const { status, stdout, stderr } = await runInProcess(name, [
      ...(ARGUMENTS[name] ?? []),
      '--region',
      'Ireland',
    ]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('It must be the name of a region, such as eu-west-1.');
  });
});

/** Command lines that need no more than the stand-in of AWS. */
const WITH_JSON: { name: CommandName; words: string[] }[] = [
  { name: 'start', words: ['--hours', '1', '--fleet', 'other'] },
  { name: 'schedules', words: ['other'] },
  { name: 'zones', words: [] },
  { name: 'status', words: [] },
  { name: 'doctor', words: [] },
];

it.each([...WITH_JSON, { name: 'explain' as const, words: ['linux'] }])(
  'npm run $name -- --json prints one JSON object and nothing else',
  async ({ name, words }) => {
    const file = FLEETS_FILE[name] === undefined ? [] : ['--fleets', fleets];
    const { stdout, stderr } = await runAgainstAws(address(aws.server), name, [...words, ...file, '--json']);
    expect(typeof JSON.parse(stdout)).toBe('object');
    expect(stderr).toBe('');
  },
);

it.each([
  { given: 'statsu', said: 'got "statsu"; the nearest one is status. --help says what each does.' },
  { given: 'logs', said: 'got "logs". --help says what each does.' },
])('an unknown command $given is a usage error, with the nearest command', async ({ given, said }) => {
  const running = promisify(execFile)(process.execPath, commandWords(given));
  await expect(running).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining(said) });
});

describe('fleets that share settings by a merge key', () => {
  it.each(WITH_JSON)('are read by npm run $name', async ({ name, words }) => {
    const { stderr } = await runAgainstAws(address(aws.server), name, [...words, '--fleets', fleets]);
    expect(stderr).toBe('');
  });

  it('are read by npm run simulate -- --fleet, which reads fleets.yaml in its folder', async () => {
    const words = commandWords('simulate', '--fleet', 'other', '--policies', 'ours', '--json');
    const { stdout } = await promisify(execFile)(process.execPath, words, { cwd: folder });
    expect(JSON.parse(stdout)).toMatchObject({ policies: expect.anything() });
  });

  it.each(['secrets', 'recycle', 'start', 'schedules', 'zones'] as const)(
    'are known to npm run %s, which names them and --fleets where another is asked for',
    async (name) => {
      const asked = name === 'start' ? ['--fleet', 'large'] : ['large'];
      const { status, stderr } = await runAgainstAws(address(aws.server), name, [
        ...asked,
        '--fleets',
        fleets,
      ]);
      expect(status).toBe(2);
      expect(stderr).toContain(`must be one of ${fleets} (linux, other), got "large"`);
      expect(stderr).toContain('To read another file: --fleets FILE');
    },
  );

  it('are read by each command with --fleets', async () => {
    const reading = await Promise.all(
      NAMES.map(async (name) => ((await commandOf(name)).options.includes('--fleets') ? [name] : [])),
    );
    // init writes the file.
    expect(reading.flat().sort()).toEqual([...Object.keys(FLEETS_FILE), 'init'].sort());
  });
});
