import type { Unit } from './report-data.ts';

/** Numbers as the page shows them, in its text and in its charts. */

const grouped = (value: number, digits: number) =>
  value.toLocaleString('en-GB', { minimumFractionDigits: digits, maximumFractionDigits: digits });

export const whole = (value: number) => grouped(value, 0);

/** One decimal where it says something. */
export const short = (value: number) => grouped(value, Math.abs(value) < 100 ? 1 : 0);

export const seconds = (value: number) => `${short(value)} s`;

export const percent = (share: number) => `${whole(share * 100)} %`;

/** In a table or at an axis, whose head says the unit. */
export const price = (value: number, unit: Unit) =>
  unit === 'instance-hours' ? short(value) : `$${whole(value)}`;

/** In a sentence. */
export const priceInWords = (value: number, unit: Unit) =>
  unit === 'instance-hours' ? `${short(value)} instance-hours` : `$${whole(value)} a month`;

/** How much more or less a value is than another, as a share of that: `+4 %`, `−12 %`, `same`. */
export function change(value: number, than: number): string {
  if (value === than) return 'same';
  const share = value / than - 1;
  if (!Number.isFinite(share)) return 'more';
  if (Math.abs(share) < 0.0005) return 'same';
  return `${share > 0 ? '+' : '−'}${grouped(Math.abs(share) * 100, Math.abs(share) < 0.1 ? 1 : 0)} %`;
}

/** How many seconds more or less: `+4.0 s`, `−12.3 s`, `same`. */
export function difference(value: number, than: number): string {
  const more = value - than;
  if (Math.abs(more) < 0.05) return 'same';
  return `${more > 0 ? '+' : '−'}${seconds(Math.abs(more))}`;
}

/** A time of the trace: days and hours from its start. */
export function clock(at: number): string {
  const minutes = Math.floor(at / 60);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = Math.floor(minutes / 1_440) + 1;
  return `day ${day}, ${two(Math.floor(minutes / 60) % 24)}:${two(minutes % 60)}`;
}

/** How long something lasts: `9 hours`, `42 days`. */
export const span = (hours: number) =>
  hours < 48 ? `${short(hours)} hours` : `${grouped(hours / 24, 0)} days`;
