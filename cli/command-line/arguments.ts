import { InvalidArgumentError, Option } from 'commander';
import { DURATION_FORM, formatDuration, parseDuration } from '../../fleets/duration.ts';
import { faultOfStackName, STACK_NAME } from '../../fleets/names.ts';

/** A parser for an option that takes a number; its error message says what is allowed. */
export function numberOption(least: number, most: number, kind: 'whole' | 'any' = 'whole') {
  return (given: string): number => {
    const value = Number(given);
    const fits =
      given.trim() !== '' && value >= least && value <= most && (kind === 'any' || Number.isInteger(value));
    if (fits) return value;
    const number = kind === 'whole' ? 'a whole number' : 'a number';
    throw new InvalidArgumentError(`It must be ${number} from ${least} to ${most}.`);
  };
}

/** A parser for an option that takes a duration; its error message says what is allowed. */
export function durationOption(least: number, most: number, kind: 'whole' | 'any' = 'whole') {
  return (given: string): number => {
    const seconds = parseDuration(given);
    const fits =
      seconds !== undefined &&
      seconds >= least &&
      seconds <= most &&
      (kind === 'any' || Number.isInteger(seconds));
    if (fits) return seconds;
    const range = `from ${formatDuration(least)} to ${formatDuration(most)}`;
    throw new InvalidArgumentError(`It must be ${range}: ${DURATION_FORM}.`);
  };
}

/** The option `--stack` of commands about deployed fleets. */
export const stackOption = () =>
  new Option('--stack <name>', 'name of the stack, if you deployed it with -c stack=NAME')
    .default(STACK_NAME)
    .argParser((given) => {
      const fault = faultOfStackName(given);
      if (fault === undefined) return given;
      throw new InvalidArgumentError(`It ${fault}.`);
    });

/** The command line is wrong: only the message is shown, and the exit code is 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
