import type { FleetConfig } from '../fleets/load.ts';
import type { MetricName } from '../functions/lib/metric-units.ts';
import { FAILURES, type Failure } from './failures.ts';
import type { FIRST_STEPS, firstStepsOf } from './first-steps.ts';

/** The alarms over the workflow's metrics, as plain values: infra/ deploys them, the sandbox evaluates them. */

/** A metric that the workflow or its functions publish for a fleet. `docs/operations.md` lists them. */
export type FleetMetric = Failure | MetricName;

/**
 * Which alarm notifies you: the fleet's composite alarm `NeedsYou`; `NeedsYou` unless `Outage` rings; the composite alarm
 * `Outage`; or the alarm itself. So one cause sends one notification.
 *
 * `Outage` watches no alarm of a fleet, because CloudWatch deletes no alarm that a composite one watches. The executions
 * whose failures ring a fleet's alarm with this route also ring `ExecutionsFailed`, which `Outage` watches.
 */
export type AlarmRoute = 'NeedsYou' | 'NeedsYou unless Outage' | 'Outage' | 'direct';

export interface AlarmSettings {
  /** Heading of its section in docs/operations.md. */
  heading: string;
  /** What is wrong, for the person whom it wakes: what happened, and what it means for jobs. */
  wrong: string;
  /** The alarm rings when this many of this many minutes are bad. Both are multiples of `period`. */
  minutes: [bad: number, of: number];
  /** How many minutes are judged as one. Default: 1. */
  period?: number;
  /** A period is bad if the metric has any value of at least 1, or none. */
  bad: 'any' | 'none';
  route: AlarmRoute;
}

export interface FleetAlarmSettings extends AlarmSettings {
  metric: FleetMetric;
  statistic: 'Sum' | 'Maximum' | 'Minimum' | 'SampleCount';
}

/** The alarms of a fleet without its composite one. Each has first steps. */
type FleetAlarm = Exclude<keyof ReturnType<typeof firstStepsOf>, 'NeedsYou'>;

/**
 * In minutes. Each execution publishes its values in its last seconds. A start may be 59 s late, and another one skipped, so
 * up to 179 s pass between two executions. An alarm over most minutes needs a value in each of its periods.
 */
const LONGEST_GAP = 3;

/** All of these minutes, rounded up to such periods. CloudWatch evaluates periods that end at each minute: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation-window.html */
const throughout = (minutes: number): Required<Pick<AlarmSettings, 'minutes' | 'period'>> => {
  const all = Math.ceil(minutes / LONGEST_GAP) * LONGEST_GAP;
  return { minutes: [all, all], period: LONGEST_GAP };
};

/**
 * Tasks wait for up to 2 minutes before an execution publishes that they waited at each of its polls, and CloudWatch takes
 * some seconds. So an alarm that is to ring after some minutes judges fewer.
 */
const SEEN_AFTER = 2;
const throughoutBy = (minutes: number) =>
  throughout(Math.max(Math.floor((minutes - SEEN_AFTER) / LONGEST_GAP) * LONGEST_GAP, LONGEST_GAP));

const UNFOLLOWED = 'The group keeps its capacity and does not follow the queue.';

/** One bad minute is not a page; three of five are. */
const failing = (metric: Failure, wrong: string, route: AlarmRoute): FleetAlarmSettings => ({
  heading: FAILURES[metric],
  wrong: `in 3 of the last 5 minutes, ${wrong}. ${UNFOLLOWED}`,
  metric,
  statistic: 'Sum',
  minutes: [3, 5],
  bad: 'any',
  route,
});

