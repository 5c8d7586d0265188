import { beforeEach, describe, expect, it } from 'vitest';
import { circleciAccess } from '../../functions/lib/circleci.ts';
import type { ListedRunner } from '../../functions/lib/inventory.ts';
import { checkZero, type ZeroMemory } from '../../functions/lib/zero-check.ts';
import { CircleCi, type CircleCiFault } from '../../sandbox/circleci.ts';
import { embeddedAws, newSecretName } from '../support/aws.ts';
import { deployedSettings, EXECUTION_START, firstPoll, parsedCountInput } from '../support/inputs.ts';

const TOKEN = 'CCIPAT_zero_0123456789abcdef';
const HOUR = 3_600_000;
const { aws, secrets } = await embeddedAws();

let circleci: CircleCi;
let memory: ZeroMemory;
let now: number;
let asked: string[];
let timeouts: number[];
let faults: Record<string, CircleCiFault>;
const settings = deployedSettings({ scalerSecretName: newSecretName() });
const { resourceClass } = settings;
const setToken = (token: string) =>
  aws.secrets.set(
    settings.scalerSecretName,
    JSON.stringify({ resource_class: resourceClass, circle_token: token }),
  );

beforeEach(() => {
  circleci = new CircleCi();
  circleci.tokens.add(TOKEN);
  circleci.classes.set(resourceClass, { unclaimed: 0, running: 0 });
  circleci.runners.set(resourceClass, () => [runner()]);
  asked = [];
  timeouts = [];
  faults = {};
  circleci.fault = ({ path }) => {
    asked.push(path);
    return faults[path];
  };
  memory = new Map();
  now = EXECUTION_START;
  setToken(TOKEN);
  secrets.clearCache();
});

const runner = (lastUsed?: number): ListedRunner => ({
  name: 'i-1',
  firstConnected: EXECUTION_START - HOUR,
  lastConnected: now,
  lastUsed,
});

const timeout = (milliseconds: number) => {
  timeouts.push(milliseconds);
  return AbortSignal.timeout(milliseconds);
};

/** Checks a count `took` milliseconds after its request was sent. Default: at the first poll of an execution. */
const check = (count = 0, poll = {}, took = 0, fleet = settings) =>
  checkZero(
    { ...circleciAccess(), secrets, fetch: circleci.fetch, now: () => now, timeout, memory },
    fleet,
    parsedCountInput({ poll: firstPoll(poll) }).poll,
    count,
    now - took,
  );

const later = (milliseconds: number) => {
  now += milliseconds;
};

const FINE = { inventory: 1, fleet: { queued: 0, running: 0 }, unseen: 0, skipped: [] };
const FLEETS = '/api/v3/runner/fleets';

describe('a count of running tasks is checked', () => {
  it('against the inventory and the fleets of runners', async () => {
    expect(await check()).toEqual(FINE);
    expect(asked.toSorted()).toEqual([
      '/api/v3/runner',
      FLEETS,
      `${FLEETS}/${encodeURIComponent(resourceClass)}`,
    ]);
  });

  it('once an hour while nothing is in doubt', async () => {
    await check();
    later(60_000);
    expect(await check()).toBeUndefined();
    later(HOUR - 60_001);
    expect(await check()).toBeUndefined();
    later(1);
    expect(await check()).toEqual(FINE);
  });

  it('with a new token at once', async () => {
    await check();
    circleci.tokens.add('CCIPAT_zero_2');
    setToken('CCIPAT_zero_2');
    // A warm function keeps a secret for five minutes.
    secrets.clearCache();
    later(60_000);
    expect(await check()).toEqual(FINE);
  });

  it.each([
    { lie: 'unknown class', says: { ...FINE, inventory: 0, fleet: 'unknown' } },
    { lie: 'no permission', says: { ...FINE, inventory: 'refused', fleet: 'unknown' } },
  ] as const)('in each execution while something is in doubt: $lie', async ({ lie, says }) => {
    circleci.lies.set(resourceClass, lie);
    for (let minute = 0; minute < 3; minute += 1) {
      expect(await check()).toEqual(says);
      later(60_000);
    }
  });

  it('for each of the fleets that share a secret', async () => {
    const second = { ...settings, resourceClass: 'acme/second' };
    const secret = { resource_class: [resourceClass, second.resourceClass], circle_token: TOKEN };
    aws.secrets.set(settings.scalerSecretName, JSON.stringify(secret));
    const says = { inventory: 0, fleet: 'unknown', unseen: 0, skipped: [] };
    for (let minute = 0; minute < 3; minute += 1) {
      expect(await check()).toEqual(minute === 0 ? FINE : undefined);
      expect(await check(0, {}, 0, second)).toEqual(says);
      later(60_000);
    }
  });

  it('apart from the counts of a fleet that shares its secret', async () => {
    const second = { ...settings, resourceClass: 'acme/second' };
    const secret = { resource_class: [resourceClass, second.resourceClass], circle_token: TOKEN };
    aws.secrets.set(settings.scalerSecretName, JSON.stringify(secret));
    await check();
    await check(1, {}, 0, second);
    later(60_000);
    expect(await check()).toBeUndefined();
  });

  it('against an inventory of several thousand runners', async () => {
    const pool = Array.from({ length: 10_000 }, (_, index) => ({
      ...runner(),
      name: `i-${String(index).padStart(150, '0')}`,
    }));
    circleci.runners.set(resourceClass, () => pool);
    expect(await check()).toEqual({ ...FINE, inventory: 10_000 });
  });

  it('only if it is 0, and only at the first poll of an execution', async () => {
    expect(await check(1)).toBeUndefined();
    expect(await check(0, { number: 2 })).toBeUndefined();
    expect(asked).toEqual([]);
  });

  it('only if the poll has time for it', async () => {
    expect(await check(0, { timeoutSeconds: 2 }, 1_201)).toBeUndefined();
    expect(asked).toEqual([]);
    expect(await check(0, { timeoutSeconds: 2 }, 1_200)).toEqual(FINE);
    expect(timeouts).toEqual([300]);
  });

  it('for at most 2 s', async () => {
    await check(0, { timeoutSeconds: 8 });
    expect(timeouts).toEqual([2_000]);
  });

  it('with the token that a warm function keeps', async () => {
    expect(await check()).toEqual(FINE);
    setToken('CCIPAT_not_read_yet');
    later(HOUR);
    expect(await check()).toEqual(FINE);
  });

  it.each(['https://circleci.acme.example', 'https://circleci.acme.example//'])(
    'against the inventory alone on CircleCI Server: %s',
    async (circleciUrl) => {
      const server = { ...settings, circleciUrl };
      const secret = { resource_class: resourceClass, circleci_url: server.circleciUrl, circle_token: TOKEN };
      aws.secrets.set(settings.scalerSecretName, JSON.stringify(secret));
      secrets.clearCache();
      expect(await check(0, {}, 0, server)).toStrictEqual({ inventory: 1, unseen: 0, skipped: [] });
      expect(asked).toEqual(['/api/v3/runner']);
    },
  );
});

