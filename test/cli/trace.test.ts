import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadTrace } from '../../simulator/traces/load.ts';
import { commandWords } from '../support/bundled-commands.ts';
import { type Fault, type GivenPipeline, PRIVATE, ProjectApi } from '../support/circleci-api.ts';
import { type Ended, runInProcess } from '../support/in-process.ts';
import { address } from '../support/serve.ts';

const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString();

/** The time of day on the day of the jobs. */
const at = (time: string) => `2026-11-02T${time}Z`;

/** A project with every kind of pipeline, workflow and job, on three pages of pipelines. */
const pipelines = (): GivenPipeline[] => [
  {
    id: 'p-today',
    created: daysAgo(0.1),
    branch: 'topic',
    workflows: [
      {
        id: 'w-build',
        name: 'build',
        jobs: [
          {
            number: 7,
            name: 'lint',
            queued: at('09:00:00'),
            started: at('09:00:04'),
            stopped: at('09:01:04'),
          },
          { number: 8, queued: at('09:00:00'), parallelism: 3, resourceClass: 'acme/large' },
          { number: null, name: 'hold', type: 'approval', status: 'on_hold', started: null, stopped: null },
          { number: null, name: 'deploy', status: 'blocked', started: null, stopped: null },
          { number: 9, status: 'running', stopped: null },
        ],
      },
      // Rerun from failed: what had succeeded is listed again.
      {
        id: 'w-rerun',
        name: 'build',
        jobs: [
          { number: 7, name: 'lint' },
          { number: 10, queued: at('09:30:00'), started: at('09:31:00'), stopped: at('09:32:00') },
        ],
      },
    ],
  },
  {
    id: 'p-week',
    created: daysAgo(7),
    workflows: [
      { id: 'w-nightly', name: 'nightly', jobs: [{ number: 4, name: 'fuzz' }] },
      { id: 'w-week', name: 'build', jobs: [{ number: 5, status: 'failed', resourceClass: 'medium' }] },
    ],
  },
  { id: 'p-empty', created: daysAgo(8), workflows: [] },
  {
    id: 'p-fortnight',
    created: daysAgo(14),
    workflows: [{ id: 'w-fortnight', name: 'build', jobs: [{ number: 3, queued: at('07:00:00') }] }],
  },
  { id: 'p-old', created: daysAgo(31), workflows: [{ id: 'w-old', name: 'build', jobs: [{ number: 1 }] }] },
  { id: 'p-older', created: daysAgo(32), workflows: [] },
  { id: 'p-oldest', created: daysAgo(60), workflows: [] },
];

let folder: string;
let api: ProjectApi;
let server: Server;
let out: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'trace-test-'));
  out = join(folder, 'trace.jsonl');
  api = new ProjectApi(pipelines());
  server = await api.listen();
});

afterEach(() => {
  server.close();
  server.closeAllConnections();
  rmSync(folder, { recursive: true });
});

/** Runs `npm run trace -- ...` against the stand-in. */
async function command(
  words: string[],
  { name = 'trace', token = api.token }: { name?: 'trace' | 'simulate'; token?: string } = {},
): Promise<Ended> {
  const ended = await runInProcess(name, words, { env: token === '' ? {} : { CIRCLECI_TOKEN: token } });
  expect(ended.stdout + ended.stderr).not.toContain(api.token);
  return ended;
}

