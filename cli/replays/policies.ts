import { parse as parseYaml } from 'yaml';
import { DURATION_FORM, formatDuration, parseDuration } from '../../fleets/duration.ts';
import { checkFleets, type FleetConfig, FleetsInvalid, loadFleets } from '../../fleets/load.ts';
import { isMap } from '../../fleets/settings/parts.ts';
import { readSettingsText } from '../../fleets/settings-text.ts';
import { orSimilar } from '../../fleets/similar.ts';
import { defaultParameters, PEERS, type PolicyChoice } from '../../simulator/peers.ts';
import { PLAIN_FLEET } from '../../simulator/plain-fleet.ts';
import type { Peer } from '../../simulator/policy.ts';
import { UsageError } from '../command-line/arguments.ts';
import { otherFleet } from '../command-line/fleets.ts';

const FLEETS_FILE = 'fleets.yaml';

/** A `--set key=value`, split. */
interface Assignment {
  given: string;
  path: string[];
  value: string;
}

/**
 * The policies that the command line names, ours with the fleet's settings, and each changed by what is set:
 * `key=value` for the fleet as in fleets.yaml, `policy.parameter=value` for a peer.
 *
 * @throws UsageError, FleetsInvalid
 */
export function choosePolicies(options: { policies?: string; fleet?: string; set?: string[] }): {
  fleet: FleetConfig;
  choices: PolicyChoice[];
  /** Keys of the settings that are set. */
  set: ReadonlySet<string>;
  /** Ours with more set, as by `--set`; `undefined` if the fleet cannot have that. */
  oursWith: (set: readonly string[]) => { name: 'ours'; settings: FleetConfig } | undefined;
} {
  const assignments = (options.set ?? []).map(assignment);
  const names = policyNames(options.policies);
  const isParameter = ({ path }: Assignment) => PEERS.some(({ name }) => name === path[0]);
  const settings = assignments.filter((each) => !isParameter(each));
  const fleet = chooseFleet(options.fleet, settings);
  const parameters = new Map<string, Record<string, number>>();
  for (const each of assignments.filter(isParameter)) setParameter(each, names, parameters);
  const { maxReplicas } = fleet;
  const choices = names.map((name): PolicyChoice => {
    if (name === 'ours') return { name, settings: fleet };
    return { name, parameters: parameters.get(name) ?? {}, maxReplicas };
  });
  const oursWith = (set: readonly string[]) => {
    try {
      const more = [...settings, ...set.map(assignment)];
      return { name: 'ours' as const, settings: chooseFleet(options.fleet, more) };
    } catch (error) {
      if (error instanceof FleetsInvalid) return undefined;
      throw error;
    }
  };
  return { fleet, choices, set: new Set(settings.map(({ path }) => path[0] ?? '')), oursWith };
}

/** Former names of policies. */
const RENAMED: ReadonlyMap<string, string> = new Map([['seed', 'circleci-tutorial']]);

/** @throws UsageError */
function refuseFormerName(given: string, name: string): void {
  const now = RENAMED.get(name);
  if (now !== undefined) throw new UsageError(`${given}: the policy ${name} is now called ${now}`);
}

const KNOWN = ['ours', ...PEERS.map(({ name }) => name)];

function policyNames(given: string | undefined): string[] {
  if (given === undefined) return KNOWN;
  const names = given.split(',').map((name) => name.trim());
  for (const name of names) {
    if (KNOWN.includes(name)) continue;
    refuseFormerName(`--policies ${given}`, name);
    throw new UsageError(
      `--policies must be some of ${KNOWN.join(', ')}, with commas between them, got ${JSON.stringify(name)}`,
    );
  }
  return [...new Set(names)];
}

function assignment(given: string): Assignment {
  const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(given) ?? [];
  if (key === '' || value.trim() === '') {
    throw new UsageError(
      `--set must be key=value, such as pollInterval=10s or buildkite.idleTimeout=5m, got ${JSON.stringify(given)}`,
    );
  }
  const path = key.trim().split('.');
  refuseFormerName(`--set ${given}`, path[0] ?? '');
  return { given, path, value };
}

