import { Agenda } from '../sandbox/agenda.ts';
import { type Jobs, type JobTable, tableOf } from './job-table.ts';
import type { Policy, PollingScaler, Sight, WebhookScaler } from './policy.ts';
import type { World } from './world.ts';

export interface ReplayOptions {
  /** Makes every poll, also those that can change nothing. The result is the same; a test says so. */
  everyPoll?: boolean;
  /** Records queue and capacity at every multiple of so many seconds; not unless told. */
  seriesEvery?: number;
  /** Told how many jobs have ended, now and then. */
  progress?: (ended: number) => void;
  /** Told of every claim: which job, by which instance, and when it will be done. */
  claimed?: (job: number, instance: number, at: number, until: number) => void;
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
export interface Replayed {
  startedAt: Float64Array;
  /** The parts of each job's wait. */
  parts: Record<WaitPart, Float64Array>;
  /** Seconds of instances paid for, those that were made for the warm pool included. */
  billedSeconds: number;
  /** Seconds in which a booted runner had no job. */
  idleSeconds: number;
  launches: number;
  /** Launches for which the warm pool had an instance. */
  warmLaunches: number;
  /** Launches of instances that left without ever claiming a job. */
  ghostLaunches: number;
  /** Jobs whose instance was taken away while they ran: they end there and then. */
  jobsKilled: number;
  /** The most instances that were paid for at once, without the stopped ones of a warm pool. */
  peakInstances: number;
  /** Polls, those passed over included. */
  polls: number;
  /** Polls that were really made. */
  pollsMade: number;
  /** Requests to the CI service and to AWS. */
  requests: { ci: number; aws: number };
  /** How often the scaler was started. */
  starts: number;
  /** When every instance beyond `minReplicas` had left, and nothing was to come of that. */
  endedAt: number;
  series: Sample[];
}

/** A replay that cannot go on. */
export class ReplayStalled extends Error {
  override readonly name = 'ReplayStalled';
}

/**
 * Replays a trace under a policy, from the first second until every job has ended and every instance beyond
 * `minReplicas` has left. Deterministic; what happens at the same time happens in this order: jobs are queued,
 * instances move on, the scaler looks. The time it takes grows linearly with the jobs.
 *
 * @param jobs In the order of their being queued.
 * @throws ReplayStalled if jobs are left that nothing will ever run.
 */
export function replay(jobs: Jobs, policy: Policy, world: World, options: ReplayOptions = {}): Replayed {
  return new Replay(tableOf(jobs), policy, world, options).run();
}

/** An instance, from its being asked for until it is gone. */
interface Instance {
  number: number;
  requestedAt: number;
  pendingAt: number;
  /** When its runner had booted, or had ended its last job: from when on it could have claimed another. */
  freeAt: number;
  booted: boolean;
  warm: boolean;
  /** The number of the job it runs; -1 if none. */
  job: number;
  used: boolean;
  /** An idle runner whose next request will find a job. */
  claiming: boolean;
  idle: boolean;
  gone: boolean;
  /** Its neighbours among those that wait. */
  before: Instance | undefined;
  after: Instance | undefined;
}

/** Idle runners in the order in which they began to wait; each of its steps takes the same time, however many wait. */
class Waiting {
  first: Instance | undefined;
  last: Instance | undefined;

  add(instance: Instance): void {
    instance.before = this.last;
    if (this.last === undefined) this.first = instance;
    else this.last.after = instance;
    this.last = instance;
  }

  /** Does nothing if it does not wait. */
  delete(instance: Instance): void {
    const { before, after } = instance;
    if (before === undefined && this.first !== instance) return;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after === undefined) this.last = before;
    else after.before = before;
    instance.before = undefined;
    instance.after = undefined;
  }
}

const NEVER = Number.POSITIVE_INFINITY;

