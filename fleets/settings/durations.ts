import { duration } from './parts.ts';

/** How often a fleet is polled, and how long its runners, tasks and boots may take. */

export const DURATION_SETTINGS = {
  pollInterval: duration('an interval', 1, 60)
    .prefault('5s')
    .describe('How often the autoscaler reads the number of tasks from CircleCI.'),
  quietPollInterval: duration('an interval', 1, 60)
    .optional()
    .describe(
      'Longest interval between polls of an idle fleet, from `pollInterval` to 60 s. A fleet is polled less often the longer it is idle: every 15 s after an hour, every 60 s after four. [What each value costs](cost.md). Default: 60s, or 15s with `warmPool`, where a late poll would take back much of what the pool saves.',
    ),
  idleTimeout: duration('a time', 30, 86_400)
    .prefault('5m')
    .describe(
      'How long a runner waits for a task before it leaves. Without reuse, it waits twice as long in a fleet with `headroom`, and up to three times as long with `spareRunners`. Must be longer than three times `pollInterval`. Below 30s, a runner without a task [looks like one that has just come](how-it-decides.md#tasks-that-are-not-handed-out).',
    ),
  recycleAfter: duration('a time', 10, 604_800)
    .optional()
    .describe(
      'How long a runner waits for a task before a fresh instance replaces it, if `minReplicas` of the fleet or of a schedule keeps runners. In such a fleet it replaces `idleTimeout`, and must be at least as long. Default: 1h, or `idleTimeout` if that is longer.',
    ),
  scaleDownDelay: duration('a time', 0, 86_400)
    .optional()
    .describe(
      "Minimum time for which idle runners stay after demand has fallen, as in CircleCI's orchestrator. Here each runner stays for `idleTimeout`, which must be at least as long, so this setting changes nothing.",
    ),
  maxRunTime: duration('a time', 60, 432_000)
    .prefault('5h')
    .describe('How long a task may run before the runner ends it.'),
  bootTimeout: duration('a time', 120, 7_200)
    .prefault('10m')
    .describe(
      'How long an instance may take from its launch until its runner is up. The group replaces an instance that takes longer.',
    ),
  starvingAfter: duration('a time', 300, 21_600)
    .prefault('15m')
    .describe(
      'How long tasks may wait without one being claimed, although the fleet could launch more instances, before an alarm rings. Must be longer than a boot. The alarm needs up to 2 minutes of it to see that tasks wait, and judges the rest in whole periods of 3 minutes.',
    ),
};
