import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { printable } from '../functions/lib/printable.ts';
import { findCaCertificates } from './ca-certificates.ts';
import { costOf, faultsOfCeilings } from './ceilings.ts';
import { affordableBy } from './cost.ts';
import { type Deployment, deploymentOf, GUARDRAILS_FILE } from './deployment.ts';
import { describeFaults, type SettingFault } from './faults.ts';
import { type FleetSettings, Fleets, fleetsIn, withoutExtensions } from './fleet.ts';
import { type Ceilings, ceilingsOf, Guardrails } from './guardrails.ts';
import { findInstallScripts } from './install-scripts.ts';
import { NO_PLACES, type Places, parsedWithPlaces } from './places.ts';
import { type ImageBuild, sourceOf } from './settings/image.ts';
import type { RunnerRelease } from './settings/runner.ts';
import { type Scaler, vpcOfScaler } from './settings/scaler.ts';
import { type PlanConcurrency, plansOf } from './settings/top.ts';
import { readSettingsText } from './settings-text.ts';

/** A fleet as the rest of the project sees it: parsed, with its defaults. */
export interface FleetConfig extends Omit<FleetSettings, 'image'> {
  name: string;
  /** The image of the instances, or that on which theirs is built. */
  image: string;
  /** How EC2 Image Builder makes their image. */
  imageBuild?: ImageBuild;
  /** Path of the `install` script. */
  installFile: string | undefined;
  /** Path of the file with the authorities that its instances trust beside the public ones. */
  authoritiesFile?: string;
  /** The instance types and patterns that the guardrails allow all fleets. */
  allowedTypes?: string[];
  /** The most that it costs an hour by the prices of the guardrails, in US dollars. */
  mostHourlyCost?: number;
  /** What all fleets of the app may have and cost together, by the guardrails. */
  ofAllFleets?: Pick<Ceilings, 'maxInstancesOfAllFleets' | 'maxHourlyCostOfAllFleets'>;
  /** What they may cost together by `maxHourlyCost` at the top of the file. */
  maxHourlyCostOfFile?: number;
  /** The KMS key of the whole stack. */
  encryptionKey?: string;
  /** The VPC of the functions that all fleets share. */
  scaler?: Scaler;
  /** Path of the file with the authorities that these functions trust beside the public ones. */
  caFile?: string;
  /** How many instances `maxHourlyCost` allows. */
  affordable?: number | undefined;
  /** The release of the runner that boots install where neither the fleet nor an image of its own has one. */
  defaultRunner?: RunnerRelease;
  /** The plan's concurrency, and the fleets that share it. */
  concurrency?: PlanConcurrency | undefined;
}

/** A `fleets.yaml` that cannot be used. The message lists every fault. */
export class FleetsInvalid extends Error {
  override readonly name = 'FleetsInvalid';

  /** @param message Keys and values in it may be of a pull request, and terminals show them. */
  constructor(message: string) {
    super(printable(message));
  }
}

/**
 * Reads and checks `fleets.yaml`, and that it asks for nothing that the guardrails do not allow.
 *
 * @param deployment Default: what `cdk.json` says.
 * @throws FleetsInvalid with every fault: its key path, what is allowed, and what was given.
 */
export function loadFleets(file: string, deployment: Partial<Deployment> = {}): FleetConfig[] {
  return loadFleetsText(readText(file), file, deployment);
}

/**
 * The same for the text of a file that is not written yet.
 *
 * @param file Path of the file, for messages. Paths in the text are relative to its folder.
 */
export function loadFleetsText(
  text: string,
  file: string,
  deployment: Partial<Deployment> = {},
): FleetConfig[] {
  const { value, places } = parsedYaml(text, file);
  return loadParsed(withoutExtensions(value), places, file, deployment);
}

/**
 * The same for what a `fleets.yaml` says, as values.
 *
 * @param file What the messages call it. Paths in the settings are relative to the folder of this path.
 */
export function loadSettings(
  settings: unknown,
  file: string,
  deployment: Partial<Deployment> = {},
): FleetConfig[] {
  return loadParsed(settings, NO_PLACES, file, deployment);
}

function loadParsed(
  settings: unknown,
  places: Places,
  file: string,
  deployment: Partial<Deployment>,
): FleetConfig[] {
  const { stack, guardrails } = { ...deploymentOf(), ...deployment };
  const fleets = checkFleets(settings, file, places);
  const { ceilings, source } = readGuardrails(guardrails, stack);
  const faults = faultsOfCeilings(fleets, ceilings, stack);
  if (faults.length === 0) return fleets.map((fleet) => withCeilings(fleet, ceilings));
  throw new FleetsInvalid(
    [
      `${file} asks for more than ${source}:`,
      ...faultLines(faults, places),
      `The owner of ${guardrails ?? GUARDRAILS_FILE} can set the ceilings, whose names are in brackets. See docs/guardrails.md.`,
    ].join('\n  '),
  );
}

/** What the deployment has to know of the guardrails beyond that the fleet keeps within them. */
function withCeilings(fleet: FleetConfig, ceilings: Ceilings): FleetConfig {
  const { instanceTypes, maxInstancesOfAllFleets, maxHourlyCostOfAllFleets } = ceilings;
  return {
    ...fleet,
    allowedTypes: instanceTypes,
    mostHourlyCost: costOf(fleet, ceilings),
    ofAllFleets: { maxInstancesOfAllFleets, maxHourlyCostOfAllFleets },
  };
}

