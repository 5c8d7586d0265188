import * as z from 'zod/mini';
import { areFailing, countsAny, lastCounted, summariseActivities } from './lib/activities.ts';
import { autoScalingClient } from './lib/auto-scaling.ts';
import { isTrying, type Launch } from './lib/breaker.ts';
import { Activities, DescribeActivitiesInput } from './lib/contracts.ts';
import { countingWindow, readCountedUntil, recordCountedUntil } from './lib/counted-launches.ts';
import { fleetMetrics, publishMetrics } from './lib/metrics.ts';
import { describeActivities } from './lib/scaling-activities.ts';
import { isSpotUnavailable } from './lib/spot.ts';
import { step } from './lib/step.ts';

/**
 * Reads the results of the group's launches, and derives from them whether the breaker is open. It counts those that
 * have ended since the last count, and puts on record how far it has counted.
 */
export const handler = step(
  'Describe Activities',
  DescribeActivitiesInput,
  { autoScaling: autoScalingClient(), metrics: fleetMetrics() },
  async (input, { autoScaling, log, metrics, settings, now }) => {
    const deployed = await settings.of(input);
    const { groupName, warmPoolAuto: all } = deployed;
    const at = now();
    let window = countingWindow(at, undefined);
    let isRead = false;
    const counts = async (launches: readonly Launch[]) => {
      if (!isRead && countsAny(launches, window)) {
        window = countingWindow(at, await readCountedUntil(autoScaling, groupName));
        isRead = true;
      }
      return countsAny(launches, window);
    };
    const found = await describeActivities(autoScaling, groupName, { all, counts });
    const activities = summariseActivities(found, deployed, window, at);
    const countedUntil = lastCounted(found, window);
    if (countedUntil !== undefined && !(await recordCountedUntil(autoScaling, groupName, countedUntil)))
      log.info(
        'EC2 Auto Scaling did not record which launches were counted. The next execution counts them again.',
        { fleet: input.fleet },
      );
    publishMetrics(metrics, input.fleet, {
      ...(areFailing(activities) && { FailedLaunches: activities.failedLaunches }),
      ...(activities.placementRefusals !== undefined && { PlacementRefusals: activities.placementRefusals }),
      ...(isSpotUnavailable(activities.spotShortageAt, found.launches, at) && { SpotFallback: 1 }),
      // Once nothing has wanted an instance for a while, Compute Capacity says when something does again.
      ...(activities.breaker.open && isTrying(activities.breaker, at) && { BreakerOpen: 1 }),
    });
    return z.encode(Activities, activities);
  },
  ({ breaker, failedLaunches, placementRefusals = 0 }) =>
    breaker.open || failedLaunches + placementRefusals > 0
      ? { breaker, failedLaunches, placementRefusals }
      : undefined,
);
