import { brokenLaw, type Decision } from './lib/capacity.ts';
import { see } from './lib/claims.ts';
import { type Activities, ComputeCapacityInput, type Plan } from './lib/contracts.ts';
import { decide, held, withoutCanary } from './lib/decision.ts';
import { CircleCiRateLimited, DecisionInvalid } from './lib/errors.ts';
import { publishMetrics } from './lib/metrics.ts';
import { type Pace, pace, pollInterval, quietSeconds } from './lib/pacing.ts';
import { step } from './lib/step.ts';

/** Decides what the group's desired capacity should be, and when the next poll is due. */
export const handler = step(
  'Compute Capacity',
  ComputeCapacityInput,
  async (input): Promise<Plan> => {
    const { fleet, executionStartedAt, activities } = input;
    const poll = { ...input.poll, executionStartedAt };
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
    const { decision: wanted, situation } = decide(input, { counts, group }, now);
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
    const capped = counts.unclaimed + counts.running > situation.maxReplicas;
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

const pollDuration = (dueAt: string, now: number) => Math.max(now - Date.parse(dueAt), 0);

function plan(decision: Decision, rest: Pace, activities: Activities): Plan {
  const { executionStartedAt, ...poll } = rest.next;
  return {
    decision,
    updateTimeoutSeconds: Math.max(rest.updateTimeoutSeconds, 1),
    again: rest.again,
    next: { poll, activities },
  };
}
