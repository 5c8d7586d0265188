/** What a poll publishes. Pure. */

import { bootsAtMaximum, isAtMaximum } from './at-maximum.ts';
import {
  type Decision,
  isHeldByCost,
  isHeldByMaximumSize,
  type Situation,
  tasksOverConcurrency,
} from './capacity.ts';
import { type PollHistory, ranNothing } from './claims.ts';
import type { PollState } from './contracts.ts';
import type { MetricValues } from './metrics.ts';
import { isPaused, minutesPaused } from './paused.ts';

/** What has become of a poll, and of the execution until then. */
export interface Polled {
  /** Whether there is time for another poll in this execution. */
  again: boolean;
  /** For how long the fleet has been idle. */
  idleSeconds: number;
  /** What the polls have seen, this one included. */
  seen: PollHistory;
  /** How many tasks were claimed between the poll before and this one. */
  claimed: number;
  /** Whether this poll got its counts. */
  counted: boolean;
}

/** How long a poll took until `now`, in milliseconds. This function's clock may be behind the one that started it. */
export const pollDuration = ({ dueAt }: PollState['poll'], now: number) => Math.max(now - dueAt, 0);

/** A fleet that has been idle for so long publishes nothing but its heartbeat: a metric costs by the hour it is in use. */
const HEARTBEAT_ALONE_SECONDS = 600;

/**
 * What a poll publishes of its decision.
 *
 * @param now When the observation was complete, in milliseconds since the epoch.
 * @param pausedAt When a person paused the fleet, if that is known.
 */
export function metricsOf(
  decision: Decision,
  situation: Situation,
  { poll, activities }: PollState,
  { again, idleSeconds, seen, claimed, counted }: Polled,
  now: number,
  pausedAt: string | undefined,
): MetricValues {
  const { unclaimed, running } = situation;
  const last = !again;
  const idle = idleSeconds >= HEARTBEAT_ALONE_SECONDS;
  const works = isAtMaximum(situation, decision);
  const atMaximum = works || bootsAtMaximum(situation, decision, activities);
  const tooSmall = isHeldByMaximumSize(situation);
  const byCost = isHeldByCost(situation);
  const overConcurrency = tasksOverConcurrency(situation);
  // Claims after the last poll of a minute are not seen, but an instance that came into service came for a task,
  // unless some stand idle, or none ran anything before it left.
  const cameForTasks = seen.idle || ranNothing(seen, poll.number) ? 0 : activities.cameInService;
  const claimedTasks = poll.number === 1 && last ? cameForTasks : claimed;
  const moving = seen.claimed > 0 || cameForTasks > 0;
  const { members, minReplicas, unprotected } = situation;
  // Runners that are reused go on claiming tasks while nothing launches for the others.
  const launchesNothing = members.pending === 0 && decision.from > members.inService;
  const byHand = isPaused(situation);
  // The larger the fleet, the more runners have just come, or are about to leave. More idle ones than that take no tasks.
  const takesNone = seen.idle && (seen.idlers ?? 0) > activities.cameInService;
  const starves = seen.waiting && (!moving || launchesNothing) && !(works && !takesNone) && !byHand;
  const wantsMore = unclaimed > 0 || minReplicas > Math.max(members.inService - running, 0);
  const ofPoll = {
    PollDuration: pollDuration(poll, now),
    ...(!idle && { UnclaimedTasks: unclaimed, RunningTasks: running }),
    ...(claimedTasks > 0 && { ClaimedTasks: claimedTasks }),
    ...(atMaximum && !tooSmall && !byHand && (byCost ? { AtMaxHourlyCost: 1 } : { AtMaximum: 1 })),
    ...(tooSmall && !byHand && { MaximumSizeTooSmall: 1 }),
    ...(overConcurrency > 0 && !byHand && { TasksOverConcurrency: overConcurrency }),
  };
  const ofExecution = {
    ...(last && starves && { Starving: 1 }),
    // Without it, an alarm over periods of 3 minutes would miss that tasks are claimed in some of them.
    ...(last && !starves && !idle && { Starving: 0 }),
    ...(last && seen.waiting && byHand && { PausedWithTasks: minutesPaused(pausedAt, now) }),
    ...(last && unprotected && { ProtectionOff: 1 }),
    ...(last && activities.breaker.open && wantsMore && !byHand && { BreakerOpen: 1 }),
    ...(last && seen.elsewhere !== undefined && { TasksElsewhere: seen.elsewhere }),
    // Where Update Group is still to come, it says so itself.
    ...(!idle && last && !decision.change && { ExecutionsSucceeded: 1 }),
  };
  return { ...(counted && ofPoll), ...ofExecution };
}
