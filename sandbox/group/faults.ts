import type { Agenda } from '../agenda.ts';
import { randomNumbers } from '../trace.ts';
import type { JobQueue } from './job-queue.ts';

/**
 * Faults of a launch.
 *
 * - `refused`: EC2 has no capacity.
 * - `no-spot`: EC2 has no Spot capacity. On-Demand launches are not affected.
 * - `dead`: the instance boots and never reports.
 * - `failing`: the boot fails after a third of its time, and the instance leaves.
 * - `lost`: EC2 takes the instance back after half of its boot time, as it does with Spot instances.
 * - `deaf`: the instance comes into service, but its runner takes no task, because its token is of another resource
 *   class.
 * - `unplaced`: the zone that the group tries first never has the type. The group tries another one a second later.
 * - `no-type`: no zone of the group has the type. The group tries them one after the other.
 * - `no-addresses`: the subnet has no free address.
 * - `throttled`: the account makes too many requests.
 * - `no-spot-role`: the account lacks the service-linked role for Spot. On-Demand launches are not
 *   affected.
 * - `no-key`: EC2 Auto Scaling may not use the key of the volumes, and the instance terminates while it launches.
 */
export type LaunchFault = RefusedLaunch | 'dead' | 'failing' | 'lost' | 'deaf' | 'no-key';

/** The faults that leave no instance. */
export type RefusedLaunch =
  | 'refused'
  | 'no-spot'
  | 'unplaced'
  | 'no-type'
  | 'no-addresses'
  | 'throttled'
  | 'no-spot-role';

const REFUSED: readonly string[] = [
  'refused',
  'no-spot',
  'unplaced',
  'no-type',
  'no-addresses',
  'throttled',
  'no-spot-role',
] satisfies RefusedLaunch[];

export const isRefused = (fault: LaunchFault | undefined): fault is RefusedLaunch =>
  fault !== undefined && REFUSED.includes(fault);

/** Whether a fault is of Spot capacity alone. */
export const isOfSpot = (fault: LaunchFault | undefined) => fault === 'no-spot' || fault === 'no-spot-role';

/** A period in seconds, without its end. */
export interface FaultWindow {
  from: number;
  to: number;
}

/** A window in which a share of the launches fails. Shares are from 0 to 1. */
export type ShareWindow = FaultWindow & { share: number };

/** A window with a count, as of tasks. */
export type CountWindow = FaultWindow & { count: number };

/** Every launch, at any time. */
export const ALWAYS: ShareWindow = { from: 0, to: Number.POSITIVE_INFINITY, share: 1 };

/**
 * Faults of a run. The sandbox's groups, the replay, `--fault` and the fault matrix all use them. Seconds count from
 * the start of the trace.
 */
export interface Faults {
  /** The seed of random faults. The same seed gives the same faults. */
  seed: number;
  /** Windows in which boots fail. The start of the launch decides. */
  bootFailures: readonly ShareWindow[];
  /** Windows of launches whose instances never report. */
  deadInstances: readonly ShareWindow[];
  /** Windows in which EC2 takes instances back while they boot. */
  lostInstances: readonly ShareWindow[];
  /** Windows of launches whose runners take no job, because their token is of another resource class. */
  deafRunners: readonly ShareWindow[];
  /** Windows in which the CI service answers no counts and sends no webhooks. Runners keep working. */
  outages: readonly FaultWindow[];
  /** Windows without EC2 capacity. */
  shortages: readonly FaultWindow[];
  /** Windows without Spot capacity. */
  spotShortages: readonly FaultWindow[];
  /** Windows in which the account lacks the service-linked role for Spot. */
  spotRoleMissing: readonly FaultWindow[];
  /** Spot interruptions per instance-hour. */
  spotInterruptions: number;
  /** Windows in which launches are tried first in a zone that lacks the instance type. */
  zoneRefusals: readonly ShareWindow[];
  /** Windows in which no zone of the group has the instance type. */
  typeMissing: readonly FaultWindow[];
  /** Windows in which the subnets have no free address. */
  addressShortages: readonly FaultWindow[];
  /** Windows in which EC2 throttles the account. */
  throttled: readonly FaultWindow[];
  /** Windows in which EC2 Auto Scaling may not use the key of the volumes. */
  keyFailures: readonly FaultWindow[];
  /**
   * The seconds between the two requests of a poll. Jobs claimed in between are counted twice or not at all, in turns,
   * because either request may be the first.
   */
  readGap: number;
  /** Windows in which CircleCI lets at most `count` jobs run: the rest of the plan's concurrency, or 0 for none. */
  taskLimits: readonly CountWindow[];
  /** Windows in which CircleCI counts `count` running jobs that no runner runs. */
  phantomTasks: readonly CountWindow[];
  /** Windows in which CircleCI counts a job as running for up to `count` seconds after its end, and from a fifth of that. */
  runningLags: readonly CountWindow[];
  /** Windows in which CircleCI counts 0, as it may for a wrong class or token. Runners claim jobs as usual. */
  zeroCounts: readonly FaultWindow[];
  /** Windows in which somebody has lowered the group's maximum size. */
  maximumSizes: readonly CountWindow[];
  /** The number of runners outside the group. They take jobs of the class, one after the other, and never leave. */
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
  typeMissing: [],
  addressShortages: [],
  throttled: [],
  keyFailures: [],
  readGap: 0,
  taskLimits: [],
  phantomTasks: [],
  runningLags: [],
  zeroCounts: [],
  maximumSizes: [],
  foreignRunners: 0,
};

