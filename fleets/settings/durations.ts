import { duration } from './parts.ts';

/** How often a fleet is polled, and how long its runners, tasks and boots may take. */

export const DURATION_SETTINGS = {
  pollInterval: duration('an interval', 1, 60)
    .prefault('5s')
    .describe('How often CircleCI is asked for the counts: seconds, or with a unit, from 1s to 1m.'),
  quietPollInterval: duration('an interval', 1, 60)
    .prefault('60s')
    .describe(
      'How often CircleCI is asked at least, however long nothing has happened: from pollInterval to 60 s. The longer that is, the more seldom: every 15 s after an hour. [What each costs](cost.md).',
    ),
  idleTimeout: duration('a time', 10, 86_400)
    .prefault('5m')
    .describe('How long a runner waits for a task before it leaves; longer than three poll intervals.'),
  recycleAfter: duration('a time', 10, 604_800)
    .optional()
    .describe(
      'Where minReplicas, of the fleet or of a schedule, keeps runners: how long one waits for a task before a fresh instance takes its place; in place of idleTimeout, and at least that. Without it 1h, or idleTimeout if that is longer.',
    ),
  scaleDownDelay: duration('a time', 0, 86_400)
    .optional()
    .describe(
      "How long runners without a task stay at least after demand has fallen, as in CircleCI's orchestrator. Here each leaves by itself after idleTimeout, which must be as long; it changes nothing else.",
    ),
  maxRunTime: duration('a time', 60, 432_000)
    .prefault('5h')
    .describe('How long one task may run before the runner ends it.'),
  bootTimeout: duration('a time', 120, 7_200)
    .prefault('10m')
    .describe(
      'How long a launched instance may take until its runner is up. After that the group gives it up and replaces it.',
    ),
  starvingAfter: duration('a time', 300, 21_600)
    .prefault('15m')
    .describe(
      'How long tasks may wait, with none claimed and fewer instances than maxReplicas, until an alarm rings; longer than instances take to come up. Rounded up to whole minutes.',
    ),
};
