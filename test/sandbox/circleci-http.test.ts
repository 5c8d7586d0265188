import { describe, expect, it } from 'vitest';
import { CircleCi } from '../../sandbox/circleci.ts';
import { serve } from '../support/serve.ts';

const TOKEN = 'CCIPAT_served';
const TASKS = '/api/v3/runner/tasks';

/** An embedded CircleCI with one class: over HTTP, and as the `fetch` of this process. */
async function both() {
  const circleci = new CircleCi();
  circleci.tokens.add(TOKEN);
  circleci.classes.set('acme/c++:1', { unclaimed: 3, running: 2 });
  return {
    circleci,
    http: { url: await serve(circleci), fetch },
    direct: { url: 'https://runner.circleci.com', fetch: circleci.fetch },
  };
}

describe.each(['http', 'direct'] as const)('the embedded CircleCI, %s,', (way) => {
  it.each<{ case: string; path: string; token?: string; status: number; body: object }>([
    {
      case: 'counts unclaimed tasks',
      path: `${TASKS}?resource-class=acme%2Fc%2B%2B%3A1`,
      token: TOKEN,
      status: 200,
      body: { unclaimed_task_count: 3 },
    },
    {
      case: 'counts running tasks',
      path: `${TASKS}/running?resource-class=acme%2Fc%2B%2B%3A1`,
      token: TOKEN,
      status: 200,
      body: { running_runner_tasks: 2 },
    },
    {
      case: 'reads a bare + as a space, as servers do',
      path: `${TASKS}?resource-class=acme/c++:1`,
      token: TOKEN,
      status: 404,
      body: { message: 'Resource class not found' },
    },
    {
      case: 'does not know another class',
      path: `${TASKS}?resource-class=acme/other`,
      token: TOKEN,
      status: 404,
      body: { message: 'Resource class not found' },
    },
    {
      case: 'wants a class',
      path: TASKS,
      token: TOKEN,
      status: 400,
      body: { message: 'resource-class is required' },
    },
    {
      case: 'wants a token',
      path: `${TASKS}?resource-class=acme/other`,
      status: 401,
      body: { message: 'Unauthorized' },
    },
    {
      case: 'wants the right token',
      path: `${TASKS}?resource-class=acme/other`,
      token: 'x',
      status: 401,
      body: { message: 'Unauthorized' },
    },
    {
      case: 'has no other address',
      path: '/api/v2/tasks',
      token: TOKEN,
      status: 404,
      body: { message: 'Not found' },
    },
  ])('$case', async ({ path, token, status, body }) => {
    const { circleci, ...ways } = await both();
    const { url, fetch } = ways[way];
    const response = await fetch(url + path, {
      headers: token === undefined ? {} : { 'Circle-Token': token },
    });
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await response.json()).toEqual(body);
    expect(circleci.requests).toBe(1);
  });

  it('answers with a fault if one is set', async () => {
    const { circleci, ...ways } = await both();
    const { url, fetch } = ways[way];
    circleci.fault = ({ path }) =>
      path === TASKS ? { status: 429, headers: { 'retry-after': '7' }, body: 'slow down' } : undefined;
    const response = await fetch(`${url}${TASKS}`);
    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBe('7');
    expect(await response.text()).toBe('slow down');
    expect((await fetch(`${url}${TASKS}/running`)).status).toBe(401);
  });

  it.each([204, 304])('answers %i, which has no body', async (status) => {
    const { circleci, ...ways } = await both();
    const { url, fetch } = ways[way];
    circleci.fault = () => ({ status, body: '' });
    const response = await fetch(`${url}${TASKS}`);
    expect(response.status).toBe(status);
    expect(await response.text()).toBe('');
  });

  it('breaks the connection', async () => {
    const { circleci, ...ways } = await both();
    const { url, fetch } = ways[way];
    circleci.fault = () => 'reset';
    await expect(fetch(`${url}${TASKS}`)).rejects.toThrow('fetch failed');
  });

  it('hangs until the caller gives up', async () => {
    const { circleci, ...ways } = await both();
    const { url, fetch } = ways[way];
    circleci.fault = () => 'hang';
    const signal = AbortSignal.timeout(50);
    await expect(fetch(`${url}${TASKS}`, { signal })).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('is not asked by a caller who has given up already', async () => {
    const { circleci, ...ways } = await both();
    const { url, fetch } = ways[way];
    circleci.fault = () => 'hang';
    const signal = AbortSignal.abort();
    await expect(fetch(`${url}${TASKS}`, { signal })).rejects.toMatchObject({ name: 'AbortError' });
    expect(circleci.requests).toBe(0);
  });

  it('lets the world catch up before it counts', async () => {
    const counts = { unclaimed: 0, running: 0 };
    const circleci = new CircleCi(() => {
      counts.unclaimed = 5;
    });
    circleci.tokens.add(TOKEN);
    circleci.classes.set('acme/linux', counts);
    const ways = {
      http: { url: await serve(circleci), fetch },
      direct: { url: 'https://x', fetch: circleci.fetch },
    };
    const { url, fetch: ask } = ways[way];
    const response = await ask(`${url}${TASKS}?resource-class=acme/linux`, {
      headers: { 'Circle-Token': TOKEN },
    });
    expect(await response.json()).toEqual({ unclaimed_task_count: 5 });
  });
});