/** The same as a process, which a signal ends; a killed one has no status. */
async function commandUntil(
  meanwhile: (kill: (signal: NodeJS.Signals) => void) => void,
): Promise<{ status: number | null; stderr: string }> {
  const child = spawn(process.execPath, commandWords('trace', ...words()), {
    env: { PATH: process.env.PATH, CIRCLECI_TOKEN: api.token },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = Promise.all([text(child.stdout), text(child.stderr)]);
  meanwhile((signal) => child.kill(signal));
  const [status] = await once(child, 'exit');
  const [stdout, stderr] = await said;
  expect(stdout + stderr).not.toContain(api.token);
  return { status, stderr };
}

/** The arguments for the stand-in, and more. */
const words = (...more: string[]) => [
  '--project',
  'gh/acme/app',
  '--days',
  '30',
  '--url',
  `${address(server)}/api/v2`,
  '--out',
  out,
  ...more,
];

const modeOf = (file: string) => (statSync(file).mode & 0o777).toString(8);

const download = (...more: string[]) => command(words(...more));
const numbers = () =>
  readFileSync(out, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).number);

describe('npm run trace -- --project gh/acme/app --days 30', () => {
  it('writes a trace of the jobs that ran, and nothing private', async () => {
    const { status, stdout, stderr } = await download();
    expect(stderr).toBe(
      [
        'Left out: 1 that are approvals (the first: hold of workflow build w-build).',
        'Left out: 1 that no runner ever started (the first: deploy of workflow build w-build).',
        'Left out: 1 that had not ended, or had no end time (the first: test of workflow build w-build).',
        'Left out: 1 that are listed again, by a workflow that was rerun from failed (the first: lint of workflow build w-rerun).',
        'A replay treats all these classes as one. --resource-class selects classes.',
        '',
      ].join('\n'),
    );
    expect(stdout).toMatch(/: 6 jobs of gh\/acme\/app, 8 tasks, since \d{4}-/);
    expect(status).toBe(0);
    expect(readdirSync(folder)).toEqual(['trace.jsonl']);
    expect(numbers()).toEqual([3, 4, 5, 7, 8, 10]);
    expect(readFileSync(out, 'utf8')).not.toContain(PRIVATE);
    expect(JSON.parse(readFileSync(out, 'utf8').split('\n')[4] ?? '')).toEqual({
      number: 8,
      name: 'test',
      status: 'success',
      latest_workflow: { name: 'build' },
      queued_at: at('09:00:00'),
      started_at: at('08:01:00'),
      stopped_at: at('08:03:00'),
      parallelism: 3,
      executor: { resource_class: 'acme/large' },
    });
    const { jobs, form, leftOut } = await loadTrace(out);
    expect({ form, leftOut }).toEqual({ form: "CircleCI's jobs", leftOut: [] });
    expect(jobs).toHaveLength(8);
    expect(jobs.at(0)).toEqual({ queuedAt: 0, durationSeconds: 120 });
    expect(jobs.at(-1)).toEqual({ queuedAt: 2.5 * 3_600, durationSeconds: 60 });
    const replay = await command(['--trace', out, '--policies', 'circleci-tutorial', '--json'], {
      name: 'simulate',
    });
    expect(JSON.parse(replay.stdout)).toMatchObject({
      trace: { source: out, jobs: 8 },
      policies: [{ jobs: 8 }],
    });
  });

  it('requests nothing twice, no older jobs, and no details of jobs that never ran', async () => {
    await download();
    expect(new Set(api.asked).size).toBe(api.asked.length);
    const asked = api.asked.map((target) => target.replace(/\?.*/, '').replace('/api/v2', ''));
    const details = asked.filter((path) => path.startsWith('/project/gh/acme/app/job/'));
    expect(details.map((path) => Number(path.split('/').at(-1))).sort((a, b) => a - b)).toEqual([
      3, 4, 5, 7, 8, 10,
    ]);
    // The third page has only older ones, so there is no fourth.
    expect(asked.filter((path) => path === '/project/gh/acme/app/pipeline')).toHaveLength(3);
    expect(asked).not.toContain('/pipeline/p-old/workflow');
  });

  it.each([
    { more: ['--branch', 'topic'], jobs: [7, 8, 10] },
    { more: ['--workflow', 'nightly'], jobs: [4] },
    { more: ['--days', '10'], jobs: [4, 5, 7, 8, 10] },
    { more: ['--resource-class', 'medium', 'acme/large'], jobs: [5, 8] },
  ])('filters: $more', async ({ more, jobs }) => {
    const { status } = await download(...more);
    expect({ status, jobs: numbers() }).toEqual({ status: 0, jobs });
  });

  it('prints one JSON object with --json', async () => {
    const { stdout, stderr } = await download('--json', '--resource-class', 'acme/linux', 'acme/none');
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      trace: out,
      project: 'gh/acme/app',
      since: expect.stringMatching(/Z$/),
      until: expect.stringMatching(/Z$/),
      jobs: 4,
      tasks: 4,
      resourceClasses: { 'acme/linux': 4, 'acme/none': 0 },
      leftOut: expect.arrayContaining([
        { reason: 'of other resource classes', count: 2, first: 'job 8, acme/large' },
      ]),
      requests: api.asked.length,
    });
  });
});

