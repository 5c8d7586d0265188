import { PAUSED_TAG } from '../../functions/lib/tags.ts';
import { BY_AWS } from '../auto-scaling-group.ts';
import { ALWAYS, type Faults } from '../group/faults.ts';
import { NO_JOB } from '../group/job-queue.ts';
import { THROTTLED } from './aws.ts';
import { afterMinutes, eachMinute, type Fault, inflict, protect, type Stage } from './fault.ts';

const launches =
  (faults: Partial<Faults>): Fault['begin'] =>
  ({ world }) => {
    inflict(world, faults);
  };

const FAILED_LAUNCHES = 'failed launches are looked at for 15 minutes';
export const OF_LAUNCHES = [
  { name: 'EC2 has no capacity', begin: launches({ shortages: [ALWAYS] }), late: FAILED_LAUNCHES },
  {
    name: 'instances boot and never come alive',
    begin: launches({ deadInstances: [ALWAYS] }),
    late: 'an instance has 10 minutes to come up',
  },
  {
    name: 'boots fail',
    begin: launches({ bootFailures: [ALWAYS] }),
    late: 'the next canary may be 30 minutes away',
  },
  {
    name: 'EC2 takes booting instances back',
    begin: launches({ lostInstances: [ALWAYS] }),
    late: FAILED_LAUNCHES,
  },
  {
    name: 'no zone has the instance type',
    begin: launches({ typeMissing: [ALWAYS] }),
    late: 'the next canary may be 30 minutes away',
  },
  { name: 'EC2 throttles the account', begin: launches({ throttled: [ALWAYS] }), late: FAILED_LAUNCHES },
  {
    name: 'the subnets have no free address',
    begin: launches({ addressShortages: [ALWAYS] }),
    late: FAILED_LAUNCHES,
  },
  {
    name: 'EC2 Auto Scaling may not use the key of the volumes',
    begin: launches({ keyFailures: [ALWAYS] }),
    late: 'the next canary may be 30 minutes away',
  },
  {
    name: 'EC2 has neither Spot capacity nor On-Demand capacity',
    begin: ({ world: { group } }: Stage) => {
      group.settings.launchFault = (_, onDemand) => (onDemand ? 'refused' : 'no-spot');
    },
    spot: true as const,
    late: FAILED_LAUNCHES,
  },
  {
    name: 'the account lacks the service-linked role for Spot',
    begin: launches({ spotRoleMissing: [ALWAYS] }),
    spot: true as const,
    late: 'the next canary may be 30 minutes away',
  },
  {
    name: 'boots fail, somebody cancels the jobs after 33 minutes, and the next one comes after 2 hours',
    begin: (stage: Stage) => {
      const { queue, group } = stage.world;
      launches({ bootFailures: [ALWAYS] })(stage);
      afterMinutes(stage, 33, (now) => queue.cancelWaiting(now));
      afterMinutes(stage, 120, (queuedAt) => {
        queue.add({ queuedAt, durationSeconds: 120 });
        group.offerWork();
      });
    },
    lasts: 130,
    ringsAgain: 'the next job needs an instance',
    late: 'the next canary may be 30 minutes away',
  },
].map((fault): Fault => ({ ...fault, rings: 'Breaker Open', ofLaunches: true }));

/** Each minute, a person takes the member out that runs the newest task. */
const takenOut =
  (to: 'standby' | 'detached', decrement: boolean): Fault['begin'] =>
  (stage) => {
    const { group } = stage.world;
    eachMinute(stage, () => {
      const busy = group.instances.filter(({ state, job }) => state === 'InService' && job !== NO_JOB);
      const newest = busy.sort((one, other) => other.job - one.job)[0];
      if (newest !== undefined) group.takeOut(newest, to, decrement);
    });
  };

