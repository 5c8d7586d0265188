import { AutoScalingClient, DescribeLifecycleHooksCommand } from '@aws-sdk/client-auto-scaling';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { GetScheduleCommand, SchedulerClient } from '@aws-sdk/client-scheduler';
import { ListSubscriptionsByTopicCommand, SNSClient } from '@aws-sdk/client-sns';
import { deployedSettingsOf } from '../../fleets/deployed-settings.ts';
import type { FleetConfig } from '../../fleets/load.ts';
import { adviceAboutUndeclared, faultsWithUndeclared, undeclaredFleets } from '../../fleets/undeclared.ts';
import type { DeployedSettings } from '../../functions/lib/contracts.ts';
import { largestMaximum } from '../../functions/lib/schedules.ts';
import { RESTORE } from '../../statemachine/first-steps.ts';
import { AWS_CLIENT } from '../aws/client.ts';
import { readSetup } from '../aws/place.ts';
import { type AwaitingRecord, awaitingNow, failureNow, readAwaiting } from '../deployed/awaiting.ts';
import { type DecisionRecord, readDecisions } from '../deployed/decisions.ts';
import { type FleetGroup, fleetsWithoutGroup, newGroupAge } from '../deployed/groups.ts';
import { ownAlarms, shortTime } from '../status/fleet-status.ts';
import { ringingAlarms } from '../status/reads.ts';
import { bad, type Check, type CheckContext, type Finding, ok } from './check.ts';

const DEPLOY = 'npx cdk deploy --all';

/** Processes that are suspended on purpose: a deployment suspends AZRebalance. */
const MEANT = ['AZRebalance'];

/** What a group has that a deployment did not give it, or lacks. */
export function groupFindings(
  { fleet, group, maxSize, suspended, paused, breakerOpen, suspendedForDrain, described }: FleetGroup,
  settings: DeployedSettings | undefined,
  hooks: string[],
): Finding[] {
  const wanted = settings && largestMaximum(settings.capacity);
  const others = suspended.filter(
    ({ process }) =>
      !MEANT.includes(process) && !(process === 'Launch' && (breakerOpen || suspendedForDrain)),
  );
  const template =
    described.LaunchTemplate ?? described.MixedInstancesPolicy?.LaunchTemplate?.LaunchTemplateSpecification;
  const version = template?.Version ?? 'none';
  const findings: Finding[] = [
    ...(hooks.includes('launch')
      ? []
      : [
          bad(
            'fail',
            `${group} has no lifecycle hook "launch", so boots that fail are not noticed`,
            DEPLOY,
            fleet,
          ),
        ]),
    ...others.map(({ process, reason }) =>
      bad(
        'warn',
        `the process ${process} of ${group} is suspended${reason === '' ? '' : `: ${reason}`}`,
        `aws autoscaling resume-processes --auto-scaling-group-name ${group} --scaling-processes ${process}`,
        fleet,
      ),
    ),
    ...(paused === undefined
      ? []
      : [
          bad(
            'warn',
            `the fleet ${paused.how === 'drain' ? 'drains' : 'is paused'}${suspendedForDrain ? ', and its Launch process is suspended for the drain' : ''}`,
            `npm run resume -- ${fleet}`,
            fleet,
          ),
        ]),
    ...(suspendedForDrain && paused === undefined
      ? [
          bad(
            'warn',
            'the fleet drained, and its Launch process is still suspended. The next poll resumes it',
            `npm run explain -- ${fleet}`,
            fleet,
          ),
        ]
      : []),
    ...(breakerOpen
      ? [bad('fail', 'the breaker is open, because launches fail', `npm run explain -- ${fleet}`, fleet)]
      : []),
    ...(wanted === undefined || maxSize >= wanted
      ? []
      : [
          bad(
            'fail',
            `the maximum size of ${group} is ${maxSize}, below maxReplicas (${wanted})`,
            DEPLOY,
            fleet,
          ),
        ]),
    ...(/^\d+$/.test(version)
      ? []
      : [
          bad(
            'warn',
            `${group} must launch from a numbered version of its launch template, got ${version}`,
            RESTORE,
            fleet,
          ),
        ]),
  ];
  return findings.length === 0 ? [ok('its group is as it was deployed', fleet)] : findings;
}

