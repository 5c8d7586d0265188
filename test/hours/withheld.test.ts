import { expect, it } from 'vitest';
import { alarmsOver } from '../../sandbox/alarms.ts';
import { Sandbox } from '../../sandbox/sandbox.ts';
import { SANDBOX_START } from '../../sandbox/trace.ts';
import { fleetsWith } from '../support/fleets.ts';

const MINUTE = 60;
const HOURS = 3;

/** How late the executions of a minute start, in seconds. */
const STARTS: Record<string, (minute: number) => number[]> = {
  'on time': () => [0],
  doubled: () => [0, 1],
  'skipped now and then': (minute) => (minute % 5 === 4 ? [] : [0]),
  'late by another time each minute': (minute) => [(minute * 37) % 60],
  'doubled, skipped and late': (minute) => [[0, 7], [], [25]][minute % 3] ?? [],
};

it.each(
  Object.keys(STARTS).flatMap((starts) => [
    { starts, pollInterval: 15, jobs: 10, phantoms: 0 },
    { starts, pollInterval: 60, jobs: 10, phantoms: 0 },
    { starts, pollInterval: 60, jobs: 1, phantoms: 4 },
  ]),
)(
  'starts $starts, a poll every $pollInterval s, $jobs tasks that no runner may claim, $phantoms run elsewhere: at most 20 unused launches in 3 hours, and an alarm',
  (given) => launchesFewFor({ ...given, most: 20, alarmAfter: 45 }),
  120_000,
);

it.each([
  { jobs: 1, most: 20, was: 107 },
  { jobs: 10, most: 60, was: 1_070 },
])(
  '$jobs tasks whose runners leave a second after they came into service: at most $most unused launches in 3 hours, not $was, and an alarm',
  ({ was: _, ...given }) =>
    launchesFewFor({
      ...given,
      starts: 'on time',
      pollInterval: 5,
      phantoms: 0,
      idleTimeout: 1,
      alarmAfter: 20,
    }),
  120_000,
);

interface Given {
  starts: string;
  pollInterval: number;
  jobs: number;
  phantoms: number;
  /** In seconds. Default: that of fleets.yaml. */
  idleTimeout?: number;
  most: number;
  /** In minutes. */
  alarmAfter: number;
}

async function launchesFewFor(given: Given): Promise<void> {
  const { starts, pollInterval, jobs, phantoms, most, alarmAfter } = given;

  const [config] = fleetsWith({ linux: { pollInterval: `${pollInterval}s` } });
  if (config === undefined) throw new Error('There is no fleet');
  const sandbox = await Sandbox.open();
  const { name, resourceClass, maxReplicas } = config;
  const world = sandbox.addFleet(
    {
      name,
      resourceClass,
      minReplicas: 0,
      maxReplicas,
      pollIntervalSeconds: pollInterval,
      durations: { idleTimeout: given.idleTimeout ?? config.idleTimeout, launchHook: config.bootTimeout },
    },
    Array.from({ length: jobs }, () => ({ queuedAt: 5, durationSeconds: 300 })),
  );
  const { queue, group, executions } = world;
  queue.limit = 0;
  queue.phantoms = phantoms;
  sandbox.schedule.starts = STARTS[starts] ?? (() => []);
  await sandbox.runUntil(HOURS * 60 * MINUTE);
  expect(group.totals.unusedLaunches).toBeLessThanOrEqual(most);
  const { metrics } = sandbox.workflow;
  const run = { metrics, executions, startedAt: SANDBOX_START.getTime(), minutes: HOURS * 60 };
  const alarm = alarmsOver([config], run).find(({ heading }) => heading === 'Tasks Not Handed Out');
  expect(alarm?.ringings[0]?.from).toBeLessThanOrEqual(alarmAfter);
  expect(queue.ended).toBe(0);
}
