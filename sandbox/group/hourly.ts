/** Seconds of instances in each hour, which add up to those of `GroupTotals`. */
export interface HourlySeconds {
  billed: number[];
  spot: number[];
  stopped: number[];
}

/** All later hours count as this one: a trace may last for centuries. */
export const LAST_HOUR = 24_000;

/** Hours by numbers from 0. */
export interface Hours {
  /** The number of the hour at a time. */
  hourAt(at: number): number;
  /** When an hour begins. */
  startOf(hour: number): number;
}

/** Spreads seconds of instances over the hours in which they were billed. */
export class Hourly {
  readonly #hours: Hours;
  readonly seconds: HourlySeconds;

  constructor(hours: Hours, seconds: HourlySeconds = { billed: [], spot: [], stopped: [] }) {
    this.#hours = hours;
    this.seconds = seconds;
  }

  /** Adds this many instances from one time until another. */
  add(kind: keyof HourlySeconds, from: number, until: number, count = 1): void {
    if (count === 0 || until <= from) return;
    const column = this.seconds[kind];
    let hour = Math.min(this.#hours.hourAt(from), LAST_HOUR);
    for (let at = from; at < until; hour += 1) {
      const end = hour === LAST_HOUR ? until : Math.min(this.#hours.startOf(hour + 1), until);
      column[hour] = (column[hour] ?? 0) + count * (end - at);
      at = end;
    }
  }

  /** The same seconds, to which others can be added. */
  copy(): Hourly {
    const { billed, spot, stopped } = this.seconds;
    return new Hourly(this.#hours, {
      // Hours without an instance have no entry. `slice` keeps them so.
      billed: billed.slice(),
      spot: spot.slice(),
      stopped: stopped.slice(),
    });
  }
}
