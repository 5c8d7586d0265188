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
  /** `TimeoutSeconds` of the machine. */
  executionSeconds: 59,
  /** No poll starts later in the execution than this. */
  lastPollSeconds: 50,
  /** The longest that Compute Capacity takes, its retry included. */
  computeSeconds: 3,
  /** `TimeoutSeconds` of an alarm state. */
  alarmSeconds: 2,
  /** Attempts of a counting step, or of Update Group: the first and one retry. */
  attempts: 2,
  /** The longest wait before that retry. */
  retrySeconds: 1,
  /** The most time one attempt is given, however much is left. */
  attemptSeconds: 8,
};

/** Left for the transitions between states. */
const SLACK_SECONDS = 0.5;

/** A poll is planned only if it may take this many times as long per attempt as the whole poll before it took. */
const SLOW_POLL_FACTOR = 1.5;

/** Whole seconds for each attempt, if all attempts must be over within `seconds`. */
function perAttempt(seconds: number): number {
  const { attempts, retrySeconds, attemptSeconds } = LIMITS;
  return Math.min(Math.floor((seconds - retrySeconds * (attempts - 1)) / attempts), attemptSeconds);
}

/** `TimeoutSeconds` for the counting steps of a poll that starts so late in its execution; below 1 there is no time for it. */
export function pollTimeout(elapsedSeconds: number): number {
  if (elapsedSeconds > LIMITS.lastPollSeconds + SLACK_SECONDS) return 0;
  const { executionSeconds, computeSeconds, alarmSeconds } = LIMITS;
  return perAttempt(executionSeconds - SLACK_SECONDS - elapsedSeconds - computeSeconds - alarmSeconds);
}

/** Whether a poll due at `at` still fits into the execution. */
export function pollFits(poll: Poll, at: number): boolean {
  return pollTimeout((at - Date.parse(poll.executionStartedAt)) / 1_000) >= 1;
}

export interface Pace {
  /** `TimeoutSeconds` for each attempt of Update Group; 0 if there is no time to write any more. */
  updateTimeoutSeconds: number;
  /** Whether `next` fits into this execution. */
  again: boolean;
  next: Poll;
}

/**
 * Plans the rest of an execution after the counts of `poll` have come in.
 *
 * Polls are due on a grid of `pollIntervalSeconds` from the start of the execution. After a slow poll the
 * grid's missed points are skipped, and the next poll is planned only if there is time for one as slow:
 * slow answers mean fewer polls, never an overrun.
 *
 * @param now When the counts have come in.
 * @param options.write Whether Update Group comes before the next poll.
 * @param options.notBefore When CircleCI will take the next request, if it said so.
 */
export function pace(
  poll: Poll,
  pollIntervalSeconds: number,
  now: number,
  options: { write: boolean; notBefore?: number },
): Pace {
  const startedAt = Date.parse(poll.executionStartedAt);
  const elapsed = (now - startedAt) / 1_000;
  const asked = options.notBefore === undefined ? 0 : (options.notBefore - startedAt) / 1_000;
  const due = Math.max((Math.floor(elapsed / pollIntervalSeconds) + 1) * pollIntervalSeconds, asked);
  const decided = elapsed + LIMITS.computeSeconds;

  const updateTimeoutSeconds = options.write ? updateTimeout(decided, due) : 0;
  const written = decided + (updateTimeoutSeconds > 0 ? worst(updateTimeoutSeconds) : 0);
  const timeoutSeconds = pollTimeout(Math.max(due, written));
  const lastPollSeconds = (now - Date.parse(poll.dueAt)) / 1_000;
  const roomForOneAsSlow =
    options.notBefore !== undefined || timeoutSeconds >= SLOW_POLL_FACTOR * lastPollSeconds;
  return {
    updateTimeoutSeconds,
    again: timeoutSeconds >= 1 && roomForOneAsSlow,
    next: {
      number: poll.number + 1,
      executionStartedAt: poll.executionStartedAt,
      dueAt: new Date(startedAt + due * 1_000).toISOString(),
      timeoutSeconds: Math.max(timeoutSeconds, 1),
    },
  };
}

/** Up to 4 s for each attempt to write: what leaves the next poll its time, else the least that a write needs. */
function updateTimeout(decided: number, due: number): number {
  const { executionSeconds, alarmSeconds } = LIMITS;
  const most = perAttempt(executionSeconds - SLACK_SECONDS - decided - alarmSeconds);
  const polite = [4, 3, 2].find((seconds) => pollTimeout(Math.max(due, decided + worst(seconds))) >= 2) ?? 1;
  return Math.max(Math.min(polite, most), 0);
}

/** How long all attempts take at the worst. */
function worst(secondsPerAttempt: number): number {
  return LIMITS.attempts * secondsPerAttempt + (LIMITS.attempts - 1) * LIMITS.retrySeconds;
}
