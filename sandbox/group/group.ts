import type { Agenda } from '../agenda.ts';
import { type CapacityChange, type FailureCause, ScalingActivities } from './activities.ts';
import type { Watch } from './events.ts';
import { isRefused, type LaunchFault } from './faults.ts';
import { Instance, type LeavingReason } from './instance.ts';
import type { JobQueue } from './job-queue.ts';
import { Members } from './members.ts';
import { type RunnerSettings, Runners } from './runners.ts';
import { WarmPool } from './warm-pool.ts';

/** What becomes of capacity when a runner is done: by whom, and when, the desired capacity is lowered. */
export type Leaving =
  /** The instance terminates itself and lowers the desired capacity, once it is gone. */
  | 'decrements'
  /** The instance leaves its group at once, lowering the desired capacity, and then ends. */
  | 'detaches'
  /** The instance stops; the group notices after a while, and replaces it if the desired capacity counts it. */
  | 'stops';

export interface GroupSettings extends RunnerSettings {
  /** What second 0 of the agenda is, in milliseconds since the epoch: activities carry dates. */
  startsAt: number;
  /** Instances lower the desired capacity as they leave, but not below this. */
  minSize: number;
  /** Whether a fall of the desired capacity takes away only what has not been launched. */
  protectedFromScaleIn: boolean;
  /** How much is On-Demand: so many instances, and a percentage of the others. */
  onDemand: { base: number; percentage: number };
  leaving: Leaving;
  /**
   * Whether an instance that never becomes a runner leaves: by itself if its boot fails, by its launch hook if nothing
   * is heard of it. Else it stands there until somebody ends it.
   */
  failedBoot: 'leaves' | 'stays';
  /** How many stopped instances stand by; the pool is full at the start. */
  warmPool: number;
  /** Called once for each launch: what goes wrong with it. A launch into the warm pool is On-Demand. */
  launchFault: (now: number, onDemand: boolean) => LaunchFault | undefined;
  /** Called once for each Spot instance: after how many seconds EC2 takes it back; Infinity if never. */
  interruptedAfter: () => number;
}

/**
 * An Auto Scaling group with its instances, their runners, its warm pool and its activities. A driver sets the desired
 * capacity, calls `reconcile` and lets the agenda advance. `watch` gets every event, and figures are computed from those.
 *
 * A real group also has what this one leaves out: Availability Zones, but for a second try in another one; one activity
 * for each stop and each resume of an instance of the warm pool; a desired capacity that falls as soon as an instance asks
 * to be terminated (here: once it is gone); and AWS suspends `Launch` after a day of failed launches.
 */
export class Group {
  readonly activities: ScalingActivities;
  readonly runners: Runners;
  readonly warmPool: WarmPool;
  /** Names of suspended processes. Of these, only `Launch` makes a difference here. */
  readonly suspendedProcesses = new Set<string>();
  /** Of the instances beyond the On-Demand base; launches that follow go by it. */
  onDemandPercentage: number;
  readonly #settings: GroupSettings;
  readonly #agenda: Agenda;
  readonly #watch: Watch;
  readonly #members = new Members();
  #alive = 0;
  /** Instances that have stopped, on which the group has not acted yet. */
  #unnoticed = 0;
  #numbered = 0;
  #desired = 0;
  #relaunchPlanned = false;
  /** Launches that a zone refused: about to be tried in another one, and tried there now. */
  #changingZone = 0;
  #elsewhere = 0;

  constructor(settings: GroupSettings, agenda: Agenda, jobs: JobQueue, watch: Watch) {
    const { startsAt, onDemand, durations } = settings;
    const activities = new ScalingActivities(() => Math.round(startsAt + agenda.now * 1_000));
    const group = this;
    this.#settings = settings;
    this.#agenda = agenda;
    this.#watch = watch;
    this.onDemandPercentage = onDemand.percentage;
    this.activities = activities;
    this.runners = new Runners(settings, agenda, jobs, watch, (instance, reason) =>
      this.#runnerExited(instance, reason),
    );
    const owner = {
      durations,
      activities,
      get suspended() {
        return group.suspended;
      },
      launchFault: settings.launchFault,
      newNumber: () => this.#newNumber(),
      planRelaunch: () => this.#planRelaunch(),
    };
    this.warmPool = new WarmPool(settings.warmPool, owner, agenda, watch);
  }

