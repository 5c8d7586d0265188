import type { FleetConfig } from '../fleets/load.ts';

/** Bounds in the unit of EC2 Auto Scaling, of which `times` make one of ours. */
const range = ({ min, max }: { min: number; max?: number | undefined }, times: number) => ({
  min: min * times,
  ...(max !== undefined && { max: max * times }),
});

/**
 * Which instance types a group launches and how it chooses among them: `lowest-price` for types that are given by their
 * attributes, because those have no order of preference.
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
          // The image has an architecture as well; this says it in the template.
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
