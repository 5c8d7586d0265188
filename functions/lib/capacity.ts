/**
 * The decision: how many instances a fleet's Auto Scaling group should have. Pure: plain values in, plain
 * values out; no clock, no environment, no client.
 */

import type { TaskLevels } from './concurrency.ts';
import type { CapacitySettings } from './contracts.ts';
import { keptRunners, type LearnedSpares } from './kept-runners.ts';
import type { TasksOutside } from './outside.ts';
import { largestMaximum } from './schedules.ts';
import type { Withheld } from './withheld.ts';

/** The members of an Auto Scaling group, counted by what their lifecycle state means for capacity. */
export interface Members {
  /** Launching: `Pending`, `Pending:Wait`, `Pending:Proceed`. */
  pending: number;
  /** `InService`: a runner that is idle, busy, or just about to leave; only the instance knows which. */
  inService: number;
  /** On their way out (`Terminating*`, `Terminated`, `Detaching`, `Detached`): no capacity any more. */
  leaving: number;
  /** `Standby`, `EnteringStandby`: taken out of service by a person; they do not count as capacity. */
  standby: number;
}

/** The group's `Launch` process: https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html */
export interface LaunchProcess {
  /** Whether it is suspended, by whomever, so that the group launches nothing. */
  suspended: boolean;
  /** Whether the workflow is on record as the one who suspended it: for the breaker, or for a drain. */
  byBreaker: boolean;
  /** Whether the record says that the workflow suspended it because the fleet drains, and not for the breaker. */
  forDrain?: true | undefined;
  /** Whether AWS itself suspended it, as it may after a day of failed launches. */
  byAws?: boolean | undefined;
}

/** What is asked for, what is there, and between which bounds the answer must lie. All counts are whole and at least 0. */
export interface Situation {
  /** Tasks queued at CircleCI that a runner could claim now. */
  unclaimed: number;
  /** Tasks running now on any runner of the resource class. */
  running: number;
  /** Current desired capacity of the group. */
  desired: number;
  members: Members;
  /** Runners without a task that are kept at any time; busy ones do not use them up. */
  minReplicas: number;
  maxReplicas: number;
  /** How many instances `maxHourlyCost` allows; without it, any number. */
  affordable?: number | undefined;
  /** How many runners of the class are outside the group, as the fleet's owner knows; without it, none. */
  otherRunners?: number | undefined;
  /** The maximum size of the group, which is at least `maxReplicas`, or `affordable` if that is less, unless somebody lowered it. Without it, no limit. */
  maxSize?: number | undefined;
  /**
   * Runners without a task that are kept while there are tasks: a number, or a share of the tasks such as `20%`,
   * rounded up. Without it, none. Where `minReplicas` is more, that counts.
   */
  headroom?: number | string | undefined;
  /** What `spareRunners: auto` keeps now, with tasks or without. Where another setting is more, that counts. */
  spares?: LearnedSpares | undefined;
  /** How many of the running tasks are known to run on no member in service; see outside.ts. Without it, none. */
  outside?: number | undefined;
  /** How many launches beyond the members one decision may ask for, at least 1; without it, any number. */
  maxSurge?: number | undefined;
  /** How many launches beyond the members that are pending or in service the breaker allows; without it, any number. */
  launchLimit?: number | undefined;
  /** The same while runners are idle although tasks wait; see withheld.ts. */
  withheldLimit?: number | undefined;
  /** How many tasks of the fleet the plan's concurrency lets run; without it, any number. See concurrency.ts. */
  concurrency?: number | undefined;
  launchProcess: LaunchProcess;
  /** Whether a fall of the desired capacity may take a member away, because somebody switched its protection off. */
  unprotected?: boolean | undefined;
  /** Whether a person wants the capacity held (`true`), or nothing launched (`drain`). */
  paused?: 'false' | 'true' | 'drain' | undefined;
}

