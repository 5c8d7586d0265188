import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { firstSecond, functionsAtOnce, spreadOf } from '../../fleets/own-second.ts';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import { HANDLERS, type Replacement } from '../../sandbox/workflow.ts';
import { chosen, definition, state } from '../support/definition.ts';
import { jobs, LINUX, openSandbox, polledAt } from '../support/sandbox.ts';

/** Concurrent executions of Lambda in a new account. */
const NEW_ACCOUNT = 10;

/** How long a warm function runs, in seconds. */
const TAKES = 0.18;

/** How long a function runs whose container has to start. Read Settings and its container take no more than a second. */
const COLD = 0.9;

/** An account in which Lambda runs this number of functions at once and throttles all others, with a job for each fleet. */
async function account(
  names: string[],
  { concurrency = NEW_ACCOUNT, spread = true, takes = TAKES, seconds = 300 } = {},
) {
  const seen = { most: 0, mostSettings: 0, throttled: 0 };
  const running = { all: 0, settings: 0 };
  let sandbox: Sandbox | undefined;
  const limited =
    (step: string): Replacement =>
    async (input, real) => {
      if (running.all >= concurrency) {
        seen.throttled += 1;
        throw Object.assign(new Error('Rate Exceeded.'), { name: 'Lambda.TooManyRequestsException' });
      }
      const settings = step === 'Read Settings' ? 1 : 0;
      running.all += 1;
      running.settings += settings;
      seen.most = Math.max(seen.most, running.all);
      seen.mostSettings = Math.max(seen.mostSettings, running.settings);
      await sandbox?.clock.sleep(takes);
      try {
        return await real(input);
      } finally {
        running.all -= 1;
        running.settings -= settings;
      }
    };
  const replace = Object.fromEntries(Object.keys(HANDLERS).map((step) => [step, limited(step)]));
  sandbox = await openSandbox({ replace, spread });
  const worlds = names.map((name) =>
    sandbox?.addFleet({ ...LINUX, name, resourceClass: `acme/${name}` }, jobs(1, 60, 30)),
  );
  await sandbox.runUntil(seconds);
  return { seen, worlds: worlds.filter((world) => world !== undefined) };
}

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `fleet-${index}`);

/** The most fleets, by these names, that the check before a deployment lets into a new account. */
const most = (): string[] => {
  const fitting = Array.from({ length: 30 }, (_, index) => numbered(index + 1)).filter(
    (names) => functionsAtOnce(names.map((name) => ({ name, pollInterval: 5 }))) <= NEW_ACCOUNT,
  );
  return fitting.at(-1) ?? [];
};

describe('in an account with a concurrency of 10', () => {
  it('four fleets are throttled if all of them poll in the same second', async () => {
    const { seen } = await account(['linux', 'arm', 'gpu', 'macos'], { spread: false });
    expect(seen.throttled).toBeGreaterThan(0);
  });

  it.each([
    { case: 'four fleets', names: ['linux', 'arm', 'gpu', 'macos'] },
    { case: 'as many fleets as the check before a deployment lets in', names: most() },
  ])('$case are not throttled: each runs its functions in a second of its own', async ({ names }) => {
    expect(names.length).toBeGreaterThanOrEqual(4);
    const { seen, worlds } = await account(names);
    expect(seen.throttled).toBe(0);
    expect(seen.most).toBeLessThanOrEqual(NEW_ACCOUNT);
    for (const { executions, queue } of worlds) {
      expect(executions.map(({ status }) => status)).toEqual(executions.map(() => 'SUCCEEDED'));
      expect(queue.ended).toBe(1);
    }
  });

  it('thirty fleets read their settings in five seconds, not all in the first one', async () => {
    const names = numbered(30);
    const { seen } = await account(names, { concurrency: 1_000, takes: COLD, seconds: 50 });
    const inSecond = names.map(firstSecond);
    const busiest = Math.max(...[0, 1, 2, 3, 4].map((at) => inSecond.filter((own) => own === at).length));
    expect(busiest).toBeLessThanOrEqual(NEW_ACCOUNT);
    expect(seen.mostSettings).toBe(busiest);
  });
});

