import { createServer, type RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { AutoScalingClient, DescribeAutoScalingGroupsCommand } from '@aws-sdk/client-auto-scaling';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { GetParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { describe, expect, it, onTestFinished } from 'vitest';
import { clientSettings } from '../../functions/lib/client-settings.ts';
import { onceMoreIfLost } from '../../functions/lib/lost-connections.ts';
import { failure } from '../support/said.ts';
import { address } from '../support/serve.ts';

const ANSWERS = {
  'auto-scaling':
    '<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups/></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>',
  json: '{}',
};

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return address(server);
}

/** Serves real connections. It resets those that `lost` names by their number of requests, as a server that closed them. */
async function serving(body: string, lost: (request: { ofSocket: number; ofAll: number }) => boolean) {
  const requests = new WeakMap<Socket, number>();
  let ofAll = 0;
  const url = await serve((request, response) => {
    const { socket } = request;
    const ofSocket = (requests.get(socket) ?? 0) + 1;
    requests.set(socket, ofSocket);
    ofAll += 1;
    if (lost({ ofSocket, ofAll })) socket.resetAndDestroy();
    else request.resume().on('end', () => response.end(body));
  });
  return { url, requests: () => ofAll };
}

const settingsFor = (endpoint: string) => ({
  ...clientSettings,
  region: 'eu-west-1',
  endpoint,
  credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
});

/** How each client of the functions sends a request. */
const CLIENTS: { client: string; body: string; sender: (url: string) => () => Promise<unknown> }[] = [
  {
    client: 'fetch',
    body: ANSWERS.json,
    sender: (url) => () => onceMoreIfLost(async () => (await fetch(url)).text()),
  },
  {
    client: 'EC2 Auto Scaling',
    body: ANSWERS['auto-scaling'],
    sender: (url) => {
      const client = new AutoScalingClient(settingsFor(url));
      return () => client.send(new DescribeAutoScalingGroupsCommand({}));
    },
  },
  {
    client: 'Secrets Manager',
    body: ANSWERS.json,
    sender: (url) => {
      const client = new SecretsManagerClient(settingsFor(url));
      return () => client.send(new GetSecretValueCommand({ SecretId: 'x' }));
    },
  },
  {
    client: 'Systems Manager',
    body: ANSWERS.json,
    sender: (url) => {
      const client = new SSMClient(settingsFor(url));
      return () => client.send(new GetParameterCommand({ Name: 'x' }));
    },
  },
];

describe.each(CLIENTS)('a kept connection of $client', ({ body, sender }) => {
  it('that the server resets when it is used again costs one more request', async () => {
    const server = await serving(body, ({ ofSocket }) => ofSocket === 2);
    const send = sender(server.url);
    await send();
    // fetch keeps a connection only a moment after the answer has ended.
    await sleep(20);
    await send();
    expect(server.requests()).toBe(3);
  });

  it('that the server resets each time is not tried a third time', async () => {
    const server = await serving(body, ({ ofAll }) => ofAll > 1);
    const send = sender(server.url);
    await send();
    await failure(send());
    expect(server.requests()).toBe(3);
  });
});

describe('a client of a step', () => {
  it.each([429, 500, 503])('leaves an answer with status %i to the workflow', async (status) => {
    let requests = 0;
    const url = await serve((request, response) => {
      requests += 1;
      response.statusCode = status;
      request.resume().on('end', () => response.end('<Error><Code>Throttling</Code></Error>'));
    });
    const client = new AutoScalingClient(settingsFor(url));
    await failure(client.send(new DescribeAutoScalingGroupsCommand({})));
    expect(requests).toBe(1);
  });
});
