import { beforeEach, describe, expect, it } from 'vitest';
import { Agenda } from '../../sandbox/agenda.ts';
import { AutoScalingGroup } from '../../sandbox/auto-scaling-group.ts';
import { activityElements } from '../../sandbox/group/activity-texts.ts';
import { DURATIONS } from '../../sandbox/group/durations.ts';
import { NO_JOB } from '../../sandbox/group/job-queue.ts';
import type { FleetWorld, Sandbox } from '../../sandbox/sandbox.ts';
import { TaskQueue } from '../../sandbox/task-queue.ts';
import { jobs, LINUX, openSandbox } from '../support/sandbox.ts';

const { request, boot, leave, leaveCall } = DURATIONS;
const READY = request + boot;
const JOB_SECONDS = 600;
const MOVED = READY + 10;

let agenda: Agenda;
let queue: TaskQueue;

beforeEach(() => {
  agenda = new Agenda();
  queue = new TaskQueue();
});

/** A group with two members that run a task each. */
function busyGroup(): AutoScalingGroup {
  const group = new AutoScalingGroup(
    {
      name: 'runners',
      minSize: 0,
      maxSize: 10,
      durations: DURATIONS,
      newInstancesProtectedFromScaleIn: true,
    },
    agenda,
    queue,
  );
  for (let job = 0; job < 2; job += 1) queue.add({ queuedAt: 0, durationSeconds: JOB_SECONDS });
  group.setDesiredCapacity(2);
  agenda.advance(MOVED);
  return group;
}

const states = ({ instances }: AutoScalingGroup) => instances.map(({ state }) => state);
const [STANDBY, DETACHED] = ['standby', 'detached'] as const;

describe('a member that a person takes out', () => {
  it.each([
    { to: STANDBY, decrement: true, desired: 1, lists: ['Standby', 'InService'] },
    { to: STANDBY, decrement: false, desired: 2, lists: ['Standby', 'InService', 'Pending'] },
    { to: DETACHED, decrement: true, desired: 1, lists: ['InService'] },
    { to: DETACHED, decrement: false, desired: 2, lists: ['InService', 'Pending'] },
  ])(
    'to $to is replaced unless the desired capacity falls: $decrement',
    ({ to, decrement, desired, lists }) => {
      const group = busyGroup();
      const [member] = group.instances;
      if (member !== undefined) group.takeOut(member, to, decrement);
      agenda.advance(MOVED + request);
      expect({ desired: group.desired, lists: states(group) }).toEqual({ desired, lists });
      expect(group.viewed(request + 1).instances.map(({ state }) => state)).toEqual([
        'InService',
        'InService',
      ]);
    },
  );

  it.each([
    { to: STANDBY, gone: leave },
    { to: DETACHED, gone: leaveCall },
  ])('to $to ends its task, is billed, and lowers nothing when it leaves', ({ to, gone }) => {
    const group = busyGroup();
    const [member] = group.instances;
    if (member !== undefined) group.takeOut(member, to, true);
    const ends = READY + JOB_SECONDS;
    agenda.advance(ends + leaveCall - 1);
    // The other member is about to leave as well.
    expect(group.desired).toBe(1);
    agenda.advance(ends + leave);
    expect(group).toMatchObject({ desired: 0, size: 0, left: 0 });
    expect(queue.tasks.map(({ endedAt, killed }) => ({ endedAt, killed }))).toEqual(
      Array.from({ length: 2 }, () => ({ endedAt: ends, killed: undefined })),
    );
    expect(group.totals.billedSeconds).toBe(2 * (boot + JOB_SECONDS) + leave + gone);
  });

  it.each([
    { to: STANDBY, says: 'Moving EC2 instance to Standby', cause: 'was moved to standby' },
    { to: DETACHED, says: 'Detaching EC2 instance', cause: 'was detached' },
  ])('to $to is an activity', ({ to, says, cause }) => {
    const group = busyGroup();
    const [member] = group.instances;
    if (member === undefined) throw new Error('no member');
    group.takeOut(member, to, true);
    const [activity] = group.activities.newest();
    if (activity === undefined) throw new Error('no activity');
    const { Description, Cause } = activityElements(activity);
    expect(Description).toBe(`${says}: ${member.id}`);
    expect(Cause).toContain(
      `instance ${member.id} ${cause} in response to a user request, shrinking the capacity from 2 to 1.`,
    );
  });
});

/** Takes members out that run a task. */
function takeOut({ group }: FleetWorld, count: number, to: 'standby' | 'detached'): void {
  const busy = group.instances.filter(({ job }) => job !== NO_JOB);
  for (const instance of busy.slice(0, count)) group.takeOut(instance, to, true);
}

/** A fleet whose tasks run for an hour; some members are taken out in minute 10, one more task comes in minute 20. */
async function run(fleet: { tasks: number; minReplicas: number; out: number; to: 'standby' | 'detached' }) {
  const sandbox: Sandbox = await openSandbox();
  const { tasks, minReplicas, out, to } = fleet;
  const late = { queuedAt: 1_200, durationSeconds: 60 };
  const world = sandbox.addFleet(
    { ...LINUX, minReplicas, maxReplicas: 20, durations: { idleTimeout: 7_200 } },
    [...jobs(tasks, 3_600), late],
  );
  sandbox.agenda.plan(600, () => takeOut(world, out, to));
  await sandbox.runUntil(1_190);
  const before = world.group.totals.launches;
  await sandbox.runUntil(1_800);
  return { before, after: world.group.totals.launches, task: world.queue.tasks.at(-1) };
}

describe('a task on a member that a person took out', () => {
  it.each([
    { tasks: 2, minReplicas: 0, out: 1 },
    { tasks: 4, minReplicas: 1, out: 2 },
    { tasks: 3, minReplicas: 3, out: 1 },
  ])(
    'on standby launches no twin, and a waiting task an instance: $tasks, $minReplicas idle',
    async (fleet) => {
      const { before, after, task } = await run({ ...fleet, to: STANDBY });
      expect(before).toBe(fleet.tasks + fleet.minReplicas);
      expect(after).toBe(before + 1);
      expect(task?.startedAt).toBeLessThan(1_200 + 120);
    },
  );

  it.each([
    { minReplicas: 0, twins: 0 },
    { minReplicas: 1, twins: 1 },
    { minReplicas: 3, twins: 2 },
  ])(
    'that is detached launches at most one spare runner: $twins for two, with $minReplicas idle',
    async ({ minReplicas, twins }) => {
      const { before, task } = await run({ tasks: 4, minReplicas, out: 2, to: DETACHED });
      expect(before).toBe(4 + minReplicas + twins);
      expect(task?.startedAt).toBeLessThan(1_200 + 120);
    },
  );
});
