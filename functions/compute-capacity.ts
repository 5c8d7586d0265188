import * as z from 'zod/mini';
import { ComputeCapacityInput, Plan } from './lib/contracts.ts';
import { fleetMetrics, publishMetrics } from './lib/metrics.ts';
import { decidePoll, pollDuration } from './lib/poll.ts';
import { step } from './lib/step.ts';

/** Decides what the group's desired capacity should be, and when the next poll is due. */
export const handler = step(
  'Compute Capacity',
  ComputeCapacityInput,
  { metrics: fleetMetrics() },
  async (input, world) => {
    const { metrics, ...plan } = decidePoll(input, input.observed, input, world.now());
    publishMetrics(world.metrics, input.fleet, metrics);
    return z.encode(Plan, plan);
  },
  // The record of a decision, in one line.
  ({ decision }, { observed, poll }, { now }) => ({
    ...observed.unclaimed,
    ...observed.running,
    ...observed.group,
    decision,
    pollDurationMs: pollDuration(poll, now()),
  }),
);
