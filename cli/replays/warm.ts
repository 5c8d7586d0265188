import { Option } from 'commander';
import type { Priced } from '../../simulator/cost.ts';
import { type JobTable, tableOf } from '../../simulator/job-table.ts';
import { pricedForPart } from '../../simulator/month.ts';
import { part } from '../../simulator/optimise.ts';
import type { PolicyChoice } from '../../simulator/peers.ts';
import { learnedFrom } from '../../simulator/simulate.ts';
import type { Trace } from '../../simulator/traces/trace.ts';
import type { World } from '../../simulator/world.ts';
import { UsageError } from '../command-line/arguments.ts';

/** Whether ours begins with nothing, or with what it has learned on the first part of the trace. */
export type LearnedBefore = 'cold' | 'warm';

export const learnedOption = () =>
  new Option(
    '--learned <before>',
    'warm: ours begins with what it has learned on the first part of the trace, and only the rest is replayed; with --optimise, the rest is replayed so',
  )
    .choices(['cold', 'warm'])
    .default('cold');

/** The policy with what it learns on these jobs. Only ours learns, and only for these two settings. */
export function warmed<Choice extends PolicyChoice>(choice: Choice, jobs: JobTable, world: World): Choice {
  if (!('settings' in choice)) return choice;
  const { spareRunners, warmPool } = choice.settings;
  if (spareRunners === undefined && warmPool?.size !== 'auto') return choice;
  return { ...choice, learned: learnedFrom(jobs, choice, world) };
}

/** What was replayed, if not all of the trace was; `undefined` for a cold replay. */
export function describeLearning({
  learned,
  train,
  optimise,
}: {
  learned: LearnedBefore;
  train: number;
  optimise?: boolean;
}): string | undefined {
  if (learned === 'cold') return undefined;
  const percent = `${Math.round(train * 100)} %`;
  const learnedOn = `--learned warm: ours began with what it has learned on the first ${percent} of the trace`;
  return optimise === true
    ? `${learnedOn}, in the figures of the rest.`
    : `${learnedOn}, and the figures are of the rest. Other policies learn nothing.`;
}

/** What a warm replay needs to know of its command. */
interface WarmReplay {
  options: { learned: LearnedBefore; train: number; workflow?: boolean; compare?: string };
  policies: { choices: PolicyChoice[] };
  trace: Trace;
  world: World;
  priced: Priced;
}

/**
 * The same replay, or if it is warm, of the part of the trace that follows what was learned.
 *
 * @throws UsageError if one of the parts has no jobs, or if another option replays cold.
 */
export function afterLearning<Replay extends WarmReplay>(given: Replay): Replay {
  const { options, policies, trace, world, priced } = given;
  if (options.learned === 'cold') return given;
  for (const [key, option] of Object.entries({ compare: '--compare', workflow: '--workflow' }))
    if (key in options)
      throw new UsageError(`--learned warm cannot be combined with ${option}: leave out one of them`);
  const parts = part(tableOf(trace.jobs), world, options.train);
  if (parts === undefined)
    throw new UsageError(`--train must leave jobs in both parts of the trace, got ${options.train}`);
  const { training, rest } = parts;
  const jobs = Array.from({ length: rest.jobs.length }, (_, number) => ({
    queuedAt: rest.jobs.queuedAt[number] as number,
    durationSeconds: rest.jobs.durationSeconds[number] as number,
  }));
  const choices = policies.choices.map((choice) => warmed(choice, training.jobs, training.world));
  return {
    ...given,
    trace: { ...trace, jobs },
    world: rest.world,
    priced: pricedForPart(priced, 1 - options.train),
    policies: { ...policies, choices },
  };
}
