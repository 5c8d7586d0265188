import { capacityOf, idleTimes, onDemandPercentage } from '../../fleets/effective.ts';
import { summariseActivities } from '../../functions/lib/activities.ts';
import type {
  Activities,
  Levers,
  Observation,
  PollSettings,
  PollState,
} from '../../functions/lib/contracts.ts';
import { LIMITS } from '../../functions/lib/pacing.ts';
import { decidePoll, planRest } from '../../functions/lib/poll.ts';
import { effectiveSettings, largestMaximum, nextFire } from '../../functions/lib/schedules.ts';
import { FALLBACK_SECONDS } from '../../functions/lib/spot.ts';
import { changesOfDemand } from '../../functions/lib/warm-pool.ts';
import type { SandboxSettings } from '../../sandbox/fleet.ts';
import type { ScalingActivities } from '../../sandbox/group/activities.ts';
import { leavesAfter } from '../../sandbox/group/runners.ts';
import { PLAIN, type Policy, type Polls, type Sight, type Wish } from '../policy.ts';

/** The settings of a fleet that make a difference in a replay. */
export type OursSettings = SandboxSettings;

/** How often the schedule starts an execution, in seconds. */
const EXECUTION_SECONDS = 60;

/**
 * This project: the polls of functions/lib/poll.ts, with every setting. What is left out is how a step fails: a poll
 * without counts ends its execution. `--workflow` replays the state machine itself.
 *
 * @param startsAt What second 0 is, in milliseconds since the epoch.
 */
export function ours(settings: OursSettings, startsAt: number): Policy {
  const { warmPool, spot } = settings;
  const idle = idleTimes(settings);
  const executions = new Executions(settings, startsAt);
  return {
    ...PLAIN,
    name: 'ours',
    scaler: {
      kind: 'polls',
      polls: executions,
      wish: (sight) => executions.wish(sight),
      requests: { ci: 2, aws: 1, write: 2, start: 2 },
      startedEvery: EXECUTION_SECONDS,
    },
    reuse: settings.reuse === 'continuous',
    leavesAt: leavesAfter(idle.seconds, idle.spread),
    warmPool: typeof warmPool?.size === 'number' ? warmPool.size : 0,
    onDemand: { base: spot?.onDemandBase ?? 0, percentage: onDemandPercentage(settings) },
    retries: settings.unsafeRetries,
    launchHook: settings.bootTimeout,
    keeps: (now) => executions.inForce(now).minReplicas,
    maxReplicas: largestMaximum(capacityOf(settings)),
  };
}

/** The executions that a schedule starts each minute, and their polls. */
class Executions implements Polls {
  readonly #settings: OursSettings;
  readonly #startsAt: number;
  readonly #warmPoolAuto: boolean;
  readonly #onDemandPercentage: number;
  /** The settings in force, and until when they are, in seconds. */
  #levers: Levers;
  #leversUntil = Number.NEGATIVE_INFINITY;
  /** When the next poll is due, in seconds. */
  #at = 0;
  /** What that poll is handed, unless it is the first of its execution. */
  #state: PollState;
  #pollSettings: PollSettings;
  /** What of the group's log the execution has read. */
  #read = -1;
  /** When what it read would mean something else without anything happening, in milliseconds since the epoch. */
  #readUntil = Number.POSITIVE_INFINITY;