describe('the states before the first function', () => {
  it.each(numbered(12))('let %s begin in the second that its name gives', async (name) => {
    const sandbox = await openSandbox({ spread: true });
    sandbox.addFleet({ ...LINUX, name, resourceClass: 'acme/linux' });
    const { path, startedAt } = await sandbox.execute(name);
    const at = path.find(({ state }) => state === 'Read Settings')?.at ?? Number.NaN;
    expect((at - startedAt) / 1_000).toBe(firstSecond(name));
  });

  it('give each of a thousand names the second that fleets/own-second.ts computes', () => {
    const own = state(definition, 'Own Second?');
    if (own.Type !== 'Choice') throw new Error('Own Second? is no Choice state');
    for (const fleet of numbered(1_000)) {
      const hash = createHash('sha256').update(JSON.stringify({ fleet })).digest('hex');
      const next = state(definition, chosen(own, { input: { fleet }, hash }));
      expect(next.Type === 'Wait' ? next.Seconds : 0).toBe(firstSecond(fleet));
    }
  });

  it('let an execution with one poll begin at once', async () => {
    const sandbox = await openSandbox({ spread: true });
    sandbox.addFleet(LINUX);
    expect(firstSecond('linux')).toBeGreaterThan(0);
    const run = sandbox.workflow.run('once', { fleet: 'linux', once: true });
    const { path, startedAt } = await sandbox.clock.run(run);
    expect(path.find(({ state }) => state === 'Read Settings')?.at).toBe(startedAt);
    expect(path.find(({ state }) => state === 'Observe')?.at).toBe(startedAt);
  });

  it.each<{ input: unknown }>([
    { input: {} },
    { input: { fleet: 7 } },
    { input: { fleet: null, other: [1] } },
    { input: [] },
    { input: [1] },
    { input: 'x' },
    { input: 7 },
  ])('let Read Settings refuse the input $input, which names no fleet', async ({ input }) => {
    const sandbox = await openSandbox({ spread: true });
    const run = sandbox.workflow.run('wrong', input as { fleet: string });
    const { status, error, path } = await sandbox.clock.run(run);
    expect([status, error]).toEqual(['FAILED', 'InputInvalid']);
    expect(path.map(({ state }) => state)).toContain('Settings Unreadable');
  });
});

describe('a fleet that polls from a second of its own', () => {
  it.each([1, 2, 3, 4, 9])(
    '%i s later has as many polls, with the same gaps, in each minute',
    async (spread) => {
      const polls = async (seconds: number) => {
        const sandbox = await openSandbox();
        const world = sandbox.addFleet(LINUX, jobs(1, 600, 0));
        sandbox.deploy(world, { spreadSeconds: seconds });
        await sandbox.runUntil(300);
        return world.executions.map(polledAt);
      };
      const [usual, later] = [await polls(0), await polls(spread)];
      expect(later).toEqual(usual.map((seconds) => seconds.map((at) => at + spread)));
    },
  );

  it('lets a job wait as long as without, if the job comes as much later', async () => {
    const waitWith = async (spread: boolean, queuedAt: number) => {
      const sandbox = await openSandbox({ spread });
      const world = sandbox.addFleet(LINUX, jobs(1, 60, queuedAt));
      await sandbox.runUntil(400);
      const [task] = world.queue.tasks;
      return (task?.startedAt ?? Number.NaN) - (task?.queuedAt ?? 0);
    };
    const later = firstSecond('linux');
    expect(await waitWith(true, 131 + later)).toBeCloseTo(await waitWith(false, 131), 3);
  });

  it('ends its executions before the next one begins, if nothing is slow', async () => {
    const sandbox = await openSandbox();
    const world = sandbox.addFleet(LINUX, jobs(1, 60, 30));
    sandbox.deploy(world, { spreadSeconds: 9 });
    await sandbox.runUntil(300);
    for (const { startedAt, endedAt } of world.executions) expect(endedAt - startedAt).toBeLessThan(61_000);
  });
});

describe('the second of a fleet', () => {
  const pollInterval = 5;
  const polling = (names: string[]) => names.map((name) => ({ name, pollInterval }));

  it('is the first one that its name allows, if no fleet before it in the file polls then', () => {
    const names = ['linux', 'arm', 'gpu', 'macos', 'windows'];
    expect(names.map((name) => spreadOf([{ name, pollInterval }]).get(name))).toEqual([3, 0, 2, 0, 0]);
    expect([...spreadOf(polling(names)).values()]).toEqual([3, 0, 2, 1, 4]);
  });

  it('stays the same with another fleet at the end of the file', () => {
    const before = spreadOf(polling(numbered(20)));
    const after = spreadOf(polling(numbered(21)));
    expect([...after].slice(0, 20)).toEqual([...before]);
  });

  it('differs for five fleets whatever their names, so that they need no more than 10 functions', () => {
    const all = numbered(400);
    const alike = [0, 1, 2, 3, 4].map((second) =>
      all.filter((name) => firstSecond(name) === second).slice(0, 5),
    );
    for (const names of alike) {
      const seconds = [...spreadOf(polling(names)).values()].map((second) => second % 5);
      expect(new Set(seconds).size).toBe(5);
      expect(functionsAtOnce(polling(names))).toBeLessThanOrEqual(NEW_ACCOUNT);
    }
  });

  it.each([1, 5, 9, 10, 60])('with a pollInterval of %i s spreads many fleets evenly', (interval) => {
    const seconds = Math.min(interval, 10);
    const inSecond = Array.from({ length: seconds }, () => 0);
    const all = numbered(1_000).map((name) => ({ name, pollInterval: interval }));
    for (const second of spreadOf(all).values()) {
      const own = second % seconds;
      inSecond[own] = (inSecond[own] ?? 0) + 1;
    }
    for (const fleets of inSecond) expect(Math.abs(fleets - 1_000 / seconds)).toBeLessThan(80);
  });
});