/** The most instances that a decision ever launches, at any time of the fleet's schedules. */
export function mostLaunches(
  settings: Pick<CapacitySettings, 'maxReplicas' | 'maxSurge' | 'schedules' | 'affordable'>,
): number {
  const surges = [settings, ...(settings.schedules ?? [])].map(
    ({ maxSurge = settings.maxSurge }) => maxSurge ?? Number.POSITIVE_INFINITY,
  );
  return Math.min(largestMaximum(settings), Math.max(...surges));
}

export interface Decision {
  /** The desired capacity that the group had when it was decided. */
  from: number;
  /** The desired capacity that the group should have. */
  desired: number;
  /** Whether there is anything to write: another desired capacity, or one of those below. */
  change: boolean;
  /** What is to become of the group's `Launch` process; without it, nothing. */
  launchProcess?: 'suspend' | 'resume' | undefined;
  /** Whether the process is suspended because the fleet drains, while the breaker is closed. */
  forDrain?: true | undefined;
  /** What the group's On-Demand percentage is to become (see spot.ts); without it, it stays. */
  onDemandPercentage?: number | undefined;
  /** How many instances the warm pool is to hold; without it, as many as it does. */
  warmPoolSize?: number | undefined;
  /** What is to be on record of tasks that are not handed out (see withheld.ts): `null` for nothing; without it, the same. */
  withheld?: Withheld | null | undefined;
  /** What is to be on record of tasks that run outside (see outside.ts): `null` for nothing; without it, the same. */
  tasksOutside?: TasksOutside | null | undefined;
  /** What the other fleets of the plan are to read of this one; without it, what they read already. */
  levels?: TaskLevels | undefined;
  /** Why, in the order in which the rules were applied. */
  reasons: string[];
}

/**
 * `min(unclaimed + running + spare, maxReplicas, affordable)`, where the spare runners are those without a task: `minReplicas`,
 * or `headroom` if that is more and there are tasks, or what `spareRunners` has learned. With two restrictions on the way down, because an instance
 * leaves by itself and lowers the desired capacity itself:
 *
 * - desired capacity never falls below the members that are pending or in service: any of them may hold a task;
 * - so the only thing a fall can do is cancel launches that have not happened yet.
 *
 * A running task needs no instance if it has a runner elsewhere: outside the group, on a member in standby, or on one that
 * leaves and that CircleCI still counts. So the way up counts no more running tasks than members in service, less those
 * that are known to run outside: members that are pending are for other tasks. While tasks wait, each member in service
 * may have a task all the same. A member in standby takes the place of a spare runner.
 *
 * The way up never goes above `maxReplicas` or what `maxHourlyCost` allows, and is neither delayed nor damped but by what is there to limit
 * launches: an open breaker, and `maxSurge`. `maxSurge` limits what a decision asks for in addition: it takes
 * nothing back that was asked for before.
 */
