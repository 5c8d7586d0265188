import { offsetOf } from '../time-zone.ts';
import type { Unit } from './model.ts';

/** Formats numbers for the text and the charts of the page. */

const grouped = (value: number, digits: number) =>
  value
    .toLocaleString('en-GB', { minimumFractionDigits: digits, maximumFractionDigits: digits })
    .replace('-', '−');

export const whole = (value: number) => grouped(value, 0);

/** One decimal below 100, none above. */
export const short = (value: number) => grouped(value, Math.abs(value) < 100 ? 1 : 0);

export const seconds = (value: number) => `${short(value)} s`;

export const percent = (share: number) => `${whole(share * 100)} %`;

/** For a table or an axis, whose heading has the unit. */
export const price = (value: number, unit: Unit) =>
  unit === 'instance-hours' ? short(value) : `$${whole(value)}`;

/** For a sentence. */
export const priceInWords = (value: number, unit: Unit) =>
  unit === 'instance-hours' ? `${short(value)} instance-hours` : `$${whole(value)} a month`;

/** A monthly price of some cents or dollars. */
export const smallPrice = (dollars: number) => `$${grouped(dollars, 2)} a month`;

/** The price of a job: two digits that count, in cents if it is less than a dollar. */
export function jobPrice(dollars: number): string {
  if (dollars >= 0.995) return `$${grouped(dollars, 2)}`;
  const cents = dollars * 100;
  const digits = cents >= 9.95 ? 0 : cents >= 0.995 || cents === 0 ? 1 : 2;
  return `${grouped(cents, digits)} cents`;
}

/** The change from another value, in per cent of it: `+4 %`, `−12 %`, `same`. */
export function change(value: number, than: number): string {
  if (value === than) return 'same';
  const share = value / than - 1;
  if (!Number.isFinite(share)) return 'more';
  if (Math.abs(share) < 0.0005) return 'same';
  return `${share > 0 ? '+' : '−'}${grouped(Math.abs(share) * 100, Math.abs(share) < 0.1 ? 1 : 0)} %`;
}

/** The difference to another value, in seconds: `+4.0 s`, `−12.3 s`, `same`. */
export function difference(value: number, than: number): string {
  const more = value - than;
  if (Math.abs(more) < 0.05) return 'same';
  return `${more > 0 ? '+' : '−'}${seconds(Math.abs(more))}`;
}

/**
 * A time of the trace: day and hour, or the date if the trace has dates.
 *
 * @param startsAt The date of second 0, in milliseconds since the epoch, if the trace has dates.
 * @param zone The time zone of the clock.
 */
export function clock(at: number, startsAt?: number, zone = 'UTC'): string {
  const date = new Date(localTime(at, startsAt, zone));
  const hour = date.toISOString().slice(11, 16);
  const day = Math.floor(at / 86_400) + 1;
  return startsAt === undefined ? `day ${day}, ${hour}` : `${date.toISOString().slice(0, 10)}, ${hour}`;
}

/** A time of the trace on the clock of its time zone, in milliseconds as if that were UTC. */
export function localTime(at: number, startsAt = 0, zone = 'UTC'): number {
  const time = startsAt + at * 1_000;
  return time + offsetOf(time, zone);
}

/** A duration: `90 s`, `17 minutes`, `9.0 hours`, `4.6 days`, `42 days`. */
export const span = (hours: number) =>
  hours < 1
    ? duration(hours * 3_600)
    : hours < 48
      ? `${short(hours)} hours`
      : `${grouped(hours / 24, hours < 240 ? 1 : 0)} days`;

/** The run times of all jobs together, in hours however many: `42 minutes`, `6,120 hours`. */
export const work = (hours: number) =>
  hours < 1 ? duration(hours * 3_600) : `${hours < 10 ? short(hours) : whole(hours)} hours`;

/** How a value compares with another if less is better. Two that look the same on the page are the same. */
export function standing(
  value: number,
  than: number,
  text: (value: number) => string,
): 'better' | 'worse' | 'same' {
  if (text(value) === text(than)) return 'same';
  return value < than ? 'better' : 'worse';
}

/** A number that some rows lack. */
export const orDash = (value: number | null, text: (value: number) => string) =>
  value === null ? '–' : text(value);

/** A ratio with two decimals. */
export const ratio = (value: number) => grouped(value, 2);

/** A short duration: `13 s`, `17 minutes`. */
export const duration = (value: number) =>
  value < 120 ? `${whole(value)} s` : `${whole(value / 60)} minutes`;
