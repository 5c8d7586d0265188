import { Agenda } from '../sandbox/agenda.ts';
import type { EventKind } from '../sandbox/group/events.ts';
import {
  type Faults,
  isWithin,
  LaunchFaults,
  NO_FAULTS,
  nextEdge,
  planFaults,
} from '../sandbox/group/faults.ts';
import { GroupModel } from '../sandbox/group/group.ts';
import { Hourly } from '../sandbox/group/hourly.ts';
import type { Instance } from '../sandbox/group/instance.ts';
import { JobQueue } from '../sandbox/group/job-queue.ts';
import { type GroupTotals, Totals } from '../sandbox/group/totals.ts';
import { Calendar } from './calendar.ts';
import { JobFigures, type JobTotals } from './job-figures.ts';
import { type Jobs, type JobTable, tableOf } from './job-table.ts';
import type { Policy, PollingScaler, ScalerObservation, WebhookScaler } from './policy.ts';
import { ReadGap } from './read-gap.ts';
import { type Sample, SeriesRecorder } from './series.ts';
import type { World } from './world.ts';

export interface ReplayOptions {
  /** Makes every poll instead of skipping those that change nothing. A test shows that the result is the same. */
  everyPoll?: boolean;
  /** Interval at which queue and capacity are recorded, in seconds. Default: none are recorded. */
  seriesEvery?: number;
  /** Faults. Default: none. */
  faults?: Faults;
  /** Reports from time to time how many jobs have ended. */
  progress?: (ended: number) => void;
  /** Called with every claim: the job, its instance, the time, and the end of the job. */
  claimed?: (
    job: number,
    instance: Pick<Instance, 'number' | 'requestedAt'>,
    at: number,
    until: number,
  ) => void;
}

/** The results of a trace under a policy. Jobs are in the order of the trace; times are seconds on its scale. */
export interface ReplayResult extends GroupTotals, JobTotals {
  /** Polls, including skipped ones. */
  polls: number;
  /** Polls that were not skipped. */
  pollsMade: number;
  /** Polls without counts. */
  pollsFailed: number;
  /** Requests to the CI service and to AWS. */
  requests: { ci: number; aws: number };
  /** How often the scaler was started. */
  starts: number;
  /** Starts that failed because one of their polls got no counts. */
  startsFailed: number;
  /** When all jobs had ended and only the instances that the policy keeps were left. */
  endedAt: number;
  series: Sample[];
  /** The hours of `hourly`. */
  calendar: Calendar;
}

/** The replay cannot continue. */
export class ReplayStalled extends Error {
  override readonly name = 'ReplayStalled';
}

/**
 * Replays a trace under a policy, until every job has ended and every instance has left that the policy does not keep.
 * It is deterministic. At the same time, jobs are queued first, then the agenda's events happen, then the scaler polls.
 * Its run time grows linearly with the number of jobs.
 *
 * @param jobs In the order in which they are queued.
 * @throws ReplayStalled if jobs remain that no instance will ever run.
 */
export function replay(jobs: Jobs, policy: Policy, world: World, options: ReplayOptions = {}): ReplayResult {
  return new ReplayRun(tableOf(jobs), policy, world, options).run();
}

const NEVER = Number.POSITIVE_INFINITY;

class ReplayRun {
  readonly #table: JobTable;
  readonly #jobs: JobQueue;
  readonly #policy: Policy;
  readonly #options: ReplayOptions;
  readonly #faults: Faults;
  readonly #agenda = new Agenda();
  readonly #group: GroupModel;
  readonly #calendar: Calendar;
  readonly #totals: Totals;
  readonly #figures: JobFigures;
  readonly #result: Omit<ReplayResult, keyof (GroupTotals & JobTotals) | 'calendar'>;
  readonly #gap: ReadGap;
  /** How many jobs the polls have counted. They are the first ones of the queue. */
  #seen = 0;
  /** Launches that webhooks requested and `maxReplicas` has not allowed yet. */
  #owed = 0;
  /** Until when polls would change nothing. Every event resets it. */
  #settledUntil = -NEVER;
  readonly #series: SeriesRecorder;
  /** The number of the last start that failed. */
  #failedStart = -1;
  /** The group's maximum size, if somebody has lowered it. */
  #maxSize: number | undefined = undefined;
  /** The result as it was when the last instance left, unless one has launched since then. */
  #ended: ReplayResult | undefined = undefined;

