import type { App } from 'aws-cdk-lib';
import { type FleetConfig, FleetsInvalid, loadFleets } from '../fleets/load.ts';
import { faultOfStackName, STACK_NAME } from '../fleets/names.ts';
import { RELEASE_FILE, withRelease } from '../fleets/runner-release.ts';
import { FleetStack } from './fleet-stack.ts';
import { faultOfRunbookUrl } from './runbook.ts';
import { SharedStack } from './shared-stack.ts';

/** The stacks of an app: one that its fleets share, and one for each fleet, in the order of the file. */
export interface Stacks {
  shared: SharedStack;
  fleets: FleetStack[];
}

/** Adds the stacks of these fleets to an app. */
export function stacksOf(app: App, name: string, configs: FleetConfig[]): Stacks {
  const shared = new SharedStack(app, name, { fleets: configs });
  const fleets = configs.map((config) => new FleetStack(app, { app: name, config }));
  // Only the order of deployment: no stack refers to another one.
  for (const fleet of fleets) fleet.addStackDependency(shared);
  return { shared, fleets };
}

/**
 * Adds the stacks that the context of the app asks for: their name, and the files of its fleets, of their guardrails and
 * of the pinned release of the runner.
 *
 * @throws FleetsInvalid
 */
export function addStacks(app: App): Stacks {
  const context = (key: string, otherwise: string) => String(app.node.tryGetContext(key) ?? otherwise);
  const name = context('stack', STACK_NAME);
  const fault = faultOfStackName(name);
  if (fault !== undefined) throw new FleetsInvalid(`-c stack ${fault}, got ${JSON.stringify(name)}`);
  const faultOfUrl = faultOfRunbookUrl(app);
  if (faultOfUrl !== undefined) throw new FleetsInvalid(faultOfUrl);
  const guardrails: unknown = app.node.tryGetContext('guardrails');
  const fleets = loadFleets(context('fleets', 'fleets.yaml'), {
    stack: name,
    guardrails: guardrails === undefined ? undefined : String(guardrails),
  });
  const runner = context('runner', RELEASE_FILE);
  return stacksOf(app, name, runner === 'current' ? fleets : withRelease(fleets, runner));
}
