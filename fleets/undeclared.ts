import { forApp } from '../functions/lib/advice.ts';
import { printable } from '../functions/lib/printable.ts';
import { largestMaximum } from '../functions/lib/schedules.ts';
import { inDollars, largestCost } from './cost.ts';
import { learns } from './effective.ts';
import type { FleetConfig } from './load.ts';
import { fleetStackName, groupNameOf } from './names.ts';

/** A deployed fleet that the file does not have. It keeps running, because no deployment deletes a fleet. */
export interface UndeclaredFleet {
  fleet: string;
  /** The maximum size of its group. */
  instances: number;
  /** Whether it launches nothing any more. */
  draining: boolean;
  /** What its deployed settings say; nothing if they could not be read. */
  settings: DeployedParts | undefined;
}

/** The settings by which a deployed fleet can collide with others. */
export interface DeployedParts {
  resourceClass: string;
  /** Left out by older versions. */
  mostHourlyCost?: number | undefined;
  concurrency?: { groups: string[] } | undefined;
  scalerSecretName?: string | undefined;
  runnerSecretName?: string | undefined;
  alarmTopicArn?: string | undefined;
  spareRunners?: unknown;
  warmPoolAuto?: boolean | undefined;
  /** Below 100, it buys Spot Instances. */
  onDemandPercentage?: number | undefined;
  reconcile?: string | undefined;
}

/** Deployed fleets that the file does not have. */
export const undeclaredFleets = <Deployed extends { fleet: string }>(
  deployed: Deployed[],
  inFile: string[],
): Deployed[] => deployed.filter(({ fleet }) => !inFile.includes(fleet));

/** How to remove such a fleet: `npx cdk destroy` finds only the stacks of the file. */
export const adviceAboutUndeclared = (app: string, fleet: string): string =>
  `${drain(app, fleet)}, and when its instances are gone, aws cloudformation delete-stack --stack-name ${fleetStackName(app, fleet)}`;

const drain = (app: string, fleet: string) =>
  forApp({ app, fleetsFile: undefined }, `npm run drain -- ${fleet}`);

/**
 * The rights that a deployment of these fleets takes from the shared functions, and that a deployed fleet needs. Rights to
 * groups, secrets and parameters of the app are for all its fleets, by their names and tags. Others are for what the file
 * names: the parameter of a deployed fleet must not give rights to a secret or a topic that no file names any more.
 */
export function rightsLost(
  app: string,
  fleets: FleetConfig[],
  { settings }: Pick<UndeclaredFleet, 'settings'>,
): string[] {
  const {
    alarmTopicArn: topic,
    spareRunners,
    warmPoolAuto,
    reconcile,
    onDemandPercentage = 100,
  } = settings ?? {};
  const secrets = (['scaler', 'runner'] as const).flatMap((use) => {
    const setting = `${use}SecretName` as const;
    const name = settings?.[setting];
    const isOfApp = name?.startsWith(`${app}/`) && name.endsWith(`/${use}`);
    const isKept = name === undefined || isOfApp || fleets.some((fleet) => fleet[setting] === name);
    return isKept ? [] : [`to its ${setting} ${printable(name)}`];
  });
  return [
    ...secrets,
    ...(topic !== undefined &&
    topic.split(':').at(-1) !== app &&
    !fleets.some(({ alarmTopicArn }) => alarmTopicArn === topic)
      ? [`to its alarmTopicArn ${printable(topic)}`]
      : []),
    ...(onDemandPercentage < 100 && !fleets.some((fleet) => fleet.spot !== undefined)
      ? ['to buy Spot Instances']
      : []),
    ...((spareRunners !== undefined || warmPoolAuto) && !fleets.some(learns)
      ? ['to keep what it learns (spareRunners, warmPool)']
      : []),
    ...(reconcile === 'repair' && !fleets.some((fleet) => fleet.reconcile === 'repair')
      ? ['to end what it leaves behind (reconcile: repair)']
      : []),
  ];
}

