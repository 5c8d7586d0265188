import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { DescribedInstance } from '../support/metadata-service.ts';
import type { BootFaults, Connection, World } from './world.ts';

/** Not synchronously: the world around the instances answers in this very process. */
const execute = promisify(execFile);

/** Where systemd keeps its control groups: version 2, or the hybrid layout. */
function hierarchies(): string[] {
  const hybrid = ['/sys/fs/cgroup/systemd', '/sys/fs/cgroup/unified'].filter((path) => existsSync(path));
  return hybrid.length > 0 ? hybrid : ['/sys/fs/cgroup'];
}

/** Whether a process still runs; the first of the namespaces around this one may not clear away what has ended. */
function alive(id: string): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${id}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

export interface MachineOptions {
  /** Where its scripts find the outside world, if not where it is for all. */
  environment?: Record<string, string>;
  faults?: BootFaults;
  /** Whether answers of the metadata service reach containers on it, as a hop limit of 2 allows. */
  metadataForContainers?: boolean;
  /** How much it can write to its disk. */
  diskMegabytes?: number;
  /** Block devices of the machine that runs the tests that are its instance store. */
  instanceStore?: string[];
}

/** An instance: a copy of the stock image, on which a real systemd boots, and whose disk survives reboots. */
export class Machine {
  /** What its console showed so far. */
  console = '';
  /** The environment of its services: where they find the outside world. */
  readonly environment: Record<string, string>;
  /** Its root folder, as seen from outside. */
  readonly root: string;
  readonly #network: Connection;
  readonly #folder = mkdtempSync(join(tmpdir(), 'instance-'));
  readonly #controlGroups: string[];
  readonly #image: string;
  #devices: string[] = [];
  #nspawn: ChildProcess | undefined;

  /**
   * @param image Folders that make up its disk when it is new, separated by colons, the upper before the lower.
   * @param instance What its metadata service knows of it, user data included.
   */
  constructor(
    image: string,
    world: World,
    instance: DescribedInstance,
    {
      environment = {},
      faults = {},
      metadataForContainers = false,
      diskMegabytes,
      instanceStore = [],
    }: MachineOptions = {},
  ) {
    this.root = join(this.#folder, 'root');
    this.#image = image;
    this.#controlGroups = hierarchies().map((hierarchy) => join(hierarchy, basename(this.#folder)));
    for (const part of ['root', 'disk']) mkdirSync(join(this.#folder, part));
    const disk = join(this.#folder, 'disk');
    const size = diskMegabytes === undefined ? [] : ['-o', `size=${diskMegabytes}m`];
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', ...size, disk]);
    for (const part of ['upper', 'work']) mkdirSync(join(disk, part));
    const layers = `lowerdir=${image},upperdir=${disk}/upper,workdir=${disk}/work`;
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', layers, this.root]);
    // By which cloud-init knows EC2 where there is no DMI.
    writeFileSync(join(this.#folder, 'uuid'), `ec2${randomUUID().slice(3)}\n`);
    const variables: Record<string, string> = {
      AWS_ENDPOINT_URL: world.awsUrl,
      RUNNER_RELEASES_URL: `${world.downloads}/releases`,
      AGENT_URL: `${world.downloads}/agent`,
      AGENT_KEY: world.agentKey,
      // No udev runs on it, and its /dev is new at each boot.
      DISKS: '/dev-disk',
      ...environment,
    };
    this.environment = variables;
    const words = Object.entries(variables).map(([name, value]) => `"${name}=${value}"`);
    this.write('etc/systemd/system.conf.d/world.conf', `[Manager]\nDefaultEnvironment=${words.join(' ')}\n`);
    this.#network = world.connect(instance, faults, metadataForContainers);
    this.#attach(instanceStore);
    this.write('etc/systemd/network/outside.network', this.#network.configuration);
  }

  /** Shows it disks, by the names that udev gives them on EC2. */
  #attach(disks: string[]): void {
    this.#devices = disks.map((disk) => `--bind=${disk}`);
    disks.forEach((disk, index) => {
      this.link(`dev-disk/nvme-Amazon_EC2_NVMe_Instance_Storage_AWS${index}`, disk);
    });
  }

  write(path: string, text: string, mode = 0o644): void {
    mkdirSync(join(this.root, path, '..'), { recursive: true });
    writeFileSync(join(this.root, path), text, { mode });
  }

  link(path: string, target: string): void {
    mkdirSync(join(this.root, path, '..'), { recursive: true });
    symlinkSync(target, join(this.root, path));
  }

  read(path: string): string {
    return readFileSync(join(this.root, path), 'utf8');
  }

  /** Switches it on. */
  start(): void {
    // In control groups of its own: systemd takes those that it finds itself in for its own, with all below.
    const isolate = this.#controlGroups.map((group) => `mkdir -p ${group} && echo $$ >${group}/cgroup.procs`);
    const options = [
      '--register=no',
      '--keep-unit',
      '--quiet',
      '--capability=CAP_NET_ADMIN',
      '--resolv-conf=off',
      `--directory=${this.root}`,
      `--bind-ro=${this.#folder}/uuid:/sys/hypervisor/uuid`,
      ...this.#devices,
    ];
    this.#nspawn = spawn(
      'sh',
      [
        '-c',
        [...isolate, 'exec "$@"'].join(' && '),
        '-',
        'systemd-nspawn',
        ...options,
        '--private-network',
        '--kill-signal=SIGRTMIN+3',
        'sh',
        '-c',
        // As on EC2, the interface is there before systemd is.
        `until [ -e /sys/class/net/${this.#network.name} ]; do sleep 0.01; done; exec /lib/systemd/systemd systemd.log_color=0`,
      ],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...process.env,
          SYSTEMD_COLORS: '0',
          // Stock images of today have version 2 of control groups alone.
          SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1',
          // Docker needs calls that containers are refused.
          SYSTEMD_SECCOMP: '0',
        },
      },
    );
    void this.#plugIn();
    // It has rebooted: https://www.freedesktop.org/software/systemd/man/latest/systemd-nspawn.html
    this.#nspawn.on('exit', (code) => {
      if (code === 133) this.start();
    });
    for (const stream of [this.#nspawn.stdout, this.#nspawn.stderr]) {
      stream?.on('data', (chunk) => {
        this.console += chunk;
      });
    }
  }

  /** Gives it its network interface as soon as there is a network namespace for it. */
  async #plugIn(): Promise<void> {
    const nspawn = this.#nspawn;
    const namespace = (id: string) => readlinkSync(`/proc/${id}/ns/net`);
    while (this.on && this.#nspawn === nspawn) {
      try {
        const leader = this.#leader();
        if (namespace(leader) !== namespace('self')) return this.#network.plugInto(leader);
      } catch {
        // It is not there yet, or not any more.
      }
      await sleep(10);
    }
  }

  /** The process that is the first one of the machine, as its number is seen from outside. */
  #leader(): string {
    const children = readFileSync(`/proc/${this.#nspawn?.pid}/task/${this.#nspawn?.pid}/children`, 'utf8');
    return children.trim().split(' ')[0] ?? '';
  }

