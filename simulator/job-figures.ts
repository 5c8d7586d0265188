import type { EventKind } from '../sandbox/group/events.ts';
import type { Instance } from '../sandbox/group/instance.ts';
import type { JobTable } from './job-table.ts';

/** The parts of a job's wait, in seconds; they add up to it. */
export const WAIT_PARTS = ['seen', 'launch', 'boot', 'claim', 'capacity'] as const;

/**
 * - `seen`: until the scaler knew of the job.
 * - `launch`: until the instance that took it was pending.
 * - `boot`: until that was ready.
 * - `claim`: until an idle runner asked for work.
 * - `capacity`: the rest, for which the scaler asked for nothing, or every runner was busy.
 */
export type WaitPart = (typeof WAIT_PARTS)[number];

/** The outcomes of jobs, and the time of runners. Jobs are in the order of the trace; times are seconds on its scale. */
export interface JobTotals {
  /** When each job was first claimed. */
  startedAt: Float64Array;
  /** The parts of each job's wait. */
  parts: Record<WaitPart, Float64Array>;
  /** Seconds in which a booted runner had no job. */
  idleSeconds: number;
  /** Jobs whose instance was taken away while they ran: they end there and then. */
  jobsKilled: number;
  /** Times that a job was run again, because its instance was taken away. */
  jobsRetried: number;
}

/** Computes the outcomes of the jobs, from the events of their group and from when the scaler saw each job. */
export class JobFigures {
  readonly totals: JobTotals;
  readonly #queuedAt: Float64Array;
  /** When the scaler first knew of each job. */
  readonly #seenAt: Float64Array;

  constructor({ length, queuedAt }: JobTable) {
    const perJob = () => new Float64Array(length);
    this.#queuedAt = queuedAt;
    this.#seenAt = perJob().fill(Number.POSITIVE_INFINITY);
    this.totals = {
      startedAt: perJob().fill(Number.NaN),
      parts: { seen: perJob(), launch: perJob(), boot: perJob(), claim: perJob(), capacity: perJob() },
      idleSeconds: 0,
      jobsKilled: 0,
      jobsRetried: 0,
    };
  }

  /** The scaler knows of a job. */
  seen(job: number, at: number): void {
    this.#seenAt[job] = at;
  }

  /** To be called with each event of the group. */
  add(kind: EventKind, at: number, instance: Instance | undefined, value: number): void {
    if (instance === undefined) return;
    switch (kind) {
      case 'claims':
        if (!instance.foreign) this.totals.idleSeconds += at - instance.freeAt;
        // A job that is run again has waited already.
        if (Number.isNaN(this.totals.startedAt[value])) this.#account(value, instance, at);
        break;
      case 'idles out':
        this.totals.idleSeconds += at - instance.freeAt;
        break;
      case 'leaves':
        if (instance.idle) this.totals.idleSeconds += at - instance.freeAt;
        break;
      case 'killed':
        this.totals.jobsKilled += 1;
        break;
      case 'retried':
        this.totals.jobsRetried += 1;
        break;
    }
  }

  /** Splits a job's wait, from its start backwards. */
  #account(job: number, instance: Instance, at: number): void {
    const { startedAt, parts } = this.totals;
    const queuedAt = this.#queuedAt[job] ?? at;
    startedAt[job] = at;
    let left = at;
    const part = (name: WaitPart, from: number) => {
      const begin = Math.max(Math.min(from, left), queuedAt);
      parts[name][job] = left - begin;
      left = begin;
    };
    part('claim', instance.freeAt);
    if (!instance.used && !instance.foreign) {
      part('boot', instance.pendingAt);
      part('launch', instance.requestedAt);
    }
    part('capacity', this.#seenAt[job] ?? at);
    part('seen', queuedAt);
  }
}
