import { type FailedLaunch, judgeLaunches, type Launch, unansweredRefusals } from './breaker.ts';
import type { Activities } from './contracts.ts';
import { type CountingWindow, isWithin } from './counted-launches.ts';
import { PASSING } from './launch-failures.ts';
import { FALLBACK_SECONDS } from './spot.ts';
import { type Boot, launchDemand } from './warm-pool.ts';

/** A group's launches, as they are on record. */
export interface LaunchRecord {
  launches: Launch[];
  /** Those that booted from nothing, and were well. */
  boots: Boot[];
  /** Whether there are no older ones. */
  complete: boolean;
  /** Whether an execution may count more than these. */
  moreToCount?: boolean;
  /** When the last activity of any kind began or ended, in milliseconds since the epoch. */
  lastAt: number | undefined;
}

/** By what the launches are judged; as in the execution's input. */
export interface ActivitySettings {
  breakerFailures: number;
  breakerWindowSeconds: number;
  /** 100 for a fleet without Spot capacity. */
  onDemandPercentage: number;
  /** Whether the warm pool is the workflow's to size. */
  warmPoolAuto: boolean;
  /** Whether the fleet learns how many spare runners to keep. */
  spareRunners?: unknown;
}

/** Whether an execution counts a launch: it has ended in the window. */
export const isCounted = (
  launch: Launch,
  window: CountingWindow,
): launch is Exclude<Launch, { outcome: 'underway' }> =>
  launch.outcome !== 'underway' && isWithin(window, launch.endedAt);

/** Whether an execution counts any of these launches. */
export const countsAny = (launches: readonly Launch[], window: CountingWindow) =>
  launches.some((launch) => isCounted(launch, window));

/**
 * When the last launch ended that an execution counts, in milliseconds since the epoch; `undefined` if it counts none.
 */
export function lastCounted({ launches }: Pick<LaunchRecord, 'launches'>, window: CountingWindow) {
  const ends = launches.flatMap((launch) => (isCounted(launch, window) ? [launch.endedAt] : []));
  return ends.length === 0 ? undefined : Math.max(...ends);
}

/** How many launches came into service in the window. */
export const cameInService = (launches: readonly Launch[], window: CountingWindow): number =>
  launches.filter((launch) => launch.outcome === 'succeeded' && isCounted(launch, window)).length;

/**
 * What the launches on record mean for the execution that reads them. Pure.
 *
 * @param window Which launches it counts.
 * @param now Milliseconds since the epoch.
 */
export function summariseActivities(
  { launches, boots, complete, moreToCount = false, lastAt }: LaunchRecord,
  { breakerFailures, breakerWindowSeconds, onDemandPercentage, warmPoolAuto, spareRunners }: ActivitySettings,
  window: CountingWindow,
  now: number,
): Activities {
  const settings = { failures: breakerFailures, windowSeconds: breakerWindowSeconds };
  // The fallback answers a Spot shortage, so the breaker does not count it. It counts what fails of On-Demand launches.
  const shortOfSpot = onDemandPercentage < 100 ? launches.filter(isSpotShortage) : [];
  const answered = answeredByFallback(shortOfSpot);
  const others = launches.filter((launch) => !answered.has(launch));
  const judged = judgeLaunches(others, settings, complete);

  const failed = others
    .filter((launch) => launch.outcome === 'failed')
    .filter((launch) => isCounted(launch, window));
  const unanswered = unansweredRefusals(failed, others);
  const readyAt = launches.flatMap((launch) => (launch.outcome === 'succeeded' ? [launch.endedAt] : []));
  const outsideZones = failed.filter(({ kind }) => kind === 'placement');
  return {
    lastAt: lastAt ?? null,
    breakerFailures,
    failedLaunches: failed.filter(({ noInstance }) => !noInstance).length + unanswered.length,
    ...(outsideZones.length > 0 && { placementRefusals: outsideZones.length }),
    ...(readyAt.length > 0 && { lastReadyAt: Math.max(...readyAt) }),
    ...bootSeconds(launches, now),
    cameInService: cameInService(launches, window),
    ...(moreToCount && { moreCame: true }),
    ...(shortOfSpot.length > 0 && {
      spotShortageAt: Math.max(...shortOfSpot.map(({ endedAt }) => endedAt)),
    }),
    ...learnable({ launches, boots }, { warmPoolAuto, spareRunners }, now),
    breaker: judged.open
      ? {
          open: true,
          // A shortage is tried again every 2 minutes, and announced once.
          isNew: isWithin(window, PASSING.includes(judged.kind) ? judged.openedAt : judged.lastFailureAt),
          failures: judged.failures,
          kind: judged.kind,
          reason: judged.reason,
          canaryAt: judged.canaryAt,
        }
      : { open: false },
  };
}