export function decideCapacity(situation: Omit<Situation, 'launchProcess'>): Decision {
  const { unclaimed, running, desired, members } = situation;
  const { maxSurge = Number.POSITIVE_INFINITY, launchLimit = Number.POSITIVE_INFINITY } = situation;
  const { withheldLimit = Number.POSITIVE_INFINITY } = situation;
  const tasks = unclaimed + running;
  const reasons = [`${unclaimed} unclaimed + ${running} running = ${tasks} wanted`];
  const present = presentIn(members);
  const claimable = claimableTasks(situation);
  if (claimable < tasks) {
    reasons.push(
      `held at ${claimable}: ${tasks - claimable} tasks are beyond the plan's concurrency, which leaves ${situation.concurrency} to this fleet`,
    );
  }
  const { spare, kept } = keptRunners(situation);
  const wanted = claimable + spare;
  if (spare > 0) reasons.push(`raised to ${wanted}: ${spare} without a task (${kept})`);

  const limit = largestSize(situation);
  const { allowed, by } = allowedSize(situation);
  let target = Math.min(wanted, limit);
  if (target < wanted) {
    reasons.push(
      limit < allowed
        ? `capped at ${limit}: the group's maximum size is below ${by} (${allowed})`
        : `capped at ${by} (${allowed})`,
    );
  }
  if (target > present + launchLimit) {
    target = present + launchLimit;
    reasons.push(
      launchLimit === 0
        ? `held at ${target}: the breaker is open and lets nothing launch`
        : `held at ${target}: the breaker is open and lets one canary launch`,
    );
  }
  if (target > present + withheldLimit) {
    target = present + withheldLimit;
    reasons.push(
      `held at ${target}: CircleCI hands out no more tasks, so at most ${withheldLimit} may launch`,
    );
  }
  if (target > Math.max(present + maxSurge, desired)) {
    target = Math.max(present + maxSurge, desired);
    reasons.push(`held at ${target}: at most ${maxSurge} may launch at once (maxSurge)`);
  }

  const elsewhere = Math.max(running - members.inService, situation.outside ?? 0);
  // A member in standby runs one of the tasks, or takes the next one. Then an idle member in service is not missing.
  const standby = Math.max(Math.min(members.standby, spare + elsewhere) - elsewhere, 0);
  // That tasks are still outside may be wrong. Then all members in service run tasks, and those that wait need others.
  const surely = Math.min(wanted - Math.min(members.standby, spare), claimable - running + members.inService);
  const needed = Math.max(wanted - elsewhere - standby, surely, desired);
  if (target > needed) {
    target = needed;
    reasons.push(
      elsewhere > 0
        ? `held at ${target}: ${elsewhere} running tasks are on runners outside the group`
        : `held at ${target}: ${standby} in standby run tasks or take the next ones`,
    );
  }

  if (target > desired) {
    reasons.push(`desired capacity rises from ${desired} to ${target}`);
    return { from: desired, desired: target, change: true, reasons };
  }
  if (target === desired) {
    reasons.push(`desired capacity is ${desired} already`);
    return { from: desired, desired, change: false, reasons };
  }

  const lowest = Math.min(Math.max(target, present), desired);
  // Members in service that take none of the waiting tasks have probably ended theirs. Each lowers the desired capacity as
  // it leaves. If the group is described as it was some seconds ago, they have left, and this fall would be a rise.
  const cancelled = desired - lowest;
  const idle = members.inService - running;
  const allows = desired <= Math.min(limit, present + Math.min(launchLimit, withheldLimit));
  if (lowest > target && cancelled > 0 && cancelled < idle && cancelled <= claimable - running && allows) {
    reasons.push(`held at ${desired}: ${idle} in service take none of the waiting tasks and may be leaving`);
    return { from: desired, desired, change: false, reasons };
  }
  if (situation.unprotected && lowest < desired) return heldUnprotected(desired, reasons);
  if (lowest > target)
    reasons.push(`held at ${lowest}: ${present} pending or in service leave by themselves`);
  if (lowest === desired) return { from: desired, desired, change: false, reasons };
  reasons.push(`desired capacity falls from ${desired} to ${lowest}: launches not begun are cancelled`);
  return { from: desired, desired: lowest, change: true, reasons };
}

/** The most members that the fleet's settings allow, and by which setting. */
const allowedSize = ({
  maxReplicas,
  affordable = Number.POSITIVE_INFINITY,
}: Pick<Situation, 'maxReplicas' | 'affordable'>) =>
  affordable < maxReplicas
    ? { allowed: affordable, by: 'what maxHourlyCost allows' }
    : { allowed: maxReplicas, by: 'maxReplicas' };

/** The most members that the fleet and its group allow. */
export const largestSize = (situation: Pick<Situation, 'maxReplicas' | 'affordable' | 'maxSize'>) =>
  Math.min(allowedSize(situation).allowed, situation.maxSize ?? Number.POSITIVE_INFINITY);

