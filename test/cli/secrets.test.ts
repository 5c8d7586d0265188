import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { runAgainstAws, runInProcess } from '../support/in-process.ts';
import { deployedSettings } from '../support/inputs.ts';
import { address } from '../support/serve.ts';

const OLD = { api: 'CCIPAT_old_0123456789', class: 'class_old_0123456789' };
const NEW = { api: 'CCIPAT_new_0123456789', class: 'class_new_0123456789' };

let folder: string;
let server: Server;
/** Values of secrets with the time at which each was stored. */
let secrets: Map<string, { value: string; storedAt: Date }>;
/** What happened, in order: to secrets, to the group, and at CircleCI. */
let events: string[];
/** The members of the group, at each look. */
let members: string[][];
/** What CircleCI answers to a token. */
let circleci: (token: string) => { status: number; body: string };

const SCALER = 'circleci-runners/example/scaler';
const RUNNER = 'circleci-runners/example/runner';

/** The settings of deployed fleets. */
let deployed: Map<string, object>;

const settingsOf = (name: string, resourceClass: string, scalerSecretName?: string) =>
  deployedSettings({
    resourceClass,
    circleciUrl: address(server),
    scalerSecretName: scalerSecretName ?? `circleci-runners/${name}/scaler`,
  });

/** Secrets that cannot be written, and what Secrets Manager says of them. */
let away: Map<string, { error: string; message: string }>;

function secretsManager(
  target: string,
  { SecretId, SecretString, Name, KmsKeyId }: Record<string, string>,
): object {
  if (target.endsWith('.GetParametersByPath'))
    return {
      Parameters: [...deployed].map(([fleet, settings]) => ({
        Name: `/circleci-runners/fleets/${fleet}`,
        Value: JSON.stringify(settings),
      })),
    };
  if (target.endsWith('.PutSecretValue')) {
    const state = away.get(SecretId ?? '');
    if (state !== undefined) return { __type: state.error, message: state.message };
    events.push(`stored ${SecretId}`);
    secrets.set(SecretId ?? '', { value: SecretString ?? '', storedAt: new Date() });
    return {};
  }
  if (target.endsWith('.RestoreSecret')) {
    events.push(`restored ${SecretId}`);
    away.delete(SecretId ?? '');
    return {};
  }
  if (target.endsWith('.CreateSecret')) {
    events.push(`made ${Name} with ${KmsKeyId ?? 'the key of AWS'}`);
    secrets.set(Name ?? '', { value: SecretString ?? '', storedAt: new Date() });
    return {};
  }
  const stored = secrets.get(SecretId ?? '');
  const current = stored && {
    VersionId: 'b',
    VersionStages: ['AWSCURRENT'],
    CreatedDate: stored.storedAt.getTime() / 1_000,
  };
  const previous = { VersionId: 'a', VersionStages: ['AWSPREVIOUS'], CreatedDate: 1_500_000_000 };
  return { Versions: [previous, ...(current ? [current] : [])] };
}

const outputs = Object.entries({
  ScalerSecretName: SCALER,
  RunnerSecretName: RUNNER,
  GroupName: 'circleci-runners-example',
})
  .map(([key, value]) => `<member><OutputKey>${key}</OutputKey><OutputValue>${value}</OutputValue></member>`)
  .join('');

