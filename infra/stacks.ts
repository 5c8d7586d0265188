import type { App } from 'aws-cdk-lib';
import type { FleetsFile } from '../fleets/fleet.ts';
import { type FleetConfig, FleetsInvalid, loadFleets, loadSettings } from '../fleets/load.ts';
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

export interface StacksProps {
  /**
   * The fleets by their names, with the settings of `fleets.yaml`: `docs/configuration.md` describes each one with its
   * unit and default. Paths are relative to the folder in which the app runs.
   *
   * Default: the file that the context `fleets` names, or else `fleets.yaml` in that folder.
   */
  fleets?: FleetsFile;
}

/**
 * Adds the stacks of an app: one that all fleets share, and one for each fleet. The context says how the app is called
 * (`stack`), and has the paths of the fleets, of their guardrails (`guardrails`) and of the pinned release of the runner
 * (`runner`, or `current` for the release of the day).
 *
 * @throws FleetsInvalid with every fault of the settings, and with all that the guardrails do not allow.
 */
export function addStacks(app: App, { fleets: settings }: StacksProps = {}): Stacks {
  const context = (key: string, otherwise: string) => String(app.node.tryGetContext(key) ?? otherwise);
  const name = context('stack', STACK_NAME);
  const fault = faultOfStackName(name);
  if (fault !== undefined) throw new FleetsInvalid(`-c stack ${fault}, got ${JSON.stringify(name)}`);
  const faultOfUrl = faultOfRunbookUrl(app);
  if (faultOfUrl !== undefined) throw new FleetsInvalid(faultOfUrl);
  const guardrails: unknown = app.node.tryGetContext('guardrails');
  const deployment = {
    stack: name,
    guardrails: guardrails === undefined ? undefined : String(guardrails),
  };
  const fleets =
    settings === undefined
      ? loadFleets(context('fleets', 'fleets.yaml'), deployment)
      : loadSettings(settings, 'The app', deployment);
  const runner = context('runner', RELEASE_FILE);
  return stacksOf(app, name, runner === 'current' ? fleets : withRelease(fleets, runner));
}
