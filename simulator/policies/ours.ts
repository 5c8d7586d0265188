import {
  capacityOf,
  idleTimes,
  onDemandPercentage,
  quietPollIntervalOf,
  spareSettingsOf,
} from '../../fleets/effective.ts';
import type { FleetConfig } from '../../fleets/load.ts';
import {
  cameInService,
  lastCounted,
  learnable,
  medianReady,
  summariseActivities,
} from '../../functions/lib/activities.ts';
import type {
  Activities,
  InForceSettings,
  Observation,
  PollSettings,
  PollState,
} from '../../functions/lib/contracts.ts';
import { type CountingWindow, countingWindow } from '../../functions/lib/counted-launches.ts';
import { type Learned, learnFrom } from '../../functions/lib/learned.ts';
import type { TasksOutside } from '../../functions/lib/outside.ts';
import { LIMITS, pollInterval, secondsIdle } from '../../functions/lib/pacing.ts';
import { decidePoll, planRest } from '../../functions/lib/poll.ts';
import { effectiveSettings, largestMaximum, nextFire } from '../../functions/lib/schedules.ts';
import { type Arrival, arrivedBetween, keptForGood, sparesUntil } from '../../functions/lib/spare-runners.ts';
import { FALLBACK_SECONDS } from '../../functions/lib/spot.ts';
import { changesOfDemand, nextDay } from '../../functions/lib/warm-pool.ts';
import type { Withheld } from '../../functions/lib/withheld.ts';
import type { SandboxSettings } from '../../sandbox/fleet.ts';
import type { ScalingActivities } from '../../sandbox/group/activities.ts';
import { leavesAfter } from '../../sandbox/group/runners.ts';
import { PLAIN, type Policy, type Polls, type ScalerObservation, type ScalerTarget } from '../policy.ts';

/** The settings of a fleet that a replay uses. */
export type OursSettings = SandboxSettings & Pick<FleetConfig, 'imageBuild'>;

/** How often the schedule starts an execution, in seconds. */
const EXECUTION_SECONDS = 60;

/**
 * This project: the polls of functions/lib/poll.ts, with every setting. It leaves out retries: a poll without counts
 * ends its execution. `--workflow` runs the state machine itself.
 *
 * @param startsAt The date of second 0, in milliseconds since the epoch.
 * @param learned What the fleet has learned before; nothing by default.
 */
export function ours(settings: OursSettings, startsAt: number, learned?: Learned): Policy {
  const { warmPool, spot } = settings;
  const idle = idleTimes(settings);
  const executions = new Executions(settings, startsAt, learned);
  return {
    ...PLAIN,
    name: 'ours',
    scaler: {
      kind: 'polls',
      polls: executions,
      target: (observation) => executions.target(observation),
      requests: { ci: 2, aws: 1, write: 2, start: 2 },
      startedEvery: EXECUTION_SECONDS,
      endsAtStart: true,
    },
    reuse: settings.reuse === 'continuous',
    leavesAt: leavesAfter(idle.seconds, idle.spread),
    warmPool: typeof warmPool?.size === 'number' ? warmPool.size : 0,
    onDemand: { base: spot?.onDemandBase ?? 0, percentage: onDemandPercentage(settings) },
    retries: settings.unsafeRetries,
    launchHook: settings.bootTimeout,
    keeps: (now) => executions.keeps(now),
    maxReplicas: largestMaximum(capacityOf(settings)),
    learned: () => executions.learned,
  };
}

/** The executions that a schedule starts each minute, and their polls. */
class Executions implements Polls {
  readonly #settings: OursSettings;
  readonly #startsAt: number;
  readonly #warmPoolAuto: boolean;
  readonly #onDemandPercentage: number;
  readonly #spares: PollSettings['spareRunners'];
  /** The capacity settings in force, and until when they are, in seconds. */
  #inForce: InForceSettings;
  #inForceUntil = Number.NEGATIVE_INFINITY;
  /** When the next poll is due, in seconds. */
  #at = 0;
  /** The state for that poll, unless it is the first of its execution. */
  #state: PollState;
  #pollSettings: PollSettings;
  /** The version of the group's activities that the execution has read. */
  #read = -1;
  /** When the same activities would be summarised differently, in milliseconds since the epoch. */
  #readUntil = Number.POSITIVE_INFINITY;
  /** How many polls an execution has if all of them have the same interval, by that interval in seconds. */
  readonly #pollsByInterval = new Map<number, number>();

