import { circleciAccess, countTasks } from './lib/circleci.ts';
import { CountInput } from './lib/contracts.ts';
import { step } from './lib/step.ts';
import { checkZero, type ZeroMemory } from './lib/zero-check.ts';

const memory: ZeroMemory = new Map();

/** Counts the tasks of the fleet's resource class that a runner works on. Now and then it checks a count of 0. */
export const handler = step(
  'Count Running',
  CountInput,
  { ...circleciAccess(), memory },
  async (input, world) => {
    const startedAt = world.now();
    const settings = await world.settings.of(input);
    const answer = await countTasks(world, settings, input.poll, 'running');
    if (!('count' in answer)) return answer;
    const check = await checkZero(world, settings, input.poll, answer.count, startedAt);
    return { running: answer.count, ...(check && { check }) };
  },
);
