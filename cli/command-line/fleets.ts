import { existsSync } from 'node:fs';
import type { Command } from 'commander';
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
  const names = fleets.map((candidate) => candidate.name);
  throw new UsageError(
    `${otherFleet(what, `one of ${file}`, names, [name])}. To read another file: --fleets FILE`,
  );
}

/** What a command says of a name that is no fleet, wherever it looked. */
export const otherFleet = (
  what: string,
  where: string,
  names: readonly string[],
  got: readonly string[],
): string =>
  `${what} must be ${where} (${names.join(', ')}), got ${got.map((name) => JSON.stringify(name)).join(', ')}`;

/**
 * Refuses names that are no deployed fleet.
 *
 * @param deployed The fleets of the stack.
 * @throws NotDeployed if the stack has no fleets at all, UsageError if a name is none of them
 */
export function refuseUnknown(
  stack: string,
  deployed: readonly string[],
  named: string | readonly string[] | undefined,
): void {
  if (deployed.length === 0)
    throw new NotDeployed(`Stack ${stack} has no fleets. Deploy it first: npx cdk deploy --all`);
  const unknown = [named ?? []].flat().filter((name) => !deployed.includes(name));
  if (unknown.length > 0) throw new UsageError(otherFleet('The fleet', 'a deployed one', deployed, unknown));
}

/** @throws NotDeployed always */
export function refuseNotDeployed(fleet: string, stack: string): never {
  throw new NotDeployed(
    `Fleet ${fleet} is not deployed by stack ${stack}. Deploy it first: npx cdk deploy --all`,
  );
}

/**
 * Whether there is no fleets file: the option `--fleets` names none, and the usual one is not there. So it is in an app that
 * uses the library.
 */
export const hasNoFile = (command: Command): boolean =>
  command.getOptionValueSource('fleets') === 'default' && !existsSync(command.opts().fleets);