it('writes for its owner alone, and keeps the trace out of commits', async () => {
  execFileSync('git', ['init', '--quiet', folder]);
  await download();
  expect(modeOf(out)).toBe('600');
  expect(execFileSync('git', ['-C', folder, 'status', '--porcelain'], { encoding: 'utf8' })).toBe('');
});

describe('a download that meets faults', () => {
  it('retries passing faults', async () => {
    const faults: Record<string, Fault> = {
      'job/8': { status: 500 },
      'job/7': 'cut off',
      'job/5': { status: 200, body: '<html>' },
      'w-week/job': 'reset',
    };
    const met = new Set<string>();
    api.fault = (path, times) => {
      const end = Object.keys(faults).find((each) => path.endsWith(each));
      if (end === undefined || times > 1) return undefined;
      met.add(end);
      return faults[end];
    };
    const { status } = await download();
    expect({ status, jobs: numbers() }).toEqual({ status: 0, jobs: [3, 4, 5, 7, 8, 10] });
    expect([...met].sort()).toEqual(Object.keys(faults).sort());
  });

  it('waits for as long as a 429 says', async () => {
    let limitedAt = 0;
    api.fault = (path, times) => {
      if (!path.endsWith('/job/7') || times > 1) return undefined;
      limitedAt = Date.now();
      return { status: 429, headers: { 'retry-after': '1' } };
    };
    const { status } = await download();
    expect({ status, jobs: numbers() }).toEqual({ status: 0, jobs: [3, 4, 5, 7, 8, 10] });
    expect(Date.now() - limitedAt).toBeGreaterThan(900);
  });

  it('leaves out and reports deleted jobs', async () => {
    const gone = (path: string) => /job\/8$|p-week\/workflow$|w-fortnight\/job$/.test(path);
    api.fault = (path) => (gone(path) ? { status: 404, body: '{"message":"Not found"}' } : undefined);
    const { status, stderr } = await download();
    expect({ status, jobs: numbers() }).toEqual({ status: 0, jobs: [7, 10] });
    for (const what of [
      'Left out: 1 pipelines that CircleCI does not find any more (the first: p-week).',
      'Left out: 1 workflows that CircleCI does not find any more (the first: build w-fortnight).',
      'Left out: 1 that CircleCI does not find any more (the first: job 8).',
    ]) {
      expect(stderr).toContain(what);
    }
  });

  it('reports a malformed answer, stops at once, and continues from there later', async () => {
    const startedAt = Date.now();
    api.fault = (path) => {
      if (path.endsWith('/job/8')) return 'hang';
      return path.endsWith('/job/10') ? { status: 200, body: '{"number":"ten"}' } : undefined;
    };
    const { status, stdout, stderr } = await download('--json');
    // The deadline of job 8.
    expect(Date.now() - startedAt).toBeLessThan(20_000);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/job\/10 answered something unexpected: .*number/s);
    expect(stderr).toContain(`answers are kept in ${out}.partial; the same command continues from there.`);
    expect(readdirSync(folder)).toEqual(['trace.jsonl.partial']);
    api.fault = () => undefined;
    expect((await download()).status).toBe(0);
  });

  it('ends at once if it had to wait for a long time', async () => {
    api.fault = (path) =>
      path.endsWith('/job/8') ? { status: 429, headers: { 'retry-after': '3600' } } : undefined;
    const { status, stderr } = await download();
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /allows no more requests \(429\), and wants to be left alone for 3600 s\. \d+ answers are/,
    );
  });
});