  constructor(settings: OursSettings, startsAt: number) {
    this.#settings = settings;
    this.#startsAt = startsAt;
    this.#warmPoolAuto = settings.warmPool?.size === 'auto';
    this.#onDemandPercentage = onDemandPercentage(settings);
    this.#levers = capacityOf(settings);
    this.#state = {
      poll: firstPoll(startsAt),
      activities: { lastAt: null, failedLaunches: 0, cameInService: 0, breaker: { open: false } },
    };
    this.#pollSettings = {
      capacity: this.#levers,
      pollIntervalSeconds: settings.pollInterval,
      quietPollIntervalSeconds: settings.quietPollInterval,
      onDemandPercentage: this.#onDemandPercentage,
      executionStartedAt: startsAt,
    };
  }

  get at(): number {
    return this.#at;
  }

  /** The settings in force at a time in seconds, no earlier than the last one that was asked for. */
  inForce(seconds: number): Levers {
    if (seconds < this.#leversUntil) return this.#levers;
    const now = this.#instant(seconds);
    this.#levers = effectiveSettings(capacityOf(this.#settings), now).levers;
    this.#leversUntil = (nextFire(this.#settings.schedules, now) - this.#startsAt) / 1_000;
    return this.#levers;
  }

  wish(sight: Sight): Wish {
    this.#begin(sight);
    const now = this.#instant(sight.now);
    const settings = { ...this.#pollSettings, capacity: this.inForce(sight.now) };
    const { decision, again, next } = decidePoll(this.#state, this.#observe(sight), settings, now);
    this.#handOn(again, next);
    return { ...decision, until: this.#until(now, sight.log) };
  }

  /** The poll has planned the next one already. */
  made(): void {}

  /** The execution has failed; the next one polls again. */
  failed(): void {
    this.#at = startOfExecution(this.#at) + EXECUTION_SECONDS;
  }

  skip(sight: Sight, until: number): number {
    const situation = { ...sight, minReplicas: this.#levers.minReplicas };
    let skipped = 0;
    for (; this.#at < until; skipped += 1) {
      this.#begin(sight);
      const now = this.#instant(this.#at);
      const { again, next } = planRest(situation, this.#state, this.#pollSettings, now, false);
      this.#handOn(again, next);
    }
    return skipped;
  }

  #observe(sight: Sight): Observation {
    const { unclaimed, running, desired, members, suspended, onDemandPercentage, warmPoolSize } = sight;
    const { spot, warmPool } = this.#settings;
    const byFallback = onDemandPercentage !== this.#onDemandPercentage;
    return {
      unclaimed: { unclaimed },
      running: { running },
      group: {
        desired,
        members,
        launchProcess: { suspended, byBreaker: suspended },
        paused: 'false',
        ...(spot !== undefined && { purchase: { onDemandPercentage, byFallback } }),
        ...(warmPool !== undefined && { warmPool: { size: warmPoolSize, state: 'Stopped' } }),
      },
    };
  }

  #handOn(again: boolean, next: PollState): void {
    this.#state = next;
    this.#at = again
      ? (next.poll.dueAt - this.#startsAt) / 1_000
      : startOfExecution(this.#at) + EXECUTION_SECONDS;
  }

  /** Before the first poll of an execution, what the group did is read, once. */
  #begin({ log }: Sight): void {
    if (this.#at !== startOfExecution(this.#at)) return;
    const now = this.#instant(this.#at);
    this.#pollSettings = { ...this.#pollSettings, executionStartedAt: now };
    this.#state = { poll: firstPoll(now), activities: this.#activities(log, now) };
  }

  #activities(log: ScalingActivities, now: number): Activities {
    // AWS reports whole seconds.
    const lastAt = log.lastAt === Number.NEGATIVE_INFINITY ? null : Math.floor(log.lastAt / 1_000) * 1_000;
    const { activities } = this.#state;
    const before = activities.lastAt === lastAt ? activities : { ...activities, lastAt };
    if (log.version === this.#read && now < this.#readUntil) return before;
    this.#read = log.version;
    this.#readUntil = Number.POSITIVE_INFINITY;
    // As long as launches succeed, only a warm pool that is sized by them needs to know more of them.
    if (!log.hasFailures && !this.#warmPoolAuto) return before;
    const { breaker } = this.#settings;
    const record = log.record(this.#warmPoolAuto);
    if (this.#warmPoolAuto) this.#readUntil = changesOfDemand(record.launches, now);
    const settings = {
      breakerFailures: breaker.failures,
      breakerWindowSeconds: breaker.window,
      onDemandPercentage: this.#onDemandPercentage,
      warmPoolAuto: this.#warmPoolAuto,
    };
    return { ...summariseActivities(record, settings, now), lastAt };
  }

  /** Until when nothing else would be decided, in seconds, unless something happens. */
  #until(now: number, log: ScalingActivities): number {
    const { breaker, spotShortageAt } = this.#state.activities;
    const canaryAt = breaker.open ? breaker.canaryAt : 0;
    const spotAt = spotShortageAt === undefined ? 0 : spotShortageAt + FALLBACK_SECONDS * 1_000;
    const nothingNew = log.version === this.#read || (!log.hasFailures && !this.#warmPoolAuto);
    const nextExecution = this.#pollSettings.executionStartedAt + EXECUTION_SECONDS * 1_000;
    const readAgain = nothingNew ? this.#readUntil : nextExecution;
    const changes = [readAgain, ...[canaryAt, spotAt].filter((at) => at > now)];
    return Math.min((Math.min(...changes) - this.#startsAt) / 1_000, this.#leversUntil);
  }

  #instant(seconds: number): number {
    return this.#startsAt + seconds * 1_000;
  }
}

/** As the state First Poll of the workflow has it. */
const firstPoll = (dueAt: number): PollState['poll'] => ({
  number: 1,
  dueAt,
  timeoutSeconds: LIMITS.attemptSeconds,
});

/** When the execution started that a poll belongs to, in seconds. */
const startOfExecution = (at: number) => Math.floor(at / EXECUTION_SECONDS) * EXECUTION_SECONDS;
