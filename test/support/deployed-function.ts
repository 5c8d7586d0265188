import { execFile } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { deployedSettingsOf } from '../../fleets/deployed-settings.ts';
import type { FleetConfig } from '../../fleets/load.ts';
import { stacksOf } from '../../infra/stacks.ts';
import { leanApp } from '../infra/template.ts';
import { json } from './aws-stand-in.ts';
import type { DoctorAws } from './doctor-aws.ts';

/** A function as it is deployed: the folder of its code, and its environment variables. */
export interface DeployedFunction {
  folder: string;
  variables: Record<string, string>;
}

/**
 * Deploys a fleet as far as this machine can: its settings, its secret, and a function as an asset with its environment.
 *
 * @param name The function's name after the stack's, such as `count-unclaimed`.
 */
export function deployFunction(
  aws: DoctorAws,
  { name, fleets, token }: { name: string; fleets: FleetConfig[]; token: string },
): DeployedFunction {
  const folder = mkdtempSync(join(tmpdir(), 'function-'));
  const app = leanApp({ outdir: folder, context: { 'aws:cdk:enable-asset-metadata': true } });
  stacksOf(app, 'circleci-runners', fleets);
  const resources: Record<string, unknown> = app.synth().getStackByName('circleci-runners')
    .template.Resources;
  const found = Object.values(resources)
    .map((resource) => Object(resource))
    .find(({ Properties }) => Properties?.FunctionName === `circleci-runners-${name}`);
  const [fleet] = fleets;
  if (fleet === undefined) throw new Error('There is no fleet');
  const settings = {
    ...JSON.parse(JSON.stringify(deployedSettingsOf('circleci-runners', fleet))),
    scalerSecretName: 'acme/scaler',
    groupName: 'circleci-runners-linux',
    alarmTopicArn: 'arn:aws:sns:eu-west-1:111122223333:alarms',
  };
  aws.changed.set(
    'GetParameter',
    json({ Parameter: { Name: 'settings', Value: JSON.stringify(settings), Version: 1 } }),
  );
  const secret = {
    resource_class: fleet.resourceClass,
    circleci_url: fleet.circleciUrl,
    circle_token: token,
  };
  aws.changed.set('GetSecretValue', json({ SecretString: JSON.stringify(secret) }));
  return {
    folder: join(folder, found.Metadata['aws:asset:path']),
    variables: found.Properties.Environment.Variables,
  };
}

/**
 * Runs the function in a process of its own, as Lambda does: its code is in `/var/task`.
 *
 * @param more More environment variables, such as the endpoint of AWS.
 * @param node The program. Default: the Node.js that runs the tests.
 */
export async function invokeFunction(
  { folder, variables }: DeployedFunction,
  more: Record<string, string>,
  node = process.execPath,
) {
  const event = {
    fleet: 'linux',
    execution: 'arn:aws:states:eu-west-1:111122223333:express:circleci-runners:e-1',
    settings: { version: 1 },
    poll: { number: 1, executionStartedAt: new Date().toISOString(), timeoutSeconds: 5 },
  };
  const program = `
    const { handler } = await import(${JSON.stringify(join(folder, 'index.mjs'))});
    const said = await handler(${JSON.stringify(event)}).catch(({ name, message }) => ({ name, message }));
    process.stdout.write('\\nANSWER ' + JSON.stringify(said));`;
  const environment = Object.fromEntries(
    Object.entries(variables).map(([key, value]) => [key, value.replace('/var/task', folder)]),
  );
  const { stdout } = await promisify(execFile)(node, ['--input-type=module', '--eval', program], {
    env: {
      PATH: process.env.PATH,
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      ...more,
      ...environment,
    },
  });
  return JSON.parse(stdout.split('\nANSWER ')[1] ?? 'null');
}
