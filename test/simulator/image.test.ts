import { describe, expect, it } from 'vitest';
import { imageCost, pricedBy } from '../../simulator/cost.ts';
import { plainFleet } from '../../simulator/plain-fleet.ts';
import { LIST_PRICES } from '../../simulator/prices.ts';
import { simulateOne } from '../../simulator/simulate.ts';
import { throughWorkflow } from '../../simulator/through-workflow.ts';
import { WORLD } from '../../simulator/world.ts';

/** The first one comes when the warm pool has booted. */
const JOBS = [600, 1_200, 1_800].map((queuedAt) => ({ queuedAt, durationSeconds: 60 }));
const BUILT = { image: { build: 'weekly' } };
const priced = pricedBy(LIST_PRICES, plainFleet());
const world = { ...WORLD, boot: 100, warmBoot: 40, imageBoot: 30, imageWarmBoot: 10 };
const ours = (settings: Record<string, unknown>) => ({
  name: 'ours' as const,
  settings: plainFleet(settings),
});
const bootOf = (settings: Record<string, unknown>) => simulateOne(JOBS, ours(settings), world).waitParts.boot;

describe('a replay of a fleet whose image is built', () => {
  it.each([
    { case: 'without an image', settings: {}, boot: 100 },
    { case: 'with an image', settings: BUILT, boot: 30 },
    { case: 'from a warm pool', settings: { warmPool: { size: 5 } }, boot: 40 },
    { case: 'from a warm pool with an image', settings: { ...BUILT, warmPool: { size: 5 } }, boot: 10 },
  ])('boots $case in $boot s', ({ settings, boot }) => {
    expect(bootOf(settings)).toBe(boot);
  });

  it('leaves the boots of the other scalers as they are', () => {
    const buildkite = { name: 'buildkite', parameters: {}, maxReplicas: 10 };
    expect(simulateOne(JOBS, buildkite, world)).toEqual(
      simulateOne(JOBS, buildkite, { ...world, imageBoot: 1, imageWarmBoot: 1 }),
    );
  });

  it('pays for builds and snapshots', () => {
    const without = simulateOne(JOBS, ours({}), { ...world, imageBoot: 100 }, { priced }).cost;
    const built = simulateOne(JOBS, ours(BUILT), { ...world, imageBoot: 100 }, { priced }).cost;
    expect(without).not.toHaveProperty('image');
    expect(built?.image).toBeCloseTo(0.26 + 0.6, 1);
    expect(built?.total).toBeCloseTo((without?.total ?? 0) + (built?.image ?? 0), 1);
  });

  it('boots as fast through the workflow', async () => {
    const settings = plainFleet(BUILT);
    const { waitSeconds } = await throughWorkflow(JOBS, settings, world);
    expect(waitSeconds.mean).toBe(simulateOne(JOBS, ours(BUILT), world).waitSeconds.mean);
  });
});

describe('the cost of an image', () => {
  const builds = (build: string) =>
    imageCost({ build, timezone: 'Europe/Berlin', keep: 3 }, 0.12).builds / ((35 / 60) * 0.12);

  it.each([
    ['weekly', 365.25 / 12 / 7],
    ['once', 0],
    ['0 3 * * MON', 52 / 12],
    ['0 3 1 * *', 1],
    ['0 3 * * *', 365 / 12],
  ])('of %s has %d builds a month', (build, times) => {
    expect(builds(build)).toBeCloseTo(times, 5);
  });

  it('has the snapshots of all images that are kept', () => {
    const of = (keep: number) => imageCost({ build: 'once', timezone: 'UTC', keep }, 0.12).total;
    expect(of(4)).toBeCloseTo(2 * of(2), 9);
  });
});
