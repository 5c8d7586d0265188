import type { Members } from '../functions/lib/capacity.ts';
import type { Agenda } from '../sandbox/agenda.ts';
import { type Faults, LaunchFaults } from './faults.ts';
import { type Instance, newInstance } from './instance.ts';
import { LaunchLog } from './launch-log.ts';
import type { Policy } from './policy.ts';
import type { World } from './world.ts';

/** Whoever runs the group's runners. */
export interface Runners {
  /** Its runner is up. */
  ready(instance: Instance): void;
  /** It is taken away, with the job that it runs. */
  lost(instance: Instance): void;
  /** An instance whose boot failed is gone. */
  failed(): void;
  /** An instance has left, so that there may be room for one that was not allowed before. */
  left(): void;
}

/** What a group comes to; counts, and seconds of instances. */
export interface GroupTotals {
  /** Seconds paid for, those included that were made for the warm pool. */
  billedSeconds: number;
  /** How many of them were paid for as Spot. */
  spotSeconds: number;
  /** Seconds for which instances stood by in the warm pool, stopped: only their volumes are paid for. */
  stoppedSeconds: number;
  launches: number;
  /** Launches for which the warm pool had an instance. */
  warmLaunches: number;
  /** Launches into the warm pool. */
  poolLaunches: number;
  /** Launches of instances that left without ever claiming a job. */
  ghostLaunches: number;
  /** Launches that EC2 refused. */
  refusedLaunches: number;
  failedBoots: number;
  /** Instances that EC2 took back. */
  interruptions: number;
  /** The most instances that were paid for at once, without those of the warm pool. */
  peakInstances: number;
}

/** A group of instances in the replayed world: it launches what is asked for, and loses what leaves. */
export class Group {
  readonly log: LaunchLog;
  readonly totals: GroupTotals = {
    billedSeconds: 0,
    spotSeconds: 0,
    stoppedSeconds: 0,
    launches: 0,
    warmLaunches: 0,
    poolLaunches: 0,
    ghostLaunches: 0,
    refusedLaunches: 0,
    failedBoots: 0,
    interruptions: 0,
    peakInstances: 0,
  };
  desired = 0;
  /** Whether nothing launches, whatever is desired. */
  suspended = false;
  /** Of the instances beyond the On-Demand base. */
  onDemandPercentage: number;
  readonly #policy: Policy;
  readonly #world: World;
  readonly #agenda: Agenda;
  readonly #runners: Runners;
  readonly #faults: LaunchFaults;
  /** In the order of their launch. */
  readonly #members = new Set<Instance>();
  #onDemandMembers = 0;
  #numbered = 0;
  #pending = 0;
  #requested = 0;
  #alive = 0;
  /** Instances that have stopped, on which the group has not acted yet. */
  #unnoticed = 0;
  #poolSize: number;
  #stock: number;
  #warming = 0;
  #stockSince = 0;
  #relaunchPlanned = false;

  constructor(policy: Policy, world: World, faults: Faults, agenda: Agenda, runners: Runners) {
    this.#policy = policy;
    this.#world = world;
    this.#agenda = agenda;
    this.#runners = runners;
    this.#faults = new LaunchFaults(faults);
    this.#poolSize = policy.warmPool;
    this.#stock = policy.warmPool;
    this.#numbered = policy.warmPool;
    this.onDemandPercentage = policy.onDemand.percentage;
    this.log = new LaunchLog(world.startsAt);
  }

  get members(): Members {
    return {
      pending: this.#pending,
      inService: this.#members.size - this.#pending - this.#requested,
      leaving: 0,
      standby: 0,
    };
  }

  /** Instances that are paid for. */
  get alive(): number {
    return this.#alive;
  }

  /** Instances, and launches and replacements that are still to come. */
  get left(): number {
    return this.#alive + this.#requested + this.#unnoticed;
  }

  get warmPoolSize(): number {
    return this.#poolSize;
  }

  set warmPoolSize(size: number) {
    this.#poolSize = size;
    this.#stocked(Math.min(this.#stock, size));
    this.#refill();
  }

