import { Fifo } from './fifo.ts';
import type { Instance } from './instance.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** The members of a group, counted by what they are. Each step takes the same time on average, however many there are. */
export class Members {
  /** In the order of their launch. */
  readonly #all = new Set<Instance>();
  /** Those whose launch has not begun, and those that nothing protects; others may be left in both. */
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

  /** Those that EC2 does not list yet. */
  get requested(): number {
    return this.#requestedCount;
  }

  get pending(): number {
    return this.#pendingCount;
  }

  get inService(): number {
    return this.#all.size - this.#pendingCount - this.#requestedCount;
  }

  get onDemand(): number {
    return this.#onDemandCount;
  }

  /** EC2 is asked for an instance, which is a member from then on. */
  add(instance: Instance): void {
    this.#all.add(instance);
    this.#requestedCount += 1;
    if (instance.onDemand) this.#onDemandCount += 1;
    this.#requested.push(instance);
  }

  /** EC2 lists a member. */
  becomePending(instance: Instance, now: number): void {
    instance.pendingAt = now;
    this.#requestedCount -= 1;
    this.#pendingCount += 1;
    this.#tidy();
    if (!instance.protectedFromScaleIn) this.#unprotected.push(instance);
  }

  /** A member's boot is over, well or not. */
  endBoot(instance: Instance): void {
    instance.booted = true;
    this.#pendingCount -= 1;
  }

  /** Whether a fall of the desired capacity may take a member away that has been launched. */
  protect(instance: Instance, isProtected: boolean): void {
    instance.protectedFromScaleIn = isProtected;
    if (!isProtected && this.#all.has(instance)) this.#unprotected.push(instance);
  }

  /** Does nothing if it is no member any more. */
  delete(instance: Instance): void {
    if (!this.#all.delete(instance)) return;
    if (instance.onDemand) this.#onDemandCount -= 1;
    if (instance.pendingAt === NEVER) this.#requestedCount -= 1;
    else if (!instance.booted) this.#pendingCount -= 1;
  }

  /**
   * The member that goes first if desired capacity falls: the oldest that nothing protects, or else the oldest launch
   * that has not begun. It is offered once.
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

  /** Forgets those at the heads that the two queues are not for any more; launches begin in their order. */
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