export const isWithin = (windows: readonly FaultWindow[], at: number) =>
  windows.some(({ from, to }) => at >= from && at < to);

/** When a window next begins or ends after this time; Infinity if none does. */
export const nextEdge = (windows: readonly FaultWindow[], after: number) =>
  windows.reduce(
    (next, { from, to }) => Math.min(next, from > after ? from : to > after ? to : next),
    Number.POSITIVE_INFINITY,
  );

/** What such windows say at a time; without any, `otherwise`. The smallest counts. */
function countAt(windows: readonly CountWindow[], at: number, otherwise: number): number {
  const counts = windows.filter((window) => isWithin([window], at)).map(({ count }) => count);
  return counts.length === 0 ? otherwise : Math.min(...counts);
}

/** What changes with the windows of the faults that are no launch's. */
export interface FaultyWorld {
  agenda: Agenda;
  jobs: Pick<JobQueue, 'limit' | 'phantoms' | 'longestLag' | 'countsZero'>;
  /** Lets idle runners ask for jobs. */
  offerAll: () => void;
  /** Sets the group's maximum size; without one, to what it was. */
  setMaximumSize: (size: number | undefined) => void;
}

/** Lets the faults of counts, claims and the group's maximum size begin and end in their windows. */
export function planFaults(
  {
    taskLimits,
    phantomTasks,
    runningLags,
    zeroCounts,
    maximumSizes,
  }: Pick<Faults, 'taskLimits' | 'phantomTasks' | 'runningLags' | 'zeroCounts' | 'maximumSizes'>,
  { agenda, jobs, offerAll, setMaximumSize }: FaultyWorld,
): void {
  const NEVER = Number.POSITIVE_INFINITY;
  const apply = (at: number) => {
    const before = jobs.limit;
    jobs.limit = countAt(taskLimits, at, NEVER);
    jobs.phantoms = countAt(phantomTasks, at, 0);
    jobs.longestLag = countAt(runningLags, at, 0);
    jobs.countsZero = isWithin(zeroCounts, at);
    if (maximumSizes.length > 0) {
      const size = countAt(maximumSizes, at, NEVER);
      setMaximumSize(size === NEVER ? undefined : size);
    }
    if (jobs.limit > before) offerAll();
  };
  const windows = [...taskLimits, ...phantomTasks, ...runningLags, ...zeroCounts, ...maximumSizes];
  const edges = new Set(windows.flatMap(({ from, to }) => [from, to]));
  for (const edge of [...edges].sort((a, b) => a - b)) {
    if (edge <= agenda.now) apply(agenda.now);
    else if (edge < NEVER) agenda.plan(edge, () => apply(edge));
  }
}

/** Draws the fault of each launch, in the order of the launches. */
export class LaunchFaults {
  readonly #faults: Faults;
  readonly #random: () => number;
  /** Faults of launched instances, in the order in which they are drawn. */
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

  /** The fault of a launch that begins now. Call it once per launch, also for launches into the warm pool. */
  readonly ofLaunch = (now: number, onDemand: boolean): LaunchFault | undefined => {
    const faults = this.#faults;
    if (isWithin(faults.shortages, now)) return 'refused';
    if (!onDemand && isWithin(faults.spotShortages, now)) return 'no-spot';
    if (!onDemand && isWithin(faults.spotRoleMissing, now)) return 'no-spot-role';
    if (isWithin(faults.typeMissing, now)) return 'no-type';
    if (isWithin(faults.addressShortages, now)) return 'no-addresses';
    if (isWithin(faults.throttled, now)) return 'throttled';
    if (isWithin(faults.keyFailures, now)) return 'no-key';
    if (this.#draws(faults.zoneRefusals, now)) return 'unplaced';
    return this.#ofBoots.find(([, windows]) => this.#draws(windows, now))?.[0];
  };

  /** The seconds after which EC2 takes a Spot instance back; Infinity if it never does. */
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
