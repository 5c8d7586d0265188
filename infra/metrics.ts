import { Duration } from 'aws-cdk-lib';
import { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { METRIC_NAMESPACE } from '../functions/lib/metrics.ts';
import { type FleetMetric, OUTAGE_FAILURES } from '../statemachine/alarms.ts';

/** A metric of one fleet, with a period of one minute. */
export function fleetMetric(fleet: string, metricName: FleetMetric, statistic: string): Metric {
  return new Metric({
    namespace: METRIC_NAMESPACE,
    metricName,
    dimensionsMap: { Fleet: fleet },
    statistic,
    period: Duration.minutes(1),
  });
}

/** The failures of all fleets of a stack that are outages, by the minute. */
export function outageMetric(stack: string): Metric {
  return new Metric({
    namespace: METRIC_NAMESPACE,
    metricName: OUTAGE_FAILURES.metric,
    dimensionsMap: { [OUTAGE_FAILURES.dimension]: stack },
    statistic: 'Sum',
    period: Duration.minutes(1),
  });
}

/** A metric that EC2 Auto Scaling itself publishes for a group, free of charge. */
export function groupMetric(groupName: string, metricName: string): Metric {
  return new Metric({
    namespace: 'AWS/AutoScaling',
    metricName,
    dimensionsMap: { AutoScalingGroupName: groupName },
    statistic: 'Maximum',
    period: Duration.minutes(1),
  });
}
