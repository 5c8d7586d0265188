import type { Agenda } from './agenda.ts';
import type { ScalingActivities } from './group/activities.ts';
import { DURATIONS, type Durations } from './group/durations.ts';
import type { EventKind } from './group/events.ts';
import { isOfSpot, type LaunchFault } from './group/faults.ts';
import { GroupModel } from './group/group.ts';
import { GroupHistory, type GroupView } from './group/history.ts';
import type { Instance } from './group/instance.ts';
import { ConnectedRunners } from './group/inventory.ts';
import { leavesAfter } from './group/runners.ts';
import { type GroupTotals, Totals } from './group/totals.ts';
import type { TaskQueue } from './task-queue.ts';

/** How many tasks a runner takes: one, or one after the other until it has been idle for `idleTimeout`. */
export type Reuse = 'single-task' | 'continuous';

/** Events that say nothing of an instance, or the reason of what another event says. */
type Unshown = 'queued' | 'stock' | 'desired' | 'lowers' | 'ends' | 'boot fails' | 'taken back';

/** What happens to a group's instances, as the sandbox shows it. */
export type ShownEventKind = Exclude<EventKind, Unshown>;

const UNSHOWN: Record<Unshown, true> = {
  queued: true,
  stock: true,
  desired: true,
  lowers: true,
  ends: true,
  'boot fails': true,
  'taken back': true,
};

const isShown = (kind: EventKind): kind is ShownEventKind => !(kind in UNSHOWN);

/** Raised for a call that the group refuses; `code` is the API's own. */
export class GroupRefusal extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export interface AutoScalingGroupSettings {
  name: string;
  minSize: number;
  maxSize: number;
  durations: Partial<Durations>;
  /** What second 0 of the agenda is, in milliseconds since the epoch; activities carry dates. Default: 0. */
  startsAt?: number;
  /** For how long it has been there, without a scaling activity. Default: a day. */
  ageSeconds?: number | undefined;
  /** May change at any time; it counts for the launches after that. */
  newInstancesProtectedFromScaleIn: boolean;
  /** Percentage of On-Demand beyond the base. Default: no mixed instances policy, and all instances are On-Demand. */
  onDemandPercentage?: number;
  /** How many instances are On-Demand before the percentage counts. Default: 0. */
  onDemandBase?: number;
  /** Default: `single-task`. */
  reuse?: Reuse;
  /** Whether CircleCI runs a task again if its instance is taken away. Default: the task ends there. */
  retries?: boolean;
  /** How many stopped instances the warm pool holds, from the start on. Default: no warm pool. */
  warmPoolSize?: number;
  /** Called for each launch, also for one into the warm pool. Default: nothing goes wrong. */
  launchFault?: (now: number, onDemand: boolean) => LaunchFault | undefined;
  /** Called once for each Spot instance: after how many seconds EC2 takes it back. Default: never. */
  interruptedAfter?: () => number;
  /** Called for everything that happens to an instance. */
  watch?: (now: number, instanceId: string, kind: ShownEventKind) => void;
}

/** In seconds. */
const DAY = 86_400;

/** Why a process is suspended, if somebody called SuspendProcesses, and if AWS did it. AWS documents no text for its own. */
const BY_USER = 'User suspended at 2026-01-05T08:00:00Z';
export const BY_AWS = 'Administratively suspended: launches have failed for 24 hours';

/** The API of an embedded Auto Scaling group, as the functions call it, over the model in group/. */
export class AutoScalingGroup {
  readonly settings: AutoScalingGroupSettings;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly tags = new Map<string, string>();
  /** What AWS says of why a process is suspended. */
  suspensionReason = BY_USER;
  readonly #group: GroupModel;
  readonly #agenda: Agenda;
  readonly #queue: TaskQueue;
  readonly #totals: Totals;
  readonly #history = new GroupHistory();
  readonly #inventory = new ConnectedRunners();
  /** Whether it has a mixed instances policy. */
  #mixed: boolean;

