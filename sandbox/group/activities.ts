import { isCounted, type LaunchRecord } from '../../functions/lib/activities.ts';
import type { Launch } from '../../functions/lib/breaker.ts';
import { type CountingWindow, isWithin } from '../../functions/lib/counted-launches.ts';
import type { FailureKind } from '../../functions/lib/launch-failures.ts';
import type { Boot } from '../../functions/lib/warm-pool.ts';

/** Why a launch failed. activity-texts.ts has EC2 Auto Scaling's message for each cause. */
export type FailureCause = keyof typeof FAILURES;

/** How the workflow classifies each cause. It reads the class from the messages; a test compares the two. */
const FAILURES = {
  refused: { kind: 'shortage', spot: false },
  'no-spot': { kind: 'shortage', spot: true },
  unplaced: { kind: 'placement', spot: false },
  'no-type': { kind: 'placement', spot: false },
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

/** A change of capacity, as part of an activity's cause. */
export interface CapacityChange {
  from: number;
  to: number;
}

export type ActivityStatus = 'PreInService' | 'MidLifecycleAction' | 'Successful' | 'Failed' | 'Cancelled';

/** One scaling activity; activity-texts.ts has its texts. Times are milliseconds since the epoch. */
export interface RecordedActivity {
  /** Numbers start at 1, in the order of the activities' starts. */
  readonly number: number;
  of: 'launch' | 'warm launch' | 'into the warm pool' | 'termination' | 'detachment' | 'standby';
  /** The number of the instance; 0 if EC2 refused the launch. */
  instance: number;
  startedAt: number;
  /** In whole seconds. So an activity that ends immediately can end up to a second before its start. */
  endedAt: number | undefined;
  status: ActivityStatus;
  /** The cause of the failure, if it failed. */
  cause: FailureCause | undefined;
  /** The status message, if it differs from that of the cause. */
  statusMessage: string | undefined;
  /** The change of the group's capacity. */
  readonly change: CapacityChange | undefined;
  /** Who requested a termination: the instance, or the group because it is too large or the instance is unhealthy. */
  readonly by: 'instance' | 'group' | 'health check';
  /** The launch never began. */
  forgotten: boolean;
  /**
   * What the workflow reads in it. Computed at most once between two changes, because a replay reads it every minute.
   */
  read: ReadActivity | undefined;
}

/** An activity as the workflow reads it: as a launch, as a boot, as both or as neither. */
interface ReadActivity {
  launch: Launch | undefined;
  boot: Boot | undefined;
}

/** How many ended activities are kept. AWS keeps six weeks of them, and returns at most 100 per page. */
const KEPT = 600;

/** How many activities the workflow reads first, and at most: functions/lib/scaling-activities.ts. */
const FIRST_READ = 100;
const MOST_READ = 500;

const COUNTS_NOTHING: CountingWindow = { after: 0, until: 0 };

/** EC2 Auto Scaling's record of a group's launches and terminations. */
export class ScalingActivities {
  readonly #now: () => number;
  /** In the order of their starts. */
  #kept: RecordedActivity[] = [];
  /** Those of them that have not ended, in the same order. */
  readonly #inProgress = new Set<RecordedActivity>();
  #number = 0;
  #crowded = 2 * KEPT;
  readonly #readyTimes = new Float64Array(MOST_READ);
  #dropped = false;
  /** Increases with every change of the record. */
  version = 0;
  /** Whether any launch has failed. */
  hasFailures = false;
  /** When the last activity started or ended; -Infinity without any activity. */
  lastAt = Number.NEGATIVE_INFINITY;

  /** @param now Whole milliseconds since the epoch. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Records the launch of an instance, from the warm pool or not. Other methods record its outcome. */
  launch(instance: number, change: CapacityChange, warm = false): RecordedActivity {
    const launch = this.#begin(warm ? 'warm launch' : 'launch', instance, change);
    this.#inProgress.add(launch);
    return launch;
  }

  /** Records the launch of an instance into the warm pool. */
  warm(instance: number): RecordedActivity {
    const launch = this.#begin('into the warm pool', instance, undefined);
    this.#inProgress.add(launch);
    return launch;
  }

  /**
   * Records that EC2 refused a launch, so that there is no instance.
   *
   * @param change `undefined` for a launch into the warm pool.
   */
  refuse(cause: FailureCause, change: CapacityChange | undefined): RecordedActivity {
    const activity = this.#begin(change ? 'launch' : 'into the warm pool', 0, change);
    this.fail(activity, cause);
    return activity;
  }

  /** Records that an instance terminated itself by the API. No change of capacity if the group replaces it. */
  leave(instance: number, change: CapacityChange | undefined): void {
    this.#end(this.#begin('termination', instance, change), 'Successful');
  }

  /** Records that the group terminated an instance because its size exceeds the desired capacity. */
  scaleIn(instance: number, change: CapacityChange): void {
    this.#end(this.#begin('termination', instance, change, 'group'), 'Successful');
  }

  /** Records that the group terminated an instance that no longer runs. */
  replace(instance: number): void {
    this.#end(this.#begin('termination', instance, undefined, 'health check'), 'Successful');
  }

  /** Records that an instance left the group, or its capacity, and keeps running. */
  takeOut(instance: number, to: 'standby' | 'detached', loweredFrom: number | undefined): void {
    const change = loweredFrom === undefined ? undefined : { from: loweredFrom, to: loweredFrom - 1 };
    this.#end(this.#begin(to === 'standby' ? to : 'detachment', instance, change), 'Successful');
  }

  /** Records that the launched instance runs, and its launch hook waits. */
  proceed(launch: RecordedActivity): void {
    launch.status = 'MidLifecycleAction';
    this.version += 1;
  }

  succeed(launch: RecordedActivity): void {
    this.#end(launch, 'Successful');
  }

  /** Records that a launch was refused, its instance reclaimed, or its launch hook abandoned. */
  fail(launch: RecordedActivity, cause: FailureCause): void {
    launch.cause = cause;
    this.hasFailures = true;
    this.#end(launch, launch.instance === 0 ? 'Failed' : 'Cancelled');
  }

  /** Drops a launch that never started or is no longer needed. AWS does not document what happens to its record. */
  forget(launch: RecordedActivity): void {
    launch.forgotten = true;
    launch.endedAt ??= launch.startedAt;
    launch.read = undefined;
    this.#inProgress.delete(launch);
    this.version += 1;
  }

  /** The order of `DescribeScalingActivities`: activities in progress first, then the newest. */
  newest(): RecordedActivity[] {
    const newest: RecordedActivity[] = [];
    const next = this.#newestFirst();
    for (let activity = next(); activity !== undefined; activity = next()) newest.push(activity);
    return newest;
  }

  /**
   * The launches on record, as `describeActivities` of the functions reads them from the texts.
   *
   * @param all Whether to read the maximum number of activities.
   * @param window Which launches are counted: more are read as long as a page has some of them. Default: none.
   */
  record(all: boolean, window = COUNTS_NOTHING): LaunchRecord {
    const launches: Launch[] = [];
    const boots: Boot[] = [];
    const next = this.#newestFirst();
    let activity = next();
    let succeeded = false;
    let counted = false;
    for (let read = 0; activity !== undefined && read < MOST_READ; read += 1) {
      if (read % FIRST_READ === 0) {
        if (succeeded && !counted && !all) break;
        succeeded = false;
        counted = false;
      }
      const { launch, boot } = readActivity(activity);
      if (launch !== undefined) {
        launches.push(launch);
        succeeded ||= launch.outcome === 'succeeded';
        counted ||= isCounted(launch, window);
      }
      if (boot !== undefined) boots.push(boot);
      activity = next();
    }
    return {
      launches,
      boots,
      complete: activity === undefined && !this.#dropped,
      ...(counted && activity !== undefined && { moreToCount: true }),
      lastAt: this.lastAt === Number.NEGATIVE_INFINITY ? undefined : this.lastAt,
    };
  }

  /**
   * How long the launches took that `record(false, window)` has as succeeded, in milliseconds: a replay that needs no more
   * of the record reads it every minute.
   */
  readyTimes(window = COUNTS_NOTHING): Float64Array {
    const kept = this.#kept;
    let read = 0;
    for (const { endedAt } of this.#inProgress) if (endedAt === undefined) read += 1;
    let times = 0;
    let succeeded = false;
    let counted = false;
    let page = Math.floor(read / FIRST_READ);
    for (let index = kept.length - 1; index >= 0 && read < MOST_READ; index -= 1) {
      const { of, status, startedAt, endedAt, forgotten } = kept[index] as RecordedActivity;
      if (endedAt === undefined || forgotten) continue;
      if (read >= (page + 1) * FIRST_READ) {
        if (succeeded && !counted) break;
        page += 1;
        succeeded = false;
        counted = false;
      }
      read += 1;
      if (status !== 'Successful' || (of !== 'launch' && of !== 'warm launch')) continue;
      succeeded = true;
      counted ||= isWithin(window, Math.max(endedAt, startedAt));
      this.#readyTimes[times] = Math.max(endedAt - startedAt, 0);
      times += 1;
    }
    return this.#readyTimes.subarray(0, times);
  }

  /** Iterates over the activities in the order of `newest`. Generators are too slow for a replay. */
  #newestFirst(): () => RecordedActivity | undefined {
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
    of: RecordedActivity['of'],
    instance: number,
    change: CapacityChange | undefined,
    by: RecordedActivity['by'] = 'instance',
  ): RecordedActivity {
    this.#number += 1;
    const startedAt = this.#now();
    const activity: RecordedActivity = {
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

  #end(activity: RecordedActivity, status: ActivityStatus): void {
    activity.endedAt = Math.floor(this.#now() / 1_000) * 1_000;
    activity.status = status;
    activity.read = undefined;
    this.#inProgress.delete(activity);
    this.lastAt = Math.max(this.lastAt, activity.endedAt);
    this.version += 1;
  }
}

function readActivity(activity: RecordedActivity): ReadActivity {
  activity.read ??= { launch: asLaunch(activity), boot: asBoot(activity) };
  return activity.read;
}

function asBoot({ of, status, startedAt, endedAt }: RecordedActivity): Boot | undefined {
  if (of !== 'launch' && of !== 'into the warm pool') return undefined;
  if (status !== 'Successful' || endedAt === undefined) return undefined;
  return { startedAt, endedAt: Math.max(endedAt, startedAt) };
}

/** Launches into the warm pool count only if they failed, as in functions/lib/scaling-activities.ts. */
function asLaunch({ of, instance, startedAt, endedAt, status, cause }: RecordedActivity): Launch | undefined {
  if (of === 'termination' || of === 'detachment' || of === 'standby') return undefined;
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
