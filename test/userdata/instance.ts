import { spawn, spawnSync } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect } from 'vitest';
import { type Answer, InstanceAws, type InstanceCall, success } from '../support/instance-aws.ts';
import { MetadataService, metadataOf } from '../support/metadata-service.ts';

const USERDATA = fileURLToPath(new URL('../../userdata/', import.meta.url));

export const INSTANCE_ID = 'i-0123456789abcdef0';

/** What scripts find on their PATH, besides stubs: nothing of the machine that a test runs on can be changed by it. */
const COMMANDS = [
  'bash',
  'cat',
  'chmod',
  'curl',
  'cut',
  'dirname',
  'flock',
  'grep',
  'install',
  'mkdir',
  'mktemp',
  'python3',
  'rm',
  'sha256sum',
  'sleep',
  'sort',
  'tail',
  'tee',
  'timeout',
  'touch',
] as const;

/** As root, a fault in a script would reach the machine that it is tested on. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;

/** The uptime at which a test begins, in seconds. */
const STARTED_AT = 20;

/** A run that takes longer hangs, in milliseconds. */
const DEADLINE = 25_000;

/** Where a command lies, if it does. */
function pathOf(command: string): string | undefined {
  return `/usr/bin:/bin:/usr/sbin:/sbin:${process.env.PATH}`
    .split(':')
    .map((folder) => join(folder, command))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** Where a command lies that a stub stands before. */
export const realPath = (command: string) => pathOf(command) ?? command;

/** Why the scripts cannot run here, if they cannot. */
function missingHere(): string | undefined {
  if (process.platform !== 'linux') return 'they need Linux';
  const missing = COMMANDS.filter((command) => pathOf(command) === undefined);
  if (missing.length > 0) return `they need ${missing.join(', ')}`;
  const version = (command: (typeof COMMANDS)[number]) => {
    const { stdout } = spawnSync(realPath(command), ['--version'], { encoding: 'utf8', ...NOBODY });
    return Number(/\d+\.\d+/.exec(stdout ?? '')?.[0] ?? 0);
  };
  // The first with x-amz-content-sha256 in the signature: https://github.com/curl/curl/pull/9804
  if (version('curl') < 7.87) return 'they need curl 7.87 or newer';
  if (version('bash') < 5) return 'they need bash 5 or newer';
  if (version('python3') < 3) return 'they need python3';
  return undefined;
}

const missing = missingHere();
const running = new Set<Instance>();

/** A `describe` that tells why, if the scripts cannot run here. Its tests wait for processes more than they compute. */
export function describeScript(name: string, tests: () => void): void {
  if (missing !== undefined) return void describe.skip(`${name} (skipped: ${missing})`, tests);
  afterAll(() => {
    for (const instance of running) instance.end();
    running.clear();
  });
  describe.concurrent(name, tests);
}

/** An item's value, or its values in the order of the requests. The last one stays. `undefined` is a 404. */
type Item = string | (string | undefined)[];

class ChangingMetadata extends Map<string, string> {
  readonly #items = new Map<string, Item>(metadataOf(INSTANCE_ID, 'InService'));

  /** What an item is from now on. */
  become(name: string, item: Item): void {
    this.#items.set(name, typeof item === 'string' ? item : [...item]);
  }

  override get(name: string): string | undefined {
    const item = this.#items.get(name);
    if (!Array.isArray(item)) return item;
    return item.length > 1 ? item.shift() : item[0];
  }
}

export const TARGET_STATE = 'autoscaling/target-lifecycle-state';

/** Lines of shell by which the uptime that scripts read goes on, by a number of whole seconds. */
export const goesOn = (seconds: string) =>
  `read -r up _ <"$UPTIME"; echo "$((\${up%.*} + ${seconds})).00 0.00" >"$UPTIME"`;

/** Body of a `sleep` that takes no time, but whose time passes, in whole seconds, rounded up. */
const PASSES = `whole=\${1%.*}; case $1 in *.*) whole=$((whole + 1)) ;; esac; ${goesOn('whole')}`;

export interface InstanceOptions {
  /** Metadata that differ from those of an instance in service. */
  metadata?: Record<string, Item>;
  /** What AWS answers; success without it. */
  answer?: (call: InstanceCall, headers: Record<string, unknown>) => Answer | Promise<Answer>;
  /** Commands that the instance has, or has otherwise, as the bodies of shell scripts. */
  commands?: Record<string, string>;
  /** What scripts marked as behind this very instance. */
  marks?: readonly string[];
  /** Other files that scripts keep. */
  kept?: Record<string, string>;
  environment?: Record<string, string>;
}

export interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** The scripts as they lie on an instance, in a folder of its own, until the tests of a file end. */
export class Instance {
  readonly folder = mkdtempSync(join(tmpdir(), 'userdata-'));
  readonly lib = join(this.folder, 'lib');
  readonly state = join(this.folder, 'state');
  readonly config = join(this.folder, 'config');
  readonly metadata = new ChangingMetadata();
  /** What AWS answers. */
  answer: NonNullable<InstanceOptions['answer']>;
  readonly #bin = join(this.folder, 'bin');
  readonly #record = join(this.folder, 'commands');
  readonly #uptime = join(this.folder, 'uptime');
  readonly #imds = new MetadataService(() => ({ metadata: this.metadata }));
  readonly #aws: InstanceAws;
  #environment: Record<string, string> = {};

  private constructor({ metadata = {}, answer = ({ action }) => success(action) }: InstanceOptions) {
    for (const [name, item] of Object.entries(metadata)) this.metadata.become(name, item);
    this.answer = answer;
    this.#aws = new InstanceAws((call, { headers }) => this.answer(call, headers));
  }

  static async start(options: InstanceOptions = {}): Promise<Instance> {
    const instance = new Instance(options);
    running.add(instance);
    await instance.#aws.listen('127.0.0.1', 0);
    instance.#environment = {
      PATH: instance.#bin,
      LIB: instance.lib,
      STATE: instance.state,
      RUN: join(instance.folder, 'run'),
      UPTIME: instance.#uptime,
      CONFIG: instance.config,
      WORK: join(instance.folder, 'work'),
      ROOT: instance.folder,
      IMDS_URL: await instance.#imds.listen('127.0.0.1', 0),
      AWS_ENDPOINT_URL: instance.#aws.url,
      AWS_REGION: 'eu-west-1',
      INSTANCE_ID,
      GROUP_NAME: 'circleci-runners-arm',
      LOG_GROUP_NAME: '',
      ...options.environment,
    };
    instance.#layOut(options);
    return instance;
  }

  #layOut({ commands = {}, marks = [], kept = {} }: InstanceOptions): void {
    const real = COMMANDS.map((command) => [command, `exec ${realPath(command)} "$@"`]);
    const bodies: Record<string, string> = { ...Object.fromEntries(real), sleep: PASSES, ...commands };
    const marked = marks.map((mark) => [mark, `${INSTANCE_ID}\n`]);
    const files: Record<string, string> = { ...Object.fromEntries(marked), ...kept };

    for (const folder of [this.lib, this.state, this.#bin]) mkdirSync(folder);
    for (const file of readdirSync(USERDATA).filter((name) => name.endsWith('.sh'))) {
      const library = ['aws.sh', 'packages.sh', 'prepare.sh'].includes(file);
      copyFileSync(join(USERDATA, file), join(this.lib, library ? file : basename(file, '.sh')));
    }
    for (const [command, body] of Object.entries(bodies)) {
      // Each command records how it was called: one write, so that those of a pipeline do not mix.
      const record = `printf '%s\\0' "${command} $*" >>'${this.#record}'`;
      writeFileSync(join(this.#bin, command), `#!/bin/sh\n${record}\n${body}\n`);
    }
    for (const [file, text] of Object.entries(files)) writeFileSync(join(this.state, file), text);
    writeFileSync(this.#record, '');
    writeFileSync(this.#uptime, `${STARTED_AT}.00 0.00\n`);

    this.own();
  }

  /** Gives all files to the user who runs the scripts: a test that has written some calls it. */
  own(): void {
    for (const name of ['.', ...readdirSync(this.folder, { recursive: true, encoding: 'utf8' })]) {
      const path = join(this.folder, name);
      chmodSync(path, 0o755);
      if (NOBODY !== undefined) chownSync(path, NOBODY.uid, NOBODY.gid);
    }
  }

  end(): void {
    this.#imds.close();
    this.#aws.close();
    rmSync(this.folder, { recursive: true });
  }

  /** What AWS was asked, in order. */
  get calls(): InstanceCall[] {
    return this.#aws.calls;
  }

  /** How commands were called, in order: of all, or the arguments of one. */
  commands(name?: string): string[] {
    const all = readFileSync(this.#record, 'utf8').split('\0').slice(0, -1);
    if (name === undefined) return all;
    return all.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));
  }

  /** How many seconds have passed, by the uptime that scripts read. */
  get elapsed(): number {
    return Number.parseFloat(readFileSync(this.#uptime, 'utf8')) - STARTED_AT;
  }

  /** Whether something is marked as behind this very instance. */
  marked(mark: string): boolean {
    const path = join(this.state, mark);
    return existsSync(path) && readFileSync(path, 'utf8') === `${INSTANCE_ID}\n`;
  }

  /** From now on scripts read the uptime of the machine that the test runs on. */
  clockIsReal(): void {
    this.#environment.UPTIME = '/proc/uptime';
  }

  /** Runs a script to its end. One that takes longer than the deadline, in milliseconds, hangs. */
  run(script: string, environment: Record<string, string> = {}, deadline: number = DEADLINE): Promise<Ended> {
    return this.#spawn(join(this.lib, script), [], environment, deadline);
  }

  /** Runs lines of bash with what the scripts share. */
  shell(lines: string, environment: Record<string, string> = {}): Promise<Ended> {
    return this.#spawn(join(this.#bin, 'bash'), ['-uc', `. "$LIB/aws.sh"\n${lines}`], environment);
  }

  async #spawn(
    file: string,
    words: string[],
    environment: Record<string, string>,
    deadline: number = DEADLINE,
  ): Promise<Ended> {
    // In a process group of its own, so that its children end with it.
    const child = spawn(file, words, {
      env: { ...this.#environment, ...environment },
      cwd: this.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      ...NOBODY,
    });
    const ended = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        ended[stream] += text;
      });
    }
    let hung = false;
    const timer = setTimeout(() => {
      hung = true;
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    }, deadline);
    const status = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject).on('close', resolve);
    }).finally(() => clearTimeout(timer));
    if (hung) throw new Error(`${basename(file)} hangs: ${ended.stderr}`);
    return { status, ...ended };
  }
}

/** Holds the random pauses of a script to their limits, one after the other, in seconds. */
export function expectPauses(instance: Instance, limits: readonly number[]): void {
  const pauses = instance.commands('sleep').map(Number);
  expect(pauses).toHaveLength(limits.length);
  pauses.forEach((pause, index) => {
    expect(pause).toBeGreaterThan(0);
    expect(pause).toBeLessThan(limits[index] ?? 0);
  });
}

/** Body of a `sleep` that fails after `count` pauses, which ends an endless loop. */
export const pausesEndAfter = (count: number) =>
  `${PASSES}; echo >>"$STATE/pauses"; n=0; while read -r _; do n=$((n + 1)); done <"$STATE/pauses"; [ $n -le ${count} ]`;

/** How an answer of AWS follows another: the last stays. */
export function inTurn(first: Answer, ...others: Answer[]): () => Answer {
  const answers = [first, ...others];
  return () => (answers.length > 1 ? answers.shift() : undefined) ?? answers[0] ?? first;
}
