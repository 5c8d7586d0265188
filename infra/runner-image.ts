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
  fleet: Pick<FleetConfig, 'image' | 'rootDevice' | 'instanceTypes' | 'instanceRequirements'>;
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
  private readonly image: IMachineImage;

  constructor(scope: Construct, id: string, { fleet, machineImage }: RunnerImageProps) {
    super(scope, id);
    const { image, instanceRequirements: requirements } = fleet;
    const stock = isStock(image) ? STOCK_IMAGES[image] : undefined;
    const architecture = architectureOfFleet(fleet);
    const parameter = stock?.parameter(architecture) ?? imageParameter(image);
    this.rootDevice = stock?.rootDevice ?? fleet.rootDevice;
    if (machineImage !== undefined) {
      this.image = machineImage;
    } else if (parameter === undefined) {
      this.image = imageWithId(image);
    } else if (requirements === undefined) {
      this.image = MachineImage.resolveSsmParameterAtLaunch(parameter);
    } else {
      // A group that chooses instance types by their attributes takes no parameter from its launch template.
      this.image = MachineImage.fromSsmParameter(parameter, { os: OperatingSystemType.LINUX });
    }
  }

  getImage(scope: Construct): MachineImageConfig {
    return this.image.getImage(scope);
  }

  /** Allows a role to launch all stock images, and those that the fleets name by a parameter. */
  static allowLaunch(role: Role, fleets: FleetConfig[]): void {
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
    allow(role, {
      actions: ['ssm:GetParameters'],
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
