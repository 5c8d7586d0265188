import { Duration } from 'aws-cdk-lib';
import { type IMetric, MathExpression, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import type { BootPhase } from '../functions/lib/boots.ts';
import { metricNamespace } from '../functions/lib/metric-namespace.ts';
import { type FleetMetric, OUTAGE_FAILURES } from '../statemachine/alarms.ts';

/** A metric of one fleet of an app. */
export function fleetMetric(
  { app, fleet }: { app: string; fleet: string },
  metricName: FleetMetric,
  statistic: string,
  periodMinutes = 1,
): Metric {
  return new Metric({
    namespace: metricNamespace(app),
    metricName,
    dimensionsMap: { Fleet: fleet },
    statistic,
    period: Duration.minutes(periodMinutes),
  });
}

/** The mean of one part of a fleet's boots. */
export const bootMetric = ({ app, fleet }: { app: string; fleet: string }, phase: BootPhase): Metric =>
  new Metric({
    namespace: metricNamespace(app),
    metricName: 'BootSeconds',
    dimensionsMap: { Fleet: fleet, Phase: phase },
    statistic: 'Average',
    // As often as boots are read.
    period: Duration.minutes(10),
    label: phase,
  });

/**
 * The failed executions of a stack that are outages, by the minute. An execution that could not count its failure is one:
 * CloudWatch did not take the metric.
 */
export function outageMetric(stack: string, failed: IMetric): MathExpression {
  const period = Duration.minutes(1);
  const failures = (statistic: string) =>
    new Metric({
      namespace: metricNamespace(stack),
      metricName: OUTAGE_FAILURES.metric,
      dimensionsMap: { [OUTAGE_FAILURES.dimension]: stack },
      statistic,
      period,
    });
  const bad = new MathExpression({
    expression: 'MAX([FILL(outages, 0), FILL(failed, 0) - FILL(counted, 0)])',
    usingMetrics: { failed, counted: failures('SampleCount'), outages: failures('Sum') },
    period,
  });
  // Minutes without one have no data, as with the alarms of a fleet's failures, so that both ring alike.
  return new MathExpression({
    expression: 'IF(bad > 0, bad)',
    usingMetrics: { bad },
    label: OUTAGE_FAILURES.metric,
    period,
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
