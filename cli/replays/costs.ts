import type { FleetConfig } from '../../fleets/load.ts';
import type { Priced } from '../../simulator/cost.ts';
import type { Outcome } from '../../simulator/outcome.ts';
import type { Prices } from '../../simulator/prices.ts';

/** The prices of the costs, as a sentence. */
export function describeCosts(fleet: FleetConfig, { instanceHour }: Priced, { source }: Prices): string {
  const [type = 'its instances'] = fleet.instanceTypes ?? [];
  if (instanceHour === undefined)
    return `No price is known for ${type}, so no costs are shown. --prices FILE adds its price.`;
  return `USD a month: ${type} at ${instanceHour} an hour, volumes, and for ours the scaler; ${source}.`;
}

/** What a month of costs stands for, and what the first policy cost in the replay itself. */
export function describeMonth([first]: Outcome[]): string[] {
  if (first?.costReplayed === undefined) return [];
  const { policy, month, costReplayed } = first;
  const { perJob, perDay, days } = costReplayed;
  return [
    ...(month === undefined ? [] : [`A month is ${month.is}.`]),
    `${policy} cost ${perDay.toFixed(2)} for ${days === 1 ? 'the day' : `each of the ${days} days`} replayed, ${perJob} for each job.`,
  ];
}

/** What a month is in the tables of a search. */
export const monthOfParts = ([first]: Outcome[]): string[] =>
  first?.month === undefined
    ? []
    : [`On the rest, a month is ${first.month.is}. The first part becomes a month in the same way.`];
