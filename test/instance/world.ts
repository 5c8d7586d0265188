import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DescribedInstance, type Metadata, MetadataService } from '../support/metadata-service.ts';
import { Aws } from './auto-scaling.ts';
import { Dhcp } from './dhcp.ts';
import { Dns } from './dns.ts';
import { makeDownloads } from './downloads.ts';
import { MIRROR, makeMirror } from './mirror.ts';

/** The bridge that all instances are on, and the services of the outside world at its address. */
export const HOST = '10.77.0.1';
const AWS_PORT = 4566;
const DOWNLOADS_PORT = 8000;
const CIRCLECI_PORT = 8001;

/** How long the repository of the stock image takes to list its packages, in milliseconds. */
const ARCHIVE_DELAY = 1_000;

const ip = (...words: string[]) => execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'inherit'] });

/** A task that CircleCI has for a runner. */
export interface Task {
  /** Shell commands. */
  command: string;
}

/** What CircleCI heard of a runner. */
export interface Heard {
  claims: number;
  finished: { outcome: number | string; output: string }[];
}

/** What is wrong around an instance while it boots; times are in seconds since cloud-init fetched its user data. */
export interface BootFaults {
  /** Until when names are not resolved. */
  dnsSilentFor?: number;
  /** Until when the metadata service answers 503 to curl; cloud-init would give up. */
  metadataUnavailableFor?: number;
  /** By how much the instance's clock is behind that of AWS, and until when. */
  clock?: { behind: number; for: number };
}

/** An instance's place on the bridge. */
export interface Connection {
  /** The name of its interface. */
  name: string;
  /** How systemd-networkd sets its interface up. */
  configuration: string;
  /** Gives the network namespace of a process its interface, which goes with it. */
  plugInto: (process: string) => void;
}

interface Connected {
  instance: DescribedInstance;
  faults: BootFaults;
  fetchedAt: number | undefined;
}

/**
 * The world around instances, in a network namespace of its own: IMDSv2 at its true addresses, DNS, EC2 Auto Scaling,
 * Secrets Manager and S3 by moto, CircleCI, and package repositories.
 */
