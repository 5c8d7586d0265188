import type { Faults } from '../sandbox/group/faults.ts';
import type { Priced } from './cost.ts';
import { type Goal, priceOf, scoreBy } from './goal.ts';
import { type JobTable, tableOf } from './job-table.ts';
import type { Outcome } from './outcome.ts';
import type { PolicyChoice } from './peers.ts';
import type { OursSettings } from './policies/ours.ts';
import { type Dimension, dimensions, reuses, type Setting, withoutReuse } from './search-settings.ts';
import { simulate } from './simulate.ts';
import type { World } from './world.ts';

/** Settings that were tried, with their outcome. */
export interface Tried {
  set: Setting;
  outcome: Outcome;
}

export interface Optimised {
  /** The best settings. */
  found: Tried;
  /** The best settings of the search without reuse, and whether they meet the goal on the first part. */
  withoutReuse: Tried & { met: boolean };
  /** The fleet's own settings on the same part. */
  asGiven: Tried;
  /** CircleCI's tutorial on the same part. The search finds nothing worse. */
  tutorial: Outcome;
  /** Whether the settings meet the goal on the first part. */
  met: boolean;
  /** What was tried on all jobs, in order. */
  tried: readonly Tried[];
  /** How many settings were tried, on all jobs or on a stretch of them. */
  settingsTried: number;
}

export interface OptimiseOptions {
  world: World;
  goal: Goal;
  faults?: Faults;
  priced?: Priced | undefined;
  /** Keys of settings that the search must not change. */
  keep: ReadonlySet<string>;
  /**
   * Ours with these changes to the fleet's own settings.
   *
   * @returns `undefined` if the fleet cannot have them.
   */
  oursWith: (set: Setting) => { name: 'ours'; settings: OursSettings } | undefined;
  /** Reports how many settings have been tried. */
  progress?: (tried: number) => void;
}

/** How many of the settings are tried in all combinations of their coarse values. */
const TOGETHER = 3;

/** How many of the best combinations the search continues from. */
const STARTS = 3;

/** The maximum number of rounds over all settings. The search ends after a round without an improvement. */
const ROUNDS = 3;

/** Settings whose best number is searched between the numbers that were tried. */
const REFINED = ['warmPool.size', 'minReplicas', 'waitingCost'];

/** How often that halves the gap. */
const REFINEMENTS = 3;

/**
 * Searches for settings of ours that meet a goal. The search first leaves out reuse: it tries all combinations of a few values
 * of the three settings with the largest effect. From the best of them, it changes one setting at a time to its best value, until no
 * change is an improvement. Then it looks for better numbers between those tried. If reuse is allowed, it does the same
 * with reuse, and takes the better result: so reuse never leads to a worse one. Of many jobs, all of this uses the last days
 * only; the best settings of those are then tried on all jobs. Tests show that the result is never worse
 * than the fleet's own settings. The search does not prove that it is the best. The same jobs give the same result.
 *
 * @throws ReplayStalled
 */
export async function optimise(jobs: JobTable, options: OptimiseOptions): Promise<Optimised> {
  const { world, goal, keep, progress } = options;
  const all = new Set<string>();
  const onTried = (set: Setting) => {
    all.add(set.join());
    progress?.(all.size);
  };
  const whole = await searchOf({ jobs, world }, () => goal, options, onTried);
  const { asGiven, tutorial, best, score, known } = whole;
  const stretch = stretchOf(jobs, world);
  const rough =
    stretch && (await searchOf(stretch, (there) => shifted(goal, whole, there), options, onTried));
  const settings = dimensions(asGiven.outcome.peakInstances, goal, keep);
  const results: Tried[] = [];
  let found = asGiven;
  for (const searched of searches(settings)) {
    const ends = await descend(searched, rough ?? whole);
    const finalists = rough === undefined ? ends : await whole.tryAll(finalistsOf(rough));
    found = await refine(best([found, ...finalists]), whole);
    results.push(found);
  }
  const isMet = ({ outcome }: Tried) => score(outcome)[0] === 0;
  const [clean = found] = results;
  const met = isMet(found);
  return {
    found,
    withoutReuse: { ...clean, met: isMet(clean) },
    asGiven,
    tutorial,
    met,
    tried: [...known.values()],
    settingsTried: all.size,
  };
}

