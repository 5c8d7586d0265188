import { type FailedLaunch, judgeLaunches, type Launch } from './breaker.ts';
import type { Activities } from './contracts.ts';
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
  // The fallback answers a Spot shortage, so nobody is told; what fails of the On-Demand launches is for the breaker.
  const isAnswered = (launch: Launch): launch is FailedLaunch =>
    launch.outcome === 'failed' && launch.spot === true && onDemandPercentage < 100;
  const shortOfSpot = launches.filter(isAnswered);
  const others = launches.filter((launch) => !isAnswered(launch));
  const judged = judgeLaunches(others, settings, complete);

  // Executions start once a minute, so each failure is counted and told by the one that follows it.
  const thisMinute = Math.floor(now / MINUTE) * MINUTE;
  const inMinuteBefore = (at: number) => at >= thisMinute - MINUTE && at < thisMinute;
  const ended = (outcome: 'failed' | 'succeeded') =>
    others.filter((launch) => launch.outcome === outcome && inMinuteBefore(launch.endedAt)).length;
  return {
    lastAt: lastAt ?? null,
    failedLaunches: ended('failed'),
    cameInService: ended('succeeded'),
    ...(shortOfSpot.length > 0 && {
      spotShortageAt: Math.max(...shortOfSpot.map(({ endedAt }) => endedAt)),
    }),
    ...(warmPoolAuto && { launchDemand: launchDemand(launches, boots, now) }),
    breaker: judged.open
      ? {
          open: true,
          // A shortage is tried again every 2 minutes, and told once.
          news: inMinuteBefore(judged.kind === 'shortage' ? judged.openedAt : judged.lastFailureAt),
          failures: judged.failures,
          kind: judged.kind,
          reason: judged.reason,
          canaryAt: judged.canaryAt,
        }
      : { open: false },
  };
}
