import { summariseActivities } from '../../functions/lib/activities.ts';
import type { Activities, Levers, Poll } from '../../functions/lib/contracts.ts';
import { decide, withoutCanary } from '../../functions/lib/decision.ts';
import { pace, pollInterval, pollTimeout, quietSeconds } from '../../functions/lib/pacing.ts';
import { effectiveSettings, largestMaximum, nextFire } from '../../functions/lib/schedules.ts';
import { FALLBACK_SECONDS } from '../../functions/lib/spot.ts';
import { changesOfDemand } from '../../functions/lib/warm-pool.ts';
import type { FleetConfig } from '../../infra/config.ts';
import { capacityOf, idleTimes } from '../../infra/levers.ts';
import type { SandboxSettings } from '../../sandbox/fleet.ts';
import type { LaunchLog } from '../launch-log.ts';
import { leavesAfter, PLAIN, type Policy, type Polls, type Sight, type Wish } from '../policy.ts';

/** The settings of a fleet that make a difference in a replay. */
export type OursSettings = SandboxSettings & Pick<FleetConfig, 'unsafeRetries'>;

/** How often the schedule starts an execution, in seconds. */
const EXECUTION_SECONDS = 60;

/**
 * This project: the decision of functions/lib/decision.ts and the polls of functions/lib/pacing.ts, called as they
 * are, with every lever. What it leaves out is how a step fails: a poll that gets no counts ends its execution.
 * `--workflow` replays the state machine itself.
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
    onDemand: { base: spot?.onDemandBase ?? 0, percentage: 100 - (spot?.percentage ?? 0) },
    retries: settings.unsafeRetries,
    keeps: (now) => executions.inForce(now).minReplicas,
    maxReplicas: largestMaximum(capacityOf(settings)),
  };
}

/** The polls of the executions that a schedule starts each minute, the more seldom the longer nothing happens. */
class Executions implements Polls {
  readonly #settings: OursSettings;
  readonly #intervals: Parameters<typeof pollInterval>[1];
  readonly #startsAt: number;
  readonly #warmPoolAuto: boolean;
  readonly #onDemandPercentage: number;
  /** The settings in force, and until when they are, in seconds. */
  #levers: Levers;
  #leversUntil = Number.NEGATIVE_INFINITY;
  #at = 0;
  /** When the execution started, in seconds; its first poll is due then. */
  #startedAt = 0;
  /** When the group's last activity ended, as the execution read it at its start: in whole seconds. */
  #activityAt = Number.NEGATIVE_INFINITY;
  #activities: Activities = { lastAt: null, failedLaunches: 0, cameInService: 0, breaker: { open: false } };
  /** What of the group's log the execution has read. */
  #read = -1;
  /** When what it read would mean something else without anything happening, in milliseconds since the epoch. */
  #readUntil = Number.POSITIVE_INFINITY;