function query(action: string): string {
  if (action === 'DescribeStacks')
    return `<Stacks><member><StackName>circleci-runners-example</StackName><Outputs>${outputs}</Outputs></member></Stacks>`;
  const look = (members.length > 1 ? members.shift() : members[0]) ?? [];
  events.push(`looked at ${look.length} members`);
  const instances = look.map((each) => {
    const [id, state = 'InService'] = each.split(' ');
    return `<member><InstanceId>${id}</InstanceId><LifecycleState>${state}</LifecycleState></member>`;
  });
  return `<AutoScalingGroups><member><AutoScalingGroupName>circleci-runners-example</AutoScalingGroupName><Instances>${instances.join('')}</Instances></member></AutoScalingGroups>`;
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'secrets-test-'));
  const storedAt = new Date(Date.now() - 40.5 * 86_400_000);
  secrets = new Map([
    [SCALER, { value: OLD.api, storedAt }],
    [RUNNER, { value: OLD.class, storedAt }],
  ]);
  away = new Map();
  deployed = new Map();
  events = [];
  members = [[]];
  circleci = (token) =>
    token === NEW.api
      ? { status: 200, body: '{"unclaimed_task_count": 0}' }
      : { status: 401, body: `{"message": "${token}"}` };
  server = createServer(async (request, response) => {
    const body = await text(request);
    const token = request.headers['circle-token'];
    if (token !== undefined) {
      events.push('asked CircleCI');
      const answer = circleci(String(token));
      response.writeHead(answer.status, { location: 'http://127.0.0.1:1/' }).end(answer.body);
      return;
    }
    const target = request.headers['x-amz-target'];
    if (target !== undefined) {
      const answer = secretsManager(String(target), JSON.parse(body));
      response.writeHead('__type' in answer ? 400 : 200, { 'content-type': 'application/x-amz-json-1.1' });
      response.end(JSON.stringify(answer));
      return;
    }
    const action = new URLSearchParams(body).get('Action') ?? '';
    response.writeHead(200, { 'content-type': 'text/xml' });
    response.end(
      `<${action}Response><${action}Result>${query(action)}</${action}Result></${action}Response>`,
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  writeFileSync(
    join(folder, 'fleets.yaml'),
    `example:\n  resourceClass: acme/linux\n  instanceTypes: [m7g.large]\n  maxReplicas: 10\n  circleciUrl: ${address(server)}\n`,
  );
});

afterEach(() => {
  server.close();
  server.closeAllConnections();
  rmSync(folder, { recursive: true });
});

/** Runs the command with these tokens on standard input; no token is in what it prints. */
async function command(tokens: string[], ...words: string[]) {
  const all = ['example', '--fleets', join(folder, 'fleets.yaml'), ...words];
  const ended = await runAgainstAws(address(server), 'secrets', all, { stdin: tokens.join('\n') });
  for (const token of [...Object.values(OLD), ...Object.values(NEW)])
    expect(ended.stdout + ended.stderr).not.toContain(token);
  return ended;
}

describe('npm run secrets -- example --age', () => {
  it('shows when each token was stored, and stores nothing', async () => {
    secrets.delete(RUNNER);
    const { status, stdout } = await command([], '--age');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Personal API token {4}stored \d{4}-\d\d-\d\d, 40 days ago {2}\(.*scaler\)$/m);
    expect(stdout).toMatch(/^Resource class token {2}stored never {2}\(.*runner\)$/m);
    expect(events).toEqual([]);
  });

  it('shows it as JSON', async () => {
    const { stdout } = await command([], '--json');
    const storedAt = secrets.get(SCALER)?.storedAt.getTime() ?? 0;
    const shown = JSON.parse(stdout);
    expect(shown).toMatchObject({
      fleet: 'example',
      personalApiToken: { secret: SCALER },
      resourceClassToken: { secret: RUNNER },
    });
    expect(Math.abs(Date.parse(shown.personalApiToken.storedAt) - storedAt)).toBeLessThan(1_000);
  });
});

