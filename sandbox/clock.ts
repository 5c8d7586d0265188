import FakeTimers from '@sinonjs/fake-timers';

/** Real macrotask turn; kept from before the clock is replaced. Everything already runnable runs before it. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/**
 * A virtual clock for everything in this process: `Date`, `setTimeout` and `AbortSignal.timeout` obey it, so
 * that the workflow engine's waits, retries and timeouts, and the functions' deadlines and caches, pass a
 * day in seconds. Time stands still while anything can still run, and then jumps to the next timer.
 */
export class VirtualClock {
  readonly #timers: ReturnType<typeof FakeTimers.install>;
  readonly #abortTimeout = AbortSignal.timeout;

  /** @param start What the clock shows first; the same start makes the same run. */
  constructor(start: Date) {
    this.#timers = FakeTimers.install({ now: start, toFake: ['Date', 'setTimeout', 'clearTimeout'] });
    AbortSignal.timeout = (milliseconds) => {
      const controller = new AbortController();
      setTimeout(
        () => controller.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError')),
        milliseconds,
      );
      return controller.signal;
    };
  }

  /** Milliseconds since the epoch, in virtual time. */
  now(): number {
    return this.#timers.now;
  }

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
      if (this.#timers.countTimers() === 0)
        throw new Error('The virtual clock has no timer left to wait for');
      this.#timers.next();
    }
  }

  /** Gives the process its real clock back. */
  uninstall(): void {
    this.#timers.uninstall();
    AbortSignal.timeout = this.#abortTimeout;
  }
}
