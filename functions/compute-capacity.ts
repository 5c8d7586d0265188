import { type Decision, decideCapacity } from './lib/capacity.ts';
import { ComputeCapacityInput, type Plan } from './lib/contracts.ts';
import { CircleCiRateLimited } from './lib/errors.ts';
import { type Pace, pace } from './lib/pacing.ts';
import { step } from './lib/step.ts';

/** Decides what the group's desired capacity should be, and when the next poll is due. */
export const handler = step('Compute Capacity', ComputeCapacityInput, async (input): Promise<Plan> => {
  const { fleet, execution, poll, observed, pollIntervalSeconds, ...bounds } = input;
  const { unclaimed, running, group } = observed;
  const now = Date.now();

  if ('retryAfterSeconds' in unclaimed || 'retryAfterSeconds' in running) {
    const seconds = Math.max(
      'retryAfterSeconds' in unclaimed ? unclaimed.retryAfterSeconds : 0,
      'retryAfterSeconds' in running ? running.retryAfterSeconds : 0,
    );
    const rest = pace(poll, pollIntervalSeconds, now, { write: false, notBefore: now + seconds * 1_000 });
    if (!rest.again)
      throw new CircleCiRateLimited(`CircleCI allows no request for ${seconds} s. Capacity is held.`);
    const reasons = [`held: CircleCI allows no request for ${seconds} s`];
    return plan({ desired: group.desired, change: false, reasons }, rest);
  }

  const decision = decideCapacity({ ...unclaimed, ...running, ...group, ...bounds });
  const rest = pace(poll, pollIntervalSeconds, now, { write: decision.change });
  if (!decision.change || rest.updateTimeoutSeconds > 0) return plan(decision, rest);
  const late = 'not written: too late in this execution, the next one counts afresh';
  return plan({ desired: group.desired, change: false, reasons: [...decision.reasons, late] }, rest);
});

function plan(decision: Decision, rest: Pace): Plan {
  return {
    decision,
    updateTimeoutSeconds: Math.max(rest.updateTimeoutSeconds, 1),
    again: rest.again,
    poll: rest.next,
  };
}
