import { autoScalingClient, describeGroup } from './lib/auto-scaling.ts';
import { DescribeGroupInput } from './lib/contracts.ts';
import { step } from './lib/step.ts';

/** Reads the group's desired capacity and counts its members by lifecycle state. */
export const handler = step(
  'Describe Group',
  DescribeGroupInput,
  { autoScaling: autoScalingClient() },
  async (input, { autoScaling, settings }) => {
    const { groupName } = await settings.of(input);
    return describeGroup(autoScaling, groupName);
  },
);
