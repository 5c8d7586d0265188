/**
 * The one grammar of durations, in fleets.yaml and on the command line: a number of seconds, or numbers with their
 * units from the largest unit to the smallest, such as `90s`, `5m`, `1h30m` or `2d`.
 */

const UNITS = { d: 86_400, h: 3_600, m: 60, s: 1 };

const NUMBER = '\\d+(?:\\.\\d+)?';

/** Durations with units. Without named groups, because editors read it in the JSON Schema. */
export const DURATION_WITH_UNITS = new RegExp(
  `^(?=\\d)${Object.keys(UNITS)
    .map((unit) => `(?:(${NUMBER})\\s*${unit})?`)
    .join('\\s*')}$`,
);

const SECONDS = new RegExp(`^${NUMBER}$`);

/** The allowed form, for messages. */
export const DURATION_FORM = 'a number of seconds, or numbers with units as in 90s, 1h30m or 2d';

/** A duration in seconds, to the millisecond, or `undefined` if the text is not one. */
export function parseDuration(text: string): number | undefined {
  const given = text.trim();
  if (SECONDS.test(given)) return Number(given);
  const parts = DURATION_WITH_UNITS.exec(given)?.slice(1);
  if (parts === undefined) return undefined;
  const seconds = Object.values(UNITS).reduce(
    (sum, unit, index) => sum + Number(parts[index] ?? 0) * unit,
    0,
  );
  return Math.round(seconds * 1_000) / 1_000;
}

/** A number of seconds in the largest unit that divides it: `90s`, `2m`, `36h`, `7d`. */
export function formatDuration(seconds: number): string {
  const [unit, size] = Object.entries(UNITS).find(([, size]) => seconds > 0 && seconds % size === 0) ?? [
    's',
    1,
  ];
  return `${seconds / size}${unit}`;
}
