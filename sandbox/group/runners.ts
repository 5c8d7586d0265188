import type { Agenda } from '../agenda.ts';
import type { GroupDurations } from './durations.ts';
import type { Watch } from './events.ts';
import { Instance, type LeavingReason, Waiting } from './instance.ts';
import { type JobQueue, NO_JOB } from './job-queue.ts';

/** When a runner leaves that has been idle since the given time, in seconds. */
export type LeavesAt = (idleSince: number, instance: Pick<Instance, 'requestedAt' | 'number'>) => number;

/** The reduction of an instance's idle timeout, up to `spread`: scattered by number, and the same in each run. */
export const spreadOf = (number: number, spread: number) => Math.round(spread * ((number * 0.618_034) % 1));

/** Leaves after this many idle seconds, or up to `spread` less, depending on the instance's number. */
export const leavesAfter =
  (seconds: number, spread: number): LeavesAt =>
  (idleSince, { number }) =>
    idleSince + seconds - spreadOf(number, spread);

export interface RunnerSettings {
  durations: GroupDurations;
  /** Whether a runner takes one job after the other. Otherwise it leaves after its first job. */
  reuse: boolean;
  leavesAt: LeavesAt;
  /** Whether a job runs again if its instance is terminated. Otherwise the job ends. */
  retries: boolean;
}

/** The runners on a group's instances: they claim jobs, run them, and exit. */
export class Runners {
  readonly #settings: RunnerSettings;
  readonly #agenda: Agenda;
  readonly #jobs: JobQueue;
  readonly #watch: Watch;
  readonly #exited: (instance: Instance, reason: LeavingReason) => void;
  /** Idle runners whose next request is not due. */
  readonly #waiting = new Waiting();
  #foreign = 0;
  /** Runners outside the group up to this number have been dismissed. */
  #dismissed = 0;

  /** @param exited Called when a runner of the group has exited. Its instance must then leave. */
  constructor(
    settings: RunnerSettings,
    agenda: Agenda,
    jobs: JobQueue,
    watch: Watch,
    exited: (instance: Instance, reason: LeavingReason) => void,
  ) {
    this.#settings = settings;
    this.#agenda = agenda;
    this.#jobs = jobs;
    this.#watch = watch;
    this.#exited = exited;
  }

  /** Adds runners outside the group, which take one job after the other and never leave. */
  addForeign(count: number): void {
    const { now } = this.#agenda;
    for (let added = 0; added < count; added += 1) {
      this.#foreign += 1;
      const instance = new Instance({
        number: -this.#foreign,
        requestedAt: now,
        warm: false,
        onDemand: true,
        deaf: false,
        inPool: false,
        protectedFromScaleIn: true,
        launch: undefined,
      });
      instance.freeAt = now;
      instance.idle = true;
      this.#waiting.add(instance);
    }
  }

  /** Takes the runners outside the group away. Those that run a job end it first. */
  dismissForeign(): void {
    this.#dismissed = this.#foreign;
    let next = this.#waiting.first;
    while (next !== undefined) {
      const instance: Instance = next;
      next = instance.after;
      if (this.#isDismissed(instance)) this.#waiting.delete(instance);
    }
  }

  #isDismissed(instance: Instance): boolean {
    return instance.foreign && -instance.number <= this.#dismissed;
  }

  /**
   * Records that a job was queued. An idle runner finds it with its next request.
   *
   * @param now When the job was queued, if the agenda has not reached that time yet.
   */
  queued(job: number, now = this.#agenda.now): void {
    this.#watch('queued', now, undefined, job);
    this.#offerWork(now);
  }

