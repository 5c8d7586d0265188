import TinyQueue from 'tinyqueue';

interface Entry {
  at: number;
  order: number;
  happen: () => void;
}

/** What will happen in the embedded world, in order of time; what is due at the same time happens in the order it was planned. */
export class Agenda {
  readonly #entries = new TinyQueue<Entry>([], (a, b) => a.at - b.at || a.order - b.order);
  #order = 0;
  #now: number;

  /** @param now Seconds, on any scale; `at` and `until` use the same. */
  constructor(now = 0) {
    this.#now = now;
  }

  /** Seconds; while something happens, the time at which it does. */
  get now(): number {
    return this.#now;
  }

  /** Seconds at which the next thing is due, or `undefined` if nothing is. */
  get next(): number | undefined {
    return this.#entries.peek()?.at;
  }

  plan(at: number, happen: () => void): void {
    this.#entries.push({ at, order: this.#order++, happen });
  }

  /** Lets everything happen that is due by then. */
  advance(until: number): void {
    for (
      let entry = this.#entries.peek();
      entry !== undefined && entry.at <= until;
      entry = this.#entries.peek()
    ) {
      this.#entries.pop();
      this.#now = Math.max(this.#now, entry.at);
      entry.happen();
    }
    this.#now = Math.max(this.#now, until);
  }
}
