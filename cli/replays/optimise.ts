import { parse, stringify } from 'yaml';
import type { Faults } from '../../sandbox/group/faults.ts';
import type { Priced } from '../../simulator/cost.ts';
import { tableOf } from '../../simulator/job-table.ts';
import {
  type Goal,
  optimise,
  part,
  type Setting,
  type Tried,
  tutorialFor,
} from '../../simulator/optimise.ts';
import type { Outcome } from '../../simulator/outcome.ts';
import { simulate } from '../../simulator/simulate.ts';
import type { Trace } from '../../simulator/traces/trace.ts';
import type { World } from '../../simulator/world.ts';
import { UsageError } from '../command-line/arguments.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { choosePolicies } from './policies.ts';

/** The options of a search. */
export interface GoalOptions {
  optimise?: boolean;
  maxWaitP95?: number;
  maxCost?: number;
  train: number;
}

/** The result of a search. */
export interface Answer {
  goal: Goal;
  /** Whether the goal is met, on the part that was searched and on the rest. */
  met: { training: boolean; rest: boolean };
  /** What to set beyond the fleet's settings, as `--set` takes it. */
  set: Setting;
  tried: number;
  /** Ours as the fleet has it, ours with the settings found, and CircleCI's tutorial. */
  training: Outcome[];
  rest: Outcome[];
}

/**
 * The goal of the command line.
 *
 * @throws UsageError if there is none, or two.
 */
export function chooseGoal({ maxWaitP95, maxCost }: GoalOptions, priced: Priced): Goal {
  if ((maxWaitP95 === undefined) === (maxCost === undefined)) {
    throw new UsageError(
      '--optimise needs one goal: --max-wait-p95 TIME for the cheapest settings, or --max-cost DOLLARS (a month) for the shortest wait',
    );
  }
  if (maxCost === undefined) return { maxWaitP95: maxWaitP95 as number };
  if (priced.instanceHour === undefined)
    throw new UsageError('--max-cost needs a price for the instance type: add it in a file for --prices');
  return { maxCost };
}

/**
 * Searches settings on the first part of a trace, and replays the result on the rest.
 *
 * @returns The answer, and all tried settings with their figures on the first part.
 */
export async function findSettings(
  trace: Trace,
  goal: Goal,
  {
    share,
    world,
    faults,
    priced,
    policies,
    terminal,
  }: {
    share: number;
    world: World;
    faults: Faults;
    priced: Priced;
    policies: Pick<ReturnType<typeof choosePolicies>, 'set' | 'oursWith'>;
    terminal: Terminal;
  },
): Promise<{ answer: Answer; tried: readonly Tried[] }> {
  const parts = part(tableOf(trace.jobs), world, share);
  if (parts === undefined)
    throw new UsageError(`--train must leave jobs in both parts of the trace, got ${share}`);
  const { set: keep, oursWith } = policies;
  const trials = terminal.progress('settings tried');
  const { training, rest } = parts;
  const options = { world: training.world, goal, faults, priced, keep, oursWith, progress: trials.to };
  const { found, asGiven, tutorial, met, tried } = await optimise(training.jobs, options).finally(
    trials.stop,
  );

  const own = oursWith([]);
  const better = oursWith(found.set);
  if (own === undefined || better === undefined)
    throw new Error('The settings found are not valid for this fleet');
  const rivals = [own, better, tutorialFor(own.settings)];
  const outcomes = await simulate(rest.jobs, rivals, rest.world, { faults, priced });
  const named = (all: readonly (Outcome | undefined)[]) =>
    all.flatMap((outcome, index) =>
      outcome === undefined ? [] : [{ ...outcome, policy: NAMES[index] ?? outcome.policy }],
    );
  const [, onRest] = outcomes;
  const answer: Answer = {
    goal,
    met: { training: met, rest: onRest !== undefined && meets(onRest, goal) },
    set: found.set,
    tried: tried.length,
    training: named([asGiven.outcome, found.outcome, tutorial]),
    rest: named(outcomes),
  };
  return { answer, tried };
}

const NAMES = ['ours, current', 'ours, optimised', 'circleci-tutorial'];

const meets = ({ waitSeconds, cost }: Outcome, goal: Goal) =>
  'maxWaitP95' in goal ? waitSeconds.p95 <= goal.maxWaitP95 : (cost?.total ?? 0) <= goal.maxCost;

/** The settings as lines of fleets.yaml. */
export function asYaml(set: Setting): string {
  const settings: Record<string, unknown> = {};
  for (const each of set) {
    const [, key = '', value = ''] = /^([^=]+)=(.*)$/.exec(each) ?? [];
    const [outer = '', inner] = key.split('.');
    const plain: unknown = parse(value);
    settings[outer] = inner === undefined ? plain : { ...Object(settings[outer]), [inner]: plain };
  }
  return stringify(settings).trimEnd();
}

export const describeGoal = (goal: Goal) =>
  'maxWaitP95' in goal ? `a p95 wait of ${goal.maxWaitP95} s` : `${goal.maxCost} dollars a month`;

/** The answer in sentences, after the tables. */
export function describeAnswer({ goal, met, set, tried }: Answer): string {
  const wanted = describeGoal(goal);
  const outcome = met.training
    ? met.rest
      ? `the settings found stay within ${wanted}, on the rest as well`
      : `the settings found stay within ${wanted} on the first part, but not on the rest: the two parts differ`
    : `none of them stays within ${wanted}; these come closest`;
  const settings =
    set.length === 0
      ? 'They are the current settings.'
      : `In fleets.yaml:\n\n${asYaml(set).replaceAll(/^/gm, '  ')}\n`;
  const isolation = set.includes('reuse=continuous')
    ? '\nWith reuse, a job finds what earlier jobs left behind: docs/instance-life.md#reuse. --set reuse=single-task keeps clean machines.'
    : '';
  return `${tried} settings tried: ${outcome}. ${settings}${isolation}`;
}
