import type { EventKind } from '../sandbox/group/events.ts';
import type { Instance } from '../sandbox/group/instance.ts';
import type { JobTable } from './job-table.ts';

/** The components of a job's wait. They add up to it. */
export const WAIT_PARTS = ['seen', 'launch', 'boot', 'claim', 'capacity'] as const;

/**
 * - `seen`: until a poll or webhook reported the job to the scaler.
 * - `launch`: until the instance that took it was pending.
 * - `boot`: until that instance was ready.
 * - `claim`: until an idle runner asked for work.
 * - `capacity`: the rest. Every runner was busy, or the scaler requested no instance.
 */
export type WaitPart = (typeof WAIT_PARTS)[number];

/** The outcomes of jobs, and the time of runners. Jobs are in the order of the trace; times are seconds on its scale. */
export interface JobTotals {
  /** When each job was first claimed. */
  startedAt: Float64Array;
  /** The components of each job's wait. */
  parts: Record<WaitPart, Float64Array>;
  /** Seconds in which a booted runner had no job. */
  idleSeconds: number;
  /** Jobs that ended because their instance was terminated. */
  jobsKilled: number;
  /** How often a job ran again because its instance was terminated. */
  jobsRetried: number;
}

/** Computes the outcomes of the jobs, from the events of their group and from when the scaler saw each job. */
export class JobFigures {
  readonly totals: JobTotals;
  readonly #queuedAt: Float64Array;
  /** When the scaler first saw each job. */
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

  /** Records that the scaler has seen a job. */
  seen(job: number, at: number): void {
    this.#seenAt[job] = at;
  }

  /** Call this with each event of the group. */
  add(kind: EventKind, at: number, instance: Instance | undefined, value: number): void {
    if (instance === undefined) return;
    switch (kind) {
      case 'claims':
        if (!instance.foreign) this.totals.idleSeconds += at - instance.freeAt;
        // Only the first wait of a job counts.
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

  /** Splits a job's wait into components, backwards from its start. */
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
