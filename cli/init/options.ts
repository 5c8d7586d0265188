import { InvalidArgumentError } from 'commander';
import { Fleet } from '../../fleets/fleet.ts';
import { typeMeant } from '../../fleets/prices.ts';
import { architectureOf } from '../../fleets/settings/instance.ts';
import { MOST_SUBNETS, subnetIds } from '../../fleets/settings/network.ts';
import { TOP_SETTINGS } from '../../fleets/settings/top.ts';
import { FLEET_NAME } from '../../functions/lib/fleet-names.ts';
import type { WrittenFleet } from './written.ts';

/** What a person may answer to `npm run init`, by flag or by question: the loader of `fleets.yaml` decides. Pure. */

/** https://circleci.com/docs/reference/runner-api */
export const NAMESPACE = /^[a-z0-9_-]+$/;

/** Default of `--max`, and the types of the default size. */
export const DEFAULTS = { maxReplicas: 20, instanceTypes: ['m7i.large', 'm6i.large'] };

/** What is wrong with the value of a setting, by itself; `undefined` if nothing is. */
export function faultOfAnswer(setting: keyof WrittenFleet, value: unknown): string | undefined {
  const fault = Fleet.shape[setting].safeParse(value).error?.issues[0]?.message;
  return (
    fault ?? (setting === 'instanceTypes' ? (faultOfSizes(value) ?? faultOfArchitectures(value)) : undefined)
  );
}

/** The loader would say of a mistyped size that it has no price, which is no answer to whoever mistyped it. */
function faultOfSizes(types: unknown): string | undefined {
  for (const type of Array.isArray(types) ? types : []) {
    const meant = typeMeant(`${type}`);
    if (meant !== undefined)
      return `must be types that EC2 has, got ${JSON.stringify(type)}; the nearest one is ${meant}`;
  }
  return undefined;
}

/** The loader says this of a file and its line, and `npm run init` has not written one yet. */
function faultOfArchitectures(types: unknown): string | undefined {
  const given = Array.isArray(types) ? types.map(String) : [];
  const [first] = given;
  const other = given.find((type) => architectureOf(type) !== architectureOf(first ?? ''));
  if (first === undefined || other === undefined) return undefined;
  return `must all be of one architecture, because they share one image: ${first} is ${architectureOf(first)}, ${other} is ${architectureOf(other)}. Make a fleet for each architecture`;
}

/** The parts of a list, separated by commas or spaces. */
export const list = (text: string) => text.split(/[\s,]+/).filter((part) => part !== '');

/** An example, after what the loader says of a resource class. */
export const SUCH_AS_CLASS = ', such as acme/linux';

/** A parser for an option with the value of a setting. */
export const settingOption =
  <T = string>(setting: keyof WrittenFleet, read: (given: string) => T) =>
  (given: string): T => {
    const value = read(given);
    const fault = faultOfAnswer(setting, value);
    if (fault === undefined) return value;
    throw new InvalidArgumentError(`It ${fault}${setting === 'resourceClass' ? SUCH_AS_CLASS : ''}.`);
  };

/** Who gets the alarms. */
export type Recipient = Pick<WrittenFleet, 'alarmEmail' | 'alarmTopicArn'>;

const RECIPIENTS =
  'It must be an e-mail address such as ops@example.com, or the ARN of an SNS topic such as arn:aws:sns:eu-west-1:111122223333:alarms.';

/** @returns A text if it is neither an address nor a topic; nobody if it is empty. */
export function recipientOf(given: string): Recipient | string {
  const text = given.trim();
  if (text === '') return {};
  const setting = text.startsWith('arn:') ? 'alarmTopicArn' : 'alarmEmail';
  const fault = faultOfAnswer(setting, text);
  if (fault === undefined) return { [setting]: text };
  return setting === 'alarmTopicArn' ? `It ${fault}.` : RECIPIENTS;
}

/** The word for no recipient. */
export const NOBODY = 'nobody';

export function recipientOption(given: string): Recipient {
  const recipient = recipientOf(given === NOBODY ? '' : given);
  if (typeof recipient !== 'string') return recipient;
  throw new InvalidArgumentError(`${recipient} For nobody: ${NOBODY}.`);
}

export function nameOption(given: string): string {
  if (FLEET_NAME.test(given) && !Object.hasOwn(TOP_SETTINGS, given)) return given;
  throw new InvalidArgumentError(
    Object.hasOwn(TOP_SETTINGS, given)
      ? `It must be another name, because ${given} is a setting of all fleets.`
      : 'It must have a letter and at most 31 more letters, digits, hyphens and underscores, and not begin with x-.',
  );
}

const NETWORKS = ['default-vpc', 'new-vpc'];

export function networkOption(given: string): string {
  if (NETWORKS.includes(given) || /^vpc-([0-9a-f]{8}|[0-9a-f]{17})$/.test(given)) return given;
  throw new InvalidArgumentError(
    'It must be default-vpc, new-vpc, or the id of a VPC such as vpc-0123456789abcdef0.',
  );
}

export function subnetsOption(given: string): string[] {
  const ids = subnetIds(MOST_SUBNETS).safeParse(list(given));
  if (ids.success) return ids.data;
  throw new InvalidArgumentError(`It ${ids.error.issues[0]?.message}.`);
}

/** The name of a fleet, from the end of its resource class or from the name of a group. */
export function fleetNameFrom(text: string): string {
  const cleaned = text
    .replace(/^.*\//, '')
    .replace(/[^A-Za-z0-9_-]+/g, '-')
    .replace(/^[^A-Za-z]+|-+$/g, '')
    .replace(/^x-+/, 'x')
    .slice(0, 32);
  if (cleaned === '') return 'runners';
  return Object.hasOwn(TOP_SETTINGS, cleaned) ? `${cleaned}-runners` : cleaned;
}
