import { expect, it } from 'vitest';
import { pricedBy } from '../../simulator/cost.ts';
import { tableOf } from '../../simulator/job-table.ts';
import { part } from '../../simulator/optimise.ts';
import { plainFleet } from '../../simulator/plain-fleet.ts';
import { LIST_PRICES } from '../../simulator/prices.ts';
import { learnedFrom, simulateOne } from '../../simulator/simulate.ts';
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
 */
function regretOn(name: string) {
  const { training, rest } = part(tableOf(ADVERSARIAL[name]?.() ?? []), WORLD, 0.5) ?? {};
  if (training === undefined || rest === undefined) throw new Error(`No jobs in ${name}`);
  const outcomeOf = (settings: Record<string, unknown>) => {
    const fleet = plainFleet(settings);
    const choice = { name: 'ours' as const, settings: fleet };
    const learned = learnedFrom(training.jobs, choice, training.world);
    const priced = pricedBy(LIST_PRICES, fleet);
    const { waitSeconds, cost } = simulateOne(rest.jobs, { ...choice, learned }, rest.world, { priced });
    return { wait: waitSeconds.mean, cost: cost?.total ?? Number.NaN };
  };
  const auto = outcomeOf({ spareRunners: 'auto' });
  const fixed = FIXED.map(outcomeOf);
  const without = fixed[0] ?? auto;
  const rivals = fixed.filter(({ wait }) => wait <= auto.wait).map(({ cost }) => cost);
  return { auto, without, regret: auto.cost / Math.min(...rivals) };
}

/** Each bound is what was measured, with less than a tenth of slack, The worst case that was found is the last one. */
const BOUNDS: Record<keyof typeof ADVERSARIAL, number> = {
  'ten jobs or one by turns, every 450 s': 0.95,
  'ten jobs or one by turns, every 600 s': 0.73,
  'ten jobs or one by turns, every 770 s': 0.77,
  'ten jobs or one by turns, every 1000 s': 0.88,
  'silence, then forty jobs': 1,
  'slowly growing, from 1 to 60 jobs an hour': 0.85,
  'one job a day': 1,
  'one job just after the spare runner has left': 0.6,
  'bursts that stop': 1.42,
};

it.each(Object.entries(BOUNDS))(
  'on %s, spare runners cost at most %d times as much as the best fixed number, and no job waits longer for them',
  (name, most) => {
    const { auto, without, regret } = regretOn(name);
    expect(regret).toBeLessThanOrEqual(most);
    expect(auto.wait).toBeLessThanOrEqual(without.wait);
  },
);

it('has a bound for each trace', () => {
  expect(Object.keys(BOUNDS)).toEqual(Object.keys(ADVERSARIAL));
});
