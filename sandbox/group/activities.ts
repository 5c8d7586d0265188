import type { LaunchRecord } from '../../functions/lib/activities.ts';
import type { Launch } from '../../functions/lib/breaker.ts';
import type { FailureKind } from '../../functions/lib/launch-failures.ts';
import type { Boot } from '../../functions/lib/warm-pool.ts';

/** Why a launch failed. What EC2 Auto Scaling says of each is in activity-texts.ts. */
export type FailureCause = keyof typeof FAILURES;

/** How the workflow classifies each cause. functions/lib/scaling-activities.ts reads it from the texts; a test compares. */
const FAILURES = {
  refused: { kind: 'shortage', spot: false },
  'no-spot': { kind: 'shortage', spot: true },
  unplaced: { kind: 'placement', spot: false },
  'no-addresses': { kind: 'addresses', spot: false },
  throttled: { kind: 'throttled', spot: false },
  'no-spot-role': { kind: 'spot-role', spot: true },
  'heartbeat timeout': { kind: 'boot', spot: false },
  abandoned: { kind: 'boot', spot: false },
  reclaimed: { kind: 'shortage', spot: true },
  // As above, of an On-Demand instance: there is no shortage.
  ended: { kind: 'boot', spot: false },
  'no-key': { kind: 'volume-key', spot: false },
} as const satisfies Record<string, { kind: FailureKind; spot: boolean }>;

/** A change of capacity, which is part of an activity's cause. */
export interface CapacityChange {
  from: number;
  to: number;
}

export type ActivityStatus = 'PreInService' | 'MidLifecycleAction' | 'Successful' | 'Failed' | 'Cancelled';

/** One scaling activity; activity-texts.ts has AWS's words for it. Times are milliseconds since the epoch. */
export interface Activity {
  /** In the order of their start, from 1. */
  readonly number: number;
  of: 'launch' | 'warm launch' | 'into the warm pool' | 'termination' | 'detachment';
  /** The number of the instance; 0 if EC2 refused one. */
  instance: number;
  startedAt: number;
  /** In whole seconds, so that what ends at once ends up to a second before its start. */
  endedAt: number | undefined;
  status: ActivityStatus;
  /** Why it failed. */
  cause: FailureCause | undefined;
  /** The status message, if it is not that of the cause. */
  statusMessage: string | undefined;
  /** By how much the group grew or shrank. */
  readonly change: CapacityChange | undefined;
  /** Who wanted a termination: the instance itself, or the group, because it is too large or the instance unhealthy. */
  readonly by: 'instance' | 'group' | 'health check';
  /** The launch never began. */
  forgotten: boolean;
  /** What the workflow reads in it. Computed at most once between two changes, because a replay reads it every minute. */
  read: ReadActivity | undefined;
}

/** An activity as the workflow reads it: as a launch, as a boot, as both or as neither. */
interface ReadActivity {
  launch: Launch | undefined;
  boot: Boot | undefined;
}

/** How many of the newest are kept, beside those in progress. AWS keeps six weeks, and answers with at most 100. */
const KEPT = 600;

/** How many the workflow reads first, and at most: functions/lib/scaling-activities.ts. */
const FIRST_READ = 100;
const MOST_READ = 500;

/** The record that EC2 Auto Scaling keeps of a group's launches and terminations. */
export class ScalingActivities {
  readonly #now: () => number;
  /** In the order of their start. */
  #kept: Activity[] = [];
  /** Those of them that have not ended, in the same order. */
  readonly #inProgress = new Set<Activity>();
  #number = 0;
  #crowded = 2 * KEPT;
  #dropped = false;
  /** Changes with every change of the record. */
  version = 0;
  /** Whether any launch has failed. */
  hasFailures = false;
  /** When the last activity began or ended; -Infinity if there was none. */
  lastAt = Number.NEGATIVE_INFINITY;

  /** @param now Milliseconds since the epoch, whole ones. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** An instance is launched, from the warm pool or not; what becomes of it is said later. */
  launch(instance: number, change: CapacityChange, warm = false): Activity {
    const launch = this.#begin(warm ? 'warm launch' : 'launch', instance, change);
    this.#inProgress.add(launch);
    return launch;
  }

  /** An instance is launched into the warm pool. */
  warm(instance: number): Activity {
    const launch = this.#begin('into the warm pool', instance, undefined);
    this.#inProgress.add(launch);
    return launch;
  }

  /**
   * EC2 refuses a launch: there is no instance.
   *
   * @param change `undefined` if it is one into the warm pool.
   */
  refuse(cause: FailureCause, change: CapacityChange | undefined): Activity {
    const activity = this.#begin(change ? 'launch' : 'into the warm pool', 0, change);
    this.fail(activity, cause);
    return activity;
  }

  /** An instance terminates itself by the API; no change if the group is to replace it. */
  leave(instance: number, change: CapacityChange | undefined): void {
    this.#end(this.#begin('termination', instance, change), 'Successful');
  }

  /** The group takes an instance away, because desired capacity is lower than its size. */
  scaleIn(instance: number, change: CapacityChange): void {
    this.#end(this.#begin('termination', instance, change, 'group'), 'Successful');
  }

  /** The group takes an instance away that runs no more. */
  replace(instance: number): void {
    this.#end(this.#begin('termination', instance, undefined, 'health check'), 'Successful');
  }