export const OF_THE_WORLD: Fault[] = [
  { name: 'EC2 has no Spot capacity', begin: launches({ spotShortages: [ALWAYS] }), spot: true },
  {
    name: 'EC2 takes Spot Instances back, after 10 minutes on average',
    begin: launches({ spotInterruptions: 6 }),
    spot: true,
    kills: true,
  },
  {
    name: 'a sixth of the launches is tried first in a zone that never has the type',
    begin: launches({ zoneRefusals: [{ ...ALWAYS, share: 1 / 6 }] }),
    rings: 'Zone Unusable',
    direct: true,
    late: 'it rings until 6 hours have passed without one',
  },
  {
    name: "a person lowers the group's maximum size to 2",
    begin: ({ world: { group } }) => group.setMaximumSize(2),
    rings: 'Maximum Size Too Small',
  },
  {
    name: 'the plan lets 2 tasks run, and fleets.yaml names that limit',
    begin: ({ sandbox, world }) => {
      sandbox.limitPlan(2);
      sandbox.deploy(world, { concurrency: { limit: 2, groups: [world.settings.groupName] } });
    },
    says: "beyond the plan's concurrency",
    rings: 'Saturated',
    direct: true,
    late: 'tasks have to wait for 15 minutes',
  },
  {
    name: 'CircleCI hands out no tasks',
    begin: ({ world: { queue } }) => {
      queue.limit = 0;
    },
    rings: 'Tasks Not Handed Out',
    late: 'the next canary may be 30 minutes away',
    idlers: true,
  },
  {
    name: 'CircleCI hands out no tasks, and counts 4 running tasks that no runner runs',
    begin: ({ world: { queue } }) => {
      queue.limit = 0;
      queue.phantoms = 4;
    },
    rings: 'Tasks Not Handed Out',
    late: 'the next canary may be 30 minutes away',
    idlers: true,
  },
  {
    name: 'CircleCI lets 1 task run, which fleets.yaml does not name',
    begin: ({ world: { queue } }) => {
      queue.limit = 1;
    },
    rings: 'Tasks Not Handed Out',
    late: 'jobs that run already hide it, and the next canary may be 30 minutes away',
    idlers: true,
  },
  {
    name: 'CircleCI counts 4 running tasks that no runner runs',
    begin: ({ world: { queue } }) => {
      queue.phantoms = 4;
    },
    rings: 'Tasks Run Elsewhere',
    late: 'while many jobs end, members that are about to leave hide as many tasks',
  },
  {
    name: 'CircleCI counts tasks as running for 2 to 10 s after their end',
    begin: ({ world: { queue } }) => {
      queue.longestLag = 10;
    },
  },
  {
    name: 'launches have the runner token of another resource class, and take no task',
    begin: launches({ deafRunners: [ALWAYS] }),
    rings: 'Tasks Not Handed Out',
    late: 'the next canary may be 30 minutes away',
    idlers: true,
  },
  {
    name: '60 tasks of the class run on runners of somebody else',
    begin: ({ world: { queue } }) => {
      queue.phantoms = 60;
    },
    rings: 'Tasks Run Elsewhere',
    idlers: true,
  },
  {
    // Instances that launch for these tasks find none, and are more than the tasks that run elsewhere.
    name: 'runners of somebody else take each short task within seconds',
    begin: ({ world }) => world.group.addForeignRunners(60),
    idlers: true,
  },
  {
    name: 'a person suspends the Launch process of the group',
    begin: ({ world }) => world.group.suspendProcesses(['Launch']),
    says: 'somebody suspended the Launch process',
    rings: 'Starving',
    late: 'tasks have to wait for 15 minutes',
  },
  {
    name: 'AWS suspends the Launch process of the group, as it may after a day of failed launches',
    begin: ({ world }) => world.group.suspendProcesses(['Launch'], BY_AWS),
    says: 'AWS suspended the Launch process',
    rings: 'Starving',
    late: 'tasks have to wait for 15 minutes',
  },
  ...['true', 'drain'].map(
    (value): Fault => ({
      name: value === 'true' ? 'a person pauses the fleet' : 'a person drains the fleet',
      begin: ({ world }) => {
        world.group.tags.set(PAUSED_TAG, value);
      },
      rings: 'Jobs Wait For A Paused Fleet',
      direct: true,
    }),
  ),
  {
    name: 'a person switches off the scale-in protection of the group and its members',
    begin: ({ world }) => protect(world, false),
    rings: 'Scale-In Protection Off',
  },
  {
    name: 'each minute, a person moves a member with a task to standby, and lowers the desired capacity with it',
    begin: takenOut('standby', true),
  },
  {
    name: 'each minute, a person moves a member with a task to standby, and the group replaces it',
    begin: takenOut('standby', false),
    idlers: true,
  },
  {
    name: 'each minute, a person detaches a member with a task, and lowers the desired capacity with it',
    begin: takenOut('detached', true),
  },
  {
    name: "the functions' clock is 90 s ahead",
    begin: ({ sandbox }) => {
      sandbox.functionsAheadSeconds = 90;
    },
    rings: 'Starving',
    late: 'nothing fails: each decision comes too late to be written',
  },
  {
    name: "the functions' clock is 90 s behind",
    begin: ({ sandbox }) => {
      sandbox.functionsAheadSeconds = -90;
    },
  },
  {
    name: 'the group is described as it was 20 s ago',
    begin: ({ sandbox }) => {
      sandbox.aws.staleness = 20;
    },
  },
  {
    name: 'DescribeAutoScalingGroups is throttled at every third call',
    begin: ({ sandbox }) => {
      const action = 'DescribeAutoScalingGroups';
      sandbox.aws.fault = (asked) =>
        asked === action && (sandbox.aws.calls.get(action) ?? 0) % 3 === 0 ? THROTTLED : undefined;
    },
  },
  {
    name: 'the workflow is not started',
    begin: ({ sandbox }) => {
      sandbox.schedule.starts = () => [];
    },
    rings: 'Scaler Not Running',
  },
  {
    name: 'the workflow is started twice each minute',
    begin: ({ sandbox }) => {
      sandbox.schedule.starts = () => [0, 0];
    },
  },
];
