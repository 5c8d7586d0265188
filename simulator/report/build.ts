import type { Outcome } from '../outcome.ts';
import { PEERS } from '../peers.ts';
import type { World } from '../world.ts';
import type { Figures, Kind, PolicyRow, ReportData, Samples, Unit } from './model.ts';
import { POLICY_NAMES } from './policy-links.ts';
import { priceOf, unitOf } from './price.ts';
import {
  type Candidate,
  named,
  paretoFront,
  type Recommendation,
  type ReportedSearch,
  recommend,
  recommendFound,
} from './recommend.ts';
import { WAIT_SHARES } from './samples.ts';
import { verdictOf } from './verdict.ts';

/** Everything that was replayed for a report. */
export interface Replays {
  /** The fleet's own settings. */
  asGiven: Candidate;
  /** Whether they reuse runners. */
  isReusing: boolean;
  /** Each setting with a few values. `set` has the changes to the fleet's own settings. */
  settings: (Candidate & { setting: string; to: string })[];
  /** The peers, with CircleCI's tutorial among them. */
  peers: readonly Outcome[];
  lowerBounds: readonly (Outcome & { about: string })[];
  /** The Pareto front of what a search tried. */
  tried: readonly Candidate[];
  /** The result of a search, replayed on the same jobs as everything else. */
  search?: ReportedSearch & { outcome: Outcome };
}

/** Where a report comes from. */
export interface About {
  trace: ReportData['trace'];
  command: string;
  world: World;
  assumptions: string[];
  documents?: string | undefined;
  stretches: ReportData['stretches'];
  demand: ReportData['demand'];
}

/** The baseline of a recommendation. */
export const TUTORIAL = 'circleci-tutorial';

/** Names of rows. */
export const OURS = 'ours';
export const RECOMMENDED = 'ours, recommended';

/** Recommends settings from everything that was replayed. */
export function recommendation(replays: Replays): Recommendation {
  const { asGiven, isReusing, settings, peers, search } = replays;
  const unit = unitOfAll(replays);
  const tutorial = baselineOf(peers);
  if (search === undefined) return recommend(asGiven, settings, tutorial, unit, isReusing);
  return recommendFound(asGiven, search, tutorial, unit, search);
}

function baselineOf(peers: Replays['peers']): Outcome {
  const tutorial = peers.find(({ policy }) => policy === TUTORIAL);
  if (tutorial === undefined) throw new Error(`${TUTORIAL} was not replayed`);
  return tutorial;
}

/**
 * Builds everything that a report shows, as plain values.
 *
 * @param samplesByName The data of a policy's charts, by the name of its row. Rows without it have no charts.
 * @param fleetsYaml Writes settings as lines of fleets.yaml.
 * @param describe What a setting does, as its documentation says it.
 */
export function reportData(
  about: About,
  replays: Replays,
  impossible: string[],
  samplesByName: ReadonlyMap<string, Samples>,
  fleetsYaml: (set: readonly string[]) => string,
  describe: (setting: string) => string | undefined,
): ReportData {
  const { asGiven, settings, tried, peers, lowerBounds } = replays;
  const unit = unitOfAll(replays);
  const { chosen, headline, reasons, rule } = recommendation(replays);
  const isAsGiven = chosen.set.length === 0;
  const row = (name: string, kind: Kind, what: string, outcome: Outcome): PolicyRow => {
    const samples = samplesByName.get(name);
    return {
      name,
      label: POLICY_NAMES[name]?.label ?? name,
      kind,
      about: what,
      ...figuresOf(outcome, unit),
      ...(samples !== undefined && { samples }),
    };
  };
  return {
    trace: about.trace,
    command: about.command,
    world: worldInWords(about.world),
    assumptions: about.assumptions,
    unit,
    ...(asGiven.outcome.month !== undefined && { month: `A month is ${asGiven.outcome.month.is}.` }),
    rows: [
      ...(isAsGiven ? [] : [row(RECOMMENDED, 'recommended', named(chosen), chosen.outcome)]),
      row(OURS, 'ours', "this project with the fleet's current settings", asGiven.outcome),
      ...peers.map((outcome) => row(outcome.policy, 'peer', aboutPeer(outcome.policy), outcome)),
      ...lowerBounds.map((outcome) => row(outcome.policy, 'lower-bound', outcome.about, outcome)),
    ],
    tried: tried.map((candidate) => ({ name: named(candidate), ...figuresOf(candidate.outcome, unit) })),
    front: frontOf(replays, chosen, unit, fleetsYaml),
    glossary: glossaryOf([chosen, ...settings, ...tried], describe),
    ...(about.documents !== undefined && { documents: about.documents }),
    settings: settings.map(({ setting, to, outcome }) => ({ setting, to, ...figuresOf(outcome, unit) })),
    impossible,
    recommendation: {
      row: isAsGiven ? OURS : RECOMMENDED,
      verdict: verdictOf(asGiven, chosen, baselineOf(peers), unit, replays.search),
      headline,
      reasons,
      rule,
      fleetsYaml: isAsGiven ? '' : fleetsYaml(chosen.set),
    },
    stretches: about.stretches,
    demand: about.demand,
    waitShares: WAIT_SHARES,
  };
}

