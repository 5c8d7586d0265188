import { checkFleets, type FleetConfig } from '../fleets/load.ts';

/** The fleet that is replayed by default, as in fleets.yaml: default settings, and the highest `maxReplicas`. */
export const PLAIN_FLEET = {
  resourceClass: 'simulated/class',
  instanceTypes: ['m7i.large'],
  maxReplicas: 10_000,
};

/**
 * The plain fleet with these settings, as in fleets.yaml.
 *
 * @throws FleetsInvalid
 */
export function plainFleet(settings: Record<string, unknown> = {}): FleetConfig {
  const name = 'simulated';
  const [fleet] = checkFleets({ [name]: { ...PLAIN_FLEET, ...settings } }, `${name} fleet`);
  if (fleet === undefined) throw new Error(`There is no fleet ${name}`);
  return fleet;
}
