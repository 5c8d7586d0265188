import { randomNumbers } from '../sandbox/trace.ts';

/** From one second of the trace to another, that one not included. */
export interface Window {
  from: number;
  to: number;
}

/** What goes wrong in a replay; the same for every policy. Nothing does unless told. */
export interface Faults {
  /** Seed of what happens by chance: the same seed, the same faults. */
  seed: number;
  /** When boots fail, and which share of them, from 0 to 1: those that begin then. */
  bootFailures: readonly (Window & { share: number })[];
  /** When the CI service does not tell its counts, nor of jobs that are queued. Runners go on. */
  outages: readonly Window[];
  /** When EC2 has no capacity. */
  shortages: readonly Window[];
  /** When EC2 has no Spot capacity. */
  spotShortages: readonly Window[];
  /** How often EC2 takes a Spot instance back, in times per instance-hour. */
  spotInterruptions: number;
  /**
   * So many seconds lie between the two reads of the counts. What is claimed between them is counted twice, or not at
   * all: by turns, because either read may be the first.
   */
  readGap: number;
  /** Runners of the class that are outside the group, take jobs one after the other, and are always there. */
  foreignRunners: number;
}

export const NO_FAULTS: Faults = {
  seed: 1,
  bootFailures: [],
  outages: [],
  shortages: [],
  spotShortages: [],
  spotInterruptions: 0,
  readGap: 0,
  foreignRunners: 0,
};

export const isWithin = (windows: readonly Window[], at: number) =>
  windows.some(({ from, to }) => at >= from && at < to);

/** When one of the windows begins or ends next after that time; Infinity if none does. */
export const nextEdge = (windows: readonly Window[], after: number) =>
  windows.reduce(
    (next, { from, to }) => Math.min(next, from > after ? from : to > after ? to : next),
    Number.POSITIVE_INFINITY,
  );

/** What happens to launches by chance, in the order in which they are made. */
export class LaunchFaults {
  readonly #faults: Faults;
  readonly #random: () => number;

  constructor(faults: Faults) {
    this.#faults = faults;
    this.#random = randomNumbers(faults.seed);
  }

  /** What EC2 lacks for a launch. */
  shortage(now: number, onDemand: boolean): 'any' | 'spot' | undefined {
    if (isWithin(this.#faults.shortages, now)) return 'any';
    return !onDemand && isWithin(this.#faults.spotShortages, now) ? 'spot' : undefined;
  }

  bootFails(now: number): boolean {
    const share = this.#faults.bootFailures.find((window) => isWithin([window], now))?.share;
    return share !== undefined && this.#random() < share;
  }

  /** After how many seconds EC2 takes a Spot instance back; Infinity if it never does. */
  takenBackAfter(): number {
    const { spotInterruptions } = this.#faults;
    if (spotInterruptions === 0) return Number.POSITIVE_INFINITY;
    return (-Math.log(1 - this.#random()) * 3_600) / spotInterruptions;
  }
}