describe('npm run secrets of a deployed fleet that the file does not have', () => {
  beforeEach(() => {
    const file = join(folder, 'fleets.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/^example:/, 'other:'));
  });

  it('stores the tokens for its deployed resource class, and says so', async () => {
    deployed.set('example', settingsOf('example', 'acme/old'));
    const { status, stderr } = await command([NEW.api, NEW.class]);
    expect(stderr).toContain(
      'does not have the fleet example. Its resource class is the deployed one, acme/old.',
    );
    expect(status).toBe(0);
    expect(JSON.parse(secrets.get(SCALER)?.value ?? '')).toEqual({
      resource_class: 'acme/old',
      circleci_url: address(server),
      circle_token: NEW.api,
    });
    expect(secrets.get(RUNNER)?.value).toBe(NEW.class);
  });

  it('stores them where there is no fleets.yaml, as in an app that uses the library', async () => {
    deployed.set('example', settingsOf('example', 'acme/old'));
    rmSync(join(folder, 'fleets.yaml'));
    const before = process.cwd();
    onTestFinished(() => process.chdir(before));
    process.chdir(folder);
    const stored = await runAgainstAws(address(server), 'secrets', ['example'], {
      stdin: `${NEW.api}\n${NEW.class}`,
    });
    expect(stored).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(secrets.get(SCALER)?.value ?? '')).toMatchObject({ resource_class: 'acme/old' });
    const other = await runAgainstAws(address(server), 'secrets', ['other']);
    expect(other.stderr).toMatch(/^The fleet must be a deployed one \(example\), got "other"$/m);
    expect(other.status).toBe(2);
  });

  it('keeps the classes of the fleets that share its secret', async () => {
    deployed.set('example', settingsOf('example', 'acme/old'));
    deployed.set('sharing', settingsOf('sharing', 'acme/sharing', SCALER));
    deployed.set('apart', settingsOf('apart', 'acme/apart'));
    expect((await command([NEW.api, NEW.class])).status).toBe(0);
    expect(JSON.parse(secrets.get(SCALER)?.value ?? '')).toMatchObject({
      resource_class: ['acme/old', 'acme/sharing'],
    });
  });

  it('refuses one that is in neither', async () => {
    deployed.set('apart', settingsOf('apart', 'acme/apart'));
    const { status, stderr } = await command([NEW.api, NEW.class]);
    expect(status).toBe(2);
    expect(stderr).toContain(
      ', or a deployed one (apart, other), got "example". To read another file: --fleets FILE',
    );
    expect(events).toEqual([]);
  });
});

describe('npm run secrets -- example --rotate', () => {
  it('tries the new token first, stores both, and says what may be revoked once no instance has the old one', async () => {
    const { status, stdout } = await command([NEW.api, NEW.class], '--rotate');
    expect(status).toBe(0);
    expect(events).toEqual(['asked CircleCI', `stored ${SCALER}`, `stored ${RUNNER}`, 'looked at 0 members']);
    expect(JSON.parse(secrets.get(SCALER)?.value ?? '')).toEqual({
      resource_class: 'acme/linux',
      circleci_url: address(server),
      circle_token: NEW.api,
    });
    expect(secrets.get(RUNNER)?.value).toBe(NEW.class);
    expect(stdout).toContain('Revoke the old one in CircleCI now.');
    expect(stdout).toContain('No instance has the old resource class token any more.');
  });

  it('names the instances that still have the old token, and does not wait if it should not', async () => {
    members = [['i-1', 'i-2', 'i-3 Warmed:Stopped']];
    const { stdout } = await command(['', NEW.class], '--rotate', '--no-wait');
    expect(events).toEqual([`stored ${RUNNER}`, 'looked at 3 members']);
    expect(stdout).toContain('These instances still have the old resource class token: i-1, i-2.');
    expect(stdout).not.toContain('Delete it in CircleCI now');
  });

  it('waits until the instances that were there are gone, whatever else was launched', async () => {
    members = [['i-1', 'i-2'], ['i-2', 'i-4'], ['i-4']];
    const { stdout, stderr } = await command(['', NEW.class], '--rotate', '--every', '1');
    expect(stderr).toContain('Instances that still have the old token: 1\n');
    expect(stdout).toContain('No instance has the old resource class token any more.');
    expect(events).toEqual([
      `stored ${RUNNER}`,
      'looked at 2 members',
      'looked at 2 members',
      'looked at 1 members',
    ]);
  });

  it('keeps the token that is left empty', async () => {
    await command([NEW.api, ''], '--rotate');
    expect(secrets.get(RUNNER)?.value).toBe(OLD.class);
    expect(events).toEqual(['asked CircleCI', `stored ${SCALER}`]);
  });
});