/**
 * Reads the guardrails.
 *
 * @param given Path of the file. Without one, `guardrails.yaml` is read if it is there; otherwise the defaults hold.
 * @throws FleetsInvalid with every fault of the file.
 */
function readGuardrails(given: string | undefined, stack: string): { ceilings: Ceilings; source: string } {
  const file = given ?? GUARDRAILS_FILE;
  const present = given !== undefined || existsSync(file);
  // An empty file sets no ceiling.
  const { value, places } = present
    ? parsedYaml(readText(file), file)
    : { value: undefined, places: NO_PLACES };
  const raw = value ?? {};
  const parsed = Guardrails.safeParse(raw);
  if (!parsed.success) {
    const faults = describeFaults(parsed.error.issues, raw, {
      file,
      schema: Guardrails,
      reference: 'docs/guardrails.md',
    });
    throw new FleetsInvalid(withTitle(file, faults, places));
  }
  return {
    ceilings: ceilingsOf(parsed.data, stack),
    source: present ? `${file} allows` : `is allowed without ${GUARDRAILS_FILE}`,
  };
}

/** Reads and checks `fleets.yaml` by itself, without guardrails. */
export function readFleets(file: string): FleetConfig[] {
  const { value, places } = parsedYaml(readText(file), file);
  return checkFleets(withoutExtensions(value), file, places);
}

/** @throws FleetsInvalid */
function readText(file: string): string {
  try {
    return readSettingsText(file);
  } catch (error) {
    throw new FleetsInvalid(`${file} cannot be read: ${(error as Error).message}`);
  }
}

/** @throws FleetsInvalid */
function parsedYaml(source: string, file: string): { value: unknown; places: Places } {
  try {
    return parsedWithPlaces(source, file);
  } catch (error) {
    throw new FleetsInvalid(`${file} is not YAML: ${(error as Error).message.trimEnd()}`);
  }
}

/** Faults of the one key that JavaScript treats differently, and that the parser would therefore leave out. */
function unreadKeys(value: unknown, path: string[] = []): SettingFault[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const at = [...path, key];
    return key === '__proto__'
      ? [
          {
            path: at,
            says: `${at.join('.')}: must have another name: a fleet's begins with a letter, and no setting is called so`,
            atKey: true,
          },
        ]
      : unreadKeys(inner, at);
  });
}

const withTitle = (file: string, faults: SettingFault[], places: Places) =>
  [
    `${file} has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:`,
    ...faultLines(faults, places),
  ].join('\n  ');

/** Each fault, with its place below it. */
const faultLines = (faults: SettingFault[], places: Places) =>
  faults.flatMap((fault) => [fault.says, ...places(fault)]);

/**
 * Checks the content of a `fleets.yaml`, without guardrails.
 *
 * @param file Path of the file, for messages. Paths in the content are relative to its folder.
 * @throws FleetsInvalid with every fault, as `readFleets` does.
 */
export function checkFleets(raw: unknown, file: string, places: Places = NO_PLACES): FleetConfig[] {
  const parsed = Fleets.safeParse(raw);
  const scripts = findInstallScripts(dirname(file), raw);
  const authorities = findCaCertificates(dirname(file), raw, Date.now());
  const faults = [
    ...unreadKeys(raw),
    ...describeFaults(parsed.error?.issues ?? [], raw, {
      file,
      schema: Fleets,
      reference: 'docs/configuration.md',
    }),
    ...scripts.faults,
    ...authorities.faults,
  ];
  if (!parsed.success || faults.length > 0) {
    throw new FleetsInvalid(withTitle(file, faults, places));
  }
  const { encryptionKey, maxHourlyCost } = parsed.data;
  const scaler = vpcOfScaler(parsed.data.scaler);
  const fleets = fleetsIn(parsed.data);
  const plans = plansOf(
    parsed.data.concurrency,
    fleets.map(([name]) => name),
  );
  return fleets.map(([name, fleet]) => {
    const affordable = affordableBy(fleet);
    const ownAuthorities = authorities.ofFleets.get(name);
    const concurrency = plans.find((plan) => plan.fleets.includes(name));
    return {
      ...withImage(fleet),
      name,
      installFile: scripts.files.get(name),
      ...(affordable !== undefined && { affordable }),
      ...(encryptionKey !== undefined && { encryptionKey }),
      ...(scaler !== undefined && { scaler }),
      ...(authorities.ofFunctions !== undefined && { caFile: authorities.ofFunctions }),
      ...(ownAuthorities !== undefined && { authoritiesFile: ownAuthorities }),
      ...(maxHourlyCost !== undefined && { maxHourlyCostOfFile: maxHourlyCost }),
      ...(concurrency !== undefined && { concurrency }),
    };
  });
}

/**
 * A fleet whose image is built holds what the image will hold as settings of its own: until the first build has succeeded,
 * its instances install the same at each boot.
 */
function withImage({
  image,
  ...fleet
}: FleetSettings): Omit<FleetSettings, 'image'> & Pick<FleetConfig, 'image' | 'imageBuild'> {
  if (typeof image === 'string') return { ...fleet, image };
  const { build, timezone, keep, docker = fleet.docker, install = fleet.install } = image;
  return {
    ...fleet,
    image: sourceOf(image),
    imageBuild: { build, timezone, keep },
    docker,
    ...(install !== undefined && { install }),
  };
}
