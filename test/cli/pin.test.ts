import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCommand } from '../../cli/command-line/run.ts';
import { pinCommand } from '../../cli/pin.ts';
import { Terminal } from '../../cli/terminal/terminal.ts';
import { readRelease } from '../../fleets/runner-release.ts';
import { runInProcess } from '../support/in-process.ts';
import { address } from '../support/serve.ts';

let folder: string;
let out: string;
let server: Server;
/** What CircleCI publishes, by its path; nothing else exists. */
let published: Map<string, string>;

const ARCHITECTURES = ['amd64', 'arm64'] as const;
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const archiveOf = (version: string, architecture: string) => `runner ${version} for ${architecture}`;
const checksums = (version: string) =>
  Object.fromEntries(ARCHITECTURES.map((each) => [each, sha256(archiveOf(version, each))]));

/** An archive that breaks off after these 10 bytes. */
const BREAKS_OFF = 'breaks off';

/** Publishes a release as the current one; the address in the manifest names it so. */
function publish(version: string, named = version): void {
  for (const each of ARCHITECTURES) {
    published.set(`/${version}/circleci-runner_linux_${each}.tar.gz`, archiveOf(version, each));
  }
  const linux = Object.fromEntries(
    ARCHITECTURES.map((each) => [
      each,
      {
        url: `https://releases.example/circleci-runner/${named}/circleci-runner_linux_${each}.tar.gz`,
        sha256: sha256(archiveOf(version, each)),
      },
    ]),
  );
  published.set('/manifest.json', JSON.stringify({ releases: { current: { linux }, edge: {} } }));
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pin-test-'));
  out = join(folder, 'runner-release.json');
  published = new Map();
  publish('3.1.13');
  server = createServer((request, response) => {
    const body = published.get(request.url ?? '');
    if (body === BREAKS_OFF) {
      response.writeHead(200, { 'content-length': 1_000 });
      response.write(body, () => setTimeout(() => response.destroy(), 50));
      return;
    }
    const length = { 'content-length': Buffer.byteLength(body ?? '') };
    response.writeHead(body === undefined ? 403 : 200, length).end(body);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
});

afterEach(() => {
  server.close();
  server.closeAllConnections();
  rmSync(folder, { recursive: true });
});

const pin = (...words: string[]) =>
  runInProcess('pin', ['--out', out, '--url', `${address(server)}/`, ...words]);

describe('npm run pin', () => {
  it('writes the version and checksums of the current release, as a deployment reads them', async () => {
    const { status, stdout } = await pin();
    expect(status).toBe(0);
    expect(stdout).toContain('runner 3.1.13\n');
    expect(readRelease(out)).toEqual({ version: '3.1.13', sha256: checksums('3.1.13') });
  });

  it('pins another version, and says if the manifest does not list it', async () => {
    publish('3.1.14');
    const { status, stderr } = await pin('3.1.13');
    expect(status).toBe(0);
    expect(stderr).toContain("CircleCI's manifest does not list runner 3.1.13");
    expect(readRelease(out)).toEqual({ version: '3.1.13', sha256: checksums('3.1.13') });
  });

  it('shows on a terminal how much of the archives is there', async () => {
    let shown = '';
    const stderr = { isTTY: true, columns: 80, write: (text: string) => (shown += text) };
    const terminal = new Terminal({ stdout: { write: () => undefined }, stderr }, { shownAfter: 0 });
    const words = ['--out', out, '--url', address(server)];
    await runCommand(pinCommand, { words, terminal, stdin: Readable.from([]), env: {}, exitCode: 0 });
    expect(shown).toContain('0 of 1 MB');
  });

  it('asks for a version if the manifest does not say which one is current', async () => {
    publish('3.1.13', 'current');
    const { status, stderr } = await pin();
    expect(status).toBe(2);
    expect(stderr).toContain('npm run pin -- 3.1.13');
    expect(existsSync(out)).toBe(false);
  });

  it.each([
    {
      case: 'an archive is not the one in the manifest',
      change: () => published.set('/3.1.13/circleci-runner_linux_arm64.tar.gz', 'something else'),
      words: [],
      said: 'for arm64 has SHA-256',
      status: 1,
    },
    {
      case: 'there is no such release',
      change: () => {},
      words: ['3.9.9'],
      said: 'answered 403: there is no such release.',
      status: 1,
    },
    {
      case: 'the manifest is not one',
      change: () => published.set('/manifest.json', '<html>'),
      words: [],
      said: 'is not the manifest that this command knows',
      status: 1,
    },
    {
      case: 'the version would be another path',
      change: () => {},
      words: ['../3.1.13'],
      said: 'The version must be one such as 3.1.13',
      status: 2,
    },
    {
      case: 'the version is a name that changes',
      change: () => {},
      words: ['current'],
      said: 'The version must be one such as 3.1.13',
      status: 2,
    },
    {
      case: 'the releases would not come encrypted',
      change: () => {},
      words: ['--url', 'http://releases.example'],
      said: '--url must begin with https://',
      status: 2,
    },
    {
      case: 'a download breaks off',
      change: () => published.set('/3.1.13/circleci-runner_linux_arm64.tar.gz', BREAKS_OFF),
      words: [],
      said: 'circleci-runner_linux_arm64.tar.gz broke off after 10 bytes',
      status: 1,
    },
    {
      case: 'the releases cannot be reached',
      change: () => {},
      words: ['--url', 'http://127.0.0.1:1'],
      said: 'or set runner of each fleet, in fleets.yaml or in your app (docs/configuration.md).',
      status: 1,
    },
  ])('writes nothing if $case', async ({ change, words, said, status }) => {
    change();
    const ended = await pin(...words);
    expect(ended).toMatchObject({ status, stderr: expect.stringContaining(said) });
    expect(existsSync(out)).toBe(false);
  });
});

describe('npm run pin -- --check', () => {
  it('succeeds while the pinned release is the current one, and fails when there is a newer one', async () => {
    await pin();
    const pinned = readFileSync(out, 'utf8');
    expect(await pin('--check')).toMatchObject({
      status: 0,
      stdout: "Runner 3.1.13 is pinned, which is CircleCI's current release.\n",
    });
    publish('3.1.14');
    expect(await pin('--check')).toMatchObject({
      status: 3,
      stdout: "Runner 3.1.13 is pinned, and CircleCI's current release is 3.1.14. To update: npm run pin\n",
    });
    expect(readFileSync(out, 'utf8')).toBe(pinned);
  });

  it('ends with another exit code if it could not compare, and its help says which', async () => {
    await pin();
    published.clear();
    expect(await pin('--check')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('answered 403'),
    });
    expect(await pin('--check', '--url', 'http://127.0.0.1:1')).toMatchObject({ status: 1 });
    expect((await pin('--help')).stdout).toMatch(/^ {2}1 +it failed$\n[\s\S]*^ {2}3 +with --check: /m);
  });

  it('refuses a version, because it would not be checked', async () => {
    expect(await pin('--check', '3.1.13')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('takes no version'),
    });
  });

  it('says what to do if nothing is pinned, or if the file is damaged', async () => {
    expect((await pin('--check')).stderr).toContain('Run npm run pin');
    writeFileSync(out, '{"version": "3.1.13", "sha256": {"amd64": "c0ffee", "arm64": "c0ffee"}}');
    expect(await pin('--check')).toMatchObject({ status: 2, stderr: expect.stringContaining('npm run pin') });
  });
});
