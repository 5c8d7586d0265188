import type { Faults } from '../sandbox/group/faults.ts';
import type { Priced } from './cost.ts';
import { type Goal, scoreBy } from './goal.ts';
import { type JobTable, tableOf } from './job-table.ts';
import type { Outcome } from './outcome.ts';
import type { PolicyChoice } from './peers.ts';
import type { OursSettings } from './policies/ours.ts';
import { simulate } from './simulate.ts';
import type { World } from './world.ts';

/** Settings and their values, as `--set` takes them: `key=value`. */
export type Setting = readonly string[];

/** Settings that change together, with the values to try. The first value keeps the fleet's own. */
interface Dimension {
  setting: string;
  values: readonly Setting[];
}

/** Settings that were tried, with their outcome. */
export interface Tried {
  set: Setting;
  outcome: Outcome;
}

export interface Optimised {
  /** The best settings. */
  found: Tried;
  /** The fleet's own settings on the same part. */
  asGiven: Tried;
  /** CircleCI's tutorial on the same part. The search finds nothing worse. */
  tutorial: Outcome;
  /** Whether the settings meet the goal on the first part. */
  met: boolean;
  /** Everything that was tried, in order. */
  tried: readonly Tried[];
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

const sizes = (key: string, numbers: readonly (number | string)[]): Setting[] =>
  numbers.map((number) => [`${key}=${number}`]);

/** Prices of waiting to try if the goal has limits: the price with which spare runners meet them is not known. */
const WAITING_COSTS = [0.1, 0.3, 1, 3, 10, 30];

/** The lowest `waitingCost` that fleets.yaml takes. */
const LEAST_WAITING_COST = 0.001;

/** The settings to search, those with the largest effect first. */
function dimensions(peakInstances: number, goal: Goal, keep: ReadonlySet<string>): Dimension[] {
  const upTo = (numbers: readonly number[]) => numbers.filter((number) => number <= peakInstances);
  const idle = [30, 60, 120, 300, 600, 1_200];
  const { waitingCost, ...limits } = goal;
  // Spare runners follow the price of the search itself.
  const prices = new Set([
    ...(waitingCost === undefined ? [] : [waitingCost]),
    ...(Object.keys(limits).length === 0 ? [] : WAITING_COSTS),
  ]);
  const spares = keep.has('waitingCost')
    ? [['spareRunners=auto']]
    : [...prices]
        .filter((price) => price >= LEAST_WAITING_COST)
        .map((price) => ['spareRunners=auto', `waitingCost=${price}`]);
  const all: Dimension[] = [
    {
      setting: 'reuse',
      values: [[], ...idle.map((seconds) => ['reuse=continuous', `idleTimeout=${seconds}s`])],
    },
    {
      setting: 'warmPool',
      values: [[], ...sizes('warmPool.size', ['auto', ...upTo([2, 5, 10, 20, 50, 100, 200])])],
    },
    { setting: 'spareRunners', values: [[], ...spares] },
    { setting: 'headroom', values: [[], ...sizes('headroom', [1, 2, 5, '10%', '25%', '50%'])] },
    { setting: 'minReplicas', values: [[], ...sizes('minReplicas', upTo([1, 2, 5, 10, 20]))] },
    { setting: 'quietPollInterval', values: [[], ...sizes('quietPollInterval', ['5s', '15s', '30s'])] },
  ];
  return all.filter(({ values }) => values.length > 1 && !isKept(values, keep));
}

/** How many of the settings are tried in all combinations. */
const TOGETHER = 2;

/** How many of the best combinations the search continues from. */
const STARTS = 3;

/** The maximum number of rounds over all settings. The search ends after a round without an improvement. */
const ROUNDS = 3;

/** Settings whose best number is searched between the numbers that were tried. */
const REFINED = ['warmPool.size', 'minReplicas'];

/** How often that halves the gap. */
const REFINEMENTS = 3;

/**
 * Searches for settings of ours that meet a goal. The search first leaves out reuse: it tries all combinations of the two
 * settings with the largest effect. From the best of them, it changes one setting at a time to its best value, until no
 * change is an improvement. Then it looks for better numbers between those tried. If reuse is allowed, it does the same
 * with reuse, and takes the better result: so reuse never leads to a worse one. Tests show that the result is never worse
 * than the fleet's own settings. The search does not prove that it is the best. The same jobs give the same result.
 *
 * @throws ReplayStalled
 */
export async function optimise(jobs: JobTable, options: OptimiseOptions): Promise<Optimised> {
  const { world, goal, faults, priced, keep, oursWith, progress } = options;
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
      if (outcome !== undefined) known.set(set.join(), { set, outcome });
    }
    progress?.(known.size);
    return sets.flatMap((set) => known.get(set.join()) ?? []);
  };

  const own = oursWith([]);
  const [asGiven] = await tryAll([[]]);
  if (own === undefined || asGiven === undefined) throw new Error('The fleet cannot have its own settings');
  const [tutorial] = await simulate(jobs, [tutorialFor(own.settings)], world, replays);
  if (tutorial === undefined) throw new Error('The tutorial was not replayed');
  const score = scoreBy(goal, tutorial);
  const better = (a: Tried, b: Tried) => compare(score(a.outcome), score(b.outcome)) < 0;
  const best = (tried: readonly Tried[]) => tried.reduce((one, other) => (better(other, one) ? other : one));
  const settings = dimensions(asGiven.outcome.peakInstances, goal, keep);
  const search = { tryAll, best, score, known };
  let found = asGiven;
  for (const searched of searches(settings)) {
    const [among, ...others] = await descend(searched, search);
    if (among !== undefined) found = best([found, among, ...others]);
    found = await refine(found, search);
  }
  return { found, asGiven, tutorial, met: score(found.outcome)[0] === 0, tried: [...known.values()] };
}

/** The settings of each search: first without reuse, then with it. */
function searches(settings: readonly Dimension[]): Dimension[][] {
  const clean = settings.filter(({ setting }) => setting !== 'reuse');
  return clean.length === settings.length ? [clean] : [clean, [...settings]];
}

/** What the parts of a search share. */
interface Search {
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
  const grid = combinations(settings.slice(0, TOGETHER));
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
      ].flatMap((other) => (Number.isFinite(other) ? [Math.round(Math.sqrt(other * at))] : []));
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

/** The number of a setting, if it is one. */
function numberOf(set: Setting, key: string): number | undefined {
  const value = set.find((each) => each.startsWith(`${key}=`))?.slice(key.length + 1);
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined;
}

/** CircleCI's tutorial, with the same `maxReplicas`. */
export const tutorialFor = ({ maxReplicas }: OursSettings): PolicyChoice => ({
  name: 'circleci-tutorial',
  parameters: {},
  maxReplicas,
});

/** All combinations of the values. */
const combinations = (settings: readonly Dimension[]): Setting[][] =>
  settings.reduce<Setting[][]>(
    (all, { values }) => all.flatMap((before) => values.map((value) => [...before, value])),
    [[]],
  );

/** Whether the search must not change one of these settings. */
const isKept = (values: readonly Setting[], keep: ReadonlySet<string>) =>
  values.flat().some((each) => {
    const [key = ''] = each.split('=');
    return keep.has(key) || keep.has(key.split('.')[0] ?? '');
  });

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
