import { type Command, InvalidArgumentError, Option } from 'commander';
import * as z from 'zod';
import { DURATION_FORM, formatDuration, parseDuration } from '../../fleets/duration.ts';
import { faultOfStackName, STACK_NAME } from '../../fleets/names.ts';
import { isTimeZone } from '../../functions/lib/schedules.ts';

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

const TIME = z.union([
  z.iso.date(),
  z.iso.datetime({ offset: true }),
  z.iso.datetime({ offset: true, precision: -1 }),
]);

/** A parser for an option that takes an ISO 8601 time that means the same in every time zone: a date is in UTC. */
export function timeOption(given: string): number {
  if (TIME.safeParse(given).success) return Date.parse(given);
  throw new InvalidArgumentError(
    'It must be a date, or a time with its offset, such as 2026-01-05 or 2026-01-05T08:00:00Z.',
  );
}

/** A parser for an option that takes the name of a time zone. */
export function timeZoneOption(given: string): string {
  if (isTimeZone(given)) return given;
  throw new InvalidArgumentError('It must be a name of the IANA database, such as Europe/Berlin or UTC.');
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

/** What the names of regions look like: https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html */
const REGION = /^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$/;

/** The option `--region` of commands that talk to AWS. */
export const regionOption = () =>
  new Option('--region <name>', 'AWS region (default: AWS_REGION, or the region of your profile)').argParser(
    (given) => {
      if (REGION.test(given)) return given;
      throw new InvalidArgumentError('It must be the name of a region, such as eu-west-1.');
    },
  );

/** The command line is wrong: only the message is shown, and the exit code is 2. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
}

/** The stack, or the fleet, is not deployed in this account and region: exit code 2 as well. */
export class NotDeployed extends UsageError {
  override readonly name = 'NotDeployed';
}

/**
 * Refuses options that have no effect because another one is missing.
 *
 * @param needs For each option, by its name in the values of the command: whether what it needs is there, and the name of that.
 * @throws UsageError for the first one that would do nothing.
 */
export function refuseVain(
  command: Command,
  needs: Record<string, { isThere: boolean; needs: string }>,
): void {
  for (const option of command.options) {
    const needed = needs[option.attributeName()];
    if (needed === undefined || needed.isThere) continue;
    if (command.getOptionValueSource(option.attributeName()) !== 'cli') continue;
    throw new UsageError(
      `${option.long} only works with ${needed.needs}: add that, or leave ${option.long} out.`,
    );
  }
}