/** Whether the group's maximum size, and not the fleet's settings, keeps instances from tasks. */
export const isHeldByMaximumSize = (situation: Situation) =>
  claimableTasks(situation) > largestSize(situation) &&
  largestSize(situation) < allowedSize(situation).allowed;

/** Whether `maxHourlyCost`, and nothing else, keeps instances from tasks. */
export const isHeldByCost = (situation: Situation) =>
  largestSize(situation) < situation.maxReplicas &&
  largestSize(situation) === situation.affordable &&
  claimableTasks(situation) > largestSize(situation);

/** What is left to decide of a fleet that launches nothing: launches that have not begun are cancelled. */
export function drainCapacity(
  { desired, members, unprotected }: Pick<Situation, 'desired' | 'members' | 'unprotected'>,
  since = '',
): Decision {
  const lowest = Math.min(presentIn(members), desired);
  const reasons = [`the fleet drains${since}: nothing launches`];
  if (unprotected && lowest < desired) return heldUnprotected(desired, reasons);
  if (lowest < desired) {
    reasons.push(`desired capacity falls from ${desired} to ${lowest}: launches not begun are cancelled`);
  }
  return { from: desired, desired: lowest, change: lowest < desired, reasons };
}

/** A launch may begin between the look at the group and the write. The group would then take any unprotected member. */
const heldUnprotected = (desired: number, reasons: string[]): Decision => ({
  from: desired,
  desired,
  change: false,
  reasons: [
    ...reasons,
    `held at ${desired}: members are not protected from scale-in, so a fall could end a job`,
  ],
});

/** The tasks that may run, those that run already included. */
const claimableTasks = ({
  unclaimed,
  running,
  concurrency = Number.POSITIVE_INFINITY,
}: Pick<Situation, 'unclaimed' | 'running' | 'concurrency'>) =>
  Math.max(Math.min(unclaimed + running, concurrency), running);

/** How many of the waiting tasks wait for the plan's concurrency. */
export const tasksOverConcurrency = (situation: Pick<Situation, 'unclaimed' | 'running' | 'concurrency'>) =>
  situation.unclaimed + situation.running - claimableTasks(situation);

/** Members that are capacity: any of them may hold a task, or be about to. */
export const presentIn = (members: Members) => members.pending + members.inService;

/**
 * Adds to a decision whether to suspend or resume the group's `Launch` process. A group replaces each instance whose
 * boot it gives up. So the process is suspended while the breaker is open or the fleet drains, except while a canary
 * launches. If somebody else has suspended it, it stays suspended. The record says which of the two it is for, because
 * only one of them is a fault: if that changes, the record changes.
 */
export function withLaunchProcess(decision: Decision, situation: Situation): Decision {
  const { members, launchProcess, paused } = situation;
  const drains = paused === 'drain';
  const forDrain = drains && situation.launchLimit === undefined ? true : undefined;
  const launchLimit = drains ? 0 : situation.launchLimit;
  // Where no canary may launch, no more is decided than the members.
  const canary = launchLimit !== undefined && decision.desired > presentIn(members);
  const change = (to: 'suspend' | 'resume', reason: string): Decision => ({
    ...decision,
    change: true,
    launchProcess: to,
    forDrain,
    reasons: [...decision.reasons, reason],
  });
  if (launchLimit !== undefined && !canary) {
    const cause = forDrain ? 'the fleet drains' : 'the breaker is open';
    if (!launchProcess.suspended)
      return change(
        'suspend',
        `suspends the Launch process: ${cause}, and the group would replace what fails`,
      );
    const isOnRecord = !launchProcess.byBreaker || launchProcess.forDrain === forDrain;
    return isOnRecord ? decision : change('suspend', `keeps the Launch process suspended: ${cause}`);
  }
  if (!launchProcess.byBreaker) {
    if (!launchProcess.suspended || decision.desired <= presentIn(members)) return decision;
    const who = launchProcess.byAws ? 'AWS' : 'somebody';
    const reasons = [...decision.reasons, `nothing launches: ${who} suspended the Launch process`];
    return { ...decision, reasons };
  }
  return change(
    'resume',
    `resumes the Launch process: ${canary ? 'a canary may launch' : 'everything may launch again'}`,
  );
}

