import { parse, stringify } from 'yaml';
import { WAITING_COST } from '../../fleets/effective.ts';
import type { FleetConfig } from '../../fleets/load.ts';
import { isStock } from '../../fleets/settings/image.ts';
import type { Faults } from '../../sandbox/group/faults.ts';
import { figure } from '../../sandbox/summary.ts';
import type { Priced } from '../../simulator/cost.ts';
import { excessOf, type Goal, type Sum, sumOf } from '../../simulator/goal.ts';
import { tableOf } from '../../simulator/job-table.ts';
import { pricedForPart } from '../../simulator/month.ts';
import { type Optimised, optimise, part, type Tried, tutorialFor } from '../../simulator/optimise.ts';
import type { Outcome } from '../../simulator/outcome.ts';
import type { PolicyChoice } from '../../simulator/peers.ts';
import { paretoFront } from '../../simulator/report/recommend.ts';
import type { Setting } from '../../simulator/search-settings.ts';
import { simulate } from '../../simulator/simulate.ts';
import type { Trace } from '../../simulator/traces/trace.ts';
import type { World } from '../../simulator/world.ts';
import { UsageError } from '../command-line/arguments.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { choosePolicies } from './policies.ts';
import { type LearnedBefore, warmed } from './warm.ts';

/** Whether each job has a machine of its own, or a runner may take several jobs. */
export type Isolation = 'job' | 'runner';

/** The options of a search. `maxOverhead` is in percent. */
export interface GoalOptions extends Goal {
  optimise?: boolean;
  isolation?: Isolation;
  train: number;
}

/** The options that need `--optimise`, as the command line has them. */
export const GOAL_OPTIONS = {
  waitingCost: '--waiting-cost',
  maxWaitMean: '--max-wait-mean',
  maxWaitP95: '--max-wait-p95',
  maxCost: '--max-cost',
  maxOverhead: '--max-overhead',
  isolation: '--isolation',
} as const;

/** The result of a search. */
export interface SearchResult {
  goal: Goal;
  /** Whether the goal is met, on the part that was searched and on the rest. */
  met: { training: boolean; rest: boolean };
  /** What to set beyond the fleet's settings, as `--set` takes it. */
  set: Setting;
  /**
   * The best settings with reuse, if reuse was allowed and settings with a clean machine for each job meet the goal: those
   * are `set`. Its figures are in the rows `ours, with reuse`.
   */
  alternative?: { set: Setting; givesUp: string; met: SearchResult['met'] };
  /** Whether reuse was allowed, and no setting tried that gives each job a clean machine meets the goal. */
  noneIsClean?: true;
  /** Whether reuse was allowed, and no settings with it are better than `set`. */
  reuseIsNoBetter?: true;
  tried: number;
  /** Empty if the price of the instance type is unknown. */
  front: FrontPoint[];
  /** Ours as the fleet has it, ours with the settings found, and CircleCI's tutorial. */
  training: Result[];
  rest: Result[];
}

/** An outcome, with what the search minimises if waiting has a price. */
type Result = Outcome & Partial<Pick<Sum, 'waiting' | 'sum'>>;

/**
 * The goal of the command line. Without `--waiting-cost`, limits of waits alone ask for the lowest cost, and limits of
 * costs alone for the shortest wait. Anything else minimises the cost and the price of waiting.
 *
 * @throws UsageError if it needs a price that is unknown.
 */
export function chooseGoal(
  options: GoalOptions,
  priced: Priced,
  fleet: Pick<FleetConfig, 'waitingCost'>,
): Goal {
  const { maxWaitMean, maxWaitP95, maxCost, maxOverhead } = options;
  const limitsWaits = maxWaitMean !== undefined || maxWaitP95 !== undefined;
  const limitsCosts = maxCost !== undefined || maxOverhead !== undefined;
  const waitingCost =
    options.waitingCost ?? (limitsWaits === limitsCosts ? (fleet.waitingCost ?? WAITING_COST) : undefined);
  for (const key of ['maxCost', 'waitingCost'] as const) {
    const value = key === 'waitingCost' ? waitingCost : maxCost;
    if (value !== undefined && priced.instanceHour === undefined)
      throw new UsageError(
        `${GOAL_OPTIONS[key]} needs a price for the instance type: add it in a file for --prices`,
      );
  }
  return {
    ...(maxWaitMean !== undefined && { maxWaitMean }),
    ...(maxWaitP95 !== undefined && { maxWaitP95 }),
    ...(maxCost !== undefined && { maxCost }),
    ...(maxOverhead !== undefined && { maxOverhead: maxOverhead / 100 }),
    ...(waitingCost !== undefined && { waitingCost }),
  };
}

