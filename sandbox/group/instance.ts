import type { Activity } from './activities.ts';

export type InstanceState = 'requested' | 'Pending' | 'InService' | 'gone';

/** Why an instance is gone. */
export type LeavingReason =
  /** Its runner has done its job. */
  | 'done'
  /** Its runner found no job for as long as it waits. */
  | 'idle'
  /** Its boot failed. */
  | 'boot failed'
  /** Nothing was heard of it before its launch hook timed out. */
  | 'silent'
  /** EC2 took it back. */
  | 'taken back'
  /** Desired capacity fell, and nothing protected it. */
  | 'scaled in'
  /** Desired capacity fell before the launch had begun. */
  | 'cancelled';

const NEVER = Number.POSITIVE_INFINITY;

/** What is known of an instance as it is asked for. */
export interface InstanceOrder {
  /** In the order in which instances were asked for, from 1; below 0 for one outside the group. */
  number: number;
  requestedAt: number;
  /** Whether it comes from the warm pool. */
  warm: boolean;
  onDemand: boolean;
  /** Whether its runner takes no job, ever. */
  deaf: boolean;
  /** Whether it boots for the warm pool; the launch out of it is an instance of its own, of the same number. */
  inPool: boolean;
  protectedFromScaleIn: boolean;
  /** What the group has on record of its launch; a foreign one has nothing. */
  launch: Activity | undefined;
}

/**
 * An instance, from its being asked for until it is gone. Times are seconds on the agenda's scale, and Infinity for
 * what has not happened.
 */
export class Instance {
  readonly number: number;
  readonly requestedAt: number;
  readonly warm: boolean;
  readonly onDemand: boolean;
  readonly deaf: boolean;
  readonly inPool: boolean;
  readonly launch: Activity | undefined;
  protectedFromScaleIn: boolean;
  pendingAt = NEVER;
  readyAt = NEVER;
  /** When its runner had booted, or had ended its last job: from when on it could have claimed another. */
  freeAt = NEVER;
  leftAt = NEVER;
  /** Whether its boot is over, well or not. */
  booted = false;
  /** The number of the job it runs; -1 if none. */
  job = -1;
  /** Whether it ever claimed a job. */
  used = false;
  /** An idle runner whose next request will find a job. */
  claiming = false;
  idle = false;
  gone = false;
  reason: LeavingReason | undefined = undefined;
  /** Its neighbours among those that wait. */
  before: Instance | undefined = undefined;
  after: Instance | undefined = undefined;

  constructor(order: InstanceOrder) {
    this.number = order.number;
    this.requestedAt = order.requestedAt;
    this.warm = order.warm;
    this.onDemand = order.onDemand;
    this.deaf = order.deaf;
    this.inPool = order.inPool;
    this.launch = order.launch;
    this.protectedFromScaleIn = order.protectedFromScaleIn;
  }

  get id(): string {
    return instanceId(this.number);
  }

  /** Whether it is a runner of the class outside the group: it is there all the time, and nobody pays for it here. */
  get foreign(): boolean {
    return this.number < 0;
  }

  get state(): InstanceState {
    if (this.gone) return 'gone';
    if (this.pendingAt === NEVER) return 'requested';
    return this.booted ? 'InService' : 'Pending';
  }
}

export const instanceId = (number: number) => `i-${number.toString(16).padStart(17, '0')}`;

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
