import type { FleetConfig } from '../fleets/load.ts';

/** A range in the unit of EC2 Auto Scaling, which is `times` smaller than ours. */
const range = ({ min, max }: { min: number; max?: number | undefined }, times: number) => ({
  min: min * times,
  ...(max !== undefined && { max: max * times }),
});

/**
 * The instance types that a group launches, and how it chooses among them. Types that are given by their attributes have
 * no order of preference, so the group takes the one with the lowest price.
 */
export function overridesOf({ instanceTypes = [], instanceRequirements: requirements }: FleetConfig) {
  if (requirements === undefined) {
    return {
      onDemandAllocationStrategy: 'prioritized',
      overrides: instanceTypes.map((instanceType) => ({ instanceType })),
    };
  }
  const { architecture, vCpus, memoryGiB, burstable, excluded } = requirements;
  return {
    onDemandAllocationStrategy: 'lowest-price',
    overrides: [
      {
        instanceRequirements: {
          vCpuCount: range(vCpus, 1),
          memoryMiB: range(memoryGiB, 1_024),
          // The image has the architecture as well. This shows it in the template.
          cpuManufacturers: architecture === 'arm64' ? ['amazon-web-services'] : ['intel', 'amd'],
          instanceGenerations: ['current'],
          burstablePerformance: burstable ? 'included' : 'excluded',
          acceleratorCount: { max: 0 },
          ...(excluded.length > 0 && { excludedInstanceTypes: excluded }),
        },
      },
    ],
  };
}