class Replay {
  readonly #jobs: JobTable;
  readonly #policy: Policy;
  readonly #world: World;
  readonly #options: ReplayOptions;
  readonly #agenda = new Agenda();
  readonly #result: Replayed;
  /** When the scaler first knew of each job. */
  readonly #seenAt: Float64Array;
  #queued = 0;
  #started = 0;
  #ended = 0;
  #seen = 0;
  #desired = 0;
  /** Launches that a webhook asked for and `maxReplicas` did not allow yet. */
  #owed = 0;
  /** In the order of their launch. */
  readonly #members = new Set<Instance>();
  /** Runners whose next request for work finds nothing yet. */
  readonly #waiting = new Waiting();
  #pending = 0;
  #requested = 0;
  #alive = 0;
  /** Instances that have stopped, on which their group has not acted yet. */
  #unnoticed = 0;
  #stock: number;
  #lastActivityAt = -NEVER;
  /** Until when nothing can be decided that is not decided already; what happens in the world ends that. */
  #settledUntil = -NEVER;
  #sampleAt = 0;

  constructor(jobs: JobTable, policy: Policy, world: World, options: ReplayOptions) {
    this.#jobs = jobs;
    this.#policy = policy;
    this.#world = world;
    this.#options = options;
    this.#stock = policy.warmPool;
    const perJob = () => new Float64Array(jobs.length);
    this.#seenAt = perJob().fill(NEVER);
    this.#result = {
      startedAt: perJob().fill(Number.NaN),
      parts: { seen: perJob(), launch: perJob(), boot: perJob(), claim: perJob(), capacity: perJob() },
      billedSeconds: 0,
      idleSeconds: 0,
      launches: 0,
      warmLaunches: 0,
      ghostLaunches: 0,
      jobsKilled: 0,
      peakInstances: 0,
      polls: 0,
      pollsMade: 0,
      requests: { ci: 0, aws: 0 },
      starts: 0,
      endedAt: 0,
      series: [],
    };
    if (options.seriesEvery === undefined) this.#sampleAt = NEVER;
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
    const left = this.#alive + this.#requested + this.#unnoticed;
    return this.#ended === this.#jobs.length && left <= this.#policy.minReplicas;
  }

  get #sight(): Sight {
    return {
      now: this.#agenda.now,
      unclaimed: this.#queued - this.#started,
      running: this.#started - this.#ended,
      desired: this.#desired,
      members: {
        pending: this.#pending,
        inService: this.#members.size - this.#pending - this.#requested,
        leaving: 0,
        standby: 0,
      },
      lastActivityAt: this.#lastActivityAt,
    };
  }

  #stall(): never {
    throw new ReplayStalled(
      `${this.#jobs.length - this.#ended} of ${this.#jobs.length} jobs never run under ${this.#policy.name}: nothing happens any more`,
    );
  }

  // The scaler.

  #pollOrSkip(scaler: PollingScaler, due: number): void {
    const until = Math.min(due, this.#settledUntil);
    if (this.#options.everyPoll === true || scaler.polls.at >= until) {
      this.#sample(scaler.polls.at);
      this.#poll(scaler);
      return;
    }
    if (until === NEVER) this.#stall();
    this.#result.polls += scaler.polls.skip(this.#sight, until);
  }

  #poll(scaler: PollingScaler): void {
    const { maxReplicas } = this.#policy;
    const { at } = scaler.polls;
    this.#agenda.advance(at);
    for (; this.#seen < this.#queued; this.#seen += 1) this.#seenAt[this.#seen] = at;
    const sight = this.#sight;
    const { desired, until = NEVER } = scaler.wish(sight);
    const wanted = Math.min(desired, Math.max(maxReplicas, this.#desired));
    const writes = wanted !== this.#desired;
    this.#result.polls += 1;
    this.#result.pollsMade += 1;
    if (writes) {
      this.#result.requests.aws += scaler.requests.write;
      this.#desired = wanted;
    }
    if (writes || scaler.writesAlways === true) this.#reconcile();
    this.#settledUntil = writes ? -NEVER : until;
    scaler.polls.made(sight, writes);
  }

  #webhook({ delay, onlyIfQueued }: WebhookScaler, job: number, now: number): void {
    this.#result.starts += 1;
    this.#agenda.plan(now + delay, () => {
      this.#seenAt[job] = this.#agenda.now;
      if (onlyIfQueued) this.#result.requests.ci += 1;
      if (onlyIfQueued && job < this.#started) return;
      this.#owed += 1;
      this.#launchOwed();
    });
  }

  #launchOwed(): void {
    while (this.#owed > 0 && this.#desired < this.#policy.maxReplicas) {
      this.#owed -= 1;
      this.#desired += 1;
      this.#result.requests.aws += 1;
      this.#reconcile();
    }
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
    const number = this.#started;
    if (number === this.#queued) return false;
    const queuedAt = this.#jobs.queuedAt[number] as number;
    const endsAt = this.#agenda.now + (this.#jobs.durationSeconds[number] as number);
    const { now } = this.#agenda;
    this.#started += 1;
    this.#account(number, queuedAt, instance, now);
    this.#result.idleSeconds += now - instance.freeAt;
    instance.idle = false;
    instance.used = true;
    instance.job = number;
    this.#waiting.delete(instance);
    this.#options.claimed?.(number, instance.number, now, endsAt);
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
    if (!instance.used) {
      part('boot', instance.pendingAt);
      part('launch', instance.requestedAt);
    }
    part('capacity', this.#seenAt[number] as number);
    part('seen', queuedAt);
  }

  #finish(instance: Instance): void {
    this.#endJob(instance);
    instance.freeAt = this.#agenda.now;
    if (!this.#policy.reuse) {
      this.#exit(instance);
      return;
    }
    this.#idle(instance);
    if (this.#queued > this.#started) this.#ask(instance, this.#agenda.now);
    else this.#waiting.add(instance);
  }

  #endJob(instance: Instance): void {
    instance.job = -1;
    this.#ended += 1;
    if (this.#ended % 1_024 === 0 || this.#ended === this.#jobs.length) this.#options.progress?.(this.#ended);
  }

  // Instances.

  #reconcile(): void {
    while (this.#members.size < this.#desired) this.#launch();
    const { protectedFromScaleIn } = this.#policy;
    if (this.#members.size === this.#desired || (protectedFromScaleIn && this.#requested === 0)) return;
    for (const instance of [...this.#members]) {
      if (this.#members.size === this.#desired) return;
      if (!protectedFromScaleIn || instance.pendingAt === NEVER) this.#takeAway(instance);
    }
  }

  #launch(): void {
    const { request, boot, warmBoot } = this.#world;
    const { now } = this.#agenda;
    const instance: Instance = {
      number: this.#result.launches + this.#requested,
      requestedAt: now,
      pendingAt: NEVER,
      freeAt: NEVER,
      booted: false,
      warm: this.#stock > 0,
      job: -1,
      used: false,
      claiming: false,
      idle: false,
      gone: false,
      before: undefined,
      after: undefined,
    };
    if (instance.warm) {
      this.#stock -= 1;
      this.#refill();
    }
    this.#members.add(instance);
    this.#requested += 1;
    this.#agenda.plan(now + request, () => {
      if (!instance.gone) this.#becomePending(instance);
    });
    this.#agenda.plan(now + request + (instance.warm ? warmBoot : boot), () => {
      if (!instance.gone) this.#becomeReady(instance);
    });
  }

  /** Another instance boots once for the warm pool, is stopped, and joins the stock. */
  #refill(): void {
    const { request, boot, warmStop, minimumBilling } = this.#world;
    this.#result.billedSeconds += Math.max(boot + warmStop, minimumBilling);
    this.#agenda.plan(this.#agenda.now + request + boot + warmStop, () => {
      this.#stock += 1;
    });
  }

  #becomePending(instance: Instance): void {
    instance.pendingAt = this.#agenda.now;
    this.#requested -= 1;
    this.#pending += 1;
    this.#alive += 1;
    this.#result.launches += 1;
    if (instance.warm) this.#result.warmLaunches += 1;
    this.#result.peakInstances = Math.max(this.#result.peakInstances, this.#alive);
  }

  #becomeReady(instance: Instance): void {
    const { now } = this.#agenda;
    this.#pending -= 1;
    this.#lastActivityAt = now;
    instance.booted = true;
    instance.freeAt = now;
    if (this.#claim(instance)) return;
    this.#idle(instance);
    this.#waiting.add(instance);
  }

  #idle(instance: Instance): void {
    const since = this.#agenda.now;
    instance.idle = true;
    this.#agenda.plan(this.#policy.leavesAt(since, instance.requestedAt), () => {
      if (instance.gone || !instance.idle || instance.freeAt !== since) return;
      this.#result.idleSeconds += this.#agenda.now - since;
      this.#exit(instance);
    });
  }

  /** The runner is done; a moment later its instance is gone. */
  #exit(instance: Instance): void {
    const { now } = this.#agenda;
    instance.idle = false;
    this.#waiting.delete(instance);
    if (instance.claiming) this.#offerWork(now);
    if (this.#policy.leaving === 'detaches') this.#leaveGroup(instance);
    this.#agenda.plan(now + this.#world.leave, () => {
      if (instance.gone) return;
      this.#disappear(instance);
      if (this.#policy.leaving === 'decrements') this.#leaveGroup(instance);
      if (this.#policy.leaving === 'stops') this.#stopped(instance);
    });
  }

  #leaveGroup(instance: Instance): void {
    this.#members.delete(instance);
    this.#desired = Math.max(this.#desired - 1, 0);
    this.#reconcile();
    this.#launchOwed();
  }

  /** It does not count any more; but unless the scaler writes before, the group acts on that only later. */
  #stopped(instance: Instance): void {
    this.#members.delete(instance);
    this.#unnoticed += 1;
    this.#agenda.plan(this.#agenda.now + this.#world.notice, () => {
      this.#unnoticed -= 1;
      this.#reconcile();
    });
  }

  /** Desired capacity has fallen, and the group takes an instance away, or a launch that has not begun. */
  #takeAway(instance: Instance): void {
    const { now } = this.#agenda;
    this.#members.delete(instance);
    this.#waiting.delete(instance);
    if (instance.pendingAt === NEVER) {
      this.#requested -= 1;
      instance.gone = true;
      if (instance.warm) this.#stock += 1;
      return;
    }
    if (instance.gone) return;
    if (!instance.booted) this.#pending -= 1;
    if (instance.idle) this.#result.idleSeconds += now - instance.freeAt;
    instance.idle = false;
    if (instance.job >= 0) {
      this.#result.jobsKilled += 1;
      this.#endJob(instance);
    }
    this.#disappear(instance);
    if (instance.claiming) this.#offerWork(now);
  }

  #disappear(instance: Instance): void {
    const { now } = this.#agenda;
    instance.gone = true;
    this.#alive -= 1;
    this.#lastActivityAt = now;
    this.#bill(instance, now);
    if (!instance.used) this.#result.ghostLaunches += 1;
  }

  #bill(instance: Instance, until: number): void {
    this.#result.billedSeconds += Math.max(until - instance.pendingAt, this.#world.minimumBilling);
  }

  // The end.

  #sample(until: number): void {
    const { seriesEvery = 1 } = this.#options;
    for (; this.#sampleAt < until; this.#sampleAt += seriesEvery) {
      const { unclaimed, running, desired } = this.#sight;
      this.#result.series.push({ at: this.#sampleAt, unclaimed, running, desired, instances: this.#alive });
    }
  }

  #end(): Replayed {
    const { scaler } = this.#policy;
    const { now } = this.#agenda;
    const result = this.#result;
    result.endedAt = now;
    for (const instance of this.#members) {
      if (instance.pendingAt <= now && !instance.gone) this.#bill(instance, now);
    }
    if (scaler.kind === 'polls') {
      result.requests.ci += result.polls * scaler.requests.ci;
      result.requests.aws += result.polls * scaler.requests.aws;
      result.starts = scaler.startedEvery === undefined ? 1 : Math.floor(now / scaler.startedEvery) + 1;
      result.requests.aws += result.starts * scaler.requests.start;
    }
    return result;
  }
}
