import * as z from 'zod/mini';
import { ComputeCapacityInput, type DeployedSettings, Plan } from './lib/contracts.ts';
import { fleetMetrics, publishMetrics } from './lib/metrics.ts';
import { computeTimeout } from './lib/pacing.ts';
import { decidePoll, pollDuration } from './lib/poll.ts';
import { step } from './lib/step.ts';

/** Longer than an execution, so that no second poll fits into it. */
const ONE_POLL = { pollIntervalSeconds: 60, quietPollIntervalSeconds: 60 };

/** Where a fleet is among those that share its plan's concurrency. */
const placeAmong = ({ groupName, concurrency }: DeployedSettings) =>
  concurrency && { limit: concurrency.limit, position: concurrency.groups.indexOf(groupName) };

/** Decides what the group's desired capacity should be, and when the next poll is due. */
export const handler = step(
  'Compute Capacity',
  ComputeCapacityInput,
  { metrics: fleetMetrics() },
  async (input, world) => {
    const { settings, executionStartedAt } = input;
    const deployed = await world.settings.of(input);
    const { metrics, ...plan } = decidePoll(
      input,
      input.observed,
      {
        ...deployed,
        ...(settings.once && ONE_POLL),
        executionStartedAt,
        concurrency: placeAmong(deployed),
      },
      world.now(),
    );
    publishMetrics(world.metrics, input.fleet, metrics);
    const { next } = plan;
    const poll = { ...next.poll, executionStartedAt, computeTimeoutSeconds: computeTimeout(next.poll) };
    return z.encode(Plan, { ...plan, settings, next: { ...next, settings, poll } });
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
