import { countTasks } from './lib/circleci.ts';
import { CountInput } from './lib/contracts.ts';
import { step } from './lib/step.ts';

/** Counts the tasks of the fleet's resource class that a runner works on. */
export const handler = step('Count Running', CountInput, async (input) => {
  const answer = await countTasks(input, 'running');
  return 'count' in answer ? { running: answer.count } : answer;
});
