import type { Agenda } from '../agenda.ts';
import type { FailureCause, RecordedActivity, ScalingActivities } from './activities.ts';
import type { GroupDurations } from './durations.ts';
import type { Watch } from './events.ts';
import { isRefused, type LaunchFault } from './faults.ts';
import { Fifo } from './fifo.ts';
import { Instance, type LeavingReason } from './instance.ts';

/** What a warm pool needs from its group. */
export interface PoolOwner {
  readonly durations: GroupDurations;
  readonly activities: ScalingActivities;
  /** Whether the `Launch` process is suspended. */
  readonly suspended: boolean;
  launchFault(now: number, onDemand: boolean): LaunchFault | undefined;
  newNumber(): number;
  /** Called when EC2 refused a launch, so that the group tries again later. */
  planRelaunch(): void;
}

/** The end of an instance's boot for the pool. */
interface Ending {
  /** Seconds from pending. */
  seconds: number;
  /** Set if the instance never joins the pool. */
  failure?: { cause: FailureCause; reason: LeavingReason };
}

/** A group's stopped instances. They boot once, and launch faster afterwards. */
export class WarmPool {
  readonly #owner: PoolOwner;
  readonly #agenda: Agenda;
  readonly #watch: Watch;
  /** The numbers of the stopped instances, in the order in which they stopped. */
  readonly #stock = new Fifo<number>();
  #warming = 0;
  #size: number;

  /** @param size The size of the pool, which is full at the start. */
  constructor(size: number, owner: PoolOwner, agenda: Agenda, watch: Watch) {
    this.#size = size;
    this.#owner = owner;
    this.#agenda = agenda;
    this.#watch = watch;
    while (this.#stock.length < size) this.#stock.push(owner.newNumber());
    if (size > 0) this.#stocked();
  }

  get size(): number {
    return this.#size;
  }

  get stopped(): number {
    return this.#stock.length;
  }

  /** The number of instances that boot for the pool. */
  get warming(): number {
    return this.#warming;
  }

  /** Changes the size: launches missing instances, and terminates surplus stopped ones. */
  resize(size: number): void {
    this.#size = size;
    if (size < this.#stock.length) {
      this.#stock.truncate(size);
      this.#stocked();
    }
    this.refill();
  }

  /** Takes a stopped instance for a launch, by its number; `undefined` if there is none. */
  take(): number | undefined {
    const number = this.#stock.shift();
    if (number !== undefined) this.#stocked();
    return number;
  }

  /** Puts the instance of a cancelled launch back. */
  putBack(number: number): void {
    if (this.#stock.length >= this.#size) return;
    this.#stock.unshift(number);
    this.#stocked();
  }

  /** Launches missing instances, unless the `Launch` process is suspended. */
  refill(): void {
    while (this.#stock.length + this.#warming < this.#size && !this.#owner.suspended) {
      if (this.#warm()) continue;
      this.#owner.planRelaunch();
      return;
    }
  }

  /** Requests an instance that boots once and is then stopped. Returns `false` if EC2 refuses. */
  #warm(): boolean {
    const { activities, durations } = this.#owner;
    const { now } = this.#agenda;
    // Groups with a warm pool have no Spot capacity.
    const fault = this.#owner.launchFault(now, true);
    if (isRefused(fault) && fault !== 'unplaced') {
      activities.refuse(fault, undefined);
      this.#watch('refused', now, undefined, 0);
      return false;
    }
    const number = this.#owner.newNumber();
    const launch = activities.warm(number);
    const instance = newPoolInstance(number, now, launch);
    const { seconds, failure } = warmUp(durations, fault);
    this.#warming += 1;
    this.#agenda.plan(now + durations.request, () => {
      activities.proceed(launch);
      instance.pendingAt = this.#agenda.now;
      this.#watch('warms up', this.#agenda.now, instance, seconds);
    });
    this.#agenda.plan(now + durations.request + seconds, () => {
      this.#warming -= 1;
      if (failure) this.#giveUp(instance, launch, failure);
      else this.#stop(instance, launch);
      this.refill();
    });
    return true;
  }

  #stop(instance: Instance, launch: RecordedActivity): void {
    this.#owner.activities.succeed(launch);
    if (this.#stock.length < this.#size) this.#stock.push(instance.number);
    this.#watch('is warm', this.#agenda.now, instance, 0);
    this.#stocked();
  }

  #giveUp(
    instance: Instance,
    launch: RecordedActivity,
    { cause, reason }: NonNullable<Ending['failure']>,
  ): void {
    const { now } = this.#agenda;
    this.#owner.activities.fail(launch, cause);
    instance.leftAt = now;
    instance.goneAt = now;
    instance.reason = reason;
    this.#watch(reason === 'taken back' ? 'taken back' : 'boot fails', now, instance, 0);
    this.#watch('leaves', now, instance, 0);
  }

  #stocked(): void {
    this.#watch('stock', this.#agenda.now, undefined, this.#stock.length);
  }
}

const newPoolInstance = (number: number, requestedAt: number, launch: RecordedActivity) =>
  new Instance({
    number,
    requestedAt,
    warm: false,
    onDemand: true,
    deaf: false,
    inPool: true,
    protectedFromScaleIn: false,
    launch,
  });

/** How long the boot for the pool takes, and how it ends. */
function warmUp(
  { boot, warmStop, launchHook, endsAtStart }: GroupDurations,
  fault: LaunchFault | undefined,
): Ending {
  switch (fault) {
    case 'dead':
      return { seconds: launchHook, failure: { cause: 'heartbeat timeout', reason: 'silent' } };
    case 'failing':
      return { seconds: boot / 3, failure: { cause: 'abandoned', reason: 'boot failed' } };
    case 'lost':
      return { seconds: boot / 2, failure: { cause: 'ended', reason: 'taken back' } };
    case 'no-key':
      return { seconds: endsAtStart, failure: { cause: 'no-key', reason: 'silent' } };
    default:
      return { seconds: boot + warmStop };
  }
}
