import { offsetOf } from './time-zone.ts';
import type { World } from './world.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** An hour of a trace on the clock of its time zone. */
export interface ClockHour {
  /** Days since 1 January 1970, or since second 0 if the trace has no dates. */
  day: number;
  /** From 0 to 23. */
  hour: number;
}

/**
 * The hours and days of a trace. Hours are whole hours of the clock, and have numbers: second 0 is in hour 0. A trace
 * without dates begins at midnight of its first day.
 */
export class Calendar {
  readonly #startsAt: number;
  readonly #zone: string;
  /** Whether days have dates. */
  readonly dated: boolean;
  /** How long before second 0 hour 0 begins, in seconds. */
  readonly #shift: number;

  /** @param world Its `zone` says whether the trace has dates. */
  constructor({ startsAt, zone }: Pick<World, 'startsAt' | 'zone'>) {
    this.dated = zone !== undefined;
    this.#startsAt = this.dated ? startsAt : 0;
    this.#zone = zone ?? 'UTC';
    const local = this.#startsAt + offsetOf(this.#startsAt, this.#zone);
    this.#shift = (((local % HOUR_MS) + HOUR_MS) % HOUR_MS) / 1_000;
  }

  /** The number of the hour at a time of the trace, in seconds. */
  hourAt(at: number): number {
    return Math.floor((at + this.#shift) / 3_600);
  }

  /** When an hour begins, in seconds of the trace. */
  startOf(hour: number): number {
    return hour * 3_600 - this.#shift;
  }

  clockOf(hour: number): ClockHour {
    const at = this.#startsAt + this.startOf(hour) * 1_000;
    const local = at + offsetOf(at, this.#zone);
    const day = Math.floor(local / DAY_MS);
    return { day, hour: Math.floor((local - day * DAY_MS) / HOUR_MS) };
  }

  /** When a day begins, in seconds of the trace; before second 0 for the first one, if the trace begins later. */
  beginOf(day: number): number {
    const local = day * DAY_MS;
    const guess = local - offsetOf(local, this.#zone);
    return (local - offsetOf(guess, this.#zone) - this.#startsAt) / 1_000;
  }

  /** The day of the week, from 0 for Monday. Without dates: the day of each period of seven days. */
  weekdayOf(day: number): number {
    // 1 January 1970 was a Thursday.
    return (((day + (this.dated ? 3 : 0)) % 7) + 7) % 7;
  }

  /** The date of a day, or its number from 1 if the trace has no dates. */
  nameOf(day: number): string | number {
    return this.dated ? new Date(day * DAY_MS).toISOString().slice(0, 10) : day + 1;
  }
}