export class World {
  readonly downloads = `http://downloads.internal:${DOWNLOADS_PORT}`;
  readonly awsUrl = `http://aws.internal:${AWS_PORT}`;
  readonly circleciUrl = `http://circleci.internal:${CIRCLECI_PORT}`;
  /** SHA-256 of the archive of release 3.1.13. */
  runnerSha256 = '';
  /** The fingerprint of the key that signs the CloudWatch agent here. */
  agentKey = '';
  /** What an instance asks CircleCI for, by its name; one task each. */
  readonly tasks = new Map<string, Task>();
  readonly heard = new Map<string, Heard>();
  /** Configuration and log that CloudWatch agents sent. */
  readonly shipped: string[] = [];
  readonly aws = new Aws(
    (instanceId) => this.#setTargetState(instanceId, 'Terminated'),
    (address) => Date.now() + this.#clockFault(address) * 1_000,
  );
  /** By the addresses of each. */
  readonly #connected = new Map<string, Connected>();
  readonly #folder = mkdtempSync(join(tmpdir(), 'downloads-'));
  readonly #servers: Server[] = [];
  readonly #imds = new MetadataService((address) => this.#connected.get(address)?.instance);
  readonly #leases = new Map<string, string>();
  readonly #dhcp = new Dhcp(HOST, (mac) => this.#leases.get(mac));
  readonly #dns = new Dns(
    new Map(['aws', 'downloads', 'circleci'].map((name) => [`${name}.internal`, HOST])),
    (address) => this.#within(address, ({ dnsSilentFor }) => dnsSilentFor),
  );
  #machines = 0;

  /** @param python The `bin` folder of a Python environment with moto. */
  async open(python: string): Promise<void> {
    ip('link', 'set', 'lo', 'up');
    // With an address of its own, or it takes that of a port, another one whenever an instance comes or goes.
    ip('link', 'add', 'outside', 'address', '02:00:00:00:00:01', 'type', 'bridge');
    ip('address', 'add', `${HOST}/16`, 'dev', 'outside');
    ip('address', 'add', '169.254.169.254/32', 'dev', 'outside');
    ip('-6', 'address', 'add', 'fd00:ec2::1/64', 'dev', 'outside', 'nodad');
    ip('-6', 'address', 'add', 'fd00:ec2::254/128', 'dev', 'outside', 'nodad');
    ip('link', 'set', 'outside', 'up');
    // The hop limit of 1: an answer does not reach what lies a hop behind an instance, such as a container.
    execFileSync('nft', ['-f', '-'], {
      input: `table ip hops {
  set far { type ipv4_addr; }
  chain out {
    type filter hook output priority 0
    ip saddr 169.254.169.254 ip daddr != @far ip ttl set 1
  }
}
`,
    });
    await this.#imds.listen('169.254.169.254', 80);
    await this.#imds.listen('fd00:ec2::254', 80);
    ip('route', 'add', '255.255.255.255', 'dev', 'outside');
    await this.#dhcp.listen();
    await this.#dns.listen(HOST);
    ({ sha256: this.runnerSha256, agentKey: this.agentKey } = makeDownloads(this.#folder, this.downloads));
    await this.#serve(DOWNLOADS_PORT, async (method, path, body) => {
      if (method === 'POST') {
        this.shipped.push(body);
        return { status: 200, body: '' };
      }
      if (path === '/archive/Packages') await sleep(ARCHIVE_DELAY);
      const pace = path.startsWith('/mirror/') ? { pace: MIRROR.pace } : {};
      try {
        return { status: 200, body: readFileSync(join(this.#folder, normalize(path))), ...pace };
      } catch {
        return { status: 404, body: '', ...pace };
      }
    });
    await this.#serve(CIRCLECI_PORT, (_, path, body, token) => this.#circleci(path, body, token));
    await this.aws.open(python, HOST, AWS_PORT);
  }

  /** Makes a package repository of realistic size; returns its address, and the size of its index in bytes. */
  async openMirror(): Promise<{ url: string; indexBytes: number }> {
    return {
      url: `${this.downloads}/mirror`,
      indexBytes: await makeMirror(join(this.#folder, 'mirror')),
    };
  }

  close(): void {
    this.#imds.close();
    this.#dhcp.close();
    this.#dns.close();
    this.aws.close();
    for (const server of this.#servers) server.close();
    rmSync(this.#folder, { recursive: true });
  }

  /**
   * Gives an instance a place on the bridge, by whose addresses it is known.
   * @param containers Whether answers of the metadata service reach containers on it: a hop limit of more than 1.
   */
  connect(instance: DescribedInstance, faults: BootFaults, containers: boolean): Connection {
    this.#machines += 1;
    const number = this.#machines;
    const [address, address6] = [`10.77.1.${number}`, `fd00:ec2::1:${number}`];
    const mac = `02:00:00:00:01:${number.toString(16).padStart(2, '0')}`;
    this.#leases.set(mac, address);
    if (containers) execFileSync('nft', ['add', 'element', 'ip', 'hops', 'far', '{', address, '}']);
    const connected: Connected = {
      instance: {
        ...instance,
        unavailable: ({ url, headers }) => {
          if (url?.endsWith('/user-data')) connected.fetchedAt ??= Date.now();
          return (
            headers['user-agent']?.startsWith('curl/') === true &&
            this.#within(address, ({ metadataUnavailableFor }) => metadataUnavailableFor)
          );
        },
      },
      faults,
      fetchedAt: undefined,
    };
    for (const own of [address, address6]) this.#connected.set(own, connected);
    const name = `ens${number}`;
    return {
      name,
      configuration: `[Match]
Name=${name}
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
[Address]
Address=${address6}/64
DuplicateAddressDetection=none
`,
      plugInto: (process) => {
        const port = `port-${number}`;
        ip('link', 'add', port, 'type', 'veth', 'peer', 'name', name, 'address', mac, 'netns', process);
        ip('link', 'set', port, 'master', 'outside', 'up');
      },
    };
  }

  /** The services whose names an instance has asked for. */
  servicesOf(instanceId: string): string[] {
    const own = [...this.#connected].flatMap(([address, { instance }]) =>
      instance.metadata.get('instance-id') === instanceId ? [...(this.#dns.asked.get(address) ?? [])] : [],
    );
    return [...new Set(own.filter((name) => name.endsWith('.internal')))].sort();
  }

  /** Whether an instance is still within the seconds of a fault. */
  #within(address: string, fault: (faults: BootFaults) => number | undefined): boolean {
    const connected = this.#connected.get(address);
    if (connected?.fetchedAt === undefined) return false;
    return Date.now() < connected.fetchedAt + (fault(connected.faults) ?? 0) * 1_000;
  }

  #clockFault(address: string): number {
    const behind = this.#connected.get(address)?.faults.clock?.behind ?? 0;
    return this.#within(address, ({ clock }) => clock?.for) ? behind : 0;
  }

  async #serve(
    port: number,
    answer: (method: string, path: string, body: string, token: string) => Response | Promise<Response>,
  ): Promise<void> {
    const server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      const { method = '', url = '', headers } = request;
      const { pathname } = new URL(url, this.downloads);
      const { status, body: text, pace } = await answer(method, pathname, body, headers.authorization ?? '');
      if (pace === undefined) return void response.writeHead(status).end(text);
      await sleep(pace.latency);
      response.writeHead(status, { 'content-length': Buffer.byteLength(text) });
      await writeAt(pace.rate, Buffer.from(text), response);
    }).listen(port, HOST);
    await once(server, 'listening');
    this.#servers.push(server);
  }

  #circleci(path: string, body: string, token: string): { status: number; body: string } {
    if (token !== 'Bearer good-token') return { status: 401, body: '{}' };
    const { name, ...more } = JSON.parse(body);
    const heard = this.heard.get(name);
    if (heard === undefined) return { status: 404, body: '{}' };
    if (path === '/finished') {
      heard.finished.push(more);
      return { status: 200, body: '{}' };
    }
    const task = this.tasks.get(name);
    this.tasks.delete(name);
    if (task !== undefined) heard.claims += 1;
    return { status: 200, body: JSON.stringify(task ?? null) };
  }

  #setTargetState(instanceId: string, state: string): void {
    for (const { instance } of this.#connected.values()) {
      const metadata: Metadata = instance.metadata;
      if (metadata.get('instance-id') === instanceId)
        metadata.set('autoscaling/target-lifecycle-state', state);
    }
  }
}

interface Response {
  status: number;
  body: string | Buffer;
  /** How slowly it is sent: milliseconds until the first byte, and bytes a second. Default: at once. */
  pace?: { latency: number; rate: number };
}

const CHUNK = 262_144;

/** @param rate In bytes a second. */
async function writeAt(rate: number, body: Buffer, response: ServerResponse): Promise<void> {
  const begun = Date.now();
  for (let sent = 0; sent < body.length; sent += CHUNK) {
    response.write(body.subarray(sent, sent + CHUNK));
    const due = begun + (1_000 * Math.min(sent + CHUNK, body.length)) / rate;
    await sleep(Math.max(0, due - Date.now()));
  }
  response.end();
}
