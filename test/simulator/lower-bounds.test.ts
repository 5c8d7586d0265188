import fc from 'fast-check';
import { expect, it } from 'vitest';
import { lowerBoundsOf } from '../../simulator/lower-bounds.ts';
import { policyOf } from '../../simulator/peers.ts';
import { replay } from '../../simulator/replay.ts';
import { WORKLOADS } from '../../simulator/workloads.ts';
import { WORLD } from '../../simulator/world.ts';
import { choices } from './choices.ts';
import { traces } from './generated-traces.ts';

it('the lower bounds of two jobs are those computed by hand', () => {
  const jobs = [
    { queuedAt: 0, durationSeconds: 100 },
    { queuedAt: 500, durationSeconds: 20 },
  ];
  const [noWait, clean, reactive] = lowerBoundsOf(jobs, WORLD);
  const boots = (2 * (90 + 15) + 120) / 3_600;
  expect(noWait).toMatchObject({ waitSeconds: { mean: 0, max: 0 }, launches: 2 });
  expect(noWait?.waitParts).toEqual({ seen: 0, launch: 0, boot: 0, claim: 0, capacity: 0 });
  expect(noWait?.instanceHours).toBeCloseTo(boots, 2);
  expect(clean).toMatchObject({ waitSeconds: { mean: 93, max: 93 }, launches: 2 });
  expect(clean?.instanceHours).toBe(noWait?.instanceHours);
  // The runner of the first job takes the second one at once, and is there from 3 to 520.
  expect(reactive).toMatchObject({ waitSeconds: { mean: 46.5, p50: 0, max: 93 }, launches: 1 });
  expect(reactive?.instanceHours).toBeCloseTo(517 / 3_600, 3);
});

it('no policy with a clean machine for each queued job has shorter waits or a lower cost than the clean bound', () => {
  fc.assert(
    fc.property(traces, choices, (jobs, choice) => {
      const policy = policyOf(choice);
      fc.pre(!policy.reuse && policy.warmPool === 0 && policy.keeps(0) === 0);
      const plain = 'settings' in choice ? choice.settings : undefined;
      fc.pre(
        plain === undefined ||
          (plain.headroom === 0 && plain.schedules.length === 0 && plain.warmPool === undefined),
      );
      fc.pre(
        policy.protectedFromScaleIn && !('parameters' in choice && (choice.parameters.headroom ?? 0) > 0),
      );
      const clean = lowerBoundsOf(jobs, WORLD)[1];
      const asked: number[] = [];
      const { startedAt, billedSeconds } = replay(jobs, policy, WORLD, {
        claimed: (_, { requestedAt }) => asked.push(requestedAt),
      });
      asked.sort((a, b) => a - b);
      // A group that replaces whatever leaves may have done so before another job comes, and that one finds a runner.
      fc.pre(jobs.every(({ queuedAt }, number) => (asked[number] ?? Number.NaN) >= queuedAt));
      const mean =
        startedAt.reduce((sum, at, number) => sum + at - (jobs[number]?.queuedAt ?? 0), 0) / jobs.length;
      // An instance that was launched for one job may take another one, so this is of the mean alone.
      expect(mean).toBeGreaterThanOrEqual((clean?.waitSeconds.mean ?? 0) - 0.001);
      expect(billedSeconds / 3_600).toBeGreaterThanOrEqual((clean?.instanceHours ?? 0) - 0.001);
    }),
    { numRuns: 200 },
  );
});

it('no policy that launches for queued jobs has shorter waits on a working day than the reactive bound', () => {
  const jobs = WORKLOADS['working-day'].generate(3);
  const [, , reactive] = lowerBoundsOf(jobs, WORLD);
  for (const name of ['buildkite', 'gitlab', 'webhook', 'circleci-tutorial']) {
    const { startedAt } = replay(jobs, policyOf({ name, parameters: {}, maxReplicas: 10_000 }), WORLD);
    const mean =
      startedAt.reduce((sum, at, number) => sum + at - (jobs[number]?.queuedAt ?? 0), 0) / jobs.length;
    expect(mean).toBeGreaterThan(reactive?.waitSeconds.mean ?? Number.NaN);
  }
});
