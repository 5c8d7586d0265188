import { CloudWatchClient, GetMetricStatisticsCommand } from '@aws-sdk/client-cloudwatch';

/** How many failures of the fleet's steps CloudWatch has counted in the last hour. */
export async function failureMetric(fleet: string): Promise<number> {
  const now = Date.now();
  const answer = await new CloudWatchClient({}).send(
    new GetMetricStatisticsCommand({
      Namespace: 'CircleCIRunnerAutoscaler',
      MetricName: 'StepFailed',
      Dimensions: [{ Name: 'Fleet', Value: fleet }],
      StartTime: new Date(now - 3_600_000),
      EndTime: new Date(now + 60_000),
      Period: 60,
      Statistics: ['Sum'],
    }),
  );
  return (answer.Datapoints ?? []).reduce((sum, point) => sum + (point.Sum ?? 0), 0);
}
