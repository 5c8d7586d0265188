import { existsSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { choosePolicies } from '../../cli/replays/policies.ts';
import { tableOf } from '../../simulator/job-table.ts';
import { optimise, tutorialFor } from '../../simulator/optimise.ts';
import type { Setting } from '../../simulator/search-settings.ts';
import { simulateOne } from '../../simulator/simulate.ts';
import { loadTrace } from '../../simulator/traces/load.ts';
import { WORKLOADS } from '../../simulator/workloads.ts';
import { WORLD } from '../../simulator/world.ts';
import { REAL_TRACES } from '../support/trace-files.ts';

/**
 * What is recommended is found on one trace, and must be no worse than CircleCI's tutorial on others, in how long
 * jobs wait and in jobs killed: on generated ones, and on the real ones where they are there.
 */

const { oursWith } = choosePolicies({});
const learnt = tableOf(WORKLOADS['working-day'].generate(1));

const SEEDS = [2, 3, 4, 5];

const traces = [
  ...Object.entries(WORKLOADS).flatMap(([name, { generate }]) =>
    SEEDS.map((seed) => ({ name: `${name}, seed ${seed}`, jobs: async () => generate(seed) })),
  ),
  ...REAL_TRACES.filter((file) => existsSync(file)).map((file) => ({
    name: file,
    jobs: async () => (await loadTrace(file)).jobs,
  })),
];

const recommended: [string, Setting][] = [['the defaults', []]];

beforeAll(async () => {
  for (const goal of [{ maxWaitP95: 90 }, { maxWaitP95: 30 }, { maxCost: 90 }]) {
    const { found, met } = await optimise(learnt, { world: WORLD, goal, keep: new Set(), oursWith });
    expect(met).toBe(true);
    recommended.push([JSON.stringify(goal), found.set]);
  }
});

describe('the result of a search on one trace', () => {
  it.each(traces)("is no worse than CircleCI's tutorial on $name", async ({ jobs: read }) => {
    const jobs = tableOf(await read());
    const own = oursWith([]);
    if (own === undefined) throw new Error('The fleet cannot have its own settings');
    const tutorial = simulateOne(jobs, tutorialFor(own.settings), WORLD);
    for (const [goal, set] of recommended) {
      const choice = oursWith(set);
      if (choice === undefined) throw new Error(`The fleet cannot have ${set}`);
      const { waitSeconds, jobsKilled } = simulateOne(jobs, choice, WORLD);
      const what = `${goal}: ${set.join(' ')}`;
      expect(jobsKilled, what).toBe(0);
      expect(waitSeconds.mean, what).toBeLessThanOrEqual(tutorial.waitSeconds.mean);
      expect(waitSeconds.p95, what).toBeLessThanOrEqual(tutorial.waitSeconds.p95);
    }
  });
});