  get on(): boolean {
    return this.#nspawn !== undefined && this.#nspawn.exitCode === null && this.#nspawn.signalCode === null;
  }

  /** Waits until it has switched itself off. */
  async off(seconds: number): Promise<void> {
    await this.until(() => !this.on, seconds, 'it switches itself off');
  }

  /** Waits until something is so. */
  async until(condition: () => boolean, seconds: number, what: string): Promise<void> {
    const end = Date.now() + seconds * 1_000;
    while (!condition()) {
      if (Date.now() > end)
        throw new Error(`After ${seconds} s still not so: ${what}. Console:\n${this.console}`);
      await sleep(100);
    }
  }

  /** Waits until the console shows something. */
  async shows(text: string | RegExp, seconds: number): Promise<void> {
    const seen = () => (typeof text === 'string' ? this.console.includes(text) : text.test(this.console));
    await this.until(seen, seconds, `the console shows ${text}`);
  }

  /** Stops it in an orderly way, as EC2's stop does. */
  async stop(): Promise<void> {
    this.#nspawn?.kill('SIGTERM');
    await this.off(60);
  }

  /** Runs a command on it, while it is on, and returns what it prints. */
  async run(...words: string[]): Promise<string> {
    const namespaces = ['--mount', '--pid', '--net', '--ipc', '--uts'];
    return (await execute('nsenter', ['--target', this.#leader(), ...namespaces, '--', ...words])).stdout;
  }

  /** Copies its disk, when it is off, and returns the folders of the image of it. */
  snapshot(): string {
    const copy = mkdtempSync(join(tmpdir(), 'image-'));
    execFileSync('cp', ['--archive', join(this.#folder, 'disk/upper'), copy]);
    return `${join(copy, 'upper')}:${this.#image}`;
  }

  /** Runs a command in its root, when it is off, and returns what it prints. */
  async inspect(...words: string[]): Promise<string> {
    return (await execute('chroot', [this.root, ...words])).stdout;
  }

  /** Pulls the plug. */
  async cut(): Promise<void> {
    if (this.#nspawn === undefined || !this.on) return;
    const gone = once(this.#nspawn, 'exit');
    const leader = this.#leader();
    this.#nspawn.kill('SIGKILL');
    await gone;
    // All processes of its namespace go with the first one, which outlives its parent otherwise, but not at once.
    if (alive(leader)) process.kill(Number(leader), 'SIGKILL');
    while (alive(leader)) await sleep(10);
  }

  /** Pulls the plug and throws it away. */
  async discard(): Promise<void> {
    await this.cut();
    for (const mounted of [this.root, join(this.#folder, 'disk')]) execFileSync('umount', [mounted]);
    for (const group of this.#controlGroups.filter((path) => existsSync(path))) {
      execFileSync('find', [group, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';']);
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
