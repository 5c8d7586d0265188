import * as z from 'zod/mini';
import { summariseActivities } from './lib/activities.ts';
import { Activities, DescribeActivitiesInput } from './lib/contracts.ts';
import { publishMetrics } from './lib/metrics.ts';
import { describeActivities } from './lib/scaling-activities.ts';
import { step } from './lib/step.ts';

/** Reads what became of the group's launches, and says from that whether the breaker is open. */
export const handler = step(
  'Describe Activities',
  DescribeActivitiesInput,
  async (input) => {
    const { fleet, groupName, warmPoolAuto } = input;
    const found = await describeActivities(groupName, { all: warmPoolAuto });
    const activities = summariseActivities(found, input, Date.now());
    publishMetrics(fleet, {
      ...(activities.failedLaunches > 0 && { FailedLaunches: activities.failedLaunches }),
      ...(activities.breaker.open && { BreakerOpen: 1 }),
    });
    return z.encode(Activities, activities);
  },
  ({ breaker, failedLaunches }) =>
    breaker.open || failedLaunches > 0 ? { breaker, failedLaunches } : undefined,
);