describe('a token that may not list runners', () => {
  it.each([401, 403])('is in doubt, and no source that fails: status %d', async (status) => {
    faults['/api/v3/runner'] = { status, body: '{}' };
    expect(await check()).toEqual({ ...FINE, inventory: 'refused' });
  });
});

describe('a source that cannot be read is skipped and named:', () => {
  it.each<{ case: string; fault: CircleCiFault; says: string }>([
    { case: '503', fault: { status: 503, body: 'Unavailable' }, says: 'status 503' },
    { case: '404', fault: { status: 404, body: '{}' }, says: 'status 404' },
    { case: 'a page', fault: { status: 200, body: '<html>' }, says: 'no JSON' },
    {
      case: 'another shape',
      fault: { status: 200, body: '{"fleets":[]}' },
      says: 'another answer than documented',
    },
    { case: 'a broken connection', fault: 'reset', says: 'CircleCiUnreachable' },
  ])('fleets of runners, $case', async ({ fault, says }) => {
    faults[FLEETS] = fault;
    expect(await check()).toEqual({ inventory: 1, unseen: 0, skipped: [`the fleets of runners: ${says}`] });
  });

  it('each execution says so again until the next check, without a request', async () => {
    faults[FLEETS] = { status: 503, body: '' };
    const skipped = ['the fleets of runners: status 503'];
    await check();
    asked = [];
    later(59 * 60_000);
    expect(await check(0, { number: 2 })).toBeUndefined();
    expect(await check()).toStrictEqual({ unseen: 0, skipped });
    expect(asked).toEqual([]);
    faults = {};
    later(60_000);
    expect(await check()).toStrictEqual(FINE);
    expect(await check()).toBeUndefined();
  });

  it('the inventory, 503', async () => {
    faults['/api/v3/runner'] = { status: 503, body: '' };
    expect(await check()).toStrictEqual({
      fleet: FINE.fleet,
      unseen: 0,
      skipped: ['the inventory of runners: status 503'],
    });
  });

  it('everything, if the secret cannot be read any more', async () => {
    aws.secrets.delete(settings.scalerSecretName);
    secrets.clearCache();
    expect(await check()).toEqual({ unseen: 0, skipped: ['the whole check: SecretNotFound'] });
  });
});

describe('a runner that ran a task while each count was 0', () => {
  const usedAt = (...times: number[]) => circleci.runners.set(resourceClass, () => times.map(runner));

  /** Polls once a minute. */
  async function polled(minutes: number): Promise<void> {
    for (let minute = 0; minute < minutes; minute += 1) {
      await check(0, { number: 2 });
      later(60_000);
    }
  }

  it('is found if its task was claimed after the first of these counts', async () => {
    await polled(5);
    usedAt(EXECUTION_START - 1, EXECUTION_START + 30_000, EXECUTION_START + 30_001, now, now + 1);
    expect(await check()).toMatchObject({ unseen: 2 });
  });

  it('is found if the counts were two minutes apart', async () => {
    await polled(1);
    later(60_000);
    usedAt(EXECUTION_START + 60_000);
    expect(await check()).toMatchObject({ unseen: 1 });
  });

  it('proves nothing if there was no count for more than two minutes', async () => {
    await polled(1);
    later(60_001);
    usedAt(EXECUTION_START + 60_000);
    expect(await check()).toMatchObject({ unseen: 0 });
  });

  it('is found within 15 minutes', async () => {
    await polled(60);
    usedAt(now - 900_000 + 30_000, now - 900_000 + 30_001, now - 1);
    expect(await check()).toMatchObject({ inventory: 3, unseen: 2 });
  });

  it('proves nothing if a count was above 0 meanwhile', async () => {
    await polled(2);
    await check(1);
    later(60_000);
    usedAt(EXECUTION_START + 60_000);
    expect(await check()).toMatchObject({ unseen: 0 });
  });
});
