import { expect, it } from 'vitest';
import { choosePolicies } from '../../cli/replays/policies.ts';
import { tableOf } from '../../simulator/job-table.ts';
import { optimise } from '../../simulator/optimise.ts';
import { weekly } from '../../simulator/workloads.ts';
import { WORLD } from '../../simulator/world.ts';

const { oursWith } = choosePolicies({});

it('a search on many jobs tries settings on their last days, and only the best of them on all', async () => {
  const weeks = tableOf(weekly(1, 19, 0.45));
  expect(weeks.length).toBeGreaterThan(4_000);
  const keep = new Set(['reuse', 'headroom', 'minReplicas', 'pollInterval', 'idleTimeout']);
  const priced = { instanceHour: 0.1, spotShare: 1, volumeMonth: 3 };
  const goal = { maxWaitMean: 30, maxOverhead: 0.6, waitingCost: 1 };
  const options = { world: WORLD, goal, keep, oursWith, priced };
  const { found, tried, met, settingsTried, asGiven } = await optimise(weeks, options);
  expect(tried.length).toBeLessThan(settingsTried);
  expect(new Set(tried.map(({ outcome }) => outcome.jobs))).toEqual(new Set([weeks.length]));
  expect(asGiven.outcome.waitSeconds.mean).toBeGreaterThan(30);
  expect(met).toBe(true);
  expect(found.outcome.waitSeconds.mean).toBeLessThanOrEqual(30.05);
  expect(found.outcome.overhead).toBeLessThanOrEqual(0.605);
});
