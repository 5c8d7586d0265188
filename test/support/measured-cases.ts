import type { FailedLaunch, Launch } from '../../functions/lib/breaker.ts';
import { alarmsOver } from '../../sandbox/alarms.ts';
import { ALWAYS, LaunchFaults } from '../../sandbox/group/faults.ts';
import { Sandbox } from '../../sandbox/sandbox.ts';
import { type Job, SANDBOX_START, workingDay } from '../../sandbox/trace.ts';
import { fleetsWith } from './fleets.ts';
import { LINUX } from './sandbox.ts';

/** 40 jobs within 2 minutes, so that some come after the first launches were refused. */
export const BURST: Job[] = Array.from({ length: 40 }, (_, number) => ({
  queuedAt: 60 + 3 * number,
  durationSeconds: 300,
}));

export type RuleOfBreaker = 'waits for other launches' | 'opens at instant refusals';

const FAILURES = 3;
const WINDOW = 900_000;
const FIRST_CANARY = 120_000;

/**
 * The breaker as it was: three failures within 15 minutes without a success between them open it. A refusal counts at once, and
 * a success only a boot later.
 */
function breakerBefore(launches: readonly Launch[]) {
  const succeeded = launches.flatMap((launch) => (launch.outcome === 'succeeded' ? [launch.endedAt] : []));
  const lastSuccess = Math.max(...succeeded, Number.NEGATIVE_INFINITY);
  const failed = launches
    .filter((launch): launch is FailedLaunch => launch.outcome === 'failed' && launch.endedAt > lastSuccess)
    .sort((a, b) => a.endedAt - b.endedAt);
  const last = failed.at(-1);
  const first = failed.at(-FAILURES);
  if (last === undefined || first === undefined || last.endedAt - first.endedAt > WINDOW)
    return { open: false };
  return {
    open: true,
    isNew: false,
    failures: failed.length,
    kind: last.kind,
    reason: last.reason,
    canaryAt: new Date(last.endedAt + FIRST_CANARY).toISOString(),
  };
}

/** Plays jobs through the real workflow, while a zone refuses one launch in six. */
export async function played(jobs: Job[], { boot, rule }: { boot: number; rule: RuleOfBreaker }) {
  const sandbox = await Sandbox.open({
    replace: {
      'Describe Activities': async (input, describeActivities) => {
        const activities = (await describeActivities(input)) as Record<string, unknown>;
        if (rule === 'waits for other launches') return activities;
        const { launches } = world.group.activities.record(false);
        return { ...activities, breaker: breakerBefore(launches) };
      },
    },
  });
  const world = sandbox.addFleet(
    {
      ...LINUX,
      maxReplicas: 60,
      durations: { boot },
      launchFault: new LaunchFaults({ zoneRefusals: [{ ...ALWAYS, share: 1 / 6 }] }).ofLaunch,
    },
    jobs,
  );
  await sandbox.drain(jobs.length);
  const waits = world.queue.tasks.map(({ queuedAt, startedAt = Number.NaN }) => startedAt - queuedAt);
  const sorted = waits.toSorted((a, b) => a - b);
  const [config] = fleetsWith({ linux: {} });
  const minutes = Math.floor(sandbox.now / 60);
  const { metrics } = sandbox.workflow;
  /** For how many minutes an alarm rings. */
  const rings = (heading: string, countsPlacement: boolean) => {
    const counted = metrics.map((metric) =>
      countsPlacement && metric.name === 'PlacementRefusals' ? { ...metric, name: 'FailedLaunches' } : metric,
    );
    const run = { metrics: counted, executions: [], startedAt: SANDBOX_START.getTime(), minutes };
    const alarm = alarmsOver(config ? [config] : [], run).find((alarm) => alarm.heading === heading);
    return (alarm?.ringings ?? []).reduce((sum, { from, until = minutes }) => sum + until - from, 0);
  };
  return {
    median: sorted[Math.floor(sorted.length / 2)],
    minutes,
    launchesFailing: rings('Launches Failing', false),
    /** As it was counted before: with the refusals that another zone answered. */
    launchesFailingBefore: rings('Launches Failing', true),
    unused: world.group.totals.unusedLaunches,
  };
}

const MINUTE = 60;
const OUTAGES = {
  'the Launch process is suspended': { begins: 180, minutes: 180 },
  'CircleCI hands out no tasks': { begins: 180, minutes: 180 },
  'no capacity, of Spot or On-Demand': { begins: 0, minutes: 90 },
};

/** Plays an outage of hours through the real workflow: with the jobs of a working day, or with 200 jobs in 90 minutes. */
export async function playedOut(outage: keyof typeof OUTAGES) {
  const { begins, minutes } = OUTAGES[outage];
  const sandbox = await Sandbox.open();
  const noCapacity = begins === 0;
  const world = sandbox.addFleet(
    {
      ...LINUX,
      maxReplicas: 60,
      ...(noCapacity && {
        onDemandPercentage: 0,
        launchFault: new LaunchFaults({ spotShortages: [ALWAYS], shortages: [ALWAYS] }).ofLaunch,
      }),
    },
    noCapacity
      ? Array.from({ length: 200 }, (_, job) => ({ queuedAt: 27 * job, durationSeconds: 300 }))
      : workingDay(1),
  );
  let launches = 0;
  sandbox.watch = ({ kind }) => {
    if (kind === 'launches' || kind === 'refused') launches += 1;
  };
  sandbox.agenda.plan(begins * MINUTE, () => {
    if (outage === 'the Launch process is suspended') world.group.suspendProcesses(['Launch'], 'by a person');
    if (outage === 'CircleCI hands out no tasks') world.queue.limit = 0;
  });
  await sandbox.runUntil((begins + minutes) * MINUTE);
  const { metrics } = sandbox.workflow;
  const startedAt = SANDBOX_START.getTime();
  const [config] = fleetsWith({ linux: {} });
  const run = { metrics, executions: world.executions, startedAt, minutes: begins + minutes };
  const rung = alarmsOver(config ? [config] : [], run).filter(({ ringings }) => ringings.length > 0);
  // Jobs that ran when it began have ended after half an hour.
  const later = startedAt + (begins + 30) * 60_000;
  return {
    launches,
    waiting: world.queue.unclaimed,
    atMaximum: metrics.filter(({ name, at }) => name === 'AtMaximum' && at >= later).length,
    /** By heading, how many minutes after the beginning each alarm rang. */
    rung: Object.fromEntries(
      rung.map(({ heading, ringings }) => [heading, ringings.map(({ from }) => from - begins)]),
    ) as Record<string, number[]>,
  };
}
