import * as z from 'zod/mini';
import { ComputeCapacityInput, type DeployedSettings, Plan } from './lib/contracts.ts';
import { learnFrom } from './lib/learned.ts';
import { type LearnedStore, learnedStore, type Read } from './lib/learned-store.ts';
import { fleetMetrics, publishMetrics } from './lib/metrics.ts';
import { computeTimeout } from './lib/pacing.ts';
import { decidePoll } from './lib/poll.ts';
import { pollDuration } from './lib/poll-metrics.ts';
import { type Surroundings, step } from './lib/step.ts';

/** Longer than an execution, so that no second poll fits into it. */
const ONE_POLL = { pollIntervalSeconds: 60, quietPollIntervalSeconds: 60 };

/** Where a fleet is among those that share its plan's concurrency. */
const placeAmong = ({ groupName, concurrency }: DeployedSettings) =>
  concurrency && { limit: concurrency.limit, position: concurrency.groups.indexOf(groupName) };

/** What a fleet had learned before this execution, if it learns and that can be read. */
async function readLearned(
  { fleet, poll }: ComputeCapacityInput,
  { spareRunners, warmPoolAuto }: DeployedSettings,
  { learned: store, log }: { learned: LearnedStore } & Pick<Surroundings, 'log'>,
): Promise<Read | undefined> {
  if (spareRunners === undefined && !warmPoolAuto) return undefined;
  if (poll.learned === 0) return { version: 0, learned: undefined };
  // The first poll could not read it, so this execution writes nothing: it would replace what was learned.
  if (poll.number > 1 && poll.learned === undefined) return undefined;
  const read = await store.read(fleet, poll.learned);
  if (!(read instanceof Error)) return read;
  log.info('Systems Manager did not give what the fleet has learned. This execution does without it.', {
    fleet,
    error: read,
  });
  return undefined;
}

/** Decides what the group's desired capacity should be, and when the next poll is due. */
export const handler = step(
  'Compute Capacity',
  ComputeCapacityInput,
  { metrics: fleetMetrics(), learned: learnedStore() },
  async (input, world) => {
    const { settings, executionStartedAt, fleet } = input;
    const deployed = await world.settings.of(input);
    const read = await readLearned(input, deployed, world);
    const now = world.now();
    const { metrics, ...plan } = decidePoll(
      input,
      input.observed,
      {
        ...deployed,
        ...(settings.once && ONE_POLL),
        executionStartedAt,
        concurrency: placeAmong(deployed),
        learned: read?.learned,
      },
      now,
    );
    publishMetrics(world.metrics, fleet, metrics);
    const { next, again } = plan;
    if (!again && read !== undefined) {
      const learned = learnFrom(read.learned, next, deployed, now);
      const fault =
        learned === read.learned || !learned ? undefined : await world.learned.write(fleet, learned);
      if (fault !== undefined)
        world.log.info('Systems Manager did not take what the fleet has learned. It learns it again.', {
          fleet,
          error: fault,
        });
    }
    const poll = {
      ...next.poll,
      executionStartedAt,
      computeTimeoutSeconds: computeTimeout(next.poll),
      ...(read && { learned: read.version }),
    };
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
