import { expect, it, onTestFinished } from 'vitest';
import { FunctionsClock } from '../../sandbox/functions-clock.ts';
import { HANDLERS, type Metric } from '../../sandbox/workflow.ts';
import { oneFleet } from '../support/sandbox.ts';

it.each([
  { clock: 'agrees with', ahead: 0 },
  { clock: 'is ahead of', ahead: 90 },
  { clock: 'is behind', ahead: -90 },
])(
  'a clock of the functions that $clock that of the workflow shows in what they publish, and nowhere else',
  async ({ ahead }) => {
    const clock = new FunctionsClock();
    const { sandbox, execute } = await oneFleet({ replace: clock.handlers });
    onTestFinished(clock.install());
    clock.ahead = ahead;
    const execution = await execute();
    const published = ({ name }: Metric) => name === 'PollDuration';
    expect(sandbox.workflow.metrics.find(published)?.at).toBe(execution.startedAt + ahead * 1_000);
    expect(Date.now()).toBe(sandbox.clock.now());
    expect(new Date(0)).toBeInstanceOf(Date);
    expect(Object.keys(clock.handlers)).toEqual(Object.keys(HANDLERS));
  },
);
