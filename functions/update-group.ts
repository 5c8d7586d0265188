import { describeGroup, setDesiredCapacity } from './lib/auto-scaling.ts';
import { stillToWrite } from './lib/capacity.ts';
import { UpdateGroupInput } from './lib/contracts.ts';
import { publishMetrics } from './lib/metrics.ts';
import { step } from './lib/step.ts';

/** Sets the group's desired capacity to what Compute Capacity decided, if the group does not say otherwise by now. */
export const handler = step(
  'Update Group',
  UpdateGroupInput,
  async ({ fleet, groupName, decision, again }) => {
    const group = await describeGroup(groupName);
    const desired = stillToWrite(decision, group);
    if (desired !== undefined) await setDesiredCapacity(groupName, desired);
    const launches = Math.max((desired ?? 0) - group.desired, 0);
    publishMetrics(fleet, {
      ...(launches > 0 && { Launches: launches }),
      ...(!again && { ExecutionsSucceeded: 1 }),
    });
    return { desired: desired ?? group.desired, written: desired !== undefined };
  },
  (updated) => updated,
);
