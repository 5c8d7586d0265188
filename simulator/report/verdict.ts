import type { Outcome } from '../outcome.ts';
import type { ReportData, Unit } from './model.ts';
import * as shown from './number-format.ts';
import { priceOf } from './price.ts';
import { type Candidate, isNoWorse, named, type SearchResult } from './recommend.ts';

export type Verdict = ReportData['recommendation']['verdict'];

/**
 * What a reader must know who reads nothing else: whether the goal is met, what to change, and what that costs or saves.
 *
 * @param tutorial The outcome of CircleCI's tutorial, which is the baseline if no goal was given.
 */
export function verdictOf(
  asGiven: Candidate,
  chosen: Candidate,
  tutorial: Outcome,
  unit: Unit,
  search: SearchResult | undefined,
): Verdict {
  const before = priceOf(asGiven.outcome, unit);
  const after = priceOf(chosen.outcome, unit);
  const wait = asGiven.outcome.waitSeconds.mean - chosen.outcome.waitSeconds.mean;
  const isKept = chosen.set.length === 0;
  return [
    goal(asGiven, tutorial, search),
    { what: 'Change', text: isKept ? 'Nothing. Keep the current settings.' : `Set ${named(chosen)}.` },
    ...(isKept
      ? []
      : [
          { what: 'Wait', text: `${difference(wait, 'less', 'more', shown.seconds)} for a job, on average.` },
          {
            what: 'Cost',
            text: `${difference(before - after, 'less', 'more', (value) => shown.priceInWords(value, unit))}, if all days are like these.`,
          },
        ]),
  ];
}

function goal(asGiven: Candidate, tutorial: Outcome, search: SearchResult | undefined): Verdict[number] {
  if (search !== undefined) {
    const { met } = search;
    const text = met.rest
      ? `Met: ${search.goal}, on days that the search has not seen.`
      : met.training
        ? `Missed: ${search.goal}. It is met on the days of the search, and not on the days that this page shows.`
        : `Missed: ${search.goal}. No setting that was tried meets it.`;
    return { what: 'Goal', text, isGood: met.rest };
  }
  const isGood = isNoWorse(asGiven.outcome, tutorial);
  const text = isGood
    ? "Met with the current settings: no job is killed, and jobs wait no longer than with CircleCI's tutorial."
    : asGiven.outcome.jobsKilled > 0
      ? `Missed with the current settings: ${shown.whole(asGiven.outcome.jobsKilled)} running jobs are killed.`
      : "Missed with the current settings: jobs wait longer than with CircleCI's tutorial.";
  return { what: 'Goal', text, isGood };
}

/** `5.2 s less`, `$5 a month more`, or `The same` if the text would say zero. */
function difference(value: number, less: string, more: string, text: (value: number) => string): string {
  const size = text(Math.abs(value));
  if (size === text(0)) return 'The same';
  return `${size} ${value > 0 ? less : more}`;
}
