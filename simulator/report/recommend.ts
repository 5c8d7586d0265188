import type { Outcome } from '../outcome.ts';
import type { Unit } from './model.ts';
import * as shown from './number-format.ts';
import { priceOf } from './price.ts';

/** Settings of ours, with the outcome of their replay. */
export interface Candidate {
  /** Changes to the fleet's own settings, as `--set` takes them. Empty for the fleet's own settings. */
  set: readonly string[];
  outcome: Outcome;
}

/** The result of a search on the first part of the trace. */
export interface ReportedSearch {
  /** The goal in words, such as `a p95 wait of 30 s`. */
  goal: string;
  /** All settings tried, with their outcomes on the first part. */
  tried: readonly Candidate[];
  /** The first part of the trace, as a share of its time. */
  share: number;
  set: readonly string[];
  met: { training: boolean; rest: boolean };
  /** Settings with reuse, if `set` gives each job a clean machine and reuse was allowed. */
  alternative?: Pick<Candidate, 'set'> & { givesUp: string; outcome?: Outcome };
  /** Whether reuse was allowed, and nothing that gives each job a clean machine meets the goal. */
  noneIsClean?: true;
  /** Whether reuse was allowed, and no settings with it are better. */
  reuseIsNoBetter?: true;
}

export interface Recommendation {
  chosen: Candidate;
  headline: string;
  reasons: string[];
  /** The rule that chose it. */
  rule: string;
}

/** A shorter wait may cost this much more than the cheapest settings, as a share of their cost. */
const DEARER = 0.1;

/**
 * The reasons mention a shorter wait that costs up to this much more than the recommendation, as a share of its cost.
 */
const MORE = 0.25;

const RULE =
  "A setting qualifies if it kills no job, if jobs wait no longer than with CircleCI's tutorial, on average and at the 95th percentile, and if each job has a clean machine as with the current settings. Of the qualifying settings that cost at most 10 % more than the cheapest, this one has the shortest mean wait. The rule uses the same jobs that the page shows. With --optimise, the search uses the first part of the jobs, and the page shows the rest.";

/**
 * Recommends the candidate with the shortest mean wait among those that cost about as much as the cheapest. Of two with
 * the same wait it takes the cheaper one; of two with the same cost as well, the first. Reuse gives up clean machines, so
 * it is only named as an alternative, unless the fleet reuses its runners already.
 *
 * @param asGiven The fleet's own settings, which are a candidate too.
 * @param tutorial The outcome of CircleCI's tutorial. Nothing worse is recommended.
 * @param isReusing Whether the fleet's own settings reuse runners.
 */
export function recommend(
  asGiven: Candidate,
  others: readonly Candidate[],
  tutorial: Outcome,
  unit: Unit,
  isReusing = false,
): Recommendation {
  const all = [asGiven, ...others];
  const tried = isReusing ? all : all.filter((candidate) => !reuses(candidate));
  const price = ({ outcome }: Candidate) => priceOf(outcome, unit);
  const soundOf = (candidates: readonly Candidate[]) =>
    candidates
      .filter(({ outcome }) => isNoWorse(outcome, tutorial))
      .toSorted((a, b) => mean(a) - mean(b) || price(a) - price(b));
  const sound = soundOf(tried);
  const cheapest = Math.min(...sound.map(price));
  const isCheap = (candidate: Candidate) => price(candidate) <= cheapest * (1 + DEARER);
  const fit = sound.filter(isCheap);
  const [chosen] = fit;
  if (chosen === undefined) return nothingSound(asGiven, tried.length, tutorial);
  const [reusing] = soundOf(all.filter((candidate) => !tried.includes(candidate))).filter(isCheap);
  const words = (value: number) => shown.priceInWords(value, unit);
  const reasons = [
    ...compared(chosen, tutorial, unit),
    `Of the ${tried.length} settings tried${tried.length < all.length ? ' that give each job a clean machine' : ''}, ${sound.length} are no worse than that. The cheapest costs ${words(cheapest)}. ${fit.length === 1 ? 'Only this one costs at most 10 % more.' : `${fit.length} cost at most 10 % more; this one has the shortest wait.`}`,
  ];
  const [dearer] = sound.filter((candidate) => price(candidate) <= price(chosen) * (1 + MORE));
  if (dearer !== undefined && mean(dearer) < mean(chosen)) {
    reasons.push(
      `A higher cost shortens the wait: with ${named(dearer)}, jobs wait ${shown.seconds(mean(dearer))} on average, for ${words(price(dearer))} (${shown.change(price(dearer), price(chosen))}).`,
    );
  }
  if (reusing !== undefined && mean(reusing) < mean(chosen)) {
    reasons.push(
      `If jobs may share a machine: with ${named(reusing)}, jobs wait ${shown.seconds(mean(reusing))} on average, for ${words(price(reusing))} (${shown.change(price(reusing), price(chosen))}). A job then finds what earlier jobs left.`,
    );
  }
  return {
    chosen,
    headline: headline(asGiven, chosen, unit),
    reasons: [...reasons, ...asks(chosen)],
    rule: RULE,
  };
}

