import { Stack } from 'aws-cdk-lib';
import {
  type IMachineImage,
  MachineImage,
  type MachineImageConfig,
  OperatingSystemType,
  UserData,
} from 'aws-cdk-lib/aws-ec2';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import { imageParameter, isStock } from '../fleets/settings/image.ts';
import { type Architecture, architectureOfFleet } from '../fleets/settings/instance.ts';
import { builtImageParameter } from '../functions/lib/fleet-names.ts';
import { allow } from './permissions.ts';

/** The stock images, as their makers publish them for each region, and the root device of each. */
const STOCK_IMAGES = {
  ubuntu: {
    parameter: (architecture: Architecture) =>
      `/aws/service/canonical/ubuntu/server/24.04/stable/current/${architecture === 'x86_64' ? 'amd64' : architecture}/hvm/ebs-gp3/ami-id`,
    rootDevice: '/dev/sda1',
  },
  'amazon-linux': {
    parameter: (architecture: Architecture) =>
      `/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${architecture}`,
    rootDevice: '/dev/xvda',
  },
};

export interface RunnerImageProps {
  app: string;
  fleet: Pick<
    FleetConfig,
    'name' | 'image' | 'imageBuild' | 'rootDevice' | 'instanceTypes' | 'instanceRequirements'
  >;
  /** An image in place of the configured one. */
  machineImage?: IMachineImage | undefined;
}

/**
 * The image of a fleet's instances. Each launch reads the parameter that names it:
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/using-systems-manager-parameters.html
 */
export class RunnerImage extends Construct implements IMachineImage {
  /** The root device, if it is known. */
  readonly rootDevice: string | undefined;
  /** The id of the image that the settings name, or the parameter with the id. An image may be built on it. */
  readonly source: { id: string } | { parameter: string };
  private readonly image: IMachineImage;

  constructor(scope: Construct, id: string, { app, fleet, machineImage }: RunnerImageProps) {
    super(scope, id);
    const { image, instanceRequirements: requirements } = fleet;
    const stock = isStock(image) ? STOCK_IMAGES[image] : undefined;
    const architecture = architectureOfFleet(fleet);
    const parameter = stock?.parameter(architecture) ?? imageParameter(image);
    this.rootDevice = stock?.rootDevice ?? fleet.rootDevice;
    this.source = parameter === undefined ? { id: image } : { parameter };
    if (machineImage !== undefined) {
      this.image = machineImage;
    } else if (fleet.imageBuild !== undefined) {
      this.image = MachineImage.resolveSsmParameterAtLaunch(builtImageParameter(app, fleet.name));
    } else if (parameter === undefined) {
      this.image = imageWithId(image);
    } else if (requirements === undefined) {
      this.image = MachineImage.resolveSsmParameterAtLaunch(parameter);
    } else {
      // A group that chooses instance types by their attributes takes no parameter from its launch template.
      this.image = MachineImage.fromSsmParameter(parameter, { os: OperatingSystemType.LINUX });
    }
  }

  /** The image on which one is built, as EC2 Image Builder reads it. */
  get parent(): string {
    return 'id' in this.source ? this.source.id : `ssm:${this.source.parameter}`;
  }

  getImage(scope: Construct): MachineImageConfig {
    return this.image.getImage(scope);
  }

  /**
   * Allows a role to read which images all fleets may launch: the stock images, those that the fleets name by a parameter,
   * and those that were built for them.
   *
   * @param action The action by which it reads parameters.
   */
  static allowRead(app: string, role: Role, fleets: FleetConfig[], action: string): void {
    const arnOf = (parameter: string, more: { account?: string } = {}) =>
      Stack.of(role).formatArn({
        service: 'ssm',
        resource: 'parameter',
        resourceName: parameter.replace(/^\//, '').replace(/:.*$/, ''),
        ...more,
      });
    const stock = Object.values(STOCK_IMAGES).flatMap(({ parameter }) =>
      (['x86_64', 'arm64'] as const).map((architecture) => parameter(architecture)),
    );
    const named = new Set(fleets.flatMap(({ image }) => imageParameter(image) ?? []));
    if (fleets.some(({ imageBuild }) => imageBuild !== undefined)) {
      allow(role, {
        actions: [action],
        resources: [arnOf(builtImageParameter(app, '*'))],
        wildcard: 'The path is of this app alone. Fleets have stacks of their own.',
      });
    }
    allow(role, {
      actions: [action],
      // The parameters that AWS publishes belong to no account.
      resources: [
        ...stock.map((parameter) => arnOf(parameter, { account: '' })),
        ...[...named].map((parameter) => arnOf(parameter)),
      ],
    });
  }
}

const imageWithId = (imageId: string): IMachineImage => ({
  getImage: () => ({ imageId, osType: OperatingSystemType.LINUX, userData: UserData.forLinux() }),
});
