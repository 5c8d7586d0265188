import { HOURS_PER_MONTH } from './cost.ts';
import type { Outcome } from './outcome.ts';

/**
 * The goal of a search: limits, and what to minimise within them. With `waitingCost`, that is the cost and the price of
 * all waiting. Without it: the cost if only waits are limited, else the 95th percentile of the wait.
 */
export interface Goal {
  /** Seconds. */
  maxWaitMean?: number;
  maxWaitP95?: number;
  /** US dollars a month; instance-hours of the replay if the price is unknown. */
  maxCost?: number;
  /** Instance-hours beyond the hours of work, as a share of those. */
  maxOverhead?: number;
  /** US dollars for an hour that a job waits. */
  waitingCost?: number;
}

/** US dollars a month, or instance-hours if the price is unknown. */
const priceOf = ({ cost, instanceHours }: Outcome) => cost?.total ?? instanceHours;

/** What the waits of a month cost, in US dollars. */
export function costOfWaiting({ waitSeconds, jobs, replayedHours }: Outcome, waitingCost: number): number {
  const hours = (waitSeconds.mean * jobs) / 3_600;
  return (hours * waitingCost * HOURS_PER_MONTH) / replayedHours;
}

/** By how much the limits are exceeded; 0 if none is. */
export function excessOf(goal: Goal, outcome: Outcome): number {
  const { mean, p95 } = outcome.waitSeconds;
  const beyond = (value: number, limit = Number.POSITIVE_INFINITY) => Math.max(value - limit, 0);
  return (
    beyond(mean, goal.maxWaitMean) +
    beyond(p95, goal.maxWaitP95) +
    beyond(priceOf(outcome), goal.maxCost) +
    // In percent, so that it weighs about as much as the others.
    100 * beyond(outcome.overhead ?? 0, goal.maxOverhead)
  );
}

/**
 * The numbers to compare; the first difference decides. First: by how much the limits are exceeded, or the outcome is
 * worse than CircleCI's tutorial. Then: what is to be minimised.
 */
export function scoreBy(goal: Goal, tutorial: Outcome): (outcome: Outcome) => [number, number, number] {
  const onlyWaits = goal.maxCost === undefined && goal.maxOverhead === undefined;
  return (outcome) => {
    const { mean, p95 } = outcome.waitSeconds;
    const worse =
      Math.max(mean - tutorial.waitSeconds.mean, 0) +
      Math.max(p95 - tutorial.waitSeconds.p95, 0) +
      Math.max(outcome.jobsKilled - tutorial.jobsKilled, 0);
    const price = priceOf(outcome);
    const minimised =
      goal.waitingCost !== undefined
        ? price + costOfWaiting(outcome, goal.waitingCost)
        : onlyWaits
          ? price
          : p95;
    return [excessOf(goal, outcome) + worse, minimised, mean];
  };
}
