import type { ArnComponents } from 'aws-cdk-lib';
import { type IMachineImage, MachineImage, OperatingSystemType, UserData } from 'aws-cdk-lib/aws-ec2';
import type { FleetConfig } from '../fleets/load.ts';
import { imageParameter, isStock } from '../fleets/settings/image.ts';
import type { Architecture } from '../fleets/settings/instance.ts';

/** The stock images, as their makers publish them for each region, and where each has its root volume. */
const IMAGES = {
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

/** What a launch template says of an image. */
export interface LaunchedImage {
  machineImage: IMachineImage;
  /** Where its root volume is, if that is known. */
  rootDevice: string | undefined;
  /** The ARN of the parameter that is read at each launch, if one is. */
  parameter: ArnComponents | undefined;
}

/** The image of a fleet. A parameter that names one is read at each launch: https://docs.aws.amazon.com/autoscaling/ec2/userguide/using-systems-manager-parameters.html */
export function imageOf(
  { image, rootDevice, instanceRequirements }: FleetConfig,
  architecture: Architecture,
): LaunchedImage {
  const stock = isStock(image) ? IMAGES[image] : undefined;
  const parameter = stock?.parameter(architecture) ?? imageParameter(image);
  return {
    machineImage: machineImage(),
    rootDevice: stock?.rootDevice ?? rootDevice,
    parameter:
      parameter === undefined || instanceRequirements !== undefined
        ? undefined
        : {
            service: 'ssm',
            resource: 'parameter',
            resourceName: parameter.replace(/^\//, '').replace(/:.*$/, ''),
            // Those that AWS publishes are of no account.
            ...(stock !== undefined && { account: '' }),
          },
  };

  function machineImage(): IMachineImage {
    if (parameter === undefined) {
      return {
        getImage: () => ({
          imageId: image,
          osType: OperatingSystemType.LINUX,
          userData: UserData.forLinux(),
        }),
      };
    }
    // A group that is told instance types by their attributes takes no parameter from its launch template.
    return instanceRequirements === undefined
      ? MachineImage.resolveSsmParameterAtLaunch(parameter)
      : MachineImage.fromSsmParameter(parameter, { os: OperatingSystemType.LINUX });
  }
}
