import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CircleCi } from '../../sandbox/circleci.ts';
import { commandWords } from '../support/bundled-commands.ts';
import { PseudoTerminal } from '../support/pseudo-terminal.ts';
import { address, serve } from '../support/serve.ts';

const TOKEN = 'CCIPAT_secrets_0123456789';
const ENTER = '\r';

let aws: Server;
let file: string;
/** The names of the secrets that were stored. */
let stored: string[];

const outputs = Object.entries({
  ScalerSecretName: 'circleci-runners/linux/scaler',
  RunnerSecretName: 'circleci-runners/linux/runner',
  GroupName: 'circleci-runners-linux',
}).map(([key, value]) => `<member><OutputKey>${key}</OutputKey><OutputValue>${value}</OutputValue></member>`);

beforeEach(async () => {
  stored = [];
  const circleci = new CircleCi();
  circleci.tokens.add(TOKEN);
  circleci.classes.set('acme/linux', { unclaimed: 0, running: 0 });
  const url = await serve(circleci);
  aws = createServer(async (request, response) => {
    const body = await text(request);
    if (String(request.headers['x-amz-target']).endsWith('.PutSecretValue')) {
      stored.push(JSON.parse(body).SecretId);
      response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' }).end('{}');
      return;
    }
    response.writeHead(200, { 'content-type': 'text/xml' });
    response.end(
      `<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>circleci-runners-linux</StackName><Outputs>${outputs.join('')}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`,
    );
  }).listen(0, '127.0.0.1');
  await once(aws, 'listening');
  file = join(mkdtempSync(join(tmpdir(), 'secrets-terminal-')), 'fleets.yaml');
  writeFileSync(
    file,
    `linux:\n  resourceClass: acme/linux\n  instanceTypes: [m7g.large]\n  maxReplicas: 10\n  circleciUrl: ${url}\n`,
  );
});

afterEach(() => aws.close());

function start(): PseudoTerminal {
  const { AWS_PROFILE: _, AWS_SESSION_TOKEN: __, ...env } = process.env;
  return new PseudoTerminal(
    commandWords('secrets', 'linux', '--fleets', file),
    { columns: 120, rows: 24 },
    {
      env: {
        ...env,
        AWS_ENDPOINT_URL: address(aws),
        AWS_REGION: 'eu-west-1',
        AWS_ACCESS_KEY_ID: 'test',
        AWS_SECRET_ACCESS_KEY: 'test',
      },
    },
  );
}

/** Types each answer once its question is shown whole. */
async function answer(pty: PseudoTerminal, steps: [shows: RegExp, types: string][]): Promise<void> {
  for (const [shows, types] of steps) {
    await pty.shows(shows);
    await new Promise((resolve) => setTimeout(resolve, 150));
    pty.type(types);
  }
}

const shown = ({ screen }: PseudoTerminal) => screen.lines.join('\n');

describe('npm run secrets on a terminal', () => {
  it('asks for two tokens and stores them', async () => {
    const pty = start();
    await answer(pty, [
      [/Personal API token/, TOKEN + ENTER],
      [/Resource class token/, `class_0123456789${ENTER}`],
    ]);
    expect(await pty.end()).toBe(0);
    expect(stored).toEqual(['circleci-runners/linux/scaler', 'circleci-runners/linux/runner']);
  });

  it('asks for no second token if CircleCI refuses the first', async () => {
    const pty = start();
    await answer(pty, [[/Personal API token/, `CCIPAT_other_0123456789${ENTER}`]]);
    await pty.shows(/The personal API token cannot be used/);
    expect(await pty.end()).toBe(2);
    expect(shown(pty)).not.toContain('Resource class token');
    expect(stored).toEqual([]);
  });

  it('asks again for a token with characters that no token has', async () => {
    const pty = start();
    await answer(pty, [
      [/Personal API token/, `CCIPAT 0123${ENTER}`],
      [/It has characters that no token has/, `\x15${TOKEN}${ENTER}`],
      [/Resource class token/, `two words${ENTER}`],
      [/It has characters that no token has/, `\x15class_0123456789${ENTER}`],
    ]);
    expect(await pty.end()).toBe(0);
    expect(stored).toHaveLength(2);
  });
});
