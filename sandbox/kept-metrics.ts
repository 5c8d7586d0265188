import { Metrics } from '@aws-lambda-powertools/metrics';
import { STACK_NAME } from '../fleets/names.ts';
import { metricNamespace } from '../functions/lib/metric-namespace.ts';

/** A log line in which a function published metrics: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html */
export type MetricLine = ReturnType<Metrics['serializeMetrics']>;

/** Metrics of the functions that hand on each line instead of writing it to standard output. */
export class KeptMetrics extends Metrics {
  readonly #now: () => number;
  readonly #keep: (line: MetricLine) => void;

  /** @param now The function's clock, in milliseconds since the epoch. */
  constructor(now: () => number, keep: (line: MetricLine) => void) {
    super({ namespace: metricNamespace(STACK_NAME) });
    this.clearDefaultDimensions();
    this.#now = now;
    this.#keep = keep;
  }

  override publishStoredMetrics(): this {
    const line = this.serializeMetrics();
    line._aws.Timestamp = this.#now();
    this.clearMetrics();
    this.clearDimensions();
    this.#keep(line);
    return this;
  }
}
