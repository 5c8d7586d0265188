import * as z from 'zod';

/** What the settings of `fleets.yaml` are made of: numbers, texts, times, and rules about several of them. */

/** Not `z.int`: its fault would keep the rules about two settings from being checked. */
export const wholeNumber = (what: string, least: number, most: number) => {
  const error = `must be a whole number from ${least} to ${most}, ${what}`;
  return z
    .number({ error })
    .refine((value) => Number.isInteger(value) && value >= least && value <= most, { error })
    .meta({ type: 'integer', minimum: least, maximum: most });
};

/** A text by its pattern; editors show the message as well. */
export const text = (what: string, pattern: RegExp) => {
  const error = `must be ${what}`;
  return z.string({ error }).regex(pattern, { error }).meta({ patternErrorMessage: error });
};

/**
 * A text by its pattern, with a message of its own for each cause that can be named.
 *
 * @param causeOf The message for a text that does not match, or `undefined` for the general one.
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

export const flag = (what: string) =>
  z.boolean({ error: 'must be true or false' }).default(false).describe(what);

const SECONDS = { s: 1, m: 60, h: 3_600 };

/** A number of seconds in the largest unit of which it is a whole number: `90s`, `2m`, `24h`. */
export function inUnits(seconds: number): string {
  const [unit, size] = Object.entries(SECONDS)
    .reverse()
    .find(([, size]) => seconds > 0 && seconds % size === 0) ?? ['s', 1];
  return `${seconds / size}${unit}`;
}

/** A number with its unit. */
export const WITH_UNIT = /^\d+\s*[smh]$/;

/** Seconds, or a number with its unit: `5`, `5s`, `5m`, `5h`. */
export const duration = (what: string, least: number, most: number) => {
  const error = `must be ${what} from ${inUnits(least)} to ${inUnits(most)}: seconds, or a number with its unit such as 5s, 5m or 5h`;
  const number = z.int({ error }).min(least, { error }).max(most, { error });
  const withUnit = z.string({ error }).regex(WITH_UNIT, { error }).meta({ patternErrorMessage: error });
  return z
    .union([number, withUnit], { error })
    .transform((value) =>
      typeof value === 'number'
        ? value
        : Number.parseInt(value, 10) * SECONDS[value.at(-1) as keyof typeof SECONDS],
    )
    .refine((seconds) => seconds >= least && seconds <= most, { error });
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

/** Whether these settings were parsed to numbers, and no fault was found with them. */
export function sound({ value, issues }: z.core.ParsePayload, ...keys: string[]): boolean {
  return keys.every((key) => Number.isInteger(Object(value)[key])) && !faulty(issues, ...keys);
}

/** Whether a fault was found with one of these settings. */
export const faulty = (issues: z.core.ParsePayload['issues'], ...keys: string[]) =>
  issues.some(({ path = [] }) => keys.includes(String(path[0])));

export const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
