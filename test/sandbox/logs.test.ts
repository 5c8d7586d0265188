import { Logger } from '@aws-lambda-powertools/logger';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as z from 'zod';
import { SANDBOX_TOKEN } from '../../sandbox/sandbox.ts';
import { HANDLERS } from '../../sandbox/workflow.ts';
import { SynthesisedTemplate } from '../infra/template.ts';
import { fleetsOf, MINIMAL } from '../support/fleets.ts';
import { oneFleet } from '../support/sandbox.ts';

const log = new Logger({ logLevel: 'DEBUG' });

let printed = '';

beforeEach(() => {
  printed = '';
  const print = (...text: unknown[]) => {
    printed += `${text.join(' ')}\n`;
    return true;
  };
  for (const stream of [process.stdout, process.stderr]) vi.spyOn(stream, 'write').mockImplementation(print);
  for (const method of ['debug', 'error', 'info', 'log', 'warn'] as const) {
    vi.spyOn(console, method).mockImplementation(print);
  }
});

afterEach(() => {
  vi.restoreAllMocks();
});

const Line = z.looseObject({
  level: z.string(),
  message: z.string(),
  fleet: z.string(),
  execution: z.string(),
  poll: z.optional(z.number()),
});
const lines = () =>
  printed
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => Line.parse(JSON.parse(line)));

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html; `step` is a name that a query gives. */
const OF_THE_LANGUAGE = 'fields filter sort limit desc and or as ispresent @timestamp step'.split(' ');

const wordsOf = (query: string) => query.replaceAll(/"[^"]*"/g, '').match(/@?[a-z]\w*(\.\w+)*/gi) ?? [];

/** The fields of a line as a query names them: `decision.reasons.0`. */
function pathsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    key,
    ...pathsIn(inner).map((path) => `${key}.${path}`),
  ]);
}

describe('the log lines of an execution', () => {
  it('are one for each step, and say which fleet and which execution they belong to', async () => {
    const { execute } = await oneFleet({ log, queued: 2, fleet: { pollIntervalSeconds: 60 } });
    await execute();
    expect(
      lines()
        .map(({ message }) => message)
        .toSorted(),
    ).toEqual(Object.keys(HANDLERS).toSorted());
    for (const line of lines()) expect(line).toMatchObject({ fleet: 'linux', execution: 'linux-1' });
  });

  it('are at level INFO where something is decided or done, which alone is paid for', async () => {
    const { execute } = await oneFleet({ log, queued: 2, fleet: { pollIntervalSeconds: 60 } });
    await execute();
    const levels = Object.fromEntries(lines().map(({ message, level }) => [message, level]));
    expect(levels).toEqual({
      ...Object.fromEntries(Object.keys(HANDLERS).map((step) => [step, 'DEBUG'])),
      'Compute Capacity': 'INFO',
      'Update Group': 'INFO',
    });
  });

  it('say by its number which poll they belong to, also where the next one is planned', async () => {
    const { execute } = await oneFleet({ log, queued: 2, fleet: { pollIntervalSeconds: 60 } });
    await execute();
    const polls = lines().map(({ message, poll }) => [message, poll]);
    expect(Object.fromEntries(polls)).toEqual({
      'Read Settings': undefined,
      'Count Unclaimed': 1,
      'Count Running': 1,
      'Describe Group': 1,
      'Compute Capacity': 1,
      'Update Group': undefined,
    });
  });

  it('say why capacity changed', async () => {
    const { execute } = await oneFleet({ log, queued: 2, fleet: { pollIntervalSeconds: 60 } });
    await execute();
    expect(lines().find(({ message }) => message === 'Compute Capacity')).toMatchObject({
      decision: { reasons: ['2 unclaimed + 0 running = 2 wanted', 'desired capacity rises from 0 to 2'] },
    });
  });

  it('say what failed and why', async () => {
    const { sandbox, execute } = await oneFleet({ log, queued: 2 });
    sandbox.circleci.classes.clear();
    await execute();
    expect(lines().filter(({ level }) => level === 'ERROR')[0]).toMatchObject({
      message: 'Count Unclaimed',
      poll: 1,
      error: { name: 'CircleCiNotFound', message: expect.stringContaining('answered 404') },
    });
  });

  it('hold every field that the saved queries ask for', async () => {
    const { sandbox, world, execute } = await oneFleet({
      log,
      queued: 3,
      fleet: { pollIntervalSeconds: 60 },
    });
    world.group.settings.launchFault = () => 'failing';
    await sandbox.runUntil(300);
    sandbox.circleci.classes.clear();
    await execute();
    const queries = SynthesisedTemplate.of(fleetsOf(MINIMAL)).all('AWS::Logs::QueryDefinition');
    const asked = queries.flatMap(({ properties }) => wordsOf(String(properties.QueryString)));
    const known = new Set([...OF_THE_LANGUAGE, ...lines().flatMap((line) => pathsIn(line))]);
    expect(asked.length).toBeGreaterThan(20);
    expect(asked.filter((word) => !known.has(word))).toEqual([]);
  });

  it.each([
    { case: 'all is well', body: undefined, status: 200 },
    { case: 'CircleCI refuses and echoes it', body: `{"message":"${SANDBOX_TOKEN}"}`, status: 401 },
    { case: 'a proxy echoes it', body: `Circle-Token: ${SANDBOX_TOKEN}`, status: 200 },
    { case: 'CircleCI fails and echoes it', body: SANDBOX_TOKEN, status: 500 },
  ])('never hold the token, when $case', async ({ body, status }) => {
    const { sandbox, execute } = await oneFleet({ log, queued: 2 });
    sandbox.circleci.fault = () => (body === undefined ? undefined : { status, body });
    await execute();
    expect(lines().length).toBeGreaterThan(3);
    expect(printed).not.toContain(SANDBOX_TOKEN);
  });

  it('never hold a secret that is malformed', async () => {
    const { sandbox, world, execute } = await oneFleet({ log, queued: 2 });
    sandbox.aws.secrets.set(world.settings.scalerSecretName, `{"circle_token": "${SANDBOX_TOKEN}"`);
    await execute();
    expect(lines()).toHaveLength(1);
    expect(printed).not.toContain(SANDBOX_TOKEN);
  });
});
