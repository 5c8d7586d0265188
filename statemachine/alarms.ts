import type { FleetConfig } from '../fleets/load.ts';
import type { MetricName } from '../functions/lib/metrics.ts';
import { FAILURES, type Failure } from './failures.ts';

/** The alarms over the workflow's metrics, as plain values: infra/ deploys them, the sandbox evaluates them. */

/** A metric that the workflow or its functions publish for a fleet. */
export type FleetMetric = Failure | MetricName;

/**
 * Which alarm notifies you: the fleet's composite alarm `NeedsYou`; the composite alarm `Outage`; `Outage` unless a
 * `NeedsYou` explains it (the fleet's, or any fleet's for an alarm of the stack); or the alarm itself. So one cause
 * sends one notification.
 */
export type AlarmRoute = 'NeedsYou' | 'Outage' | 'Outage if unexplained' | 'direct';

export interface AlarmSettings {
  /** Of its part of docs/operations.md. */
  heading: string;
  /** What is wrong, in the words of who operates the fleet. */
  wrong: string;
  /** It rings when so many of so many minutes are bad. */
  minutes: [bad: number, of: number];
  /** What a bad minute is. */
  bad: 'any' | 'none';
  route: AlarmRoute;
}

export interface FleetAlarmSettings extends AlarmSettings {
  metric: FleetMetric;
  statistic: 'Sum' | 'Maximum' | 'SampleCount';
}

const UNFOLLOWED = 'so the fleet does not follow its queue. Capacity stays as it was.';

