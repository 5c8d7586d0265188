import type { Outcome } from '../outcome.ts';
import type { Unit } from './model.ts';

/** Outcomes are compared by cost if all of them have a price, otherwise by instance-hours. */
export const unitOf = (outcomes: readonly Outcome[]): Unit =>
  outcomes.every(({ cost }) => cost !== undefined) ? 'US dollars a month' : 'instance-hours';

export const priceOf = ({ cost, instanceHours }: Outcome, unit: Unit): number =>
  unit === 'instance-hours' ? instanceHours : (cost?.total ?? Number.NaN);
