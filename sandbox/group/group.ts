import type { Agenda } from '../agenda.ts';
import { type CapacityChange, type FailureCause, ScalingActivities } from './activities.ts';
import { bootSeconds } from './durations.ts';
import type { Watch } from './events.ts';
import { isRefused, type LaunchFault, type RefusedLaunch } from './faults.ts';
import type { GroupModelSettings } from './group-settings.ts';
import { Instance, type LeavingReason } from './instance.ts';
import type { JobQueue } from './job-queue.ts';
import { GroupMembers } from './members.ts';
import { Outside } from './outside.ts';
import { Runners } from './runners.ts';
import { WarmPool } from './warm-pool.ts';
import { Zones } from './zones.ts';

/**
 * An Auto Scaling group with its instances, runners, warm pool and activities. A driver sets the desired capacity,
 * calls `reconcile`, and advances the agenda. `watch` receives every event; figures are computed from the events.
 *
 * `TerminateInstanceInAutoScalingGroup` with a decrement lowers the desired capacity in the call. The instance is
 * `Terminating` until EC2 has ended it, and is no capacity of its group: "This call simply makes a termination request.
 * The instance is not terminated immediately."
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_TerminateInstanceInAutoScalingGroup.html
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html
 *
 * The model leaves out: Availability Zones, except a second try in another zone; the activities for each stop and
 * resume of an instance of the warm pool; and AWS's suspension of `Launch` after a day of failed launches.
 */
export class GroupModel {
  readonly activities: ScalingActivities;
  readonly outside = new Outside();
  readonly runners: Runners;
  readonly warmPool: WarmPool;
  /** Names of suspended processes. Only `Launch` has an effect here. */
  readonly suspendedProcesses = new Set<string>();
  /** The On-Demand percentage beyond the base, for the next launches. */
  onDemandPercentage: number;
  readonly #settings: GroupModelSettings;
  readonly #agenda: Agenda;
  readonly #watch: Watch;
  readonly #members = new GroupMembers();
  #alive = 0;
  /** Stopped instances that the group has not noticed yet. */
  #unnoticed = 0;
  #numbered = 0;
  #desired = 0;
  #relaunchPlanned = false;
  readonly #zones = new Zones();

