import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Credentials of the instances' role, as the metadata hand them out. */
export const INSTANCE_CREDENTIALS = {
  AccessKeyId: 'ASIAINSTANCE',
  SecretAccessKey: 'instance/secret+key',
  Token: 'instance-session-token',
};

/** Items under `meta-data/`; one that is missing is a 404. */
export type Metadata = Map<string, string>;

/** What the service knows of one instance. */
export interface DescribedInstance {
  metadata: Metadata;
  userData?: string;
  /** Whether the service refuses a request at this moment, as it does when it is asked too often. */
  unavailable?: (request: IncomingMessage) => boolean;
}

const MAC = '02:00:00:00:01:01';

/** What every instance's metadata hold. */
export function metadataOf(instanceId: string, targetState: string | undefined): Metadata {
  const metadata: Metadata = new Map([
    ['ami-id', 'ami-0123456789abcdef0'],
    ['ami-launch-index', '0'],
    ['block-device-mapping/ami', '/dev/sda1'],
    ['block-device-mapping/root', '/dev/sda1'],
    ['hostname', 'instance.eu-west-1.compute.internal'],
    ['iam/security-credentials/', 'runner-role'],
    ['iam/security-credentials/runner-role', JSON.stringify({ Code: 'Success', ...INSTANCE_CREDENTIALS })],
    ['instance-id', instanceId],
    ['instance-life-cycle', 'on-demand'],
    ['instance-type', 't3.micro'],
    ['local-hostname', 'instance.eu-west-1.compute.internal'],
    ['mac', MAC],
    [`network/interfaces/macs/${MAC}/device-number`, '0'],
    [`network/interfaces/macs/${MAC}/mac`, MAC],
    [`network/interfaces/macs/${MAC}/vpc-id`, 'vpc-0123456789abcdef0'],
    ['placement/availability-zone', 'eu-west-1a'],
    ['placement/region', 'eu-west-1'],
  ]);
  if (targetState !== undefined) metadata.set('autoscaling/target-lifecycle-state', targetState);
  return metadata;
}

/** What a folder of an instance's metadata lists: an item a line, and folders with a slash behind them. */
function listing(metadata: Metadata, folder: string): string | undefined {
  const below = [...metadata.keys()].filter((key) => key.startsWith(folder) && key !== folder);
  const names = below.map((key) => key.slice(folder.length).replace(/\/.+$/, '/'));
  return names.length === 0 ? undefined : [...new Set(names)].sort().join('\n');
}

/** What lies at a path, such as `/latest/meta-data/instance-id`, in any version of the service's interface. */
function itemAt({ metadata, userData }: DescribedInstance, url: string): string | undefined {
  const [, tree, item = ''] =
    /^\/(?:latest|\d{4}-\d\d-\d\d)\/(meta-data|user-data|dynamic)\/?(.*)$/.exec(url) ?? [];
  if (tree === 'user-data') return userData;
  if (tree === 'meta-data')
    return metadata.get(item) ?? (/^$|\/$/.test(item) ? listing(metadata, item) : undefined);
  if (tree !== 'dynamic') return undefined;
  if (/^(instance-identity\/?)?$/.test(item)) return item === '' ? 'instance-identity/' : 'document';
  if (item !== 'instance-identity/document') return undefined;
  const named = {
    availabilityZone: 'placement/availability-zone',
    imageId: 'ami-id',
    instanceId: 'instance-id',
    instanceType: 'instance-type',
    region: 'placement/region',
  };
  return JSON.stringify(
    Object.fromEntries(Object.entries(named).map(([name, key]) => [name, metadata.get(key)])),
  );
}

/**
 * IMDSv2: a session token by PUT, with a time to live, and nothing without it. It tells instances apart by the address
 * that a request comes from. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
 */
export class MetadataService {
  readonly #servers: Server[] = [];
  readonly #tokens = new Set<string>();
  readonly #instanceAt: (address: string) => DescribedInstance | undefined;

  constructor(instanceAt: (address: string) => DescribedInstance | undefined) {
    this.#instanceAt = instanceAt;
  }

  /** Listens on an address; port 0 takes a free one. Returns the URL. */
  async listen(host: string, port: number): Promise<string> {
    const server = createServer((request, response) => {
      const { status, body } = this.#answer(request);
      response.writeHead(status).end(body);
    }).listen(port, host);
    await once(server, 'listening');
    this.#servers.push(server);
    return `http://${host}:${(server.address() as AddressInfo).port}`;
  }

  close(): void {
    for (const server of this.#servers) server.close();
  }

  #answer(request: IncomingMessage): { status: number; body: string } {
    const { method, url = '', headers, socket } = request;
    // A proxy between a job and the service would give the instance's role away.
    if (headers['x-forwarded-for'] !== undefined) return { status: 403, body: '' };
    const instance = this.#instanceAt((socket.remoteAddress ?? '').replace('::ffff:', ''));
    if (instance === undefined) return { status: 404, body: 'no such instance' };
    if (instance.unavailable?.(request)) return { status: 503, body: '' };
    if (method === 'PUT' && url === '/latest/api/token') {
      const seconds = Number(headers['x-aws-ec2-metadata-token-ttl-seconds']);
      if (!(seconds >= 1 && seconds <= 21_600)) return { status: 400, body: '' };
      const token = randomUUID();
      this.#tokens.add(token);
      return { status: 200, body: token };
    }
    if (!this.#tokens.has(String(headers['x-aws-ec2-metadata-token']))) return { status: 401, body: '' };
    const item = itemAt(instance, url);
    return item === undefined ? { status: 404, body: 'Not Found' } : { status: 200, body: item };
  }
}
