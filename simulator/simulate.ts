import { setImmediate as giveWay } from 'node:timers/promises';
import type { Learned } from '../functions/lib/learned.ts';
import { type Faults, NO_FAULTS } from '../sandbox/group/faults.ts';
import type { Priced } from './cost.ts';
import { type Jobs, tableOf } from './job-table.ts';
import { type Outcome, outcomeOf } from './outcome.ts';
import { imageOf, type PolicyChoice, policyOf, worldFor } from './peers.ts';
import { type ReplayOptions, replay } from './replay.ts';
import { areMany, inThreads } from './threads.ts';
import type { World } from './world.ts';

/** Replays the jobs under one policy. */
export function simulateOne(
  jobs: Jobs,
  choice: PolicyChoice,
  world: World,
  { priced, ...options }: Pick<ReplayOptions, 'faults' | 'progress'> & { priced?: Priced | undefined } = {},
): Outcome {
  const table = tableOf(jobs);
  const replayed = replay(table, policyOf(choice, world.startsAt), worldFor(choice, world), options);
  return outcomeOf(choice.name, table, replayed, priced, imageOf(choice));
}

/** What ours has learned after these jobs. */
export function learnedFrom(jobs: Jobs, choice: PolicyChoice, world: World): Learned | undefined {
  const policy = policyOf(choice, world.startsAt);
  replay(jobs, policy, worldFor(choice, world));
  return policy.learned?.();
}

/**
 * Replays the jobs under each policy, on all cores if there are many jobs. The outcomes are in the order of the
 * policies, and do not depend on the number of cores.
 *
 * @param options.progress Reports how many jobs have ended, over all policies.
 * @throws ReplayStalled
 */
export async function simulate(
  jobs: Jobs,
  choices: readonly PolicyChoice[],
  world: World,
  {
    faults = NO_FAULTS,
    priced,
    progress = () => undefined,
  }: { faults?: Faults; priced?: Priced; progress?: (ended: number) => void } = {},
): Promise<Outcome[]> {
  if (areMany(jobs.length * choices.length)) {
    const table = tableOf(jobs);
    const tasks = choices.map((choice) => ({
      kind: 'outcome' as const,
      jobs: table,
      choice,
      world,
      faults,
      priced,
    }));
    return inThreads(tasks, progress);
  }
  const outcomes: Outcome[] = [];
  for (const choice of choices) {
    outcomes.push(simulateOne(jobs, choice, world, { faults, priced }));
    progress(outcomes.length * jobs.length);
    // Node.js handles Ctrl-C between two turns of its event loop.
    await giveWay();
  }
  return outcomes;
}
