import { pricedBy } from '../../simulator/cost.ts';
import { excessOf, type Goal, sumOf } from '../../simulator/goal.ts';
import { tableOf } from '../../simulator/job-table.ts';
import { lowerBoundsOf } from '../../simulator/lower-bounds.ts';
import { monthRuleFor, pricedForPart } from '../../simulator/month.ts';
import { optimise, part, type Tried, tutorialFor } from '../../simulator/optimise.ts';
import type { Outcome } from '../../simulator/outcome.ts';
import { LIST_PRICES } from '../../simulator/prices.ts';
import type { Setting } from '../../simulator/search-settings.ts';
import { learnedFrom, simulateOne } from '../../simulator/simulate.ts';
import { WORLD, type World } from '../../simulator/world.ts';
import type { BenchmarkTrace } from './benchmark-page.ts';
import { choosePolicies } from './policies.ts';

/** What a search is to reach on a trace, in terms of what others reach there. */
interface RelativeGoal {
  name: string;
  /** The mean wait, as a share of that with CircleCI's tutorial. */
  wait: number;
  /** The overhead: in points above ours with the defaults, or as a share of Buildkite's. */
  overhead: { points: number } | { ofBuildkite: number };
  /** Settings that the search leaves as they are. */
  keep: readonly string[];
  /** Whether the search may use an image. */
  image: boolean;
}

const GOALS: readonly RelativeGoal[] = [
  { name: 'with an image', wait: 0.25, overhead: { points: 1 }, keep: ['reuse'], image: true },
  {
    name: 'without an image',
    wait: 0.3,
    overhead: { points: 6 },
    keep: ['reuse', 'image'],
    image: false,
  },
  { name: 'with reuse', wait: 0.16, overhead: { ofBuildkite: 0.4 }, keep: [], image: true },
];

/** The search aims at less than the limits, because the rest of a trace is never quite like the part before. */
const MARGIN = { wait: 0.9, overhead: 0.01 };

/** What the goals of a part of a trace are measured by. */
interface References {
  tutorial: Outcome;
  buildkite: Outcome;
  ours: Outcome;
}

/** A goal on a trace: what was found on the first half, and what it does on the rest. */
export interface ReachedGoal {
  trace: string;
  goal: RelativeGoal;
  set: Setting;
  /** Whether some settings reach the goal on the first half. */
  found: boolean;
  rest: Outcome;
  references: References;
  /** What a reactive scaler needs at least on the rest, in words. */
  bound: string;
}

const { oursWith, fleet } = choosePolicies({});
const listPriced = pricedBy(LIST_PRICES, fleet);

const overheadOf = ({ overhead }: Outcome) => overhead ?? 0;

function limits({ wait, overhead }: RelativeGoal, { tutorial, buildkite, ours }: References) {
  return {
    maxWaitMean: wait * tutorial.waitSeconds.mean,
    maxOverhead:
      'points' in overhead
        ? overheadOf(ours) + overhead.points / 100
        : overhead.ofBuildkite * overheadOf(buildkite),
  };
}

/** Whether an outcome reaches a goal. */
export function isReached({ goal, rest, references }: Pick<ReachedGoal, 'goal' | 'rest' | 'references'>) {
  const { maxWaitMean, maxOverhead } = limits(goal, references);
  return rest.waitSeconds.mean <= maxWaitMean && overheadOf(rest) <= maxOverhead;
}

/**
 * Searches settings for each goal on the first half of a trace, and replays them on the rest, with what the fleet has learned
 * on the first half.
 */
export async function reachGoals({ name, trace }: BenchmarkTrace): Promise<ReachedGoal[]> {
  const parts = part(tableOf(trace.jobs), { ...WORLD, startsAt: trace.startsAt ?? WORLD.startsAt }, 0.5);
  if (parts === undefined) return [];
  const { training, rest } = parts;
  // Both halves are as long.
  const priced = pricedForPart({ ...listPriced, month: monthRuleFor(trace.jobs) }, 0.5);
  const before = referencesOn(training);
  const references = referencesOn(rest);
  const reached: ReachedGoal[] = [];
  for (const goal of GOALS) {
    const { maxWaitMean, maxOverhead } = limits(goal, before);
    const wanted: Goal = {
      maxWaitMean: MARGIN.wait * maxWaitMean,
      maxOverhead: maxOverhead - MARGIN.overhead,
      waitingCost: 1,
    };
    const { found, met, tried } = await optimise(training.jobs, {
      world: training.world,
      goal: wanted,
      priced,
      keep: new Set(goal.keep),
      oursWith,
    });
    const reaching = tried.filter(({ outcome }) => isReached({ goal, rest: outcome, references: before }));
    const replayed = (set: Setting, { jobs, world }: JobsInWorld) => {
      const choice = oursWith(set);
      if (choice === undefined) throw new Error('The settings found are not valid');
      const learned = learnedFrom(training.jobs, choice, training.world);
      return simulateOne(jobs, { ...choice, learned }, world, { priced });
    };
    // A fleet that has learned has other waits and costs than one that begins to, as it does in the search.
    const holds = ({ set }: Tried) => excessOf(wanted, replayed(set, training)) === 0;
    const { set } = met
      ? ([found, ...cheapestFirst(tried, wanted)].find(holds) ?? found)
      : (mostSlack(reaching, goal, before) ?? found);
    const outcome = replayed(set, rest);
    const bound = boundOf(goal, rest, references);
    const onFirst = reaching.length > 0;
    reached.push({ trace: name, goal, set, found: onFirst, rest: outcome, references, bound });
  }
  return reached;
}