describe.each([[], ['--rotate']])('npm run secrets -- example %s', (...words) => {
  it.each([
    { case: 'CircleCI refuses one', tokens: ['CCIPAT_wrong', NEW.class], said: 'CircleCI answers 401 to it' },
    { case: 'both are empty', tokens: ['', ''], said: /Both tokens are empty|must have two lines/ },
    { case: 'both are the same', tokens: [NEW.api, NEW.api], said: 'must be different' },
    { case: 'one is no token', tokens: [NEW.api, 'a b'], said: 'resource class token has characters' },
    { case: 'one is not ASCII', tokens: ['CCIPAT_é', NEW.class], said: 'personal API token has characters' },
    { case: 'there is a third line', tokens: [NEW.api, NEW.class, 'x'], said: 'must have two lines' },
  ])('stores nothing if $case', async ({ tokens, said }) => {
    const { status, stderr } = await command(tokens, ...words);
    expect(status).toBe(2);
    expect(stderr).toMatch(said);
    expect(stderr).toContain('Nothing was stored.');
    expect(events.filter((event) => event.startsWith('stored'))).toEqual([]);
  });

  it.each([
    { status: 200, body: '<html>' },
    { status: 302, body: '' },
    { status: 200, body: '{"unclaimed_task_count": "x"}' },
  ])('stores nothing if CircleCI answers $status $body', async (answer) => {
    circleci = () => answer;
    expect((await command([NEW.api, NEW.class], ...words)).status).toBe(2);
    expect(events).toEqual(['asked CircleCI']);
  });

  it('stores what CircleCI refuses, without a question, with --force', async () => {
    expect((await command([OLD.api, NEW.class], '--force', ...words)).status).toBe(0);
    expect(events.slice(0, 2)).toEqual([`stored ${SCALER}`, `stored ${RUNNER}`]);
  });
});

