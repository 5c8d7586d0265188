import { logicalId } from '../../fleets/names.ts';
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
  const outputs = await readOutputs(app);
  const output = (what: string) => outputs[`${logicalId(fleet)}${what}`];
  const [group, scalerSecret, runnerSecret] = [
    output('GroupName'),
    output('ScalerSecretName'),
    output('RunnerSecretName'),
  ];
  // Two names may have the same outputs, such as a_b and a-b.
  if (group !== `${app}-${fleet}` || scalerSecret === undefined || runnerSecret === undefined)
    return undefined;
  return { fleet, stack: app, group, scalerSecret, runnerSecret };
}

/** The names of the deployed fleets of an app. */
export async function deployedFleets(app: string): Promise<string[]> {
  return Object.entries(await readOutputs(app)).flatMap(([key, name]) =>
    key.endsWith('GroupName') ? [name.slice(app.length + 1)] : [],
  );
}
