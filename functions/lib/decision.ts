/**
 * Decides what to write to a group: its capacity, its `Launch` process, its On-Demand percentage and its warm pool. Pure.
 * poll.ts has what a poll is beside that.
 */

import {
  type Decision,
  decideCapacity,
  drainCapacity,
  type Situation,
  withLaunchProcess,
  withWarmPool,
} from './capacity.ts';
import type { Activities, Group, PollSettings } from './contracts.ts';
import { effectiveSettings, largestMaximum } from './schedules.ts';
import { withFallback } from './spot.ts';
import { highWater, sizeWarmPool } from './warm-pool.ts';

/** The settings of the fleet that decide, explained in contracts.ts. */
export type DecisionSettings = Pick<PollSettings, 'capacity' | 'onDemandPercentage' | 'learned'>;

/** What a poll has read, with both counts. */
export interface Observed {
  counts: Pick<Situation, 'unclaimed' | 'running' | 'concurrency' | 'spares' | 'outside'>;
  group: Group;
}

/**
 * Decides with the settings that are in force.
 *
 * @param activities The record of the group's launches.
 * @param now Milliseconds since the epoch.
 * @param withheldLimit How many launches are allowed while runners are idle although tasks wait; without it, any number.
 * @returns The decision, and what it was made of.
 */
export function decide(
  activities: Activities,
  { counts, group }: Observed,
  { capacity, onDemandPercentage, learned }: DecisionSettings,
  now: number,
  withheldLimit?: number,
): { decision: Decision; situation: Situation } {
  const { inForce, reasons } = effectiveSettings(capacity, now);
  const launchLimit = canariesAllowed(activities.breaker, group.members.pending, now);
  // More than one spread would take a replay a third of its time.
  const situation: Situation = {
    unclaimed: counts.unclaimed,
    running: counts.running,
    concurrency: counts.concurrency,
    spares: counts.spares,
    outside: counts.outside,
    desired: group.desired,
    members: group.members,
    maxSize: group.maxSize,
    launchProcess: group.launchProcess,
    unprotected: group.unprotected,
    paused: group.paused,
    launchLimit,
    withheldLimit,
    ...inForce,
  };
  const decided = withFallback(
    decideUnlessPaused(situation, group),
    onDemandPercentage,
    group.paused === 'true' ? undefined : group.purchase,
    activities.spotShortageAt,
    now,
  );
  const peak = highWater(learned?.peaks, now);
  const sized =
    group.paused === 'false'
      ? withPoolSized(decided, activities, group, { peak, maxReplicas: largestMaximum(inForce) })
      : decided;
  return { decision: { ...sized, reasons: [...reasons, ...sized.reasons] }, situation };
}

function decideUnlessPaused(
  situation: Situation,
  { paused, pausedAt }: Pick<Group, 'paused' | 'pausedAt'>,
): Decision {
  const since = pausedAt === undefined ? '' : ` since ${pausedAt}`;
  switch (paused) {
    case 'true':
      return held(situation.desired, `held: the fleet is paused${since}`);
    case 'drain':
      return withLaunchProcess(drainCapacity(situation, since), situation);
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
  return pending === 0 && now >= breaker.canaryAt ? 1 : 0;
}

/** Sizes the warm pool, if that is the workflow's to do; not while the breaker is open, which lets nothing launch. */
function withPoolSized(
  decision: Decision,
  { launchDemand, breaker }: Activities,
  { warmPool }: Group,
  { peak, maxReplicas }: { peak: number; maxReplicas: number },
): Decision {
  if (launchDemand === undefined || warmPool === undefined || breaker.open) return decision;
  const resting = launchDemand.resting && decision.desired <= decision.from;
  const demand = { peak: Math.max(launchDemand.peak, peak), resting };
  const size = sizeWarmPool(demand, warmPool.size, maxReplicas);
  return withWarmPool(decision, warmPool.size, size);
}