/** Adds to a decision another size of the warm pool. */
export function withWarmPool(decision: Decision, from: number, to: number): Decision {
  if (from === to) return decision;
  const reasons = [
    ...decision.reasons,
    `the warm pool ${to > from ? 'grows' : 'shrinks'} from ${from} to ${to}`,
  ];
  return { ...decision, change: true, warmPoolSize: to, reasons };
}

/** The law of this file that a decision breaks, if it breaks one: the last look before it is written. */
export function brokenLaw(
  decision: Decision,
  {
    members,
    maxReplicas,
    affordable = Number.POSITIVE_INFINITY,
    maxSize = Number.POSITIVE_INFINITY,
    maxSurge = Number.POSITIVE_INFINITY,
    launchLimit = Number.POSITIVE_INFINITY,
    withheldLimit = Number.POSITIVE_INFINITY,
    concurrency = Number.POSITIVE_INFINITY,
    running = 0,
    minReplicas = 0,
    unprotected,
  }: Omit<Situation, 'unclaimed' | 'running' | 'desired' | 'minReplicas' | 'headroom' | 'launchProcess'> &
    Partial<Pick<Situation, 'running' | 'minReplicas'>>,
): string | undefined {
  const { from, desired, change, launchProcess, onDemandPercentage, warmPoolSize } = decision;
  if (!Number.isInteger(desired) || desired < 0) return `${desired} is not a number of instances`;
  if ((warmPoolSize ?? 0) > maxReplicas)
    return `a warm pool of ${warmPoolSize} is above maxReplicas (${maxReplicas})`;
  const others = [launchProcess, onDemandPercentage, warmPoolSize];
  if (change !== (desired !== from || others.some((other) => other !== undefined)))
    return `from ${from} to ${desired} is ${change ? 'no' : 'a'} change`;
  if (desired > from && desired > maxReplicas) return `${desired} is above maxReplicas (${maxReplicas})`;
  if (desired > from && desired > affordable)
    return `${desired} is above what maxHourlyCost allows (${affordable})`;
  if (desired > from && desired > maxSize) return `${desired} is above the group's maximum size (${maxSize})`;
  const claimable = Math.max(concurrency, running) + minReplicas;
  if (desired > from && desired > claimable)
    return `${desired} is above the ${claimable} instances that the plan's concurrency leaves`;
  const present = presentIn(members);
  const limit = Math.min(maxSurge, launchLimit, withheldLimit);
  if (desired > from && desired > present + limit) {
    return `${desired} is more than ${limit} above the ${present} members that are pending or in service`;
  }
  if (desired < from && desired < present) {
    return `${desired} is below the ${present} members that are pending or in service`;
  }
  if (desired < from && unprotected)
    return `${desired} is below ${from} while members are not protected from scale-in`;
  return undefined;
}

/**
 * What of a decision is still to be written, seeing the group as it is now: another execution may have
 * written meanwhile, and instances may have come or left.
 *
 * A rise is a level: it is written unless the group has it already. A fall only cancels launches that had not
 * begun when it was decided, so it is written only if nothing has changed since; the next poll decides again.
 *
 * @returns The desired capacity to write, or `undefined` if there is nothing to write.
 */
export function stillToWrite(
  { from, desired }: Pick<Decision, 'from' | 'desired'>,
  now: { desired: number; members: Members; unprotected?: boolean | undefined },
): number | undefined {
  if (desired > from) return desired > now.desired ? desired : undefined;
  if (now.unprotected) return undefined;
  return now.desired === from && desired < from && desired >= presentIn(now.members) ? desired : undefined;
}
