import type { Deployment } from '../../fleets/deployment.ts';
import { type FleetConfig, loadFleets } from '../../fleets/load.ts';
import { NotDeployed, UsageError } from './arguments.ts';

/**
 * The fleet of a file that has this name, for a command with `--fleets`.
 *
 * @param what The name of the argument in the error message, such as `--fleet`.
 * @param deployment Default: what `cdk.json` says.
 * @throws UsageError, FleetsInvalid
 */
export function namedFleet(
  file: string,
  name: string,
  what = 'The fleet',
  deployment: Partial<Deployment> = {},
): FleetConfig {
  const fleets = loadFleets(file, deployment);
  const fleet = fleets.find((candidate) => candidate.name === name);
  if (fleet !== undefined) return fleet;
  const names = fleets.map((candidate) => candidate.name).join(', ');
  throw new UsageError(
    `${what} must be one of ${file} (${names}), got ${JSON.stringify(name)}. To read another file: --fleets FILE`,
  );
}

/** @throws NotDeployed always */
export function refuseNotDeployed(fleet: string, stack: string): never {
  throw new NotDeployed(
    `Fleet ${fleet} is not deployed by stack ${stack}. Deploy it first: npx cdk deploy --all`,
  );
}
