import { MOST_DAYS } from '../days.ts';
import type { Interval, Range } from '../interval.ts';
import type { Outcome } from '../outcome.ts';
import { daysToDraw, FEWEST_DAYS, intervalOf, intervalOfChange } from '../resampling.ts';
import type { ReportData, Unit } from './model.ts';
import * as shown from './number-format.ts';
import { priceOf } from './price.ts';
import { type Candidate, isNoWorse, named, type ReportedSearch } from './recommend.ts';

export type Verdict = ReportData['recommendation']['verdict'];

/**
 * What a reader must know who reads nothing else: whether the goal is met, what to change, what that costs or saves, and
 * how sure that is.
 *
 * @param tutorial The outcome of CircleCI's tutorial, which is the baseline if no goal was given.
 */
export function verdictOf(
  asGiven: Candidate,
  chosen: Candidate,
  tutorial: Outcome,
  unit: Unit,
  search: ReportedSearch | undefined,
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
            text: `${difference(before - after, 'less', 'more', (value) => shown.priceInWords(value, unit))}, ${ofMonth(chosen.outcome)}${perJob(asGiven.outcome, chosen.outcome)}.`,
          },
        ]),
    { what: 'How sure', text: sureness(asGiven.outcome, chosen.outcome, isKept, unit) },
  ];
}

/** What the cost of a month supposes. */
const ofMonth = ({ month }: Outcome) =>
  month?.days === undefined ? 'if all days are like these' : `a month being ${month.is}`;

/** What a job costs, if that is known. */
function perJob({ costReplayed: before }: Outcome, { costReplayed: after }: Outcome): string {
  if (before === undefined || after === undefined) return '';
  const [one, other] = [before, after].map(({ perJob }) => shown.jobPrice(perJob));
  return one === other ? `; a job costs ${other}` : `; a job costs ${other} instead of ${one}`;
}

function sureness(before: Outcome, after: Outcome, isKept: boolean, unit: Unit): string {
  const interval = isKept ? intervalOf(after) : intervalOfChange(before, after);
  if (interval === undefined) {
    const days = daysToDraw(after);
    if (days === 0) return `No interval: jobs of more than ${MOST_DAYS} days are not split into days.`;
    return `No interval: it needs at least ${FEWEST_DAYS} days, and these jobs have ${days === 1 ? 'one' : days}. One unusual day decides the figures.`;
  }
  const { level, days, waitSeconds } = interval;
  const prices = pricesOf(interval, unit);
  const [less, more] =
    unit === 'instance-hours'
      ? ['instance-hours less', 'instance-hours more']
      : ['a month less', 'a month more'];
  const text = isKept
    ? `jobs wait ${range(waitSeconds.mean, shown.short)} s on average, for ${range(prices, (value) => shown.price(value, unit))}${unit === 'instance-hours' ? ' instance-hours' : ' a month'}`
    : `the wait is ${rangeOfChange(waitSeconds.mean, 's less', 's more', shown.short)}, and the cost ${rangeOfChange(prices, less, more, (value) => shown.price(value, unit))}`;
  return `If the ${days} days are drawn again at random, ${text} in ${shown.percent(level)} of the draws.`;
}

const pricesOf = ({ instanceHours, cost }: Interval, unit: Unit): Range =>
  unit === 'instance-hours' || cost === undefined ? instanceHours : cost.total;

const range = ([low, high]: Range, text: (value: number) => string) => `${text(low)} to ${text(high)}`;

/** `40.1 s to 44.5 s less`, or `from 2.0 s less to 3.0 s more`. */
function rangeOfChange(
  [low, high]: Range,
  less: string,
  more: string,
  text: (value: number) => string,
): string {
  const [from = '', to = ''] = [low, high].map((value) => text(Math.abs(value)));
  if (from === text(0) && to === text(0)) return 'the same';
  if (from === to && low * high > 0) return `${from} ${low > 0 ? more : less}`;
  if (low >= 0) return `${from} to ${to} ${more}`;
  if (high <= 0) return `${to} to ${from} ${less}`;
  return `from ${from} ${less} to ${to} ${more}`;
}

function goal(asGiven: Candidate, tutorial: Outcome, search: ReportedSearch | undefined): Verdict[number] {
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
