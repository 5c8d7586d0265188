import type { EventKind } from './events.ts';
import type { Instance } from './instance.ts';

/** Totals of a group: counts, and seconds of instances. */
export interface GroupTotals {
  /** Seconds paid for, those included that were made for the warm pool. */
  billedSeconds: number;
  /** How many of them were paid for as Spot. */
  spotSeconds: number;
  /** Seconds for which instances stood by in the warm pool, stopped: only their volumes are paid for. */
  stoppedSeconds: number;
  /** Launches that EC2 lists. */
  launches: number;
  /** Launches for which the warm pool had an instance. */
  warmLaunches: number;
  spotLaunches: number;
  /** Launches into the warm pool. */
  poolLaunches: number;
  /** Launches of instances that left without ever claiming a job. */
  unusedLaunches: number;
  /** Launches that EC2 refused. */
  refusedLaunches: number;
  /** Boots that failed, and instances of which nothing was heard. */
  failedBoots: number;
  /** Instances that EC2 took back. */
  interruptions: number;
  /** The most instances that were paid for at once, without those of the warm pool. */
  peakInstances: number;
}

/** Sums up the events of a group. */
export class Totals {
  readonly #minimumBilling: number;
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
  #alive = 0;
  #stock = 0;
  #stockSince = 0;

  /** @param minimumBilling The shortest time EC2 bills, in seconds. */
  constructor(minimumBilling: number) {
    this.#minimumBilling = minimumBilling;
  }

  /** To be called with each event of the group. */
  add(kind: EventKind, at: number, instance: Instance | undefined, value: number): void {
    const so = this.#so;
    switch (kind) {
      case 'pending':
        so.launches += 1;
        if (instance?.warm) so.warmLaunches += 1;
        if (!instance?.onDemand) so.spotLaunches += 1;
        this.#alive += 1;
        so.peakInstances = Math.max(so.peakInstances, this.#alive);
        break;
      case 'leaves':
        if (instance !== undefined) this.#left(instance, at);
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
        // Paid for whole as soon as it is pending: whatever else happens, it boots to its end.
        so.poolLaunches += 1;
        so.billedSeconds += Math.max(value, this.#minimumBilling);
        break;
      case 'stock':
        so.stoppedSeconds += this.#stock * (at - this.#stockSince);
        this.#stock = value;
        this.#stockSince = at;
        break;
    }
  }

  /** The totals at a time, as if these members left then. */
  at(now: number, members: Iterable<Instance>): GroupTotals {
    const totals = { ...this.#so };
    totals.stoppedSeconds += this.#stock * (now - this.#stockSince);
    for (const instance of members) this.#bill(totals, instance, now);
    return totals;
  }

  #left(instance: Instance, at: number): void {
    // What boots for the warm pool is paid for already, and what never launched is not.
    if (instance.inPool || instance.pendingAt > at) return;
    this.#alive -= 1;
    if (!instance.used) this.#so.unusedLaunches += 1;
    this.#bill(this.#so, instance, at);
  }

  #bill(totals: GroupTotals, { pendingAt, onDemand }: Instance, until: number): void {
    if (pendingAt > until) return;
    const seconds = Math.max(until - pendingAt, this.#minimumBilling);
    totals.billedSeconds += seconds;
    if (!onDemand) totals.spotSeconds += seconds;
  }
}
