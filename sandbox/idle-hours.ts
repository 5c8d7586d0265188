import type { DeployedSettings } from '../functions/lib/contracts.ts';
import { pollInterval } from '../functions/lib/pacing.ts';
import { nextFire } from '../functions/lib/schedules.ts';
import { changesOfDemand, nextDay } from '../functions/lib/warm-pool.ts';
import type { AutoScalingGroup } from './auto-scaling-group.ts';
import type { TaskQueue } from './task-queue.ts';

/**
 * For how long nothing must have happened to a group, in seconds. The functions look back no further, and check counts
 * of 0 as often.
 */
const LOOKS_BACK = 3_600;

interface Fleet {
  queue: TaskQueue;
  group: AutoScalingGroup;
  settings: DeployedSettings;
}

/**
 * Until when every execution of a fleet does the same as the last one: it counts no task, finds an empty group, and
 * writes nothing. Jobs and instances are on the agenda, so only what depends on the time alone is computed here.
 *
 * @param now Milliseconds since the epoch.
 * @returns Milliseconds since the epoch; `now` or less if something may happen at any time.
 */
function idleUntil({ queue, group, settings }: Fleet, now: number): number {
  const { activities, desired, size, createdAt } = group;
  if (queue.unclaimed + queue.running > 0 || size + desired > 0) return now;
  // How many spare runners pay depends on for how long nothing has arrived.
  if (settings.spareRunners !== undefined) return now;
  // What a launch that failed leads to takes hours, and ends by writes.
  if (activities.hasFailures) return now;
  const idleSeconds = (now - Math.max(activities.lastAt, createdAt)) / 1_000;
  const interval = pollInterval(idleSeconds, settings);
  if (idleSeconds < LOOKS_BACK || interval < pollInterval(Number.POSITIVE_INFINITY, settings)) return now;
  const fires = nextFire(settings.capacity.schedules ?? [], now);
  if (!settings.warmPoolAuto) return fires;
  return Math.min(fires, changesOfDemand(activities.record(true).launches, now), nextDay(now));
}

/** How many whole hours between two times begin and end while every execution of all fleets does the same. */
export function wholeIdleHours(
  fleets: readonly Fleet[],
  now: number,
  { from, to }: { from: number; to: number },
): number {
  const until = Math.min(to, ...fleets.map((fleet) => idleUntil(fleet, now)));
  return Math.max(Math.floor((until - from) / 3_600_000), 0);
}
