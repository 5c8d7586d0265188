import type { Environment } from 'aws-cdk-lib';
import type { IMachineImage } from 'aws-cdk-lib/aws-ec2';
import type { Construct } from 'constructs';
import { buildingImages } from '../fleets/built-images.ts';
import type { FleetConfig } from '../fleets/load.ts';
import { spreading } from '../fleets/own-second.ts';
import { AllFleets } from './all-fleets.ts';
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
  const growing = new GrowingStacks(scope, name, { encryptionKey: configs[0]?.encryptionKey, env });
  for (const config of configs) growing.add(config, images?.(config.name));
  growing.complete();
  return growing.stacks;
}

/** The stacks of an app to which fleets are added one by one. A fleet knows those before it; what depends on all is made last. */
export class GrowingStacks {
  readonly stacks: AppStacks;
  private readonly target: { env?: Environment };
  private readonly allFleets = new AllFleets();
  private readonly imageOf = buildingImages();
  private readonly secondOf = spreading().secondOf;

  constructor(
    private readonly scope: Construct,
    private readonly name: string,
    { encryptionKey, env }: { encryptionKey: string | undefined; env: Environment | undefined },
  ) {
    this.target = env === undefined ? {} : { env };
    const shared = new SharedStack(scope, name, { encryptionKey, ...this.target });
    refuseLargePolicies(shared);
    this.stacks = { shared, fleets: [] };
  }

  /**
   * Adds the stack of a fleet.
   *
   * @param machineImage An image in place of the configured one.
   */
  add(config: FleetConfig, machineImage?: IMachineImage): FleetStack {
    this.allFleets.add(config);
    const stack = new FleetStack(this.scope, {
      app: this.name,
      config,
      spreadSeconds: this.secondOf(config),
      machineImage,
      image: machineImage === undefined ? this.imageOf(config) : undefined,
      allFleets: this.allFleets,
      ...this.target,
    });
    // Only the order of deployment: no stack refers to another one.
    stack.addStackDependency(this.stacks.shared);
    refuseLargePolicies(stack);
    this.stacks.fleets.push(stack);
    return stack;
  }

  /** Makes what depends on all fleets, after the last one. */
  complete(): void {
    this.stacks.shared.complete(this.allFleets.complete());
  }
}
