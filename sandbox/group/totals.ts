import type { EventKind } from './events.ts';
import type { Hourly, HourlySeconds } from './hourly.ts';
import type { Instance } from './instance.ts';

/** Totals of a group: counts, and instance-seconds. */
export interface GroupTotals {
  /** Billed seconds, including boots for the warm pool. */
  billedSeconds: number;
  /** Billed seconds of Spot instances. */
  spotSeconds: number;
  /** Seconds of stopped instances in the warm pool. Only their volumes are billed. */
  stoppedSeconds: number;
  /** Launches that EC2 lists. */
  launches: number;
  /** Launches from the warm pool. */
  warmLaunches: number;
  spotLaunches: number;
  /** Launches into the warm pool. */
  poolLaunches: number;
  /** Launches of instances that left without having claimed a job. */
  unusedLaunches: number;
  /** Launches that EC2 refused. */
  refusedLaunches: number;
  /** Boots that failed, and launch hooks that timed out. */
  failedBoots: number;
  /** Instances that EC2 took back. */
  interruptions: number;
  /** The peak number of instances, without those that boot for the warm pool and those that are terminating. */
  peakInstances: number;
  /** The seconds above in each hour, if they were asked for. */
  hourly?: HourlySeconds;
}

/** Sums up the events of a group. */
export class Totals {
  readonly #minimumBilling: number;
  readonly #hourly: Hourly | undefined;
  readonly #so: GroupTotals = {
    billedSeconds: 0,
    spotSeconds: 0,
    stoppedSeconds: 0,
    launches: 0,
    warmLaunches: 0,
    spotLaunches: 0,
    poolLaunches: 0,
    unusedLaunches: 0,
    refusedLaunches: 0,
    failedBoots: 0,
    interruptions: 0,
    peakInstances: 0,
  };
  /** Instances that are pending or in service, and those that detached themselves. */
  #members = 0;
  #stock = 0;
  #stockSince = 0;

  /**
   * @param minimumBilling The minimum time that EC2 bills, in seconds.
   * @param hourly Where to add the seconds of each hour. Default: nowhere.
   */
  constructor(minimumBilling: number, hourly?: Hourly) {
    this.#minimumBilling = minimumBilling;
    this.#hourly = hourly;
  }

  /** Call this with each event of the group. */
  add(kind: EventKind, at: number, instance: Instance | undefined, value: number): void {
    const so = this.#so;
    switch (kind) {
      case 'pending':
        so.launches += 1;
        if (instance?.warm) so.warmLaunches += 1;
        if (!instance?.onDemand) so.spotLaunches += 1;
        this.#members += 1;
        so.peakInstances = Math.max(so.peakInstances, this.#members);
        break;
      case 'leaves':
        // Boots for the warm pool are billed already. Launches that never started are not billed.
        if (instance === undefined || instance.inPool || instance.pendingAt > at) break;
        this.#members -= 1;
        if (!instance.used) so.unusedLaunches += 1;
        break;
      case 'ends':
        if (instance !== undefined) this.#bill(so, instance, at, this.#hourly);
        break;
      case 'refused':
        so.refusedLaunches += 1;
        break;
      case 'boot fails':
        so.failedBoots += 1;
        break;
      case 'taken back':
        so.interruptions += 1;
        break;
      case 'warms up':
        // Billed in full when it becomes pending, because nothing interrupts its boot.
        so.poolLaunches += 1;
        so.billedSeconds += Math.max(value, this.#minimumBilling);
        this.#hourly?.add('billed', at, at + Math.max(value, this.#minimumBilling));
        break;
      case 'stock':
        so.stoppedSeconds += this.#stock * (at - this.#stockSince);
        this.#hourly?.add('stopped', this.#stockSince, at, this.#stock);
        this.#stock = value;
        this.#stockSince = at;
        break;
    }
  }

  /** The totals at a time, as if these instances ended at that time. */
  at(now: number, billed: Iterable<Instance>): GroupTotals {
    const totals = { ...this.#so };
    totals.stoppedSeconds += this.#stock * (now - this.#stockSince);
    const hourly = this.#hourly?.copy();
    hourly?.add('stopped', this.#stockSince, now, this.#stock);
    for (const instance of billed) this.#bill(totals, instance, now, hourly);
    return hourly === undefined ? totals : { ...totals, hourly: hourly.seconds };
  }

  #bill(
    totals: GroupTotals,
    { pendingAt, onDemand }: Instance,
    until: number,
    hourly: Hourly | undefined,
  ): void {
    if (pendingAt > until) return;
    const seconds = Math.max(until - pendingAt, this.#minimumBilling);
    totals.billedSeconds += seconds;
    hourly?.add('billed', pendingAt, pendingAt + seconds);
    if (onDemand) return;
    totals.spotSeconds += seconds;
    hourly?.add('spot', pendingAt, pendingAt + seconds);
  }
}
