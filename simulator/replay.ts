import { Agenda } from '../sandbox/agenda.ts';
import { type Faults, isWithin, NO_FAULTS, nextEdge } from './faults.ts';
import { Group, type GroupTotals } from './group.ts';
import { type Instance, newInstance, Waiting } from './instance.ts';
import { type Jobs, type JobTable, tableOf } from './job-table.ts';
import type { Policy, PollingScaler, Sight, WebhookScaler } from './policy.ts';
import type { World } from './world.ts';

export interface ReplayOptions {
  /** Makes every poll, also those that can change nothing. The result is the same; a test says so. */
  everyPoll?: boolean;
  /** Records queue and capacity at every multiple of so many seconds; not unless told. */
  seriesEvery?: number;
  /** What goes wrong; nothing unless told. */
  faults?: Faults;
  /** Told how many jobs have ended, now and then. */
  progress?: (ended: number) => void;
  /** Told of every claim: which job, by which instance, and when it will be done. */
  claimed?: (
    job: number,
    instance: Pick<Instance, 'number' | 'requestedAt'>,
    at: number,
    until: number,
  ) => void;
}

/** The parts of a job's wait, in seconds; they add up to it. */
export const WAIT_PARTS = ['seen', 'launch', 'boot', 'claim', 'capacity'] as const;

/**
 * - `seen`: until the scaler knew of the job.
 * - `launch`: until the instance that took it was pending.
 * - `boot`: until that was ready.
 * - `claim`: until an idle runner asked for work.
 * - `capacity`: the rest, for which the scaler asked for nothing, or every runner was busy.
 */
export type WaitPart = (typeof WAIT_PARTS)[number];

/** Queue and capacity at one time. */
export interface Sample {
  at: number;
  unclaimed: number;
  running: number;
  desired: number;
  /** Instances that are paid for. */
  instances: number;
}

/** What became of a trace under a policy. Of jobs in the order of the trace; times are seconds on its scale. */
export interface Replayed extends GroupTotals {
  /** When each job was first claimed. */
  startedAt: Float64Array;
  /** The parts of each job's wait. */
  parts: Record<WaitPart, Float64Array>;
  /** Seconds in which a booted runner had no job. */
  idleSeconds: number;
  /** Jobs whose instance was taken away while they ran: they end there and then. */
  jobsKilled: number;
  /** Times that a job was run again, because its instance was taken away. */
  jobsRetried: number;
  /** Polls, those passed over included. */
  polls: number;
  /** Polls that were really made. */
  pollsMade: number;
  /** Polls that got no counts. */
  pollsFailed: number;
  /** Requests to the CI service and to AWS. */
  requests: { ci: number; aws: number };
  /** How often the scaler was started. */
  starts: number;
  /** Starts that failed, because one of their polls got no counts. */
  startsFailed: number;
  /** When every instance beyond those that are kept had left, and nothing was to come of that. */
  endedAt: number;
  series: Sample[];
}

/** A replay that cannot go on. */
export class ReplayStalled extends Error {
  override readonly name = 'ReplayStalled';
}

/**
 * Replays a trace under a policy, from the first second until every job has ended and every instance beyond those
 * that the policy keeps has left. Deterministic; what happens at the same time happens in this order: jobs are queued,
 * instances move on, the scaler looks. The time it takes grows linearly with the jobs.
 *
 * @param jobs In the order of their being queued.
 * @throws ReplayStalled if jobs are left that nothing will ever run.
 */
export function replay(jobs: Jobs, policy: Policy, world: World, options: ReplayOptions = {}): Replayed {
  return new Replay(tableOf(jobs), policy, world, options).run();
}

const NEVER = Number.POSITIVE_INFINITY;

class Replay {
  readonly #jobs: JobTable;
  readonly #policy: Policy;
  readonly #world: World;
  readonly #options: ReplayOptions;
  readonly #faults: Faults;
  readonly #agenda = new Agenda();
  readonly #group: Group;
  readonly #result: Omit<Replayed, keyof GroupTotals>;
  /** When the scaler first knew of each job. */
  readonly #seenAt: Float64Array;
  /** Jobs that wait to be run again, by their numbers. */
  readonly #again: number[] = [];
  /** When the latest jobs were claimed: those that a poll may count twice, or not at all. */
  readonly #claims: number[] = [];
  #queued = 0;
  #started = 0;
  #running = 0;
  #ended = 0;
  #seen = 0;
  /** Launches that a webhook asked for and `maxReplicas` did not allow yet. */
  #owed = 0;
  /** Runners whose next request for work finds nothing yet. */
  readonly #waiting = new Waiting();
  /** Until when nothing can be decided that is not decided already; what happens in the world ends that. */
  #settledUntil = -NEVER;
  #sampleAt = 0;
  /** The last start that failed. */
  #failedStart = -1;

