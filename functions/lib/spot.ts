/**
 * The fallback from Spot to On-Demand capacity: a group whose Spot launches fail because EC2 lacks capacity only tries
 * Spot again. Pure: its memory is the group's scaling activities and a tag.
 */

import type { Decision } from './capacity.ts';

/** How a group buys its instances, of those beyond its On-Demand base. */
export interface Purchase {
  /** Percentage that is On-Demand; 100 is On-Demand alone. */
  onDemandPercentage: number;
  /** Whether the workflow is on record as the one who set it, for the fallback. */
  byFallback: boolean;
}

/** For how long after a Spot shortage only On-Demand capacity is asked for, in seconds. */
export const FALLBACK_SECONDS = 900;

/** For how long after a Spot shortage it still concerns somebody, if nothing has launched since, in seconds. */
const CONCERNS_SECONDS = 3_600;

/**
 * Whether the fleet's last attempt to launch Spot capacity failed: during the fallback, and after it until an instance
 * launches that may be of Spot capacity again. So a fleet that rarely launches does not seem well between two fallbacks.
 *
 * @param launches Of the group, as they are on record.
 */
export function isSpotUnavailable(
  spotShortageAt: number | undefined,
  launches: readonly { startedAt: number; outcome: string; noInstance?: boolean }[],
  now: number,
): boolean {
  if (spotShortageAt === undefined || now >= spotShortageAt + CONCERNS_SECONDS * 1_000) return false;
  const fallbackEndsAt = spotShortageAt + FALLBACK_SECONDS * 1_000;
  return !launches.some(
    ({ startedAt, outcome, noInstance }) =>
      startedAt >= fallbackEndsAt && outcome !== 'failed' && !noInstance,
  );
}

/**
 * Adds the group's On-Demand percentage to a decision: 100 for 15 minutes after the last Spot
 * shortage, then what the fleet is configured to. What neither the fallback nor a deployment has set stays so.
 *
 * @param configured The fleet's own percentage; 100 for a fleet without Spot capacity.
 * @param purchase Of the group; without it the group has but one launch template, and no Spot capacity.
 * @param spotShortageAt When a launch last failed because EC2 lacked Spot capacity.
 * @param now Milliseconds since the epoch.
 */
export function withFallback(
  decision: Decision,
  configured: number,
  purchase: Purchase | undefined,
  spotShortageAt: number | undefined,
  now: number,
): Decision {
  if (configured === 100 || purchase === undefined) return decision;
  const until = (spotShortageAt ?? Number.NEGATIVE_INFINITY) + FALLBACK_SECONDS * 1_000;
  const change = (onDemandPercentage: number, reason: string): Decision => ({
    ...decision,
    change: true,
    onDemandPercentage,
    reasons: [...decision.reasons, reason],
  });
  if (now < until) {
    if (purchase.onDemandPercentage === 100) return decision;
    return change(100, `On-Demand alone until ${new Date(until).toISOString()}: EC2 lacks Spot capacity`);
  }
  if (!purchase.byFallback) return decision;
  return change(
    configured,
    `${100 - configured} % Spot again: 15 minutes have passed without a shortage of it`,
  );
}
