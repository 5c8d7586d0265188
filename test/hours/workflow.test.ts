import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Faults, NO_FAULTS } from '../../sandbox/group/faults.ts';
import { firstHours } from '../../sandbox/trace.ts';
import type { OursSettings } from '../../simulator/policies/ours.ts';
import { simulateOne } from '../../simulator/simulate.ts';
import { throughWorkflow } from '../../simulator/through-workflow.ts';
import { WORKLOADS, type WorkloadName } from '../../simulator/workloads.ts';
import { WORLD } from '../../simulator/world.ts';
import { ours } from '../simulator/choices.ts';

/** The interval of the examples that are about something else. Each poll takes the state machine milliseconds. */
const POLL_INTERVAL = 15;

/**
 * The replay of ours and the real state machine give the same figures, to the last digit shown: a millisecond of a wait,
 * and a thousandth of an hour.
 */
it.each<Example>([
  { workload: 'working-day', hours: 0.4, settings: { pollInterval: 5 } },
  { workload: 'working-day', hours: 0.2, settings: { maxReplicas: 4, pollInterval: 10 }, boot: 40 },
  { workload: 'fan-out', hours: 0.1, settings: { pollInterval: 7 } },
  { workload: 'flapping', hours: 0.15, settings: { pollInterval: 1 } },
  { workload: 'quiet-night', hours: 0.5, settings: { quietPollInterval: 20 } },
  { workload: 'fan-out', hours: 0.6, settings: { headroom: '20%', maxSurge: 15 } },
  { workload: 'flapping', hours: 1.2, settings: { spareRunners: 'auto' } },
  { workload: 'working-day', hours: 0.8, settings: { spareRunners: { max: 2 }, waitingCost: 10 } },
  {
    workload: 'flapping',
    hours: 0.9,
    settings: {
      pollInterval: 5,
      spareRunners: 'auto',
      reuse: 'continuous',
      idleTimeout: 120,
      warmPool: { size: 'auto', state: 'stopped' },
    },
  },
  {
    workload: 'flapping',
    hours: 0.9,
    settings: {
      pollInterval: 15,
      spareRunners: 'auto',
      reuse: 'continuous',
      idleTimeout: 120,
      warmPool: { size: 'auto', state: 'stopped' },
    },
  },
  { workload: 'flapping', hours: 0.6, settings: { reuse: 'continuous', idleTimeout: 60 } },
  {
    workload: 'fan-out',
    hours: 0.6,
    settings: { pollInterval: 5, warmPool: { size: 20, state: 'stopped' } },
  },
  { workload: 'flapping', hours: 1.2, settings: { warmPool: { size: 'auto', state: 'stopped' } } },
  {
    workload: 'flapping',
    hours: 1,
    settings: { reuse: 'continuous', idleTimeout: 120, warmPool: { size: 3, state: 'stopped' }, headroom: 1 },
  },
  {
    workload: 'working-day',
    hours: 0.6,
    settings: {
      schedules: [
        { start: '5 8 * * *', end: '15 8 * * *', timezone: 'UTC', maxReplicas: 3 },
        { start: '10 9 * * *', end: '30 9 * * *', timezone: 'Europe/Berlin', headroom: 2, maxSurge: 1 },
      ],
    },
  },
  { workload: 'working-day', hours: 0.4, faults: { outages: [{ from: 300, to: 900 }] } },
  { workload: 'working-day', hours: 0.5, faults: { shortages: [{ from: 600, to: 2_400 }] } },
  { workload: 'working-day', hours: 0.5, faults: { bootFailures: [{ from: 0, to: 3_600, share: 0.6 }] } },
  {
    workload: 'flapping',
    hours: 1,
    settings: { pollInterval: 15, spot: { percentage: 80, onDemandBase: 0 } },
    faults: { spotShortages: [{ from: 600, to: 1_800 }] },
  },
  {
    workload: 'working-day',
    hours: 0.6,
    settings: { spot: { percentage: 100, onDemandBase: 2 } },
    faults: { spotShortages: [{ from: 300, to: 1_800 }] },
  },
  {
    workload: 'working-day',
    hours: 0.5,
    settings: { spot: { percentage: 100, onDemandBase: 0 } },
    faults: { spotInterruptions: 3 },
  },
  {
    workload: 'working-day',
    hours: 0.4,
    settings: { pollInterval: 5, spot: { percentage: 60, onDemandBase: 1 }, unsafeRetries: true },
    faults: { spotInterruptions: 3, lostInstances: [{ from: 0, to: 1_200, share: 0.2 }] },
  },
  {
    workload: 'working-day',
    hours: 0.4,
    settings: { pollInterval: 5, bootTimeout: 400 },
    faults: { deadInstances: [{ from: 0, to: 900, share: 0.3 }] },
  },
  {
    workload: 'working-day',
    hours: 0.5,
    faults: { zoneRefusals: [{ from: 0, to: 1_500, share: 0.4 }] },
  },
  { workload: 'working-day', hours: 0.4, faults: { typeMissing: [{ from: 300, to: 1_300 }] } },
  {
    workload: 'working-day',
    hours: 0.5,
    settings: { spot: { percentage: 70, onDemandBase: 1 } },
    faults: { spotRoleMissing: [{ from: 200, to: 1_500 }] },
  },
  { workload: 'working-day', hours: 0.5, faults: { addressShortages: [{ from: 250, to: 1_700 }] } },
  { workload: 'flapping', hours: 0.8, faults: { throttled: [{ from: 100, to: 1_400 }] } },
  { workload: 'working-day', hours: 0.4, faults: { keyFailures: [{ from: 100, to: 1_250 }] } },
  {
    workload: 'flapping',
    hours: 0.5,
    faults: { deafRunners: [{ from: 0, to: 1_800, share: 0.3 }], foreignRunners: 1 },
  },
  { workload: 'working-day', hours: 0.4, faults: { zeroCounts: [{ from: 300, to: 1_000 }] } },
  {
    workload: 'working-day',
    hours: 0.3,
    settings: { pollInterval: 5, idleTimeout: 90 },
    faults: { taskLimits: [{ from: 300, to: 2_400, count: 0 }] },
  },
  {
    workload: 'working-day',
    hours: 0.3,
    faults: {
      taskLimits: [{ from: 0, to: 3_600, count: 2 }],
      phantomTasks: [{ from: 600, to: 1_200, count: 3 }],
      maximumSizes: [{ from: 200, to: 700, count: 1 }],
    },
  },
  {
    workload: 'quiet-night',
    hours: 1.5,
    settings: { headroom: 2 },
    faults: { phantomTasks: [{ from: 300, to: 4_000, count: 4 }] },
  },
  {
    workload: 'working-day',
    hours: 0.5,
    settings: { headroom: 3, pollInterval: 5 },
    faults: { phantomTasks: [{ from: 0, to: 1_500, count: 5 }], foreignRunners: 1 },
  },
  {
    workload: 'fan-out',
    hours: 0.6,
    settings: { concurrency: { limit: 7, fleets: [] }, headroom: 2 },
    faults: { taskLimits: [{ from: 0, to: Number.POSITIVE_INFINITY, count: 7 }] },
  },
  {
    workload: 'working-day',
    hours: 1,
    settings: { headroom: 2 },
    faults: { runningLags: [{ from: 0, to: Number.POSITIVE_INFINITY, count: 10 }] },
  },
])('the replay and the workflow give the same figures: $workload $settings $faults', async (example) => {
  const { replayed, real } = await both(example);
  expect(replayed).toMatchObject(real);
});

