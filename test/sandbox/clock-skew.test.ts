import { expect, it } from 'vitest';
import type { Metric } from '../../sandbox/workflow.ts';
import { oneFleet } from '../support/sandbox.ts';

it.each([
  { clock: 'agrees with', ahead: 0 },
  { clock: 'is ahead of', ahead: 90 },
  { clock: 'is behind', ahead: -90 },
])(
  "a clock of the functions that $clock the workflow's shows in what they publish, and nowhere else",
  async ({ ahead }) => {
    const { sandbox, execute } = await oneFleet();
    sandbox.functionsAheadSeconds = ahead;
    const execution = await execute();
    const published = ({ name }: Metric) => name === 'PollDuration';
    expect(sandbox.workflow.metrics.find(published)?.at).toBe(execution.startedAt + ahead * 1_000);
    expect(execution.endedAt).toBe(sandbox.clock.now());
  },
);