/** The settings that reach a goal, by their costs with those of waiting. */
function cheapestFirst(tried: readonly Tried[], goal: Goal): Tried[] {
  const sum = ({ outcome }: Tried) => sumOf(outcome, goal.waitingCost ?? 0).sum;
  return tried.filter(({ outcome }) => excessOf(goal, outcome) === 0).toSorted((a, b) => sum(a) - sum(b));
}

/** Those of the settings that reach a goal that are farthest from its limits. */
function mostSlack(
  reaching: readonly Tried[],
  goal: RelativeGoal,
  references: References,
): Tried | undefined {
  const { maxWaitMean, maxOverhead } = limits(goal, references);
  const used = ({ outcome }: Tried) =>
    Math.max(outcome.waitSeconds.mean / maxWaitMean, (1 + overheadOf(outcome)) / (1 + maxOverhead));
  return reaching.toSorted((a, b) => used(a) - used(b))[0];
}

type JobsInWorld = Parameters<typeof lowerBoundsOf>[0] extends infer Jobs
  ? { jobs: Jobs; world: World }
  : never;

function referencesOn({ jobs, world }: JobsInWorld): References {
  const own = oursWith([]);
  if (own === undefined) throw new Error('The fleet cannot have its own settings');
  const outcome = (choice: Parameters<typeof simulateOne>[1]) =>
    simulateOne(jobs, choice, world, { priced: listPriced });
  const { maxReplicas } = own.settings;
  return {
    tutorial: outcome(tutorialFor(own.settings)),
    buildkite: outcome({ name: 'buildkite', parameters: {}, maxReplicas }),
    ours: outcome(own),
  };
}

/**
 * What a reactive scaler needs at least. With a clean machine for each job, the job waits for a launch or for a resume. So the
 * wait says how many resumes there must be, and each of them is a stop and a second boot that is paid for. With reuse, the
 * lower bound has the shortest wait, at any cost.
 */
function boundOf(
  { image, wait, keep }: RelativeGoal,
  { jobs, world }: JobsInWorld,
  { tutorial }: References,
): string {
  const boot = image ? world.imageBoot : world.boot;
  const resume = image ? world.imageWarmBoot : world.warmBoot;
  const least = tutorial.waitSeconds.mean;
  if (!keep.includes('reuse')) {
    const reactive = lowerBoundsOf(jobs, { ...world, boot: resume }, { priced: listPriced }).at(-1);
    return `${((reactive?.waitSeconds.mean ?? 0) / least).toFixed(2)} x`;
  }
  const most = wait * least - world.request;
  const share = Math.max((boot - most) / (boot - resume), 0);
  if (share > 1) return `${((world.request + resume) / least).toFixed(2)} x`;
  const seconds = boot - world.boot + share * (world.warmStop + resume);
  const work = tutorial.jobHours * 3_600;
  return points((100 * seconds * tutorial.jobs) / work);
}

const points = (value: number) => `${value < 0 ? '-' : '+'}${Math.abs(value).toFixed(1)} points`;

/** The goals as a list. */
export const goalsText = () =>
  GOALS.map(({ name, wait, overhead, keep, image }) => {
    const machines = keep.includes('reuse')
      ? 'a clean machine for each job'
      : 'runners may take several jobs';
    const most =
      'points' in overhead
        ? `at most ${overhead.points} ${overhead.points === 1 ? 'point' : 'points'} of overhead above ours with the defaults`
        : `at most ${overhead.ofBuildkite} x the overhead of Buildkite`;
    return `- **${name}**: ${machines}${image ? '' : ', boots that install everything'}; a mean wait of at most ${wait} x that of CircleCI's tutorial, and ${most}.`;
  }).join('\n');

/** The goals as a table. */
export function goalsTable(reached: readonly ReachedGoal[]): string {
  const rows = reached.map((each) => {
    const { trace, goal, set, rest, references, bound } = each;
    const { tutorial, buildkite, ours } = references;
    const overhead = 100 * (overheadOf(rest) - overheadOf(ours));
    return [
      trace,
      goal.name,
      `${(rest.waitSeconds.mean / tutorial.waitSeconds.mean).toFixed(3)} x`,
      points(overhead),
      `${(overheadOf(rest) / overheadOf(buildkite)).toFixed(2)} x`,
      rest.cost?.total.toFixed(0) ?? '',
      isReached(each) ? 'yes' : each.found ? 'on the first half only' : 'no',
      bound,
      set.length === 0 ? '' : `\`${set.join(' ')}\``,
    ];
  });
  return [
    '| trace | goal | mean wait | overhead | of Buildkite | USD a month | reached | reactive, at least | settings |',
    '| --- | --- | ---: | ---: | ---: | ---: | --- | ---: | --- |',
    ...rows.map((cells) => `| ${cells.join(' | ')} |`),
  ].join('\n');
}