const POOLS: Partial<OursSettings>['warmPool'][] = [
  { size: 'auto', state: 'stopped' },
  { size: 2, state: 'stopped' },
];

it('the replay and the workflow give the same figures with any spare runners and poll interval', async () => {
  const examples = fc.record({
    workload: fc.constantFrom<WorkloadName[]>('flapping', 'working-day', 'fan-out'),
    hours: fc.constantFrom(0.1, 0.2, 0.3),
    seed: fc.integer({ min: 1, max: 50 }),
    settings: fc.record(
      {
        pollInterval: fc.constantFrom(7, 10, 15, 20, 45, 60),
        spareRunners: fc.constantFrom('auto' as const, { max: 2 }),
        waitingCost: fc.constantFrom(0.1, 1, 30),
        reuse: fc.constantFrom('continuous' as const, 'single-task' as const),
        idleTimeout: fc.constantFrom(61, 120, 300),
        warmPool: fc.constantFrom(...POOLS),
      },
      { requiredKeys: ['pollInterval', 'spareRunners', 'waitingCost', 'idleTimeout'] },
    ),
  });
  await fc.assert(
    fc.asyncProperty(examples, async (example) => {
      const { replayed, real } = await both(example);
      expect(replayed).toMatchObject(real);
    }),
    { numRuns: 6 },
  );
});

