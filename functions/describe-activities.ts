import * as z from 'zod/mini';
import { summariseActivities } from './lib/activities.ts';
import { autoScalingClient } from './lib/auto-scaling.ts';
import { isTrying } from './lib/breaker.ts';
import { Activities, DescribeActivitiesInput } from './lib/contracts.ts';
import { fleetMetrics, publishMetrics } from './lib/metrics.ts';
import { describeActivities } from './lib/scaling-activities.ts';
import { isFallbackInForce } from './lib/spot.ts';
import { step } from './lib/step.ts';

/** Reads the results of the group's launches, and derives from them whether the breaker is open. */
export const handler = step(
  'Describe Activities',
  DescribeActivitiesInput,
  { autoScaling: autoScalingClient(), metrics: fleetMetrics() },
  async (input, { autoScaling, metrics, settings, now }) => {
    const deployed = await settings.of(input);
    const found = await describeActivities(autoScaling, deployed.groupName, { all: deployed.warmPoolAuto });
    const at = now();
    const activities = summariseActivities(found, deployed, at);
    publishMetrics(metrics, input.fleet, {
      ...(activities.failedLaunches > 0 && { FailedLaunches: activities.failedLaunches }),
      ...(activities.placementRefusals !== undefined && { PlacementRefusals: activities.placementRefusals }),
      ...(isFallbackInForce(activities.spotShortageAt, at) && { SpotFallback: 1 }),
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
