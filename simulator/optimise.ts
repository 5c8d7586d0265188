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

/** The settings to search, those with the largest effect first. */
function dimensions(peakInstances: number): Dimension[] {
  const upTo = (numbers: readonly number[]) => numbers.filter((number) => number <= peakInstances);
  const idle = [30, 60, 120, 300, 600, 1_200];
  return [
    {
      setting: 'reuse',
      values: [[], ...idle.map((seconds) => ['reuse=continuous', `idleTimeout=${seconds}s`])],
    },
    {
      setting: 'warmPool',
      values: [[], ...sizes('warmPool.size', ['auto', ...upTo([2, 5, 10, 20, 50, 100, 200])])],
    },
    { setting: 'headroom', values: [[], ...sizes('headroom', [1, 2, 5, '10%', '25%', '50%'])] },
    { setting: 'minReplicas', values: [[], ...sizes('minReplicas', upTo([1, 2, 5, 10, 20]))] },
    { setting: 'quietPollInterval', values: [[], ...sizes('quietPollInterval', ['5s', '15s', '30s'])] },
  ];
}

/** How many of the settings are tried in all combinations. */
const TOGETHER = 2;

/** How many of the best combinations the search continues from. */
const STARTS = 3;

/** The maximum number of rounds over all settings. The search ends after a round without an improvement. */
const ROUNDS = 3;

/**
 * Searches for settings of ours that meet a goal. The search tries all combinations of reuse and warm pool. From the
 * best of them, it changes one setting at a time to its best value, until no change is an improvement. Tests show that
 * the result is never worse than the fleet's own settings. The search does not prove that it is the best. The same jobs
 * give the same result.
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

  const settings = dimensions(asGiven.outcome.peakInstances).filter(({ values }) => !isKept(values, keep));
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

  let found = asGiven;
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
    found = best([found, here]);
  }
  return { found, asGiven, tutorial, met: score(found.outcome)[0] === 0, tried: [...known.values()] };
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