/** Prepares a search on these jobs: replays the fleet's own settings and CircleCI's tutorial. */
async function searchOf(
  { jobs, world }: { jobs: JobTable; world: World },
  goalOf: (references: References) => Goal,
  { faults, priced, oursWith }: OptimiseOptions,
  onTried: (set: Setting) => void,
): Promise<Search> {
  const replays = { ...(faults && { faults }), ...(priced && { priced }) };
  const known = new Map<string, Tried>();
  const tryAll = async (sets: readonly Setting[]): Promise<Tried[]> => {
    const untried = sets.flatMap((set) => {
      const choice = known.has(set.join()) ? undefined : oursWith(set);
      return choice === undefined ? [] : [{ set, choice }];
    });
    const choices = untried.map(({ choice }) => choice);
    const outcomes = await simulate(jobs, choices, world, replays);
    for (const [index, { set }] of untried.entries()) {
      const outcome = outcomes[index];
      if (outcome === undefined) continue;
      known.set(set.join(), { set, outcome });
      onTried(set);
    }
    return sets.flatMap((set) => known.get(set.join()) ?? []);
  };
  const own = oursWith([]);
  const [asGiven] = await tryAll([[]]);
  if (own === undefined || asGiven === undefined) throw new Error('The fleet cannot have its own settings');
  const [tutorial] = await simulate(jobs, [tutorialFor(own.settings)], world, replays);
  if (tutorial === undefined) throw new Error('The tutorial was not replayed');
  const score = scoreBy(goalOf({ asGiven, tutorial }), tutorial);
  const better = (a: Tried, b: Tried) => compare(score(a.outcome), score(b.outcome)) < 0;
  const best = (tried: readonly Tried[]) => tried.reduce((one, other) => (better(other, one) ? other : one));
  return { tryAll, best, score, known, asGiven, tutorial };
}

/** A search on more jobs than this tries settings on a stretch of them first. */
const MANY_JOBS = 4_000;

/** About how many jobs that stretch has. */
const STRETCH_JOBS = 2_500;

const DAY = 86_400;

/** The last days of many jobs: whole ones, because nights differ. `undefined` if they are most of the jobs. */
function stretchOf(jobs: JobTable, world: World): { jobs: JobTable; world: World } | undefined {
  if (jobs.length <= MANY_JOBS) return undefined;
  const end = jobs.queuedAt[jobs.length - 1] ?? 0;
  const days = Math.ceil((end - (jobs.queuedAt[jobs.length - STRETCH_JOBS] ?? 0)) / DAY);
  const share = 1 - (days * DAY) / end;
  return share < 0.4 ? undefined : part(jobs, world, share)?.rest;
}

/** The fleet's own settings and CircleCI's tutorial, on the same jobs. */
interface References {
  asGiven: Tried;
  tutorial: Outcome;
}

/** The same goal for other jobs: as much above or below the references. */
function shifted(goal: Goal, here: References, there: References): Goal {
  const { maxWaitMean, maxWaitP95, maxCost, maxOverhead } = goal;
  const wait = (key: 'mean' | 'p95') => there.tutorial.waitSeconds[key] / here.tutorial.waitSeconds[key];
  const cost = (there.asGiven.outcome.cost?.total ?? 0) / (here.asGiven.outcome.cost?.total ?? 1);
  const overhead = (there.asGiven.outcome.overhead ?? 0) - (here.asGiven.outcome.overhead ?? 0);
  const hours = there.asGiven.outcome.instanceHours / here.asGiven.outcome.instanceHours;
  return {
    ...goal,
    ...(maxWaitMean !== undefined && { maxWaitMean: maxWaitMean * wait('mean') }),
    ...(maxWaitP95 !== undefined && { maxWaitP95: maxWaitP95 * wait('p95') }),
    ...(maxCost !== undefined && { maxCost: maxCost * (cost > 0 ? cost : hours) }),
    ...(maxOverhead !== undefined && { maxOverhead: maxOverhead + overhead }),
  };
}

/** How many of the best settings of a stretch are tried on all jobs. */
const FINALISTS = 16;

/** The best settings of a stretch, and those of its Pareto front of mean wait and instance-hours. */
function finalistsOf({ known, score }: Search): Setting[] {
  const tried = [...known.values()];
  const ranked = tried.toSorted((a, b) => compare(score(a.outcome), score(b.outcome)));
  let least = Number.POSITIVE_INFINITY;
  const front = tried
    .toSorted((a, b) => priceOf(a.outcome) - priceOf(b.outcome))
    .filter(({ outcome }) => {
      const isShorter = outcome.waitSeconds.mean < least;
      if (isShorter) least = outcome.waitSeconds.mean;
      return isShorter;
    });
  return [...ranked.slice(0, FINALISTS), ...front].map(({ set }) => set);
}

/** The settings of each search: first without reuse, then with it. */
function searches(settings: readonly Dimension[]): Dimension[][] {
  if (!settings.some(({ values }) => values.some(reuses))) return [withoutReuse(settings)];
  return [withoutReuse(settings), [...settings]];
}

/** What the parts of a search share. */
interface Search extends References {
  tryAll: (sets: readonly Setting[]) => Promise<Tried[]>;
  best: (tried: readonly Tried[]) => Tried;
  score: (outcome: Outcome) => number[];
  known: ReadonlyMap<string, Tried>;
}

