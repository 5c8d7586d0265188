import type { Priced } from '../cost.ts';
import type { Faults } from '../faults.ts';
import type { JobTable } from '../job-table.ts';
import { LIMITS, limitsOf } from '../limits.ts';
import type { Outcome } from '../outcome.ts';
import type { PolicyChoice } from '../peers.ts';
import { simulate } from '../simulate.ts';
import type { World } from '../world.ts';
import { type About, OURS, RECOMMENDED, type Replays, recommendation, reportData, SEED } from './data.ts';
import { detailOf, stretchesOf } from './detail.ts';
import { type Trial, trials } from './levers.ts';
import { unitOf } from './price.ts';
import { type Sought, unbeaten } from './recommend.ts';
import type { Detail, ReportData } from './report-data.ts';

type OursChoice = Extract<PolicyChoice, { settings: unknown }>;
interface Progress {
  to: (ended: number) => void;
  stop: () => void;
}

export interface ReportOptions {
  about: Pick<ReportData['trace'], 'source' | 'startsAt' | 'notes'> & Pick<About, 'command' | 'assumptions'>;
  jobs: JobTable;
  world: World;
  /** The policies to be compared; ours and the tutorial's scaler are, in any case. */
  choices: readonly PolicyChoice[];
  faults: Faults;
  priced: Priced;
  /** What has been found by a search, if there was one: it is recommended. */
  sought?: Sought | undefined;
  /** Ours with more set than the command line does; `undefined` if the fleet cannot have that. */
  oursWith: (set: readonly string[]) => OursChoice | undefined;
  /** Lines of fleets.yaml that set so much. */
  fleetsYaml: (set: readonly string[]) => string;
  /** What is told of the jobs that have ended, in all replays of a step together. */
  progress: (total: number, of: string) => Progress;
}

/** Replays all that a report shows: the policies, the limits, each lever, and queue and capacity over time. */
export async function collect(options: ReportOptions): Promise<ReportData> {
  const { jobs, world, priced, sought, oursWith } = options;
  const ours = known(oursWith([]));
  const seed = { name: SEED, levers: {}, maxReplicas: ours.settings.maxReplicas };
  const named = options.choices.filter(({ name }) => name !== OURS);
  const peers = named.some(({ name }) => name === SEED) ? named : [seed, ...named];
  const found = sought === undefined ? [] : [known(oursWith(sought.set))];
  const [asGiven, ...others] = await replayed(options, 'jobs', [ours, ...found, ...peers]);
  if (asGiven === undefined) throw new Error('Ours was not replayed');
  const [best] = others.splice(0, found.length);

  const { possible, impossible } = sift(trials(asGiven.peakInstances), ours, oursWith);
  const levers = await replayed(
    options,
    'jobs, each lever',
    possible.map(({ choice }) => choice),
  );
  const front =
    sought === undefined ? [] : unbeaten(sought.tried, unitOf(sought.tried.map(({ outcome }) => outcome)));
  const combinations = await replayed(
    options,
    'jobs, the best that was tried',
    front.map(({ set }) => known(oursWith(set))),
  );
  const limits = limitsOf(jobs, world, { priced });
  const replays: Replays = {
    asGiven: { set: [], outcome: asGiven },
    levers: possible.flatMap(({ trial }, index) => {
      const outcome = levers[index];
      return outcome === undefined ? [] : [{ ...trial, outcome }];
    }),
    tried: front.flatMap(({ set }, index) => {
      const outcome = combinations[index];
      return outcome === undefined ? [] : [{ set, outcome }];
    }),
    peers: others,
    limits: limits.map((outcome, index) => ({ ...outcome, about: LIMITS[index]?.about ?? '' })),
    ...(sought !== undefined && best !== undefined && { sought: { ...sought, outcome: best } }),
  };
  const { set } = recommendation(replays).chosen;
  const drawn = [
    ...(set.length === 0 ? [] : [{ name: RECOMMENDED, choice: known(oursWith(set)) }]),
    { name: OURS, choice: ours },
    ...peers.map((choice) => ({ name: choice.name, choice })),
  ];
  return reportData(aboutOf(options), replays, impossible, detailed(drawn, options), options.fleetsYaml);
}

function aboutOf({ about, jobs, world }: ReportOptions): About {
  const { command, assumptions, ...trace } = about;
  const work = jobs.durationSeconds.reduce((sum, seconds) => sum + seconds, 0);
  const span = (jobs.queuedAt.at(-1) ?? 0) - (jobs.queuedAt[0] ?? 0);
  return {
    trace: { ...trace, jobs: jobs.length, jobHours: work / 3_600, spanHours: span / 3_600 },
    command,
    world,
    assumptions,
    stretches: stretchesOf(jobs).map(({ name }) => name),
  };
}

/** Settings that have been replayed, or are the fleet's own. */
function known(choice: OursChoice | undefined): OursChoice {
  if (choice === undefined) throw new Error('The fleet cannot have its own settings');
  return choice;
}

/** The trials that the fleet can have and that change it, and the others that it cannot. */
function sift(all: readonly Trial[], ours: OursChoice, oursWith: ReportOptions['oursWith']) {
  const possible: { trial: Trial; choice: OursChoice }[] = [];
  const impossible: string[] = [];
  for (const trial of all) {
    const choice = oursWith(trial.set);
    if (choice === undefined) impossible.push(trial.set.join(' and '));
    else if (JSON.stringify(choice) !== JSON.stringify(ours)) possible.push({ trial, choice });
  }
  return { possible, impossible };
}

async function replayed(
  { jobs, world, faults, priced, progress }: ReportOptions,
  of: string,
  choices: readonly PolicyChoice[],
): Promise<Outcome[]> {
  const { to, stop } = progress(jobs.length * choices.length, of);
  return simulate(jobs, choices, world, { faults, priced, progress: to }).finally(stop);
}

function detailed(
  drawn: readonly { name: string; choice: PolicyChoice }[],
  { jobs, world, faults, progress }: ReportOptions,
): Map<string, Detail> {
  const { to, stop } = progress(jobs.length * drawn.length, 'jobs, to be drawn');
  try {
    return new Map(
      drawn.map(({ name, choice }, number) => [
        name,
        detailOf(jobs, choice, world, {
          faults,
          progress: (ended) => to(number * jobs.length + ended),
        }),
      ]),
    );
  } finally {
    stop();
  }
}