  /** In the order of their launch, those included that EC2 does not list yet. */
  get members(): ReadonlySet<Instance> {
    return this.#members.all;
  }

  get size(): number {
    return this.#members.size;
  }

  get pending(): number {
    return this.#members.pending;
  }

  get inService(): number {
    return this.#members.inService;
  }

  /** Instances that are paid for. */
  get alive(): number {
    return this.#alive;
  }

  /** Instances, and launches and replacements that are still to come. */
  get left(): number {
    return this.#alive + this.#members.requested + this.#unnoticed;
  }

  /** Whether nothing launches, whatever is desired. */
  get suspended(): boolean {
    return this.suspendedProcesses.has('Launch');
  }

  set suspended(suspended: boolean) {
    if (suspended) this.suspendedProcesses.add('Launch');
    else this.suspendedProcesses.delete('Launch');
  }

  get desired(): number {
    return this.#desired;
  }

  /** Sets the desired capacity; `reconcile` acts on it. */
  set desired(desired: number) {
    if (desired === this.#desired) return;
    this.#desired = desired;
    this.#watch('desired', this.#agenda.now, undefined, desired);
  }

  /** Launches what is missing, and takes away what is too much and may go. */
  reconcile(): void {
    if (this.#members.size < this.#desired && !this.suspended) {
      const change = { from: this.#members.size, to: this.#desired };
      while (this.#members.size + this.#changingZone < this.#desired) {
        if (this.#launch(change)) continue;
        this.#planRelaunch();
        return;
      }
    }
    this.warmPool.refill();
    if (this.#members.size > this.#desired) this.#scaleIn();
  }

  /** Sets whether a fall of the desired capacity may take a launched instance away. */
  protect(instance: Instance, isProtected: boolean): void {
    this.#members.protect(instance, isProtected);
  }

  #newNumber(): number {
    this.#numbered += 1;
    return this.#numbered;
  }

  /** Asks EC2 for an instance, which is a member from then on; `false` if EC2 refused in every zone. */
  #launch(change: CapacityChange): boolean {
    const { durations, launchFault, protectedFromScaleIn } = this.#settings;
    const { now } = this.#agenda;
    const onDemand = this.#nextIsOnDemand();
    const drawn = launchFault(now, onDemand);
    const fault = drawn === 'unplaced' && this.#elsewhere > 0 ? undefined : drawn;
    this.#elsewhere = Math.max(this.#elsewhere - 1, 0);
    if (isRefused(fault)) {
      this.activities.refuse(fault, change);
      this.#watch('refused', now, undefined, 0);
      if (fault === 'unplaced') this.#changeZone();
      return fault === 'unplaced';
    }
    const stopped = this.warmPool.take();
    const warm = stopped !== undefined;
    const number = stopped ?? this.#newNumber();
    const instance = new Instance({
      number,
      requestedAt: now,
      warm,
      onDemand,
      deaf: fault === 'deaf',
      inPool: false,
      protectedFromScaleIn,
      launch: this.activities.launch(number, change, warm),
    });
    this.#members.add(instance);
    this.#watch('launches', now, instance, 0);
    this.#agenda.plan(now + durations.request, () => {
      if (!instance.gone) this.#becomePending(instance);
    });
    this.#agenda.plan(now + durations.request + this.#bootSeconds(warm, fault), () => {
      if (!instance.gone) this.#endBoot(instance, fault);
    });
    return true;
  }

  /** As a mixed instances policy rounds: up, in favour of On-Demand. */
  #nextIsOnDemand(): boolean {
    const { base } = this.#settings.onDemand;
    const above = Math.max(this.#members.size + 1 - base, 0);
    return this.#members.onDemand < base + Math.ceil((above * this.onDemandPercentage) / 100);
  }

  /** As `balanced-best-effort` does: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-availability-zone-balanced.html */
  #changeZone(): void {
    this.#changingZone += 1;
    this.#agenda.plan(this.#agenda.now + this.#settings.durations.otherZone, () => {
      this.#changingZone -= 1;
      this.#elsewhere += 1;
      this.reconcile();
    });
  }

  #planRelaunch(): void {
    if (this.#relaunchPlanned) return;
    this.#relaunchPlanned = true;
    this.#agenda.plan(this.#agenda.now + this.#settings.durations.relaunch, () => {
      this.#relaunchPlanned = false;
      this.reconcile();
    });
  }

  #becomePending(instance: Instance): void {
    const { now } = this.#agenda;
    this.#members.becomePending(instance, now);
    this.#alive += 1;
    if (instance.launch) this.activities.proceed(instance.launch);
    this.#watch('pending', now, instance, 0);
    if (instance.onDemand) return;
    const takenBackAfter = this.#settings.interruptedAfter();
    if (takenBackAfter < Number.POSITIVE_INFINITY)
      this.#after(takenBackAfter, instance, () => this.#takeBack(instance));
  }

  /** From pending until the boot is over, well or not. */
  #bootSeconds(warm: boolean, fault: LaunchFault | undefined): number {
    const { durations, failedBoot } = this.#settings;
    const boot = warm ? durations.warmBoot : durations.boot;
    if (fault === 'failing') return boot / 3;
    if (fault === 'lost' || fault === 'no-key') return fault === 'lost' ? boot / 2 : durations.endsAtStart;
    return fault === 'dead' && failedBoot === 'leaves' ? durations.launchHook : boot;
  }

  #endBoot(instance: Instance, fault: LaunchFault | undefined): void {
    if (fault === undefined || fault === 'deaf') this.#becomeReady(instance);
    else if (fault === 'lost') this.#takeBack(instance);
    else if (fault === 'no-key') this.#giveUp(instance, fault);
    else if (fault === 'dead' && this.#settings.failedBoot === 'leaves') this.#giveUp(instance);
    else this.#failBoot(instance);
  }

  #after(seconds: number, instance: Instance, happen: () => void): void {
    this.#agenda.plan(this.#agenda.now + seconds, () => {
      if (!instance.gone) happen();
    });
  }

  #becomeReady(instance: Instance): void {
    this.#members.endBoot(instance);
    instance.readyAt = this.#agenda.now;
    if (instance.launch) this.activities.succeed(instance.launch);
    this.#watch('ready', instance.readyAt, instance, 0);
    this.runners.ready(instance);
  }

  /** A boot gives up: the instance leaves by itself, or stands there until somebody finds it. */
  #failBoot(instance: Instance): void {
    const { failedBoot, durations } = this.#settings;
    this.#members.endBoot(instance);
    // As userdata/leave-group.sh: the instance takes itself out of the group, then completes its hook.
    if (instance.launch) this.activities.fail(instance.launch, 'abandoned');
    this.#watch('boot fails', this.#agenda.now, instance, 0);
    if (failedBoot === 'leaves') this.#terminateItself(instance, 'boot failed');
    else this.#after(durations.tidyUp, instance, () => this.#terminateItself(instance, 'boot failed'));
  }

  /** The group gives the instance up, mostly as its launch hook times out, and launches another. */
  #giveUp(instance: Instance, cause: FailureCause = 'heartbeat timeout'): void {
    if (instance.launch) this.activities.fail(instance.launch, cause);
    this.#watch('boot fails', this.#agenda.now, instance, 0);
    this.#replace(instance, 'silent');
  }

  /** A moment after its runner's exit the instance is gone. */
  #runnerExited(instance: Instance, reason: LeavingReason): void {
    const { leaving, durations } = this.#settings;
    if (leaving === 'detaches') {
      this.activities.detach(instance.number, { from: this.#desired, to: this.#desired - 1 });
      this.#lower(instance);
    }
    this.#agenda.plan(this.#agenda.now + durations.leave, () => {
      if (instance.gone) return;
      if (leaving === 'decrements') this.#terminateItself(instance, reason);
      else if (leaving === 'detaches') this.#disappear(instance, reason);
      else this.#stopped(instance, reason);
    });
  }

  /** At the minimum the instance may not lower the desired capacity, and the group replaces it. */
  #terminateItself(instance: Instance, reason: LeavingReason): void {
    const desired = this.#desired;
    const lowers = desired > this.#settings.minSize;
    this.activities.leave(instance.number, lowers ? { from: desired, to: desired - 1 } : undefined);
    this.#disappear(instance, reason);
    this.#lower(instance);
  }

  /** An instance leaves the group and lowers the desired capacity. */
  #lower(instance: Instance): void {
    this.#members.delete(instance);
    if (this.#desired > this.#settings.minSize) this.desired = this.#desired - 1;
    this.reconcile();
    this.#watch('lowers', this.#agenda.now, instance, 0);
  }

  /** The instance counts no more. The group launches another at the scaler's next write, or when it notices. */
  #stopped(instance: Instance, reason: LeavingReason): void {
    this.#disappear(instance, reason);
    this.#members.delete(instance);
    this.#unnoticed += 1;
    this.#agenda.plan(this.#agenda.now + this.#settings.durations.notice, () => {
      this.#unnoticed -= 1;
      this.activities.replace(instance.number);
      this.reconcile();
    });
  }

  /** Takes away unprotected instances, then cancels launches that have not begun; the oldest of each go first. */
  #scaleIn(): void {
    const change = { from: this.#members.size, to: this.#desired };
    while (this.#members.size > this.#desired) {
      const instance = this.#members.nextToGo();
      if (instance === undefined) return;
      if (instance.pendingAt === Number.POSITIVE_INFINITY) this.#cancel(instance);
      else this.#takeAway(instance, change);
    }
  }

  /** A launch that has not begun is not needed any more. */
  #cancel(instance: Instance): void {
    const { now } = this.#agenda;
    this.#members.delete(instance);
    instance.gone = true;
    instance.leftAt = now;
    instance.reason = 'cancelled';
    if (instance.launch) this.activities.forget(instance.launch);
    if (instance.warm) this.warmPool.putBack(instance.number);
    this.#watch('leaves', now, instance, 0);
  }

  #takeAway(instance: Instance, change: CapacityChange): void {
    if (!instance.booted && instance.launch) this.activities.forget(instance.launch);
    this.activities.scaleIn(instance.number, change);
    this.runners.lost(instance);
    this.#members.delete(instance);
    this.#disappear(instance, 'scaled in');
  }

  /** EC2 takes an instance back. */
  #takeBack(instance: Instance): void {
    this.#watch('taken back', this.#agenda.now, instance, 0);
    this.#replace(instance, 'taken back');
  }

  /** The instance is gone; the group launches another if the desired capacity still asks for it. */
  #replace(instance: Instance, reason: LeavingReason): void {
    const { launch } = instance;
    // The failed launch is on record instead of a termination.
    if (instance.booted) this.activities.replace(instance.number);
    else if (launch && launch.endedAt === undefined)
      this.activities.fail(launch, instance.onDemand ? 'ended' : 'reclaimed');
    this.runners.lost(instance);
    this.#members.delete(instance);
    this.#disappear(instance, reason);
    this.reconcile();
  }

  #disappear(instance: Instance, reason: LeavingReason): void {
    instance.gone = true;
    instance.leftAt = this.#agenda.now;
    instance.reason = reason;
    this.#alive -= 1;
    this.#watch('leaves', instance.leftAt, instance, 0);
    instance.idle = false;
  }
}