describe('npm run secrets -- example', () => {
  it('asks CircleCI about the token, then stores both as they are given', async () => {
    expect((await command([NEW.api, NEW.class])).status).toBe(0);
    expect(events).toEqual(['asked CircleCI', `stored ${SCALER}`, `stored ${RUNNER}`]);
  });

  const GONE = {
    error: 'ResourceNotFoundException',
    message: "Secrets Manager can't find the specified secret.",
  };

  it('makes a secret again that somebody has deleted for good, and says what to delete later', async () => {
    away.set(SCALER, GONE);
    const { status, stdout } = await command([NEW.api, NEW.class]);
    expect(status).toBe(0);
    expect(stdout).toContain(`Made the secret ${SCALER} again, which was deleted.`);
    expect(events.filter((event) => event !== 'asked CircleCI')).toEqual([
      `made ${SCALER} with the key of AWS`,
      `stored ${RUNNER}`,
    ]);
  });

  it('stores the classes of all fleets that share the personal API token', async () => {
    const fleet = (name: string) =>
      `${name}:\n  resourceClass: acme/${name}\n  instanceTypes: [m7g.large]\n  maxReplicas: 10\n  circleciUrl: ${address(server)}\n`;
    const shares = `  scalerSecretName: ${SCALER}\n`;
    writeFileSync(
      join(folder, 'fleets.yaml'),
      `${fleet('example')}${shares}${fleet('arm')}${shares}${fleet('alone')}`,
    );
    deployed.set('arm', settingsOf('arm', 'acme/before', SCALER));
    deployed.set('gone', settingsOf('gone', 'acme/gone', SCALER));
    away.set(SCALER, GONE);
    const { stdout } = await command([NEW.api, NEW.class]);
    expect(stdout).toContain(`Made the secret ${SCALER}. No stack deletes it.`);
    expect(JSON.parse(secrets.get(SCALER)?.value ?? '')).toMatchObject({
      resource_class: ['acme/example', 'acme/arm', 'acme/gone'],
      circle_token: NEW.api,
    });
  });

  it('makes it with the key of the stack', async () => {
    const key = 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
    writeFileSync(
      join(folder, 'fleets.yaml'),
      `encryptionKey: ${key}\nexample:\n  resourceClass: acme/linux\n  instanceTypes: [m7g.large]\n  maxReplicas: 10\n  circleciUrl: ${address(server)}\n`,
    );
    writeFileSync(join(folder, 'guardrails.yaml'), `encryptionKeys: ["${key}"]`);
    const before = process.cwd();
    onTestFinished(() => process.chdir(before));
    process.chdir(folder);
    away.set(RUNNER, GONE);
    await command([NEW.api, NEW.class]);
    expect(events.filter((event) => event !== 'asked CircleCI')).toEqual([
      `stored ${SCALER}`,
      `made ${RUNNER} with ${key}`,
    ]);
  });

  it('restores a secret that is marked for deletion', async () => {
    const message = "You can't perform this operation on the secret because it was marked for deletion.";
    away.set(RUNNER, { error: 'InvalidRequestException', message });
    const { status, stdout } = await command([NEW.api, NEW.class]);
    expect(status).toBe(0);
    expect(stdout).toContain(`Restored the secret ${RUNNER}, which was marked for deletion.`);
    expect(events.filter((event) => event !== 'asked CircleCI')).toEqual([
      `stored ${SCALER}`,
      `restored ${RUNNER}`,
      `stored ${RUNNER}`,
    ]);
  });

  it('makes no secret if storing is denied', async () => {
    away.set(SCALER, { error: 'AccessDeniedException', message: 'not authorized' });
    expect(await command([NEW.api, NEW.class])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('not authorized'),
    });
    expect(events).toEqual(['asked CircleCI']);
  });
});

it.each([
  { words: ['--rotate', '--age'], said: '--rotate replaces tokens, and --age only shows their age' },
  { words: ['--rotate', '--json'], said: '--rotate replaces tokens, and --json only shows their age' },
  { words: ['--force', '--age'], said: '--force stores tokens, and --age only shows their age' },
  { words: ['--no-wait'], said: '--no-wait only works with --rotate' },
  { words: ['--every', '5'], said: '--every only works with --rotate' },
  { words: ['--rotate', '--no-wait', '--every', '5'], said: '--every only works with --rotate and without' },
])('refuses $words, and stores nothing', async ({ words, said }) => {
  expect(await command([NEW.api, NEW.class], ...words)).toMatchObject({
    status: 2,
    stderr: expect.stringContaining(said),
  });
  expect(events).toEqual([]);
});

describe('on a machine that is not set up for AWS', () => {
  afterEach(() => void vi.unstubAllEnvs());

  it.each([
    { missing: 'Region', unset: ['AWS_REGION', 'AWS_DEFAULT_REGION'], said: 'No AWS region is set.' },
    {
      missing: 'credentials',
      unset: ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
      said: 'There are no AWS credentials on this machine.',
    },
  ])('says what to do if there are no $missing', async ({ unset, said }) => {
    const environment = {
      AWS_ENDPOINT_URL: address(server),
      AWS_REGION: 'eu-west-1',
      AWS_PROFILE: undefined,
      AWS_CONFIG_FILE: join(folder, 'none'),
      AWS_SHARED_CREDENTIALS_FILE: join(folder, 'none'),
      AWS_EC2_METADATA_DISABLED: 'true',
      ...Object.fromEntries(unset.map((name) => [name, undefined])),
    };
    for (const [key, value] of Object.entries(environment)) vi.stubEnv(key, value);
    const words = ['example', '--age', '--fleets', join(folder, 'fleets.yaml')];
    expect(await runInProcess('secrets', words)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining(said),
    });
  });
});
