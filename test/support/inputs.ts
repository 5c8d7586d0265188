import * as z from 'zod';
import type { PollHistory } from '../../functions/lib/claims.ts';
import {
  type Activities,
  CountInput,
  type DeployedSettings,
  type Plan,
  Poll,
  type PollSettings,
} from '../../functions/lib/contracts.ts';
import type { SettingsReader } from '../../functions/lib/settings.ts';

/** The contracts as the workflow's JSON has them, where times are text. */
export type PollJson = z.input<typeof Poll>;
export type CountInputJson = z.input<typeof CountInput>;
export type ActivitiesJson = z.input<typeof Activities>;
export type PlanJson = z.input<typeof Plan>;

/** When the executions of the tests start, unless a test says otherwise. */
export const EXECUTION_START = Date.parse('2026-01-05T08:00:00Z');

/** The time this many seconds after the execution's start, as the workflow writes it. */
export const secondsIn = (seconds: number, start = EXECUTION_START) =>
  new Date(start + seconds * 1_000).toISOString();

/** The first poll of an execution. */
export function firstPoll(changes: Partial<PollJson> = {}): PollJson {
  return { number: 1, executionStartedAt: secondsIn(0), dueAt: secondsIn(0), timeoutSeconds: 8, ...changes };
}

/** The same, as the functions read it. */
export const parsedPoll = (changes: Partial<PollJson> = {}): Poll => z.parse(Poll, firstPoll(changes));

/** The settings of polls every 5 seconds that begin with the execution. */
export const POLL_SETTINGS: PollSettings = {
  capacity: { minReplicas: 0, maxReplicas: 10 },
  pollIntervalSeconds: 5,
  quietPollIntervalSeconds: 30,
  onDemandPercentage: 100,
  executionStartedAt: EXECUTION_START,
};

/** What the polls before have seen of a fleet for whose runners three tasks wait. */
export const pollHistory = (changes: Partial<PollHistory> = {}): PollHistory => ({
  unclaimed: 3,
  running: 0,
  claimed: 0,
  waiting: true,
  idle: false,
  idlePolls: 0,
  mostRunning: changes.running ?? 0,
  ...changes,
});

/** What each step is given. */
export const TASK = { fleet: 'linux', execution: 'linux-1', settings: { version: 1 } };

/** A group without instances, as a poll reads it. */
export const EMPTY_GROUP = {
  desired: 0,
  members: { pending: 0, inService: 0, leaving: 0, standby: 0 },
  launchProcess: { suspended: false, byBreaker: false },
  paused: 'false',
} as const;

/** A fleet's settings, as the deployment writes them. */
export function deployedSettings(changes: Partial<DeployedSettings> = {}): DeployedSettings {
  return {
    resourceClass: 'acme/linux',
    circleciUrl: 'https://runner.circleci.com',
    scalerSecretName: 'circleci-runner-autoscaler/linux/scaler',
    groupName: 'circleci-runner-autoscaler-linux',
    alarmTopicArn: 'arn:aws:sns:eu-west-1:000000000000:alarms',
    capacity: { minReplicas: 0, maxReplicas: 10 },
    pollIntervalSeconds: 5,
    quietPollIntervalSeconds: 60,
    breakerFailures: 3,
    breakerWindowSeconds: 900,
    onDemandPercentage: 100,
    warmPoolAuto: false,
    ...changes,
  };
}

/** Reads these settings, of whatever fleet and version. */
export const readerOf = (settings: () => DeployedSettings): SettingsReader => ({
  latest: async () => ({ ...settings(), version: 1 }),
  of: async () => settings(),
});

/** What a counting step is asked. */
export function countInput(changes: Partial<CountInputJson> = {}): CountInputJson {
  return {
    ...TASK,
    poll: { number: 1, executionStartedAt: secondsIn(0), timeoutSeconds: 8 },
    ...changes,
  };
}

/** The same, as the functions read it. */
export const parsedCountInput = (changes: Partial<CountInputJson> = {}): CountInput =>
  z.parse(CountInput, countInput(changes));

/** What Describe Activities says of a group that launched its last instance a minute ago, and well. */
export function activities(changes: Partial<ActivitiesJson> = {}): ActivitiesJson {
  return {
    lastAt: secondsIn(-60),
    failedLaunches: 0,
    cameInService: 0,
    breaker: { open: false },
    ...changes,
  };
}

/** The breaker as Describe Activities opens it, with its canary due in this many seconds. */
export function openBreaker(canaryInSeconds: number): Extract<ActivitiesJson['breaker'], { open: true }> {
  return {
    open: true,
    isNew: false,
    failures: 3,
    kind: 'boot',
    reason: 'Lifecycle Action was abandoned: Heartbeat Timeout',
    canaryAt: secondsIn(canaryInSeconds),
  };
}
