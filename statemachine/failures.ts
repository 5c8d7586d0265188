/** The kinds of failure of an execution: the metric that counts each, and the state that publishes it. */
export const FAILURES = {
  SecretsUnreadable: 'Secrets Unreadable',
  CircleCiRefuses: 'CircleCI Refuses',
  CircleCiUnavailable: 'CircleCI Unavailable',
  GroupUnreadable: 'Group Unreadable',
  DecisionInvalid: 'Decision Invalid',
  GroupUpdateRefused: 'Group Update Refused',
  ExecutionOverTime: 'Execution Over Time',
  StepBroken: 'Step Broken',
} as const;

export type Failure = keyof typeof FAILURES;
