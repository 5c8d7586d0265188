/** How many entries are taken before their memory is released. */
const ROOM = 1_024;

/** A first-in, first-out queue. Each operation takes constant time on average. */
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

  /** Adds an entry at the head. */
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

  /** Drops the entries beyond this length. */
  truncate(length: number): void {
    if (length < this.length) this.#entries.length = this.#head + length;
  }

  toArray(): T[] {
    return this.#entries.slice(this.#head);
  }
}
