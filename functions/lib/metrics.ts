import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { metricNamespace } from './metric-namespace.ts';
import { type MetricName, UNITS } from './metric-units.ts';

export type MetricValues = Partial<Record<MetricName, number>>;

/** Makes a function's metrics, once for each function. */
export function fleetMetrics(app = process.env.STACK_NAME ?? ''): Metrics {
  const metrics = new Metrics({ namespace: metricNamespace(app) });
  // With Powertools' own dimension, `service`, each function would have metrics of its own.
  metrics.clearDefaultDimensions();
  return metrics;
}

/** Publishes metrics of a fleet in a log line that CloudWatch reads (embedded metric format): no request, no wait. */
export function publishMetrics(metrics: Metrics, fleet: string, values: MetricValues): void {
  const given = Object.entries(values) as [MetricName, number][];
  if (given.length === 0) return;
  metrics.addDimension('Fleet', fleet);
  for (const [name, value] of given) metrics.addMetric(name, MetricUnit[UNITS[name]], value);
  metrics.publishStoredMetrics();
}