/**
 * Settings that the search must not change: those of `--set`, an image of the fleet's own, and reuse unless runners may take
 * several jobs.
 *
 * @throws UsageError if the fleet itself reuses runners.
 */
function keptFor(
  isolation: Isolation | undefined,
  { fleet, set }: Pick<ReturnType<typeof choosePolicies>, 'fleet' | 'set'>,
): ReadonlySet<string> {
  const reuses = fleet.reuse === 'continuous';
  if (isolation === 'job' && reuses)
    throw new UsageError(
      '--isolation job needs a fleet whose runners take one job: add --set reuse=single-task, or use --isolation runner',
    );
  const ownImage = fleet.imageBuild !== undefined || !isStock(fleet.image);
  return new Set([
    ...set,
    ...(ownImage ? ['image'] : []),
    ...(isolation === 'runner' || reuses ? [] : ['reuse']),
  ]);
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
    isolation,
    learned,
    world,
    faults,
    priced,
    policies,
    terminal,
  }: {
    share: number;
    isolation: Isolation | undefined;
    learned: LearnedBefore;
    world: World;
    faults: Faults;
    priced: Priced;
    policies: Pick<ReturnType<typeof choosePolicies>, 'fleet' | 'set' | 'oursWith'>;
    terminal: Terminal;
  },
): Promise<{ answer: SearchResult; tried: readonly Tried[] }> {
  const parts = part(tableOf(trace.jobs), world, share);
  if (parts === undefined)
    throw new UsageError(`--train must leave jobs in both parts of the trace, got ${share}`);
  const { oursWith } = policies;
  const keep = keptFor(isolation, policies);
  const trials = terminal.progress('settings tried');
  const { training, rest } = parts;
  const options = {
    world: training.world,
    goal,
    faults,
    priced: pricedForPart(priced, share),
    keep,
    oursWith,
    progress: trials.to,
  };
  const searched = await optimise(training.jobs, options).finally(trials.stop);
  const { asGiven, tutorial, tried, settingsTried } = searched;
  const { found, met, alternative, noneIsClean } = cleanFirst(searched, policies.fleet);
  const own = oursWith([]);
  const better = oursWith(found.set);
  if (own === undefined || better === undefined)
    throw new Error('The settings found are not valid for this fleet');
  const reusing = alternative && oursWith(alternative.set);
  const rivals = [own, better, tutorialFor(own.settings), ...(reusing === undefined ? [] : [reusing])];
  const start = (choice: PolicyChoice) =>
    learned === 'warm' ? warmed(choice, training.jobs, training.world) : choice;
  const outcomes = await simulate(rest.jobs, rivals.map(start), rest.world, {
    faults,
    priced: pricedForPart(priced, 1 - share),
  });
  const named = (all: readonly (Outcome | undefined)[]) =>
    all.flatMap((outcome, index): Result[] => {
      if (outcome === undefined) return [];
      const { waitingCost } = goal;
      const { waiting, sum } = sumOf(outcome, waitingCost ?? 0);
      const policy = NAMES[index] ?? outcome.policy;
      return [{ ...outcome, policy, ...(waitingCost !== undefined && { waiting, sum }) }];
    });
  const [, onRest, , reusingOnRest] = outcomes;
  const isMetOnRest = (outcome: Outcome | undefined) =>
    outcome !== undefined && excessOf(goal, outcome) === 0;
  const answer: SearchResult = {
    goal,
    met: { training: met, rest: isMetOnRest(onRest) },
    set: found.set,
    ...(alternative !== undefined && {
      alternative: {
        set: alternative.set,
        givesUp: GIVES_UP,
        met: { training: searched.met, rest: isMetOnRest(reusingOnRest) },
      },
    }),
    ...(noneIsClean && { noneIsClean }),
    ...(isolation === 'runner' &&
      better.settings.reuse !== 'continuous' &&
      alternative === undefined && { reuseIsNoBetter: true }),
    tried: settingsTried,
    front: priced.instanceHour === undefined ? [] : withFound(marginalPrices(tried), found),
    training: named([asGiven.outcome, found.outcome, tutorial, alternative?.outcome]),
    rest: named(outcomes),
  };
  return { answer, tried };
}

