import { expect, it, vi } from 'vitest';
import { fleetMetrics, publishMetrics } from '../../functions/lib/metrics.ts';
import { Line } from './published.ts';

it('publishes the metrics of a fleet in one line on standard output', () => {
  const written: string[] = [];
  const stdout = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
  const metrics = fleetMetrics('circleci-runners');
  publishMetrics(metrics, 'linux', { Launches: 3, ExecutionsSucceeded: 1 });
  publishMetrics(metrics, 'arm', { PollDuration: 250 });
  publishMetrics(metrics, 'idle', {});
  stdout.mockRestore();

  const lines = written
    .filter((line) => line.startsWith('{"_aws"'))
    .map((line) => Line.parse(JSON.parse(line)));
  expect(lines).toMatchObject([
    { Fleet: 'linux', Launches: 3, ExecutionsSucceeded: 1 },
    { Fleet: 'arm', PollDuration: 250 },
  ]);
  expect(lines.map(({ _aws }) => _aws.CloudWatchMetrics)).toEqual([
    [
      {
        Namespace: 'CircleCIRunnerAutoscaler/circleci-runners',
        Dimensions: [['Fleet']],
        Metrics: [
          { Name: 'Launches', Unit: 'Count' },
          { Name: 'ExecutionsSucceeded', Unit: 'Count' },
        ],
      },
    ],
    [
      {
        Namespace: 'CircleCIRunnerAutoscaler/circleci-runners',
        Dimensions: [['Fleet']],
        Metrics: [{ Name: 'PollDuration', Unit: 'Milliseconds' }],
      },
    ],
  ]);
});
