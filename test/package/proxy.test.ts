import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { checkFleets } from '../../fleets/load.ts';
import { CircleCi } from '../../sandbox/circleci.ts';
import { deployFunction, invokeFunction } from '../support/deployed-function.ts';
import { DoctorAws } from '../support/doctor-aws.ts';
import { type OwnAuthority, ownAuthority, serverOptions } from '../support/own-authority.ts';

/**
 * The functions as processes of the Node.js that Lambda has, behind a proxy that alone knows the way: no name in these tests
 * can be resolved, so a connection without the proxy fails.
 */

/** An early release of 24 on Lambda. https://aws.amazon.com/blogs/compute/node-js-24-runtime-now-available-in-aws-lambda/ */
const NODE = '24.11.0';
const TOKEN = 'CCIPAT_proxy_0123456789abcdef';
const CIRCLECI = 'circleci.acme.example';
const AWS = 'aws.acme.example';

const folder = mkdtempSync(join(tmpdir(), 'proxy-'));
const node = join(folder, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
const aws = new DoctorAws();
const circleci = new CircleCi();
const servers: Server[] = [];
let authority: OwnAuthority;
/** What the proxy was asked for. */
let asked: string[] = [];
let proxy = '';

const portOf = (server: Server) => Number(Object(server.address()).port);

async function listen(server: Server): Promise<Server> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** The same server by TLS. */
const withTls = (server: Server) =>
  listen(
    createTlsServer(serverOptions(authority), (request, response) => {
      server.emit('request', request, response);
    }) as unknown as Server,
  );

beforeAll(async () => {
  execFileSync('npm', ['install', '--no-audit', '--no-fund', `node-linux-${process.arch}@${NODE}`], {
    cwd: folder,
    stdio: 'pipe',
  });
  authority = ownAuthority(folder, { hosts: [CIRCLECI, AWS] });
  await aws.listen();
  const toCircleCi = await circleci.listen();
  servers.push(toCircleCi);
  circleci.tokens.add(TOKEN);
  circleci.classes.set('acme/linux', { unclaimed: 7, running: 2 });
  const behind = new Map([
    [`${CIRCLECI}:443`, portOf(await withTls(toCircleCi))],
    [`${AWS}:443`, portOf(await withTls(aws.server))],
  ]);
  const forward = createServer((_, response) => response.writeHead(400).end());
  forward.on('connect', ({ url = '' }, client) => {
    asked.push(url);
    const port = behind.get(url);
    if (port === undefined) {
      client.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      return;
    }
    const server = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      server.pipe(client).pipe(server);
    });
    for (const each of [client, server]) each.on('error', () => client.destroy());
  });
  proxy = `http://127.0.0.1:${portOf(await listen(forward))}`;
});

beforeEach(() => {
  asked = [];
});

afterAll(() => {
  aws.close();
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
  rmSync(folder, { recursive: true });
});

/** What a function answers that is deployed with this part of `scaler`. */
function count(scaler: object) {
  copyFileSync(authority.file, join(folder, 'authority.pem'));
  const fleets = checkFleets(
    {
      scaler: {
        vpcId: 'vpc-00000001',
        subnetIds: ['subnet-00000001', 'subnet-00000002'],
        caCertificates: 'authority.pem',
        ...scaler,
      },
      linux: {
        resourceClass: 'acme/linux',
        instanceTypes: ['m7i.large'],
        maxReplicas: 5,
        circleciUrl: `https://${CIRCLECI}`,
      },
    },
    join(folder, 'fleets.yaml'),
  );
  const deployed = deployFunction(aws, { name: 'count-unclaimed', fleets, token: TOKEN });
  return invokeFunction(deployed, { AWS_ENDPOINT_URL: `https://${AWS}` }, node);
}

describe('scaler.httpProxy', () => {
  it('is the way of the functions to CircleCI and to AWS', async () => {
    expect(await count({ httpProxy: proxy })).toMatchObject({ unclaimed: 7 });
    expect(new Set(asked)).toEqual(new Set([`${CIRCLECI}:443`, `${AWS}:443`]));
  });

  it('is left out for the hosts of noProxy', async () => {
    const { name } = await count({ httpProxy: proxy, noProxy: [AWS] });
    expect(name).toBeDefined();
    expect(asked).toEqual([]);
    await count({ httpProxy: proxy, noProxy: ['.acme.example'] });
    expect(asked).toEqual([]);
    expect(await count({ httpProxy: proxy, noProxy: ['.example.com'] })).toMatchObject({ unclaimed: 7 });
  });

  it('is needed there: without it, nothing is reached', async () => {
    const { name } = await count({});
    expect(name).toBeDefined();
    expect(asked).toEqual([]);
  });

  it('ends in an error with a name if the proxy refuses CircleCI', async () => {
    const refusing = await listen(createServer());
    refusing.on('connect', (_, client) => client.end('HTTP/1.1 403 Forbidden\r\n\r\n'));
    const answer = await count({ httpProxy: `http://127.0.0.1:${portOf(refusing)}`, noProxy: [] });
    expect(answer.name).toMatch(/Unreachable|Unavailable|Settings|Secret/);
  });
});