/** The alarms of a fleet. */
export const alarmsOfFleet = ({
  starvingAfter,
  maxReplicas,
  schedules,
  breaker,
  affordable = Number.POSITIVE_INFINITY,
  otherRunners,
  concurrency,
}: FleetConfig): Record<string, FleetAlarmSettings> => {
  const starving = throughoutBy(starvingAfter / 60);
  const maxima = new Set([maxReplicas, ...schedules.map((schedule) => schedule.maxReplicas ?? maxReplicas)]);
  const byCount = `maxReplicas (${[...maxima].join(' or, by schedule, ')})`;
  const byCost = `maxHourlyCost (${affordable} instances)`;
  const costLimits = affordable < Math.max(...maxima);
  const maximum =
    affordable < Math.min(...maxima) ? byCost : costLimits ? `${byCount}, or below ${byCost}` : byCount;
  const alarms: Record<FleetAlarm, FleetAlarmSettings> = {
    NotRunning: {
      heading: 'Scaler Not Running',
      wrong: `no poll has succeeded for 5 minutes. ${UNFOLLOWED}`,
      metric: 'PollDuration',
      statistic: 'SampleCount',
      minutes: [5, 5],
      bad: 'none',
      route: 'NeedsYou unless Outage',
    },
    SecretsUnreadable: failing(
      'SecretsUnreadable',
      'the scaler secret could not be read, or was incomplete',
      'NeedsYou',
    ),
    CircleCiRefuses: failing(
      'CircleCiRefuses',
      'CircleCI refused the token or the resource class',
      'NeedsYou',
    ),
    CircleCiUnavailable: failing(
      'CircleCiUnavailable',
      'CircleCI could not be reached, or answered without counts',
      'Outage',
    ),
    GroupUnreadable: failing('GroupUnreadable', 'the Auto Scaling group could not be read', 'NeedsYou'),
    DecisionInvalid: failing(
      'DecisionInvalid',
      'the workflow and its functions did not match, or a decision was invalid',
      'NeedsYou',
    ),
    GroupUpdateRefused: failing(
      'GroupUpdateRefused',
      'EC2 Auto Scaling refused the new desired capacity',
      'NeedsYou',
    ),
    ExecutionOverTime: failing(
      'ExecutionOverTime',
      'a step took longer than its execution had time for',
      'Outage',
    ),
    StepBroken: failing(
      'StepBroken',
      'a step failed with an error that has no other alarm, or Lambda could not run it',
      'Outage',
    ),
    Starving: {
      heading: 'Starving',
      wrong: `for ${starving.minutes[0]} minutes, tasks have waited and none was claimed, or nothing has launched for them: instances do not come, or their runners take no tasks.`,
      metric: 'Starving',
      // Executions that see a claim publish 0.
      statistic: 'Minimum',
      ...starving,
      bad: 'any',
      route: 'NeedsYou',
    },
    Saturated: {
      heading: 'Saturated',
      wrong: `for 15 minutes, tasks have waited while all instances that ${byCount} allows were busy or booted after their last task${concurrency === undefined ? '' : ", or as many tasks ran as the plan's concurrency allows"}. Jobs queue.`,
      metric: 'AtMaximum',
      statistic: 'Maximum',
      // A backlog of an outage takes some minutes, too.
      ...throughout(15),
      bad: 'any',
      route: 'direct',
    },
    CostLimitReached: {
      heading: 'Cost Limit Reached',
      wrong: `for 15 minutes, tasks have waited while all instances that ${byCost} allows were busy. Jobs queue.`,
      metric: 'AtMaxHourlyCost',
      statistic: 'Maximum',
      ...throughout(15),
      bad: 'any',
      route: 'direct',
    },
    BreakerOpen: {
      heading: 'Breaker Open',
      wrong: `${breaker.failures} or more launches failed without a success between them, so the breaker is open: one instance is launched now and then, as a test. Jobs queue.`,
      metric: 'BreakerOpen',
      statistic: 'Maximum',
      minutes: [1, 3],
      bad: 'any',
      route: 'NeedsYou',
    },
    TasksWithheld: {
      heading: 'Tasks Not Handed Out',
      wrong:
        'tasks wait, runners are idle, and CircleCI hands out no more tasks to them. The fleet keeps as many instances as tasks run, and launches one more now and then, as a test.',
      metric: 'TasksWithheld',
      statistic: 'Maximum',
      minutes: [1, 3],
      bad: 'any',
      route: 'NeedsYou',
    },
    TasksElsewhere: {
      heading: 'Tasks Run Elsewhere',
      wrong: `for 12 minutes, more tasks of the resource class have run than the group has members${otherRunners === 0 ? '' : ` and otherRunners (${otherRunners}) allows`}. Somebody else may have the token of the class and run your jobs.`,
      metric: 'TasksElsewhere',
      statistic: 'Maximum',
      // Longer than any count, member or lost instance lags.
      ...throughout(12),
      bad: 'any',
      route: 'NeedsYou',
    },
    ZoneUnusable: {
      heading: 'Zone Unusable',
      wrong:
        'EC2 refused launches in the last 6 hours because a zone does not offer the instance type. Other zones launch instead.',
      metric: 'PlacementRefusals',
      statistic: 'Sum',
      // A refusal is published once, so the alarm rings until 6 hours have passed without one: once a working day.
      minutes: [10, 360],
      period: 10,
      bad: 'any',
      route: 'direct',
    },
    SpotUnavailable: {
      heading: 'Spot Unavailable',
      wrong:
        'for most of 2 hours EC2 has had no Spot capacity for the fleet, so On-Demand instances run instead. Jobs run, and cost more.',
      metric: 'SpotFallback',
      statistic: 'Maximum',
      // If only a part of the fleet is Spot capacity, an On-Demand launch between two fallbacks seems to end the shortage.
      minutes: [90, 120],
      period: LONGEST_GAP,
      bad: 'any',
      route: 'direct',
    },
    MaximumSizeTooSmall: {
      heading: 'Maximum Size Too Small',
      wrong: `somebody lowered the maximum size of the Auto Scaling group below ${maximum}. Tasks wait.`,
      metric: 'MaximumSizeTooSmall',
      statistic: 'Maximum',
      minutes: [3, 5],
      bad: 'any',
      route: 'NeedsYou',
    },
    PausedWithTasks: {
      heading: 'Jobs Wait For A Paused Fleet',
      wrong:
        'somebody paused or drained the fleet, and jobs wait for it. The reason of this alarm quotes, for each minute, for how many minutes the fleet has been paused (1 if that is not known).',
      metric: 'PausedWithTasks',
      statistic: 'Maximum',
      // Idle runners of a paused fleet may still take a job now and then.
      minutes: [5, 10],
      bad: 'any',
      route: 'direct',
    },
    CountsDoubtful: {
      heading: 'Counts Doubtful',
      wrong:
        'CircleCI counts no tasks, and something else that it says contradicts that: the resource class or the token may be wrong. Jobs may wait unseen.',
      metric: 'CountsDoubtful',
      statistic: 'Maximum',
      minutes: [3, 5],
      bad: 'any',
      route: 'NeedsYou',
    },
    ProtectionOff: {
      heading: 'Scale-In Protection Off',
      wrong:
        'somebody switched off the scale-in protection of the Auto Scaling group or of members. EC2 Auto Scaling could terminate instances that run jobs.',
      metric: 'ProtectionOff',
      statistic: 'Maximum',
      minutes: [3, 5],
      bad: 'any',
      route: 'NeedsYou',
    },
    LeftBehind: {
      heading: 'Left Behind',
      wrong:
        'for 40 minutes, instances or volumes of the fleet have cost money and done nothing: an instance in no group, one whose runner never connected, one that is too old or does not leave, or a volume that nothing uses.',
      metric: 'LeftBehind',
      statistic: 'Maximum',
      // Published every 10 minutes while something is found. Seven executions, if EventBridge Scheduler skips two of them.
      minutes: [4, 70],
      bad: 'any',
      route: 'direct',
    },
    LaunchesFailing: {
      heading: 'Launches Failing',
      wrong:
        'in 3 of the last 15 minutes, one launch in 20 or more failed: EC2 refuses them, or instances do not come up. Jobs queue longer.',
      metric: 'FailedLaunches',
      statistic: 'Sum',
      minutes: [3, 15],
      bad: 'any',
      route: 'NeedsYou',
    },
  };
  const { CostLimitReached, ...others } = alarms;
  return costLimits ? alarms : others;
};

