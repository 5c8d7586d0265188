/** How many entries have been taken before the room that they held is given back. */
const ROOM = 1_024;

/** First in, first out. Each step takes the same time, on average, however many are in it. */
export class Fifo<T> {
  #entries: T[] = [];
  #head = 0;

  get length(): number {
    return this.#entries.length - this.#head;
  }

  get first(): T | undefined {
    return this.#entries[this.#head];
  }

  /** The entry after the first. */
  get second(): T | undefined {
    return this.#entries[this.#head + 1];
  }

  push(entry: T): void {
    this.#entries.push(entry);
  }

  /** Puts an entry before the first. */
  unshift(entry: T): void {
    if (this.#head === 0) {
      this.#entries.unshift(entry);
      return;
    }
    this.#head -= 1;
    this.#entries[this.#head] = entry;
  }

  shift(): T | undefined {
    if (this.#head === this.#entries.length) return undefined;
    const entry = this.#entries[this.#head];
    this.#head += 1;
    if (this.#head >= ROOM && this.#head * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    return entry;
  }

  /** Keeps the first ones, and drops what is beyond that number. */
  truncate(length: number): void {
    if (length < this.length) this.#entries.length = this.#head + length;
  }

  toArray(): T[] {
    return this.#entries.slice(this.#head);
  }
}
