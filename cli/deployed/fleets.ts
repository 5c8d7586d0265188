import { fleetStackName, groupNameOf } from '../../fleets/names.ts';
import { readOutputs } from './outputs.ts';

/** A deployed fleet, and the names of what belongs to it. */
export interface DeployedFleet {
  fleet: string;
  /** The stack that deployed it. */
  stack: string;
  group: string;
  scalerSecret: string;
  runnerSecret: string;
}

/**
 * Finds a deployed fleet by its name.
 *
 * @param app Name of the app, as in `-c stack`.
 */
export async function deployedFleet(app: string, fleet: string): Promise<DeployedFleet | undefined> {
  const stack = fleetStackName(app, fleet);
  const { GroupName, ScalerSecretName, RunnerSecretName } = await readOutputs(stack);
  // Two names may have the same stack, such as a_b and a-b.
  if (
    GroupName !== groupNameOf(app, fleet) ||
    ScalerSecretName === undefined ||
    RunnerSecretName === undefined
  )
    return undefined;
  return { fleet, stack, group: GroupName, scalerSecret: ScalerSecretName, runnerSecret: RunnerSecretName };
}
