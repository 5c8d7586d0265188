import { App } from 'aws-cdk-lib';
import { FleetsInvalid, loadFleets } from '../fleets/load.ts';
import { faultOfStackName, STACK_NAME } from '../fleets/names.ts';
import { RELEASE_FILE, withRelease } from '../fleets/runner-release.ts';
import { AutoscalerStack } from './stack.ts';

const app = new App();
const context = (key: string, otherwise: string) => String(app.node.tryGetContext(key) ?? otherwise);
try {
  const name = context('stack', STACK_NAME);
  const fault = faultOfStackName(name);
  if (fault !== undefined) throw new FleetsInvalid(`-c stack ${fault}, got ${JSON.stringify(name)}`);
  const guardrails: unknown = app.node.tryGetContext('guardrails');
  const fleets = loadFleets(context('fleets', 'fleets.yaml'), {
    stack: name,
    guardrails: guardrails === undefined ? undefined : String(guardrails),
  });
  const runner = context('runner', RELEASE_FILE);
  new AutoscalerStack(app, name, { fleets: runner === 'current' ? fleets : withRelease(fleets, runner) });
} catch (error) {
  if (!(error instanceof FleetsInvalid)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
