/**
 * The decision: how many instances a fleet's Auto Scaling group should have. Pure: plain values in, plain
 * values out; no clock, no environment, no client.
 */

/** The members of an Auto Scaling group, counted by what their lifecycle state means for capacity. */
export interface Members {
  /** Launching: `Pending`, `Pending:Wait`, `Pending:Proceed`. */
  pending: number;
  /** `InService`: a runner that is idle, busy, or just about to leave; only the instance knows which. */
  inService: number;
  /** On their way out (`Terminating*`, `Terminated`, `Detaching`, `Detached`): no capacity any more. */
  leaving: number;
  /** `Standby`, `EnteringStandby`: taken out of service by a person; they do not count as capacity. */
  standby: number;
}

/** What is asked for, what is there, and between which bounds the answer must lie. All counts are whole and at least 0. */
export interface Situation {
  /** Tasks queued at CircleCI that a runner could claim now. */
  unclaimed: number;
  /** Tasks running now on any runner of the resource class. */
  running: number;
  /** Current desired capacity of the group. */
  desired: number;
  members: Members;
  minReplicas: number;
  maxReplicas: number;
}

export interface Decision {
  /** The desired capacity that the group should have. */
  desired: number;
  /** Whether that differs from the desired capacity that the group has. */
  change: boolean;
  /** Why, in the order in which the rules were applied. */
  reasons: string[];
}

/**
 * `clamp(unclaimed + running, minReplicas, maxReplicas)`, with two restrictions on the way down, because an
 * instance leaves by itself and lowers the desired capacity itself:
 *
 * - desired capacity never falls below the members that are pending or in service: any of them may hold a task;
 * - so the only thing a fall can do is cancel launches that have not happened yet.
 *
 * The way up is never delayed or damped, and never goes above `maxReplicas`.
 */
export function decideCapacity(situation: Situation): Decision {
  const { unclaimed, running, desired, members, minReplicas, maxReplicas } = situation;
  const wanted = unclaimed + running;
  const reasons = [`${unclaimed} unclaimed + ${running} running = ${wanted} wanted`];

  const target = Math.min(Math.max(wanted, minReplicas), maxReplicas);
  if (target > wanted) reasons.push(`raised to minReplicas (${minReplicas})`);
  if (target < wanted) reasons.push(`capped at maxReplicas (${maxReplicas})`);

  if (target > desired) {
    reasons.push(`desired capacity rises from ${desired} to ${target}`);
    return { desired: target, change: true, reasons };
  }
  if (target === desired) {
    reasons.push(`desired capacity is ${desired} already`);
    return { desired, change: false, reasons };
  }

  const present = members.pending + members.inService;
  const lowest = Math.min(Math.max(target, present), desired);
  if (lowest > target)
    reasons.push(`held at ${lowest}: ${present} pending or in service leave by themselves`);
  if (lowest === desired) return { desired, change: false, reasons };
  reasons.push(`desired capacity falls from ${desired} to ${lowest}: launches not begun are cancelled`);
  return { desired: lowest, change: true, reasons };
}
