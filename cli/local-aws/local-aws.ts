import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { logicalId, STACK_NAME } from '../../fleets/names.ts';
import { OwnProcesses } from './own-processes.ts';
import { pythonEnvironment } from './python.ts';
import { leaveOutUnknown, type Resources } from './template.ts';

const REGION = 'eu-west-1';

/** MiniStack and its dependencies, with tested versions. */
const REQUIREMENTS = fileURLToPath(new URL('./ministack.txt', import.meta.url));

/** The compiled app of the package. In the repository there is none: `cdk.json` says how to run the source. */
const APP = fileURLToPath(new URL('../../infra/app.js', import.meta.url));

/** How long the emulator may take to start. */
const START_SECONDS = 60;

/** Attempts with another port: another process may take the chosen port before the emulator listens on it. */
const START_ATTEMPTS = 3;

const DEPLOY_SECONDS = 300;

/** How long the endpoint that somebody names may take to answer at all, in milliseconds. */
const REACH_MS = 5_000;

/** Nothing answers at `AWS_ENDPOINT_URL`. */
export class LocalAwsUnreachable extends Error {
  override readonly name = 'LocalAwsUnreachable';
}

type Report = (message: string) => void;

/** The local AWS failed. The message has the end of its output. */
export class LocalAwsFailed extends Error {
  override readonly name = 'LocalAwsFailed';
}

/** An AWS on this machine: an emulator that this process starts, or one that already runs. */
export class LocalAws {
  /** Environment variables with which AWS SDKs and the CDK use it. */
  readonly environment: Record<string, string>;
  readonly #processes: OwnProcesses;
  /** A folder for the files of this run; `stop` deletes it. */
  readonly folder: string;
  /** Resources of the app that the last deployment left out, because the local AWS does not support them. */
  leftOut: Resources = {};
  #bootstrapped: Promise<void> | undefined;

  private constructor(endpoint: string, folder: string, processes: OwnProcesses, isOwn: boolean) {
    this.#processes = processes;
    this.folder = folder;
    this.environment = {
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: process.env.AWS_REGION ?? REGION,
      AWS_DEFAULT_REGION: process.env.AWS_REGION ?? REGION,
      AWS_ACCESS_KEY_ID: isOwn ? 'test' : (process.env.AWS_ACCESS_KEY_ID ?? 'test'),
      AWS_SECRET_ACCESS_KEY: isOwn ? 'test' : (process.env.AWS_SECRET_ACCESS_KEY ?? 'test'),
      CDK_DISABLE_CLI_TELEMETRY: 'true',
    };
  }

  /** Makes the AWS clients of this process use it, and not a profile or session of the user. */
  adopt(): void {
    Object.assign(process.env, this.environment);
    delete process.env.AWS_PROFILE;
    delete process.env.AWS_SESSION_TOKEN;
  }

  /** The output of the emulator; empty if this process did not start it. */
  get logFile(): string {
    return join(this.folder, 'ministack.log');
  }

