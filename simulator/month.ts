import { figure } from '../sandbox/summary.ts';

/** Hours of a month, as AWS counts them for monthly prices. */
export const HOURS_PER_MONTH = 730;

/** Working days of a month. A trace of less than a day is repeated on each of them. */
export const WORKING_DAYS = 22;

const HOUR = 3_600;
const DAY = 24 * HOUR;

/** A trace that is longer has jobs on all days of the week. */
const SIX_DAYS = 6 * DAY;

/** How the costs of a trace, or of a part of it, become those of a month. It is the same for all policies. */
export type MonthRule =
  /** The trace is repeated on each working day. `share`: how much of the trace is replayed, above 0 and at most 1. */
  | { repeats: 'day'; share: number }
  /** All hours of the month are like those of the trace. */
  | { repeats: 'hours'; hasWeek: boolean };

/** What the costs of a month are for. */
export interface Month {
  /** Hours of replay: the costs of the replay times these, by its own hours, are those of the month. */
  hours: number;
  /** How many days of the month the trace is repeated on, if it is shorter than a day. */
  days?: number;
  /** In words. */
  is: string;
}

/**
 * The rule for the jobs of a trace. A trace of less than 24 hours, from the first job to the last, is not stretched over
 * nights and weekends that it does not have.
 */
export function monthRuleFor(jobs: readonly { queuedAt: number }[]): MonthRule {
  const span = (jobs.at(-1)?.queuedAt ?? 0) - (jobs[0]?.queuedAt ?? 0);
  return span < DAY ? { repeats: 'day', share: 1 } : { repeats: 'hours', hasWeek: span > SIX_DAYS };
}

/** The prices for a part of a trace. Its month has as many whole days as that of the trace. */
export const pricedForPart = <Priced extends { month?: MonthRule | undefined }>(
  priced: Priced,
  share: number,
): Priced =>
  priced.month?.repeats === 'day'
    ? { ...priced, month: { ...priced.month, share: priced.month.share * share } }
    : priced;

/** The month of a replay. Without a rule, it has hours like those of the replay. */
export function monthOf(rule: MonthRule | undefined, replayedHours: number): Month {
  if (rule?.repeats === 'day') {
    const { share } = rule;
    const part = share === 1 ? '' : ` (${Math.round(share * 100)} % of it is replayed)`;
    return {
      hours: (WORKING_DAYS * replayedHours) / share,
      days: WORKING_DAYS,
      is: `${WORKING_DAYS} days like this one${part}, without the hours between them (nights, weekends)`,
    };
  }
  const short =
    rule?.hasWeek === false ? ', which are less than a week: weekends may count too little or too much' : '';
  return {
    hours: HOURS_PER_MONTH,
    is: `${HOURS_PER_MONTH} hours like the ${figure(replayedHours).toFixed(1)} replayed${short}`,
  };
}
