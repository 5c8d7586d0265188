import type { Agenda } from './agenda.ts';
import {
  type CapacityChange,
  RECLAIMED,
  REFUSALS,
  ScalingActivities,
  type ScalingActivity,
} from './scaling-activities.ts';
import type { Task, TaskQueue } from './task-queue.ts';

/** How long things take in the embedded world, in seconds. */
export interface Durations {
  /** From asking for an instance until EC2 lists it as pending, which is when billing starts. */
  request: number;
  /** From pending until the runner is ready. */
  boot: number;
  /** The same for an instance of the warm pool, which is started and has nothing left to install. */
  warmBoot: number;
  /** From the end of its first boot until an instance of the warm pool is stopped, and can be launched. */
  warmStop: number;
  /** Until an idle runner's next request for work finds a task that has just been queued. */
  idleClaim: number;
  /**
   * From the runner's exit until the instance has left the group. Desired capacity falls at the end of it, as
   * in the reference replay; on AWS it falls as soon as the instance asks to be terminated.
   */
  leave: number;
  /** How long a runner waits for a task before it exits. */
  idleTimeout: number;
  /** By how much less each runner may wait; the same ones in each run. */
  idleSpread: number;
  /** The shortest time EC2 bills. */
  minimumBilling: number;
  /** How long the group waits for a launching instance's sign of life before it replaces it. */
  launchHook: number;
  /** How soon the group tries again after EC2 refused a launch. */
  relaunch: number;
}

export const DURATIONS: Durations = {
  request: 3,
  boot: 90,
  warmBoot: 25,
  warmStop: 30,
  idleClaim: 2.5,
  leave: 15,
  idleTimeout: 300,
  idleSpread: 0,
  minimumBilling: 60,
  launchHook: 600,
  relaunch: 60,
};

/**
 * What goes wrong with a launch.
 *
 * - `refused`: EC2 has no capacity.
 * - `no-spot`: EC2 has no Spot capacity; a launch of On-Demand capacity is none the worse.
 * - `dead`: the instance boots, and nothing is ever heard of it.
 * - `failing`: its boot fails after a third of the time, and it leaves.
 * - `lost`: EC2 takes it back after half of the boot time, as it does with Spot instances.
 * - `deaf`: it comes into service, and its runner takes no task, as with a token of another resource class.
 */
export type LaunchFault = keyof typeof REFUSALS | 'dead' | 'failing' | 'lost' | 'deaf';

/** What becomes of an instance that was launched. */
type BootFault = Exclude<LaunchFault, keyof typeof REFUSALS>;

/** How many tasks a runner takes: one, or one after the other until it has been idle for `idleTimeout`. */
export type Reuse = 'single-task' | 'continuous';

/** By how much less an instance waits, up to `spread`: scattered, and the same in each run. */
export const spreadOf = (number: number, spread: number) => Math.round(spread * ((number * 0.618_034) % 1));

export type InstanceState = 'requested' | 'Pending' | 'InService' | 'gone';

export interface Instance {
  id: string;
  state: InstanceState;
  protectedFromScaleIn: boolean;
  task: Task | undefined;
  readonly onDemand: boolean;
  /** Whether it ever claimed a task. */
  used: boolean;
  pendingAt?: number;
  readyAt?: number;
  leftAt?: number;
  /** The activity that launched it. */
  readonly launch: ScalingActivity;
  /** An idle runner that will find the next task. */
  claiming: boolean;
  /** It takes no task, ever. */
  deaf: boolean;
  /** It comes from the warm pool. */
  warm: boolean;
  /** When it last became idle. */
  idleSince?: number;
}

export type Happening =
  | 'launches'
  | 'pending'
  | 'ready'
  | 'warms up'
  | 'is warm'
  | 'claims'
  | 'finishes'
  | 'idles out'
  | 'leaves'
  | 'killed'
  | 'refused';

/** Raised for a call that the group refuses; `code` is the API's own. */
export class GroupRefusal extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export interface GroupSettings {
  name: string;
  minSize: number;
  maxSize: number;
  durations: Durations;
  /** What second 0 of the agenda is, in milliseconds since the epoch; 0 unless told. Activities carry dates. */
  startsAt?: number;
  newInstancesProtectedFromScaleIn: boolean;
  /** How much beyond the base is On-Demand, of a group with a mixed instances policy; of one without, all is. */
  onDemandPercentage?: number;
  /** How many instances come first, and are On-Demand; none unless told. */
  onDemandBase?: number;
  /** `single-task` unless told. */
  reuse?: Reuse;
  /** How many stopped instances stand by, of which the pool is full at the start; no warm pool unless told. */
  warmPoolSize?: number;
  /** Asked at each launch, also at one into the warm pool. */
  launchFault?: (now: number) => LaunchFault | undefined;
  /** Told of everything that happens. */
  watch?: (now: number, instanceId: string, happening: Happening) => void;
}

