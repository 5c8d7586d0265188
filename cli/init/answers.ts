import { CIRCLECI_CLOUD } from '../../functions/lib/circleci-url.ts';
import { describePlace } from '../aws/place.ts';
import { UsageError } from '../command-line/arguments.ts';
import { TOKEN_VARIABLES, tokenIn } from '../command-line/circleci-token.ts';
import type { Shell } from '../command-line/run.ts';
import { quotaFindings, vCpusWanted } from '../doctor/quotas.ts';
import type { FleetZones } from '../zones.ts';
import type { Lookups } from './lookups.ts';
import { DEFAULTS, fleetNameFrom, type Recipient } from './options.ts';
import {
  askClass,
  askMaximum,
  askNetwork,
  askRecipient,
  askSubnets,
  askToken,
  askTypes,
} from './questions.ts';
import type { WrittenFleet } from './written.ts';

/** The options of `npm run init`. */
export interface InitOptions {
  class?: string;
  name?: string;
  types?: string[];
  max?: number;
  network?: string;
  subnets?: string[];
  notify?: Recipient;
  fromGroup?: string;
  circleciUrl?: string;
  config: boolean;
  yes?: boolean;
  force?: boolean;
  dryRun?: boolean;
  json?: boolean;
  fleets: string;
  stack: string;
}

/** What the settings come from, beside the options. */
interface Sources {
  /** Whether questions may be asked. */
  isAsking: boolean;
  lookups: Lookups;
  /** The fleet that the file has already. */
  present: { name: string; fleet: Partial<WrittenFleet> } | undefined;
  /** The settings of an existing group, with `--from-group`. They come before those of the file. */
  carried: Partial<WrittenFleet> | undefined;
  shell: Shell;
}

/** A fleet with its settings, and what a person should know about them. */
export interface Answered {
  name: string;
  fleet: WrittenFleet;
  notes: string[];
  isBootstrapped: boolean | undefined;
}

/**
 * The settings, from the options, the questions, the look-ups and the defaults.
 *
 * @throws UsageError if answers are missing and nothing may be asked.
 */
export async function answered(options: InitOptions, sources: Sources): Promise<Answered> {
  const { lookups, present, carried, shell } = sources;
  refuseContradictions(options);
  const before = settingsBefore(present?.fleet, carried);
  if (!sources.isAsking) refuseMissing(options, { before, isKnown: present !== undefined, carried });
  const notes: string[] = [];
  const place = await lookups.place();
  // Before the questions, so that a person can set the region or sign in first.
  for (const each of lookups.lines()) shell.terminal.note(each);
  if (place !== undefined)
    shell.terminal.note(shell.terminal.colours.dim(`A${describePlace(place).slice(1)}`));
  /** Asks what neither an option nor the group says. */
  const asksFor = (setting: keyof WrittenFleet) => sources.isAsking && carried?.[setting] === undefined;
  const circleciUrl = options.circleciUrl ?? before.circleciUrl ?? CIRCLECI_CLOUD;
  const resourceClass = await classFrom(options, sources, circleciUrl, notes);
  const { instanceRequirements } = options.types === undefined ? before : {};
  const wantedTypes =
    options.types ??
    (instanceRequirements !== undefined
      ? undefined
      : asksFor('instanceTypes')
        ? await askTypes(before.instanceTypes)
        : (before.instanceTypes ?? DEFAULTS.instanceTypes));
  const zones = wantedTypes && (await lookups.zones(wantedTypes));
  const instanceTypes = wantedTypes && offeredTypes(wantedTypes, zones, notes);
  const maximum = before.maxReplicas ?? DEFAULTS.maxReplicas;
  const maxReplicas = options.max ?? (asksFor('maxReplicas') ? await askMaximum(maximum) : maximum);
  if (options.max === undefined && maxReplicas >= FAR_ABOVE * maximum)
    notes.push(
      `Up to ${maxReplicas} instances can run at a time, where the default was ${maximum}. If you mean fewer, set maxReplicas in ${options.fleets}.`,
    );
  const network = await networkFrom(
    options,
    { ...sources, isAsking: asksFor('network') },
    before,
    zones,
    notes,
  );
  const recipient =
    options.notify ??
    (sources.isAsking ? await askRecipient(before.alarmEmail ?? before.alarmTopicArn) : undefined);

  const {
    network: _,
    zones: zonesBefore,
    circleciUrl: __,
    instanceTypes: ___,
    instanceRequirements: ____,
    alarmEmail,
    alarmTopicArn,
    ...kept
  } = before;
  const usable = typeof network === 'object' ? undefined : usableZones(zones, network, zonesBefore);
  const fleet: WrittenFleet = {
    ...kept,
    resourceClass,
    ...(circleciUrl !== CIRCLECI_CLOUD && { circleciUrl }),
    ...(instanceTypes !== undefined && { instanceTypes }),
    ...(instanceRequirements !== undefined && { instanceRequirements }),
    maxReplicas,
    ...(network !== 'default-vpc' && { network }),
    ...(usable !== undefined && { zones: usable }),
    ...(recipient ?? {
      ...(alarmEmail !== undefined && { alarmEmail }),
      ...(alarmTopicArn !== undefined && { alarmTopicArn }),
    }),
  };
  const [quota, isBootstrapped] = await Promise.all([lookups.vCpuQuota(), lookups.isBootstrapped()]);
  if (quota !== undefined) notes.push(...quotaNotes(fleet, quota));
  return { name: nameFrom(options, present, resourceClass), fleet, notes, isBootstrapped };
}

