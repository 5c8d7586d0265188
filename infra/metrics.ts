import { Duration } from 'aws-cdk-lib';
import { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { METRIC_NAMESPACE, type MetricName } from '../functions/lib/metrics.ts';

/** What an execution can fail of: the metric that counts it, and the state that is named in the graph. */
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

export type FleetMetric = Failure | MetricName;

/** A metric of one fleet, by the minute. */
export function fleetMetric(fleet: string, metricName: FleetMetric, statistic: string): Metric {
  return new Metric({
    namespace: METRIC_NAMESPACE,
    metricName,
    dimensionsMap: { Fleet: fleet },
    statistic,
    period: Duration.minutes(1),
  });
}

/** A metric that EC2 Auto Scaling itself publishes of a group, for nothing. */
export function groupMetric(groupName: string, metricName: string): Metric {
  return new Metric({
    namespace: 'AWS/AutoScaling',
    metricName,
    dimensionsMap: { AutoScalingGroupName: groupName },
    statistic: 'Maximum',
    period: Duration.minutes(1),
  });
}
