/**
 * The metrics that functions publish, and their units; docs/operations.md says what each means. Desired
 * capacity, instances in service and pending are not among them: EC2 Auto Scaling publishes those for nothing.
 */
export const UNITS = {
  PollDuration: 'Milliseconds',
  UnclaimedTasks: 'Count',
  RunningTasks: 'Count',
  ClaimedTasks: 'Count',
  AtMaximum: 'Count',
  AtMaxHourlyCost: 'Count',
  Starving: 'Count',
  Launches: 'Count',
  FailedLaunches: 'Count',
  PlacementRefusals: 'Count',
  SpotFallback: 'Count',
  MaximumSizeTooSmall: 'Count',
  TasksWithheld: 'Count',
  TasksOverConcurrency: 'Count',
  TasksElsewhere: 'Count',
  BreakerOpen: 'Count',
  PausedWithTasks: 'Count',
  CountsDoubtful: 'Count',
  ProtectionOff: 'Count',
  LeftBehind: 'Count',
  AwaitingTokens: 'Count',
  BootSeconds: 'Seconds',
  ExecutionsSucceeded: 'Count',
} as const;

export type MetricName = keyof typeof UNITS;
