import { type CloudWatchClient, paginateGetMetricData } from '@aws-sdk/client-cloudwatch';
import { BOOT_PHASES, type BootPhase, UNTIL_RUNNER } from '../../functions/lib/boots.ts';
import { metricNamespace } from '../../functions/lib/metric-namespace.ts';

/** The mean seconds of each part of a boot, and of how many boots. */
export type BootTimes = Partial<Record<BootPhase, { mean: number; boots: number }>>;

/** CloudWatch keeps an hour's mean for 15 months, and a minute's for 15 days. */
const PERIOD_SECONDS = 3_600;

/** Reads how long a fleet's boots took in a time, by `BootSeconds`. */
export async function readBootTimes(
  app: string,
  fleet: string,
  { from, to }: { from: number; to: number },
  client: CloudWatchClient,
): Promise<BootTimes> {
  const queries = BOOT_PHASES.flatMap((phase, index) =>
    (['Sum', 'SampleCount'] as const).map((Stat) => ({
      Id: `${Stat === 'Sum' ? 's' : 'n'}${index}`,
      MetricStat: {
        Metric: {
          Namespace: metricNamespace(app),
          MetricName: 'BootSeconds',
          Dimensions: [
            { Name: 'Fleet', Value: fleet },
            { Name: 'Phase', Value: phase },
          ],
        },
        Period: PERIOD_SECONDS,
        Stat,
      },
    })),
  );
  const totals = new Map<string, number>();
  const asked = { MetricDataQueries: queries, StartTime: new Date(from), EndTime: new Date(to) };
  for await (const { MetricDataResults = [] } of paginateGetMetricData({ client }, asked))
    for (const { Id = '', Values = [] } of MetricDataResults)
      totals.set(
        Id,
        Values.reduce((sum, value) => sum + value, totals.get(Id) ?? 0),
      );
  return Object.fromEntries(
    BOOT_PHASES.flatMap((phase, index) => {
      const boots = totals.get(`n${index}`) ?? 0;
      return boots > 0 ? [[phase, { mean: (totals.get(`s${index}`) ?? 0) / boots, boots }]] : [];
    }),
  );
}

/** Seconds from the launch until the runner is up, if each part was measured. */
export function untilRunner(times: BootTimes): number | undefined {
  const means = UNTIL_RUNNER.flatMap((phase) => times[phase]?.mean ?? []);
  return means.length < UNTIL_RUNNER.length ? undefined : means.reduce((sum, mean) => sum + mean, 0);
}

/** What the parts are called in a sentence. */
const WORDS: Record<BootPhase, string> = {
  Launched: 'until systemd',
  Network: 'network',
  UserData: 'user data',
  Install: 'install',
  RunnerUp: 'runner',
  FirstClaim: 'first task',
  Resume: 'resume',
};

/** The times in words; `undefined` if nothing was measured. */
export function describeBootTimes(times: BootTimes): string | undefined {
  const shown = (seconds: number) => `${seconds < 9.95 ? Number(seconds.toFixed(1)) : Math.round(seconds)} s`;
  const whole = untilRunner(times);
  const parts = UNTIL_RUNNER.flatMap((phase) => {
    const part = times[phase];
    return part === undefined ? [] : [`${WORDS[phase]} ${shown(part.mean)}`];
  });
  const sentences = [
    ...(whole === undefined
      ? []
      : [`${shown(whole)} until the runner (${parts.join(', ')}), ${counted(times.RunnerUp?.boots)}`]),
    ...(times.Resume === undefined
      ? []
      : [`${shown(times.Resume.mean)} from the warm pool, ${counted(times.Resume.boots)}`]),
    ...(times.FirstClaim === undefined ? [] : [`first task ${shown(times.FirstClaim.mean)} later`]),
  ];
  return sentences.length === 0 ? undefined : sentences.join('; ');
}

const counted = (boots = 0) => `mean of ${boots} ${boots === 1 ? 'boot' : 'boots'}`;
