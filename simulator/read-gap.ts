import { Fifo } from '../sandbox/group/fifo.ts';
import type { ScalerObservation } from './policy.ts';

/**
 * The gap between the two requests of a poll: a job that was claimed in the gap is counted twice or not at all.
 */
export class ReadGap {
  readonly #seconds: number;
  /** The times of the latest claims. */
  readonly #claims = new Fifo<number>();

  constructor(seconds: number) {
    this.#seconds = seconds;
  }

  /** Remembers a claim. */
  claimed(now: number): void {
    if (this.#seconds === 0) return;
    this.#claims.push(now);
    while ((this.#claims.first ?? now) <= now - this.#seconds) this.#claims.shift();
  }

  /**
   * Falsifies the counts of a poll.
   *
   * @returns Whether a job was claimed in the gap.
   */
  misread(observation: ScalerObservation): boolean {
    if (this.#seconds === 0) return false;
    const { now } = observation;
    const claimed = this.#claims.toArray().filter((claimedAt) => claimedAt > now - this.#seconds).length;
    if (claimed === 0) return false;
    // Which request came first changes from second to second.
    if (Math.floor(now) % 2 === 0) observation.unclaimed += claimed;
    else observation.running = Math.max(observation.running - claimed, 0);
    return true;
  }
}
