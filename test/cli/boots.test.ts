import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import pc from 'picocolors';
import { expect, it } from 'vitest';
import { describeBootTimes, readBootTimes, untilRunner } from '../../cli/deployed/boots.ts';
import { explainHistory } from '../../cli/explain/explanation.ts';
import { explanationText } from '../../cli/explain/text.ts';
import { measuredBoot, NotMeasured } from '../../cli/replays/measured-boot.ts';
import { history } from '../support/fleet-history.ts';
import { runInProcess } from '../support/in-process.ts';

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 0, 15);

/** CloudWatch with these samples of BootSeconds by phase, an hour each. */
function cloudWatch(samples: Record<string, number[][]>) {
  const client = new CloudWatchClient({
    region: 'eu-west-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
  });
  const asked: { StartTime?: Date; namespaces: Set<string> } = { namespaces: new Set() };
  client.middlewareStack.add(
    () =>
      async ({ input }) => {
        const { MetricDataQueries = [], StartTime } = input as {
          StartTime?: Date;
          MetricDataQueries?: {
            Id: string;
            MetricStat: { Stat: string; Metric: { Namespace: string; Dimensions: { Value: string }[] } };
          }[];
        };
        Object.assign(asked, { StartTime });
        const MetricDataResults = MetricDataQueries.map(({ Id, MetricStat: { Stat, Metric } }) => {
          asked.namespaces.add(Metric.Namespace);
          const hours = samples[Metric.Dimensions[1]?.Value ?? ''] ?? [];
          const sum = (hour: number[]) => hour.reduce((total, each) => total + each, 0);
          return { Id, Values: hours.map((hour) => (Stat === 'Sum' ? sum(hour) : hour.length)) };
        });
        return { output: { $metadata: {}, MetricDataResults }, response: {} };
      },
    { step: 'initialize' },
  );
  return { client, asked };
}

const MEASURED = {
  Launched: [[6, 6], [9]],
  Network: [[8, 8], [8]],
  UserData: [[0.2, 0.2], [0.2]],
  Install: [[30, 30], [0]],
  RunnerUp: [[0.5, 0.5], [0.5]],
};

it('are the means of all boots, not of the hours', async () => {
  const { client, asked } = cloudWatch(MEASURED);
  const times = await readBootTimes('acme-ci', 'linux', { from: NOW - DAY, to: NOW }, client);
  expect(times.Install).toEqual({ mean: 20, boots: 3 });
  expect(times.Launched).toEqual({ mean: 7, boots: 3 });
  expect(times).not.toHaveProperty('Resume');
  expect(untilRunner(times)).toBeCloseTo(35.7);
  expect([...asked.namespaces]).toEqual(['CircleCIRunnerAutoscaler/acme-ci']);
});

it.each([
  { case: 'nothing', times: {}, words: undefined },
  {
    case: 'a boot by part',
    times: Object.fromEntries(
      Object.entries(MEASURED).map(([phase, [hour = []]]) => [phase, { mean: hour[0] ?? 0, boots: 2 }]),
    ),
    words:
      '45 s until the runner (until systemd 6 s, network 8 s, user data 0.2 s, install 30 s, runner 0.5 s), mean of 2 boots',
  },
  {
    case: 'a resume and a first task',
    times: { Resume: { mean: 12.4, boots: 1 }, FirstClaim: { mean: 3, boots: 1 } },
    words: '12 s from the warm pool, mean of 1 boot; first task 3 s later',
  },
])('in words are $case', ({ times, words }) => {
  expect(describeBootTimes(times)).toBe(words);
});

it('are a part of the explanation', () => {
  const explained = explainHistory(history({ boots: { Resume: { mean: 12, boots: 3 } } }), {
    to: NOW,
    untilNow: false,
  });
  const text = explanationText('linux', { from: NOW - DAY, to: NOW }, explained, 80, pc.createColors(false));
  expect(text.join('\n')).toContain(
    'Where the time of the boots went, in the 24 hours before the end\n  12 s from the warm pool, mean of 3 boots.',
  );
});

it('are what --boot measured replays with', async () => {
  const { client, asked } = cloudWatch({ ...MEASURED, Resume: [[11, 12]] });
  const { boot, warmBoot, source } = await measuredBoot('acme-ci', 'linux', NOW, client);
  expect([boot, warmBoot]).toEqual([35.7, 11.5]);
  expect(asked.StartTime).toEqual(new Date(NOW - 14 * DAY));
  expect(source).toContain('boots of fleet linux in the last 14 days: 36 s until the runner');
});

it('are not made up if nothing was measured, or a part is missing', async () => {
  const { Install: _, ...rest } = MEASURED;
  for (const samples of [{}, rest])
    await expect(measuredBoot('acme-ci', 'linux', NOW, cloudWatch(samples).client)).rejects.toThrow(
      NotMeasured,
    );
});

it.each([
  { words: ['--boot', 'measured'], said: '--boot measured needs --fleet' },
  {
    words: ['--boot', 'measure'],
    said: 'It must be from 0s to 1h: a number of seconds, or numbers with units as in 90s, 1h30m or 2d; or measured.',
  },
])('are refused with $words', async ({ words, said }) => {
  const { status, stderr } = await runInProcess('simulate', words);
  expect(status).toBe(2);
  expect(stderr).toContain(said);
});
