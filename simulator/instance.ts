import type { Entry } from './launch-log.ts';

/** An instance, from its being asked for until it is gone. Times are seconds on the trace's scale. */
export interface Instance {
  /** In the order in which instances were asked for, from 1. */
  readonly number: number;
  readonly requestedAt: number;
  readonly warm: boolean;
  readonly onDemand: boolean;
  /** A runner of the class that is no member of the group: it is there all the time, and nobody pays for it here. */
  readonly foreign: boolean;
  /** What the group has on record of its launch; a foreign one has nothing. */
  readonly launch: Entry | undefined;
  pendingAt: number;
  /** When its runner had booted, or had ended its last job: from when on it could have claimed another. */
  freeAt: number;
  booted: boolean;
  /** The number of the job it runs; -1 if none. */
  job: number;
  used: boolean;
  /** An idle runner whose next request will find a job. */
  claiming: boolean;
  idle: boolean;
  gone: boolean;
  /** Its neighbours among those that wait. */
  before: Instance | undefined;
  after: Instance | undefined;
}

export const newInstance = (
  told: Pick<Instance, 'number' | 'requestedAt' | 'warm' | 'onDemand' | 'foreign' | 'launch'>,
): Instance => ({
  ...told,
  pendingAt: Number.POSITIVE_INFINITY,
  freeAt: Number.POSITIVE_INFINITY,
  booted: false,
  job: -1,
  used: false,
  claiming: false,
  idle: false,
  gone: false,
  before: undefined,
  after: undefined,
});

/** Idle runners in the order in which they began to wait; each of its steps takes the same time, however many wait. */
export class Waiting {
  first: Instance | undefined;
  last: Instance | undefined;

  add(instance: Instance): void {
    instance.before = this.last;
    if (this.last === undefined) this.first = instance;
    else this.last.after = instance;
    this.last = instance;
  }

  /** Does nothing if it does not wait. */
  delete(instance: Instance): void {
    const { before, after } = instance;
    if (before === undefined && this.first !== instance) return;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after === undefined) this.last = before;
    else after.before = before;
    instance.before = undefined;
    instance.after = undefined;
  }
}