const SHARED: Pick<AlarmSettings, 'minutes' | 'bad'> = { minutes: [3, 5], bad: 'any' };

/** The alarms of the stack, which concern all fleets. */
export const STACK_ALARMS = {
  ExecutionsFailed: {
    heading: 'Executions Failed',
    wrong:
      'In 3 of the last 5 minutes, executions failed because of CircleCI, AWS or the autoscaler itself. Fleets do not follow their queues.',
    route: 'Outage',
    ...SHARED,
  },
  ExecutionsTimedOut: {
    heading: 'Executions Timed Out',
    wrong:
      'Executions of the workflow timed out in 3 of the last 5 minutes, although polls are planned to end in time. Fleets may not follow their queues.',
    route: 'Outage',
    ...SHARED,
  },
  ExecutionsThrottled: {
    heading: 'Executions Throttled',
    wrong:
      'Step Functions throttled the start of executions in 3 of the last 5 minutes: the account is at a limit. Fleets follow their queues late.',
    route: 'Outage',
    ...SHARED,
  },
  DeliveryFailing: {
    heading: 'Delivery Failing',
    wrong:
      'Schedules could not start the workflow in 3 of the last 5 minutes. Fleets do not follow their queues. The dead-letter queue has the failed events.',
    route: 'Outage',
    ...SHARED,
  },
  ReconcileFailed: {
    heading: 'Reconcile Failed',
    wrong:
      'In 3 of the last 60 minutes, an execution that looks for what fleets leave behind failed. Jobs are not affected. An instance that nobody needs may stay unnoticed.',
    route: 'direct',
    // Each fleet has one execution every 10 minutes.
    minutes: [3, 60],
    bad: 'any',
  },
} satisfies Record<Exclude<keyof typeof FIRST_STEPS, 'Outage'>, AlarmSettings>;

export type StackAlarm = keyof typeof STACK_ALARMS;

/**
 * The metric that says of each failure of all fleets that is counted whether it is an outage (1) or not (0), and the
 * dimension that names the stack.
 */
export const OUTAGE_FAILURES = { metric: 'OutageFailures', dimension: 'Stack' } as const;

/**
 * How many such failures a minute are bad for an alarm of the stack. With hundreds of fleets, single failures come in many
 * minutes. And one fleet that fails on its own, perhaps for weeks, must not hold Outage in alarm, because the next outage
 * would then notify nobody: that fleet has `NotRunning`.
 */
export const badOutageFailures = (fleets: number): number =>
  fleets === 1 ? 1 : Math.max(2, Math.ceil(fleets / 100));

/** The value from which a minute of an alarm of the stack is bad. */
export const badFrom = (kind: StackAlarm, fleets: number): number =>
  STACK_ALARMS[kind].route === 'Outage' ? badOutageFailures(fleets) : 1;
