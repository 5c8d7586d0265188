import { setImmediate as giveWay } from 'node:timers/promises';
import type { Faults } from '../../sandbox/group/faults.ts';
import { Calendar } from '../calendar.ts';
import type { Priced } from '../cost.ts';
import type { JobTable } from '../job-table.ts';
import { LOWER_BOUNDS, lowerBoundsOf } from '../lower-bounds.ts';
import type { Outcome } from '../outcome.ts';
import type { PolicyChoice } from '../peers.ts';
import { simulate } from '../simulate.ts';
import { areMany, inThreads } from '../threads.ts';
import type { World } from '../world.ts';
import {
  type About,
  OURS,
  RECOMMENDED,
  type Replays,
  recommendation,
  reportData,
  TUTORIAL,
} from './build.ts';
import type { Comparison, ReportData, Samples } from './model.ts';
import { demandOf } from './periods.ts';
import { unitOf } from './price.ts';
import { paretoFront, type ReportedSearch } from './recommend.ts';
import { samplesOf, stretchesOf } from './samples.ts';
import { type Trial, trials } from './setting-trials.ts';

type OursChoice = Extract<PolicyChoice, { settings: unknown }>;
interface ReportProgress {
  to: (ended: number) => void;
  stop: () => void;
}

export interface ReportOptions {
  about: Pick<ReportData['trace'], 'source' | 'startsAt' | 'notes'> &
    Pick<About, 'command' | 'assumptions' | 'documents'>;
  jobs: JobTable;
  world: World;
  /** The policies to compare. Ours and CircleCI's tutorial are always compared. */
  choices: readonly PolicyChoice[];
  /** Outcomes of policies that were already replayed on these jobs. */
  outcomes: readonly Outcome[];
  faults: Faults;
  priced: Priced;
  /** The result of a search, if there was one. The report recommends it. */
  search?: ReportedSearch | undefined;
  /** A comparison with another run, if there is one. */
  comparison?: Comparison | undefined;
  /** Ours with more settings than those of the command line; `undefined` if the fleet cannot have them. */
  oursWith: (set: readonly string[]) => OursChoice | undefined;
  /** Writes settings as lines of fleets.yaml. */
  fleetsYaml: (set: readonly string[]) => string;
  /** What a setting does, as its documentation says it. */
  describe: (setting: string) => string | undefined;
  /** Reports the number of jobs that have ended, over all replays of a step. */
  progress: (total: number, of: string) => ReportProgress;
}

/**
 * Replays everything that a report shows: the policies, the lower bounds, each setting, and queue and capacity over
 * time.
 */
export async function collect(options: ReportOptions): Promise<ReportData> {
  const { jobs, world, priced, search, oursWith } = options;
  const candidate = (set: readonly string[]) => {
    const choice = oursWith(set);
    if (choice === undefined) throw new Error(`The fleet can no longer have ${set.join(' and ')}`);
    return { set, choice };
  };
  const ours = candidate([]);
  const tutorial = { name: TUTORIAL, parameters: {}, maxReplicas: ours.choice.settings.maxReplicas };
  const others = options.choices.filter(({ name }) => name !== OURS);
  const peers = others.some(({ name }) => name === TUTORIAL) ? others : [tutorial, ...others];

  const policies = [ours.choice, ...peers].map((choice) => ({ choice }));
  const isNew = ({ choice }: { choice: PolicyChoice }) =>
    !options.outcomes.some(({ policy }) => policy === choice.name);
  const missing = await replayed(options, 'jobs, each policy', policies.filter(isNew));
  const compared = [...options.outcomes, ...missing.map(toOutcome)];
  const [asGiven, ...rivals] = policies.flatMap(
    ({ choice }) => compared.find(({ policy }) => policy === choice.name) ?? [],
  );
  if (asGiven === undefined) throw new Error('Ours was not replayed');
  const [found] = await replayed(
    options,
    'jobs, settings found',
    search === undefined ? [] : [candidate(search.set)],
  );
  const [reusing] = await replayed(
    options,
    'jobs, alternative',
    search?.alternative === undefined ? [] : [candidate(search.alternative.set)],
  );
  const { possible, impossible } = sift(trials(asGiven.peakInstances), ours.choice, oursWith);
  const settings = await replayed(options, 'jobs, each setting', possible);
  const best = search === undefined ? [] : paretoFront(search.tried, unitOf(search.tried.map(toOutcome)));
  const tried = await replayed(
    options,
    'jobs, Pareto front',
    best.map(({ set }) => candidate(set)),
  );
  const lowerBounds = lowerBoundsOf(jobs, world, { priced });
  const replays: Replays = {
    asGiven: { set: [], outcome: asGiven },
    isReusing: ours.choice.settings.reuse === 'continuous',
    settings,
    tried,
    peers: rivals,
    lowerBounds: lowerBounds.map((outcome, index) => ({
      ...outcome,
      about: LOWER_BOUNDS[index]?.about ?? '',
    })),
    ...(search !== undefined &&
      found !== undefined && {
        search: { ...search, ...found, ...withOutcome(search.alternative, reusing) },
      }),
  };
  const { set } = recommendation(replays).chosen;
  const drawn = [
    ...(set.length === 0 ? [] : [{ name: RECOMMENDED, choice: candidate(set).choice }]),
    { name: OURS, choice: ours.choice },
    ...peers.map((choice) => ({ name: choice.name, choice })),
  ];
  const data = reportData(
    aboutOf(options),
    replays,
    impossible,
    await sampled(drawn, options),
    options.fleetsYaml,
    options.describe,
  );
  return options.comparison === undefined ? data : { ...data, comparison: options.comparison };
}

