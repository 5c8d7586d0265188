import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';

/** Its own, because other tests begin and end meanwhile. */
const TMPDIR = mkdtempSync(join(tmpdir(), 'watch-test-'));

afterAll(() => rmSync(TMPDIR, { recursive: true, force: true, maxRetries: 5 }));

/**
 * How long processes and files may stay after the end of the command, in milliseconds. With nothing else to do, a machine
 * takes less than 2 s; these tests run beside others, which use all of its cores.
 */
const GONE_WITHIN = 10_000;

const PATIENCE = 240_000;

/** Folders of the command; tsx keeps what it has compiled. */
const folders = () => readdirSync(TMPDIR).filter((name) => !name.startsWith('tsx-'));

/** All processes that the command has started, directly or not: the folder is in the environment of each. */
function processes(): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      // A process that has ended has no environment any more.
      if (!readFileSync(`/proc/${pid}/environ`, 'utf8').includes(TMPDIR)) return [];
      return [`${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`];
    } catch {
      return [];
    }
  });
}

/** The command, with what it has printed so far. */
class Local {
  said = '';
  readonly process: ChildProcess;
  readonly ended: Promise<number>;

  constructor() {
    const { AWS_ENDPOINT_URL: _, ...environment } = process.env;
    const words = ['--import', 'tsx', 'cli/main.ts', 'local'];
    this.process = spawn(process.execPath, words, { env: { ...environment, TMPDIR } });
    for (const output of [this.process.stdout, this.process.stderr])
      output?.on('data', (chunk) => {
        this.said += chunk;
      });
    this.ended = new Promise((resolve) => {
      this.process.once('exit', (code, signal) =>
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
      );
    });
    // A test that fails leaves nothing either.
    onTestFinished(() => {
      this.process.kill('SIGKILL');
    });
  }

  async says(pattern: RegExp): Promise<void> {
    for (let waited = 0; !pattern.test(this.said); waited += 20) {
      if (waited > PATIENCE || this.process.exitCode !== null)
        throw new Error(`It does not say ${pattern}, but\n${this.said}`);
      await sleep(20);
    }
  }

  /** Sends a signal, and waits until nothing is left. */
  async endsBy(signal: NodeJS.Signals): Promise<{ code: number; milliseconds: number }> {
    const began = performance.now();
    this.process.kill(signal);
    const code = await this.ended;
    while (processes().length > 0 || folders().length > 0) {
      const milliseconds = performance.now() - began;
      if (milliseconds > GONE_WITHIN) throw new Error(`Left: ${[...processes(), ...folders()].join('\n')}`);
      await sleep(20);
    }
    return { code, milliseconds: performance.now() - began };
  }
}

it('npm run local prints each decision when it is made, from the first second on', {
  timeout: PATIENCE,
}, async () => {
  const local = new Local();
  // What is outside the one folder that is watched stays if the command is killed.
  const seen = new Set<string>();
  const look = setInterval(() => {
    for (const name of folders()) seen.add(name);
  }, 10);
  onTestFinished(() => clearInterval(look));
  await local.says(/Storing the secret/);
  const stored = performance.now();
  await local.says(/desired 4: .*desired capacity rises from 0 to 4/);
  // The schedule alone would take up to a minute.
  expect(performance.now() - stored).toBeLessThan(30_000);
  expect(local.said).toContain('2 AWS::CloudWatch::CompositeAlarm, 4 AWS::Logs::QueryDefinition');
  // The execution goes on: it has ended no poll of the others yet.
  expect(local.said).not.toContain('SUCCEEDED');
  await local.says(/stays at 4: /);
  await local.says(/SUCCEEDED in .*, after \d+ polls/);
  expect([...seen].filter((name) => !name.startsWith('circleci-runners-'))).toEqual([]);
  await local.endsBy('SIGINT');
});

const MOMENTS = [
  { moment: 'MiniStack starts', shows: /Starting MiniStack/ },
  { moment: 'the app is synthesised', shows: /Synthesising the app/ },
  { moment: 'the CDK is bootstrapped', shows: /Bootstrapping the CDK/ },
  { moment: 'the app is deployed', shows: /Deploying the app/ },
  { moment: 'the workflow runs', shows: /desired capacity rises/ },
];

const SIGNALS: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGKILL'];

describe.each(MOMENTS)('while $moment', ({ shows }) => {
  it.each(SIGNALS)('%s leaves nothing', { timeout: PATIENCE + 60_000, retry: 1 }, async (signal) => {
    const local = new Local();
    await local.says(shows);
    // Not in the instant in which the line is printed, but while the step runs.
    await sleep(400);
    expect(processes().length).toBeGreaterThan(1);
    const { code, milliseconds } = await local.endsBy(signal);
    expect(code).toBe(128 + constants.signals[signal]);
    expect(milliseconds).toBeLessThan(GONE_WITHIN);
  });
});
