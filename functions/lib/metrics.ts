import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { METRIC_NAMESPACE } from './metric-namespace.ts';

/**
 * The metrics that functions publish, and their units; docs/operations.md says what each means. Desired
 * capacity, instances in service and pending are not among them: EC2 Auto Scaling publishes those for nothing.
 */
export const UNITS = {
  PollDuration: MetricUnit.Milliseconds,
  UnclaimedTasks: MetricUnit.Count,
  RunningTasks: MetricUnit.Count,
  ClaimedTasks: MetricUnit.Count,
  AtMaximum: MetricUnit.Count,
  Starving: MetricUnit.Count,
  Launches: MetricUnit.Count,
  FailedLaunches: MetricUnit.Count,
  PlacementRefusals: MetricUnit.Count,
  SpotFallback: MetricUnit.Count,
  MaximumSizeTooSmall: MetricUnit.Count,
  TasksWithheld: MetricUnit.Count,
  TasksOverConcurrency: MetricUnit.Count,
  TasksElsewhere: MetricUnit.Count,
  BreakerOpen: MetricUnit.Count,
  PausedWithTasks: MetricUnit.Count,
  CountsDoubtful: MetricUnit.Count,
  ProtectionOff: MetricUnit.Count,
  LeftBehind: MetricUnit.Count,
  ExecutionsSucceeded: MetricUnit.Count,
} as const;

export type MetricName = keyof typeof UNITS;
export type MetricValues = Partial<Record<MetricName, number>>;

/** Makes a function's metrics, once for each function. */
export function fleetMetrics(): Metrics {
  const metrics = new Metrics({ namespace: METRIC_NAMESPACE });
  // With Powertools' own dimension, `service`, each function would have metrics of its own.
  metrics.clearDefaultDimensions();
  return metrics;
}

/** Publishes metrics of a fleet in a log line that CloudWatch reads (embedded metric format): no request, no wait. */
export function publishMetrics(metrics: Metrics, fleet: string, values: MetricValues): void {
  const given = Object.entries(values) as [MetricName, number][];
  if (given.length === 0) return;
  metrics.addDimension('Fleet', fleet);
  for (const [name, value] of given) metrics.addMetric(name, UNITS[name], value);
  metrics.publishStoredMetrics();
}
