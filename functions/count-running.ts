import { circleciAccess, countTasks } from './lib/circleci.ts';
import { CountInput } from './lib/contracts.ts';
import { step } from './lib/step.ts';

/** Counts the tasks of the fleet's resource class that a runner works on. */
export const handler = step('Count Running', CountInput, circleciAccess(), async (input, world) => {
  const settings = await world.settings.of(input);
  const answer = await countTasks(world, settings, input.poll, 'running');
  return 'count' in answer ? { running: answer.count } : answer;
});
