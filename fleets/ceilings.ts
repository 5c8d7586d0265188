import { BlockList, isIPv6 } from 'node:net';
import { isLoopback, samePlace } from '../functions/lib/circleci-url.ts';
import { keyPath } from '../functions/lib/key-path.ts';
import { largestMaximum } from '../functions/lib/schedules.ts';
import { inDollars } from './cost.ts';
import { quote, type SettingFault } from './faults.ts';
import type { FleetSettings } from './fleet.ts';
import type { Ceilings } from './guardrails.ts';
import { fits, matches } from './patterns.ts';
import { listPrice, typeMeant, vCpusOf, volumePriceBeyond } from './prices.ts';
import { rightsBeyond } from './rights-ceilings.ts';
import { DEFAULT_VOLUME, rootVolumeOf } from './settings/image.ts';
import type { Scaler } from './settings/scaler.ts';

/** A fleet with what it is called, how many instances `maxHourlyCost` allows, and what is at the top of its file. */
type Named = FleetSettings & {
  name: string;
  affordable?: number | undefined;
  encryptionKey?: string;
  scaler?: Scaler;
};

/**
 * Compares what fleets ask for with the ceilings of `guardrails.yaml`. Each fault has the key path, the ceiling, what was
 * given, and the ceiling's name.
 */
export function faultsOfCeilings(fleets: Named[], ceilings: Ceilings, stack: string): SettingFault[] {
  return [
    ...ofKey(fleets, ceilings),
    ...ofScaler(fleets, ceilings),
    ...fleets.flatMap((fleet) => [
      ...ofTypes(fleet, ceilings),
      ...ofNumbers(fleet, ceilings),
      ...ofCost(fleet, ceilings),
      ...ofUrl(fleet, ceilings),
      ...ofSecrets(fleet, ceilings),
      ...ofNetwork(fleet, ceilings),
      ...ofSsh(fleet, ceilings),
      ...ofRights(fleet, ceilings),
      ...ofFlags(fleet, ceilings),
    ]),
    ...ofScalerSecrets(fleets, stack),
    ...ofDefaultSecrets(fleets, stack),
    ...ofAllFleets(fleets, ceilings),
  ];
}

type Path = readonly (string | number)[];

const fault = (path: Path, must: string, given: unknown, ceiling: keyof Ceilings) =>
  faultAt(path, `must be ${must}, got ${quote(given)} (${ceiling})`);

const faultAt = (path: Path, says: string): SettingFault => ({ path, says: `${keyPath(path)}: ${says}` });

/** All fleets of a file share the functions. */
function ofScaler([{ scaler } = {}]: Partial<Named>[], { networks, scalerProxies }: Ceilings) {
  if (scaler === undefined) return [];
  const { httpProxy } = scaler;
  const proxies = scalerProxies.join(' or ') || 'left out, because no proxy is listed';
  return [
    ...ofVpc(['scaler'], scaler, networks),
    ...(httpProxy === undefined || scalerProxies.includes(httpProxy)
      ? []
      : [fault(['scaler', 'httpProxy'], proxies, httpProxy, 'scalerProxies')]),
  ];
}

/** All fleets of a file have the key that is at its top. */
function ofKey([fleet]: Named[], { encryptionKeys }: Ceilings) {
  const key = fleet?.encryptionKey;
  if (key === undefined || fits(key, encryptionKeys)) return [];
  const keys = encryptionKeys.join(' or ') || 'left out, because no key is listed';
  return [fault(['encryptionKey'], keys, key, 'encryptionKeys')];
}

function ofTypes({ name, instanceTypes = [], instanceRequirements }: Named, ceilings: Ceilings) {
  const others = instanceTypes.filter((type) => !fits(type, ceilings.instanceTypes));
  const faults = others.map((type) =>
    fault([name, 'instanceTypes'], `one of ${ceilings.instanceTypes.join(', ')}`, type, 'instanceTypes'),
  );
  if (instanceRequirements === undefined) return faults;
  const largest = ceilings.instanceRequirements;
  const path = [name, 'instanceRequirements'];
  if (largest === false)
    return [
      ...faults,
      fault(path, 'left out: set instanceTypes', instanceRequirements, 'instanceRequirements'),
    ];
  const tooLarge = (['vCpus', 'memoryGiB'] as const).filter(
    (what) => (instanceRequirements[what].max ?? Number.POSITIVE_INFINITY) > largest[what],
  );
  return [
    ...faults,
    ...tooLarge.map((what) =>
      fault(
        [...path, what, 'max'],
        `at most ${largest[what]}`,
        instanceRequirements[what].max,
        'instanceRequirements',
      ),
    ),
  ];
}