  constructor(settings: OursSettings, startsAt: number) {
    this.#settings = settings;
    this.#startsAt = startsAt;
    this.#intervals = {
      pollIntervalSeconds: settings.pollInterval,
      quietPollIntervalSeconds: settings.quietPollInterval,
    };
    this.#warmPoolAuto = settings.warmPool?.size === 'auto';
    this.#onDemandPercentage = 100 - (settings.spot?.percentage ?? 0);
    this.#levers = capacityOf(settings);
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
    const { log, desired, members, suspended, unclaimed, running } = sight;
    const now = this.#instant(sight.now);
    const { decision } = decide(
      {
        capacity: this.inForce(sight.now),
        onDemandPercentage: this.#onDemandPercentage,
        activities: this.#activities,
      },
      {
        counts: { unclaimed, running },
        group: {
          desired,
          members,
          launchProcess: { suspended, byBreaker: suspended },
          paused: 'false',
          ...(this.#settings.spot !== undefined && {
            purchase: {
              onDemandPercentage: sight.onDemandPercentage,
              byFallback: sight.onDemandPercentage !== this.#onDemandPercentage,
            },
          }),
          ...(this.#settings.warmPool !== undefined && {
            warmPool: { size: sight.warmPoolSize, state: 'Stopped' },
          }),
        },
      },
      now,
    );
    if (members.pending > 0) this.#activities = withoutCanary(this.#activities, now);
    return { ...decision, until: this.#until(now, log) };
  }

  made(sight: Sight, wrote: boolean): void {
    const interval = this.#interval(this.#isQuiet(sight));
    if (!wrote) {
      this.#next(interval);
      return;
    }
    // A write takes its time from the execution's, so that it may be the last of its polls.
    const poll: Poll = {
      number: 1,
      executionStartedAt: new Date(this.#startedAt * 1_000).toISOString(),
      dueAt: new Date(this.#at * 1_000).toISOString(),
      timeoutSeconds: 1,
    };
    const { again, next } = pace(poll, interval, this.#at * 1_000, { write: true });
    this.#at = again ? Date.parse(next.dueAt) / 1_000 : this.#startedAt + EXECUTION_SECONDS;
  }

  /** The execution has failed; the next one asks again. */
  failed(): void {
    this.#at = Math.floor(this.#at / EXECUTION_SECONDS) * EXECUTION_SECONDS + EXECUTION_SECONDS;
  }

  skip(sight: Sight, until: number): number {
    const quiet = this.#isQuiet(sight);
    let skipped = 0;
    for (; this.#at < until; skipped += 1) {
      this.#begin(sight);
      this.#next(this.#interval(quiet));
    }
    return skipped;
  }

  /** The first poll of an execution: what the group did before is read, once. */
  #begin({ log }: Sight): void {
    const startedAt = Math.floor(this.#at / EXECUTION_SECONDS) * EXECUTION_SECONDS;
    if (this.#at !== startedAt) return;
    this.#startedAt = startedAt;
    const now = this.#instant(startedAt);
    this.#activityAt = Math.floor((log.lastAt - this.#startsAt) / 1_000);
    if (log.version === this.#read && now < this.#readUntil) return;
    this.#read = log.version;
    this.#readUntil = Number.POSITIVE_INFINITY;
    // As long as launches succeed they have nothing to say, but for a warm pool that is sized by them.
    if (!log.hasFailures && !this.#warmPoolAuto) return;
    const { breaker } = this.#settings;
    const record = log.record(this.#warmPoolAuto);
    this.#activities = summariseActivities(
      record,
      {
        breakerFailures: breaker.failures,
        breakerWindowSeconds: breaker.window,
        onDemandPercentage: this.#onDemandPercentage,
        warmPoolAuto: this.#warmPoolAuto,
      },
      now,
    );
    if (this.#warmPoolAuto) this.#readUntil = changesOfDemand(record.launches, now);
  }

  /** Until when nothing else would be decided, in seconds, unless something happens. */
  #until(now: number, log: LaunchLog): number {
    const { breaker, spotShortageAt } = this.#activities;
    const canaryAt = breaker.open ? Date.parse(breaker.canaryAt) : 0;
    const spotAt = spotShortageAt === undefined ? 0 : Date.parse(spotShortageAt) + FALLBACK_SECONDS * 1_000;
    const nothingNew = log.version === this.#read || (!log.hasFailures && !this.#warmPoolAuto);
    const readAgain = nothingNew ? this.#readUntil : this.#instant(this.#startedAt + EXECUTION_SECONDS);
    const changes = [readAgain, ...[canaryAt, spotAt].filter((at) => at > now)];
    return Math.min((Math.min(...changes) - this.#startsAt) / 1_000, this.#leversUntil);
  }

  /** For how long is the difference of two numbers: dates for each poll would take more time than all the rest. */
  #isQuiet(sight: Sight): boolean {
    return quietSeconds({ ...sight, minReplicas: this.#levers.minReplicas }, null, 0) > 0;
  }

  #interval(quiet: boolean): number {
    return pollInterval(quiet ? Math.max(this.#at - this.#activityAt, 0) : 0, this.#intervals);
  }

  /** The first point of the grid after this poll, or the next execution if no poll has room there. */
  #next(interval: number): void {
    const elapsed = (Math.floor((this.#at - this.#startedAt) / interval) + 1) * interval;
    this.#at = this.#startedAt + (pollTimeout(elapsed) >= 1 ? elapsed : EXECUTION_SECONDS);
  }

  #instant(seconds: number): number {
    return this.#startsAt + seconds * 1_000;
  }
}
