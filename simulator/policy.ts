import type { Members } from '../functions/lib/capacity.ts';
import type { ScalingActivities } from '../sandbox/group/activities.ts';
import type { GroupSettings } from '../sandbox/group/group.ts';

/** What a scaler sees when it looks. Times are seconds on the trace's scale, counts whole and at least 0. */
export interface Sight {
  now: number;
  /** Jobs that wait for a runner. */
  unclaimed: number;
  /** Jobs that run. */
  running: number;
  /** How many instances are asked for. */
  desired: number;
  members: Members;
  /** What has become of the group's launches. */
  log: ScalingActivities;
  /** Whether nothing launches, whatever is desired. */
  suspended: boolean;
  onDemandPercentage: number;
  warmPoolSize: number;
}

/** How many instances a scaler wants. */
export interface Wish {
  /** The desired capacity, a whole number of at least 0. What is beyond the policy's `maxReplicas` is not asked for. */
  desired: number;
  /** What is to become of launches, of the On-Demand percentage and of the warm pool; without it, nothing. */
  launchProcess?: 'suspend' | 'resume' | undefined;
  onDemandPercentage?: number | undefined;
  warmPoolSize?: number | undefined;
  /** Until when the same sight would bring the same wish, in seconds; for ever unless told. */
  until?: number;
}

/** When a scaler looks. */
export interface Polls {
  /** When the next poll is due, in seconds. */
  readonly at: number;
  /** The poll has been made: `at` is when the next one is due. */
  made(sight: Sight, wrote: boolean): void;
  /** The poll that was due failed, because the CI service did not answer. */
  failed(): void;
  /**
   * Nothing that a poll could see changes before `until`: passes over the polls that are due before it.
   *
   * @returns How many those are.
   */
  skip(sight: Sight, until: number): number;
}

/** A scaler that looks at levels, again and again. */
export interface PollingScaler {
  kind: 'polls';
  polls: Polls;
  wish: (sight: Sight) => Wish;
  /** Whether it writes the desired capacity at each poll, so that the group acts on what it has missed; else only another one. */
  writesAlways?: boolean;
  /** Requests of one poll to the CI service and to AWS; and to AWS, of a write that changes something, and of a start. */
  requests: { ci: number; aws: number; write: number; start: number };
  /** How often the scaler is started, in seconds; without it once, and it keeps running. */
  startedEvery?: number;
}

/** A scaler that is told of each job, and launches an instance for it. */
export interface WebhookScaler {
  kind: 'webhook';
  /** From the job's being queued until its instance is asked for, in seconds. */
  delay: number;
  /** Whether it launches nothing for a job that some runner has claimed meanwhile. */
  onlyIfQueued: boolean;
}

/** What of a group its policy chooses. */
type GroupChoices = Readonly<
  Pick<
    GroupSettings,
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

/** A way to scale runners, as the replay runs it. One for each replay: it may remember what it did. */
export interface Policy extends GroupChoices {
  readonly name: string;
  readonly scaler: PollingScaler | WebhookScaler;
  /** How long its launch hook waits for a sign of life, in seconds. Default: the world's. */
  readonly launchHook?: number;
  /** How many instances the scaler keeps when nothing runs, at a time in seconds. */
  readonly keeps: (now: number) => number;
  /** The most instances that it ever asks for. */
  readonly maxReplicas: number;
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

  skip(_: Sight, until: number): number {
    const before = this.#number;
    this.#number = Math.max(Math.ceil(until / this.#seconds), before);
    return this.#number - before;
  }
}

/** Leaves after so many idle seconds. */
export const idleFor = (seconds: number) => (idleSince: number) => idleSince + seconds;

/** What a fall of the desired capacity leaves to a scaler that forces no instance to leave. */
export function neverForced(
  wanted: number,
  { desired, members }: Pick<Sight, 'desired' | 'members'>,
): number {
  return Math.max(wanted, Math.min(desired, members.pending + members.inService));
}

/** A setting of a peer, a number; how it differs from what the peer ships with is said with the policy. */
export interface Lever {
  what: string;
  default: number;
}

/** What another team would use instead: a policy with levers of its own. */
export interface Peer<Name extends string = string> {
  name: string;
  /** One line for the help. */
  about: string;
  levers: Record<Name, Lever>;
  policy: (levers: Record<Name, number>, maxReplicas: number) => Policy;
}

/** Lets a peer's levers be named once. */
export const peer = <Name extends string>(definition: Peer<Name>): Peer<Name> => definition;

/** What most policies have: instances of an Auto Scaling group that are protected, and none that stand by. */
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
