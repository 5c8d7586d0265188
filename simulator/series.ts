import type { GroupModel } from '../sandbox/group/group.ts';
import type { JobQueue } from '../sandbox/group/job-queue.ts';

/** Queue and capacity at one time. */
export interface Sample {
  at: number;
  unclaimed: number;
  running: number;
  desired: number;
  /** Billed instances. */
  instances: number;
}

/** Queue and capacity, recorded at an interval. */
export class SeriesRecorder {
  readonly samples: Sample[] = [];
  readonly #every: number;
  #at = 0;

  /** @param every The interval in seconds. Default: nothing is recorded. */
  constructor(every = Number.POSITIVE_INFINITY) {
    this.#every = every;
    if (every === Number.POSITIVE_INFINITY) this.#at = every;
  }

  /** Records what has not changed until then. */
  until(end: number, { unclaimed, running }: JobQueue, { desired, alive }: GroupModel): void {
    for (; this.#at < end; this.#at += this.#every)
      this.samples.push({ at: this.#at, unclaimed, running, desired, instances: alive });
  }
}