  /** An instance leaves the group, and goes on. */
  detach(instance: number, change: CapacityChange): void {
    this.#end(this.#begin('detachment', instance, change), 'Successful');
  }

  /** The launched instance is up, and its launch hook waits. */
  proceed(launch: Activity): void {
    launch.status = 'MidLifecycleAction';
    this.version += 1;
  }

  succeed(launch: Activity): void {
    this.#end(launch, 'Successful');
  }

  /** A launch is refused, its instance is taken back, or its launch hook gives it up. */
  fail(launch: Activity, cause: FailureCause): void {
    launch.cause = cause;
    this.hasFailures = true;
    this.#end(launch, launch.instance === 0 ? 'Failed' : 'Cancelled');
  }

  /** The launch never began, or nobody wants its instance any more; AWS does not say what becomes of its record. */
  forget(launch: Activity): void {
    launch.forgotten = true;
    launch.endedAt ??= launch.startedAt;
    launch.read = undefined;
    this.#inProgress.delete(launch);
    this.version += 1;
  }

  /** As `DescribeScalingActivities` has them: those in progress first, and then the newest. */
  newest(): Activity[] {
    const newest: Activity[] = [];
    const next = this.#newestFirst();
    for (let activity = next(); activity !== undefined; activity = next()) newest.push(activity);
    return newest;
  }

  /**
   * The launches on record, as `describeActivities` of the functions reads them from the texts.
   *
   * @param all Read as many as it ever reads.
   */
  record(all: boolean): LaunchRecord {
    const launches: Launch[] = [];
    const boots: Boot[] = [];
    const next = this.#newestFirst();
    let activity = next();
    // Without `all`, a page with a success is the last one that is read.
    let enough = false;
    for (let read = 0; activity !== undefined && read < MOST_READ; read += 1) {
      if (enough && read % FIRST_READ === 0) break;
      const { launch, boot } = readActivity(activity);
      if (launch !== undefined) launches.push(launch);
      if (boot !== undefined) boots.push(boot);
      if (!all && launch?.outcome === 'succeeded') enough = true;
      activity = next();
    }
    return {
      launches,
      boots,
      complete: activity === undefined && !this.#dropped,
      lastAt: this.lastAt === Number.NEGATIVE_INFINITY ? undefined : this.lastAt,
    };
  }

  /** Iterates over the activities in the order of `newest`. Generators are too slow for a replay. */
  #newestFirst(): () => Activity | undefined {
    const kept = this.#kept;
    const inProgress = [...this.#inProgress].filter(({ endedAt }) => endedAt === undefined);
    let index = kept.length;
    return () => {
      const first = inProgress.pop();
      if (first !== undefined) return first;
      for (index -= 1; index >= 0; index -= 1) {
        const activity = kept[index];
        if (activity?.endedAt !== undefined && !activity.forgotten) return activity;
      }
      return undefined;
    };
  }

  #begin(
    of: Activity['of'],
    instance: number,
    change: CapacityChange | undefined,
    by: Activity['by'] = 'instance',
  ): Activity {
    this.#number += 1;
    const startedAt = this.#now();
    const activity: Activity = {
      number: this.#number,
      of,
      instance,
      startedAt,
      endedAt: undefined,
      status: 'PreInService',
      cause: undefined,
      statusMessage: undefined,
      change,
      by,
      forgotten: false,
      read: undefined,
    };
    this.#kept.push(activity);
    this.lastAt = Math.max(this.lastAt, startedAt);
    this.version += 1;
    if (this.#kept.length > this.#crowded) {
      const newest = this.#kept.length - KEPT;
      this.#kept = this.#kept.filter(({ endedAt }, index) => endedAt === undefined || index >= newest);
      this.#crowded = this.#kept.length + KEPT;
      this.#dropped = true;
    }
    return activity;
  }

  #end(activity: Activity, status: ActivityStatus): void {
    activity.endedAt = Math.floor(this.#now() / 1_000) * 1_000;
    activity.status = status;
    activity.read = undefined;
    this.#inProgress.delete(activity);
    this.lastAt = Math.max(this.lastAt, activity.endedAt);
    this.version += 1;
  }
}

function readActivity(activity: Activity): ReadActivity {
  activity.read ??= { launch: asLaunch(activity), boot: asBoot(activity) };
  return activity.read;
}

function asBoot({ of, status, startedAt, endedAt }: Activity): Boot | undefined {
  if (of !== 'launch' && of !== 'into the warm pool') return undefined;
  if (status !== 'Successful' || endedAt === undefined) return undefined;
  return { startedAt, endedAt: Math.max(endedAt, startedAt) };
}

/** A launch into the warm pool counts only if it failed, as in functions/lib/scaling-activities.ts. */
function asLaunch({ of, instance, startedAt, endedAt, status, cause }: Activity): Launch | undefined {
  if (of === 'termination' || of === 'detachment') return undefined;
  const without = instance === 0 ? { noInstance: true } : {};
  const ended = Math.max(endedAt ?? startedAt, startedAt);
  if (cause !== undefined) {
    const { kind, spot } = FAILURES[cause];
    const failure = { kind, ...(spot && { spot }), ...without, reason: cause };
    return { outcome: 'failed', startedAt, endedAt: ended, ...failure };
  }
  if (of === 'into the warm pool') return undefined;
  if (status === 'Successful') return { outcome: 'succeeded', startedAt, endedAt: ended };
  return { outcome: 'underway', startedAt };
}
