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

/** Items under `/latest/meta-data/`; one that is missing is a 404. */
export type Metadata = Map<string, string>;

/** What every instance's metadata hold. */
export function metadataOf(instanceId: string, targetState: string | undefined): Metadata {
  const metadata: Metadata = new Map([
    ['instance-id', instanceId],
    ['placement/region', 'eu-west-1'],
    ['iam/security-credentials/', 'runner-role'],
    ['iam/security-credentials/runner-role', JSON.stringify({ Code: 'Success', ...INSTANCE_CREDENTIALS })],
  ]);
  if (targetState !== undefined) metadata.set('autoscaling/target-lifecycle-state', targetState);
  return metadata;
}

/**
 * IMDSv2: a session token by PUT, with a time to live, and nothing without it. Who asks is told by the address
 * that a request comes from. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
 */
export class MetadataService {
  readonly #servers: Server[] = [];
  readonly #tokens = new Set<string>();
  readonly #instanceAt: (address: string) => Metadata | undefined;

  constructor(instanceAt: (address: string) => Metadata | undefined) {
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

  #answer({ method, url = '', headers, socket }: IncomingMessage): { status: number; body: string } {
    // A proxy between a job and the service would give the instance's role away.
    if (headers['x-forwarded-for'] !== undefined) return { status: 403, body: '' };
    const instance = this.#instanceAt((socket.remoteAddress ?? '').replace('::ffff:', ''));
    if (instance === undefined) return { status: 404, body: 'no such instance' };
    if (method === 'PUT' && url === '/latest/api/token') {
      const seconds = Number(headers['x-aws-ec2-metadata-token-ttl-seconds']);
      if (!(seconds >= 1 && seconds <= 21_600)) return { status: 400, body: '' };
      const token = randomUUID();
      this.#tokens.add(token);
      return { status: 200, body: token };
    }
    if (!this.#tokens.has(String(headers['x-aws-ec2-metadata-token']))) return { status: 401, body: '' };
    const item = instance.get(url.replace('/latest/meta-data/', ''));
    return item === undefined ? { status: 404, body: 'Not Found' } : { status: 200, body: item };
  }
}
