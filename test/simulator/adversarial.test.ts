import { expect, it } from 'vitest';
import type { Job } from '../../sandbox/trace.ts';
import { pricedBy } from '../../simulator/cost.ts';
import { tableOf } from '../../simulator/job-table.ts';
import { part } from '../../simulator/optimise.ts';
import { plainFleet } from '../../simulator/plain-fleet.ts';
import { LIST_PRICES } from '../../simulator/prices.ts';
import { learnedFrom, simulateOne } from '../../simulator/simulate.ts';
import { generatedTrace } from '../../simulator/workloads.ts';
import { WORLD } from '../../simulator/world.ts';
import { ADVERSARIAL } from './adversarial-traces.ts';

/** Fixed numbers of idle runners, from which hindsight chooses. */
const FIXED: Record<string, unknown>[] = [
  {},
  ...[1, 2, 5, 10, '10%', '25%', '50%'].map((headroom) => ({ headroom })),
  ...[1, 2, 5, 10, 20, 40].map((minReplicas) => ({ minReplicas })),
];

/**
 * The cost of spare runners that learn, as a share of the cost of the cheapest fixed setting that lets jobs wait no
 * longer. The second half of each trace, after the first was learned from.
 *
 * @param given Settings beside.
 */
function regretOn(jobs: readonly Job[], given: Record<string, unknown> = {}, hindsight = FIXED) {
  const { training, rest } = part(tableOf(jobs), WORLD, 0.5) ?? {};
  if (training === undefined || rest === undefined) throw new Error('The trace has too few jobs');
  const outcomeOf = (settings: Record<string, unknown>) => {
    const fleet = plainFleet({ ...given, ...settings });
    const choice = { name: 'ours' as const, settings: fleet };
    // Only the numbers of spare runners and of the warm pool follow what was learned.
    const learns = 'spareRunners' in settings || 'warmPool' in given;
    const learned = learns ? learnedFrom(training.jobs, choice, training.world) : undefined;
    const priced = pricedBy(LIST_PRICES, fleet);
    const { waitSeconds, cost } = simulateOne(rest.jobs, { ...choice, learned }, rest.world, { priced });
    return { wait: waitSeconds.mean, cost: cost?.total ?? Number.NaN };
  };
  const auto = outcomeOf({ spareRunners: 'auto' });
  const fixed = hindsight.map(outcomeOf);
  const without = fixed[0] ?? auto;
  const rivals = fixed.filter(({ wait }) => wait <= auto.wait).map(({ cost }) => cost);
  return { auto, without, regret: auto.cost / Math.min(...rivals) };
}

/** Each bound is what was measured, with less than a tenth of slack. */
const BOUNDS: Record<keyof typeof ADVERSARIAL, number> = {
  'ten jobs or one by turns, every 450 s': 0.94,
  'ten jobs or one by turns, every 600 s': 0.65,
  'ten jobs or one by turns, every 770 s': 0.62,
  'ten jobs or one by turns, every 1000 s': 0.79,
  'silence, then forty jobs': 1,
  'slowly growing, from 1 to 60 jobs an hour': 0.85,
  'one job a day': 1,
  'one job just after the spare runner has left': 0.73,
  'bursts that stop': 0.37,
};

it.each(Object.entries(BOUNDS))(
  'on %s, spare runners cost at most %d times as much as the best fixed number, and no job waits longer for them',
  (name, most) => {
    const { auto, without, regret } = regretOn(ADVERSARIAL[name]?.() ?? []);
    expect(regret).toBeLessThanOrEqual(most);
    expect(auto.wait).toBeLessThanOrEqual(without.wait);
  },
);

/** More fixed numbers, because ordinary traces suit them better. */
const MORE_FIXED = [...FIXED, { headroom: '100%' }, { headroom: 8 }, { minReplicas: 3 }, { minReplicas: 8 }];

const POOL = { warmPool: { size: 'auto' } };

/** The worst of the generated traces, of 0.2, 1 and 5 dollars an hour of waiting, with and without an automatic warm pool. */
it.each([
  { trace: 'weekly', given: { waitingCost: 1 }, most: 1.05 },
  { trace: 'quiet-night', given: { waitingCost: 1, ...POOL }, most: 1.1 },
  { trace: 'working-day', given: { waitingCost: 5 }, most: 1.15 },
] as const)(
  'on $trace with $given, spare runners cost at most $most times as much as the best fixed number, and no job waits longer for them',
  ({ trace, given, most }) => {
    const { auto, without, regret } = regretOn(generatedTrace(trace, 1).jobs, given, MORE_FIXED);
    expect(regret).toBeLessThanOrEqual(most);
    expect(auto.wait).toBeLessThanOrEqual(without.wait);
  },
);

it('has a bound for each trace', () => {
  expect(Object.keys(BOUNDS)).toEqual(Object.keys(ADVERSARIAL));
});
