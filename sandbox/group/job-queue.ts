import { Fifo } from './fifo.ts';

/** No job is queued. */
export const NO_JOB = -1;

/** A plan whose classes share a number of running jobs. */
export interface CircleCiPlan {
  limit: number;
  queues: readonly JobQueue[];
  /** Called when CircleCI hands out a job again that was beyond the plan's limit. */
  freed: () => void;
}

/**
 * The jobs of one resource class, in the order in which CircleCI assigns them: first queued, first claimed; jobs that
 * run again come first. A job is a number, in the order in which jobs were queued.
 */
export class JobQueue {
  #queued = 0;
  #started = 0;
  #running = 0;
  #ended = 0;
  /** Jobs that are queued to run again. */
  readonly #again = new Fifo<number>();
  /** How many jobs CircleCI lets run at the same time: what the plan leaves for the class, or 0 while it hands out none. */
  limit = Number.POSITIVE_INFINITY;
  /** The plan of the class, which may have other classes. */
  plan: CircleCiPlan | undefined;
  /** How many jobs CircleCI counts as running although no runner runs them. */
  phantoms = 0;
  /** For how many seconds at most CircleCI counts a job as running that has ended, and from a fifth of that. */
  longestLag = 0;
  /** How many jobs that have ended CircleCI counts as running. */
  lagging = 0;
  /** Whether CircleCI counts 0, whatever there is. */
  countsZero = false;
  /** In seconds. */
  readonly durationOf: (job: number) => number;

  constructor(durationOf: (job: number) => number) {
    this.durationOf = durationOf;
  }

  /** The number of jobs queued so far. */
  get queued(): number {
    return this.#queued;
  }

  /** How many jobs were claimed, each for the first time. They are the first ones of the queue. */
  get started(): number {
    return this.#started;
  }

  get unclaimed(): number {
    return this.#queued - this.#started + this.#again.length;
  }

  /** As CircleCI counts them. */
  get running(): number {
    return this.#running + this.lagging + this.phantoms;
  }

  /** Whether CircleCI may hand out fewer jobs than are queued. */
  get isLimited(): boolean {
    return this.limit < Number.POSITIVE_INFINITY || this.plan !== undefined;
  }

  get #full(): boolean {
    return this.#running >= this.limit || this.#isPlanFull;
  }

  /** Whether as many jobs run as the plan allows. */
  get #isPlanFull(): boolean {
    if (this.plan === undefined) return false;
    return this.plan.queues.reduce((sum, queue) => sum + queue.#running, 0) >= this.plan.limit;
  }

  get ended(): number {
    return this.#ended;
  }

  /** Queues another job. */
  enqueue(): number {
    const job = this.#queued;
    this.#queued += 1;
    return job;
  }

  /** Takes the next job for a runner; `NO_JOB` if none is queued, or CircleCI hands out none. */
  take(_now: number): number {
    if (this.#full) return NO_JOB;
    const again = this.#again.shift();
    if (again === undefined && this.#started === this.#queued) return NO_JOB;
    this.#running += 1;
    if (again !== undefined) return again;
    const job = this.#started;
    this.#started += 1;
    return job;
  }

  /** Ends a job, because it is done or its instance was terminated. */
  finish(_job: number, _now: number, _outcome: 'done' | 'killed'): void {
    this.countEnd();
  }

  protected countEnd(): void {
    this.#running -= 1;
    this.#ended += 1;
  }

  /** Queues a job again whose instance was terminated. */
  retry(job: number): void {
    this.#running -= 1;
    this.#again.push(job);
  }
}
