/** Default name of the stack. Names of deployed resources begin with it. */
export const STACK_NAME = 'circleci-runners';

/** A schedule's name has at most 64 characters: the stack's name, a hyphen, and the fleet's name. */
const STACK_NAMES = /^[A-Za-z][A-Za-z0-9-]{0,30}$/;

/** What is wrong with a stack's name, or `undefined` if the name can be used. */
export const faultOfStackName = (name: string): string | undefined =>
  STACK_NAMES.test(name) ? undefined : 'must be a letter and at most 30 more letters, digits and hyphens';

/** A fleet's name as CloudFormation outputs spell it: `linux-large` becomes `LinuxLarge`. */
export function logicalId(fleetName: string): string {
  return fleetName
    .split(/[-_]/)
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');
}
