import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Sandbox } from '../../sandbox/sandbox.ts';
import { jobs, LINUX, openSandbox } from '../support/sandbox.ts';

const NAMES = ['linux', 'macos', 'arm'];

interface Given {
  /** How many jobs each fleet gets, when, and how long they are, in seconds. */
  fleets: { jobs: number; at: number; seconds: number }[];
  limit: number;
  /** Whether fleets.yaml has the limit. */
  configured?: boolean;
  pollIntervalSeconds?: number;
}

/** Opens a sandbox with fleets of one plan. */
async function openPlan({ fleets, limit, configured = true, pollIntervalSeconds = 15 }: Given) {
  const sandbox = await openSandbox();
  const names = NAMES.slice(0, fleets.length);
  const worlds = fleets.map((fleet, index) =>
    sandbox.addFleet(
      {
        ...LINUX,
        name: NAMES[index] ?? '',
        resourceClass: `acme/${NAMES[index]}`,
        pollIntervalSeconds,
        ...(configured && { concurrency: { limit, fleets: names } }),
      },
      jobs(fleet.jobs, fleet.seconds, fleet.at),
    ),
  );
  sandbox.limitPlan(limit);
  return { sandbox, worlds };
}

/** Runs all jobs, which may take hours, and counts the launches that ran none. */
async function unusedLaunches(given: Given) {
  const { sandbox, worlds } = await openPlan({ ...given, pollIntervalSeconds: 20 });
  await sandbox.drain(given.fleets.reduce((sum, fleet) => sum + fleet.jobs, 0));
  expect(worlds.flatMap(({ queue }) => queue.tasks).every(({ killed }) => !killed)).toBe(true);
  return worlds.reduce((sum, { group }) => sum + group.totals.unusedLaunches, 0);
}

const metricsOf = ({ workflow }: Sandbox, name: string, fleet: string) =>
  workflow.metrics.filter((metric) => metric.name === name && metric.dimensions.Fleet === fleet);

const TWO = [
  { jobs: 20, at: 0, seconds: 600 },
  { jobs: 20, at: 12, seconds: 600 },
];

describe("fleets that share a plan's concurrency", () => {
  it('launch only for tasks that may run, and run all of them', async () => {
    expect(await unusedLaunches({ fleets: TWO, limit: 6 })).toBe(0);
    expect(await unusedLaunches({ fleets: TWO, limit: 6, configured: false })).toBeGreaterThan(20);
  });

  it('come to even shares as tasks end', async () => {
    const { sandbox, worlds } = await openPlan({ fleets: TWO, limit: 6 });
    await sandbox.runUntil(300);
    expect(worlds.map(({ queue }) => queue.running)).toEqual([6, 0]);
    await sandbox.runUntil(1_200);
    expect(worlds.map(({ queue }) => queue.running)).toEqual([3, 3]);
  });

  it('say that tasks wait for the plan, and do not starve', async () => {
    const { sandbox, worlds } = await openPlan({ fleets: TWO, limit: 6 });
    await sandbox.runUntil(600);
    const [, macos] = worlds;
    const decided = macos?.executions.at(-1)?.path.findLast(({ state }) => state === 'Compute Capacity');
    expect(JSON.stringify(decided?.output)).toContain(
      "20 tasks are beyond the plan's concurrency, which leaves 0 to this fleet",
    );
    const late = (name: string) =>
      metricsOf(sandbox, name, 'macos').filter(({ at }) => at > sandbox.clock.now() - 300_000);
    expect(late('TasksOverConcurrency').map(({ value }) => value)).toEqual(late('AtMaximum').map(() => 20));
    expect(late('Starving').filter(({ value }) => value > 0)).toEqual([]);
    expect(metricsOf(sandbox, 'TasksWithheld', 'macos')).toEqual([]);
  });

  it('go on when one of them cannot count its tasks', async () => {
    const { sandbox, worlds } = await openPlan({ fleets: TWO, limit: 6 });
    sandbox.circleci.fault = ({ resourceClass }) =>
      resourceClass === 'acme/linux' && sandbox.now > 60 ? { status: 503, body: '' } : undefined;
    await sandbox.runUntil(1_800);
    const [linux, macos] = worlds;
    // Its tasks hold their share until they end, and then the other one has all.
    expect(linux?.queue).toMatchObject({ running: 0, ended: 6 });
    expect(macos?.queue.running).toBe(6);
    expect(macos?.outcomes.failed).toBe(0);
  });

  it('go on when the group of one of them is gone', async () => {
    const { sandbox, worlds } = await openPlan({ fleets: TWO, limit: 6 });
    sandbox.aws.groups.delete(worlds[0]?.settings.groupName ?? '');
    await sandbox.runUntil(300);
    expect(worlds[1]?.queue.running).toBe(6);
  });

  it('launch for no more than a poll what cannot be claimed, and kill no job, whatever their jobs are', async () => {
    const fleet = fc.record({
      jobs: fc.integer({ min: 1, max: 12 }),
      at: fc.nat({ max: 300 }),
      seconds: fc.integer({ min: 30, max: 900 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fleet, { minLength: 2, maxLength: 3 }),
        fc.integer({ min: 1, max: 10 }),
        async (fleets, limit) => {
          // Two fleets that poll at the same time do not know of each other's launches.
          expect(await unusedLaunches({ fleets, limit })).toBeLessThanOrEqual((fleets.length - 1) * limit);
        },
      ),
      { numRuns: 4 },
    );
  });
});

describe('a limit that fleets.yaml does not name', () => {
  const LONG = [{ jobs: 30, at: 0, seconds: 1_800 }];

  /** A fleet that launches nothing beyond its running tasks. */
  const openHeld = async () => {
    const { sandbox, worlds } = await openPlan({ fleets: LONG, limit: 2, configured: false });
    const [world] = worlds;
    if (world === undefined) throw new Error('There is no fleet');
    await sandbox.runUntil(1_500);
    expect(world.queue.running).toBe(2);
    expect(metricsOf(sandbox, 'TasksWithheld', 'linux')).not.toEqual([]);
    const launches = world.group.totals.launches;
    return { sandbox, world, launches };
  };

  it('lets the fleet replace runners that have left after their tasks, and launch a canary now and then', async () => {
    const { sandbox, world, launches } = await openHeld();
    await sandbox.runUntil(1_500 + 3_600);
    // Two tasks of half an hour at a time, and canaries after 2, 4, 8, 16 and 30 minutes.
    expect(world.queue.ended).toBeGreaterThanOrEqual(4);
    expect(world.group.totals.launches - launches).toBeLessThanOrEqual(4 + 5);
  });

  it('ends with the canary if more tasks may run, and the fleet launches for all', async () => {
    const { sandbox, world } = await openHeld();
    sandbox.limitPlan(100);
    // The next canary may be 16 minutes away, and then instances boot.
    await sandbox.runUntil(1_500 + 20 * 60);
    expect(world.queue.running).toBe(10);
  });

  it('ends at once if somebody sets it higher while runners are idle', async () => {
    const { sandbox, worlds } = await openPlan({ fleets: LONG, limit: 2, configured: false });
    await sandbox.runUntil(250);
    sandbox.limitPlan(100);
    worlds[0]?.group.offerAll();
    await sandbox.runUntil(500);
    expect(worlds[0]?.queue.running).toBe(10);
  });
});
