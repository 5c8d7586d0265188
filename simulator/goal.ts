import { figure } from '../sandbox/summary.ts';
import { monthOf } from './month.ts';
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
export const priceOf = ({ cost, instanceHours }: Outcome) => cost?.total ?? instanceHours;

/** What the waits of a month cost, in US dollars. */
export function costOfWaiting(
  { waitSeconds, jobs, replayedHours, month = monthOf(undefined, replayedHours) }: Outcome,
  waitingCost: number,
): number {
  const hours = (waitSeconds.mean * jobs) / 3_600;
  return (hours * waitingCost * month.hours) / replayedHours;
}

/** What is minimised with `waitingCost`, in US dollars a month. */
export interface Sum {
  cost: number;
  waiting: number;
  sum: number;
}

export function sumOf(outcome: Outcome, waitingCost: number): Sum {
  const cost = priceOf(outcome);
  const waiting = costOfWaiting(outcome, waitingCost);
  return { cost: figure(cost), waiting: figure(waiting), sum: figure(cost + waiting) };
}

/** Seconds as tables and the report show them: one decimal below 100, none above. */
export const shownSeconds = (seconds: number) => seconds.toFixed(seconds < 100 ? 1 : 0);

/**
 * By how much the limits are exceeded; 0 if none is. The figures are compared as they are shown: a wait that is shown as
 * 30 s does not exceed 30 s.
 */
export function excessOf(goal: Goal, outcome: Outcome): number {
  const { mean, p95 } = outcome.waitSeconds;
  const beyond = (value: number, shown: number, limit = Number.POSITIVE_INFINITY) =>
    Math.max(Math.min(value, shown) - limit, 0);
  const price = priceOf(outcome);
  const percent = 100 * (outcome.overhead ?? 0);
  const { maxOverhead } = goal;
  return (
    beyond(mean, Number(shownSeconds(mean)), goal.maxWaitMean) +
    beyond(p95, Number(shownSeconds(p95)), goal.maxWaitP95) +
    beyond(price, outcome.cost === undefined ? price : Math.round(price), goal.maxCost) +
    // In percent, so that it weighs about as much as the others.
    beyond(percent, Math.round(percent), maxOverhead === undefined ? undefined : 100 * maxOverhead)
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
      goal.waitingCost !== undefined ? sumOf(outcome, goal.waitingCost).sum : onlyWaits ? price : p95;
    return [excessOf(goal, outcome) + worse, minimised, mean];
  };
}