/**
 * What is wrong with all fleets of the file and those that it does not have: they are above a ceiling for all fleets
 * together, have a resource class in common, share a plan in which the file counts only its own, or would lose rights.
 *
 * @param fleets All fleets of the file, as they were loaded with their guardrails.
 */
export function faultsWithUndeclared(
  app: string,
  fleets: FleetConfig[],
  undeclared: UndeclaredFleet[],
): string[] {
  if (undeclared.length === 0) return [];
  return [
    ...ofSums(app, fleets, undeclared),
    ...undeclared.flatMap((other) => ofTwins(app, fleets, other)),
    ...undeclared.flatMap((other) => ofRights(app, fleets, other)),
  ];
}

function ofRights(app: string, fleets: FleetConfig[], other: UndeclaredFleet): string[] {
  const lost = other.draining ? [] : rightsLost(app, fleets, other);
  return lost.length === 0
    ? []
    : [
        `${other.fleet}: must stay in the file while it runs, because a deployment of ${app} would take its rights ${lost.join(' and ')}. Put it back into the file, or drain it first: ${drain(app, other.fleet)}`,
      ];
}

function ofSums(app: string, fleets: FleetConfig[], undeclared: UndeclaredFleet[]): string[] {
  const { ofAllFleets, maxHourlyCostOfFile } = fleets[0] ?? {};
  const all = undeclared.map(({ fleet }) => fleet);
  const remove = `remove ${all.join(', ')} first: ${adviceAboutUndeclared(app, all[0] ?? '')}`;
  const sum = (of: (fleet: FleetConfig) => number) => fleets.reduce((total, fleet) => total + of(fleet), 0);
  const besides = (of: (fleet: UndeclaredFleet) => number) =>
    undeclared.reduce((total, fleet) => total + of(fleet), 0);
  const instances = sum(largestMaximum) + besides((fleet) => fleet.instances);
  const others = besides(({ settings }) => settings?.mostHourlyCost ?? 0);
  const costs: [ceiling: string, most: number | undefined, cost: number][] = [
    [
      'maxHourlyCostOfAllFleets',
      ofAllFleets?.maxHourlyCostOfAllFleets,
      sum(({ mostHourlyCost = 0 }) => mostHourlyCost) + others,
    ],
    ['maxHourlyCost', maxHourlyCostOfFile, sum((fleet) => largestCost(fleet) ?? 0) + others],
  ];
  const most = ofAllFleets?.maxInstancesOfAllFleets;
  return [
    ...(most !== undefined && instances > most
      ? [
          `(all fleets): must have at most ${most} instances together with deployed fleets that the file does not have, got ${instances}: ${remove} (maxInstancesOfAllFleets)`,
        ]
      : []),
    ...costs.flatMap(([ceiling, limit, cost]) =>
      limit !== undefined && cost > limit + 1e-9
        ? [
            `(all fleets): must cost at most ${inDollars(limit)} an hour together with deployed fleets that the file does not have, got ${inDollars(cost)}: ${remove} (${ceiling})`,
          ]
        : [],
    ),
  ];
}

function ofTwins(
  app: string,
  fleets: FleetConfig[],
  { fleet: other, draining, settings }: UndeclaredFleet,
): string[] {
  if (settings === undefined || draining) return [];
  const isSharer = ({ name }: FleetConfig) => settings.concurrency?.groups.includes(groupNameOf(app, name));
  return fleets.flatMap((fleet) => [
    ...(fleet.resourceClass === settings.resourceClass
      ? [
          `${fleet.name}.resourceClass: must differ from that of the deployed fleet ${other}, which the file does not have, got ${fleet.resourceClass}: both would launch an instance for each task. Drain ${other} first: ${drain(app, other)}`,
        ]
      : []),
    ...(fleet.concurrency !== undefined && isSharer(fleet)
      ? [
          `${fleet.name}: must not share the concurrency of a plan with the deployed fleet ${other}, which the file does not have, because nothing would count the tasks of ${other}. Drain ${other} first: ${drain(app, other)}`,
        ]
      : []),
  ]);
}