const withOutcome = (
  alternative: ReportedSearch['alternative'],
  replayed: { outcome: Outcome } | undefined,
) =>
  alternative !== undefined &&
  replayed !== undefined && { alternative: { ...alternative, outcome: replayed.outcome } };

const toOutcome = ({ outcome }: { outcome: Outcome }) => outcome;

function aboutOf({ about, jobs, world }: ReportOptions): About {
  const { command, assumptions, documents, ...trace } = about;
  const work = jobs.durationSeconds.reduce((sum, seconds) => sum + seconds, 0);
  const span = (jobs.queuedAt.at(-1) ?? 0) - (jobs.queuedAt[0] ?? 0);
  return {
    trace: {
      ...trace,
      ...(world.zone !== undefined && { zone: world.zone }),
      jobs: jobs.length,
      jobHours: work / 3_600,
      spanHours: span / 3_600,
    },
    command,
    world,
    assumptions,
    documents,
    stretches: stretchesOf(jobs, world),
    demand: demandOf(jobs, new Calendar(world)),
  };
}

/** Separates the trials that the fleet cannot have, and drops those that change nothing. */
function sift(all: readonly Trial[], ours: OursChoice, oursWith: ReportOptions['oursWith']) {
  const possible: (Trial & { choice: OursChoice })[] = [];
  const impossible: string[] = [];
  for (const trial of all) {
    const choice = oursWith(trial.set);
    if (choice === undefined) impossible.push(trial.set.join(' and '));
    else if (JSON.stringify(choice) !== JSON.stringify(ours)) possible.push({ ...trial, choice });
  }
  return { possible, impossible };
}

/** Adds the outcome of its replay to each item. */
async function replayed<T extends { choice: PolicyChoice }>(
  { jobs, world, faults, priced, progress }: ReportOptions,
  of: string,
  items: readonly T[],
): Promise<(T & { outcome: Outcome })[]> {
  const choices = items.map(({ choice }) => choice);
  const { to, stop } = progress(jobs.length * choices.length, of);
  const outcomes = await simulate(jobs, choices, world, { faults, priced, progress: to }).finally(stop);
  return items.flatMap((item, index) => {
    const outcome = outcomes[index];
    return outcome === undefined ? [] : [{ ...item, outcome }];
  });
}

async function sampled(
  drawn: readonly { name: string; choice: PolicyChoice }[],
  options: ReportOptions,
): Promise<Map<string, Samples>> {
  const { to, stop } = options.progress(options.jobs.length * drawn.length, 'jobs, charts');
  try {
    const samplesByName = await samplesOfAll(drawn, options, to);
    return new Map(
      drawn.flatMap(({ name }, index) => {
        const samples = samplesByName[index];
        return samples === undefined ? [] : [[name, samples]];
      }),
    );
  } finally {
    stop();
  }
}

/** The policies whose days the page shows in detail. It has no room for all. */
const DETAILED: ReadonlySet<string> = new Set([OURS, RECOMMENDED, TUTORIAL]);

async function samplesOfAll(
  drawn: readonly { name: string; choice: PolicyChoice }[],
  { jobs, world, faults, priced }: ReportOptions,
  progress: (ended: number) => void,
): Promise<Samples[]> {
  if (areMany(jobs.length * drawn.length)) {
    return inThreads(
      drawn.map(({ name, choice }) => ({
        kind: 'samples' as const,
        jobs,
        choice,
        world,
        faults,
        priced,
        detailed: DETAILED.has(name),
      })),
      progress,
    );
  }
  const all: Samples[] = [];
  for (const { name, choice } of drawn) {
    const before = all.length * jobs.length;
    const detailed = DETAILED.has(name);
    const count = (ended: number) => progress(before + ended);
    all.push(samplesOf(jobs, choice, world, { faults, priced, detailed, progress: count }));
    // Node.js handles Ctrl-C between two turns of its event loop.
    await giveWay();
  }
  return all;
}
