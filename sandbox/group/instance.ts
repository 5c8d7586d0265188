import type { RecordedActivity } from './activities.ts';

export type InstanceState =
  | 'requested'
  | 'Pending'
  | 'InService'
  | 'Standby'
  | 'Detached'
  | 'Terminating'
  | 'gone';

/** Why an instance left its group. */
export type LeavingReason =
  /** Its runner has finished its job. */
  | 'done'
  /** Its runner found no job within its idle timeout. */
  | 'idle'
  /** Its boot failed. */
  | 'boot failed'
  /** Its launch hook timed out without a report. */
  | 'silent'
  /** EC2 took it back. */
  | 'taken back'
  /** The desired capacity fell, and the instance was not protected. */
  | 'scaled in'
  /** The desired capacity fell before the launch had started. */
  | 'cancelled';

const NEVER = Number.POSITIVE_INFINITY;

/** The properties of an instance when it is requested. */
export interface InstanceOrder {
  /** In the order of the requests, from 1. Runners outside the group have negative numbers. */
  number: number;
  requestedAt: number;
  /** Whether it comes from the warm pool. */
  warm: boolean;
  onDemand: boolean;
  /** Whether its runner never takes a job. */
  deaf: boolean;
  /** Whether it boots for the warm pool. Its launch out of the pool is another instance with the same number. */
  inPool: boolean;
  protectedFromScaleIn: boolean;
  /** The activity of its launch. Runners outside the group have none. */
  launch: RecordedActivity | undefined;
}

/**
 * An instance, from its request until it is gone. Times are seconds on the agenda's scale; Infinity means not yet.
 */
export class Instance {
  readonly number: number;
  readonly requestedAt: number;
  readonly warm: boolean;
  readonly onDemand: boolean;
  readonly deaf: boolean;
  readonly inPool: boolean;
  readonly launch: RecordedActivity | undefined;
  protectedFromScaleIn: boolean;
  pendingAt = NEVER;
  readyAt = NEVER;
  /** When its runner booted or finished its last job, and so could claim the next one. */
  freeAt = NEVER;
  /** When a person moved it to standby, or detached it. Its runner goes on. */
  standbyAt = NEVER;
  detachedAt = NEVER;
  /** When it left its group. */
  leftAt = NEVER;
  /** When EC2 had terminated it, or its launch was cancelled. Until then it is billed. */
  goneAt = NEVER;
  /** Whether its boot has succeeded or failed. */
  booted = false;
  /** The number of the job it runs; -1 if none. */
  job = -1;
  /** Whether it ever claimed a job. */
  used = false;
  /** Whether its runner is idle and its next request will find a job. */
  claiming = false;
  idle = false;
  reason: LeavingReason | undefined = undefined;
  /** Its neighbours in the list of idle runners. */
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

  /** Whether it is a runner outside the group, which never leaves and is not billed. */
  get foreign(): boolean {
    return this.number < 0;
  }

  get hasLeft(): boolean {
    return this.leftAt !== NEVER;
  }

  get gone(): boolean {
    return this.goneAt !== NEVER;
  }

  get state(): InstanceState {
    if (this.gone) return 'gone';
    if (this.detachedAt !== NEVER) return 'Detached';
    if (this.hasLeft) return 'Terminating';
    if (this.standbyAt !== NEVER) return 'Standby';
    if (this.pendingAt === NEVER) return 'requested';
    return this.booted ? 'InService' : 'Pending';
  }
}

export const instanceId = (number: number) => `i-${number.toString(16).padStart(17, '0')}`;

/** Idle runners, in the order in which they became idle. Each operation takes constant time. */
export class Waiting {
  first: Instance | undefined;
  last: Instance | undefined;

  add(instance: Instance): void {
    instance.before = this.last;
    if (this.last === undefined) this.first = instance;
    else this.last.after = instance;
    this.last = instance;
  }

  /** Does nothing if the runner is not in the list. */
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