/** Recommends the settings that a search has found. */
export function recommendFound(
  asGiven: Candidate,
  chosen: Candidate,
  tutorial: Outcome,
  unit: Unit,
  { goal, tried, share, met, alternative, noneIsClean, reuseIsNoBetter }: ReportedSearch,
): Recommendation {
  const kept = met.rest
    ? 'and on the rest, which this page shows'
    : 'but not on the rest, which this page shows: the two parts differ';
  return {
    chosen,
    headline: headline(asGiven, chosen, unit),
    reasons: [
      met.training
        ? `The goal was ${goal}. The settings meet it on the first part of the trace, ${kept}.`
        : `The goal was ${goal}. None of the settings tried meets it; these come closest.`,
      ...(noneIsClean
        ? ['None of the settings tried that give each job a clean machine meets it, so these reuse runners.']
        : []),
      ...compared(chosen, tutorial, unit),
      ...(reuseIsNoBetter ? ['Reuse was tried as well, and no settings with it are better.'] : []),
      ...(alternative?.outcome === undefined
        ? []
        : [sharing({ ...alternative, outcome: alternative.outcome }, chosen, unit, alternative.givesUp)]),
      ...asks(chosen),
    ],
    rule: `The search tried ${tried.length} settings on the first ${shown.percent(share)} of the time. This page shows the jobs of the rest, which the search has not seen.`,
  };
}

/** Reuse as an alternative, with what it gives up beside its figures. */
function sharing(reusing: Candidate, chosen: Candidate, unit: Unit, givesUp: string): string {
  const [price, than] = [reusing, chosen].map(({ outcome }) => priceOf(outcome, unit)) as [number, number];
  return `If jobs may share a machine: with ${named(reusing)}, jobs wait ${shown.seconds(mean(reusing))} on average, for ${shown.priceInWords(price, unit)} (${shown.change(price, than)}). That gives up ${givesUp}.`;
}

/**
 * The Pareto front of mean wait and cost: no candidate is better in one of them and at least as good in the other.
 * Cheapest first.
 */
export function paretoFront<Some extends Candidate>(candidates: readonly Some[], unit: Unit): Some[] {
  const inOrder = candidates.toSorted(
    (a, b) => priceOf(a.outcome, unit) - priceOf(b.outcome, unit) || mean(a) - mean(b),
  );
  let least = Number.POSITIVE_INFINITY;
  return inOrder.filter((candidate) => {
    if (mean(candidate) >= least) return false;
    least = mean(candidate);
    return true;
  });
}

const reuses = ({ set }: Pick<Candidate, 'set'>) => set.includes('reuse=continuous');

const mean = ({ outcome }: Candidate) => outcome.waitSeconds.mean;

/** Names settings in a sentence: `a=1, b=2 and c=3`. */
export function named({ set }: Candidate): string {
  const [last = 'the current settings', ...before] = set.toReversed();
  return before.length === 0 ? last : `${before.reverse().join(', ')} and ${last}`;
}

/** Whether no job is killed, and waits are no longer on average and at the 95th percentile. */
export function isNoWorse({ jobsKilled, waitSeconds }: Outcome, tutorial: Outcome): boolean {
  return (
    jobsKilled === 0 &&
    waitSeconds.mean <= tutorial.waitSeconds.mean &&
    waitSeconds.p95 <= tutorial.waitSeconds.p95
  );
}

function compared({ outcome }: Candidate, tutorial: Outcome, unit: Unit): string[] {
  const { waitSeconds, jobsKilled } = outcome;
  const killed = jobsKilled === 0 ? 'no job is killed' : `${shown.whole(jobsKilled)} running jobs are killed`;
  return [
    `95 % of the jobs wait at most ${shown.seconds(waitSeconds.p95)}, and ${killed}.`,
    `With CircleCI's tutorial, the same jobs wait ${shown.seconds(tutorial.waitSeconds.mean)} on average, 95 % of them at most ${shown.seconds(tutorial.waitSeconds.p95)}, for ${shown.priceInWords(priceOf(tutorial, unit), unit)}.`,
  ];
}

/** What settings cost besides money. */
const asks = ({ set, outcome: { cost } }: Candidate) => [
  ...(set.some((each) => each.startsWith('image.build='))
    ? [
        `EC2 Image Builder builds the image. Its builds and snapshots ${cost?.image === undefined ? 'cost extra' : `are ${shown.smallPrice(cost.image)} of the cost`}. Until the first build has succeeded, boots take as long as before.`,
      ]
    : []),
  ...(reuses({ set })
    ? [
        'With reuse, a job finds what earlier jobs left on its machine. Leave reuse out if each job needs a clean machine.',
      ]
    : []),
];

function nothingSound(asGiven: Candidate, tried: number, { waitSeconds }: Outcome): Recommendation {
  return {
    chosen: asGiven,
    headline: "Nothing can be recommended: all settings tried are worse than CircleCI's tutorial.",
    reasons: [
      `Each of the ${tried} settings tried kills jobs, or jobs wait longer than with CircleCI's tutorial: ${shown.seconds(waitSeconds.mean)} on average, ${shown.seconds(waitSeconds.p95)} for 95 % of them.`,
      'The page shows the fleet with its current settings.',
    ],
    rule: RULE,
  };
}

function headline(asGiven: Candidate, chosen: Candidate, unit: Unit): string {
  const wait = shown.seconds(mean(chosen));
  const price = priceOf(chosen.outcome, unit);
  const priceInWords = shown.priceInWords(price, unit);
  if (chosen.set.length === 0) {
    return `Keep the current settings: jobs wait ${wait} on average, for ${priceInWords}.`;
  }
  const before = shown.seconds(mean(asGiven));
  const change = shown.change(price, priceOf(asGiven.outcome, unit));
  return `With ${named(chosen)}, jobs wait ${wait} on average instead of ${before}, for ${priceInWords} (${change}).`;
}