it('the replay and the workflow give the same figures while claims are refused, and tasks run elsewhere or nowhere', async () => {
  const window = fc
    .record({ from: fc.nat({ max: 600 }), seconds: fc.integer({ min: 300, max: 2_400 }) })
    .map(({ from, seconds }) => ({ from, to: from + seconds }));
  const examples = fc.record({
    workload: fc.constantFrom<WorkloadName[]>('flapping', 'working-day', 'fan-out'),
    hours: fc.constantFrom(0.1, 0.2, 0.3),
    seed: fc.integer({ min: 1, max: 50 }),
    settings: fc.record({
      pollInterval: fc.constantFrom(7, 15, 30, 60),
      reuse: fc.constantFrom('continuous' as const, 'single-task' as const),
      idleTimeout: fc.constantFrom(181, 300),
    }),
    faults: fc
      .tuple(window, fc.nat({ max: 5 }), window, fc.nat({ max: 6 }), window, fc.constantFrom(0, 1 / 6, 1 / 2))
      .chain(([limited, limit, elsewhere, phantoms, refused, share]) =>
        fc.constantFrom(0, 2).map((foreignRunners) => ({
          taskLimits: [{ ...limited, count: limit }],
          phantomTasks: [{ ...elsewhere, count: phantoms }],
          zoneRefusals: [{ ...refused, share }],
          foreignRunners,
        })),
      ),
  });
  await fc.assert(
    fc.asyncProperty(examples, async (example) => {
      const { replayed, real } = await both(example);
      expect(replayed).toMatchObject(real);
    }),
    { numRuns: 6 },
  );
});

it('the workflow bills instances that stay to the end of the last minute, and the replay does not', async () => {
  const minReplicas = 3;
  const settings = { minReplicas, idleTimeout: 61 };
  const { replayed, real } = await both({ workload: 'working-day', hours: 0.3, settings, boot: 41.5 });
  expect(replayed.waitSeconds).toEqual(real.waitSeconds);
  expect(replayed.executions).toEqual(real.executions);
  const more = real.instanceHours - replayed.instanceHours;
  expect(more).toBeGreaterThanOrEqual(0);
  expect(more).toBeLessThanOrEqual(minReplicas / 60);
});

interface Example {
  workload: WorkloadName;
  hours: number;
  seed?: number;
  settings?: Partial<OursSettings>;
  boot?: number;
  faults?: Partial<Faults>;
}

async function both({ workload, hours, seed = 5, settings, boot = WORLD.boot, faults }: Example) {
  const jobs = firstHours(WORKLOADS[workload].generate(seed), hours);
  const world = { ...WORLD, boot };
  const choice = ours({ pollInterval: POLL_INTERVAL, ...settings });
  const all = { ...NO_FAULTS, ...faults };
  // The cost of a replay has its Spot instances.
  const {
    policy,
    spotLaunches: _spotLaunches,
    ...real
  } = await throughWorkflow(jobs, choice.settings, world, undefined, all);
  expect(policy).toBe('ours (workflow)');
  const replayed = simulateOne(jobs, choice, world, { faults: all });
  const { p90: _, ...waitSeconds } = replayed.waitSeconds;
  return { replayed: { ...replayed, waitSeconds }, real };
}
