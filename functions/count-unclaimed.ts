import { circleciAccess, countTasks } from './lib/circleci.ts';
import { CountInput } from './lib/contracts.ts';
import { step } from './lib/step.ts';

/** Counts the tasks of the fleet's resource class that wait for a runner. */
export const handler = step('Count Unclaimed', CountInput, circleciAccess(), async (input, world) => {
  const settings = await world.settings.of(input);
  const answer = await countTasks(world, settings, input.poll, 'unclaimed');
  return 'count' in answer ? { unclaimed: answer.count } : answer;
});
