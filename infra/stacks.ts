import type { Environment } from 'aws-cdk-lib';
import type { IMachineImage } from 'aws-cdk-lib/aws-ec2';
import type { Construct } from 'constructs';
import { builtImagesOf } from '../fleets/built-images.ts';
import type { FleetConfig } from '../fleets/load.ts';
import { spreadOf } from '../fleets/own-second.ts';
import { FleetStack } from './fleet-stack.ts';
import { refuseLargePolicies } from './role-limits.ts';
import { SharedStack } from './shared-stack.ts';

/** The stacks of an app: one that its fleets share, and one for each fleet, in the order of the file. */
export interface AppStacks {
  /** The stack of the workflow, the functions, the alarm topic and the dashboard. */
  shared: SharedStack;
  /** The stacks of the groups, with their templates, roles, secrets, schedules and alarms. */
  fleets: FleetStack[];
}

export interface StacksOptions {
  /** The image of a fleet in place of the configured one. */
  images?: (fleet: string) => IMachineImage | undefined;
  env?: Environment | undefined;
}

/** Adds the stacks of these fleets to an app or a stage. */
export function stacksOf(
  scope: Construct,
  name: string,
  configs: FleetConfig[],
  { images, env }: StacksOptions = {},
): AppStacks {
  const target = env && { env };
  const shared = new SharedStack(scope, name, { fleets: configs, ...target });
  const built = builtImagesOf(configs.filter((config) => images?.(config.name) === undefined));
  const seconds = spreadOf(configs);
  const scalerSecrets = configs.flatMap(({ scalerSecretName }) => scalerSecretName ?? []);
  const fleets = configs.map((config) => {
    const image = built.find(({ fleets }) => fleets.includes(config));
    const machineImage = images?.(config.name);
    return new FleetStack(scope, {
      app: name,
      config,
      spreadSeconds: seconds.get(config.name),
      machineImage,
      image,
      scalerSecrets,
      ...target,
    });
  });
  // Only the order of deployment: no stack refers to another one.
  for (const fleet of fleets) fleet.addStackDependency(shared);
  for (const stack of [shared, ...fleets]) refuseLargePolicies(stack);
  return { shared, fleets };
}