/** Tries all combinations of the first settings, and improves the best of them one setting at a time. */
async function descend(
  settings: readonly Dimension[],
  { tryAll, best, score, known }: Search,
): Promise<Tried[]> {
  const grid = combinations(
    settings.slice(0, TOGETHER).map(({ values, isCoarse = () => true }) => values.filter(isCoarse)),
  );
  const whole = grid.map((values) => settings.map((_, index) => values[index] ?? []));
  await tryAll(whole.map((values) => values.flat()));
  const reached = whole.flatMap((values) => {
    const here = known.get(values.flat().join());
    return here === undefined ? [] : [{ values, here }];
  });
  const starts = reached
    .toSorted((a, b) => compare(score(a.here.outcome), score(b.here.outcome)))
    .slice(0, STARTS);

  const ends: Tried[] = [];
  for (const start of starts) {
    const at = [...start.values];
    let { here } = start;
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = here;
      for (const [index, { values }] of settings.entries()) {
        const sets = values.map((value) => at.with(index, value));
        const tried = await tryAll(sets.map((set) => set.flat()));
        here = best([here, ...tried]);
        const { set } = here;
        at.splice(0, at.length, ...(sets.find((candidate) => candidate.flat().join() === set.join()) ?? at));
      }
      if (here === before) break;
    }
    ends.push(here);
  }
  return ends;
}

/** Tries numbers between the best one and those on both sides of it, as long as that is an improvement. */
async function refine(from: Tried, { tryAll, best, known }: Search): Promise<Tried> {
  let found = from;
  for (const key of REFINED) {
    for (let round = 0; round < REFINEMENTS; round += 1) {
      const { set } = found;
      const at = numberOf(set, key);
      if (at === undefined) break;
      const others = [...known.values()].flatMap((each) => numberOf(each.set, key) ?? []);
      const between = [
        Math.max(...others.filter((number) => number < at)),
        Math.min(...others.filter((number) => number > at)),
      ].flatMap((other) => (Number.isFinite(other) ? [middleOf(key, other, at)] : []));
      const untried = between.filter((number) => !others.includes(number));
      if (untried.length === 0) break;
      const sets = untried.map((number) =>
        set.map((each) => (each === `${key}=${at}` ? `${key}=${number}` : each)),
      );
      found = best([found, ...(await tryAll(sets))]);
    }
  }
  return found;
}

/** The number in the middle, as often above one as below the other: of instances a whole one, of dollars two digits. */
function middleOf(key: string, one: number, other: number): number {
  const middle = Math.sqrt(one * other);
  return key === 'waitingCost' ? Number(middle.toPrecision(2)) : Math.round(middle);
}

/** The number of a setting, if it is one. */
function numberOf(set: Setting, key: string): number | undefined {
  const value = set.find((each) => each.startsWith(`${key}=`))?.slice(key.length + 1);
  return value !== undefined && /^\d+(\.\d+)?$/.test(value) ? Number(value) : undefined;
}

/** CircleCI's tutorial, with the same `maxReplicas`. */
export const tutorialFor = ({ maxReplicas }: OursSettings): PolicyChoice => ({
  name: 'circleci-tutorial',
  parameters: {},
  maxReplicas,
});

/** All combinations of the values. */
const combinations = (settings: readonly (readonly Setting[])[]): Setting[][] =>
  settings.reduce<Setting[][]>(
    (all, values) => all.flatMap((before) => values.map((value) => [...before, value])),
    [[]],
  );

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The two parts of a trace. Each starts at its own second 0; the second one starts at a whole minute of the trace. */
export interface Parts {
  training: { jobs: JobTable; world: World };
  rest: { jobs: JobTable; world: World };
}

/**
 * Splits a trace by time.
 *
 * @param share The first part, as a share of the trace's time, between 0 and 1.
 * @returns `undefined` if one of the parts has no jobs.
 */
export function part(jobs: JobTable, world: World, share: number): Parts | undefined {
  const last = jobs.queuedAt[jobs.length - 1] ?? 0;
  const at = Math.floor((last * share) / 60) * 60;
  const all = Array.from({ length: jobs.length }, (_, number) => ({
    queuedAt: jobs.queuedAt[number] as number,
    durationSeconds: jobs.durationSeconds[number] as number,
  }));
  const training = all.filter(({ queuedAt }) => queuedAt < at);
  const rest = all
    .filter(({ queuedAt }) => queuedAt >= at)
    .map(({ queuedAt, durationSeconds }) => ({ queuedAt: queuedAt - at, durationSeconds }));
  if (training.length === 0 || rest.length === 0) return undefined;
  return {
    training: { jobs: tableOf(training), world },
    rest: { jobs: tableOf(rest), world: { ...world, startsAt: world.startsAt + at * 1_000 } },
  };
}
