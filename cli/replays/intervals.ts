import { MOST_DAYS } from '../../simulator/days.ts';
import type { Interval, Range } from '../../simulator/interval.ts';
import type { Outcome } from '../../simulator/outcome.ts';
import { daysToDraw, FEWEST_DAYS, intervalOf, intervalOfChange } from '../../simulator/resampling.ts';

/** An outcome as `--json` prints it: how sure its figures are is `null` if there are too few days. */
export const withInterval = <Row extends object>(
  row: Row & Partial<Pick<Outcome, 'days' | 'replayedHours' | 'month'>>,
): Row & { interval?: Interval | null } => {
  const { days, replayedHours, month } = row;
  if (days === undefined || replayedHours === undefined) return row;
  return { ...row, interval: intervalOf({ days, replayedHours, month }) ?? null };
};

/** How sure the figures of an outcome are, as a sentence. */
export function describeInterval(outcome: Outcome): string {
  const interval = intervalOf(outcome);
  if (interval === undefined) return tooFew(outcome);
  const { level, days, waitSeconds, cost } = interval;
  const paid = cost === undefined ? '' : `, and cost ${range(cost.total, 0)} USD a month`;
  return `${percent(level)} interval of ${outcome.policy}, by drawing the ${days} days again at random: jobs wait ${range(waitSeconds.mean, 1)} s on average${paid}.`;
}

/** How sure the change from one outcome to another is, as a sentence. */
export function describeIntervalOfChange(from: Outcome, to: Outcome): string {
  const interval = intervalOfChange(from, to);
  if (interval === undefined) return tooFew(to);
  return `${percent(interval.level)} interval of the change, by drawing the ${interval.days} days again at random: ${changes(interval)}.`;
}

/** Ranges of a change: `the mean wait changes by -12.0 to -8.5 s, the cost by 3 to 9 USD a month`. */
export function changes({ waitSeconds, cost }: Pick<Interval, 'waitSeconds' | 'cost'>): string {
  const paid = cost === undefined ? '' : `, the cost by ${range(cost.total, 0)} USD a month`;
  return `the mean wait changes by ${range(waitSeconds.mean, 1)} s${paid}`;
}

const tooFew = (outcome: Outcome) => {
  const days = daysToDraw(outcome);
  if (days === 0)
    return `No interval says how sure these figures are: a trace of more than ${MOST_DAYS} days is not split into days.`;
  return `No interval says how sure these figures are: that takes ${FEWEST_DAYS} days, and the trace has ${days === 1 ? 'one' : days}.`;
};

const percent = (share: number) => `${Math.round(share * 100)} %`;

const range = ([low, high]: Range, digits: number) => `${low.toFixed(digits)} to ${high.toFixed(digits)}`;
