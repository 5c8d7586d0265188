import { setDesiredCapacity } from './lib/auto-scaling.ts';
import { UpdateGroupInput } from './lib/contracts.ts';
import { step } from './lib/step.ts';

/** Sets the group's desired capacity to what Compute Capacity decided. */
export const handler = step('Update Group', UpdateGroupInput, async ({ groupName, plan }) => {
  const { desired } = plan.decision;
  await setDesiredCapacity(groupName, desired);
  return { desired };
});
