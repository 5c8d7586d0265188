import { describe, expect, it } from 'vitest';
import { spreadSeconds } from '../../functions/lib/pacing.ts';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import { HANDLERS, type Replacement } from '../../sandbox/workflow.ts';
import { jobs, LINUX, openSandbox, polledAt } from '../support/sandbox.ts';

/** Concurrent executions of Lambda in a new account. */
const NEW_ACCOUNT = 10;

/** How long a warm function runs, in seconds. */
const TAKES = 0.18;

const FLEETS = ['linux', 'arm', 'gpu', 'macos'];

/** An account in which Lambda runs this number of functions at once and throttles all others, with a job for each fleet. */
async function account(concurrency: number, spread: (name: string) => number) {
  const seen = { most: 0, throttled: 0 };
  let running = 0;
  let sandbox: Sandbox | undefined;
  const limited: Replacement = async (input, real) => {
    if (running >= concurrency) {
      seen.throttled += 1;
      throw Object.assign(new Error('Rate Exceeded.'), { name: 'Lambda.TooManyRequestsException' });
    }
    running += 1;
    seen.most = Math.max(seen.most, running);
    await sandbox?.clock.sleep(TAKES);
    try {
      return await real(input);
    } finally {
      running -= 1;
    }
  };
  const replace = Object.fromEntries(Object.keys(HANDLERS).map((step) => [step, limited]));
  sandbox = await openSandbox({ replace });
  const worlds = FLEETS.map((name) => {
    const world = sandbox.addFleet({ ...LINUX, name, resourceClass: `acme/${name}` }, jobs(1, 60, 30));
    sandbox.deploy(world, { spreadSeconds: spread(name) });
    return world;
  });
  await sandbox.runUntil(300);
  return { seen, worlds };
}

const byName = (name: string) => spreadSeconds(name, LINUX.pollIntervalSeconds);

describe('four fleets in an account with a concurrency of 10', () => {
  it('are throttled if all of them poll in the same second', async () => {
    const { seen } = await account(NEW_ACCOUNT, () => 0);
    expect(seen.throttled).toBeGreaterThan(0);
  });

  it('are not throttled if each polls in a second of its own', async () => {
    const { seen, worlds } = await account(NEW_ACCOUNT, byName);
    expect(seen.throttled).toBe(0);
    expect(seen.most).toBeLessThan(NEW_ACCOUNT);
    for (const { executions, queue } of worlds) {
      expect(executions.map(({ status }) => status)).toEqual(executions.map(() => 'SUCCEEDED'));
      expect(queue.ended).toBe(1);
    }
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
    const waitWith = async (spread: number) => {
      const sandbox = await openSandbox();
      const world = sandbox.addFleet(LINUX, jobs(1, 60, 131 + spread));
      sandbox.deploy(world, { spreadSeconds: spread });
      await sandbox.runUntil(400);
      const [task] = world.queue.tasks;
      return (task?.startedAt ?? Number.NaN) - (task?.queuedAt ?? 0);
    };
    const usual = await waitWith(0);
    for (const spread of [1, 2, 3, 4]) expect(await waitWith(spread)).toBeCloseTo(usual, 3);
  });

  it('ends its executions before the next one begins, if nothing is slow', async () => {
    const { worlds } = await account(1_000, () => 9);
    for (const { executions } of worlds)
      for (const { startedAt, endedAt } of executions) expect(endedAt - startedAt).toBeLessThan(61_000);
  });
});

describe('the second of a fleet', () => {
  it('depends on its name alone, and is within the poll interval and 10 s', () => {
    expect(byName('linux')).toBe(byName('linux'));
    for (const interval of [1, 5, 10, 60])
      for (let index = 0; index < 200; index += 1)
        expect(spreadSeconds(`fleet-${index}`, interval)).toBeLessThan(Math.min(interval, 10));
  });

  it('spreads many fleets evenly', () => {
    const inSecond = [0, 0, 0, 0, 0];
    for (let index = 0; index < 500; index += 1) {
      const second = byName(`fleet-${index}`);
      inSecond[second] = (inSecond[second] ?? 0) + 1;
    }
    for (const fleets of inSecond) expect(Math.abs(fleets - 100)).toBeLessThan(35);
  });
});