  constructor(settings: GroupModelSettings, agenda: Agenda, jobs: JobQueue, watch: Watch) {
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

  /** In the order of their launches, including those that EC2 does not list yet. */
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

  /** Billed instances. */
  get alive(): number {
    return this.#alive;
  }

  /** Instances, pending launches and pending replacements. */
  get left(): number {
    return this.#alive + this.#members.requested + this.#unnoticed;
  }

  /** Whether the `Launch` process is suspended. */
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

  /** Launches missing instances, and terminates surplus ones that are not protected. */
  reconcile(): void {
    if (this.#members.size < this.#desired && !this.suspended) {
      const change = { from: this.#members.size, to: this.#desired };
      while (this.#members.size + this.#zones.changing < this.#desired) {
        const refused = this.#launch(change);
        if (refused === undefined) continue;
        const { otherZone, relaunch } = this.#settings.durations;
        this.#planRelaunch(this.#zones.oneIsLeft(refused) ? otherZone : relaunch);
        return;
      }
    }
    this.warmPool.refill();
    if (this.#members.size > this.#desired) this.#scaleIn();
  }

  /** Sets whether scale-in may terminate a launched instance. */
  protect(instance: Instance, isProtected: boolean): void {
    this.#members.protect(instance, isProtected);
  }

  /** `EnterStandby`, or `DetachInstances`; see outside.ts. */
  takeOut(instance: Instance, to: 'standby' | 'detached', decrement: boolean): void {
    this.#members.delete(instance);
    this.outside.add(instance, to, this.#agenda.now);
    this.activities.takeOut(instance.number, to, decrement ? this.#desired : undefined);
    if (decrement) this.desired = this.#desired - 1;
    this.reconcile();
  }

  #newNumber(): number {
    this.#numbered += 1;
    return this.#numbered;
  }

  /** Requests an instance from EC2, which is a member from then on. Returns why, if EC2 refuses and no other zone would do. */
  #launch(change: CapacityChange): RefusedLaunch | undefined {
    const { durations, launchFault, protectedFromScaleIn } = this.#settings;
    const { now } = this.#agenda;
    const onDemand = this.#members.nextIsOnDemand(this.#settings.onDemand.base, this.onDemandPercentage);
    const drawn = launchFault(now, onDemand);
    const fault = this.#zones.isElsewhere() && drawn === 'unplaced' ? undefined : drawn;
    if (isRefused(fault)) {
      this.activities.refuse(fault, change);
      this.#watch('refused', now, undefined, 0);
      if (fault !== 'unplaced') return fault;
      this.#changeZone();
      return undefined;
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
    this.#agenda.plan(now + durations.request + bootSeconds(this.#settings, warm, fault), () => {
      if (!instance.gone) this.#endBoot(instance, fault);
    });
    return undefined;
  }

  #changeZone(): void {
    this.#zones.leave();
    this.#agenda.plan(this.#agenda.now + this.#settings.durations.otherZone, () => {
      this.#zones.arrive();
      this.reconcile();
    });
  }

  #planRelaunch(seconds = this.#settings.durations.relaunch): void {
    if (this.#relaunchPlanned) return;
    this.#relaunchPlanned = true;
    this.#agenda.plan(this.#agenda.now + seconds, () => {
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

  #endBoot(instance: Instance, fault: LaunchFault | undefined): void {
    if (fault === undefined || fault === 'deaf') this.#becomeReady(instance);
    else if (fault === 'lost') this.#takeBack(instance);
    else if (fault === 'no-key') this.#giveUp(instance, fault);
    else if (fault === 'dead' && this.#settings.failedBoot === 'leaves') this.#giveUp(instance);
    else this.#failBoot(instance);
  }

  #after(seconds: number, instance: Instance, happen: () => void): void {
    this.#agenda.plan(this.#agenda.now + seconds, () => {
      if (!instance.hasLeft) happen();
    });
  }

  #becomeReady(instance: Instance): void {
    this.#members.endBoot(instance);
    instance.readyAt = this.#agenda.now;
    if (instance.launch) this.activities.succeed(instance.launch);
    this.#watch('ready', instance.readyAt, instance, 0);
    this.runners.ready(instance);
  }

  /** The boot fails. The instance leaves by itself, or stays until a person terminates it. */
  #failBoot(instance: Instance): void {
    const { failedBoot, durations } = this.#settings;
    this.#members.endBoot(instance);
    // As userdata/leave-group.sh: the instance takes itself out of the group, then completes its hook.
    if (instance.launch) this.activities.fail(instance.launch, 'abandoned');
    this.#watch('boot fails', this.#agenda.now, instance, 0);
    if (failedBoot === 'leaves') this.#terminateItself(instance, 'boot failed');
    else this.#after(durations.tidyUp, instance, () => this.#terminateItself(instance, 'boot failed'));
  }

  /** The group abandons the instance, usually because its launch hook timed out, and launches another. */
  #giveUp(instance: Instance, cause: FailureCause = 'heartbeat timeout'): void {
    if (instance.launch) this.activities.fail(instance.launch, cause);
    this.#watch('boot fails', this.#agenda.now, instance, 0);
    this.#replace(instance, 'silent');
  }

  /** The instance leaves shortly after its runner's exit. */
  #runnerExited(instance: Instance, reason: LeavingReason): void {
    const { leaving, durations } = this.#settings;
    if (leaving === 'detaches') {
      this.activities.takeOut(instance.number, 'detached', this.#desired);
      this.#lower(instance);
    }
    this.#after(leaving === 'decrements' ? durations.leaveCall : durations.leave, instance, () => {
      if (leaving === 'detaches' || instance.state === 'Detached') this.#disappear(instance, reason);
      else if (leaving === 'decrements') this.#terminateItself(instance, reason);
      else this.#stopped(instance, reason);
    });
  }

  /** At `minSize`, the instance may not lower the desired capacity, and the group replaces it. */
  #terminateItself(instance: Instance, reason: LeavingReason): void {
    const desired = this.#desired;
    const isMember = !this.outside.standby.delete(instance);
    const lowers = isMember && desired > this.#settings.minSize;
    this.activities.leave(instance.number, lowers ? { from: desired, to: desired - 1 } : undefined);
    this.#members.delete(instance);
    this.outside.terminating.add(instance);
    this.#leave(instance, reason);
    if (isMember) this.#lower(instance);
    const { leave, leaveCall } = this.#settings.durations;
    this.#agenda.plan(this.#agenda.now + Math.max(leave - leaveCall, 0), () => {
      this.#end(instance);
    });
  }

  /** An instance leaves the group and lowers the desired capacity. */
  #lower(instance: Instance): void {
    this.#members.delete(instance);
    if (this.#desired > this.#settings.minSize) this.desired = this.#desired - 1;
    this.reconcile();
    this.#watch('lowers', this.#agenda.now, instance, 0);
  }

  /** The instance no longer counts. The group replaces it at the scaler's next write, or once it notices the stop. */
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

  /** Terminates unprotected instances, then cancels launches that have not started. The oldest go first. */
  #scaleIn(): void {
    const change = { from: this.#members.size, to: this.#desired };
    while (this.#members.size > this.#desired) {
      const instance = this.#members.nextToGo();
      if (instance === undefined) return;
      if (instance.pendingAt === Number.POSITIVE_INFINITY) this.#cancel(instance);
      else this.#takeAway(instance, change);
    }
  }

  /** Cancels a launch that has not started. */
  #cancel(instance: Instance): void {
    const { now } = this.#agenda;
    this.#members.delete(instance);
    instance.leftAt = now;
    instance.goneAt = now;
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

  /** EC2 takes the instance back. */
  #takeBack(instance: Instance): void {
    this.#watch('taken back', this.#agenda.now, instance, 0);
    this.#replace(instance, 'taken back');
  }

  /** The instance is gone. The group replaces it if the desired capacity still counts it. */
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
    this.#leave(instance, reason);
    this.#end(instance);
  }

  #leave(instance: Instance, reason: LeavingReason): void {
    instance.leftAt = this.#agenda.now;
    instance.reason = reason;
    this.#watch('leaves', instance.leftAt, instance, 0);
    instance.idle = false;
  }

  #end(instance: Instance): void {
    instance.goneAt = this.#agenda.now;
    this.outside.delete(instance);
    this.#alive -= 1;
    this.#watch('ends', instance.goneAt, instance, 0);
  }
}
