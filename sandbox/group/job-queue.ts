import { Fifo } from './fifo.ts';

/** No job waits. */
export const NO_JOB = -1;

/**
 * The jobs of one resource class, as CircleCI hands them out: first queued, first claimed, and a job that is run again
 * comes before all others. A job is its number, in the order of being queued.
 */
export class JobQueue {
  #queued = 0;
  #started = 0;
  #running = 0;
  #ended = 0;
  /** Jobs that wait to be run again. */
  readonly #again = new Fifo<number>();
  /** In seconds. */
  readonly durationOf: (job: number) => number;

  constructor(durationOf: (job: number) => number) {
    this.durationOf = durationOf;
  }

  /** Jobs so far, whatever became of them. */
  get queued(): number {
    return this.#queued;
  }

  /** How many jobs a runner has ever claimed: the first so many. */
  get started(): number {
    return this.#started;
  }

  get unclaimed(): number {
    return this.#queued - this.#started + this.#again.length;
  }

  get running(): number {
    return this.#running;
  }

  get ended(): number {
    return this.#ended;
  }

  /** One more job is queued. */
  enqueue(): number {
    const job = this.#queued;
    this.#queued += 1;
    return job;
  }

  /** The job that goes to a runner; `NO_JOB` if none waits. */
  take(_now: number): number {
    const again = this.#again.shift();
    if (again === undefined && this.#started === this.#queued) return NO_JOB;
    this.#running += 1;
    if (again !== undefined) return again;
    const job = this.#started;
    this.#started += 1;
    return job;
  }

  /** The job has ended: it is done, or its machine was taken away. */
  finish(_job: number, _now: number, _outcome: 'done' | 'killed'): void {
    this.countEnd();
  }

  protected countEnd(): void {
    this.#running -= 1;
    this.#ended += 1;
  }

  /** The job's machine was taken away, and it waits to be run again. */
  retry(job: number): void {
    this.#running -= 1;
    this.#again.push(job);
  }
}