  /**
   * Uses the local AWS at `AWS_ENDPOINT_URL`, or starts MiniStack on a free port of the loopback interface.
   *
   * @param signal Ends what was started.
   * @throws PythonMissing, LocalAwsUnreachable, LocalAwsFailed
   */
  static async start(report: Report, { signal }: { signal?: AbortSignal } = {}): Promise<LocalAws> {
    // Not below this project, because its package.json would turn the scripts that MiniStack writes into modules.
    const makeFolder = () => mkdtempSync(join(tmpdir(), 'circleci-runners-'));
    const given = process.env.AWS_ENDPOINT_URL;
    if (given !== undefined && given !== '') {
      report(`Using the local AWS at ${given}`);
      await fetch(given, { signal: AbortSignal.timeout(REACH_MS) }).catch(() => {
        throw new LocalAwsUnreachable(
          `Nothing answers at ${given}, which AWS_ENDPOINT_URL names. Start your local AWS there, or unset AWS_ENDPOINT_URL: then this command starts one.`,
        );
      });
      const folder = makeFolder();
      const aws = new LocalAws(given, folder, new OwnProcesses(folder), false);
      signal?.addEventListener('abort', () => aws.stop(), { once: true });
      return aws;
    }
    const bin = await pythonEnvironment(REQUIREMENTS, report, signal);
    for (let attempt = 1; ; attempt += 1) {
      const port = await freePort();
      signal?.throwIfAborted();
      report(`Starting MiniStack on 127.0.0.1:${port}`);
      const folder = makeFolder();
      const aws = new LocalAws(`http://localhost:${port}`, folder, new OwnProcesses(folder), true);
      signal?.addEventListener('abort', () => aws.stop(), { once: true });
      try {
        await aws.#answers(aws.#startMiniStack(resolve(bin, 'ministack'), port), port, signal);
        return aws;
      } catch (error) {
        signal?.throwIfAborted();
        const portIsTaken = / in use/.test(readFileSync(aws.logFile, 'utf8'));
        aws.stop();
        if (!portIsTaken || attempt === START_ATTEMPTS) throw error;
      }
    }
  }

