import { type FailedLaunch, judgeLaunches, type Launch } from './lib/breaker.ts';
import { type Activities, DescribeActivitiesInput } from './lib/contracts.ts';
import { publishMetrics } from './lib/metrics.ts';
import { describeActivities } from './lib/scaling-activities.ts';
import { step } from './lib/step.ts';
import { launchDemand } from './lib/warm-pool.ts';

const MINUTE = 60_000;

/** Reads what became of the group's launches, and says from that whether the breaker is open. */
export const handler = step(
  'Describe Activities',
  DescribeActivitiesInput,
  async ({
    fleet,
    groupName,
    breakerFailures,
    breakerWindowSeconds,
    onDemandPercentage,
    warmPoolAuto,
  }): Promise<Activities> => {
    const { launches, boots, complete, lastAt } = await describeActivities(groupName, { all: warmPoolAuto });
    const settings = { failures: breakerFailures, windowSeconds: breakerWindowSeconds };
    // The fallback answers a Spot shortage, so nobody is told; what fails of the On-Demand launches is for the breaker.
    const isAnswered = (launch: Launch): launch is FailedLaunch =>
      launch.outcome === 'failed' && launch.spot === true && onDemandPercentage < 100;
    const shortOfSpot = launches.filter(isAnswered);
    const others = launches.filter((launch) => !isAnswered(launch));
    const judged = judgeLaunches(others, settings, complete);

    // Executions start once a minute, so each failure is counted and told by the one that follows it.
    const thisMinute = Math.floor(Date.now() / MINUTE) * MINUTE;
    const inMinuteBefore = (at: number) => at >= thisMinute - MINUTE && at < thisMinute;
    const ended = (outcome: 'failed' | 'succeeded') =>
      others.filter((launch) => launch.outcome === outcome && inMinuteBefore(launch.endedAt)).length;
    const failedLaunches = ended('failed');
    publishMetrics(fleet, {
      ...(failedLaunches > 0 && { FailedLaunches: failedLaunches }),
      ...(judged.open && { BreakerOpen: 1 }),
    });

    const instant = (at: number) => new Date(at).toISOString();
    return {
      lastAt: lastAt === undefined ? null : instant(lastAt),
      failedLaunches,
      cameInService: ended('succeeded'),
      ...(shortOfSpot.length > 0 && {
        spotShortageAt: instant(Math.max(...shortOfSpot.map(({ endedAt }) => endedAt))),
      }),
      ...(warmPoolAuto && { launchDemand: launchDemand(launches, boots, Date.now()) }),
      breaker: judged.open
        ? {
            open: true,
            // A shortage is tried again every 2 minutes, and told once.
            news: inMinuteBefore(judged.kind === 'shortage' ? judged.openedAt : judged.lastFailureAt),
            failures: judged.failures,
            kind: judged.kind,
            reason: judged.reason,
            canaryAt: instant(judged.canaryAt),
          }
        : { open: false },
    };
  },
  ({ breaker, failedLaunches }) =>
    breaker.open || failedLaunches > 0 ? { breaker, failedLaunches } : undefined,
);