  constructor(settings: OursSettings, startsAt: number, learned: Learned | undefined) {
    this.#learned = learned;
    this.#settings = settings;
    this.#startsAt = startsAt;
    this.#warmPoolAuto = settings.warmPool?.size === 'auto';
    this.#onDemandPercentage = onDemandPercentage(settings);
    this.#inForce = capacityOf(settings);
    this.#spares = spareSettingsOf(settings);
    this.#state = {
      poll: firstPoll(startsAt),
      activities: {
        lastAt: null,
        breakerFailures: settings.breaker.failures,
        failedLaunches: 0,
        cameInService: 0,
        breaker: { open: false },
      },
    };
    this.#pollSettings = this.#settingsOf(startsAt);
  }

  /** The tag of the group, as functions/lib/counted-launches.ts has it. */
  #countedUntil: number | undefined = undefined;
  /** Launches that were not counted when there was nothing else to read. */
  #uncounted: CountingWindow | undefined;
  /** The tag of the group, as functions/lib/withheld.ts has it. */
  #withheld: Withheld | undefined = undefined;

  /** The tag of the group, as functions/lib/outside.ts has it. */
  #tasksOutside: TasksOutside | undefined = undefined;

  /** The parameter of the fleet, as functions/lib/learned-store.ts has it. */
  #learned: Learned | undefined;

  get learned(): Learned | undefined {
    return this.#learned;
  }

  get at(): number {
    return this.#at;
  }

  /** The capacity settings in force at a time in seconds. Times must not decrease from call to call. */
  inForce(seconds: number): InForceSettings {
    if (seconds < this.#inForceUntil) return this.#inForce;
    const now = this.#instant(seconds);
    this.#inForce = effectiveSettings(capacityOf(this.#settings), now).inForce;
    this.#inForceUntil = (nextFire(this.#settings.schedules, now) - this.#startsAt) / 1_000;
    this.#pollSettings = this.#settingsOf(this.#pollSettings.executionStartedAt);
    return this.#inForce;
  }

  /** How many runners stay if no job comes any more. */
  keeps(seconds: number): number {
    const { minReplicas } = this.inForce(seconds);
    if (this.#spares === undefined) return minReplicas;
    const now = Math.floor(this.#instant(seconds) / 1_000);
    const spare = keptForGood(this.#learned?.spares, this.#state.poll.arrivals ?? [], this.#spares, now);
    return Math.max(minReplicas, spare);
  }

  target(observation: ScalerObservation): ScalerTarget {
    this.#begin(observation);
    this.inForce(observation.now);
    this.#countSkipped(observation);
    const now = this.#instant(observation.now);
    const observed = this.#observe(observation);
    const { decision, again, next } = decidePoll(this.#state, observed, this.#pollSettings, now);
    this.#handOn(again, next);
    const { desired, launchProcess, onDemandPercentage, warmPoolSize, withheld, tasksOutside } = decision;
    if (withheld !== undefined) this.#withheld = withheld ?? undefined;
    if (tasksOutside !== undefined) this.#tasksOutside = tasksOutside ?? undefined;
    const { unclaimed, running, members } = observation;
    // What all polls of an execution see decides whether tasks are withheld or run outside, so none of them is skipped.
    const watched =
      this.#withheld !== undefined ||
      this.#tasksOutside !== undefined ||
      running > members.inService ||
      (unclaimed > 0 && members.inService !== running) ||
      // The first poll of each execution would take them for arrivals.
      (this.#spares !== undefined && arrivedBetween(undefined, observation) > 0);
    const until = watched ? observation.now : this.#until(now, observation.activities);
    return { desired, launchProcess, onDemandPercentage, warmPoolSize, until };
  }

  /** The poll has planned the next one already. */
  made(): void {}

  /** The execution has failed; the next one polls again. */
  failed(): void {
    this.#at = startOfExecution(this.#at) + EXECUTION_SECONDS;
  }

  skip(observation: ScalerObservation, until: number): number {
    const concurrency = this.#settings.concurrency?.limit;
    const { unclaimed, running, desired, members, activities } = observation;
    const { minReplicas } = this.#inForce;
    const situation = { unclaimed, running, desired, members, activities, minReplicas, concurrency };
    let skipped = 0;
    while (this.#at < until) {
      const inExecutions = this.#skipExecutions(situation, until);
      skipped += inExecutions;
      if (inExecutions > 0) continue;
      this.#begin(observation);
      const now = this.#instant(this.#at);
      const { again, next } = planRest(situation, this.#state, this.#pollSettings, now, false);
      this.#handOn(again, next);
      skipped += 1;
    }
    return skipped;
  }

  /**
   * Skips the polls of the whole executions that end by `until`, if one begins now and all their polls have the same
   * interval. If only the polls of the first execution have, it skips those.
   *
   * @returns How many polls were skipped; 0 if they must be planned one by one.
   */
  #skipExecutions(situation: IdleSituation & Pick<ScalerObservation, 'activities'>, until: number): number {
    const whole = Math.floor((until - this.#at) / EXECUTION_SECONDS);
    // While the breaker is open, a poll may change what the next execution starts with.
    const { breaker } = this.#state.activities;
    if (this.#at !== startOfExecution(this.#at) || whole < 1 || breaker.open) return 0;
    const lastAt = lastActivityAt(situation.activities);
    const intervalAt = (at: number) =>
      pollInterval(secondsIdle(situation, lastAt, this.#instant(at)), this.#pollSettings);
    const interval = intervalAt(this.#at);
    // The interval never decreases while nothing happens.
    const executions = [whole, 1].find(
      (number) => intervalAt(this.#at + number * EXECUTION_SECONDS) === interval,
    );
    if (executions === undefined) return 0;
    const polls = this.#pollsByInterval.get(interval) ?? this.#countPolls(interval);
    this.#at += executions * EXECUTION_SECONDS;
    return executions * polls;
  }

  /** Counts the polls of an execution that begins now, with the same interval between all polls. */
  #countPolls(interval: number): number {
    const startedAt = this.#instant(this.#at);
    const settings = {
      executionStartedAt: startedAt,
      pollIntervalSeconds: interval,
      quietPollIntervalSeconds: interval,
    };
    let state = { ...this.#state, poll: firstPoll(startedAt) };
    let polls = 0;
    for (let more = true; more; polls += 1) {
      const { again, next } = planRest(BUSY, state, settings, state.poll.dueAt, false);
      state = next;
      more = again;
    }
    this.#pollsByInterval.set(interval, polls);
    return polls;
  }

  #observe(observation: ScalerObservation): Observation {
    const { unclaimed, running, desired, members, suspended, onDemandPercentage, warmPoolSize } = observation;
    const { spot, warmPool } = this.#settings;
    const group: Observation['group'] = {
      desired,
      members,
      launchProcess: { suspended, byBreaker: suspended },
      paused: 'false',
    };
    if (this.#withheld !== undefined) group.withheld = this.#withheld;
    if (this.#tasksOutside !== undefined) group.tasksOutside = this.#tasksOutside;
    if (observation.maxSize !== undefined) group.maxSize = observation.maxSize;
    if (spot !== undefined) {
      const byFallback = onDemandPercentage !== this.#onDemandPercentage;
      group.purchase = { onDemandPercentage, byFallback };
    }
    if (warmPool !== undefined) group.warmPool = { size: warmPoolSize, state: 'Stopped' };
    return { unclaimed: { unclaimed }, running: { running }, group };
  }

  #handOn(again: boolean, next: PollState): void {
    if (!again) this.#learn(next);
    this.#state = next;
    this.#at = again
      ? (next.poll.dueAt - this.#startsAt) / 1_000
      : startOfExecution(this.#at) + EXECUTION_SECONDS;
  }

  /** After its last poll, an execution writes what the fleet has learned. */
  #learn(next: PollState): void {
    this.#learned = learnFrom(this.#learned, next, this.#pollSettings, this.#instant(this.#at));
  }

  /** Before the first poll, an execution reads the group's activities, once. */
  #begin({ activities }: ScalerObservation): void {
    if (this.#at !== startOfExecution(this.#at)) return;
    const now = this.#instant(this.#at);
    this.#pollSettings = this.#settingsOf(now);
    this.#state = { poll: firstPoll(now), activities: this.#readActivities(activities, now) };
  }

  /** A replay has one fleet, which uses the plan's concurrency alone. */
  #settingsOf(executionStartedAt: number): PollSettings {
    const { concurrency } = this.#settings;
    return {
      capacity: this.#inForce,
      pollIntervalSeconds: this.#settings.pollInterval,
      quietPollIntervalSeconds: quietPollIntervalOf(this.#settings),
      onDemandPercentage: this.#onDemandPercentage,
      executionStartedAt,
      ...(concurrency && { concurrency: { limit: concurrency.limit, position: 0 } }),
      spareRunners: this.#spares,
      learned: this.#learned,
    };
  }

  #readActivities(group: ScalingActivities, now: number): Activities {
    const lastAt = lastActivityAt(group);
    const { activities } = this.#state;
    const before = activities.lastAt === lastAt ? activities : { ...activities, lastAt };
    const watched = this.#withheld !== undefined;
    const window = countingWindow(now, this.#countedUntil);
    if (!watched && !group.hasFailures) this.#skipCount(window);
    if (group.version === this.#read && now < this.#readUntil && !watched) return before;
    this.#read = group.version;
    this.#readUntil = Number.POSITIVE_INFINITY;
    // As long as launches succeed, only the size of an automatic warm pool depends on more of them.
    if (!group.hasFailures && !this.#warmPoolAuto && !watched && this.#spares === undefined) return before;
    // Launches that succeed teach the fleet, and change nothing else.
    const teaches = !group.hasFailures && !watched;
    if (teaches && !this.#warmPoolAuto) return { ...before, ...medianReady(group.readyTimes(window)) };
    const { breaker } = this.#settings;
    const record = group.record(this.#warmPoolAuto, window);
    if (this.#warmPoolAuto) this.#readUntil = Math.min(changesOfDemand(record.launches, now), nextDay(now));
    if (teaches) {
      const learning = { spareRunners: this.#spares, warmPoolAuto: this.#warmPoolAuto };
      return { ...before, ...learnable(record, learning, now) };
    }
    const settings = {
      breakerFailures: breaker.failures,
      breakerWindowSeconds: breaker.window,
      onDemandPercentage: this.#onDemandPercentage,
      warmPoolAuto: this.#warmPoolAuto,
      spareRunners: this.#spares,
    };
    this.#uncounted = undefined;
    this.#countedUntil = lastCounted(record, window) ?? this.#countedUntil;
    return { ...summariseActivities(record, settings, window, now), lastAt };
  }

  #skipCount(window: CountingWindow): void {
    this.#uncounted = window;
    this.#countedUntil = window.until;
  }

  /** Counts the launches that were skipped, if a runner is idle: only then do they change anything. */
  #countSkipped({ unclaimed, running, members, activities }: ScalerObservation): void {
    const window = this.#uncounted;
    if (window === undefined || unclaimed === 0 || members.inService === running) return;
    this.#uncounted = undefined;
    const { launches, moreToCount } = activities.record(false, window);
    const came = { cameInService: cameInService(launches, window), moreCame: moreToCount };
    this.#state = { ...this.#state, activities: { ...this.#state.activities, ...came } };
  }

  /** Until when the decision would be the same, in seconds, if nothing happens. */
  #until(now: number, group: ScalingActivities): number {
    const { breaker, spotShortageAt } = this.#state.activities;
    const nothingNew = group.version === this.#read || (!group.hasFailures && !this.#warmPoolAuto);
    let until = nothingNew
      ? this.#readUntil
      : this.#pollSettings.executionStartedAt + EXECUTION_SECONDS * 1_000;
    if (breaker.open && breaker.canaryAt > now) until = Math.min(until, breaker.canaryAt);
    if (spotShortageAt !== undefined) {
      const fallbackEndsAt = spotShortageAt + FALLBACK_SECONDS * 1_000;
      if (fallbackEndsAt > now) until = Math.min(until, fallbackEndsAt);
    }
    return Math.min((until - this.#startsAt) / 1_000, this.#inForceUntil, this.#sparesUntil(now));
  }

  /** What the spare runners followed from when they were last computed, and until when they stay, in seconds. */
  #sparesFrom: { learned: Learned['spares']; arrivals: readonly Arrival[]; until: number } | undefined;

  /** Until when as many spare runners are kept, in seconds. */
  #sparesUntil(now: number): number {
    if (this.#spares === undefined) return Number.POSITIVE_INFINITY;
    const { arrivals = NONE } = this.#state.poll;
    const learned = this.#learned?.spares;
    const at = Math.floor(now / 1_000);
    let from = this.#sparesFrom;
    if (from === undefined || from.learned !== learned || from.arrivals !== arrivals || from.until <= at) {
      from = { learned, arrivals, until: sparesUntil(learned, arrivals, this.#spares, at) };
      this.#sparesFrom = from;
    }
    const seconds = from.until - this.#startsAt / 1_000;
    // The next execution has learned from them.
    const learnsAt = (this.#pollSettings.executionStartedAt - this.#startsAt) / 1_000 + EXECUTION_SECONDS;
    return arrivals.length > 0 ? Math.min(seconds, learnsAt) : seconds;
  }

  #instant(seconds: number): number {
    return this.#startsAt + seconds * 1_000;
  }
}

/** AWS reports whole seconds. */
const lastActivityAt = ({ lastAt }: ScalingActivities) =>
  lastAt === Number.NEGATIVE_INFINITY ? null : Math.floor(lastAt / 1_000) * 1_000;

const NONE: readonly Arrival[] = [];

type IdleSituation = Parameters<typeof secondsIdle>[0];

/** A fleet that is not idle. */
const BUSY: IdleSituation = {
  unclaimed: 0,
  running: 1,
  desired: 1,
  members: { pending: 0, inService: 1, leaving: 0, standby: 0 },
  minReplicas: 0,
};

/** As in the state First Poll of the workflow. */
const firstPoll = (dueAt: number): PollState['poll'] => ({
  number: 1,
  dueAt,
  timeoutSeconds: LIMITS.attemptSeconds,
});

/** When the execution of a poll started, in seconds. */
const startOfExecution = (at: number) => Math.floor(at / EXECUTION_SECONDS) * EXECUTION_SECONDS;
