/**
 * How many instances should stand by in a group's warm pool, if the fleet leaves that to the workflow. Pure: its
 * memory is the group's scaling activities.
 */

import type { Launch } from './breaker.ts';

/** An instance that booted from nothing and was well: into service or into the warm pool. Milliseconds since the epoch. */
export interface Boot {
  startedAt: number;
  endedAt: number;
}

/** What the recent launches ask of a warm pool. */
export interface LaunchDemand {
  /** The most launches that began within the time that one boot takes. */
  peak: number;
  /** The same of the launches since the day began, by UTC. */
  today: number;
  /** Whether nothing was launched in the last hour, so that the pool may become smaller. */
  resting: boolean;
}

/** Launches count for a week, in milliseconds: the demand for jobs repeats weekly. */
const RECENT = 7 * 24 * 3_600_000;

/** How long nothing must have been launched before the pool becomes smaller, in milliseconds. */
const REST = 3_600_000;

/** AWS reports ends in whole seconds, so a short boot may seem to have taken no time. */
const SHORTEST_BOOT = 1_000;

/** The largest demand of each day on which there was any: days since the epoch, and the most launches within a boot. */
export type Peaks = readonly (readonly [day: number, peak: number])[];

const DAY = 24 * 3_600_000;

/** Today, and the seven days before: a busy hour of a week ago counts until it is over again. */
const DAYS = 8;

const dayOf = (now: number) => Math.floor(now / DAY);

/** How long a boot takes as long as none is on record, in milliseconds. */
const UNKNOWN_BOOT = 120_000;

/**
 * The most instances that were launched while one boot took, because for that long what is taken out of the pool
 * is missing in it. Launches that failed do not count: they would be counted again with each try.
 */
export function launchDemand(launches: Launch[], boots: Boot[], now: number): LaunchDemand {
  const usual = median(boots) ?? UNKNOWN_BOOT;
  const window = Math.max(usual, SHORTEST_BOOT);
  const starts = sortedBy(
    launches.filter(({ outcome, startedAt }) => outcome !== 'failed' && startedAt >= now - RECENT),
    ({ startedAt }) => startedAt,
  );
  let [peak, today, first] = [0, 0, 0];
  for (const [index, start] of starts.entries()) {
    while (start - (starts[first] ?? start) >= window) first += 1;
    peak = Math.max(peak, index - first + 1);
    if (dayOf(start) === dayOf(now)) today = Math.max(today, index - first + 1);
  }
  return { peak, today, resting: now - (starts.at(-1) ?? Number.NEGATIVE_INFINITY) >= REST };
}

/**
 * When what the launches ask of a warm pool is next something else without a further launch, in milliseconds since
 * the epoch: one becomes too old to count, or the hour ends after which the pool may shrink.
 */
export function changesOfDemand(launches: Launch[], now: number): number {
  let last = Number.NEGATIVE_INFINITY;
  let next = Number.POSITIVE_INFINITY;
  const changes = (at: number) => {
    if (at > now) next = Math.min(next, at);
  };
  for (const { outcome, startedAt } of launches) {
    if (outcome === 'failed') continue;
    last = Math.max(last, startedAt);
    changes(startedAt + RECENT + 1);
  }
  changes(last + REST);
  return next;
}

/**
 * Adds the largest demand of this day to those of the days before. The record of launches has the latest 500 activities,
 * which a busy fleet has in an hour.
 *
 * @returns The same peaks if nothing changes.
 */
export function rememberPeak(
  peaks: Peaks | undefined,
  { today }: Pick<LaunchDemand, 'today'>,
  now: number,
): Peaks | undefined {
  const day = dayOf(now);
  const recent = recentOf(peaks, day);
  const before = recent.find(([of]) => of === day)?.[1] ?? 0;
  if (today <= before) return peaks;
  return [...recent.filter(([of]) => of !== day), [day, today]];
}

const recentOf = (peaks: Peaks = [], today: number) =>
  peaks.filter(([day]) => day <= today && day > today - DAYS);

/** The largest demand of the last days. It stays the same until the next day. */
export function highWater(peaks: Peaks | undefined, now: number): number {
  return Math.max(0, ...recentOf(peaks, dayOf(now)).map(([, peak]) => peak));
}

/** When the next day begins, in milliseconds since the epoch: a peak may then be too old to count. */
export const nextDay = (now: number) => (dayOf(now) + 1) * DAY;

/** The size that a warm pool should have: it grows at once, and shrinks only while nothing is launched. */
export function sizeWarmPool(
  demand: Pick<LaunchDemand, 'peak' | 'resting'>,
  size: number,
  maxReplicas: number,
): number {
  const wanted = Math.min(demand.peak, maxReplicas);
  return demand.resting ? wanted : Math.max(wanted, size);
}

/**
 * What of a decided size is still to be written, seeing the group as it is now; `undefined` if nothing. Never above the
 * group's maximum size, because AWS would also make a larger pool, and whoever may invoke Update Group decides the size.
 */
export function poolSizeToWrite(
  decided: number | undefined,
  { warmPool, maxSize }: { warmPool?: { size: number } | undefined; maxSize?: number | undefined },
): number | undefined {
  if (decided === undefined || warmPool === undefined) return undefined;
  const size = Math.min(decided, maxSize ?? warmPool.size);
  return size === warmPool.size ? undefined : size;
}

/** How long a boot takes: of two in the middle, the shorter one. */
function median(boots: readonly Boot[]): number | undefined {
  const durations = sortedBy(boots, ({ startedAt, endedAt }) => endedAt - startedAt);
  return durations[Math.floor((durations.length - 1) / 2)];
}

/** The values in order. Sorting a typed array is several times faster, and a replay sorts for each minute of a trace. */
function sortedBy<T>(items: readonly T[], key: (item: T) => number): Float64Array {
  const values = new Float64Array(items.length);
  for (const [index, item] of items.entries()) values[index] = key(item);
  return values.sort();
}
