import { afterEach, beforeEach, vi } from 'vitest';
import * as z from 'zod';

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html */
const Line = z.looseObject({
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
  lines: () => Line[];
  /** Values by metric name, of all lines. */
  values: () => Record<string, number[]>;
}

/** Keeps what is written to standard output while a test runs, and reads the metrics in it. */
export function publishedMetrics(): Published {
  let written = '';
  beforeEach(() => {
    written = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      written += String(text);
      return true;
    });
  });
  afterEach(() => {
    vi.mocked(process.stdout.write).mockRestore();
  });

  const lines = () =>
    written
      .split('\n')
      .filter((line) => line.startsWith('{"_aws"'))
      .map((line) => Line.parse(JSON.parse(line)));
  const values = () => {
    const found: Record<string, number[]> = {};
    for (const line of lines()) {
      for (const { Name } of line._aws.CloudWatchMetrics.flatMap(({ Metrics }) => Metrics)) {
        found[Name] = [...(found[Name] ?? []), ...z.array(z.number()).parse([line[Name]].flat())];
      }
    }
    return found;
  };
  return { lines, values };
}
