import { checkFleets, type FleetConfig } from '../fleets/load.ts';

/** What is replayed unless a fleet is named, as fleets.yaml would say it: the defaults, and as many instances as there can be. */
export const PLAIN_FLEET = {
  resourceClass: 'simulated/class',
  instanceTypes: ['m7i.large'],
  maxReplicas: 10_000,
};

/**
 * The plain fleet with other settings, each as in fleets.yaml.
 *
 * @throws FleetsInvalid
 */
export function plainFleet(settings: Record<string, unknown> = {}): FleetConfig {
  const name = 'simulated';
  const [fleet] = checkFleets({ [name]: { ...PLAIN_FLEET, ...settings } }, `${name} fleet`);
  if (fleet === undefined) throw new Error(`There is no fleet ${name}`);
  return fleet;
}
