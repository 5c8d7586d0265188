/**
 * The whole decision of a poll: the capacity, and what becomes of the group's `Launch` process, of its On-Demand
 * percentage and of its warm pool. Pure, so that a replay decides by it as the workflow does.
 */

import {
  type Decision,
  decideCapacity,
  drainCapacity,
  type Situation,
  withLaunchProcess,
  withWarmPool,
} from './capacity.ts';
import type { Activities, CapacitySettings, Group } from './contracts.ts';
import { effectiveSettings } from './schedules.ts';
import { withFallback } from './spot.ts';
import { sizeWarmPool } from './warm-pool.ts';

/** What is decided by, and stays the same from poll to poll. */
export interface DecisionSettings {
  capacity: CapacitySettings;
  /** Of the instances beyond the base, as the fleet is configured; 100 without Spot capacity. */
  onDemandPercentage: number;
  activities: Activities;
}

/** What a poll has seen. */
export interface Observed {
  counts: Pick<Situation, 'unclaimed' | 'running'>;
  group: Group;
}

/**
 * Decides with the settings that are in force.
 *
 * @param now Milliseconds since the epoch.
 * @returns The decision, and what it was made of.
 */
export function decide(
  { capacity, onDemandPercentage, activities }: DecisionSettings,
  { counts, group }: Observed,
  now: number,
): { decision: Decision; situation: Situation } {
  const { levers, reasons } = effectiveSettings(capacity, now);
  const launchLimit = canariesAllowed(activities.breaker, group.members.pending, now);
  const situation = { ...counts, ...group, ...levers, launchLimit };
  const decided = withFallback(
    decideUnlessPaused(situation, group.paused),
    onDemandPercentage,
    group.paused === 'true' ? undefined : group.purchase,
    activities.spotShortageAt,
    now,
  );
  const sized =
    group.paused === 'false' ? withPoolSized(decided, activities, group, levers.maxReplicas) : decided;
  return { decision: { ...sized, reasons: [...reasons, ...sized.reasons] }, situation };
}

function decideUnlessPaused(situation: Situation, paused: Group['paused']): Decision {
  switch (paused) {
    case 'true':
      return held(situation.desired, 'held: the fleet is paused');
    case 'drain':
      return withLaunchProcess(drainCapacity(situation), { ...situation, launchLimit: 0 });
    default:
      return withLaunchProcess(decideCapacity(situation), situation);
  }
}

/** The decision to change nothing. */
export const held = (desired: number, ...reasons: string[]): Decision => ({
  from: desired,
  desired,
  change: false,
  reasons,
});

/** How many launches an open breaker allows: one when its canary is due and nothing is launching, else none. */
function canariesAllowed(breaker: Activities['breaker'], pending: number, now: number): number | undefined {
  if (!breaker.open) return undefined;
  return pending === 0 && now >= Date.parse(breaker.canaryAt) ? 1 : 0;
}

/** Longer than an execution, in milliseconds. */
const CANARY_REST = 120_000;

/**
 * What is left of the activities once something launches: they are read but once in an execution, so if it
 * fails before the next one, no canary may follow it.
 *
 * @param now Milliseconds since the epoch.
 */
export function withoutCanary(activities: Activities, now: number): Activities {
  const { breaker } = activities;
  if (!breaker.open || now < Date.parse(breaker.canaryAt)) return activities;
  return { ...activities, breaker: { ...breaker, canaryAt: new Date(now + CANARY_REST).toISOString() } };
}

/** Sizes the warm pool, if that is the workflow's to do; not while the breaker is open, which lets nothing launch. */
function withPoolSized(
  decision: Decision,
  { launchDemand, breaker }: Activities,
  { warmPool }: Group,
  maxReplicas: number,
): Decision {
  if (launchDemand === undefined || warmPool === undefined || breaker.open) return decision;
  const resting = launchDemand.resting && decision.desired <= decision.from;
  const size = sizeWarmPool({ ...launchDemand, resting }, warmPool.size, maxReplicas);
  return withWarmPool(decision, warmPool.size, size);
}