  /**
   * Lets an idle runner ask for work. With reuse, it is the runner that became idle last, so that the others can leave.
   * Otherwise it is the runner that has been idle longest.
   */
  #offerWork(now: number): void {
    const instance = this.#settings.reuse ? this.#waiting.last : this.#waiting.first;
    if (instance !== undefined) this.#ask(instance, now);
  }

  /** Lets idle runners ask for the jobs that CircleCI hands out again. */
  offerAll(): void {
    for (let left = this.#jobs.unclaimed; left > 0; left -= 1) this.#offerWork(this.#agenda.now);
  }

  /** Starts the runner of a booted instance. */
  ready(instance: Instance): void {
    instance.freeAt = this.#agenda.now;
    if (!instance.deaf && this.#claim(instance)) return;
    this.#idle(instance);
    if (!instance.deaf) this.#waiting.add(instance);
  }

  /** Handles the loss of an instance: its job ends, or is queued again. */
  lost(instance: Instance): void {
    this.#waiting.delete(instance);
    if (instance.job !== NO_JOB) this.#loseJob(instance);
    if (instance.claiming) this.#offerWork(this.#agenda.now);
  }

  #loseJob(instance: Instance): void {
    const { now } = this.#agenda;
    const { job } = instance;
    instance.job = NO_JOB;
    if (this.#settings.retries) {
      this.#jobs.retry(job);
      this.#watch('retried', now, instance, job);
      this.#offerWork(this.#agenda.now);
    } else {
      this.#jobs.finish(job, now, 'killed');
      this.#watch('killed', now, instance, job);
      this.#ended(job);
    }
  }

  #ask(instance: Instance, now: number): void {
    instance.claiming = true;
    this.#waiting.delete(instance);
    this.#agenda.plan(now + this.#settings.durations.idleClaim, () => {
      instance.claiming = false;
      if (!instance.idle || this.#isDismissed(instance)) return;
      if (!this.#claim(instance)) this.#waiting.add(instance);
    });
  }

  #claim(instance: Instance): boolean {
    const { now } = this.#agenda;
    const job = this.#jobs.take(now);
    if (job === NO_JOB) return false;
    this.#watch('claims', now, instance, job);
    instance.idle = false;
    instance.used = true;
    instance.job = job;
    this.#waiting.delete(instance);
    this.#agenda.plan(now + this.#jobs.durationOf(job), () => {
      if (!instance.gone) this.#finish(instance);
    });
    return true;
  }

  /** A job has ended. If CircleCI limits jobs, it may hand out another one, of this class or of another one of the plan. */
  #ended(job: number): void {
    if (this.#jobs.longestLag > 0) this.#countLonger(job);
    const { isLimited, plan } = this.#jobs;
    if (!isLimited) return;
    if (plan === undefined) this.#offerWork(this.#agenda.now);
    else plan.freed();
  }

  /** CircleCI counts a job that has ended as running for some seconds more: scattered by number, and the same in each run. */
  #countLonger(job: number): void {
    const { longestLag } = this.#jobs;
    const lag = longestLag * (0.2 + 0.8 * ((job * 0.618_034) % 1));
    this.#jobs.lagging += 1;
    this.#agenda.plan(this.#agenda.now + lag, () => {
      this.#jobs.lagging -= 1;
    });
  }

  #finish(instance: Instance): void {
    const { now } = this.#agenda;
    const { job } = instance;
    instance.job = NO_JOB;
    instance.freeAt = now;
    this.#jobs.finish(job, now, 'done');
    this.#watch('finishes', now, instance, job);
    this.#ended(job);
    if (!this.#settings.reuse && !instance.foreign) {
      this.#exit(instance, 'done');
      return;
    }
    if (this.#isDismissed(instance)) return;
    this.#idle(instance);
    if (this.#jobs.unclaimed > 0) this.#ask(instance, now);
    else this.#waiting.add(instance);
  }

  /** Starts the idle timeout of a runner. */
  #idle(instance: Instance): void {
    const since = instance.freeAt;
    instance.idle = true;
    if (instance.foreign) return;
    this.#agenda.plan(this.#settings.leavesAt(since, instance), () => {
      if (instance.gone || !instance.idle || instance.freeAt !== since) return;
      this.#watch('idles out', this.#agenda.now, instance, 0);
      this.#exit(instance, 'idle');
    });
  }

  #exit(instance: Instance, reason: LeavingReason): void {
    instance.idle = false;
    this.#waiting.delete(instance);
    if (instance.claiming) this.#offerWork(this.#agenda.now);
    this.#exited(instance, reason);
  }
}
