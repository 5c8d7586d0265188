import type { VirtualClock } from './clock.ts';

/** How often the schedules start an execution, in seconds. */
export const SCHEDULE_SECONDS = 60;

/**
 * How late the executions of a minute start, in whole seconds. Without a number, the minute is skipped; with two, each
 * fleet gets two executions. EventBridge Scheduler promises a precision of 60 s, and delivers at least once:
 * https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
 */
export type Starts = (minute: number) => readonly number[];

export const ON_TIME: Starts = () => [0];

/** What a schedule drives. Times are seconds from the start of the sandbox. */
interface Driven {
  readonly clock: VirtualClock;
  readonly now: number;
  catchUp(): void;
}

/** The schedules of all fleets, which have the same phase. */
export class Schedule {
  /** May change at any time; it counts for the minutes after that. */
  starts: Starts = ON_TIME;
  /** What `starts` is again after a fault. */
  usual: Starts = ON_TIME;
  readonly #sandbox: Driven;
  readonly #start: () => Promise<unknown>[];
  readonly #passOver: (due: number) => number;

  /**
   * @param start Starts an execution of each fleet.
   * @param passOver When the next execution that is due at the given time has to start, after those that are only counted.
   */
  constructor(sandbox: Driven, start: () => Promise<unknown>[], passOver: (due: number) => number) {
    this.#sandbox = sandbox;
    this.#start = start;
    this.#passOver = passOver;
  }

  async run(finished: () => boolean): Promise<void> {
    const sandbox = this.#sandbox;
    // An earlier run may have slept a fraction of a millisecond too long. That is no missed minute.
    const first = Math.ceil((sandbox.now - 0.001) / SCHEDULE_SECONDS) * SCHEDULE_SECONDS;
    await this.#sleepUntil(first);
    sandbox.catchUp();
    while (!finished()) {
      const minute = Math.floor(sandbox.now / SCHEDULE_SECONDS);
      const starts = this.starts(minute);
      for (const seconds of starts.filter((seconds) => seconds > 0)) void this.#startLater(seconds);
      await Promise.all(starts.filter((seconds) => seconds === 0).flatMap(this.#start));
      await this.#sleepUntil(this.#passOver((minute + 1) * SCHEDULE_SECONDS));
      sandbox.catchUp();
    }
  }

  /** Such executions may still run when the next minute begins. */
  async #startLater(seconds: number): Promise<void> {
    await this.#sandbox.clock.sleep(seconds);
    this.#sandbox.catchUp();
    await Promise.all(this.#start());
  }

  /** Timers drop fractions of a millisecond. Without rounding up, this would end just before the schedule is due. */
  #sleepUntil(seconds: number): Promise<void> {
    const { clock, now } = this.#sandbox;
    const milliseconds = Math.ceil((seconds - now) * 1_000);
    return new Promise((resolve) => clock.setTimeout(resolve, milliseconds));
  }
}
