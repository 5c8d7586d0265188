import { type FailedLaunch, judgeLaunches, type Launch, unansweredRefusals } from './breaker.ts';
import type { Activities } from './contracts.ts';
import { PASSING } from './launch-failures.ts';
import { FALLBACK_SECONDS } from './spot.ts';
import { type Boot, launchDemand } from './warm-pool.ts';

const MINUTE = 60_000;

/** A group's launches, as they are on record. */
export interface LaunchRecord {
  launches: Launch[];
  /** Those that booted from nothing, and were well. */
  boots: Boot[];
  /** Whether there are no older ones. */
  complete: boolean;
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
}

/**
 * What the launches on record mean for the execution that reads them. Pure.
 *
 * @param now Milliseconds since the epoch.
 */
export function summariseActivities(
  { launches, boots, complete, lastAt }: LaunchRecord,
  { breakerFailures, breakerWindowSeconds, onDemandPercentage, warmPoolAuto }: ActivitySettings,
  now: number,
): Activities {
  const settings = { failures: breakerFailures, windowSeconds: breakerWindowSeconds };
  // The fallback answers a Spot shortage, so the breaker does not count it. It counts what fails of On-Demand launches.
  const shortOfSpot = onDemandPercentage < 100 ? launches.filter(isSpotShortage) : [];
  const answered = answeredByFallback(shortOfSpot);
  const others = launches.filter((launch) => !answered.has(launch));
  const judged = judgeLaunches(others, settings, complete);

  // Executions start once a minute, so each failure is counted and told by the one that follows it.
  const thisMinute = Math.floor(now / MINUTE) * MINUTE;
  const inMinuteBefore = (at: number) => at >= thisMinute - MINUTE && at < thisMinute;
  const endedInMinuteBefore = (launch: Launch) =>
    launch.outcome !== 'underway' && inMinuteBefore(launch.endedAt);
  const failed = others.filter((launch) => launch.outcome === 'failed').filter(endedInMinuteBefore);
  const unanswered = unansweredRefusals(failed, others);
  const readyAt = launches.flatMap((launch) => (launch.outcome === 'succeeded' ? [launch.endedAt] : []));
  const outsideZones = failed.filter(({ kind }) => kind === 'placement');
  return {
    lastAt: lastAt ?? null,
    breakerFailures,
    failedLaunches: failed.filter(({ noInstance }) => !noInstance).length + unanswered.length,
    ...(outsideZones.length > 0 && { placementRefusals: outsideZones.length }),
    ...(readyAt.length > 0 && { lastReadyAt: Math.max(...readyAt) }),
    cameInService: others.filter(({ outcome }) => outcome === 'succeeded').filter(endedInMinuteBefore).length,
    ...(shortOfSpot.length > 0 && {
      spotShortageAt: Math.max(...shortOfSpot.map(({ endedAt }) => endedAt)),
    }),
    ...(warmPoolAuto && { launchDemand: launchDemand(launches, boots, now) }),
    breaker: judged.open
      ? {
          open: true,
          // A shortage is tried again every 2 minutes, and told once.
          news: inMinuteBefore(PASSING.includes(judged.kind) ? judged.openedAt : judged.lastFailureAt),
          failures: judged.failures,
          kind: judged.kind,
          reason: judged.reason,
          canaryAt: judged.canaryAt,
        }
      : { open: false },
  };
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