function ofNumbers({ name, minReplicas, maxReplicas, schedules }: Named, { maxInstances }: Ceilings) {
  const given: [Path, number | undefined][] = [
    [['minReplicas'], minReplicas],
    [['maxReplicas'], maxReplicas],
    ...schedules.flatMap((schedule, index): [Path, number | undefined][] => [
      [['schedules', index, 'minReplicas'], schedule.minReplicas],
      [['schedules', index, 'maxReplicas'], schedule.maxReplicas],
    ]),
  ];
  return given.flatMap(([path, value]) =>
    (value ?? 0) > maxInstances
      ? [fault([name, ...path], `at most ${maxInstances}`, value, 'maxInstances')]
      : [],
  );
}

/** More than a vCPU of any type of the families c, m, r and t costs an hour, in US dollars, without accelerators. */
const VCPU_HOUR = 0.12;

/**
 * More than a vCPU of a type costs that `instanceRequirements` can match, of any family. The dearest that we know is
 * is4gen, with 0.144 dollars (4.61 dollars for is4gen.8xlarge). Those that cost more have so much memory that GIB_HOUR counts.
 */
const REQUIRED_VCPU_HOUR = 0.15;

/** More than a GiB of memory of a type costs. */
const GIB_HOUR = 0.012;

const GENERAL = /^[cmrt]\d/;

/** What a type costs for the ceilings; `undefined` if nothing says it. */
function priceForCeilings(type: string, { hourlyPrices }: Ceilings): number | undefined {
  const [, given] = Object.entries(hourlyPrices).find(([pattern]) => matches(type, pattern)) ?? [];
  const vCpus = GENERAL.test(type) ? vCpusOf(type) : undefined;
  return given ?? listPrice(type) ?? (vCpus === undefined ? undefined : vCpus * VCPU_HOUR);
}

/** The price of the fleet's most expensive instance for the ceilings. Types without a price count nothing. */
function priceOfFleet({ instanceTypes = [], instanceRequirements }: Named, ceilings: Ceilings): number {
  const { vCpus, memoryGiB } = instanceRequirements ?? {};
  return Math.max(
    ...instanceTypes.map((type) => priceForCeilings(type, ceilings) ?? 0),
    (vCpus?.max ?? 0) * REQUIRED_VCPU_HOUR,
    (memoryGiB?.max ?? 0) * GIB_HOUR,
  );
}

/** What each root volume of the fleet costs beyond the default one. */
const priceOfVolume = (fleet: Named) => volumePriceBeyond(rootVolumeOf(fleet), DEFAULT_VOLUME);

/** Instances of the warm pool that are stopped cost nothing but their volumes. */
const pooledOf = (fleet: Named) =>
  fleet.warmPool?.size === 'auto' ? largestMaximum(fleet) : (fleet.warmPool?.size ?? 0);

/** The most that a fleet costs an hour by the prices of the guardrails, in US dollars. */
export const costOf = (fleet: Named, ceilings: Ceilings) =>
  largestMaximum(fleet) * priceOfFleet(fleet, ceilings) +
  (largestMaximum(fleet) + pooledOf(fleet)) * priceOfVolume(fleet);

function ofCost(fleet: Named, ceilings: Ceilings) {
  const { name, instanceTypes = [] } = fleet;
  const unknown = instanceTypes.filter(
    // One that is not allowed has a fault already.
    (type) => fits(type, ceilings.instanceTypes) && priceForCeilings(type, ceilings) === undefined,
  );
  const faults = unknown.map((type) => {
    const meant = typeMeant(type);
    const priced = `a type with a list price${meant === undefined ? '' : ` (the nearest one is ${meant})`}`;
    return fault([name, 'instanceTypes'], `${priced}, or one in hourlyPrices`, type, 'hourlyPrices');
  });
  const cost = costOf(fleet, ceilings);
  if (cost <= ceilings.maxHourlyCost) return faults;
  const price = priceOfFleet(fleet, ceilings);
  const volume = priceOfVolume(fleet);
  const volumes = `, and ${largestMaximum(fleet) + pooledOf(fleet)} root volumes at ${inDollars(volume)} more than the default one`;
  return [
    ...faults,
    faultAt(
      [name],
      `must cost at most ${inDollars(ceilings.maxHourlyCost)} an hour at its maximum size, got ${inDollars(cost)} (${largestMaximum(fleet)} instances at ${inDollars(price)}${volume > 0 ? volumes : ''}): lower maxReplicas${volume > 0 ? ' or rootVolume' : ''} (maxHourlyCost)`,
    ),
  ];
}