  constructor(table: JobTable, policy: Policy, world: World, options: ReplayOptions) {
    this.#table = table;
    this.#policy = policy;
    this.#options = options;
    this.#faults = options.faults ?? NO_FAULTS;
    this.#gap = new ReadGap(this.#faults.readGap);
    this.#jobs = new JobQueue((job) => table.durationSeconds[job] ?? 0);
    this.#calendar = new Calendar(world);
    this.#totals = new Totals(world.minimumBilling, new Hourly(this.#calendar));
    this.#figures = new JobFigures(table);
    const { launchHook = world.launchHook } = policy;
    const { ofLaunch, interruptedAfter } = new LaunchFaults(this.#faults);
    this.#group = new GroupModel(
      {
        ...policy,
        durations: { ...world, launchHook },
        startsAt: world.startsAt,
        minSize: 0,
        launchFault: ofLaunch,
        interruptedAfter,
      },
      this.#agenda,
      this.#jobs,
      (kind, at, instance, value) => this.#happened(kind, at, instance, value),
    );
    this.#group.runners.addForeign(this.#faults.foreignRunners);
    planFaults(this.#faults, {
      agenda: this.#agenda,
      jobs: this.#jobs,
      offerAll: () => this.#group.runners.offerAll(),
      setMaximumSize: (size) => this.#setMaximumSize(size),
    });
    this.#result = {
      polls: 0,
      pollsMade: 0,
      pollsFailed: 0,
      requests: { ci: 0, aws: 0 },
      starts: 0,
      startsFailed: 0,
      endedAt: 0,
      series: [],
    };
    this.#series = new SeriesRecorder(options.seriesEvery);
  }

  run(): ReplayResult {
    const { scaler } = this.#policy;
    const polling = scaler.kind === 'polls' ? scaler : undefined;
    for (;;) {
      const endsAt = this.#endsAt(polling);
      const arrival = this.#table.queuedAt[this.#jobs.queued] ?? NEVER;
      const due = Math.min(arrival, this.#agenda.next ?? NEVER);
      const pollAt = polling?.polls.at ?? NEVER;
      if (endsAt < due && endsAt <= pollAt) break;
      if (polling !== undefined && pollAt < due) {
        this.#pollOrSkip(polling, Math.min(due, endsAt));
        continue;
      }
      if (due === NEVER) this.#stall();
      this.#series.until(due, this.#jobs, this.#group);
      this.#settledUntil = -NEVER;
      if (arrival === due) this.#queue(arrival);
      else this.#agenda.advance(due);
    }
    return this.#ended ?? this.#end();
  }

  /**
   * When the replay ends if nothing launches until then. A scaler that its schedule starts ends where the workflow does:
   * instead of its next start. Until then, its polls may still launch.
   */
  #endsAt(polling: PollingScaler | undefined): number {
    if (!this.#finished) {
      this.#ended = undefined;
      return NEVER;
    }
    if (polling?.endsAtStart !== true || polling.startedEvery === undefined) return -NEVER;
    this.#ended ??= this.#end();
    return startsBy(polling, polling.startedEvery) * polling.startedEvery;
  }

  get #finished(): boolean {
    if (this.#jobs.ended < this.#table.length) return false;
    return this.#group.left <= this.#policy.keeps(this.#agenda.now);
  }

  #observe(): ScalerObservation {
    const { desired, pending, inService, outside, activities, suspended, onDemandPercentage, warmPool } =
      this.#group;
    const { countsZero, unclaimed, running } = this.#jobs;
    return {
      now: this.#agenda.now,
      unclaimed: countsZero ? 0 : unclaimed,
      running: countsZero ? 0 : running,
      desired,
      members: { pending, inService, leaving: outside.terminating.size, standby: outside.standby.size },
      activities,
      suspended,
      onDemandPercentage,
      warmPoolSize: warmPool.size,
      maxSize: this.#maxSize,
    };
  }

  /** AWS lowers a desired capacity above it, and refuses to set one. */
  #setMaximumSize(size: number | undefined): void {
    this.#maxSize = size;
    const { desired } = this.#group;
    this.#group.desired = Math.min(desired, size ?? NEVER);
    for (let cancelled = desired - this.#group.desired; cancelled > 0; cancelled -= 1) this.#launchAgain();
    this.#launchOwed();
  }

  #stall(): never {
    throw new ReplayStalled(
      `${this.#table.length - this.#jobs.ended} of ${this.#table.length} jobs never run under ${this.#policy.name}: no further event can change that`,
    );
  }

  // The scaler.

  #pollOrSkip(scaler: PollingScaler, due: number): void {
    const { polls } = scaler;
    const until = Math.min(due, this.#settledUntil, nextEdge(this.#faults.outages, this.#agenda.now));
    const fails = isWithin(this.#faults.outages, polls.at);
    if (fails || this.#options.everyPoll === true || polls.at >= until) {
      this.#series.until(polls.at, this.#jobs, this.#group);
      if (fails) this.#failPoll(scaler);
      else this.#poll(scaler);
      return;
    }
    if (until === NEVER) this.#stall();
    this.#result.polls += polls.skip(this.#observe(), until);
  }

  /** Without counts, the scaler decides nothing. */
  #failPoll({ polls, startedEvery = NEVER }: PollingScaler): void {
    this.#agenda.advance(polls.at);
    const start = Math.floor(polls.at / startedEvery);
    if (start !== this.#failedStart) this.#result.startsFailed += 1;
    this.#failedStart = start;
    this.#result.polls += 1;
    this.#result.pollsMade += 1;
    this.#result.pollsFailed += 1;
    polls.failed();
  }

  #poll(scaler: PollingScaler): void {
    const group = this.#group;
    const { at } = scaler.polls;
    this.#agenda.advance(at);
    const queued = this.#jobs.countsZero ? 0 : this.#jobs.queued;
    for (; this.#seen < queued; this.#seen += 1) this.#figures.seen(this.#seen, at);
    const observation = this.#observe();
    const unclear = this.#gap.misread(observation);
    const {
      desired,
      launchProcess,
      onDemandPercentage,
      warmPoolSize,
      until = NEVER,
    } = scaler.target(observation);
    const asked = Math.min(desired, Math.max(this.#policy.maxReplicas, group.desired));
    const refused = asked > (this.#maxSize ?? NEVER);
    const wanted = refused ? group.desired : asked;
    const writes =
      wanted !== group.desired ||
      launchProcess !== undefined ||
      onDemandPercentage !== undefined ||
      warmPoolSize !== undefined;
    this.#result.polls += 1;
    this.#result.pollsMade += 1;
    if (writes) this.#result.requests.aws += scaler.requests.write;
    const acts = wanted !== group.desired || scaler.writesAlways === true || launchProcess === 'resume';
    group.desired = wanted;
    if (launchProcess !== undefined) group.suspended = launchProcess === 'suspend';
    if (acts) group.reconcile();
    // In the order of Update Group: these come last and launch nothing by themselves.
    if (onDemandPercentage !== undefined) group.onDemandPercentage = onDemandPercentage;
    if (warmPoolSize !== undefined) group.warmPool.resize(warmPoolSize);
    this.#settledUntil = writes || unclear || refused ? -NEVER : until;
    scaler.polls.made();
  }

  #webhook({ delay, onlyIfQueued }: WebhookScaler, job: number, now: number): void {
    this.#result.starts += 1;
    const outage = this.#faults.outages.find((window) => isWithin([window], now));
    this.#agenda.plan((outage?.to ?? now) + delay, () => {
      this.#figures.seen(job, this.#agenda.now);
      if (onlyIfQueued) this.#result.requests.ci += 1;
      if (onlyIfQueued && job < this.#jobs.started) return;
      this.#owed += 1;
      this.#launchOwed();
    });
  }

  /**
   * A webhook scaler launches once per job. If that instance is useless, it must launch again, or the job never runs.
   */
  #launchAgain(): void {
    if (this.#policy.scaler.kind === 'webhook') this.#owed += 1;
  }

  /** Whether jobs wait that CircleCI has handed to nobody. */
  get #withheld(): boolean {
    return this.#faults.taskLimits.length > 0 && this.#jobs.unclaimed > 0;
  }

  #launchOwed(): void {
    const most = Math.min(this.#policy.maxReplicas, this.#maxSize ?? NEVER);
    while (this.#owed > 0 && this.#group.desired < most) {
      this.#owed -= 1;
      this.#group.desired += 1;
      this.#result.requests.aws += 1;
      this.#group.reconcile();
    }
  }

  // Events.

  /** @param now The agenda has not reached this time yet: its events at the same time happen later. */
  #queue(now: number): void {
    const { scaler } = this.#policy;
    const job = this.#jobs.enqueue();
    this.#group.runners.queued(job, now);
    if (scaler.kind === 'webhook') this.#webhook(scaler, job, now);
  }

  #happened(kind: EventKind, at: number, instance: Instance | undefined, value: number): void {
    this.#totals.add(kind, at, instance, value);
    this.#figures.add(kind, at, instance, value);
    switch (kind) {
      case 'claims':
        this.#gap.claimed(at);
        if (instance) this.#options.claimed?.(value, instance, at, at + this.#jobs.durationOf(value));
        break;
      case 'finishes':
      case 'killed':
        this.#reportProgress();
        break;
      case 'ready':
        if (!instance?.deaf) break;
        this.#launchAgain();
        this.#launchOwed();
        break;
      case 'leaves':
        if (instance?.reason === 'boot failed' || (instance?.reason === 'idle' && this.#withheld))
          this.#launchAgain();
        break;
      case 'lowers':
        this.#launchOwed();
        break;
    }
  }

  #reportProgress(): void {
    const { ended } = this.#jobs;
    if (ended % 1_024 === 0 || ended === this.#table.length) this.#options.progress?.(ended);
  }

  // The end.

  #end(): ReplayResult {
    const { scaler } = this.#policy;
    const { now } = this.#agenda;
    const totals = this.#totals.at(now, [...this.#group.outside.all, ...this.#group.members]);
    const result = {
      ...this.#result,
      ...this.#figures.totals,
      ...totals,
      requests: { ...this.#result.requests },
      series: [...this.#series.samples],
      endedAt: now,
      calendar: this.#calendar,
    };
    if (scaler.kind === 'polls') {
      result.requests.ci += result.polls * scaler.requests.ci;
      result.requests.aws += result.polls * scaler.requests.aws;
      result.starts = scaler.startedEvery === undefined ? 1 : startsUntil(now, scaler, scaler.startedEvery);
      result.requests.aws += result.starts * scaler.requests.start;
    }
    return result;
  }
}

/** How many starts a scaler has had before its next poll. */
const startsBy = ({ polls }: PollingScaler, every: number) => Math.ceil(polls.at / every);

/** How many starts a scaler has had. One that is due at this time, and has not polled yet, is none of them. */
const startsUntil = (now: number, scaler: PollingScaler, every: number) =>
  Math.min(Math.floor(now / every) + 1, startsBy(scaler, every));
