import { Fifo } from './fifo.ts';
import type { Instance } from './instance.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** The members of a group, counted by state. Each operation takes constant time on average. */
export class GroupMembers {
  /** In the order of their launches. */
  readonly #all = new Set<Instance>();
  /** Members whose launch has not started, and unprotected members. Both may contain others, which are skipped. */
  readonly #requested = new Fifo<Instance>();
  readonly #unprotected = new Fifo<Instance>();
  #requestedCount = 0;
  #pendingCount = 0;
  #onDemandCount = 0;

  get all(): ReadonlySet<Instance> {
    return this.#all;
  }

  get size(): number {
    return this.#all.size;
  }

  /** The number of members that EC2 does not list yet. */
  get requested(): number {
    return this.#requestedCount;
  }

  get pending(): number {
    return this.#pendingCount;
  }

  get inService(): number {
    return this.#all.size - this.#pendingCount - this.#requestedCount;
  }

  /** Whether the next instance is On-Demand. Rounds as a mixed instances policy does: up, in favour of On-Demand. */
  nextIsOnDemand(base: number, percentage: number): boolean {
    const above = Math.max(this.size + 1 - base, 0);
    return this.#onDemandCount < base + Math.ceil((above * percentage) / 100);
  }

  /** Adds a requested instance. */
  add(instance: Instance): void {
    this.#all.add(instance);
    this.#requestedCount += 1;
    if (instance.onDemand) this.#onDemandCount += 1;
    this.#requested.push(instance);
  }

  /** Records that EC2 lists a member. */
  becomePending(instance: Instance, now: number): void {
    instance.pendingAt = now;
    this.#requestedCount -= 1;
    this.#pendingCount += 1;
    this.#tidy();
    if (!instance.protectedFromScaleIn) this.#unprotected.push(instance);
  }

  /** Records that a member's boot has succeeded or failed. */
  endBoot(instance: Instance): void {
    instance.booted = true;
    this.#pendingCount -= 1;
  }

  /** Sets whether scale-in may terminate a launched member. */
  protect(instance: Instance, isProtected: boolean): void {
    instance.protectedFromScaleIn = isProtected;
    if (!isProtected && this.#all.has(instance)) this.#unprotected.push(instance);
  }

  /** Does nothing if the instance is no longer a member. */
  delete(instance: Instance): void {
    if (!this.#all.delete(instance)) return;
    if (instance.onDemand) this.#onDemandCount -= 1;
    if (instance.pendingAt === NEVER) this.#requestedCount -= 1;
    else if (!instance.booted) this.#pendingCount -= 1;
  }

  /**
   * The first member to go when the desired capacity falls: the oldest unprotected one, or the oldest launch that has
   * not started. Each member is returned once.
   */
  nextToGo(): Instance | undefined {
    for (let next = this.#unprotected.shift(); next !== undefined; next = this.#unprotected.shift()) {
      if (!next.protectedFromScaleIn && this.#all.has(next)) return next;
    }
    for (let next = this.#requested.shift(); next !== undefined; next = this.#requested.shift()) {
      if (next.pendingAt === NEVER && !next.gone) return next;
    }
    return undefined;
  }

  /** Drops members at the heads of the two queues that no longer belong there. Launches start in their order. */
  #tidy(): void {
    for (let { first } = this.#requested; first !== undefined; { first } = this.#requested) {
      if (first.pendingAt === NEVER && !first.gone) break;
      this.#requested.shift();
    }
    for (let { first } = this.#unprotected; first?.gone; { first } = this.#unprotected) {
      this.#unprotected.shift();
    }
  }
}
