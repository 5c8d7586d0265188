import {
  brokenLaw,
  type Decision,
  decideCapacity,
  drainCapacity,
  type Situation,
  withLaunchProcess,
  withWarmPool,
} from './lib/capacity.ts';
import { see } from './lib/claims.ts';
import { type Activities, ComputeCapacityInput, type Group, type Plan } from './lib/contracts.ts';
import { CircleCiRateLimited, DecisionInvalid } from './lib/errors.ts';
import { publishMetrics } from './lib/metrics.ts';
import { type Pace, pace, pollInterval, quietSeconds } from './lib/pacing.ts';
import { effectiveSettings } from './lib/schedules.ts';
import { withFallback } from './lib/spot.ts';
import { step } from './lib/step.ts';
import { sizeWarmPool } from './lib/warm-pool.ts';

/** Decides what the group's desired capacity should be, and when the next poll is due. */
export const handler = step(
  'Compute Capacity',
  ComputeCapacityInput,
  async (input): Promise<Plan> => {
    const { fleet, poll, activities, capacity } = input;
    const { unclaimed, running, group } = input.observed;
    const now = Date.now();

    if ('retryAfterSeconds' in unclaimed || 'retryAfterSeconds' in running) {
      const seconds = Math.max(
        'retryAfterSeconds' in unclaimed ? unclaimed.retryAfterSeconds : 0,
        'retryAfterSeconds' in running ? running.retryAfterSeconds : 0,
      );
      const notBefore = now + seconds * 1_000;
      const rest = pace(poll, input.pollIntervalSeconds, now, { write: false, notBefore });
      // An execution that has had good polls ends well: the next one asks again.
      if (!rest.again && poll.seen === undefined)
        throw new CircleCiRateLimited(`CircleCI allows no request for ${seconds} s. Capacity is held.`);
      const decision = held(group.desired, `held: CircleCI allows no request for ${seconds} s`);
      return plan(decision, { ...rest, next: { ...rest.next, seen: poll.seen } }, activities);
    }

    const counts = { ...unclaimed, ...running };
    const launchLimit = canariesAllowed(activities.breaker, group.members.pending, now);
    const { levers, reasons } = effectiveSettings(capacity, now);
    const situation = { ...counts, ...group, ...levers, launchLimit };
    const decided = withFallback(
      decide(situation, group.paused),
      input.onDemandPercentage,
      group.paused === 'true' ? undefined : group.purchase,
      activities.spotShortageAt,
      now,
    );
    const sized = group.paused === 'false' ? withPoolSized(decided, input, levers.maxReplicas) : decided;
    const wanted = { ...sized, reasons: [...reasons, ...sized.reasons] };
    const fault = brokenLaw(wanted, situation);
    if (fault !== undefined)
      throw new DecisionInvalid(`What was decided must not be: ${fault}. Capacity is held.`);

    const silence = quietSeconds(situation, activities.lastAt, now);
    const quiet = silence >= QUIET_SECONDS;
    const rest = pace(poll, pollInterval(silence, input), now, { write: wanted.change });
    const late = wanted.change && rest.updateTimeoutSeconds === 0;
    const decision = late
      ? held(
          group.desired,
          ...wanted.reasons,
          'not written: too late in this execution, the next one counts afresh',
        )
      : wanted;

    const { claimedNow, ...seen } = see(poll.seen, { ...counts, inService: group.members.inService });
    const capped = counts.unclaimed + counts.running > levers.maxReplicas;
    // Claims after the last poll of a minute are not seen, but an instance that came into service came for a task.
    const claimed = poll.number === 1 && !rest.again ? activities.cameInService : claimedNow;
    const moving = seen.claimed > 0 || (activities.cameInService > 0 && !seen.idle);
    publishMetrics(fleet, {
      PollDuration: pollDuration(poll.dueAt, now),
      // A metric costs by the hour it is in use, so a quiet fleet publishes its heartbeat alone.
      ...(!quiet && {
        UnclaimedTasks: counts.unclaimed,
        RunningTasks: counts.running,
      }),
      ...(claimed > 0 && { ClaimedTasks: claimed }),
      ...(capped && { AtMaximum: 1 }),
      ...(!rest.again && seen.waiting && !moving && !capped && { Starving: 1 }),
      ...(!quiet && !rest.again && !decision.change && { ExecutionsSucceeded: 1 }),
    });
    const left = group.members.pending > 0 ? withoutCanary(activities, now) : activities;
    return plan(decision, { ...rest, next: { ...rest.next, seen } }, left);
  },
  // The record of a decision, in one line.
  ({ decision }, { observed, poll }) => ({
    ...observed.unclaimed,
    ...observed.running,
    ...observed.group,
    decision,
    pollDurationMs: pollDuration(poll.dueAt, Date.now()),
  }),
);

/** After so long without anything, a fleet publishes nothing but its heartbeat. */
const QUIET_SECONDS = 600;

/** Longer than an execution, in milliseconds. */
const CANARY_REST = 120_000;

const pollDuration = (dueAt: string, now: number) => Math.max(now - Date.parse(dueAt), 0);

function decide(situation: Situation, paused: Group['paused']): Decision {
  switch (paused) {
    case 'true':
      return held(situation.desired, 'held: the fleet is paused');
    case 'drain':
      return withLaunchProcess(drainCapacity(situation), { ...situation, launchLimit: 0 });
    default:
      return withLaunchProcess(decideCapacity(situation), situation);
  }
}

/** How many launches an open breaker allows: one when its canary is due and nothing is launching, else none. */
function canariesAllowed(breaker: Activities['breaker'], pending: number, now: number): number | undefined {
  if (!breaker.open) return undefined;
  return pending === 0 && now >= Date.parse(breaker.canaryAt) ? 1 : 0;
}

/**
 * What is left of the activities once something launches: they are read but once in an execution, so if it
 * fails before the next one, no canary may follow it.
 */
function withoutCanary(activities: Activities, now: number): Activities {
  const { breaker } = activities;
  if (!breaker.open || now < Date.parse(breaker.canaryAt)) return activities;
  return { ...activities, breaker: { ...breaker, canaryAt: new Date(now + CANARY_REST).toISOString() } };
}

/** Sizes the warm pool, if that is the workflow's to do; not while the breaker is open, which lets nothing launch. */
function withPoolSized(
  decision: Decision,
  { activities, observed }: ComputeCapacityInput,
  maxReplicas: number,
): Decision {
  const { launchDemand, breaker } = activities;
  const { warmPool } = observed.group;
  if (launchDemand === undefined || warmPool === undefined || breaker.open) return decision;
  const resting = launchDemand.resting && decision.desired <= decision.from;
  const size = sizeWarmPool({ ...launchDemand, resting }, warmPool.size, maxReplicas);
  return withWarmPool(decision, warmPool.size, size);
}

const held = (desired: number, ...reasons: string[]): Decision => ({
  from: desired,
  desired,
  change: false,
  reasons,
});

function plan(decision: Decision, rest: Pace, activities: Activities): Plan {
  return {
    decision,
    updateTimeoutSeconds: Math.max(rest.updateTimeoutSeconds, 1),
    again: rest.again,
    poll: rest.next,
    activities,
  };
}
