import type { Outcome } from '../outcome.ts';
import type { Unit } from './model.ts';
import * as shown from './number-format.ts';
import { priceOf } from './price.ts';

/** Settings of ours that have been replayed. */
export interface Candidate {
  /** What is set beyond the fleet's own settings, as `--set` takes it; nothing for those. */
  set: readonly string[];
  outcome: Outcome;
}

/** What a search found on another part of the trace. */
export interface SearchResult {
  /** The goal in words, such as `a p95 wait of 30 s`. */
  goal: string;
  /** All that was tried, and what it came to there. */
  tried: readonly Candidate[];
  /** Of the time, how much was searched: the first part of it. */
  share: number;
  set: readonly string[];
  met: { training: boolean; rest: boolean };
}

export interface Recommendation {
  chosen: Candidate;
  headline: string;
  reasons: string[];
  /** How it was chosen. */
  rule: string;
}

/** So much more than the cheapest, as a share of that, is not too much for a shorter wait. */
const DEARER = 0.1;

/** What so much more than the recommended buys, is told. */
const MORE = 0.25;

const RULE =
  "Of the settings tried that kill no job, and under which neither the mean wait nor the wait of 95 % of the jobs is longer than under CircleCI's tutorial: the shortest mean wait among those that cost at most a tenth more than the cheapest. They are chosen by the same jobs that are shown; with --optimise they are searched on one part of the jobs and shown on the rest.";

/**
 * Recommends one of the candidates: the shortest mean wait at about the price of the cheapest. If two are alike
 * it is the cheaper, and then the first.
 *
 * @param asGiven The fleet's own settings, a candidate as well.
 * @param tutorial What the tutorial's scaler comes to: nothing that is worse is recommended.
 */
export function recommend(
  asGiven: Candidate,
  others: readonly Candidate[],
  tutorial: Outcome,
  unit: Unit,
): Recommendation {
  const tried = [asGiven, ...others];
  const price = ({ outcome }: Candidate) => priceOf(outcome, unit);
  const sound = tried
    .filter(({ outcome }) => isNoWorse(outcome, tutorial))
    .toSorted((a, b) => mean(a) - mean(b) || price(a) - price(b));
  const cheapest = Math.min(...sound.map(price));
  const fit = sound.filter((candidate) => price(candidate) <= cheapest * (1 + DEARER));
  const [chosen] = fit;
  if (chosen === undefined) return nothingSound(asGiven, tried.length, tutorial);
  const words = (value: number) => shown.priceInWords(value, unit);
  const reasons = [
    ...compared(chosen, tutorial, unit),
    `Of the ${tried.length} settings tried, ${sound.length} are no worse than that. The cheapest of them costs ${words(cheapest)}; within a tenth of that ${fit.length === 1 ? 'is this one alone' : `are ${fit.length}, of which this one lets jobs wait least`}.`,
  ];
  const [dearer] = sound.filter((candidate) => price(candidate) <= price(chosen) * (1 + MORE));
  if (dearer !== undefined && mean(dearer) < mean(chosen)) {
    reasons.push(
      `A little more money buys more: with ${named(dearer)} jobs wait ${shown.seconds(mean(dearer))} on average, for ${words(price(dearer))} (${shown.change(price(dearer), price(chosen))}).`,
    );
  }
  return {
    chosen,
    headline: headline(asGiven, chosen, unit),
    reasons: [...reasons, ...asks(chosen)],
    rule: RULE,
  };
}

/** Recommends what a search has found. */
export function recommendFound(
  asGiven: Candidate,
  chosen: Candidate,
  tutorial: Outcome,
  unit: Unit,
  { goal, tried, share, met }: SearchResult,
): Recommendation {
  const kept = met.rest
    ? 'on the rest, which is shown here, it is kept as well'
    : 'on the rest, which is shown here, it is not kept: the two parts differ';
  return {
    chosen,
    headline: headline(asGiven, chosen, unit),
    reasons: [
      met.training
        ? `The goal was ${goal}. It is kept where the settings were searched, and ${kept}.`
        : `The goal was ${goal}. Nothing that was tried keeps it; this comes closest.`,
      ...compared(chosen, tutorial, unit),
      ...asks(chosen),
    ],
    rule: `${tried.length} settings were tried on the first ${shown.percent(share)} of the time. What is shown here are the jobs of the rest, which the search has not seen.`,
  };
}

/** Those that no other beats: none is cheaper with no longer a mean wait, or as cheap with a shorter one. */
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

const mean = ({ outcome }: Candidate) => outcome.waitSeconds.mean;

/** What settings are called in a sentence: `a=1, b=2 and c=3`. */
export function named({ set }: Candidate): string {
  const [last = 'the settings as they are', ...before] = set.toReversed();
  return before.length === 0 ? last : `${before.reverse().join(', ')} and ${last}`;
}

/** In no part of a wait that people feel, and not in jobs killed. */
function isNoWorse({ jobsKilled, waitSeconds }: Outcome, tutorial: Outcome): boolean {
  return (
    jobsKilled === 0 &&
    waitSeconds.mean <= tutorial.waitSeconds.mean &&
    waitSeconds.p95 <= tutorial.waitSeconds.p95
  );
}

function compared({ outcome }: Candidate, tutorial: Outcome, unit: Unit): string[] {
  const { waitSeconds, jobsKilled } = outcome;
  const killed =
    jobsKilled === 0 ? 'no job is killed' : `${shown.whole(jobsKilled)} jobs are killed while they run`;
  return [
    `95 % of the jobs wait at most ${shown.seconds(waitSeconds.p95)}, and ${killed}.`,
    `CircleCI's tutorial lets the same jobs wait ${shown.seconds(tutorial.waitSeconds.mean)} on average, 95 % of them at most ${shown.seconds(tutorial.waitSeconds.p95)}, for ${shown.priceInWords(priceOf(tutorial, unit), unit)}.`,
  ];
}

/** What settings ask for beside money. */
const asks = ({ set }: Candidate) =>
  set.includes('reuse=continuous')
    ? [
        'With reuse a job finds on its machine what those before it left; fleets that need a clean machine for each job leave it out.',
      ]
    : [];

function nothingSound(asGiven: Candidate, tried: number, { waitSeconds }: Outcome): Recommendation {
  return {
    chosen: asGiven,
    headline: "Nothing can be recommended: all that was tried is worse than CircleCI's tutorial.",
    reasons: [
      `Each of the ${tried} settings tried kills jobs, or lets them wait longer than CircleCI's tutorial does: ${shown.seconds(waitSeconds.mean)} on average, ${shown.seconds(waitSeconds.p95)} for 95 % of them.`,
      'What is shown below is the fleet as it is.',
    ],
    rule: RULE,
  };
}

function headline(asGiven: Candidate, chosen: Candidate, unit: Unit): string {
  const wait = shown.seconds(mean(chosen));
  const price = priceOf(chosen.outcome, unit);
  const priceInWords = shown.priceInWords(price, unit);
  if (chosen.set.length === 0) {
    return `Keep the settings as they are: jobs wait ${wait} on average, for ${priceInWords}.`;
  }
  const before = shown.seconds(mean(asGiven));
  const change = shown.change(price, priceOf(asGiven.outcome, unit));
  return `With ${named(chosen)} jobs wait ${wait} on average instead of ${before}, for ${priceInWords} (${change}).`;
}