describe('a download that is interrupted', () => {
  /** Ends the command as soon as it requests the details of this job. The stand-in never answers that request. */
  const interrupted = (signal: NodeJS.Signals, job: number) =>
    commandUntil((kill) => {
      api.fault = (path) => {
        if (!path.endsWith(`/job/${job}`)) return undefined;
        // Other running requests may end.
        setTimeout(() => kill(signal), 100);
        return 'hang';
      };
    });

  it.each<{ signal: NodeJS.Signals }>([{ signal: 'SIGINT' }, { signal: 'SIGKILL' }])(
    'by $signal leaves only what it has, goes on there, and comes to the same',
    async ({ signal }) => {
      await download();
      const whole = readFileSync(out, 'utf8');
      rmSync(out);
      const { status, stderr } = await interrupted(signal, 3);
      if (signal !== 'SIGKILL') {
        expect(status).toBe(130);
        expect(stderr).toMatch(
          /^Interrupted\. \d+ answers are kept in .+; the same command continues from there\.\n$/,
        );
      }
      expect(readdirSync(folder)).toEqual(['trace.jsonl.partial']);
      expect(modeOf(`${out}.partial`)).toBe('600');
      const kept = readFileSync(`${out}.partial`, 'utf8');
      expect(kept).not.toContain(api.token);
      expect(kept).not.toContain(PRIVATE);

      api.fault = () => undefined;
      const before = api.asked.length;
      const again = await download();
      expect(again.status).toBe(0);
      expect(again.stderr).toMatch(
        /^Continues with \d+ answers from .+, for the 30 days until .+\. To start again, delete that file\.\n/,
      );
      expect(readdirSync(folder)).toEqual(['trace.jsonl']);
      expect(readFileSync(out, 'utf8')).toBe(whole);
      const asked = api.asked.slice(before).map((target) => target.replace(/\?.*/, ''));
      expect(asked.every((path) => /\/pipeline$|\/job\/3$/.test(path))).toBe(true);
      expect(asked).toContain('/api/v2/project/gh/acme/app/job/3');
    },
  );

  it('keeps an existing trace until the new one is complete', async () => {
    writeFileSync(out, 'yesterday');
    await interrupted('SIGINT', 3);
    expect(readFileSync(out, 'utf8')).toBe('yesterday');
    api.fault = () => undefined;
    await download();
    expect(numbers()).toHaveLength(6);
  });

  it('leaves nothing if it has kept no answer', async () => {
    const { status, stderr } = await commandUntil((kill) => {
      api.fault = () => {
        kill('SIGINT');
        return 'hang';
      };
    });
    expect({ status, stderr }).toEqual({ status: 130, stderr: 'Interrupted. Nothing was downloaded.\n' });
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is not mixed with another download', async () => {
    await interrupted('SIGINT', 3);
    const { status, stderr } = await download('--days', '7');
    expect(status).toBe(2);
    expect(stderr).toContain('is of a download that has not ended: --project gh/acme/app --days 30');
  });

  it('names the damaged line of the kept answers', async () => {
    await interrupted('SIGINT', 3);
    appendFileSync(`${out}.partial`, 'nonsense\n');
    const { status, stderr } = await download();
    expect(status).toBe(2);
    expect(stderr).toMatch(
      /trace\.jsonl\.partial:\d+: must be a line .+, got "nonsense"\. Delete the file\.\n$/,
    );
  });
});