const ofUrl = ({ name, circleciUrl }: Named, { circleciUrls }: Ceilings) =>
  isLoopback(circleciUrl) || circleciUrls.some((url) => samePlace(url, circleciUrl))
    ? []
    : [fault([name, 'circleciUrl'], circleciUrls.join(' or ') || 'left out', circleciUrl, 'circleciUrls')];

function ofSecrets(fleet: Named, { secretPrefixes }: Ceilings) {
  return (['scalerSecretName', 'runnerSecretName'] as const).flatMap((key) => {
    const secret = fleet[key];
    if (secret === undefined || secretPrefixes.some((prefix) => secret.startsWith(prefix))) return [];
    const prefixes = secretPrefixes.join(' or ') || 'nothing: leave it out';
    return [fault([fleet.name, key], `a name that begins with ${prefixes}`, secret, 'secretPrefixes')];
  });
}

/** The instances of a fleet can read its runner secret. So that must not hold a personal API token. */
function ofScalerSecrets(fleets: Named[], stack: string) {
  const own = new Map(
    fleets.map(({ name, scalerSecretName = `${stack}/${name}/scaler` }) => [scalerSecretName, name]),
  );
  return fleets.flatMap(({ name, runnerSecretName = '' }) => {
    const other = own.get(runnerSecretName);
    // The stack keeps the secrets of fleets that are gone, too.
    const made = runnerSecretName.startsWith(`${stack}/`) && runnerSecretName.endsWith('/scaler');
    if (other === undefined && !made) return [];
    const whose =
      other === undefined ? 'of the kind that the stack makes for scalers' : `the scaler secret of ${other}`;
    return [
      faultAt(
        [name, 'runnerSecretName'],
        `must not be ${whose}, because the instances would read a personal API token, got ${quote(runnerSecretName)} (no ceiling allows it)`,
      ),
    ];
  });
}

/** What a fleet names must not be a secret that the stack makes, unless both fleets may use it. */
function ofDefaultSecrets(fleets: Named[], stack: string) {
  const pairs = fleets.flatMap((fleet) => fleets.map((other) => ({ fleet, other })));
  return pairs.flatMap(({ fleet, other }) => {
    const { name, runnerSecretName: runner, scalerSecretName: scaler } = fleet;
    const ofOther = (use: 'runner' | 'scaler') =>
      other[`${use}SecretName`] === undefined ? `${stack}/${other.name}/${use}` : undefined;
    const refused = (key: 'runnerSecretName' | 'scalerSecretName', must: string) =>
      faultAt([name, key], `must ${must}, got ${quote(fleet[key])} (no ceiling allows it)`);
    const faults: SettingFault[] = [];
    if (runner !== undefined && runner === ofOther('runner'))
      faults.push(
        refused(
          'runnerSecretName',
          `differ from that of ${other.name}: a token claims tasks of one resource class, and each fleet has its own`,
        ),
      );
    if (scaler !== undefined && scaler === ofOther('runner'))
      faults.push(
        refused(
          'scalerSecretName',
          `not be the runner secret of ${other.name}, because its instances would read a personal API token`,
        ),
      );
    if (scaler !== undefined && scaler === ofOther('scaler') && fleet.circleciUrl !== other.circleciUrl)
      faults.push(
        refused(
          'scalerSecretName',
          `differ from that of ${other.name}, whose circleciUrl is another: a secret names the one address to which its token may go`,
        ),
      );
    return faults;
  });
}

type Vpc = Exclude<FleetSettings['network'], string>;

function ofNetwork({ name, network }: Named, { networks }: Ceilings) {
  if (typeof network === 'string')
    return fits(network, networks)
      ? []
      : [fault([name, 'network'], `one of ${networks.join(', ')}`, network, 'networks')];
  return ofVpc([name, 'network'], network, networks);
}

function ofVpc(path: Path, { vpcId, subnetIds, securityGroupIds }: Vpc, networks: string[]) {
  const among = (id: string) => fits(id, networks);
  const listed = networks.join(', ');
  if (subnetIds.every(among)) return [];
  if (securityGroupIds !== undefined) {
    const must = `subnets of ${listed}, because securityGroupIds is set`;
    return [fault([...path, 'subnetIds'], must, subnetIds, 'networks')];
  }
  if (among(vpcId)) return [];
  return [fault(path, `a VPC or subnets of ${listed}`, [vpcId, ...subnetIds], 'networks')];
}

