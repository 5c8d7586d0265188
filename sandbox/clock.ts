import { getEventListeners } from 'node:events';
import TinyQueue from 'tinyqueue';

/** A real turn of the event loop. Everything that can run without waiting for time runs before it ends. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** The reason of `AbortSignal.timeout`; making one for each deadline takes time. */
const TIMED_OUT = new DOMException('The operation was aborted due to timeout', 'TimeoutError');

/** A callback with the time at which it is due. It returns `false` if it lets nothing run. */
interface Timer {
  at: number;
  order: number;
  callback: () => unknown;
  /** Called, or cleared before that. */
  isOver: boolean;
}

/**
 * A virtual clock with the timers and deadlines that obey it, so that the waits, retries and timeouts of a simulated
 * day pass in seconds. Time stands still while anything can run, and then jumps to the next timer.
 */
export class VirtualClock {
  readonly #timers = new TinyQueue<Timer>([], (a, b) => a.at - b.at || a.order - b.order);
  #now: number;
  #order = 0;

  /** @param start The time at which the clock starts. The same start makes the same run. */
  constructor(start: Date) {
    this.#now = start.getTime();
  }

  /** Milliseconds since the epoch, in virtual time. */
  readonly now = (): number => this.#now;

  /** As the global of this name: a fraction of a millisecond is dropped. */
  readonly setTimeout = (callback: () => unknown, milliseconds: number): Timer => {
    const at = this.#now + Math.max(Math.trunc(milliseconds), 0);
    const timer = { at, order: this.#order++, callback, isOver: false };
    this.#timers.push(timer);
    return timer;
  };

  readonly clearTimeout = (timer: Timer | undefined): void => {
    if (timer !== undefined) timer.isOver = true;
  };

  /** Resolves after this many seconds. */
  readonly sleep = (seconds: number): Promise<void> =>
    new Promise((resolve) => this.setTimeout(resolve, seconds * 1_000));

  /** As `AbortSignal.timeout`. */
  readonly timeout = (milliseconds: number): AbortSignal => {
    const controller = new AbortController();
    const { signal } = controller;
    this.setTimeout(() => {
      const isAwaited = getEventListeners(signal, 'abort').length > 0;
      controller.abort(TIMED_OUT);
      return isAwaited;
    }, milliseconds);
    return signal;
  };

  /**
   * Runs the virtual world until `work` settles.
   *
   * @throws Error if nothing is left that could ever settle it.
   */
  async run<T>(work: Promise<T>): Promise<T> {
    let settled = false;
    const done = () => {
      settled = true;
    };
    work.then(done, done);
    for (;;) {
      await settle();
      if (settled) return work;
      this.#advance();
    }
  }

  /** Jumps to the next timer whose callback lets something run. */
  #advance(): void {
    for (let timer = this.#timers.pop(); timer !== undefined; timer = this.#timers.pop()) {
      if (timer.isOver) continue;
      timer.isOver = true;
      this.#now = timer.at;
      if (timer.callback() !== false) return;
    }
    throw new Error('The virtual clock has no timer left to wait for');
  }
}