const NAMES = ['ours, current', 'ours, optimised', 'circleci-tutorial', 'ours, with reuse'];

/** What reuse gives up. */
const GIVES_UP = 'clean machines: a job finds what earlier jobs left behind';

/**
 * What to recommend of a search: the best settings with a clean machine for each job, and reuse as an alternative. Reuse itself
 * if no other setting meets the goal, or if the fleet reuses its runners already.
 */
function cleanFirst(
  { found, met, withoutReuse }: Pick<Optimised, 'found' | 'met' | 'withoutReuse'>,
  { reuse }: Pick<FleetConfig, 'reuse'>,
): { found: Tried; met: boolean; alternative?: Tried; noneIsClean?: true } {
  if (reuse === 'continuous' || !found.set.includes('reuse=continuous')) return { found, met };
  if (!withoutReuse.met) return { found, met, noneIsClean: true };
  return { found: withoutReuse, met: true, alternative: found };
}

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

/** The limits of a goal in words, or what it minimises if it has none. */
export function describeGoal(goal: Goal): string {
  const { maxWaitMean, maxWaitP95, maxCost, maxOverhead, waitingCost } = goal;
  const limits = [
    ...(maxWaitMean === undefined ? [] : [`a mean wait of ${maxWaitMean} s`]),
    ...(maxWaitP95 === undefined ? [] : [`a p95 wait of ${maxWaitP95} s`]),
    ...(maxCost === undefined ? [] : [`${maxCost} dollars a month`]),
    ...(maxOverhead === undefined ? [] : [`an overhead of ${Math.round(maxOverhead * 1_000) / 10} %`]),
  ];
  if (limits.length === 0) return `the lowest cost, with ${waitingCost} dollars for an hour that a job waits`;
  const [last = '', ...before] = limits.toReversed();
  return before.length === 0 ? last : `${before.reverse().join(', ')} and ${last}`;
}

function describeOutcome({ goal, met, training: [before, after] }: SearchResult): string {
  const wanted = describeGoal(goal);
  const { waitingCost: _, ...limits } = goal;
  if (Object.keys(limits).length === 0) {
    const dollars = (value = 0) => value.toFixed(0);
    const sum = (after?.sum ?? 0) - (after?.waiting ?? 0);
    return `these have ${wanted}. On the first part, ${dollars(sum)} dollars a month for the cost and ${dollars(after?.waiting)} for waiting are ${dollars(after?.sum)}; with the current settings they are ${dollars(before?.sum)}`;
  }
  if (!met.training) return `none of them stays within ${wanted}; these come closest`;
  if (!met.rest)
    return `the settings found stay within ${wanted} on the first part, but not on the rest: the two parts differ`;
  return `the settings found stay within ${wanted}, on the rest as well`;
}

/** The answer in sentences, after the tables. */
export function describeAnswer(answer: SearchResult): string {
  const { set, tried, front } = answer;
  const outcome = describeOutcome(answer);
  const settings =
    set.length === 0
      ? 'They are the current settings.'
      : `In fleets.yaml:\n\n${asYaml(set).replaceAll(/^/gm, '  ')}\n`;
  const isolation = set.includes('reuse=continuous')
    ? `\n${answer.noneIsClean ? `No setting tried that gives each job a clean machine stays within ${describeGoal(answer.goal)}. ` : ''}With reuse, a job finds what earlier jobs left behind: docs/instance-life.md#reuse. --set reuse=single-task keeps clean machines.`
    : describeAlternative(answer);
  return `${tried} settings tried: ${outcome}. ${settings}${isolation}${describeFront(front)}`;
}

