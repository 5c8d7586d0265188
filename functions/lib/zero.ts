/**
 * Whether a count of zero can be true. CircleCI may answer 0 with status 200 for a resource class that it does not know,
 * and to a token that may not see the class. Nothing in the counts tells that from a day without jobs. Pure: zero-check.ts asks
 * what else CircleCI says, and this file compares it with the group. It never changes a capacity.
 */

import type { Situation } from './capacity.ts';

/** What CircleCI says of a resource class beside the counts. */
export interface ZeroCheck {
  /** How many runners the inventory lists, or `refused` if the token may not read it. Without it, nothing was read. */
  inventory?: number | 'refused' | undefined;
  /** What the fleet of the class has, or `unknown` if there is none. Without it, nothing was read. */
  fleet?: { queued: number; running: number } | 'unknown' | undefined;
  /** Runners that ran a task in the last 15 minutes, although each count of running tasks in that time was 0. */
  unseen: number;
  /** What could not be read, and why. */
  skipped: string[];
}

/** How a decision's reason begins that says which source of a check was skipped. */
export const NOT_CHECKED = 'the counts were not checked against';

/** Tasks may be shorter than the time between two polls. More than 2 of them in 15 minutes are a contradiction. */
const MOST_MISSED = 2;

/** A runner that CircleCI has not heard of for 12 hours leaves the inventory. An hour is kept as a margin. */
const LISTED_FOR = 11 * 3_600_000;

/**
 * What contradicts counts of zero, or `undefined` if nothing does.
 *
 * @param lastReadyAt When a launch last came into service, in milliseconds since the epoch.
 * @param now Milliseconds since the epoch.
 */
export function doubtOf(
  { inventory, fleet, unseen }: ZeroCheck,
  { unclaimed, running, members }: Pick<Situation, 'unclaimed' | 'running' | 'members'>,
  lastReadyAt: number | undefined,
  now: number,
): string | undefined {
  // A count above zero proves that CircleCI knows the class and lets the token see it.
  if (unclaimed > 0 || running > 0) return undefined;
  if (inventory === 'refused') return 'the token may not list the runners of the resource class';
  if (unseen > MOST_MISSED)
    return `${unseen} runners ran tasks in the last 15 minutes that were never counted`;
  if (typeof fleet === 'object' && fleet.queued + fleet.running > 0)
    return `CircleCI's fleet of the class has ${fleet.queued} queued and ${fleet.running} running tasks`;
  if (inventory !== 0) return undefined;
  if (fleet === 'unknown') return 'CircleCI lists neither a fleet nor a runner of the resource class';
  if (members.inService > 0)
    return `CircleCI lists no runner of the resource class, and ${members.inService} instances are in service`;
  if (lastReadyAt !== undefined && now < lastReadyAt + LISTED_FOR)
    return 'CircleCI lists no runner of the resource class, and one came into service in the last 11 hours';
  return undefined;
}

/** Whether nothing contradicts the counts, whatever the group has. Otherwise the next execution checks again. */
export const isBeyondDoubt = ({ inventory, fleet, unseen }: ZeroCheck) =>
  inventory !== 'refused' &&
  inventory !== 0 &&
  unseen <= MOST_MISSED &&
  fleet !== 'unknown' &&
  (fleet === undefined || fleet.queued + fleet.running === 0);
