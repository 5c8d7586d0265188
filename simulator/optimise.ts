import type { Faults } from '../sandbox/group/faults.ts';
import type { Priced } from './cost.ts';
import { type JobTable, tableOf } from './job-table.ts';
import type { Outcome } from './outcome.ts';
import type { PolicyChoice } from './peers.ts';
import type { OursSettings } from './policies/ours.ts';
import { simulate } from './simulate.ts';
import type { World } from './world.ts';

/** What is looked for: the least cost with no longer a wait than that, or the shortest wait for no more money. */
export type Goal =
  | { maxWaitP95: number }
  /** US dollars a month, or hours of instances on the part that is searched if no price is known. */
  | { maxCost: number };

/** One way to set some of the settings, as `--set` takes it. */
export type Setting = readonly string[];

/** A part of the settings that is changed as one, and what it is tried at; the first leaves it as the fleet has it. */
interface Dimension {
  setting: string;
  values: readonly Setting[];
}

/** What was tried, and what it came to. */
export interface Tried {
  set: Setting;
  outcome: Outcome;
}

export interface Optimised {
  /** The settings found. */
  found: Tried;
  /** The fleet's own, on the same part. */
  asGiven: Tried;
  /** CircleCI's tutorial on the same part. The search finds nothing worse. */
  tutorial: Outcome;
  /** Whether the goal is met on the part that was searched. */
  met: boolean;
  /** All that was tried, in the order of the trials. */
  tried: readonly Tried[];
}

export interface OptimiseOptions {
  world: World;
  goal: Goal;
  faults?: Faults;
  priced?: Priced | undefined;
  /** Settings that are not changed, by the key that `--set` has for them. */
  keep: ReadonlySet<string>;
  /**
   * Ours with so much set beyond the fleet's own.
   *
   * @returns `undefined` if the fleet cannot have that.
   */
  oursWith: (set: Setting) => { name: 'ours'; settings: OursSettings } | undefined;
  /** Told how many settings have been tried. */
  progress?: (tried: number) => void;
}

const sizes = (key: string, numbers: readonly (number | string)[]): Setting[] =>
  numbers.map((number) => [`${key}=${number}`]);

/** The settings, in the order in which they are tried: first those that make most of a difference. */
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

/** So many of the settings are tried with each other, each value with each. */
const TOGETHER = 2;

/** So many of those, the best ones, are gone on from. */
const STARTS = 3;

/** So often all settings are gone through, at most; it ends when a round has found nothing better. */
const ROUNDS = 3;

/**
 * Searches the settings of ours that meet a goal. Reuse and warm pools are tried with each other; from the best of
 * those, one setting after the other is set to what is best with all others as they are, until none is better elsewhere.
 * That finds no worse than the fleet's own; that nothing is better, it does not prove. The same jobs, the same result.
 *
 * @throws ReplayStalled
 */
export async function optimise(jobs: JobTable, options: OptimiseOptions): Promise<Optimised> {
  const { world, goal, faults, priced, keep, oursWith, progress } = options;
  const replays = { ...(faults && { faults }), ...(priced && { priced }) };
  const known = new Map<string, Tried>();
  const tryAll = async (sets: readonly Setting[]): Promise<Tried[]> => {
    const news = sets.flatMap((set) => {
      const choice = known.has(set.join()) ? undefined : oursWith(set);
      return choice === undefined ? [] : [{ set, choice }];
    });
    const choices = news.map(({ choice }) => choice);
    const outcomes = await simulate(jobs, choices, world, replays);
    for (const [index, { set }] of news.entries()) {
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

/** Each value of each setting with each of the others. */
const combinations = (settings: readonly Dimension[]): Setting[][] =>
  settings.reduce<Setting[][]>(
    (all, { values }) => all.flatMap((before) => values.map((value) => [...before, value])),
    [[]],
  );

/** A setting is left alone if one of its settings is. */
const isKept = (values: readonly Setting[], keep: ReadonlySet<string>) =>
  values.flat().some((each) => {
    const [key = ''] = each.split('=');
    return keep.has(key) || keep.has(key.split('.')[0] ?? '');
  });

/**
 * What is compared, the first difference decides: by how much the goal is missed, or jobs fare worse than under the
 * tutorial's scaler; then the price, or the wait, that the goal leaves open.
 */
function scoreBy(goal: Goal, tutorial: Outcome): (outcome: Outcome) => [number, number, number] {
  const price = ({ cost, instanceHours }: Outcome) => cost?.total ?? instanceHours;
  return (outcome) => {
    const { mean, p95 } = outcome.waitSeconds;
    const worse =
      Math.max(mean - tutorial.waitSeconds.mean, 0) +
      Math.max(p95 - tutorial.waitSeconds.p95, 0) +
      Math.max(outcome.jobsKilled - tutorial.jobsKilled, 0);
    if ('maxWaitP95' in goal) return [Math.max(p95 - goal.maxWaitP95, 0) + worse, price(outcome), mean];
    return [Math.max(price(outcome) - goal.maxCost, 0) + worse, p95, mean];
  };
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The two parts of a trace, each from its own second 0 on; the second begins with a minute of the trace. */
export interface Parts {
  training: { jobs: JobTable; world: World };
  rest: { jobs: JobTable; world: World };
}

/**
 * Parts a trace by time.
 *
 * @param share How much of its span is for training, between 0 and 1.
 * @returns `undefined` if one of the parts has no job.
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