/** One bad minute is not a page; three of five are. */
const failing = (metric: Failure, wrong: string, route: AlarmRoute): FleetAlarmSettings => ({
  heading: FAILURES[metric],
  wrong: `${wrong} in 3 of the last 5 minutes, ${UNFOLLOWED}`,
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
}: FleetConfig): Record<string, FleetAlarmSettings> => {
  const starvingMinutes = Math.ceil(starvingAfter / 60);
  const maxima = new Set([maxReplicas, ...schedules.map((schedule) => schedule.maxReplicas ?? maxReplicas)]);
  const maximum = `maxReplicas (${[...maxima].join(' or, by schedule, ')})`;
  return {
    NotRunning: {
      heading: 'Scaler Not Running',
      wrong: `no poll has come to a good end in 5 minutes, ${UNFOLLOWED}`,
      metric: 'PollDuration',
      statistic: 'SampleCount',
      minutes: [5, 5],
      bad: 'none',
      route: 'Outage if unexplained',
    },
    SecretsUnreadable: failing(
      'SecretsUnreadable',
      'the scaler secret cannot be read, or is not whole,',
      'NeedsYou',
    ),
    CircleCiRefuses: failing(
      'CircleCiRefuses',
      'CircleCI refuses the token or the resource class',
      'NeedsYou',
    ),
    CircleCiUnavailable: failing(
      'CircleCiUnavailable',
      'CircleCI cannot be reached, or answers with no counts,',
      'Outage',
    ),
    GroupUnreadable: failing('GroupUnreadable', 'the Auto Scaling group cannot be read', 'NeedsYou'),
    DecisionInvalid: failing(
      'DecisionInvalid',
      'the workflow and its functions do not understand each other',
      'NeedsYou',
    ),
    GroupUpdateRefused: failing(
      'GroupUpdateRefused',
      'EC2 Auto Scaling refuses to change the desired capacity',
      'NeedsYou',
    ),
    ExecutionOverTime: failing(
      'ExecutionOverTime',
      'a step did not end in the time that its execution had for it',
      'Outage',
    ),
    StepBroken: failing('StepBroken', 'a step broke, or Lambda could not run it,', 'Outage'),
    Starving: {
      heading: 'Starving',
      wrong: `tasks have waited for ${starvingMinutes} minutes without one being claimed: instances do not come, or come and take no tasks.`,
      metric: 'Starving',
      statistic: 'Maximum',
      // One datum comes of each execution, and may slip into the next minute.
      minutes: [starvingMinutes - 1, starvingMinutes],
      bad: 'any',
      route: 'NeedsYou',
    },
    Saturated: {
      heading: 'Saturated',
      wrong: `tasks wait while all instances that ${maximum} allows work, for 10 minutes: jobs queue behind each other.`,
      metric: 'AtMaximum',
      statistic: 'Maximum',
      minutes: [9, 10],
      bad: 'any',
      route: 'direct',
    },
    BreakerOpen: {
      heading: 'Breaker Open',
      wrong: `launches failed without a success between them (${breaker.failures} open the breaker), so nothing launches but one instance now and then, to try. Jobs queue.`,
      metric: 'BreakerOpen',
      statistic: 'Maximum',
      minutes: [1, 3],
      bad: 'any',
      route: 'NeedsYou',
    },
    ZoneUnusable: {
      heading: 'Zone Unusable',
      wrong:
        'EC2 refused launches in the last hour because a zone never has the instance type. Other zones launch in its place.',
      metric: 'PlacementRefusals',
      statistic: 'Sum',
      // Told once: it rings until an hour has passed without one.
      minutes: [1, 60],
      bad: 'any',
      route: 'direct',
    },
    SpotUnavailable: {
      heading: 'Spot Unavailable',
      wrong:
        'EC2 has had no Spot capacity for the fleet for 2 hours, so On-Demand instances run in its place. Jobs run; they cost more.',
      metric: 'SpotFallback',
      statistic: 'Maximum',
      minutes: [110, 120],
      bad: 'any',
      route: 'direct',
    },
    MaximumSizeTooSmall: {
      heading: 'Maximum Size Too Small',
      wrong: `somebody lowered the maximum size of the Auto Scaling group below ${maximum}, and tasks wait for it.`,
      metric: 'MaximumSizeTooSmall',
      statistic: 'Maximum',
      minutes: [3, 5],
      bad: 'any',
      route: 'NeedsYou',
    },
    LaunchesFailing: {
      heading: 'Launches Failing',
      wrong:
        'launches failed in 3 of the last 15 minutes: EC2 refuses them, or instances do not come up. Jobs queue longer.',
      metric: 'FailedLaunches',
      statistic: 'Sum',
      minutes: [3, 15],
      bad: 'any',
      route: 'NeedsYou',
    },
  };
};

const SHARED: Pick<AlarmSettings, 'minutes' | 'bad'> = { minutes: [3, 5], bad: 'any' };

/** The alarms of what all fleets share. */
export const STACK_ALARMS = {
  ExecutionsFailed: {
    heading: 'Executions Failed',
    wrong: 'Executions of the workflow failed in 4 of the last 5 minutes: fleets do not follow their queues.',
    route: 'Outage if unexplained',
    // One minute after what explains it, which would otherwise race it.
    minutes: [4, 5],
    bad: 'any',
  },
  ExecutionsTimedOut: {
    heading: 'Executions Timed Out',
    wrong:
      'Executions of the workflow ran out of time in 3 of the last 5 minutes, which the plan of the polls should rule out.',
    route: 'Outage',
    ...SHARED,
  },
  ExecutionsThrottled: {
    heading: 'Executions Throttled',
    wrong:
      'Step Functions throttled the start of executions in 3 of the last 5 minutes: the account is at a limit, and fleets follow their queues late.',
    route: 'Outage',
    ...SHARED,
  },
  DeliveryFailing: {
    heading: 'Delivery Failing',
    wrong:
      'Schedules could not start the workflow in 3 of the last 5 minutes: fleets do not follow their queues. What they meant to start is in the dead-letter queue.',
    route: 'Outage',
    ...SHARED,
  },
} satisfies Record<string, AlarmSettings>;

export type StackAlarm = keyof typeof STACK_ALARMS;
