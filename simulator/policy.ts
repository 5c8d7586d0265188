import type { Members } from '../functions/lib/capacity.ts';
import type { Learned } from '../functions/lib/learned.ts';
import type { ScalingActivities } from '../sandbox/group/activities.ts';
import type { GroupModelSettings } from '../sandbox/group/group-settings.ts';

/** What a scaler reads at a poll. Times are seconds on the trace's scale; counts are whole numbers of at least 0. */
export interface ScalerObservation {
  now: number;
  /** Jobs waiting for a runner. */
  unclaimed: number;
  /** Jobs that a runner has claimed and not finished. */
  running: number;
  /** The group's desired capacity. */
  desired: number;
  members: Members;
  activities: ScalingActivities;
  /** Whether the group's `Launch` process is suspended. */
  suspended: boolean;
  onDemandPercentage: number;
  warmPoolSize: number;
  /** The group's maximum size, if somebody has lowered it. */
  maxSize?: number | undefined;
}

/** What a scaler wants the group to become. */
export interface ScalerTarget {
  /** The desired capacity, a whole number of at least 0. The replay caps it at the policy's `maxReplicas`. */
  desired: number;
  /** Changes of the `Launch` process, the On-Demand percentage and the warm pool. Default: none. */
  launchProcess?: 'suspend' | 'resume' | undefined;
  onDemandPercentage?: number | undefined;
  warmPoolSize?: number | undefined;
  /** Until when the same observation leads to the same target, in seconds. Default: forever. */
  until?: number | undefined;
}

/** When a scaler polls. */
export interface Polls {
  /** When the next poll is due, in seconds. */
  readonly at: number;
  /** The poll has been made: `at` is when the next one is due. */
  made(): void;
  /** The poll that was due failed, because the CI service did not answer. */
  failed(): void;
  /**
   * Skips the polls that are due before `until`, because all of them would make the same observation.
   *
   * @returns How many polls were skipped.
   */
  skip(observation: ScalerObservation, until: number): number;
}

/** A scaler that polls the queue and the group. */
export interface PollingScaler {
  kind: 'polls';
  polls: Polls;
  target: (observation: ScalerObservation) => ScalerTarget;
  /**
   * Whether each poll writes the desired capacity, even an unchanged one, so that the group reconciles at each poll.
   */
  writesAlways?: boolean;
  /** Requests per poll to the CI service and to AWS; requests to AWS per write and per start of the scaler. */
  requests: { ci: number; aws: number; write: number; start: number };
  /** How often the scaler is started, in seconds. Default: once, and it keeps running. */
  startedEvery?: number;
  /** Whether a replay ends instead of a start, as the workflow does, and not as soon as the last instance has left. */
  endsAtStart?: boolean;
}

/** A scaler that receives a webhook for each job and launches an instance for it. */
export interface WebhookScaler {
  kind: 'webhook';
  /** Seconds from when a job is queued until its instance is requested. */
  delay: number;
  /** Whether it launches only if the job is still queued after the delay. */
  onlyIfQueued: boolean;
}

/** The settings of a group that a policy chooses. */
type GroupChoices = Readonly<
  Pick<
    GroupModelSettings,
    | 'reuse'
    | 'leavesAt'
    | 'leaving'
    | 'protectedFromScaleIn'
    | 'warmPool'
    | 'onDemand'
    | 'failedBoot'
    | 'retries'
  >
>;

/** A way to scale runners, as the replay runs it. Policies keep state, so each replay needs a new one. */
export interface Policy extends GroupChoices {
  readonly name: string;
  readonly scaler: PollingScaler | WebhookScaler;
  /** How long the launch hook waits for a heartbeat, in seconds. Default: that of the world. */
  readonly launchHook?: number;
  /** How many instances the scaler keeps while no job runs, at a time in seconds. */
  readonly keeps: (now: number) => number;
  /** The highest desired capacity that the scaler ever writes. */
  readonly maxReplicas: number;
  /** What ours has learned so far. */
  readonly learned?: () => Learned | undefined;
}

/** Polls at every multiple of an interval. */
export class Grid implements Polls {
  readonly #seconds: number;
  #number = 0;

  /** @param seconds The interval, above 0. */
  constructor(seconds: number) {
    this.#seconds = seconds;
  }

  get at(): number {
    return this.#number * this.#seconds;
  }

  made(): void {
    this.#number += 1;
  }

  failed(): void {
    this.#number += 1;
  }

  skip(_: ScalerObservation, until: number): number {
    const before = this.#number;
    this.#number = Math.max(Math.ceil(until / this.#seconds), before);
    return this.#number - before;
  }
}

/** Leaves after that many idle seconds. */
export const idleFor = (seconds: number) => (idleSince: number) => idleSince + seconds;

/**
 * The desired capacity for a scaler that never terminates an instance: not below the pending and in-service members.
 */
export function neverForced(
  wanted: number,
  { desired, members }: Pick<ScalerObservation, 'desired' | 'members'>,
): number {
  return Math.max(wanted, Math.min(desired, members.pending + members.inService));
}

/**
 * A number that a peer can be configured with. The policy's comment says where a default differs from what the peer
 * ships with.
 */
export interface Parameter {
  what: string;
  /** Set for a duration. The command line takes it with units as well, such as 5m. */
  unit?: 'seconds';
  default: number;
}

/** What another team would use instead: a policy with parameters of its own. */
export interface Peer<Name extends string = string> {
  name: string;
  /** One line for the help text. */
  about: string;
  parameters: Record<Name, Parameter>;
  policy: (parameters: Record<Name, number>, maxReplicas: number) => Policy;
}

/** Infers the names of a peer's parameters from its definition. */
export const peer = <Name extends string>(definition: Peer<Name>): Peer<Name> => definition;

/** What most policies have in common: protected instances of an Auto Scaling group, and no warm pool. */
export const PLAIN = {
  reuse: false,
  leaving: 'decrements',
  protectedFromScaleIn: true,
  warmPool: 0,
  onDemand: { base: 0, percentage: 100 },
  failedBoot: 'leaves',
  retries: false,
  keeps: () => 0,
} as const satisfies Partial<Policy>;