/** For how long a group remembers what it was, in seconds. */
export const REMEMBERED_SECONDS = 60;

/** A group as `DescribeAutoScalingGroups` shows it. */
export interface GroupView {
  desired: number;
  /** Members that EC2 lists. */
  instances: Pick<Instance, 'id' | 'state' | 'protectedFromScaleIn'>[];
}

/** An embedded Auto Scaling group with its warm pool; its instances are CircleCI runners and leave by themselves. */
export class AutoScalingGroup {
  readonly settings: GroupSettings;
  readonly activities: ScalingActivities;
  readonly #agenda: Agenda;
  readonly #queue: TaskQueue;
  /** Members, in the order of their launch. */
  readonly #members = new Map<string, Instance>();
  readonly #idle = new Set<Instance>();
  /** Ids of the stopped instances of the warm pool, the first that was stopped first. */
  readonly #stock: string[] = [];
  /** Instances on their way into the warm pool. */
  #warming = 0;
  #warmPoolSize: number;
  #requested = 0;
  #launched = 0;
  #warmLaunched = 0;
  #spotLaunched = 0;
  #refused = 0;
  #relaunchPlanned = false;
  #ghosts = 0;
  #billedSeconds = 0;
  #desired = 0;
  /** What `viewed` needs to know of the last minute. */
  readonly #desires: { at: number; desired: number }[] = [];
  readonly #left: Instance[] = [];
  /** Names of processes that are suspended. Of these, only `Launch` makes a difference here. */
  readonly suspendedProcesses = new Set<string>();
  readonly tags = new Map<string, string>();
  /** What `UpdateAutoScalingGroup` changes; launches that follow go by it. */
  onDemandPercentage: number | undefined;