/** The Pareto front of a search, or else of the settings that were tried one at a time. */
function frontOf(
  { asGiven, settings, tried }: Replays,
  chosen: Candidate,
  unit: Unit,
  fleetsYaml: (set: readonly string[]) => string,
): ReportData['front'] {
  const front = paretoFront(tried.length > 0 ? tried : [asGiven, ...settings], unit);
  return front.map((candidate, index) => {
    const { set, outcome } = candidate;
    const before = front[index - 1]?.outcome;
    const wait = outcome.waitSeconds.mean;
    const price = priceOf(outcome, unit);
    return {
      wait,
      price,
      per10Seconds:
        before === undefined
          ? null
          : (10 * (price - priceOf(before, unit))) / (before.waitSeconds.mean - wait),
      name: named(candidate),
      fleetsYaml: set.length === 0 ? '' : fleetsYaml(set),
      isRecommended: set.join() === chosen.set.join(),
      reuses: set.includes('reuse=continuous'),
    };
  });
}

/** The settings that candidates change, each once, in the order in which they come. */
function glossaryOf(
  candidates: readonly { set: readonly string[] }[],
  describe: (setting: string) => string | undefined,
): ReportData['glossary'] {
  const keys = candidates.flatMap(({ set }) => set.map((each) => each.split(/[.=]/)[0] ?? ''));
  return [...new Set(keys)].flatMap((setting) => {
    const text = describe(setting);
    return text === undefined ? [] : [{ setting, text }];
  });
}

function unitOfAll({ asGiven, settings, peers, lowerBounds }: Replays): Unit {
  return unitOf([...[asGiven, ...settings].map(({ outcome }) => outcome), ...peers, ...lowerBounds]);
}

const aboutPeer = (policy: string) => PEERS.find(({ name }) => name === policy)?.about ?? '';

function figuresOf(outcome: Outcome, unit: Unit): Figures {
  const { mean, p50, p90, p95, p99, max } = outcome.waitSeconds;
  const { capacity, seen, launch, boot, claim } = outcome.waitParts;
  return {
    wait: { mean, p50, p90, p95, p99, max },
    parts: { capacity, seen, launch, boot, claim },
    price: priceOf(outcome, unit),
    instanceHours: outcome.instanceHours,
    overhead: outcome.overhead,
    idleShare: outcome.idleShare,
    perJob: outcome.costReplayed?.perJob ?? null,
    launchesPerJob: outcome.launchesPerJob,
    unusedLaunches: outcome.unusedLaunches,
    jobsKilled: outcome.jobsKilled,
    peakInstances: outcome.peakInstances,
  };
}

function worldInWords(world: World): ReportData['world'] {
  return [
    {
      what: 'from the request for an instance until EC2 lists it, which is when billing starts',
      seconds: world.request,
    },
    { what: 'from then until its runner is ready (boot)', seconds: world.boot },
    { what: 'the same for an instance of a warm pool (warm boot)', seconds: world.warmBoot },
    {
      what: "until an idle runner's next request for work; a runner that has just booted asks immediately",
      seconds: world.idleClaim,
    },
    { what: "from the runner's exit until its instance is gone", seconds: world.leave },
    { what: 'the minimum time that EC2 bills', seconds: world.minimumBilling },
  ];
}