/** The settings to start from: those of the group if there is one, otherwise those of the file. */
function settingsBefore(
  present: Partial<WrittenFleet> = {},
  carried: Partial<WrittenFleet> | undefined,
): Partial<WrittenFleet> {
  if (carried === undefined) return present;
  // No group says these.
  const { resourceClass, circleciUrl, alarmEmail, alarmTopicArn } = present;
  const added = { resourceClass, circleciUrl, alarmEmail, alarmTopicArn };
  return {
    ...Object.fromEntries(Object.entries(added).filter(([, value]) => value !== undefined)),
    ...carried,
  };
}

function refuseContradictions({ network = '', subnets }: InitOptions): void {
  if (subnets !== undefined && !network.startsWith('vpc-'))
    throw new UsageError('--subnets needs --network with the id of their VPC.');
}

/**
 * Names the options that must answer questions.
 *
 * @param known.isKnown Whether the file has the settings already.
 */
function refuseMissing(
  options: InitOptions,
  {
    before,
    isKnown,
    carried,
  }: { before: Partial<WrittenFleet>; isKnown: boolean; carried: Sources['carried'] },
): void {
  const isAnswered = isKnown || options.yes === true;
  const types = carried?.instanceTypes ?? carried?.instanceRequirements;
  const missing = Object.entries({
    '--class': options.class ?? before.resourceClass,
    '--types': options.types ?? types ?? (isAnswered || undefined),
    '--max': options.max ?? carried?.maxReplicas ?? (isAnswered || undefined),
    '--network': options.network ?? carried ?? (isAnswered || undefined),
    '--notify': options.notify ?? (isAnswered || undefined),
  }).flatMap(([option, answer]) => (answer === undefined ? [option] : []));
  if (missing.length === 0) return;
  const because = options.yes
    ? 'There is no default'
    : 'Standard input is no terminal, so the command asks nothing';
  const others = missing.length > 1 ? ' Or add --class and --yes, which takes the defaults.' : '';
  throw new UsageError(`${because}. Missing: ${missing.join(', ')}.${others} Nothing was written.`);
}

async function classFrom(
  options: InitOptions,
  { isAsking, lookups, present, shell }: Sources,
  url: string,
  notes: string[],
): Promise<string> {
  const given = options.class ?? (isAsking ? undefined : present?.fleet.resourceClass);
  const token =
    tokenIn(shell.env) ?? (isAsking && given === undefined ? await askToken(shell.terminal) : undefined);
  const classesOf =
    token === undefined
      ? undefined
      : async (namespace: string) => {
          const classes = await lookups.classes(namespace, url, token);
          // At once, so that a person who typed a wrong token or namespace sees why there is no choice.
          for (const each of lookups.lines()) shell.terminal.note(each);
          return classes;
        };
  const resourceClass = given ?? (await askClass(present?.fleet.resourceClass, classesOf));
  const [namespace = ''] = resourceClass.split('/');
  if (classesOf === undefined) {
    if (!isAsking)
      lookups.keep(`resource classes of ${namespace}`, `There is no token in ${TOKEN_VARIABLES[0]}.`);
    return resourceClass;
  }
  const classes = await classesOf(namespace);
  if (classes !== undefined && !classes.includes(resourceClass))
    notes.push(
      `CircleCI lists no resource class ${resourceClass} for this token${classes.length === 0 ? '' : `, only ${classes.join(', ')}`}. To make it: circleci runner resource-class create ${resourceClass} "EC2" --generate-token`,
    );
  return resourceClass;
}

/** From how many times the default a typed maximum may be a mistyped one: a digit too many is ten times. */
const FAR_ABOVE = 5;

