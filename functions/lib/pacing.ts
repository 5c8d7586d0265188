import type { Situation } from './capacity.ts';
import type { Poll } from './contracts.ts';

/**
 * How the polls of one execution share its time. Pure: times are arguments, in milliseconds since the epoch.
 *
 * The workflow must end by itself before its `TimeoutSeconds`: when the machine times out, no Catch runs and
 * no alarm state is reached. So each poll gets no more time than is left for its worst case: every attempt of
 * its slowest step taking its whole timeout, and the failure being reported. The numbers below are those of
 * `statemachine/autoscale.asl.json`; a test computes the worst case from that file and this plan together.
 */
export const LIMITS = {
  /**
   * How long an execution takes at most from the second from which its fleet polls. If everything is slow and the last
   * step fails, it outlasts its minute by a second; Update Group looks again before it writes, so that two at once do no
   * harm.
   */
  executionSeconds: 61,
  /** The latest of these seconds, see fleets/own-second.ts. With it, `TimeoutSeconds` of the machine is complete. */
  spreadSeconds: 9,
  /** No poll starts later in the execution than this. */
  lastPollSeconds: 50,
  /**
   * The time of each attempt of Compute Capacity: in the first poll of an execution, in which its container may have to
   * start, and later, when it is warm.
   */
  firstComputeSeconds: 3,
  laterComputeSeconds: 1,
  /** The longest that Compute Capacity takes later, its retry included, and after it has read its clock in a first poll. */
  computeSeconds: 3,
  /** The longest that a failure takes to be reported: its metric, a retry of it, and the message in its place. */
  reportSeconds: 4,
  /** Attempts of a counting step, or of Update Group: the first and one retry. */
  attempts: 2,
  /** The longest wait before that retry. */
  retrySeconds: 1,
  /** The most time one attempt is given, however much is left. */
  attemptSeconds: 8,
};

/**
 * For how long a fleet has been idle, in seconds: no task, no instance beyond those it keeps, and nothing has
 * happened to its group. 0 if it is not idle, `Infinity` if nothing ever happened.
 *
 * @param lastActivityAt When the group's last scaling activity began or ended, or when the group was created; `null` if
 * it has had no activity and is no longer young.
 */
export function secondsIdle(
  {
    unclaimed,
    running,
    desired,
    members,
    minReplicas,
  }: Pick<Situation, 'unclaimed' | 'running' | 'desired' | 'members' | 'minReplicas'>,
  lastActivityAt: number | null,
  now: number,
): number {
  const present = members.pending + members.inService + members.leaving;
  if (unclaimed + running > 0 || desired > minReplicas || present > minReplicas) return 0;
  if (lastActivityAt === null) return Number.POSITIVE_INFINITY;
  return Math.max(now - lastActivityAt, 0) / 1_000;
}

/** Idle seconds that add a second to the interval: every 15 s after an hour, every 60 s after four hours. */
const IDLE_PER_SECOND = 240;

/** Whether a group is so young that its idle time, which counts from its creation, decides how often it is polled. */
export function isYoung(createdAt: number, now: number): boolean {
  return now - createdAt < IDLE_PER_SECOND * LONGEST_INTERVAL_SECONDS * 1_000;
}

/** The longest `quietPollInterval`. */
const LONGEST_INTERVAL_SECONDS = 60;

/**
 * The poll interval of a fleet, in seconds. It grows while the fleet is idle.
 * What that saves and what it costs is in docs/cost.md.
 */
export function pollInterval(
  idleSeconds: number,
  {
    pollIntervalSeconds,
    quietPollIntervalSeconds,
  }: Record<'pollIntervalSeconds' | 'quietPollIntervalSeconds', number>,
): number {
  const slower = Math.ceil(idleSeconds / IDLE_PER_SECOND);
  return Math.max(pollIntervalSeconds, Math.min(slower, quietPollIntervalSeconds));
}

/** Left for the transitions between states. */
const SLACK_SECONDS = 0.5;

/** A poll is planned only if each attempt may take this many times as long as the whole poll before it. */
const SLOW_POLL_FACTOR = 1.5;

/** Whole seconds for each attempt, if all attempts must be over within `seconds`. */
function perAttempt(seconds: number): number {
  const { attempts, retrySeconds, attemptSeconds } = LIMITS;
  return Math.min(Math.floor((seconds - retrySeconds * (attempts - 1)) / attempts), attemptSeconds);
}

/**
 * `TimeoutSeconds` for the counting steps of a poll that starts at this time of its execution; below 1 there is no
 * time for it.
 */
export function pollTimeout(elapsedSeconds: number): number {
  if (elapsedSeconds > LIMITS.lastPollSeconds + SLACK_SECONDS) return 0;
  const { executionSeconds, computeSeconds, reportSeconds } = LIMITS;
  return perAttempt(executionSeconds - SLACK_SECONDS - elapsedSeconds - computeSeconds - reportSeconds);
}