/** https://www.rfc-editor.org/rfc/rfc1918, https://www.rfc-editor.org/rfc/rfc6598, https://www.rfc-editor.org/rfc/rfc4193 */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'];

/** The largest public ranges without a file, as the length of their prefix. */
const LARGEST_PUBLIC = { ipv4: 16, ipv6: 32 };

interface CidrRange {
  address: string;
  prefix: number;
  family: 'ipv4' | 'ipv6';
}

function rangeOf(cidr: string): CidrRange {
  const [address = '', prefix] = cidr.split('/');
  return { address, prefix: Number(prefix), family: isIPv6(address) ? 'ipv6' : 'ipv4' };
}

/** Whether a range lies in another one. */
function liesIn(inner: CidrRange, outer: CidrRange): boolean {
  if (inner.family !== outer.family || inner.prefix < outer.prefix) return false;
  const list = new BlockList();
  list.addSubnet(outer.address, outer.prefix, outer.family);
  return list.check(inner.address, inner.family);
}

function ofSsh({ name, sshCidr, sshRerun }: Named, { sshRanges }: Ceilings) {
  const ranges = (sshRanges ?? PRIVATE).map(rangeOf);
  const allowed = (range: CidrRange) =>
    ranges.some((outer) => liesIn(range, outer)) ||
    (sshRanges === undefined && range.prefix >= LARGEST_PUBLIC[range.family]);
  const must =
    sshRanges === undefined
      ? `a private range, or a public one of at most /${LARGEST_PUBLIC.ipv4} (IPv4) or /${LARGEST_PUBLIC.ipv6} (IPv6)`
      : sshRanges.length === 0
        ? 'left out'
        : `within ${sshRanges.join(' or ')}`;
  const given: [Path, string | undefined][] = [
    [['sshCidr'], sshCidr],
    [['sshRerun', 'cidr'], sshRerun?.cidr],
  ];
  return given.flatMap(([path, cidr]) =>
    cidr === undefined || allowed(rangeOf(cidr)) ? [] : [fault([name, ...path], must, cidr, 'sshRanges')],
  );
}

function ofRights(fleet: Named, ceilings: Ceilings) {
  return rightsBeyond(fleet, ceilings).map(({ path, must, given, ceiling }) =>
    fault([fleet.name, ...path], must, given, ceiling),
  );
}

function ofFlags(fleet: Named, ceilings: Ceilings) {
  const flags = [
    ['allowInstanceMetadata', 'allowInstanceMetadata'],
    ['docker', 'allowDocker'],
    ['sessionManager', 'allowSessionManager'],
  ] as const;
  return flags.flatMap(([setting, ceiling]) =>
    fleet[setting] && !ceilings[ceiling]
      ? [fault([fleet.name, setting], 'false', fleet[setting], ceiling)]
      : [],
  );
}

/** Faults of all fleets together. Each is shown at the fleet with the largest share. */
function ofAllFleets(fleets: Named[], ceilings: Ceilings): SettingFault[] {
  const { maxInstancesOfAllFleets, maxHourlyCostOfAllFleets } = ceilings;
  const cost = (fleet: Named) => costOf(fleet, ceilings);
  return [
    ...ofSum(
      fleets,
      largestMaximum,
      maxInstancesOfAllFleets,
      (sum) => `must have at most ${maxInstancesOfAllFleets} instances together, got ${sum}`,
      'maxInstancesOfAllFleets',
    ),
    ...ofSum(
      fleets,
      cost,
      maxHourlyCostOfAllFleets,
      (sum) =>
        `must cost at most ${inDollars(maxHourlyCostOfAllFleets)} an hour together, got ${inDollars(sum)}`,
      'maxHourlyCostOfAllFleets',
    ),
  ];
}

function ofSum(
  fleets: Named[],
  share: (fleet: Named) => number,
  most: number,
  says: (sum: number) => string,
  ceiling: keyof Ceilings,
): SettingFault[] {
  const sum = fleets.reduce((total, fleet) => total + share(fleet), 0);
  if (sum <= most) return [];
  const { name } = fleets.reduce((first, fleet) => (share(fleet) > share(first) ? fleet : first));
  return [
    {
      path: [name, 'maxReplicas'],
      says: `(all fleets): ${says(sum)}: lower maxReplicas, first that of ${name} (${ceiling})`,
    },
  ];
}
