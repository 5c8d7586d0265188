import { AutoScalingClient, paginateDescribeWarmPool } from '@aws-sdk/client-auto-scaling';
import { CloudWatchClient, paginateDescribeAlarms, paginateGetMetricData } from '@aws-sdk/client-cloudwatch';
import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { EC2Client } from '@aws-sdk/client-ec2';
import { ImagebuilderClient } from '@aws-sdk/client-imagebuilder';
import { SSMClient } from '@aws-sdk/client-ssm';
import type { DeployedSettings } from '../../functions/lib/contracts.ts';
import { instancesById } from '../../functions/lib/ec2-instances.ts';
import type { ListedRunner } from '../../functions/lib/inventory.ts';
import { partialReads } from '../../functions/lib/partial-reads.ts';
import { AWS_CLIENT } from '../aws/client.ts';
import { type AwaitingRecord, readAwaiting } from '../deployed/awaiting.ts';
import { type BootTimes, readBootTimes } from '../deployed/boots.ts';
import { type DecisionRecord, readDecisions } from '../deployed/decisions.ts';
import { type FleetGroup, fleetGroups, type PoolInstance } from '../deployed/groups.ts';
import { type FleetImage, pipelineOf, readBuiltImage } from '../deployed/images.ts';
import { readParameters, type SettingsParameter, settingsIn } from '../deployed/settings.ts';
import { readRunners } from './runners.ts';

/** All that is read of an app for its status. What AWS did not give is left out, and named in `missing`. */
export interface StatusReading {
  groups: FleetGroup[];
  /** The instances of the warm pools that were asked for, by group. */
  pools: Map<string, PoolInstance[]>;
  /** When each instance was launched, in milliseconds since the epoch. */
  launchedAt: Map<string, number>;
  decisions: DecisionRecord[];
  /** Executions that waited for the tokens of their fleet. */
  awaiting: AwaitingRecord[];
  /** The names of the alarms that ring. */
  alarms: string[];
  settings: Map<string, DeployedSettings>;
  /** Instance-hours since the beginning of the month in UTC, by group. */
  hours: Map<string, number>;
  /** How long the boots of the last day took, of the fleet that was asked for. */
  boots: Map<string, BootTimes>;
  /** The image of the fleet that was asked for, if it is built. */
  images: Map<string, FleetImage>;
  /** The runners that CircleCI lists of the fleet that was asked for; without an entry, they were not read. */
  runners: Map<string, ListedRunner[]>;
  /** What could not be read, with the reason. */
  missing: string[];
}

/** How far back the last decision of a fleet may be: a fleet is polled once a minute at least, and logs arrive late. */
const DECISIONS_MILLISECONDS = 150_000;

/** What the last decisions are called in `missing`. */
export const LAST_DECISIONS = 'the last decisions';

/** What the runners of a fleet are called in `missing`. */
const RUNNERS = 'what each runner does';

/** How long all reads may take, in milliseconds. */
const DEADLINE = 10_000;

/** The largest query: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html */
const QUERIES = 100;

const HOUR = 3_600_000;

const clients = () => ({
  autoScaling: new AutoScalingClient(AWS_CLIENT),
  cloudWatch: new CloudWatchClient(AWS_CLIENT),
  ec2: new EC2Client(AWS_CLIENT),
  imageBuilder: new ImagebuilderClient(AWS_CLIENT),
  logs: new CloudWatchLogsClient(AWS_CLIENT),
  ssm: new SSMClient(AWS_CLIENT),
});

/**
 * Reads the status of an app, with one call for about 50 fleets of each kind, but Systems Manager returns ten parameters
 * a call.
 *
 * @param options.fleet Only that fleet.
 * @param options.poolsOf Also the instances of the warm pool of that fleet, or of `all`: a call for each pool that has any.
 * @param options.detailsOf Also the times of the boots of that fleet, its image, and its runners if a member is in service.
 * @param options.hours Instance-hours that were read before. They cost a request for each metric, and change slowly.
 * @param options.boots The same of the times of boots.
 * @param options.images The same of the image.
 */
