import { choosePolicies } from '../../../cli/replays/policies.ts';
import { NO_FAULTS } from '../../../sandbox/group/faults.ts';
import { pricedBy } from '../../../simulator/cost.ts';
import { type JobTable, tableOf } from '../../../simulator/job-table.ts';
import type { Outcome } from '../../../simulator/outcome.ts';
import { LIST_PRICES } from '../../../simulator/prices.ts';
import { collect, type ReportOptions } from '../../../simulator/report/collect.ts';
import type { ReportData } from '../../../simulator/report/model.ts';
import { WORKLOADS } from '../../../simulator/workloads.ts';
import { WORLD } from '../../../simulator/world.ts';

/** Two hours of a working day: few jobs, but all charts have something to show. */
export const MORNING: JobTable = tableOf(
  WORKLOADS['working-day'].generate(1).filter(({ queuedAt }) => queuedAt < 7_200),
);

/** The texts about a report of these jobs. */
export function reportOf(
  words: { policies?: string; set?: string[]; source?: string; jobs?: JobTable } & Pick<
    ReportOptions,
    'search'
  > & { outcomes?: readonly Outcome[] } = {},
): Promise<ReportData> {
  const { fleet, choices, oursWith } = choosePolicies(words);
  return collect({
    about: {
      source: words.source ?? 'a morning',
      notes: ['Left out: 2 jobs without an end (the first: line 7).'],
      command: 'npm run simulate -- --report report.html',
      assumptions: ['At most 20 instances.'],
    },
    jobs: words.jobs ?? MORNING,
    world: WORLD,
    choices,
    outcomes: words.outcomes ?? [],
    faults: NO_FAULTS,
    priced: pricedBy(LIST_PRICES, fleet),
    search: words.search,
    oursWith,
    fleetsYaml: (set) => set.join('\n'),
    describe: (setting) => `What \`${setting}\` does: [more](how-it-decides.md#${setting}).`,
    progress: () => ({ to: () => undefined, stop: () => undefined }),
  });
}
