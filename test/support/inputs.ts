import type { Activities, CountInput, Poll } from '../../functions/lib/contracts.ts';

/** When the executions of the tests start, unless a test says otherwise. */
export const EXECUTION_START = Date.parse('2026-01-05T08:00:00Z');

/** The time so many seconds into the execution, as the workflow writes it. */
export const secondsIn = (seconds: number, start = EXECUTION_START) =>
  new Date(start + seconds * 1_000).toISOString();

/** The first poll of an execution. */
export function firstPoll(changes: Partial<Poll> = {}): Poll {
  return { number: 1, executionStartedAt: secondsIn(0), dueAt: secondsIn(0), timeoutSeconds: 8, ...changes };
}

/** What a counting step is asked. */
export function countInput(changes: Partial<CountInput> = {}): CountInput {
  return {
    fleet: 'linux',
    execution: 'linux-1',
    resourceClass: 'acme/linux',
    circleciUrl: 'https://runner.circleci.com',
    scalerSecretName: 'circleci-runner-autoscaler/linux/scaler',
    poll: { number: 1, executionStartedAt: secondsIn(0), timeoutSeconds: 8 },
    ...changes,
  };
}

/** What Describe Activities says of a group that launched its last instance a minute ago, and well. */
export function activities(changes: Partial<Activities> = {}): Activities {
  return {
    lastAt: secondsIn(-60),
    failedLaunches: 0,
    cameInService: 0,
    breaker: { open: false },
    ...changes,
  };
}

/** The breaker as Describe Activities opens it, with its canary due in so many seconds. */
export function openBreaker(canaryInSeconds: number): Extract<Activities['breaker'], { open: true }> {
  return {
    open: true,
    news: false,
    failures: 3,
    kind: 'boot',
    reason: 'Lifecycle Action was abandoned: Heartbeat Timeout',
    canaryAt: secondsIn(canaryInSeconds),
  };
}
