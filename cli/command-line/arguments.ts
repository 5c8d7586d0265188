import { InvalidArgumentError, Option } from 'commander';
import { faultOfStackName, STACK_NAME } from '../../fleets/names.ts';

/** A parser for an option that takes a number; its complaint says what was given and what would do. */
export function numberOption(what: string, least: number, most: number, kind: 'whole' | 'any' = 'whole') {
  return (given: string): number => {
    const value = Number(given);
    const fits =
      given.trim() !== '' && value >= least && value <= most && (kind === 'any' || Number.isInteger(value));
    if (fits) return value;
    const number = kind === 'whole' ? 'a whole number' : 'a number';
    throw new InvalidArgumentError(`It must be ${what}, ${number} from ${least} to ${most}.`);
  };
}

/** The option of commands about what is deployed that names the stack, if it is not the usual one. */
export const stackOption = () =>
  new Option('--stack <name>', 'the stack, if it was deployed with -c stack=NAME')
    .default(STACK_NAME)
    .argParser((given) => {
      const fault = faultOfStackName(given);
      if (fault === undefined) return given;
      throw new InvalidArgumentError(`It ${fault}.`);
    });

/** An error of whoever typed the command: the message alone is shown, and the exit code is 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