export const groups: Check = {
  name: 'group',
  run: async ({ groups, settings }) => {
    const gone = fleetsWithoutGroup(settings, groups).map((fleet) =>
      bad('fail', 'its Auto Scaling group is gone, so each execution fails', RESTORE, fleet),
    );
    const client = new AutoScalingClient(AWS_CLIENT);
    const findings = groups.map(async (group) => {
      const { LifecycleHooks = [] } = await client.send(
        new DescribeLifecycleHooksCommand({ AutoScalingGroupName: group.group }),
      );
      const hooks = LifecycleHooks.flatMap(({ LifecycleHookName }) => LifecycleHookName ?? []);
      return groupFindings(group, settings.get(group.fleet), hooks);
    });
    return [...gone, ...(await Promise.all(findings)).flat()];
  },
};

/** Compares what the functions read with what the file would deploy. */
export function settingsFindings(
  app: string,
  fleet: FleetConfig,
  deployed: DeployedSettings | undefined,
): Finding[] {
  const { name } = fleet;
  if (deployed === undefined) return [bad('warn', 'it is in fleets.yaml, and not deployed', DEPLOY, name)];
  const wanted = deployedSettingsOf(app, fleet);
  const pairs: [string, unknown, unknown][] = [
    ['resourceClass', wanted.resourceClass, deployed.resourceClass],
    ['circleciUrl', wanted.circleciUrl, deployed.circleciUrl],
    ['pollInterval', wanted.pollIntervalSeconds, deployed.pollIntervalSeconds],
    ['quietPollInterval', wanted.quietPollIntervalSeconds, deployed.quietPollIntervalSeconds],
    ['breaker.failures', wanted.breakerFailures, deployed.breakerFailures],
    ['breaker.window', wanted.breakerWindowSeconds, deployed.breakerWindowSeconds],
    ['spot', wanted.onDemandPercentage, deployed.onDemandPercentage],
    ['warmPool', wanted.warmPoolAuto, deployed.warmPoolAuto],
    ['reconcile', wanted.reconcile, deployed.reconcile],
    ['concurrency', wanted.concurrency, deployed.concurrency],
    ...differencesOf(wanted.capacity, deployed.capacity),
  ];
  const different = pairs.filter(([, file, is]) => canonical(file) !== canonical(is)).map(([key]) => key);
  return different.length === 0
    ? [ok('the deployed settings are those of fleets.yaml', name)]
    : [bad('warn', `fleets.yaml differs from what is deployed: ${different.join(', ')}`, DEPLOY, name)];
}

const differencesOf = (file: object, deployed: object): [string, unknown, unknown][] => {
  const [one, other] = [new Map(Object.entries(file)), new Map(Object.entries(deployed))];
  return [...new Set([...one.keys(), ...other.keys()])].map((key) => [key, one.get(key), other.get(key)]);
};

/** As JSON, with keys in one order; an empty list is none. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'undefined' : `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) return `${JSON.stringify(value)}`;
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return `{${entries
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, each]) => `${key}:${canonical(each)}`)
    .join()}}`;
}

export const settings: Check = {
  name: 'settings',
  run: async ({ app, fleets, settings: deployed }) =>
    fleets.flatMap((fleet) => settingsFindings(app, fleet, deployed.get(fleet.name))),
};

/**
 * @param inFile The names of all fleets of fleets.yaml.
 * @param endpoint `AWS_ENDPOINT_URL`: the fleets of an emulator end with it.
 */