  constructor(jobs: JobTable, policy: Policy, world: World, options: ReplayOptions) {
    this.#jobs = jobs;
    this.#policy = policy;
    this.#world = world;
    this.#options = options;
    this.#faults = options.faults ?? NO_FAULTS;
    this.#group = new Group(policy, world, this.#faults, this.#agenda, {
      ready: (instance) => this.#ready(instance),
      lost: (instance) => this.#lost(instance),
      failed: () => {
        // Whoever launches for one job must launch for it again, or nobody ever runs it.
        if (policy.scaler.kind === 'webhook') this.#owed += 1;
      },
      left: () => this.#launchOwed(),
    });
    const perJob = () => new Float64Array(jobs.length);
    this.#seenAt = perJob().fill(NEVER);
    this.#result = {
      startedAt: perJob().fill(Number.NaN),
      parts: { seen: perJob(), launch: perJob(), boot: perJob(), claim: perJob(), capacity: perJob() },
      idleSeconds: 0,
      jobsKilled: 0,
      jobsRetried: 0,
      polls: 0,
      pollsMade: 0,
      pollsFailed: 0,
      requests: { ci: 0, aws: 0 },
      starts: 0,
      startsFailed: 0,
      endedAt: 0,
      series: [],
    };
    if (options.seriesEvery === undefined) this.#sampleAt = NEVER;
    for (let number = 1; number <= this.#faults.foreignRunners; number += 1) this.#addForeign(-number);
  }

  run(): Replayed {
    const { scaler } = this.#policy;
    const polling = scaler.kind === 'polls' ? scaler : undefined;
    while (!this.#finished) {
      const arrival = this.#jobs.queuedAt[this.#queued] ?? NEVER;
      const due = Math.min(arrival, this.#agenda.next ?? NEVER);
      const pollAt = polling?.polls.at ?? NEVER;
      if (polling !== undefined && pollAt < due) {
        this.#pollOrSkip(polling, due);
        continue;
      }
      if (due === NEVER) this.#stall();
      this.#sample(due);
      this.#settledUntil = -NEVER;
      if (arrival === due) this.#queue(arrival);
      else this.#agenda.advance(due);
    }
    return this.#end();
  }

  get #finished(): boolean {
    if (this.#ended < this.#jobs.length) return false;
    return this.#group.left <= this.#policy.keeps(this.#agenda.now);
  }

  get #sight(): Sight {
    const { desired, members, log, suspended, onDemandPercentage, warmPoolSize } = this.#group;
    return {
      now: this.#agenda.now,
      unclaimed: this.#unclaimed,
      running: this.#running,
      desired,
      members,
      log,
      suspended,
      onDemandPercentage,
      warmPoolSize,
    };
  }

  get #unclaimed(): number {
    return this.#queued - this.#started + this.#again.length;
  }

  #stall(): never {
    throw new ReplayStalled(
      `${this.#jobs.length - this.#ended} of ${this.#jobs.length} jobs never run under ${this.#policy.name}: nothing happens any more`,
    );
  }

  // The scaler.

  #pollOrSkip(scaler: PollingScaler, due: number): void {
    const { polls } = scaler;
    const until = Math.min(due, this.#settledUntil, nextEdge(this.#faults.outages, this.#agenda.now));
    const fails = isWithin(this.#faults.outages, polls.at);
    if (fails || this.#options.everyPoll === true || polls.at >= until) {
      this.#sample(polls.at);
      if (fails) this.#failPoll(scaler);
      else this.#poll(scaler);
      return;
    }
    if (until === NEVER) this.#stall();
    this.#result.polls += polls.skip(this.#sight, until);
  }

  /** Without counts nothing is decided. */
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
    for (; this.#seen < this.#queued; this.#seen += 1) this.#seenAt[this.#seen] = at;
    const sight = { ...this.#sight, ...this.#counts(at) };
    const { until = NEVER, ...wish } = scaler.wish(sight);
    const wanted = Math.min(wish.desired, Math.max(this.#policy.maxReplicas, group.desired));
    const { launchProcess, onDemandPercentage, warmPoolSize } = wish;
    const others = [launchProcess, onDemandPercentage, warmPoolSize];
    const writes = wanted !== group.desired || others.some((other) => other !== undefined);
    this.#result.polls += 1;
    this.#result.pollsMade += 1;
    if (writes) this.#result.requests.aws += scaler.requests.write;
    const acts = wanted !== group.desired || scaler.writesAlways === true || launchProcess === 'resume';
    group.desired = wanted;
    if (launchProcess !== undefined) group.suspended = launchProcess === 'suspend';
    if (acts) group.reconcile();
    // As Update Group: these come last, and launch nothing by themselves.
    if (onDemandPercentage !== undefined) group.onDemandPercentage = onDemandPercentage;
    if (warmPoolSize !== undefined) group.warmPoolSize = warmPoolSize;
    this.#settledUntil = writes || sight.unclear ? -NEVER : until;
    scaler.polls.made(sight, writes);
  }

  #webhook({ delay, onlyIfQueued }: WebhookScaler, job: number, now: number): void {
    this.#result.starts += 1;
    const outage = this.#faults.outages.find((window) => isWithin([window], now));
    this.#agenda.plan((outage?.to ?? now) + delay, () => {
      this.#seenAt[job] = this.#agenda.now;
      if (onlyIfQueued) this.#result.requests.ci += 1;
      if (onlyIfQueued && job < this.#started) return;
      this.#owed += 1;
      this.#launchOwed();
    });
  }

  #launchOwed(): void {
    while (this.#owed > 0 && this.#group.desired < this.#policy.maxReplicas) {
      this.#owed -= 1;
      this.#group.desired += 1;
      this.#result.requests.aws += 1;
      this.#group.reconcile();
    }
  }

  // What lies between the two reads of a poll.

  /** What was claimed within the gap before a poll is counted twice, or not at all: then the counts are unclear. */
  #counts(at: number): Pick<Sight, 'unclaimed' | 'running'> & { unclear: boolean } {
    const { readGap } = this.#faults;
    const claimed = this.#claims.filter((claimedAt) => claimedAt > at - readGap).length;
    const counts = { unclaimed: this.#unclaimed, running: this.#running, unclear: claimed > 0 };
    if (claimed === 0) return counts;
    // Which read came first changes from second to second.
    if (Math.floor(at) % 2 === 0) return { ...counts, unclaimed: counts.unclaimed + claimed };
    return { ...counts, running: Math.max(counts.running - claimed, 0) };
  }

  #rememberClaim(now: number): void {
    const { readGap } = this.#faults;
    if (readGap === 0) return;
    this.#claims.push(now);
    while ((this.#claims[0] ?? now) <= now - readGap) this.#claims.shift();
  }

  // Jobs.

  /** @param now The agenda is not there yet: what it has for the same time comes after this. */
  #queue(now: number): void {
    const { scaler } = this.#policy;
    const job = this.#queued;
    this.#queued += 1;
    this.#offerWork(now);
    if (scaler.kind === 'webhook') this.#webhook(scaler, job, now);
  }

  /**
   * An idle runner, if there is one, finds a job with its next request. Of those that are reused it is the one
   * that has waited least, so that the others can leave; else the one that has waited longest.
   */
  #offerWork(now: number): void {
    const instance = this.#policy.reuse ? this.#waiting.last : this.#waiting.first;
    if (instance !== undefined) this.#ask(instance, now);
  }

  #ask(instance: Instance, now: number): void {
    instance.claiming = true;
    this.#waiting.delete(instance);
    this.#agenda.plan(now + this.#world.idleClaim, () => {
      instance.claiming = false;
      if (!instance.idle) return;
      if (!this.#claim(instance)) this.#waiting.add(instance);
    });
  }

  #claim(instance: Instance): boolean {
    const { now } = this.#agenda;
    const number = this.#again.shift() ?? this.#started;
    if (number === this.#queued) return false;
    if (number === this.#started) {
      this.#started += 1;
      this.#account(number, this.#jobs.queuedAt[number] as number, instance, now);
    }
    this.#running += 1;
    this.#rememberClaim(now);
    if (!instance.foreign) this.#result.idleSeconds += now - instance.freeAt;
    instance.idle = false;
    instance.used = true;
    instance.job = number;
    this.#waiting.delete(instance);
    const endsAt = now + (this.#jobs.durationSeconds[number] as number);
    this.#options.claimed?.(number, instance, now, endsAt);
    this.#agenda.plan(endsAt, () => {
      if (!instance.gone) this.#finish(instance);
    });
    return true;
  }

  /** Splits a job's wait, from its start backwards. */
  #account(number: number, queuedAt: number, instance: Instance, now: number): void {
    const { startedAt, parts } = this.#result;
    startedAt[number] = now;
    let left = now;
    const part = (name: WaitPart, from: number) => {
      const begin = Math.max(Math.min(from, left), queuedAt);
      parts[name][number] = left - begin;
      left = begin;
    };
    part('claim', instance.freeAt);
    if (!instance.used && !instance.foreign) {
      part('boot', instance.pendingAt);
      part('launch', instance.requestedAt);
    }
    part('capacity', this.#seenAt[number] as number);
    part('seen', queuedAt);
  }

  #finish(instance: Instance): void {
    this.#endJob(instance);
    instance.freeAt = this.#agenda.now;
    if (!this.#policy.reuse && !instance.foreign) {
      this.#exit(instance);
      return;
    }
    this.#idle(instance);
    if (this.#unclaimed > 0) this.#ask(instance, this.#agenda.now);
    else this.#waiting.add(instance);
  }

  #endJob(instance: Instance): void {
    instance.job = -1;
    this.#running -= 1;
    this.#ended += 1;
    if (this.#ended % 1_024 === 0 || this.#ended === this.#jobs.length) this.#options.progress?.(this.#ended);
  }

  // Runners.

  #addForeign(number: number): void {
    const told = { number, requestedAt: 0, warm: false, onDemand: true, foreign: true, launch: undefined };
    const instance = newInstance(told);
    instance.freeAt = 0;
    this.#idle(instance);
    this.#waiting.add(instance);
  }

  #ready(instance: Instance): void {
    if (this.#claim(instance)) return;
    this.#idle(instance);
    this.#waiting.add(instance);
  }

  #idle(instance: Instance): void {
    const since = this.#agenda.now;
    instance.idle = true;
    if (instance.foreign) return;
    this.#agenda.plan(this.#policy.leavesAt(since, instance), () => {
      if (instance.gone || !instance.idle || instance.freeAt !== since) return;
      this.#result.idleSeconds += this.#agenda.now - since;
      this.#exit(instance);
    });
  }

  #exit(instance: Instance): void {
    instance.idle = false;
    this.#waiting.delete(instance);
    if (instance.claiming) this.#offerWork(this.#agenda.now);
    this.#group.exit(instance);
  }

  /** Its job ends there, or waits to be run again. */
  #lost(instance: Instance): void {
    const { now } = this.#agenda;
    this.#waiting.delete(instance);
    if (instance.idle) this.#result.idleSeconds += now - instance.freeAt;
    instance.idle = false;
    if (instance.job >= 0 && this.#policy.retries) {
      this.#result.jobsRetried += 1;
      this.#running -= 1;
      this.#again.push(instance.job);
      instance.job = -1;
      this.#offerWork(now);
    } else if (instance.job >= 0) {
      this.#result.jobsKilled += 1;
      this.#endJob(instance);
    }
    if (instance.claiming) this.#offerWork(now);
  }

  // The end.

  #sample(until: number): void {
    const { seriesEvery = 1 } = this.#options;
    for (; this.#sampleAt < until; this.#sampleAt += seriesEvery) {
      const { desired, alive } = this.#group;
      this.#result.series.push({
        at: this.#sampleAt,
        unclaimed: this.#unclaimed,
        running: this.#running,
        desired,
        instances: alive,
      });
    }
  }

  #end(): Replayed {
    const { scaler } = this.#policy;
    const { now } = this.#agenda;
    this.#group.close();
    const result = { ...this.#result, ...this.#group.totals, endedAt: now };
    if (scaler.kind === 'polls') {
      result.requests.ci += result.polls * scaler.requests.ci;
      result.requests.aws += result.polls * scaler.requests.aws;
      result.starts = scaler.startedEvery === undefined ? 1 : Math.floor(now / scaler.startedEvery) + 1;
      result.requests.aws += result.starts * scaler.requests.start;
    }
    return result;
  }
}
