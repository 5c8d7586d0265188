import { beforeEach, expect, it } from 'vitest';
import { readInventory } from '../../functions/lib/inventory.ts';
import { CircleCi, type CircleCiFault } from '../../sandbox/circleci.ts';
import { deployedSettings } from '../support/inputs.ts';

const NOW = Date.parse('2026-01-05T12:00:00Z');
const TOKEN = 'CCIPAT_inventory';
const FLEET = deployedSettings();

let circleci: CircleCi;

beforeEach(() => {
  circleci = new CircleCi();
  circleci.tokens.add(TOKEN);
  circleci.classes.set('acme/linux', { unclaimed: 0, running: 0 });
});

function read(
  secret: string | Error = JSON.stringify({ resource_class: 'acme/linux', circle_token: TOKEN }),
) {
  const secrets = {
    get: async () => {
      if (secret instanceof Error) throw secret;
      return secret;
    },
  } as unknown as Parameters<typeof readInventory>[0]['secrets'];
  const access = { secrets, fetch: circleci.fetch, timeout: AbortSignal.timeout, now: () => NOW };
  return readInventory(access, FLEET, 50);
}

const answer = (body: unknown, status = 200): CircleCiFault => ({
  status,
  body: typeof body === 'string' ? body : JSON.stringify(body),
});
const item = (more: object = {}) => ({
  resource_class: 'acme/linux',
  hostname: 'ip-10-0-0-1',
  name: 'i-0000000a',
  first_connected: '2026-01-05T10:00:00.123Z',
  last_connected: '2026-01-05T11:59:00Z',
  last_used: null,
  version: '3.1.13',
  ...more,
});

it('lists each runner with its last contact', async () => {
  circleci.runners.set('acme/linux', () => [
    { name: 'i-0000000a', firstConnected: NOW - 7_200_000, lastConnected: NOW - 60_000 },
  ]);
  expect(await read()).toEqual({
    runners: [{ name: 'i-0000000a', firstConnected: NOW - 7_200_000, lastConnected: NOW - 60_000 }],
    at: NOW,
  });
});

it('shows names that somebody else chose on one line, cut, and without what misleads a reader', async () => {
  const name = `i-0\u202e0\u2066\u200b\u2028\u001b[2J\n${'x'.repeat(10_000)}`;
  circleci.fault = () => answer({ items: [item({ name }), item({ name: 'i-0000000b\u200b' })] });
  const inventory = await read();
  const names = 'runners' in inventory ? inventory.runners.map((runner) => runner.name) : [];
  expect(names).toEqual([
    `i-0\ufffd0\ufffd\ufffd\ufffd\ufffd[2J\ufffd${'x'.repeat(51)}...`,
    'i-0000000b\ufffd',
  ]);
});

it('counts runners whose names only look alike', async () => {
  const alike = ['\u200b', '\u200c'].map((unseen) => item({ name: `i-0000000a${unseen}` }));
  circleci.fault = () => answer({ items: alike });
  const inventory = await read();
  expect('runners' in inventory && inventory.runners).toHaveLength(2);
});

it('takes the freshest of several registrations with one name', async () => {
  const items = [
    item(),
    item({ last_connected: '2026-01-05T11:59:30Z' }),
    item({ last_connected: '2026-01-05T09:00:00Z' }),
  ];
  circleci.fault = () => answer({ items });
  expect(await read()).toMatchObject({ runners: [{ lastConnected: NOW - 30_000 }] });
});

it.each<{ case: string; last_used: unknown; lastUsed: number | undefined }>([
  { case: 'with a zone', last_used: '2026-01-05T13:58:00.123456789+02:00', lastUsed: NOW - 119_877 },
  { case: 'never', last_used: '', lastUsed: undefined },
  { case: 'never, as Go writes it', last_used: '0001-01-01T00:00:00Z', lastUsed: undefined },
  { case: 'a number', last_used: NOW, lastUsed: Number.NaN },
  { case: 'without a zone', last_used: '2026-01-05T11:58:00', lastUsed: Number.NaN },
  { case: 'a word', last_used: 'yesterday', lastUsed: Number.NaN },
])('says when a runner was last used, or that this is not known: $case', async ({ last_used, lastUsed }) => {
  circleci.fault = () => answer({ items: [item({ last_used })] });
  expect(await read()).toMatchObject({ runners: [{ lastUsed }] });
});

it.each<{ case: string; fault: CircleCiFault; inventory: object }>([
  { case: 'a 404', fault: answer({ message: 'Not found' }, 404), inventory: { none: true } },
  { case: 'an empty list', fault: answer({ items: [] }), inventory: { none: true } },
  {
    case: 'a 401',
    fault: answer({ message: 'Unauthorized' }, 401),
    inventory: { missing: 'CircleCI answered 401' },
  },
  { case: 'a 503', fault: answer('down', 503), inventory: { missing: 'CircleCI answered 503' } },
  {
    case: 'a page of a proxy',
    fault: answer('<html>'),
    inventory: { missing: expect.stringContaining('JSON') },
  },
  { case: 'no list', fault: answer({}), inventory: { missing: expect.stringContaining('no list') } },
  {
    case: 'the first page of a list',
    fault: answer({ items: [item()], next_page_token: 'abc' }),
    inventory: { missing: expect.stringContaining('a part') },
  },
  {
    case: 'a runner without its last contact',
    fault: answer({ items: [item(), item({ last_connected: null })] }),
    inventory: { missing: expect.stringContaining('without times') },
  },
  {
    case: 'a runner without a name',
    fault: answer({ items: [item({ name: '' })] }),
    inventory: { missing: expect.stringContaining('without a name') },
  },
  {
    case: 'a runner of another class',
    fault: answer({ items: [item({ resource_class: 'acme/arm' })] }),
    inventory: { missing: expect.stringContaining('another resource class') },
  },
  {
    case: 'a contact in the future',
    fault: answer({ items: [item({ last_connected: '2026-01-05T13:00:00Z' })] }),
    inventory: { missing: expect.stringContaining('future') },
  },
  { case: 'no answer', fault: 'hang', inventory: { missing: expect.stringMatching(/^CircleCiTimeout/) } },
  {
    case: 'a lost connection',
    fault: 'reset',
    inventory: { missing: expect.stringMatching(/^CircleCiUnreachable/) },
  },
])('is whole or not there: $case', async ({ fault, inventory }) => {
  circleci.fault = () => fault;
  expect(await read()).toEqual(inventory);
});

it('is missing without the secret, and the reason does not show the token', async () => {
  expect(await read('{"resource_class": "acme/linux"}')).toEqual({
    missing: expect.stringMatching(/^SecretMalformed/),
  });
  circleci.fault = () => answer(TOKEN, 500);
  expect(JSON.stringify(await read())).not.toContain(TOKEN);
});
