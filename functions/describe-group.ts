import { autoScalingClient, describeGroup } from './lib/auto-scaling.ts';
import { DescribeGroupInput } from './lib/contracts.ts';
import { step } from './lib/step.ts';

/**
 * Reads the group's desired capacity and counts its members by lifecycle state. In the same request, it reads the groups
 * of the fleets that share a plan with it.
 */
export const handler = step(
  'Describe Group',
  DescribeGroupInput,
  { autoScaling: autoScalingClient() },
  async (input, { autoScaling, settings, now }) => {
    const { groupName, concurrency } = await settings.of(input);
    return describeGroup(autoScaling, groupName, concurrency?.groups, now());
  },
);
