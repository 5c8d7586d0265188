/** Seconds of instances in each hour, which add up to those of `GroupTotals`. */
export interface HourlySeconds {
  billed: number[];
  spot: number[];
  stopped: number[];
}

/** Spreads seconds of instances over the hours in which they were billed. */
export class Hourly {
  readonly #hourAt: (at: number) => number;
  readonly #startOf: (hour: number) => number;
  readonly #seconds: HourlySeconds;

  /**
   * @param hourAt The number of the hour at a time; numbers start at 0.
   * @param startOf When an hour begins.
   */
  constructor(
    hourAt: (at: number) => number,
    startOf: (hour: number) => number,
    seconds: HourlySeconds = { billed: [], spot: [], stopped: [] },
  ) {
    this.#hourAt = hourAt;
    this.#startOf = startOf;
    this.#seconds = seconds;
  }

  /** Adds this many instances from one time until another. */
  add(kind: keyof HourlySeconds, from: number, until: number, count = 1): void {
    if (count === 0 || until <= from) return;
    const column = this.#seconds[kind];
    let hour = this.#hourAt(from);
    for (let at = from; at < until; hour += 1) {
      const end = Math.min(this.#startOf(hour + 1), until);
      column[hour] = (column[hour] ?? 0) + count * (end - at);
      at = end;
    }
  }

  get seconds(): HourlySeconds {
    return this.#seconds;
  }

  /** The same seconds, to which others can be added. */
  copy(): Hourly {
    const { billed, spot, stopped } = this.#seconds;
    return new Hourly(this.#hourAt, this.#startOf, {
      // Hours without an instance have no entry. `slice` keeps them so.
      billed: billed.slice(),
      spot: spot.slice(),
      stopped: stopped.slice(),
    });
  }
}