describe('a download that is refused', () => {
  it('sends no request without a token', async () => {
    const { status, stderr } = await command(words(), { token: '' });
    expect(status).toBe(2);
    expect(stderr).toContain('There is no token. Set CIRCLECI_TOKEN to a personal API token');
    expect(api.asked).toEqual([]);
  });

  it.each([
    {
      token: 'wrong',
      says: 'answered 401: {"message":"You must log in first."}. The token must be a personal API token',
    },
    { token: 'wr\u00F6ng', says: 'The token in CIRCLECI_TOKEN has characters that no token has.' },
  ])('explains the token $token', async ({ token, says }) => {
    const { status, stderr } = await command(words(), { token });
    expect(status).toBe(2);
    expect(stderr).toContain(says);
    expect(stderr).not.toContain(token);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('explains an unknown project', async () => {
    const { status, stderr } = await download('--project', 'gh/acme/ap');
    expect(status).toBe(2);
    expect(stderr).toContain(
      'answered 404: {"message":"Project not found"}. --project must be a project that',
    );
    expect(stderr).toContain('got "gh/acme/ap"');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('explains a time without jobs', async () => {
    api.pipelines.splice(0, 4);
    const { status, stderr } = await download();
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^No job of gh\/acme\/app matches, in 0 pipelines of the 30 days until .+\. Nothing was written\. Try more --days, .+\.\n$/,
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  it('explains a resource class without jobs, and names those with jobs', async () => {
    const { status, stderr } = await download('--resource-class', 'acme/linus');
    expect(status).toBe(2);
    expect(stderr).toContain('must be one that jobs of gh/acme/app used (acme/linux, acme/large, medium)');
    const before = api.asked.length;
    expect((await download('--resource-class', 'medium')).status).toBe(0);
    // The pages of pipelines, and nothing else.
    expect(api.asked.length - before).toBe(3);
  });

  it.each([
    { case: 'no project', words: [], says: "error: required option '--project <slug>' not specified" },
    {
      case: 'half a project',
      words: ['--project', 'acme/app'],
      says: '--project must have the form gh/acme/app, got "acme/app"',
    },
    {
      case: 'days',
      words: ['--project', 'gh/a/b', '--days', '0'],
      says: 'It must be a whole number from 1',
    },
    {
      case: 'requests',
      words: ['--project', 'gh/a/b', '--concurrency', '99'],
      says: 'a whole number from 1 to 32',
    },
    {
      case: 'a missing folder',
      words: ['--project', 'gh/a/b', '--out', '/nowhere/trace.jsonl'],
      says: '--out must be a file in an existing folder, got "/nowhere/trace.jsonl"',
    },
    {
      case: 'a folder',
      words: ['--project', 'gh/a/b', '--out', 'cli'],
      says: '--out must be a file such as trace.jsonl, got the folder "cli"',
    },
    {
      case: 'a URL that shows the token',
      words: ['--project', 'gh/a/b', '--url', 'http://ci.acme.com/api/v2'],
      says: '--url must have the form https://circleci.com/api/v2, got "http://ci.acme.com/api/v2"',
    },
    {
      case: 'half a URL',
      words: ['--project', 'gh/a/b', '--url', 'https://ci.acme.com'],
      says: 'got "https://ci.acme.com"',
    },
    {
      case: 'the token',
      words: ['--project', 'gh/a/b', '--token', 'x'],
      says: "error: unknown option '--token'",
    },
  ])('sends no request with a wrong option: $case', async ({ words, says }) => {
    const { status, stdout, stderr } = await command(words);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(says);
  });

  it('has a help text', async () => {
    const { status, stdout } = await command(['--help']);
    expect(status).toBe(0);
    for (const what of [
      'Usage: npm run trace --',
      'CIRCLECI_TOKEN',
      'one request for each job',
      '.partial',
    ]) {
      expect(stdout).toContain(what);
    }
  });
});
