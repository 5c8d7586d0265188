import { beforeEach, describe, expect, it } from 'vitest';
import { settingsParameter } from '../../functions/lib/fleet-names.ts';
import { handler as readSettings } from '../../functions/read-settings.ts';
import { SANDBOX_STACK } from '../../sandbox/aws.ts';
import { SILENT } from '../../sandbox/workflow.ts';
import { embeddedAws, newSecretName } from '../support/aws.ts';
import { deployedSettings, EXECUTION_START, readerOf } from '../support/inputs.ts';
import { failure } from '../support/said.ts';
import { publishedMetrics } from './published.ts';

const published = publishedMetrics(() => EXECUTION_START);
const { aws, secrets, settings } = await embeddedAws();
const HOUR = 3_600_000;
const TOKEN = 'CCIPAT_read_settings_0123456789';

let name = '';
beforeEach(() => {
  name = newSecretName();
});
const store = (secret: object = { resource_class: 'acme/linux', circle_token: TOKEN }) =>
  aws.secrets.set(name, JSON.stringify(secret));

interface Given {
  spreadSeconds?: number;
  awaitsTokens?: true;
  once?: boolean;
  /** When the settings were deployed. */
  deployedAt?: number | undefined;
  /** How long the step runs, in milliseconds. */
  takes?: number;
  app?: string;
}

async function read({ once, deployedAt, takes = 0, app = 'circleci-runners', ...others }: Given = {}) {
  const deployed = deployedSettings({ scalerSecretName: name, ...others });
  const recorded: unknown[] = [];
  let calls = 0;
  const answer = await readSettings.with({
    secrets,
    metrics: published.metrics,
    settings: {
      ...readerOf(() => deployed),
      latest: async () => ({ ...deployed, version: 3, ...(deployedAt !== undefined && { deployedAt }) }),
    },
    now: () => EXECUTION_START + (calls++ < 2 ? 0 : takes),
    advised: { app, fleetsFile: 'fleets.yaml' },
    log: { debug: () => {}, error: () => {}, info: (...words) => void recorded.push(words[1]) },
  })({
    execution: 'linux-1',
    startedAt: new Date(EXECUTION_START).toISOString(),
    input: { fleet: 'linux', ...(once !== undefined && { once }) },
  });
  return { answer, recorded };
}

describe('the settings of an execution', () => {
  beforeEach(() => void store());

  it('are those that are deployed, with their version, and without the token', async () => {
    const { answer, recorded } = await read();
    expect(answer).toEqual({
      ...deployedSettings({ scalerSecretName: name }),
      version: 3,
      once: false,
      pollsFrom: '2026-01-05T08:00:00.000Z',
    });
    expect(JSON.stringify(answer)).not.toContain(TOKEN);
    expect(recorded).toEqual([]);
    expect(published.lines()).toEqual([]);
  });

  it.each([
    { spreadSeconds: undefined, once: false, pollsFrom: '2026-01-05T08:00:00.000Z' },
    { spreadSeconds: 20, once: false, pollsFrom: '2026-01-05T08:00:20.000Z' },
    // Somebody waits for npm run execute.
    { spreadSeconds: 20, once: true, pollsFrom: '2026-01-05T08:00:00.000Z' },
  ])('begin polls at $pollsFrom with a spread of $spreadSeconds s, once: $once', async (given) => {
    const { spreadSeconds, once, pollsFrom } = given;
    const { answer } = await read({ once, ...(spreadSeconds !== undefined && { spreadSeconds }) });
    expect(answer).toMatchObject({ once, pollsFrom });
  });

  it('are read again, like the token, by each execution', async () => {
    await read();
    store({ resource_class: 'acme/linux' });
    expect((await failure(read())).name).toBe('SecretMalformed');
  });
});

it('reads the fleet that the execution names', async () => {
  store();
  const deployed = deployedSettings({ scalerSecretName: name, pollIntervalSeconds: 15 });
  aws.parameters.set(settingsParameter(SANDBOX_STACK, 'arm'), [JSON.stringify(deployed)]);
  const answer = await readSettings.with({ secrets, settings })({
    execution: 'arm-1',
    startedAt: new Date(EXECUTION_START).toISOString(),
    input: { fleet: 'arm' },
  });
  expect(answer).toMatchObject({ pollIntervalSeconds: 15, version: 1 });
});

it('names the state whose input is wrong', async () => {
  expect((await failure(readSettings.with({ log: SILENT })({}))).message).toMatch(
    /^InputInvalid: Read Settings: /,
  );
});

describe('a fleet whose secret has no value yet', () => {
  beforeEach(() => void aws.secrets.set(name, ''));

  it.each([
    { case: 'just deployed', deployedAt: EXECUTION_START, until: '2026-01-06 08:00' },
    {
      case: 'deployed a day ago, less a minute',
      deployedAt: EXECUTION_START - 24 * HOUR + 60_000,
      until: '2026-01-05 08:01',
    },
  ])('waits for its tokens for a day: $case', async ({ deployedAt, until }) => {
    const { answer, recorded } = await read({ awaitsTokens: true, deployedAt, takes: 40 });
    const waits = `waits for its tokens: the secret ${name} has no value yet, so nothing is counted and nothing launches. Store them: npm run secrets -- linux. From ${until} UTC on, a missing token is a failure.`;
    expect(answer).toMatchObject({ waits, version: 3 });
    expect(recorded).toMatchObject([{ waits, fleet: 'linux' }]);
    expect(published.values()).toEqual({ PollDuration: [40], AwaitingTokens: [1] });
  });

  it('names the command of its own app', async () => {
    const { answer } = await read({ awaitsTokens: true, deployedAt: EXECUTION_START, app: 'arm-runners' });
    expect(answer.waits).toContain('npm run secrets -- --stack arm-runners');
  });

  it.each<Given & { case: string }>([
    { case: 'of a fleet that is a day old', awaitsTokens: true, deployedAt: EXECUTION_START - 24 * HOUR },
    { case: 'of a fleet that no deployment dates', awaitsTokens: true },
    { case: 'that no stack made', deployedAt: EXECUTION_START },
  ])('is a failure, with a secret $case', async ({ case: _, ...given }) => {
    expect((await failure(read(given))).name).toBe('SecretUnset');
    expect(published.lines()).toEqual([]);
  });
});

it.each([
  { secret: { resource_class: 'acme/linux' }, name: 'SecretMalformed' },
  { secret: { resource_class: 'acme/arm', circle_token: TOKEN }, name: 'SecretMismatch' },
])('fails with $name at once, however new the fleet is', async ({ secret, name: error }) => {
  store(secret);
  const failed = await failure(read({ awaitsTokens: true, deployedAt: EXECUTION_START }));
  expect(failed.name).toBe(error);
  expect(published.lines()).toEqual([]);
});
