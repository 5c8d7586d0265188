import { type Command, CommanderError, InvalidArgumentError } from 'commander';

/** Exit code for a wrong argument, as shells use it. */
const USAGE = 2;

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

/** An error of whoever typed the command: the message alone is shown, and the exit code is 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Parses the command line and runs the command; wrong arguments end with exit code 2. */
export async function runCommand(command: Command): Promise<void> {
  command.exitOverride().showHelpAfterError('Run it with --help for all options.');
  try {
    await command.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : USAGE;
    else if (error instanceof UsageError) {
      console.error(error.message);
      process.exitCode = USAGE;
    } else throw error;
  }
}
