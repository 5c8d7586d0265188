import { beforeEach } from 'vitest';
import * as z from 'zod';
import { KeptMetrics, type MetricLine } from '../../sandbox/kept-metrics.ts';

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html */
export const Line = z.looseObject({
  _aws: z.strictObject({
    Timestamp: z.number(),
    CloudWatchMetrics: z.array(
      z.strictObject({
        Namespace: z.string(),
        Dimensions: z.array(z.array(z.string())),
        Metrics: z.array(z.strictObject({ Name: z.string(), Unit: z.string() })),
      }),
    ),
  }),
});
type Line = z.infer<typeof Line>;

/** What a function published, read as CloudWatch reads its log. */
export interface Published {
  /** For the function. */
  metrics: KeptMetrics;
  lines: () => Line[];
  /** Values by metric name, of all lines. */
  values: () => Record<string, number[]>;
}

/**
 * Keeps the metrics that a function publishes while a test runs.
 *
 * @param now The function's clock, in milliseconds since the epoch.
 */
export function publishedMetrics(now: () => number = Date.now): Published {
  let kept: MetricLine[] = [];
  beforeEach(() => {
    kept = [];
  });

  const metrics = new KeptMetrics(now, (line) => kept.push(line));
  const lines = () => kept.map((line) => Line.parse(JSON.parse(JSON.stringify(line))));
  const values = () => {
    const found: Record<string, number[]> = {};
    for (const line of lines()) {
      for (const { Name } of line._aws.CloudWatchMetrics.flatMap(({ Metrics }) => Metrics)) {
        found[Name] = [...(found[Name] ?? []), ...z.array(z.number()).parse([line[Name]].flat())];
      }
    }
    return found;
  };
  return { metrics, lines, values };
}