/** The part of the summary that the fleet learns from. A replay without failures needs no more. */
export const learnable = (
  { launches, boots }: Pick<LaunchRecord, 'launches' | 'boots'>,
  { warmPoolAuto, spareRunners }: Pick<ActivitySettings, 'warmPoolAuto' | 'spareRunners'>,
  now: number,
): Pick<Activities, 'readySeconds' | 'launchDemand'> => ({
  ...(spareRunners !== undefined && readySeconds(launches)),
  ...(warmPoolAuto && { launchDemand: launchDemand(launches, boots, now) }),
});

/** At scale, some launches always fail: one of more than 20 is no news. */
const LAUNCHES_PER_FAILURE = 20;

/** Whether one launch in 20 or more failed, so that somebody should know. */
export const areFailing = ({ failedLaunches, cameInService }: Activities) =>
  failedLaunches > 0 && failedLaunches * LAUNCHES_PER_FAILURE >= failedLaunches + cameInService;

/** A launch that ended earlier says nothing of those that boot now, in milliseconds. */
const LONG_AGO = 3_600_000;

/** For how long the oldest instance boots, in seconds, or 0 if none does; nothing if the last launch that ended has failed. */
function bootSeconds(launches: readonly Launch[], now: number): Pick<Activities, 'bootSeconds'> {
  const ended = launches.flatMap((launch) => (launch.outcome === 'underway' ? [] : [launch]));
  const lastAt = Math.max(...ended.map(({ endedAt }) => endedAt));
  const failed = ended.some(({ outcome, endedAt }) => outcome === 'failed' && endedAt === lastAt);
  const booting = launches.filter(({ outcome, noInstance }) => outcome === 'underway' && !noInstance);
  if (failed || (booting.length === 0 && lastAt < now - LONG_AGO)) return {};
  const since = Math.min(now, ...booting.map(({ startedAt }) => startedAt));
  return { bootSeconds: Math.floor((now - since) / 1_000) };
}

/** How long the launches on record took to come into service, from the warm pool or not. */
function readySeconds(launches: readonly Launch[]): Pick<Activities, 'readySeconds'> {
  const took = new Float64Array(launches.length);
  let number = 0;
  for (const launch of launches) {
    if (launch.outcome !== 'succeeded') continue;
    took[number] = launch.endedAt - launch.startedAt;
    number += 1;
  }
  return medianReady(took.subarray(0, number));
}

/**
 * The median of how long launches took to come into service.
 *
 * @param took Milliseconds; they are sorted in place. Sorting a typed array is several times faster, and a replay sorts for
 *   each minute of a trace.
 */
export function medianReady(took: Float64Array): Pick<Activities, 'readySeconds'> {
  const middle = took.sort()[Math.floor(took.length / 2)];
  return middle === undefined ? {} : { readySeconds: Math.max(Math.round(middle / 1_000), 0) };
}

const isSpotShortage = (launch: Launch): launch is FailedLaunch =>
  launch.outcome === 'failed' && launch.kind === 'shortage' && launch.spot === true;

/** For how long after the first Spot shortage others may follow that the fallback could not prevent, in milliseconds. */
const FALLBACK_TAKES_HOLD = 300_000;

/**
 * The Spot shortages that the fallback answers. Where it works, none follows until it ends. One that comes in between
 * shows that it does not work, and counts like any other failure.
 */
function answeredByFallback(shortages: FailedLaunch[]): Set<Launch> {
  const ends = shortages.map(({ endedAt }) => endedAt).sort((a, b) => a - b);
  let first = Number.NEGATIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  const unanswered = new Set<number>();
  for (const end of ends) {
    if (end - last >= FALLBACK_SECONDS * 1_000) first = end;
    if (end - first > FALLBACK_TAKES_HOLD) unanswered.add(end);
    last = end;
  }
  return new Set(shortages.filter(({ endedAt }) => !unanswered.has(endedAt)));
}
