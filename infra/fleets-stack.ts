import type { App } from 'aws-cdk-lib';
import { FleetsInvalid, loadFleets } from '../fleets/load.ts';
import { faultOfStackName, STACK_NAME } from '../fleets/names.ts';
import { RELEASE_FILE, withRelease } from '../fleets/runner-release.ts';
import { AutoscalerStack } from './stack.ts';

/**
 * Adds the stack that the context of the app asks for: its name, and the files of its fleets, of their guardrails and
 * of the pinned release of the runner.
 *
 * @throws FleetsInvalid
 */
export function addStack(app: App): AutoscalerStack {
  const context = (key: string, otherwise: string) => String(app.node.tryGetContext(key) ?? otherwise);
  const name = context('stack', STACK_NAME);
  const fault = faultOfStackName(name);
  if (fault !== undefined) throw new FleetsInvalid(`-c stack ${fault}, got ${JSON.stringify(name)}`);
  const guardrails: unknown = app.node.tryGetContext('guardrails');
  const fleets = loadFleets(context('fleets', 'fleets.yaml'), {
    stack: name,
    guardrails: guardrails === undefined ? undefined : String(guardrails),
  });
  const runner = context('runner', RELEASE_FILE);
  return new AutoscalerStack(app, name, {
    fleets: runner === 'current' ? fleets : withRelease(fleets, runner),
  });
}
