import { expect, it } from 'vitest';
import { learnedParameter } from '../../functions/lib/fleet-names.ts';
import { parseLearned } from '../../functions/lib/learned.ts';
import { SANDBOX_STACK } from '../../sandbox/aws.ts';
import { sandboxFleet } from '../../sandbox/fleet.ts';
import { Sandbox } from '../../sandbox/sandbox.ts';
import { firstHours } from '../../sandbox/trace.ts';
import { plainFleet } from '../../simulator/plain-fleet.ts';
import { learnedFrom, simulateOne } from '../../simulator/simulate.ts';
import { WORKLOADS } from '../../simulator/workloads.ts';
import { WORLD } from '../../simulator/world.ts';

const settings = plainFleet({ spareRunners: 'auto', warmPool: { size: 'auto' } });

it('the workflow has learned what the replay has learned', async () => {
  const jobs = firstHours(WORKLOADS.flapping.generate(1), 0.7);
  const sandbox = await Sandbox.open({ startsAt: WORLD.startsAt });
  const name = 'simulated';
  sandbox.addFleet({ name, resourceClass: 'simulated/class', ...sandboxFleet(settings, WORLD) }, jobs);
  await sandbox.drain(jobs.length);
  const written = sandbox.aws.parameters.get(learnedParameter(SANDBOX_STACK, name)) ?? [];
  const replayed = learnedFrom(jobs, { name: 'ours', settings }, WORLD);
  expect(replayed?.spares?.seen).not.toEqual({});
  expect(replayed?.peaks).not.toEqual([]);
  expect(parseLearned(written.at(-1) ?? '')).toEqual(replayed);
  expect(written.length).toBeLessThanOrEqual((sandbox.aws.calls.get('DescribeScalingActivities') ?? 0) + 1);
});

it('a replay that begins with what was learned waits less than one that begins without', () => {
  const jobs = WORKLOADS.flapping.generate(1);
  const learned = learnedFrom(jobs, { name: 'ours', settings }, WORLD);
  const later = { ...WORLD, startsAt: WORLD.startsAt + 24 * 3_600_000 };
  const cold = simulateOne(firstHours(jobs, 2), { name: 'ours', settings }, later);
  const warm = simulateOne(firstHours(jobs, 2), { name: 'ours', settings, learned }, later);
  expect(warm.waitSeconds.mean).toBeLessThan(cold.waitSeconds.mean);
});
