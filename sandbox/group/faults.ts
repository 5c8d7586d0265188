import { randomNumbers } from '../trace.ts';

/**
 * What goes wrong with a launch.
 *
 * - `refused`: EC2 has no capacity.
 * - `no-spot`: EC2 has no Spot capacity; a launch of On-Demand capacity is none the worse.
 * - `dead`: the instance boots, and nothing is ever heard of it.
 * - `failing`: its boot fails after a third of the time, and it leaves.
 * - `lost`: EC2 takes it back after half of the boot time, as it does with Spot instances.
 * - `deaf`: it comes into service, and its runner takes no task, as with a token of another resource class.
 * - `unplaced`: the zone that the group tries first never has the type. The group tries another one a second later.
 * - `no-addresses`: the subnet has no free address.
 * - `throttled`: the account makes too many requests.
 * - `no-spot-role`: the account lacks the service-linked role for Spot; a launch of On-Demand capacity is none the worse.
 * - `no-key`: EC2 Auto Scaling may not use the key of the volumes, and the instance ends as it starts.
 */
export type LaunchFault = RefusedLaunch | 'dead' | 'failing' | 'lost' | 'deaf' | 'no-key';

/** The faults that leave no instance. */
export type RefusedLaunch =
  | 'refused'
  | 'no-spot'
  | 'unplaced'
  | 'no-addresses'
  | 'throttled'
  | 'no-spot-role';

const REFUSED: readonly string[] = [
  'refused',
  'no-spot',
  'unplaced',
  'no-addresses',
  'throttled',
  'no-spot-role',
] satisfies RefusedLaunch[];

export const isRefused = (fault: LaunchFault | undefined): fault is RefusedLaunch =>
  fault !== undefined && REFUSED.includes(fault);

/** Whether a fault is of Spot capacity alone. */
export const isOfSpot = (fault: LaunchFault | undefined) => fault === 'no-spot' || fault === 'no-spot-role';

/** From one second to another, that one not included. */
export interface FaultWindow {
  from: number;
  to: number;
}

/** A window in which a share of the launches fails, from 0 to 1. */
export type ShareWindow = FaultWindow & { share: number };

/** All the time, and every launch. */
export const ALWAYS: ShareWindow = { from: 0, to: Number.POSITIVE_INFINITY, share: 1 };

/**
 * What can go wrong. The sandbox's groups and the replay take these faults, and so do `--fault` and the fault matrix.
 * Seconds count from the start of the trace.
 */
export interface Faults {
  /** Seed of what happens by chance: the same seed, the same faults. */
  seed: number;
  /** When boots fail, and which share of them: those whose launch begins then. */
  bootFailures: readonly ShareWindow[];
  /** When instances boot of which nothing is ever heard. */
  deadInstances: readonly ShareWindow[];
  /** When EC2 takes instances back while they boot. */
  lostInstances: readonly ShareWindow[];
  /** When runners come into service that take no job. */
  deafRunners: readonly ShareWindow[];
  /** When the CI service answers no counts and sends no webhooks. Runners go on. */
  outages: readonly FaultWindow[];
  /** When EC2 has no capacity. */
  shortages: readonly FaultWindow[];
  /** When EC2 has no Spot capacity. */
  spotShortages: readonly FaultWindow[];
  /** When the account lacks the service-linked role for Spot. */
  spotRoleMissing: readonly FaultWindow[];
  /** How often EC2 takes a Spot instance back, in times per instance-hour. */
  spotInterruptions: number;
  /** When launches are tried first in a zone that never has the type, and which share of them. */
  zoneRefusals: readonly ShareWindow[];
  /** When the subnets have no free address. */
  addressShortages: readonly FaultWindow[];
  /** When EC2 throttles the account. */
  throttled: readonly FaultWindow[];
  /** When EC2 Auto Scaling may not use the key of the volumes. */
  keyFailures: readonly FaultWindow[];
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
  deadInstances: [],
  lostInstances: [],
  deafRunners: [],
  outages: [],
  shortages: [],
  spotShortages: [],
  spotRoleMissing: [],
  spotInterruptions: 0,
  zoneRefusals: [],
  addressShortages: [],
  throttled: [],
  keyFailures: [],
  readGap: 0,
  foreignRunners: 0,
};

export const isWithin = (windows: readonly FaultWindow[], at: number) =>
  windows.some(({ from, to }) => at >= from && at < to);

/** When one of the windows begins or ends next after that time; Infinity if none does. */
export const nextEdge = (windows: readonly FaultWindow[], after: number) =>
  windows.reduce(
    (next, { from, to }) => Math.min(next, from > after ? from : to > after ? to : next),
    Number.POSITIVE_INFINITY,
  );

/** Draws what happens to each launch, in the order of the launches. */
export class LaunchFaults {
  readonly #faults: Faults;
  readonly #random: () => number;
  /** Faults of instances that did launch, in the order in which they are drawn. */
  readonly #ofBoots: readonly (readonly [LaunchFault, readonly ShareWindow[]])[];

  constructor(faults: Partial<Faults>) {
    this.#faults = { ...NO_FAULTS, ...faults };
    this.#random = randomNumbers(this.#faults.seed);
    const { bootFailures, deadInstances, lostInstances, deafRunners } = this.#faults;
    const all = [
      ['failing', bootFailures],
      ['dead', deadInstances],
      ['lost', lostInstances],
      ['deaf', deafRunners],
    ] as const;
    this.#ofBoots = all.filter(([, windows]) => windows.length > 0);
  }

  /** What goes wrong with a launch that begins now; asked once for each, also for one into the warm pool. */
  readonly ofLaunch = (now: number, onDemand: boolean): LaunchFault | undefined => {
    const faults = this.#faults;
    if (isWithin(faults.shortages, now)) return 'refused';
    if (!onDemand && isWithin(faults.spotShortages, now)) return 'no-spot';
    if (!onDemand && isWithin(faults.spotRoleMissing, now)) return 'no-spot-role';
    if (isWithin(faults.addressShortages, now)) return 'no-addresses';
    if (isWithin(faults.throttled, now)) return 'throttled';
    if (isWithin(faults.keyFailures, now)) return 'no-key';
    if (this.#draws(faults.zoneRefusals, now)) return 'unplaced';
    return this.#ofBoots.find(([, windows]) => this.#draws(windows, now))?.[0];
  };

  /** After how many seconds EC2 takes a Spot instance back; Infinity if it never does. */
  readonly interruptedAfter = (): number => {
    const { spotInterruptions } = this.#faults;
    if (spotInterruptions === 0) return Number.POSITIVE_INFINITY;
    return (-Math.log(1 - this.#random()) * 3_600) / spotInterruptions;
  };

  #draws(windows: readonly ShareWindow[], now: number): boolean {
    const share = windows.find(({ from, to }) => now >= from && now < to)?.share;
    return share !== undefined && this.#random() < share;
  }
}