/** Reuse as an alternative, with what it gives up beside its figures. */
function describeAlternative({ alternative, reuseIsNoBetter, rest }: SearchResult): string {
  const [, found, , reusing] = rest;
  if (reuseIsNoBetter) return '\nReuse was tried as well, and no settings with it are better.';
  if (alternative === undefined || found === undefined || reusing === undefined) return '';
  const figures = ({ waitSeconds, cost, instanceHours }: Result) =>
    `${waitSeconds.mean.toFixed(1)} s for ${cost === undefined ? `${instanceHours.toFixed(1)} instance-hours` : `${cost.total.toFixed(0)} dollars a month`}`;
  return `\nAlternative, if jobs may share a machine: ${alternative.set.join(' ')}. On the rest, jobs wait ${figures(reusing)}, in place of ${figures(found)}. That gives up ${alternative.givesUp} (docs/instance-life.md#reuse).`;
}

/** A point of the Pareto front of mean wait and cost. */
export interface FrontPoint {
  set: Setting;
  waitSeconds: number;
  /** US dollars a month. */
  cost: number;
  /** What 10 s less cost from the point before, in US dollars a month; `null` for the first, and off the front. */
  per10Seconds: number | null;
  /** Whether these are the settings found. */
  found?: true;
}

/** The points with the settings found, which limits can keep off the front. */
function withFound(front: readonly FrontPoint[], { set, outcome }: Tried): FrontPoint[] {
  const isFound = (point: FrontPoint) => point.set.join() === set.join();
  if (front.some(isFound)) return front.map((point) => (isFound(point) ? { ...point, found: true } : point));
  const cost = outcome.cost?.total ?? 0;
  const point: FrontPoint = {
    set,
    waitSeconds: outcome.waitSeconds.mean,
    cost,
    per10Seconds: null,
    found: true,
  };
  const after = front.findIndex((other) => other.cost > cost);
  return front.toSpliced(after < 0 ? front.length : after, 0, point);
}

/**
 * The points of the Pareto front at which money buys most, cheapest first: from each to the next, ten seconds cost more
 * than before.
 */
export function marginalPrices(tried: readonly Tried[]): FrontPoint[] {
  const points: FrontPoint[] = [];
  for (const { set, outcome } of paretoFront(tried, 'US dollars a month')) {
    const point = { set, waitSeconds: outcome.waitSeconds.mean, cost: outcome.cost?.total ?? 0 };
    // A point that is dearer than a way past it is none of them.
    for (let last = points.at(-1); last !== undefined; last = points.at(-1)) {
      if (last.per10Seconds === null || per10Seconds(last, point) > last.per10Seconds) break;
      points.pop();
    }
    const last = points.at(-1);
    points.push({ ...point, per10Seconds: last === undefined ? null : per10Seconds(last, point) });
  }
  return points;
}

const per10Seconds = (
  from: Pick<FrontPoint, 'waitSeconds' | 'cost'>,
  to: Pick<FrontPoint, 'waitSeconds' | 'cost'>,
) => figure((10 * (to.cost - from.cost)) / (from.waitSeconds - to.waitSeconds));

function describeFront(front: readonly FrontPoint[]): string {
  if (front.length < 2) return '';
  const rows = front.map(({ set, waitSeconds, cost, per10Seconds: price, found }) => {
    const wait = `${waitSeconds.toFixed(1)} s`.padStart(8);
    const next = price === null ? '' : `; 10 s less cost ${price.toFixed(0)}`;
    return `${wait} for ${cost.toFixed(0)} dollars a month${next}: ${set.length === 0 ? 'the current settings' : set.join(' ')}${found ? ' (found)' : ''}`;
  });
  return `\n\nPareto front of mean wait and cost, on the first part:\n${rows.join('\n')}`;
}