export async function readStatus(
  app: string,
  now: number,
  {
    fleet,
    poolsOf,
    detailsOf,
    hours,
    boots,
    images,
  }: {
    fleet?: string | undefined;
    poolsOf?: { fleet: string } | 'all' | undefined;
    detailsOf?: string | undefined;
    hours?: StatusReading['hours'] | undefined;
    boots?: StatusReading['boots'] | undefined;
    images?: StatusReading['images'] | undefined;
  } = {},
): Promise<StatusReading> {
  const { autoScaling, cloudWatch, ec2, imageBuilder, logs, ssm } = clients();
  const signal = AbortSignal.timeout(DEADLINE);
  const { missing, unless } = partialReads();
  const groupsRead = fleetGroups(app, autoScaling).then((all) =>
    all.filter((group) => fleet === undefined || group.fleet === fleet),
  );
  const recent = {
    app,
    from: now - DECISIONS_MILLISECONDS,
    to: now + HOUR,
    ...(fleet !== undefined && { fleet }),
  };
  const decisionsRead = unless(LAST_DECISIONS, [], readDecisions(recent, logs, signal));
  const parametersRead = unless('the settings', [], readParameters(app, ssm));
  const settingsRead = parametersRead.then(settingsIn);
  const poolsRead = groupsRead.then((found) => {
    const chosen = found.filter((each) => poolsOf === 'all' || poolsOf?.fleet === each.fleet);
    return unless('the warm pool', new Map(), poolInstances(chosen, autoScaling));
  });
  const [
    groups,
    pools,
    decisions,
    awaiting,
    alarms,
    settings,
    launchedAt,
    monthHours,
    bootTimes,
    builtImages,
    runners,
  ] = await Promise.all([
    groupsRead,
    poolsRead,
    decisionsRead,
    // Always: a fleet whose executions begin to fail has decided something a minute ago.
    unless('what fleets wait for', [], readAwaiting(recent, logs, signal)),
    unless('the alarms', [], ringingAlarms(app, cloudWatch)),
    settingsRead,
    Promise.all([groupsRead, poolsRead]).then(([found, pooled]) => {
      const all = [...found.flatMap(({ members }) => members), ...[...pooled.values()].flat()];
      return unless('the instances', new Map(), launchTimes(all, ec2));
    }),
    hours ?? groupsRead.then((found) => unless('the cost', new Map(), instanceHours(found, now, cloudWatch))),
    boots ?? unless('the boots', new Map(), bootsOfDay(app, detailsOf, now, cloudWatch)),
    images ??
      parametersRead.then((found) => {
        const own = found.find(({ fleet: name }) => name === detailsOf);
        return unless('the image', new Map(), imageOf(app, own, { ssm, imageBuilder }));
      }),
    Promise.all([groupsRead, settingsRead]).then(
      async ([found, deployed]): Promise<StatusReading['runners']> => {
        const group = found.find((each) => each.fleet === detailsOf);
        const own = deployed.get(detailsOf ?? '');
        if (own === undefined || !group?.members.some(({ kind }) => kind === 'inService')) return new Map();
        const read = await readRunners(own);
        if ('runners' in read) return new Map([[group.fleet, read.runners]]);
        missing.push(`${RUNNERS} (${read.missing})`);
        return new Map();
      },
    ),
  ]);
  return {
    groups,
    pools,
    decisions,
    awaiting,
    alarms,
    settings,
    launchedAt,
    hours: monthHours,
    boots: bootTimes,
    images: builtImages,
    runners,
    missing,
  };
}

async function bootsOfDay(
  app: string,
  fleet: string | undefined,
  now: number,
  client: CloudWatchClient,
): Promise<StatusReading['boots']> {
  if (fleet === undefined) return new Map();
  return new Map([[fleet, await readBootTimes(app, fleet, { from: now - 24 * HOUR, to: now }, client)]]);
}