  constructor(settings: AutoScalingGroupSettings, agenda: Agenda, queue: TaskQueue) {
    const durations = { ...DURATIONS, ...settings.durations };
    const { onDemandPercentage, onDemandBase = 0, warmPoolSize = 0, minSize } = settings;
    this.settings = settings;
    this.createdAt = (settings.startsAt ?? 0) + (agenda.now - (settings.ageSeconds ?? DAY)) * 1_000;
    this.#agenda = agenda;
    this.#queue = queue;
    this.#mixed = onDemandPercentage !== undefined;
    this.#totals = new Totals(durations.minimumBilling);
    this.#group = new GroupModel(
      {
        durations,
        startsAt: settings.startsAt ?? 0,
        minSize,
        get protectedFromScaleIn() {
          return settings.newInstancesProtectedFromScaleIn;
        },
        onDemand: { base: onDemandBase, percentage: onDemandPercentage ?? 100 },
        leaving: 'decrements',
        failedBoot: 'leaves',
        warmPool: warmPoolSize,
        reuse: settings.reuse === 'continuous',
        retries: settings.retries ?? false,
        leavesAt: leavesAfter(durations.idleTimeout, durations.idleSpread),
        launchFault: (now, onDemand) => {
          const fault = settings.launchFault?.(now, onDemand);
          return isOfSpot(fault) && onDemand ? undefined : fault;
        },
        interruptedAfter: () => settings.interruptedAfter?.() ?? Number.POSITIVE_INFINITY,
      },
      agenda,
      queue,
      (kind, at, instance, value) => {
        this.#totals.add(kind, at, instance, value);
        this.#history.add(kind, at, instance, value);
        this.#inventory.add(kind, at, instance);
        if (isShown(kind)) settings.watch?.(at, instance?.id ?? '-', kind);
      },
    );
    this.#history.add('desired', agenda.now, undefined, minSize);
    this.desired = minSize;
    this.#group.reconcile();
  }

  get activities(): ScalingActivities {
    return this.#group.activities;
  }

  /** The runners that CircleCI lists. Times are seconds on the agenda's scale. */
  get runners(): ReturnType<ConnectedRunners['at']> {
    return this.#inventory.at(this.#agenda.now);
  }

  /** Instances that the group lists: those that are terminating or in standby, then others in the order of their launch. */
  get instances(): Instance[] {
    return [...this.#billed].filter(
      ({ state, detachedAt }) => state !== 'requested' && detachedAt > this.#agenda.now,
    );
  }

  get #billed(): Instance[] {
    return [...this.#group.outside.all, ...this.#group.members];
  }

  /** Instances that are not gone, and pending launches. */
  get left(): number {
    return this.#group.left;
  }

  get size(): number {
    return this.#group.size;
  }

  get desired(): number {
    return this.#group.desired;
  }

  /** Sets the desired capacity, whatever the limits; the group acts on it with the next thing that it does. */
  set desired(desired: number) {
    this.#group.desired = desired;
  }

  /** Names of processes that are suspended. Of these, only `Launch` makes a difference here. */
  get suspendedProcesses(): Set<string> {
    return this.#group.suspendedProcesses;
  }

  /** What `UpdateAutoScalingGroup` changes; `undefined` without a mixed instances policy. */
  get onDemandPercentage(): number | undefined {
    return this.#mixed ? this.#group.onDemandPercentage : undefined;
  }

  set onDemandPercentage(percentage: number) {
    this.#mixed = true;
    this.#group.onDemandPercentage = percentage;
  }

  /** The group as it was that many seconds ago, at most `REMEMBERED_SECONDS`. */
  viewed(secondsAgo: number): GroupView {
    if (secondsAgo === 0) return this;
    return this.#history.at(this.#agenda.now - secondsAgo, this.#billed);
  }

  /** The warm pool: how many instances it is to hold, are stopped in it, and are on their way into it. */
  get warmPool(): { size: number; stopped: number; warming: number } | undefined {
    if (this.settings.warmPoolSize === undefined) return undefined;
    const { size, stopped, warming } = this.#group.warmPool;
    return { size, stopped, warming };
  }

  /** Totals so far. A launch counts once it is pending; the bill is as if all instances left now. */
  get totals(): GroupTotals {
    return this.#totals.at(this.#agenda.now, this.#billed);
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
    this.#group.reconcile();
  }

  /** `SuspendProcesses`, or what AWS does itself. */
  suspendProcesses(names: string[], reason = BY_USER): void {
    for (const name of names) this.suspendedProcesses.add(name);
    this.suspensionReason = reason;
  }

  /** `ResumeProcesses`: what the group should have launched meanwhile, it launches now. */
  resumeProcesses(names: string[]): void {
    for (const name of names) this.suspendedProcesses.delete(name);
    this.#group.reconcile();
  }

  /** `EnterStandby`, or `DetachInstances`. The runner of the instance goes on. */
  takeOut(instance: Instance, to: 'standby' | 'detached', decrement: boolean): void {
    this.#group.takeOut(instance, to, decrement);
  }

  /** `PutWarmPool`: launches what is missing, and terminates what is stopped and too much. */
  putWarmPool(size: number): void {
    this.#group.warmPool.resize(size);
  }

  /** `SetInstanceProtection`: whether a fall of the desired capacity may take an instance away. */
  setInstanceProtection(instance: Instance, isProtected: boolean): void {
    this.#group.protect(instance, isProtected);
  }

  /** The last task of the queue was added: an idle runner, if there is one, finds it with its next request. */
  offerWork(): void {
    this.#group.runners.queued(this.#queue.queued - 1);
  }

  /** CircleCI hands out tasks again, and idle runners find them with their next requests. */
  offerAll(): void {
    this.#group.runners.offerAll();
  }

  /** `UpdateAutoScalingGroup` with another maximum size: a larger desired capacity falls to it. */
  setMaximumSize(size: number): void {
    this.settings.maxSize = size;
    if (this.desired > size) this.setDesiredCapacity(size);
  }

  /** Adds runners of the class that are outside the group, take one task after the other, and never leave. */
  addForeignRunners(count: number): void {
    this.#group.runners.addForeign(count);
    this.offerAll();
  }

  /** Takes the runners outside the group away. Those that run a task end it first. */
  dismissForeignRunners(): void {
    this.#group.runners.dismissForeign();
  }
}
