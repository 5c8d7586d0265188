import * as z from 'zod';
import { isTimeZone } from '../../functions/lib/schedules.ts';
import { DURATION_FORM, DURATION_WITH_UNITS, formatDuration, parseDuration } from '../duration.ts';

/** The types of values in `fleets.yaml`: numbers, texts, durations and flags. */

/** Not `z.int`, because its fault would keep rules between settings from being checked. */
export const wholeNumber = (what: string, least: number, most: number) => {
  const error = `must be a whole number from ${least} to ${most}, ${what}`;
  return z
    .number({ error })
    .refine((value) => Number.isInteger(value) && value >= least && value <= most, { error })
    .meta({ type: 'integer', minimum: least, maximum: most });
};

/** An amount of US dollars an hour. */
export const dollars = (what: string) => {
  const error = `must be ${what} in US dollars an hour, from ${LEAST_DOLLARS} to ${MOST_DOLLARS}`;
  return z
    .number({ error })
    .refine((value) => value >= LEAST_DOLLARS && value <= MOST_DOLLARS, { error })
    .meta({ minimum: LEAST_DOLLARS, maximum: MOST_DOLLARS });
};
const LEAST_DOLLARS = 0.001;
const MOST_DOLLARS = 1_000_000;

/** A text that matches a pattern. Editors show the message as well. */
export const text = (what: string, pattern: RegExp) => {
  const error = `must be ${what}`;
  return z.string({ error }).regex(pattern, { error }).meta({ patternErrorMessage: error });
};

/**
 * A text that matches a pattern, with a message for each known cause of a mismatch.
 *
 * @param causeOf The message for a text that does not match, or `undefined` for the general message.
 */
export const textWithCauses = (
  what: string,
  pattern: RegExp,
  causeOf: (given: string) => string | undefined,
) => {
  const error = `must be ${what}`;
  return z
    .string({ error })
    .regex(pattern, { error: ({ input }) => causeOf(String(input)) ?? error })
    .meta({ patternErrorMessage: error });
};

const TIME_ZONE_FAULT = 'must be the name of a time zone of the IANA database, such as Europe/Berlin or UTC';

/** A time zone of the IANA database. Default: UTC. */
export const timeZone = () =>
  z.string({ error: TIME_ZONE_FAULT }).refine(isTimeZone, { error: TIME_ZONE_FAULT }).default('UTC');

export const flag = (what: string) =>
  z.boolean({ error: 'must be true or false' }).default(false).describe(what);

/** A duration: a number of seconds, or a text with units. It becomes a number of seconds. */
export const duration = (what: string, least: number, most: number) => {
  const error = `must be ${what} from ${formatDuration(least)} to ${formatDuration(most)}: ${DURATION_FORM}`;
  const number = z.int({ error }).min(least, { error }).max(most, { error });
  const withUnits = z
    .string({ error })
    .regex(DURATION_WITH_UNITS, { error })
    .meta({ patternErrorMessage: error });
  return z
    .union([number, withUnits], { error })
    .transform((value) => (typeof value === 'number' ? value : (parseDuration(value) ?? Number.NaN)))
    .refine((seconds) => Number.isInteger(seconds) && seconds >= least && seconds <= most, { error });
};

/** A whole number, or a percentage: `3`, `20%`. */
export function shareOrNumber(what: string, most: number, mostPercent: number) {
  const error = `must be a whole number from 0 to ${most}, or a percentage from 0% to ${mostPercent}% such as 20%, ${what}`;
  const number = z.int({ error }).min(0, { error }).max(most, { error });
  const share = z
    .string({ error })
    .regex(/^\d{1,4}%$/, { error })
    .meta({ patternErrorMessage: error });
  return z
    .union([number, share], { error })
    .refine((value) => typeof value === 'number' || Number.parseInt(value, 10) <= mostPercent, { error });
}

/** Whether these settings are whole numbers without a fault. */
export function sound({ value, issues }: z.core.ParsePayload, ...keys: string[]): boolean {
  return keys.every((key) => Number.isInteger(Object(value)[key])) && !faulty(issues, ...keys);
}

/** Whether one of these settings has a fault. */
export const faulty = (issues: z.core.ParsePayload['issues'], ...keys: string[]) =>
  issues.some(({ path = [] }) => keys.includes(String(path[0])));

/** What is wrong with a list that has a text twice. Texts that are wrong themselves are one fault each, and no second one. */
export const eachOnce = (error: string) => ({
  error,
  when: ({ issues }: { issues: readonly unknown[] }) => issues.length === 0,
});

/** Whether a list has each text once. */
export const isSet = (texts: string[]) => new Set(texts).size === texts.length;

export const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