function chooseFleet(name: string | undefined, assignments: Assignment[]): FleetConfig {
  if (name !== undefined) {
    const fleets = loadFleets(FLEETS_FILE);
    if (!fleets.some((fleet) => fleet.name === name)) {
      const names = fleets.map((fleet) => fleet.name);
      throw new UsageError(otherFleet('--fleet', `one of ${FLEETS_FILE}`, names, [name]));
    }
  }
  const raw: unknown = name === undefined ? PLAIN_FLEET : sharedSettings(FLEETS_FILE)[name];
  const settings: Record<string, unknown> = { ...Object(raw) };
  for (const { given, path, value } of assignments) assign(settings, path, parsed(given, value));
  const fleetName = name ?? 'simulated';
  const source = assignments.length === 0 ? FLEETS_FILE : `${FLEETS_FILE} with ${said(assignments)}`;
  const [fleet] =
    name === undefined
      ? checkUnnamed(fleetName, settings, said(assignments))
      : checkFleets({ [fleetName]: settings }, source);
  if (fleet === undefined) throw new Error(`There is no fleet ${fleetName}`);
  return fleet;
}

/** The fleets of a file, with what they share by merge keys. */
const sharedSettings = (file: string) => parseYaml(readSettingsText(file), { merge: true });

/**
 * Checks settings whose fleet the person has not named.
 *
 * @throws FleetsInvalid without a name.
 */
function checkUnnamed(fleetName: string, settings: unknown, source: string): FleetConfig[] {
  try {
    return checkFleets({ [fleetName]: settings }, source);
  } catch (error) {
    if (!(error instanceof FleetsInvalid)) throw error;
    throw new FleetsInvalid(error.message.replaceAll(`\n  ${fleetName}.`, '\n  '));
  }
}

const said = (assignments: Assignment[]) => assignments.map(({ given }) => `--set ${given}`).join(' ');

function parsed(given: string, value: string): unknown {
  try {
    return parseYaml(value);
  } catch {
    throw new UsageError(`--set ${given}: the value must be as in fleets.yaml, got ${JSON.stringify(value)}`);
  }
}

/** Sets `breaker.failures` in its map, which is copied. */
function assign(settings: Record<string, unknown>, [key = '', ...rest]: string[], value: unknown): void {
  if (rest.length === 0) {
    settings[key] = value;
    return;
  }
  const inner = { ...(isMap(settings[key]) ? settings[key] : {}) };
  assign(inner, rest, value);
  settings[key] = inner;
}

function setParameter(
  { given, path, value }: Assignment,
  names: string[],
  parameters: Map<string, Record<string, number>>,
): void {
  const [policy = '', parameter = '', ...more] = path;
  const peer = PEERS.find(({ name }) => name === policy) as Peer;
  const known = Object.keys(peer.parameters);
  if (more.length > 0 || !known.includes(parameter)) {
    throw new UsageError(
      `--set ${given}: ${policy} has the parameters ${known.join(', ')}${orSimilar(parameter, known)}`,
    );
  }
  if (!names.includes(policy)) throw new UsageError(`--set ${given}: ${policy} is not among --policies`);
  const isDuration = peer.parameters[parameter]?.unit === 'seconds';
  const number = isDuration ? parseDuration(value) : numberOf(value);
  const least = INTERVALS.has(parameter) ? 1 : 0;
  if (number === undefined || number < least) {
    const allowed = isDuration
      ? `at least ${formatDuration(least)}: ${DURATION_FORM}`
      : `a number of at least ${least}`;
    throw new UsageError(`--set ${given}: must be ${allowed}, got ${JSON.stringify(value)}`);
  }
  parameters.set(policy, { ...parameters.get(policy), [parameter]: number });
}

/** A finite number, or `undefined` if the text is not one. */
function numberOf(text: string): number | undefined {
  const number = Number(text);
  return text.trim() !== '' && Number.isFinite(number) ? number : undefined;
}

/** What happens again and again cannot take no time. */
const INTERVALS = new Set(['pollInterval', 'sweep']);

/** The policies and their parameters, as the help shows them. */
export function policyRows(): (readonly [string, string])[] {
  const shown = (value: number, unit: 'seconds' | undefined) => {
    if (value === Number.POSITIVE_INFINITY) return 'unlimited';
    return unit === 'seconds' ? formatDuration(value) : String(value);
  };
  return [
    ['ours', 'this project, with the settings of fleets.yaml'],
    ...PEERS.flatMap((peer) => [
      [peer.name, peer.about] as const,
      ...Object.entries(defaultParameters(peer)).map(
        ([name, value]) =>
          [
            `  ${name}=${shown(value, peer.parameters[name]?.unit)}`,
            peer.parameters[name]?.what ?? '',
          ] as const,
      ),
    ]),
  ];
}
