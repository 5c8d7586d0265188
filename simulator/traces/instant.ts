/** A date and a time of day, with fractions of a second and a time zone if there are any. */
const INSTANT =
  /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?: ?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?))?$/i;

/** No CI service has exports from before, and a later year is a slip. */
const [FIRST_YEAR, LAST_YEAR] = [2_000, 2_999];

/** The dates that a trace may have, in milliseconds since the epoch. */
export const DATES = { from: Date.UTC(FIRST_YEAR, 0), to: Date.UTC(LAST_YEAR + 1, 0) };

/** What a date must be, in words. */
export const A_DATE = `in the years ${FIRST_YEAR} to ${LAST_YEAR}, such as 2026-01-05T08:00:00Z`;

/**
 * Milliseconds since the epoch, or `undefined` if it is no time of a calendar or a clock. A time without a time zone is
 * UTC: the usage export has none.
 */
export function instant(value: unknown): number | undefined {
  const match = typeof value === 'string' ? INSTANT.exec(value.trim()) : null;
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second = '0', fraction = '0', zone = 'Z'] = match;
  const date = Date.UTC(Number(year), Number(month) - 1, Number(day));
  // A day that the month does not have is one of the next month.
  const isOfCalendar =
    Number(month) >= 1 && Number(month) <= 12 && new Date(date).getUTCDate() === Number(day);
  if (!isOfCalendar || date < DATES.from || date >= DATES.to) return undefined;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  const offset = offsetMinutes(zone);
  if (offset === undefined) return undefined;
  const minutes = Number(hour) * 60 + Number(minute) - offset;
  return date + minutes * 60_000 + Number(second) * 1_000 + Math.round(Number(`0.${fraction}`) * 1_000);
}

/** Minutes ahead of UTC; `undefined` if no place of the world has such a clock. */
function offsetMinutes(zone: string): number | undefined {
  if (zone === 'Z') return 0;
  const [, sign, hours, minutes = '0'] = /^([+-])(\d\d):?(\d\d)?$/.exec(zone) ?? [];
  if (sign === undefined) return 0;
  if (Number(hours) > 14 || Number(minutes) > 59) return undefined;
  return (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -1 : 1);
}