export function undeclaredFindings(
  app: string,
  deployed: string[],
  inFile: string[],
  endpoint?: string,
): Finding[] {
  const found = undeclaredFleets(
    deployed.map((fleet) => ({ fleet })),
    inFile,
  ).map(({ fleet }) =>
    bad(
      'warn',
      'it is deployed, and fleets.yaml does not have it; it keeps running',
      endpoint === undefined
        ? adviceAboutUndeclared(app, fleet)
        : `nothing, if ${endpoint} is an emulator of AWS, with which the fleet ends. Otherwise: ${adviceAboutUndeclared(app, fleet)}`,
      fleet,
    ),
  );
  return found.length === 0 ? [ok('fleets.yaml has every deployed fleet')] : found;
}

/** What such fleets and those of the file are together, and the file alone must not be. */
export function togetherFindings({
  app,
  fleets,
  groups,
  settings,
}: Pick<CheckContext, 'app' | 'fleets' | 'groups' | 'settings'>): Finding[] {
  const undeclared = undeclaredFleets(
    groups,
    fleets.map(({ name }) => name),
  ).map(({ fleet, maxSize, paused }) => ({
    fleet,
    instances: maxSize,
    draining: paused?.how === 'drain',
    settings: settings.get(fleet),
  }));
  return faultsWithUndeclared(app, fleets, undeclared).map((fault) =>
    bad('fail', fault, 'docs/operations.md#remove-a-fleet-or-everything'),
  );
}

export const undeclared: Check = {
  name: 'file',
  run: async ({ app, groups, inFile, fleets, settings }) => {
    if (inFile === undefined || groups.length === 0) return [];
    const names = groups.map(({ fleet }) => fleet);
    return [
      ...undeclaredFindings(app, names, inFile, readSetup(process.env).endpoint),
      // If one fleet is asked for, the others are not here.
      ...(fleets.length === inFile.length ? togetherFindings({ app, fleets, groups, settings }) : []),
    ];
  },
};

export function scheduleFindings(fleet: string, state: string | undefined): Finding[] {
  if (state === 'ENABLED') return [ok('its schedule is enabled', fleet)];
  return [
    state === undefined
      ? bad('fail', 'it has no schedule, so nothing polls', DEPLOY, fleet)
      : bad(
          'fail',
          `its schedule is ${state.toLowerCase()}, so nothing polls`,
          'enable it in EventBridge Scheduler',
          fleet,
        ),
  ];
}

export const schedules: Check = {
  name: 'schedule',
  run: async ({ app, groups }) => {
    const client = new SchedulerClient(AWS_CLIENT);
    const findings = groups.map(async ({ fleet, group }) => {
      const found = await client
        .send(new GetScheduleCommand({ GroupName: app, Name: group }))
        .catch((error) => {
          if ((error as Error).name === 'ResourceNotFoundException') return { State: undefined };
          throw error;
        });
      return scheduleFindings(fleet, found.State);
    });
    return (await Promise.all(findings)).flat();
  },
};

/** A fleet is polled at least once a minute, and logs arrive seconds later. */
const SILENT_SECONDS = 150;

/** Errors of a secret that go away when the tokens are stored again. */
const STORED_AGAIN = ['SecretMalformed', 'SecretMismatch', 'SecretNotFound', 'SecretUnset'];

