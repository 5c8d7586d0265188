import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Alarm, alarmsOver } from '../../sandbox/alarms.ts';
import { inflict } from '../../sandbox/faults/fault.ts';
import type { Faults } from '../../sandbox/group/faults.ts';
import { Sandbox } from '../../sandbox/sandbox.ts';
import { SANDBOX_START } from '../../sandbox/trace.ts';
import { fleetsWith } from '../support/fleets.ts';

const MINUTE = 60;
const LASTS = 150;
/** After a task has waited for this time, in minutes, an alarm rings, or has rung in the same time before. */
const SILENT = 15;
/** An alarm is evaluated at the end of a minute, and an execution publishes what it has seen in the next one. */
const SLACK = 1;

/** A fault from one minute to another one; each draws whether it is there. */
const during = <T>(value: fc.Arbitrary<T>) =>
  fc.option(
    fc.record({ from: fc.integer({ min: 0, max: 60 }), minutes: fc.integer({ min: 20, max: 90 }), value }),
    {
      nil: undefined,
    },
  );
const windowOf = ({ from, minutes }: { from: number; minutes: number }) => ({
  from: from * MINUTE,
  to: (from + minutes) * MINUTE,
});

const worlds = fc.record({
  pollInterval: fc.constantFrom(15, 30, 55, 60),
  maxReplicas: fc.constantFrom(2, 20),
  keeps: fc.constantFrom({}, { minReplicas: 2 }, { headroom: 2 }),
  jobs: fc.array(fc.record({ minute: fc.nat({ max: 90 }), minutes: fc.constantFrom(1, 5, 20) }), {
    minLength: 1,
    maxLength: 25,
  }),
  taskLimit: during(fc.nat({ max: 3 })),
  phantoms: during(fc.constantFrom(1, 4, 30)),
  foreignRunners: during(fc.constantFrom(1, 3)),
  deaf: during(fc.constantFrom(1 / 2, 1)),
  zones: during(fc.constantFrom(1 / 6, 1)),
  shortage: during(fc.constant(1)),
  suspended: during(fc.constant(true)),
});
type World = typeof worlds extends fc.Arbitrary<infer T> ? T : never;

async function play(world: World) {
  const { pollInterval, maxReplicas, keeps } = world;
  const [config] = fleetsWith({ linux: { pollInterval: `${pollInterval}s`, maxReplicas: `${maxReplicas}` } });
  if (config === undefined) throw new Error('There is no fleet');
  const sandbox = await Sandbox.open();
  const jobs = world.jobs
    .map(({ minute, minutes }) => ({ queuedAt: minute * MINUTE, durationSeconds: minutes * MINUTE }))
    .sort((a, b) => a.queuedAt - b.queuedAt);
  const fleet = sandbox.addFleet(
    {
      name: config.name,
      resourceClass: config.resourceClass,
      maxReplicas,
      minReplicas: 0,
      ...keeps,
      pollIntervalSeconds: pollInterval,
      durations: { idleTimeout: config.idleTimeout, launchHook: config.bootTimeout },
    },
    jobs,
  );
  const count = (given: World['taskLimit']) =>
    given === undefined ? [] : [{ ...windowOf(given), count: given.value }];
  const share = (given: World['deaf']) =>
    given === undefined ? [] : [{ ...windowOf(given), share: given.value }];
  sandbox.planFaults(fleet, {
    taskLimits: count(world.taskLimit),
    phantomTasks: count(world.phantoms),
    runningLags: [],
    zeroCounts: [],
    maximumSizes: [],
  });
  const ofLaunches: Partial<Faults> = {
    deafRunners: share(world.deaf),
    zoneRefusals: share(world.zones),
    shortages: world.shortage === undefined ? [] : [windowOf(world.shortage)],
  };
  inflict(fleet, ofLaunches);
  const { foreignRunners, suspended } = world;
  if (foreignRunners !== undefined) {
    const { from, to } = windowOf(foreignRunners);
    sandbox.agenda.plan(from, () => fleet.group.addForeignRunners(foreignRunners.value));
    sandbox.agenda.plan(to, () => fleet.group.dismissForeignRunners());
  }
  if (suspended !== undefined) {
    const { from, to } = windowOf(suspended);
    sandbox.agenda.plan(from, () => fleet.group.suspendedProcesses.add('Launch'));
    sandbox.agenda.plan(to, () => fleet.group.resumeProcesses(['Launch']));
  }
  await sandbox.runUntil(LASTS * MINUTE);
  const { metrics } = sandbox.workflow;
  const startedAt = SANDBOX_START.getTime();
  const { executions } = fleet;
  return {
    alarms: alarmsOver([config], { metrics, executions, startedAt, minutes: LASTS }),
    tasks: fleet.queue.tasks,
  };
}

/** The minutes in which a task has waited for too long, and no alarm says so. */
function silentMinutes({
  alarms,
  tasks,
}: {
  alarms: Alarm[];
  tasks: Awaited<ReturnType<typeof play>>['tasks'];
}) {
  const rings = (minute: number) =>
    alarms.some(({ ringings }) =>
      ringings.some(
        ({ from, until = Number.POSITIVE_INFINITY }) => from <= minute && minute <= until + SILENT,
      ),
    );
  return Array.from({ length: LASTS }, (_, minute) => minute).filter((minute) => {
    const since = (minute - SILENT - SLACK) * MINUTE;
    const waits = tasks.some(
      ({ queuedAt, startedAt = Number.POSITIVE_INFINITY }) =>
        queuedAt <= since && startedAt > minute * MINUTE,
    );
    return waits && !rings(minute);
  });
}

describe('while faults of counts, claims and launches overlap', () => {
  it('no task waits for more than 15 minutes without an alarm, and none is killed', async () => {
    await fc.assert(
      fc.asyncProperty(worlds, async (world) => {
        const played = await play(world);
        expect(silentMinutes(played)).toEqual([]);
        expect(played.tasks.filter(({ killed }) => killed)).toEqual([]);
      }),
      { numRuns: Number(process.env.RUNS ?? 5) },
    );
  }, 600_000);
});