  constructor(settings: GroupSettings, agenda: Agenda, queue: TaskQueue) {
    this.settings = settings;
    this.onDemandPercentage = settings.onDemandPercentage;
    this.#agenda = agenda;
    this.#queue = queue;
    const { startsAt = 0 } = settings;
    this.activities = new ScalingActivities(() => Math.round(startsAt + agenda.now * 1_000));
    this.#warmPoolSize = settings.warmPoolSize ?? 0;
    while (this.#stock.length < this.#warmPoolSize) this.#stock.push(this.#newId());
    this.desired = settings.minSize;
    this.#reconcile();
  }

  /** Members that EC2 lists, in the order of their launch. */
  get instances(): Instance[] {
    return [...this.#members.values()].filter((instance) => instance.state !== 'requested');
  }

  get desired(): number {
    return this.#desired;
  }

  set desired(desired: number) {
    this.#desired = desired;
    const { now } = this.#agenda;
    this.#desires.push({ at: now, desired });
    while ((this.#desires[1]?.at ?? now) < now - REMEMBERED_SECONDS) this.#desires.shift();
  }

  /** The group as it was that many seconds ago, at most `REMEMBERED_SECONDS`. */
  viewed(secondsAgo: number): GroupView {
    if (secondsAgo === 0) return this;
    const at = this.#agenda.now - secondsAgo;
    const happened = (when = Number.POSITIVE_INFINITY) => when <= at;
    const then = this.#desires.findLast((desire) => happened(desire.at)) ?? this.#desires[0];
    return {
      desired: then?.desired ?? this.#desired,
      instances: [...this.#left, ...this.#members.values()]
        .filter(({ pendingAt, leftAt }) => happened(pendingAt) && !happened(leftAt))
        .map(({ id, protectedFromScaleIn, readyAt }) => ({
          id,
          state: happened(readyAt) ? 'InService' : 'Pending',
          protectedFromScaleIn,
        })),
    };
  }

  get size(): number {
    return this.#members.size;
  }

  /** The warm pool: how many instances it is to hold, are stopped in it, and are on their way into it. */
  get warmPool(): { size: number; stopped: number; warming: number } | undefined {
    if (this.settings.warmPoolSize === undefined) return undefined;
    return { size: this.#warmPoolSize, stopped: this.#stock.length, warming: this.#warming };
  }

  /** Totals so far. A launch counts once it is pending; the bill is as if all instances left now. */
  get totals() {
    const now = this.#agenda.now;
    let billedSeconds = this.#billedSeconds;
    for (const instance of this.#members.values()) billedSeconds += this.#billed(instance, now);
    return {
      launches: this.#launched,
      warmLaunches: this.#warmLaunched,
      spotLaunches: this.#spotLaunched,
      refusedLaunches: this.#refused,
      ghostLaunches: this.#ghosts,
      billedSeconds,
    };
  }

  /** `SetDesiredCapacity`: launches what is missing; takes away only what is not protected. */
  setDesiredCapacity(desired: number): void {
    const { minSize, maxSize } = this.settings;
    if (desired > maxSize) {
      throw new GroupRefusal(
        'ValidationError',
        `New SetDesiredCapacity value ${desired} is above max value ${maxSize} for the AutoScalingGroup.`,
      );
    }
    if (desired < minSize) {
      throw new GroupRefusal(
        'ValidationError',
        `New SetDesiredCapacity value ${desired} is below min value ${minSize} for the AutoScalingGroup.`,
      );
    }
    this.desired = desired;
    this.#reconcile();
  }

  /** `ResumeProcesses`: what the group should have launched meanwhile, it launches now. */
  resumeProcesses(names: string[]): void {
    for (const name of names) this.suspendedProcesses.delete(name);
    this.#reconcile();
  }

  /** `PutWarmPool`: launches what is missing, and terminates what is stopped and too much. */
  putWarmPool(size: number): void {
    this.#warmPoolSize = size;
    this.#stock.splice(size);
    this.#refill();
  }

  /** A task was queued: an idle runner, if there is one, finds it with its next request. */
  offerWork(): void {
    const idle = [...this.#idle];
    // Of those that are reused, the one that has waited least: the others idle out the sooner.
    if (this.settings.reuse === 'continuous') idle.reverse();
    for (const instance of idle) {
      if (instance.claiming || instance.deaf) continue;
      this.#askForWork(instance);
      return;
    }
  }

  #askForWork(instance: Instance): void {
    instance.claiming = true;
    this.#agenda.plan(this.#agenda.now + this.settings.durations.idleClaim, () => {
      instance.claiming = false;
      if (this.#idle.has(instance)) this.#claim(instance);
    });
  }

  #reconcile(): void {
    const change = { from: this.#members.size, to: this.desired };
    const suspended = this.suspendedProcesses.has('Launch');
    for (let missing = suspended ? 0 : change.to - change.from; missing > 0; missing -= 1) {
      if (!this.#launch(change)) {
        this.#planRelaunch();
        return;
      }
    }
    this.#refill();
    for (const instance of [...this.#members.values()]) {
      if (this.#members.size <= this.desired) return;
      // A launch not begun is cancelled; a member goes only if nothing protects it.
      if (instance.state !== 'requested' && instance.protectedFromScaleIn) continue;
      // AWS does not say what becomes of the record of a launch that nobody wants any more; it is no failure.
      if (instance.state !== 'InService') this.activities.forget(instance.launch);
      if (instance.state !== 'requested') this.activities.scaleIn(instance.id, change);
      this.#remove(instance);
    }
  }

  /** Asks EC2 for an instance, which is a member from then on; `false` if EC2 refused. */
  #launch(change: CapacityChange): boolean {
    const { durations, launchFault, newInstancesProtectedFromScaleIn } = this.settings;
    const now = this.#agenda.now;
    const onDemand = this.#nextIsOnDemand();
    const happens = launchFault?.(now);
    const fault = happens === 'no-spot' && onDemand ? undefined : happens;
    if (fault === 'refused' || fault === 'no-spot') {
      this.activities.refuse(REFUSALS[fault], change);
      this.#refused += 1;
      this.#happened('-', 'refused');
      return false;
    }
    const stopped = this.#stock.shift();
    const id = stopped ?? this.#newId();
    const warm = stopped !== undefined;
    const instance: Instance = {
      id,
      warm,
      launch: warm ? this.activities.launchWarm(id, change) : this.activities.launch(id, change),
      state: 'requested',
      protectedFromScaleIn: newInstancesProtectedFromScaleIn,
      task: undefined,
      onDemand,
      used: false,
      claiming: false,
      deaf: fault === 'deaf',
    };
    this.#members.set(instance.id, instance);
    this.#happened(instance.id, 'launches');
    this.#agenda.plan(now + durations.request, () => this.#pending(instance, fault));
    return true;
  }

  /** As a mixed instances policy rounds: up, in favour of On-Demand. */
  #nextIsOnDemand(): boolean {
    const { onDemandBase = 0 } = this.settings;
    const onDemand = [...this.#members.values()].filter((member) => member.onDemand).length;
    const above = Math.max(this.#members.size + 1 - onDemandBase, 0);
    return onDemand < onDemandBase + Math.ceil((above * (this.onDemandPercentage ?? 100)) / 100);
  }

  #newId(): string {
    this.#requested += 1;
    return `i-${this.#requested.toString(16).padStart(17, '0')}`;
  }

  /** Launches into the warm pool what it lacks; like any launch, not while the process is suspended. */
  #refill(): void {
    if (this.suspendedProcesses.has('Launch')) return;
    while (this.#stock.length + this.#warming < this.#warmPoolSize) {
      if (!this.#warm()) {
        this.#planRelaunch();
        return;
      }
    }
  }

  /** Asks EC2 for an instance that boots once and is then stopped; `false` if EC2 refused. */
  #warm(): boolean {
    const { durations, launchFault } = this.settings;
    const now = this.#agenda.now;
    const happens = launchFault?.(now);
    // No group with a warm pool asks for Spot capacity.
    const fault = happens === 'no-spot' ? undefined : happens;
    if (fault === 'refused') {
      this.activities.refuseWarm(REFUSALS[fault]);
      this.#refused += 1;
      this.#happened('-', 'refused');
      return false;
    }
    const id = this.#newId();
    const launch = this.activities.warm(id);
    const { seconds, end } = this.#warmUp(fault, launch);
    this.#warming += 1;
    this.#agenda.plan(now + durations.request, () => {
      this.activities.proceed(launch);
      // Paid for in whole as soon as it is pending: whatever else happens, it boots to its end.
      this.#billedSeconds += Math.max(seconds, durations.minimumBilling);
      this.#happened(id, 'warms up');
    });
    this.#agenda.plan(now + durations.request + seconds, () => {
      this.#warming -= 1;
      end();
      if (launch.status === 'Successful' && this.#stock.length < this.#warmPoolSize) this.#stock.push(id);
      this.#happened(id, launch.status === 'Successful' ? 'is warm' : 'leaves');
      this.#refill();
    });
    return true;
  }

  /** How long an instance takes to get warm, or to be known as one that never will. */
  #warmUp(fault: BootFault | undefined, launch: ScalingActivity): { seconds: number; end: () => void } {
    const { boot, warmStop, launchHook } = this.settings.durations;
    switch (fault) {
      case undefined:
      case 'deaf':
        return { seconds: boot + warmStop, end: () => this.activities.end(launch, 'Successful') };
      case 'dead':
        return { seconds: launchHook, end: () => this.activities.abandon(launch, 'Heartbeat Timeout') };
      case 'failing':
        return {
          seconds: boot / 3,
          end: () => this.activities.abandon(launch, 'Lifecycle Action Completed with ABANDON Result'),
        };
      case 'lost':
        return { seconds: boot / 2, end: () => this.activities.end(launch, 'Cancelled', RECLAIMED) };
    }
  }

  #planRelaunch(): void {
    if (this.#relaunchPlanned) return;
    this.#relaunchPlanned = true;
    this.#agenda.plan(this.#agenda.now + this.settings.durations.relaunch, () => {
      this.#relaunchPlanned = false;
      this.#reconcile();
    });
  }

  #pending(instance: Instance, fault: BootFault | undefined): void {
    if (instance.state === 'gone') return;
    const { launchHook, warmBoot } = this.settings.durations;
    const boot = instance.warm ? warmBoot : this.settings.durations.boot;
    this.#launched += 1;
    if (instance.warm) this.#warmLaunched += 1;
    if (!instance.onDemand) this.#spotLaunched += 1;
    instance.state = 'Pending';
    instance.pendingAt = this.#agenda.now;
    this.activities.proceed(instance.launch);
    this.#happened(instance.id, 'pending');
    const after = (seconds: number, happen: () => void) =>
      this.#agenda.plan(this.#agenda.now + seconds, () => {
        if (instance.state !== 'gone') happen();
      });
    switch (fault) {
      case undefined:
      case 'deaf':
        after(boot, () => this.#ready(instance));
        break;
      case 'dead':
        // No sign of life: the launch hook's timeout abandons the instance, and the group launches another.
        after(launchHook, () => {
          this.activities.abandon(instance.launch, 'Heartbeat Timeout');
          this.#replace(instance);
        });
        break;
      case 'failing':
        // As userdata/leave-group.sh: the instance takes itself out of the group, then completes its hook.
        after(boot / 3, () => {
          this.activities.abandon(instance.launch, 'Lifecycle Action Completed with ABANDON Result');
          this.#terminateItself(instance);
        });
        break;
      case 'lost':
        after(boot / 2, () => {
          this.activities.end(instance.launch, 'Cancelled', RECLAIMED);
          this.#replace(instance);
        });
        break;
    }
  }

  #ready(instance: Instance): void {
    instance.state = 'InService';
    instance.readyAt = this.#agenda.now;
    this.activities.end(instance.launch, 'Successful');
    this.#happened(instance.id, 'ready');
    this.#idles(instance);
    this.#claim(instance);
  }

  /** The runner waits for a task, for as long as it may. */
  #idles(instance: Instance): void {
    const { now } = this.#agenda;
    const { idleTimeout, idleSpread } = this.settings.durations;
    const less = spreadOf(Number.parseInt(instance.id.slice(2), 16), idleSpread);
    this.#idle.add(instance);
    instance.idleSince = now;
    this.#agenda.plan(now + idleTimeout - less, () => {
      if (!this.#idle.has(instance) || instance.idleSince !== now) return;
      this.#happened(instance.id, 'idles out');
      this.#exit(instance);
    });
  }

  #claim(instance: Instance): void {
    if (instance.deaf) return;
    const task = this.#queue.claim(this.#agenda.now);
    if (task === undefined) return;
    this.#idle.delete(instance);
    instance.task = task;
    instance.used = true;
    this.#happened(instance.id, 'claims');
    this.#agenda.plan(this.#agenda.now + task.durationSeconds, () => {
      if (instance.state === 'gone') return;
      instance.task = undefined;
      this.#queue.end(task, this.#agenda.now, 'done');
      this.#happened(instance.id, 'finishes');
      if (this.settings.reuse !== 'continuous') {
        this.#exit(instance);
        return;
      }
      this.#idles(instance);
      if (this.#queue.unclaimed > 0) this.#askForWork(instance);
    });
  }

  /** The runner is done: after a moment the instance terminates itself and lowers the desired capacity. */
  #exit(instance: Instance): void {
    this.#idle.delete(instance);
    if (instance.claiming) this.offerWork();
    this.#agenda.plan(this.#agenda.now + this.settings.durations.leave, () => {
      if (instance.state !== 'gone') this.#terminateItself(instance);
    });
  }

  /** At the minimum the instance may not lower the desired capacity, and the group replaces it. */
  #terminateItself(instance: Instance): void {
    const { desired } = this;
    const lowers = desired > this.settings.minSize;
    this.activities.leave(instance.id, lowers ? { from: desired, to: desired - 1 } : undefined);
    if (lowers) this.desired -= 1;
    this.#replace(instance);
  }

  /** Removes an instance; the group launches another if the desired capacity still asks for it. */
  #replace(instance: Instance): void {
    this.#remove(instance);
    this.#reconcile();
  }

  #remove(instance: Instance): void {
    const now = this.#agenda.now;
    if (instance.task !== undefined) {
      this.#queue.end(instance.task, now, 'killed');
      this.#happened(instance.id, 'killed');
    }
    this.#billedSeconds += this.#billed(instance, now);
    // A launch not begun leaves its instance where it was.
    if (instance.state === 'requested' && instance.warm && this.#stock.length < this.#warmPoolSize)
      this.#stock.unshift(instance.id);
    if (instance.state !== 'requested' && !instance.used) this.#ghosts += 1;
    instance.state = 'gone';
    instance.leftAt = now;
    this.#left.push(instance);
    while ((this.#left[0]?.leftAt ?? now) < now - REMEMBERED_SECONDS) this.#left.shift();
    this.#idle.delete(instance);
    this.#members.delete(instance.id);
    if (instance.claiming) this.offerWork();
    this.#happened(instance.id, 'leaves');
  }

  #billed(instance: Instance, until: number): number {
    if (instance.pendingAt === undefined) return 0;
    return Math.max(until - instance.pendingAt, this.settings.durations.minimumBilling);
  }

  #happened(instanceId: string, happening: Happening): void {
    this.settings.watch?.(this.#agenda.now, instanceId, happening);
  }
}