  /** Launches what is missing, and takes away what is too much and may go. */
  reconcile(): void {
    while (!this.suspended && this.#members.size < this.desired) {
      if (this.#launch()) continue;
      this.#planRelaunch();
      return;
    }
    this.#refill();
    const { protectedFromScaleIn } = this.#policy;
    if (this.#members.size <= this.desired || (protectedFromScaleIn && this.#requested === 0)) return;
    for (const instance of [...this.#members]) {
      if (this.#members.size <= this.desired) return;
      if (instance.pendingAt === Number.POSITIVE_INFINITY) this.#cancel(instance);
      else if (!protectedFromScaleIn) this.#takeAway(instance);
    }
  }

  /** The runner has exited; a moment later its instance is gone. */
  exit(instance: Instance): void {
    if (this.#policy.leaving === 'detaches') this.#lower(instance);
    this.#agenda.plan(this.#agenda.now + this.#world.leave, () => {
      if (instance.gone) return;
      this.#disappear(instance);
      if (this.#policy.leaving === 'decrements') this.#lower(instance);
      if (this.#policy.leaving === 'stops') this.#stopped(instance);
    });
  }

  /** Ends the bills: nothing is paid for beyond now. */
  close(): void {
    const { now } = this.#agenda;
    this.#stocked(this.#stock);
    for (const instance of this.#members) {
      if (instance.pendingAt <= now && !instance.gone) this.#bill(instance, now);
    }
  }

  // Coming.

  /** Asks EC2 for an instance; `false` if EC2 has none. */
  #launch(): boolean {
    const { request, boot, warmBoot } = this.#world;
    const { now } = this.#agenda;
    const onDemand = this.#nextIsOnDemand();
    if (this.#refused(onDemand, 'launch')) return false;
    const warm = this.#stock > 0;
    if (warm) this.#stocked(this.#stock - 1);
    const instance = newInstance({
      number: ++this.#numbered,
      requestedAt: now,
      warm,
      onDemand,
      foreign: false,
      launch: this.log.begin(warm ? 'warm launch' : 'launch', now),
    });
    this.#members.add(instance);
    if (onDemand) this.#onDemandMembers += 1;
    this.#requested += 1;
    const fails = this.#faults.bootFails(now);
    this.#agenda.plan(now + request, () => {
      if (!instance.gone) this.#becomePending(instance);
    });
    const seconds = warm ? warmBoot : boot;
    this.#agenda.plan(now + request + (fails ? seconds * FAILED_BOOT : seconds), () => {
      if (instance.gone) return;
      if (fails) this.#failBoot(instance);
      else this.#becomeReady(instance);
    });
    return true;
  }

  /** As a mixed instances policy rounds: up, in favour of On-Demand. */
  #nextIsOnDemand(): boolean {
    const { base } = this.#policy.onDemand;
    const above = Math.max(this.#members.size + 1 - base, 0);
    return this.#onDemandMembers < base + Math.ceil((above * this.onDemandPercentage) / 100);
  }

  #refused(onDemand: boolean, of: 'launch' | 'into the warm pool'): boolean {
    const { now } = this.#agenda;
    const shortage = this.#faults.shortage(now, onDemand);
    if (shortage === undefined) return false;
    const why = { kind: 'shortage', spot: shortage === 'spot' } as const;
    this.log.end(this.log.begin(of, now), now, 'failed', why);
    this.totals.refusedLaunches += 1;
    return true;
  }

