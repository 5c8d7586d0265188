import { type Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { faultOfStackName, STACK_NAME } from '../infra/config.ts';

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

type ErrorClass = abstract new (...words: never[]) => Error;

/**
 * Parses the command line and runs the command. Wrong arguments, and errors in what they name, end with exit
 * code 2; what could not be done ends with 1. Of both the message says all, so it alone is shown.
 */
export async function runCommand(
  command: Command,
  expected: { wrongInput?: ErrorClass[]; failure?: ErrorClass[] } = {},
): Promise<void> {
  const isOneOf = (error: unknown, classes: ErrorClass[] = []) =>
    classes.some((kind) => error instanceof kind);
  process.stdout.on('error', endWithReader);
  command.exitOverride().showHelpAfterError('Run it with --help for all options.');
  try {
    await command.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : USAGE;
      return;
    }
    const wrongInput = isOneOf(error, [UsageError, ...(expected.wrongInput ?? [])]);
    if (!wrongInput && !isOneOf(error, expected.failure)) throw error;
    console.error((error as Error).message);
    process.exitCode = wrongInput ? USAGE : 1;
  }
}

/** Whoever read the output has enough, as `head` has: that is no failure. What is to be put away, is. */
function endWithReader(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.stdout.off('error', endWithReader).on('error', () => undefined);
  if (!process.emit('SIGTERM')) process.exit();
}