/** `TimeoutSeconds` for each attempt of Compute Capacity in a poll. */
export const computeTimeout = ({ number }: Pick<Poll, 'number'>): number =>
  number === 1 ? LIMITS.firstComputeSeconds : LIMITS.laterComputeSeconds;

/** Whether a poll due at `at` still fits into the execution. */
export function pollFits(poll: Pick<Poll, 'executionStartedAt'>, at: number): boolean {
  return pollTimeout((at - poll.executionStartedAt) / 1_000) >= 1;
}

/** A poll without what the polls before it have seen. */
type PollTimes = Omit<Poll, 'seen'>;

export interface Pace {
  /**
   * `TimeoutSeconds` for each attempt of Update Group; 0 if nothing is to be written, or if there is no time
   * to write it any more. `Plan.updateTimeoutSeconds` is at least 1 all the same: a state's timeout must be.
   */
  updateTimeoutSeconds: number;
  /** Whether `next` fits into this execution. */
  again: boolean;
  next: PollTimes;
}

/**
 * Plans the rest of an execution after the counts of `poll` have come in.
 *
 * Polls are due on a grid of `pollIntervalSeconds` from the second in which the execution started. After a
 * slow poll the grid's missed points are skipped, and the next poll is planned only if there is time for one
 * as slow: slow answers mean fewer polls, never an overrun.
 *
 * @param now When the counts have come in.
 * @param options.write Whether Update Group comes before the next poll, or only if there is no next poll.
 * @param options.notBefore When CircleCI will take the next request, if it said so.
 */
export function pace(
  poll: PollTimes,
  pollIntervalSeconds: number,
  now: number,
  options: { write: boolean | 'if last'; notBefore?: number | undefined },
): Pace {
  const startedAt = poll.executionStartedAt;
  const dueAt = Math.max(nextPoint(poll, pollIntervalSeconds, now), wholeSecond(options.notBefore ?? 0));

  // Seconds since the start, each at the latest.
  const dueSeconds = (dueAt - startedAt) / 1_000;
  const decidedSeconds = (now - startedAt) / 1_000 + LIMITS.computeSeconds;
  const timeToWrite = () => updateTimeout(decidedSeconds, dueSeconds);
  const updateTimeoutSeconds = options.write === true ? timeToWrite() : 0;
  const writtenSeconds = decidedSeconds + (updateTimeoutSeconds > 0 ? worst(updateTimeoutSeconds) : 0);

  const timeoutSeconds = pollTimeout(Math.max(dueSeconds, writtenSeconds));
  const tookSeconds = (now - poll.dueAt) / 1_000;
  const roomForOneAsSlow =
    options.notBefore !== undefined ||
    timeoutSeconds >= Math.min(SLOW_POLL_FACTOR * tookSeconds, LIMITS.attemptSeconds);
  const again = timeoutSeconds >= 1 && roomForOneAsSlow;
  return {
    updateTimeoutSeconds: options.write === 'if last' && !again ? timeToWrite() : updateTimeoutSeconds,
    again,
    next: {
      executionStartedAt: startedAt,
      number: poll.number + 1,
      dueAt,
      timeoutSeconds: Math.max(timeoutSeconds, 1),
    },
  };
}

/**
 * The first point of the grid after this poll. It is a whole second, because Wait drops the milliseconds of
 * its timestamp and would end early: https://docs.aws.amazon.com/step-functions/latest/dg/state-wait.html
 */
function nextPoint(poll: PollTimes, pollIntervalSeconds: number, now: number): number {
  const gridStartsAt = Math.floor(poll.executionStartedAt / 1_000) * 1_000;
  const intervalMilliseconds = pollIntervalSeconds * 1_000;
  // This function's clock may be a little behind the one that started the poll.
  const polledAt = Math.max(now, poll.dueAt);
  const point = Math.floor((polledAt - gridStartsAt) / intervalMilliseconds) + 1;
  return gridStartsAt + point * intervalMilliseconds;
}

/** The whole second at that time or after it. */
const wholeSecond = (at: number) => Math.ceil(at / 1_000) * 1_000;

/** Up to 4 s for each attempt to write: what leaves the next poll its time, else the least a write needs. */
function updateTimeout(decidedSeconds: number, dueSeconds: number): number {
  const { executionSeconds, reportSeconds } = LIMITS;
  const most = perAttempt(executionSeconds - SLACK_SECONDS - decidedSeconds - reportSeconds);
  const leavesTime = (seconds: number) =>
    pollTimeout(Math.max(dueSeconds, decidedSeconds + worst(seconds))) >= 2;
  const polite = [4, 3, 2].find(leavesTime) ?? 1;
  return Math.max(Math.min(polite, most), 0);
}

/** How long all attempts take at most. */
function worst(secondsPerAttempt: number): number {
  return LIMITS.attempts * secondsPerAttempt + (LIMITS.attempts - 1) * LIMITS.retrySeconds;
}