/** Without the types that no zone offers, unless none would be left. */
function offeredTypes(types: string[], zones: FleetZones['zones'] | undefined, notes: string[]): string[] {
  if (zones === undefined) return types;
  const offered = types.filter((type) => zones.some(({ offers }) => offers.includes(type)));
  const others = types.filter((type) => !offered.includes(type));
  if (others.length === 0) return types;
  if (offered.length === 0) {
    notes.push(`No zone of this region offers ${types.join(', ')}. Choose other types: --types`);
    return types;
  }
  notes.push(`No zone of this region offers ${others.join(', ')}, so the file leaves it out.`);
  return offered;
}

/** A new VPC has three zones. */
const ZONES_OF_NEW_VPC = 3;

/** The zones to name: those that offer a type, if others do not. */
function usableZones(
  zones: FleetZones['zones'] | undefined,
  network: WrittenFleet['network'],
  before: string[] | undefined,
): string[] | undefined {
  const usable = zones?.filter(({ offers }) => offers.length > 0).map(({ zone }) => zone) ?? [];
  if (zones === undefined || usable.length === 0) return before;
  if (before?.every((zone) => usable.includes(zone))) return before;
  if (usable.length === zones.length) return undefined;
  return network === 'new-vpc' ? usable.slice(0, ZONES_OF_NEW_VPC) : usable;
}

async function networkFrom(
  options: InitOptions,
  { isAsking, lookups }: Sources,
  { network: before = 'default-vpc' }: Partial<WrittenFleet>,
  zones: FleetZones['zones'] | undefined,
  notes: string[],
): Promise<NonNullable<WrittenFleet['network']>> {
  const named = typeof before === 'object' ? before.vpcId : before;
  const vpcs = await lookups.vpcs();
  const hasNoDefault = vpcs !== undefined && !vpcs.some(({ isDefault }) => isDefault);
  const chosen = options.network ?? (isAsking ? await askNetwork(named, vpcs) : undefined);
  if (chosen === undefined && named === 'default-vpc' && hasNoDefault) {
    notes.push('This region has no default VPC, so the fleet gets a new one (network: new-vpc).');
    return 'new-vpc';
  }
  if (chosen === 'default-vpc' && hasNoDefault)
    notes.push(
      'This region has no default VPC. Make one (aws ec2 create-default-vpc), or set network: new-vpc.',
    );
  const network = chosen ?? named;
  if (network === 'default-vpc' || network === 'new-vpc') return network;
  const same = typeof before === 'object' && before.vpcId === network ? before : undefined;
  if (same !== undefined && !isAsking && options.subnets === undefined) return same;
  const subnetIds =
    options.subnets ?? (await subnetsFrom(network, same?.subnetIds, isAsking, lookups, zones));
  return { ...same, vpcId: network, subnetIds };
}

async function subnetsFrom(
  vpcId: string,
  before: string[] | undefined,
  isAsking: boolean,
  lookups: Lookups,
  zones: FleetZones['zones'] | undefined,
): Promise<string[]> {
  const found = await lookups.subnets(vpcId);
  const usable = zones?.some(({ offers }) => offers.length > 0)
    ? zones.filter(({ offers }) => offers.length > 0)
    : undefined;
  const isUsable = (zone: string) => usable === undefined || usable.some((each) => each.zone === zone);
  const useful =
    found?.filter(({ hasWayOut, zone }) => hasWayOut && isUsable(zone)).map(({ id }) => id) ?? [];
  if (isAsking) return askSubnets(found, before ?? useful);
  if (useful.length > 0) return useful;
  throw new UsageError(
    found === undefined
      ? `The subnets of ${vpcId} cannot be looked up. Give them: --subnets`
      : `No subnet of ${vpcId} has a route to the internet and a zone with the instance types. Give the subnets: --subnets`,
  );
}

/** A quota that the fleet can exceed. */
function quotaNotes(fleet: WrittenFleet, quota: number): string[] {
  const wanted = vCpusWanted(
    [{ spot: undefined, instanceTypes: fleet.instanceTypes, maxReplicas: fleet.maxReplicas, schedules: [] }],
    'On-Demand',
  );
  return quotaFindings('On-Demand', wanted, quota)
    .filter(({ level }) => level !== 'ok')
    .map(
      () =>
        `${fleet.maxReplicas} instances have ${wanted} vCPUs, and the On-Demand quota of this account is ${quota}. Raise it in Service Quotas, or lower --max.`,
    );
}

function nameFrom({ name }: InitOptions, present: Sources['present'], resourceClass: string): string {
  if (name !== undefined) return name;
  return present?.fleet.resourceClass === resourceClass ? present.name : fleetNameFrom(resourceClass);
}