  #startMiniStack(ministack: string, port: number): ChildProcess {
    const { folder } = this;
    const log = openSync(this.logFile, 'a');
    return this.#processes.spawn(ministack, [], {
      cwd: folder,
      stdio: ['ignore', log, log],
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        TMPDIR: folder,
        S3_DATA_DIR: folder,
        GATEWAY_PORT: String(port),
        BIND_HOST: '127.0.0.1',
        MINISTACK_HOST: 'localhost',
        MINISTACK_REGION: REGION,
        LAMBDA_EXECUTOR: 'local',
        // Both would listen on every interface.
        IOT_MTLS_ENABLED: '0',
        SFTP_ENABLED: '0',
      },
    });
  }

  /** Waits until it answers. Its own log must name the port, because another emulator may answer there. */
  async #answers(emulator: ChildProcess, port: number, signal: AbortSignal | undefined): Promise<void> {
    const health = `${this.environment.AWS_ENDPOINT_URL}/_ministack/health`;
    for (let waited = 0; waited < START_SECONDS; waited += 0.25) {
      if (emulator.exitCode !== null) break;
      await sleep(250, undefined, signal && { signal });
      if (!readFileSync(this.logFile, 'utf8').includes(`Running on http://127.0.0.1:${port} `)) continue;
      const answer = await fetch(health, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
      if (answer?.ok) return;
    }
    throw new LocalAwsFailed(
      `MiniStack did not start within ${START_SECONDS} s. Its log ends with:\n${tail(readFileSync(this.logFile, 'utf8'))}`,
    );
  }

  /**
   * Bootstraps the CDK once and deploys the app, as `npx cdk deploy --all` does in an account. Leaves out and reports resources
   * that the local AWS does not support.
   *
   * @returns The outputs of the app's stacks. Those of a fleet begin with its name, as in LinuxGroupName.
   * @throws LocalAwsFailed
   */
  async deploy(
    fleetsFile: string,
    report: Report,
    {
      signal,
      stack = STACK_NAME,
      guardrails,
    }: { signal?: AbortSignal; stack?: string; guardrails?: string | undefined } = {},
  ): Promise<Record<string, string>> {
    const assembly = join(this.folder, `${stack}.out`);
    report('Synthesising the app');
    // An emulated instance does not boot, so no release of the runner needs to be pinned.
    const context = [
      `fleets=${fleetsFile}`,
      `stack=${stack}`,
      'runner=current',
      ...(guardrails === undefined ? [] : [`guardrails=${guardrails}`]),
    ].flatMap((each) => ['--context', each]);
    const app = existsSync(APP) ? ['--app', `"${process.execPath}" "${APP}"`] : [];
    await this.#cdk(['synth', '--quiet', '--output', assembly, ...app, ...context], signal);
    const byStack = await this.deployAssembly(assembly, report, { signal });
    return Object.fromEntries(
      Object.entries(byStack).flatMap(([name, values]) =>
        Object.entries(values).map(([key, value]) => [logicalId(name.slice(stack.length + 1)) + key, value]),
      ),
    );
  }

  /**
   * Bootstraps the CDK once and deploys all stacks of a cloud assembly. Leaves out and reports resources that the local AWS does
   * not support, in the assembly itself.
   *
   * @returns The outputs of each stack that has any.
   * @throws LocalAwsFailed
   */
  async deployAssembly(
    assembly: string,
    report: Report,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<Record<string, Record<string, string>>> {
    const outputs = `${assembly}.json`;
    this.#leaveOutUnknown(assembly, report);
    report('Bootstrapping the CDK');
    this.#bootstrapped ??= this.#cdk(['bootstrap', '--app', assembly], signal);
    await this.#bootstrapped;
    report('Deploying the app');
    await this.#cdk(
      ['deploy', '--all', '--app', assembly, '--require-approval=never', '--outputs-file', outputs],
      signal,
    );
    return JSON.parse(readFileSync(outputs, 'utf8'));
  }

  #leaveOutUnknown(assembly: string, report: Report): void {
    this.leftOut = {};
    for (const file of readdirSync(assembly).filter((name) => name.endsWith('.template.json'))) {
      const path = join(assembly, file);
      const { template, leftOut } = leaveOutUnknown(readFileSync(path, 'utf8'));
      writeFileSync(path, template);
      for (const [id, resource] of Object.entries(leftOut)) this.leftOut[`${file}/${id}`] = resource;
    }
    const types = Object.values(this.leftOut).map(({ Type }) => Type);
    const counted = [...new Set(types)].map(
      (type) => `${types.filter((other) => other === type).length} ${type}`,
    );
    if (counted.length > 0)
      report(`Left out, because the local AWS does not support it: ${counted.join(', ')}`);
  }

  #cdk(words: string[], signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const cdk = this.#processes.spawn(process.execPath, [cdkProgram(), ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ...this.environment,
        // A killed CDK leaves the files of its bootstrap behind. This folder does not outlive the command.
        TMPDIR: this.folder,
        AWS_PROFILE: undefined,
        AWS_SESSION_TOKEN: undefined,
      },
    });
    let output = '';
    const listen = (chunk: Buffer) => {
      output += chunk;
    };
    cdk.stdout?.on('data', listen);
    cdk.stderr?.on('data', listen);
    const deadline = AbortSignal.timeout(DEPLOY_SECONDS * 1_000);
    const end = signal === undefined ? deadline : AbortSignal.any([deadline, signal]);
    const kill = () => cdk.kill('SIGKILL');
    end.addEventListener('abort', kill, { once: true });
    return new Promise<void>((done, failed) => {
      const fail = (what: string) => failed(new LocalAwsFailed(`cdk ${words[0]} ${what}:\n${tail(output)}`));
      cdk.on('error', (error) => fail(error.message));
      cdk.on('close', (code) => {
        if (code === 0) done();
        else fail(deadline.aborted ? `took longer than ${DEPLOY_SECONDS} s` : `ended with exit code ${code}`);
      });
    }).finally(() => end.removeEventListener('abort', kill));
  }

  /** Stops what this process started, and deletes the files of this run. */
  stop(): void {
    this.#processes.end();
  }
}

/**
 * The CDK's command line, which is no dependency of the package.
 *
 * @throws LocalAwsFailed
 */
function cdkProgram(): string {
  try {
    return createRequire(import.meta.url).resolve('aws-cdk/bin/cdk');
  } catch {
    throw new LocalAwsFailed(
      'The command line of the AWS CDK is not installed. Install it: npm install --save-dev aws-cdk',
    );
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

const tail = (text: string) => text.trimEnd().split('\n').slice(-25).join('\n');