async function imageOf(
  app: string,
  parameter: SettingsParameter | undefined,
  clients: Parameters<typeof readBuiltImage>[3],
): Promise<StatusReading['images']> {
  const pipeline = parameter && pipelineOf(parameter);
  if (parameter === undefined || pipeline === undefined) return new Map();
  const image = await readBuiltImage(app, parameter.fleet, pipeline, clients);
  return new Map(image && [[parameter.fleet, image]]);
}

export async function ringingAlarms(app: string, client: CloudWatchClient): Promise<string[]> {
  const names: string[] = [];
  const asked = {
    AlarmNamePrefix: `${app}-`,
    StateValue: 'ALARM' as const,
    AlarmTypes: ['MetricAlarm' as const, 'CompositeAlarm' as const],
    MaxRecords: 100,
  };
  for await (const { MetricAlarms = [], CompositeAlarms = [] } of paginateDescribeAlarms({ client }, asked)) {
    for (const { AlarmName = '', StateValue } of [...CompositeAlarms, ...MetricAlarms]) {
      // Emulators may not filter.
      if (StateValue === 'ALARM' && AlarmName.startsWith(`${app}-`)) names.push(AlarmName);
    }
  }
  return names;
}

async function poolInstances(
  groups: FleetGroup[],
  client: AutoScalingClient,
): Promise<StatusReading['pools']> {
  const reads = groups.map(async ({ group, warmPoolSize }): Promise<[string, PoolInstance[]]> => {
    const found: PoolInstance[] = [];
    if (!warmPoolSize) return [group, found];
    for await (const { Instances = [] } of paginateDescribeWarmPool(
      { client },
      { AutoScalingGroupName: group },
    ))
      for (const { InstanceId: instance = '', LifecycleState: lifecycleState = '' } of Instances)
        found.push({ instance, lifecycleState });
    return [group, found];
  });
  return new Map(await Promise.all(reads));
}

export async function launchTimes(
  instances: readonly { instance: string }[],
  client: EC2Client,
): Promise<Map<string, number>> {
  const ids = instances.map(({ instance }) => instance);
  const times = new Map<string, number>();
  for (const { InstanceId = '', LaunchTime } of await instancesById(client, ids))
    if (LaunchTime !== undefined) times.set(InstanceId, LaunchTime.getTime());
  return times;
}

/** From the group metrics that EC2 Auto Scaling publishes each minute: the mean of each hour, added up. */
async function instanceHours(
  groups: FleetGroup[],
  now: number,
  client: CloudWatchClient,
): Promise<Map<string, number>> {
  const hours = new Map<string, number>();
  const date = new Date(now);
  const month = Date.UTC(date.getUTCFullYear(), date.getUTCMonth());
  for (let start = 0; start < groups.length; start += QUERIES) {
    const batch = groups.slice(start, start + QUERIES);
    const MetricDataQueries = batch.map(({ group }, index) => ({
      Id: `m${index}`,
      MetricStat: {
        Metric: {
          Namespace: 'AWS/AutoScaling',
          MetricName: 'GroupTotalInstances',
          Dimensions: [{ Name: 'AutoScalingGroupName', Value: group }],
        },
        Period: HOUR / 1_000,
        Stat: 'Average',
      },
    }));
    const asked = { MetricDataQueries, StartTime: new Date(month), EndTime: new Date(now) };
    for await (const { MetricDataResults = [] } of paginateGetMetricData({ client }, asked)) {
      for (const { Id = '', Timestamps = [], Values = [] } of MetricDataResults) {
        const group = batch[Number(Id.slice(1))]?.group ?? '';
        const added = Values.reduce((sum, value, index) => {
          const from = Timestamps[index]?.getTime() ?? now;
          return sum + value * Math.min(Math.max((now - from) / HOUR, 0), 1);
        }, 0);
        hours.set(group, (hours.get(group) ?? 0) + added);
      }
    }
  }
  return hours;
}