/** @param seen.age How old the fleet is, in seconds, if its first execution may not have happened yet. */
export function pollFindings(
  fleet: string,
  {
    decisions,
    awaiting,
    age,
  }: { decisions: DecisionRecord[]; awaiting: AwaitingRecord[]; age?: number | undefined },
  now: number,
): Finding[] {
  const failure = failureNow(fleet, { awaiting, decisions });
  if (failure !== undefined)
    return [
      bad(
        'fail',
        `nothing is polled, because executions fail: ${failure.name}: ${failure.message}`,
        STORED_AGAIN.includes(failure.name) ? `npm run secrets -- ${fleet}` : `npm run explain -- ${fleet}`,
        fleet,
      ),
    ];
  if (awaitingNow(fleet, { awaiting, decisions }) !== undefined)
    return [
      bad(
        'warn',
        'nothing is polled, because the fleet waits for its tokens',
        `npm run secrets -- ${fleet}`,
        fleet,
      ),
    ];
  const last = decisions.findLast((decision) => decision.fleet === fleet);
  if (last === undefined && age !== undefined)
    return [
      bad(
        'warn',
        `its first execution is due: its group was made ${shortTime(age)} ago, and the schedule starts one every minute`,
        `in a few minutes: npm run doctor -- ${fleet}`,
        fleet,
      ),
    ];
  if (last === undefined)
    return [
      bad('fail', `no poll succeeded in the last ${SILENT_SECONDS} s`, `npm run explain -- ${fleet}`, fleet),
    ];
  const doubt = last.decision.reasons.find((reason) => reason.startsWith('the counts are doubtful'));
  return doubt === undefined
    ? [ok(`the last good poll was ${shortTime(Math.max((now - last.at) / 1_000, 0))} ago`, fleet)]
    : [bad('warn', doubt, 'docs/operations.md#counts-doubtful', fleet)];
}

export const polls: Check = {
  name: 'polls',
  run: async ({ app, groups, now }) => {
    if (groups.length === 0) return [];
    const logs = new CloudWatchLogsClient(AWS_CLIENT);
    const from = now - SILENT_SECONDS * 1_000;
    const recent = { app, from, to: now + SILENT_SECONDS * 1_000 };
    const [decisions, awaiting] = await Promise.all([
      readDecisions(recent, logs),
      readAwaiting(recent, logs),
    ]);
    return groups.flatMap((group) =>
      pollFindings(group.fleet, { decisions, awaiting, age: newGroupAge(group, now) }, now),
    );
  },
};

export function alarmFindings(fleet: string, alarms: string[]): Finding[] {
  return alarms.length === 0
    ? [ok('no alarm rings', fleet)]
    : [bad('fail', `alarms ring: ${alarms.join(', ')}`, 'docs/operations.md has a section for each', fleet)];
}

export const alarms: Check = {
  name: 'alarms',
  run: async ({ app, groups }) => {
    if (groups.length === 0) return [];
    const ringing = await ringingAlarms(app, new CloudWatchClient(AWS_CLIENT));
    return groups.flatMap(({ fleet }) => alarmFindings(fleet, ownAlarms(app, fleet, ringing)));
  },
};

/** @param subscriptions The ARN of each; SNS says `PendingConfirmation` of one that nobody confirmed. */
export function topicFindings(topic: string, subscriptions: string[]): Finding[] {
  const name = topic.split(':').at(-1) ?? topic;
  const pending = subscriptions.filter((arn) => arn === 'PendingConfirmation').length;
  if (subscriptions.length === 0)
    return [
      bad(
        'warn',
        `nobody is subscribed to ${name}, so alarms notify nobody`,
        'set alarmEmail in fleets.yaml',
      ),
    ];
  return pending === 0
    ? [ok(`${subscriptions.length} subscribed to ${name}`)]
    : [
        bad(
          'warn',
          `${pending} of ${subscriptions.length} subscriptions to ${name} are not confirmed`,
          'open the link in the mail from AWS',
        ),
      ];
}

export const topics: Check = {
  name: 'notifications',
  run: async ({ settings: deployed }) => {
    const client = new SNSClient(AWS_CLIENT);
    const arns = [...new Set([...deployed.values()].map(({ alarmTopicArn }) => alarmTopicArn))];
    const findings = arns.map(async (TopicArn) => {
      const { Subscriptions = [] } = await client.send(new ListSubscriptionsByTopicCommand({ TopicArn }));
      return topicFindings(
        TopicArn,
        Subscriptions.flatMap(({ SubscriptionArn }) => SubscriptionArn ?? []),
      );
    });
    return (await Promise.all(findings)).flat();
  },
};
