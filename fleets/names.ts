import { createHash } from 'node:crypto';
import { DEFAULT_APP } from '../functions/lib/advice.ts';

/** Default name of the app, which is the name of the stack that its fleets share. Names of deployed resources begin with it. */
export const STACK_NAME = DEFAULT_APP;

/** A schedule's name has at most 64 characters: the app's name, a hyphen, and the fleet's name. */
const STACK_NAMES = /^[A-Za-z][A-Za-z0-9-]{0,30}$/;

/** The name of a fleet's group and launch template, and the beginning of other names. */
export const groupNameOf = (app: string, fleet: string): string => `${app}-${fleet}`;

const LONGEST_SCHEDULE_NAME = 64;

/**
 * The name of the schedule that lets a workflow find what the fleet has left behind. If the names of app and fleet leave no
 * room, a digest takes the place of their end.
 */
export function reconcileScheduleName(app: string, fleet: string): string {
  const name = groupNameOf(app, fleet);
  // With a dot, which no name of a fleet has, so that it is never the schedule of another fleet's polls.
  const end = '.reconcile';
  if (name.length + end.length <= LONGEST_SCHEDULE_NAME) return name + end;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 8);
  return `${name.slice(0, LONGEST_SCHEDULE_NAME - end.length - digest.length - 1)}-${digest}${end}`;
}

/** The stack of a fleet. CloudFormation allows no underscores, and two fleets of a file differ in more than that. */
export const fleetStackName = (app: string, fleet: string): string => `${app}-${fleet.replaceAll('_', '-')}`;

/**
 * Systems Manager refuses parameters whose path begins so, in any case:
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
 */
const RESERVED = /^(aws|ssm)/i;

/** The name of the state machine that finds what fleets leave behind. An app of this name would have the same one. */
export const reconcileName = (app: string): string => `${app}-reconcile`;

/** What is wrong with a stack's name, or `undefined` if the name can be used. */
export function faultOfStackName(name: string): string | undefined {
  if (!STACK_NAMES.test(name)) return 'must be a letter and at most 30 more letters, digits and hyphens';
  const [reserved] = RESERVED.exec(name) ?? [];
  if (reserved !== undefined)
    return `must not begin with ${reserved}, because Systems Manager reserves parameters of such a path`;
  const other = name.replace(/-reconcile$/, '');
  return name === other
    ? undefined
    : `must not end with -reconcile, because an app called ${other} has a state machine of this name`;
}

/** A fleet's name as CloudFormation outputs spell it: `linux-large` becomes `LinuxLarge`. */
export function logicalId(fleetName: string): string {
  return fleetName
    .split(/[-_]/)
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');
}