  #planRelaunch(): void {
    if (this.#relaunchPlanned) return;
    this.#relaunchPlanned = true;
    this.#agenda.plan(this.#agenda.now + this.#world.relaunch, () => {
      this.#relaunchPlanned = false;
      this.reconcile();
    });
  }

  /** Another instance boots once for the warm pool, is stopped, and joins the stock. */
  #refill(): void {
    const { request, boot, warmStop, minimumBilling } = this.#world;
    while (!this.suspended && this.#stock + this.#warming < this.#poolSize) {
      const { now } = this.#agenda;
      if (this.#refused(true, 'into the warm pool')) {
        this.#planRelaunch();
        return;
      }
      const launch = this.log.begin('into the warm pool', now);
      const fails = this.#faults.bootFails(now);
      const seconds = fails ? boot * FAILED_BOOT : boot + warmStop;
      this.totals.billedSeconds += Math.max(seconds, minimumBilling);
      this.totals.poolLaunches += 1;
      this.#numbered += 1;
      this.#warming += 1;
      this.#agenda.plan(now + request + seconds, () => {
        this.#warming -= 1;
        if (fails) {
          this.totals.failedBoots += 1;
          this.log.end(launch, this.#agenda.now, 'failed', { kind: 'boot' });
        } else {
          this.log.end(launch, this.#agenda.now, 'succeeded');
          this.#stocked(Math.min(this.#stock + 1, this.#poolSize));
        }
        this.#refill();
      });
    }
  }

  /** The stock changes; until now it stood by as it was. */
  #stocked(stock: number): void {
    const { now } = this.#agenda;
    this.totals.stoppedSeconds += this.#stock * (now - this.#stockSince);
    this.#stockSince = now;
    this.#stock = stock;
  }

  #becomePending(instance: Instance): void {
    const { now } = this.#agenda;
    instance.pendingAt = now;
    this.#requested -= 1;
    this.#pending += 1;
    this.#alive += 1;
    this.totals.launches += 1;
    if (instance.warm) this.totals.warmLaunches += 1;
    this.totals.peakInstances = Math.max(this.totals.peakInstances, this.#alive);
    const takenBackAfter = instance.onDemand ? Number.POSITIVE_INFINITY : this.#faults.takenBackAfter();
    if (takenBackAfter === Number.POSITIVE_INFINITY) return;
    this.#agenda.plan(now + takenBackAfter, () => {
      if (!instance.gone) this.#takeBack(instance);
    });
  }

  #becomeReady(instance: Instance): void {
    const { now } = this.#agenda;
    this.#pending -= 1;
    this.#endLaunch(instance, 'succeeded');
    instance.booted = true;
    instance.freeAt = now;
    this.#runners.ready(instance);
  }

  /** A boot gives up: the instance leaves by itself, or stands there until somebody finds it. */
  #failBoot(instance: Instance): void {
    this.#pending -= 1;
    instance.booted = true;
    this.totals.failedBoots += 1;
    this.#endLaunch(instance, 'failed');
    const leave = () => {
      if (instance.gone) return;
      this.#disappear(instance);
      this.#runners.failed();
      this.#lower(instance);
    };
    if (this.#policy.failedBoot === 'leaves') leave();
    else this.#agenda.plan(this.#agenda.now + this.#world.tidyUp, leave);
  }

  #endLaunch({ launch }: Instance, outcome: 'succeeded' | 'failed'): void {
    if (launch?.outcome !== 'underway') return;
    this.log.end(launch, this.#agenda.now, outcome, outcome === 'failed' ? { kind: 'boot' } : {});
  }

  // Leaving.

  /** An instance leaves the group and lowers the desired capacity. */
  #lower(instance: Instance): void {
    this.#drop(instance);
    this.desired = Math.max(this.desired - 1, 0);
    this.reconcile();
    this.#runners.left();
  }

  /** It does not count any more; but unless the scaler writes before, the group acts on that only later. */
  #stopped(instance: Instance): void {
    this.#drop(instance);
    this.#unnoticed += 1;
    this.#agenda.plan(this.#agenda.now + this.#world.notice, () => {
      this.#unnoticed -= 1;
      this.reconcile();
    });
  }

  /** Desired capacity has fallen, and a launch that has not begun is not needed any more. */
  #cancel(instance: Instance): void {
    this.#drop(instance);
    this.#requested -= 1;
    instance.gone = true;
    if (instance.launch !== undefined) this.log.forget(instance.launch);
    if (instance.warm) this.#stocked(Math.min(this.#stock + 1, this.#poolSize));
  }

  /** Desired capacity has fallen, and nothing protects the instance. */
  #takeAway(instance: Instance): void {
    this.#drop(instance);
    if (instance.gone) return;
    if (!instance.booted) this.#pending -= 1;
    this.#disappear(instance);
    this.#runners.lost(instance);
  }

  /** EC2 takes a Spot instance back, and the group replaces it if it is still desired. */
  #takeBack(instance: Instance): void {
    this.totals.interruptions += 1;
    if (!instance.booted) this.#pending -= 1;
    this.#endLaunch(instance, 'failed');
    this.#drop(instance);
    this.#disappear(instance);
    this.#runners.lost(instance);
    this.reconcile();
  }

  #drop(instance: Instance): void {
    if (this.#members.delete(instance) && instance.onDemand) this.#onDemandMembers -= 1;
  }

  #disappear(instance: Instance): void {
    const { now } = this.#agenda;
    instance.gone = true;
    this.#alive -= 1;
    this.log.end(this.log.begin('termination', now), now, 'succeeded');
    this.#bill(instance, now);
    if (!instance.used) this.totals.ghostLaunches += 1;
  }

  #bill(instance: Instance, until: number): void {
    const seconds = Math.max(until - instance.pendingAt, this.#world.minimumBilling);
    this.totals.billedSeconds += seconds;
    if (!instance.onDemand) this.totals.spotSeconds += seconds;
  }
}

/** After which part of its time a boot that fails has failed. */
const FAILED_BOOT = 1 / 3;
