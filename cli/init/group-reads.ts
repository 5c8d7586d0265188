import {
  AutoScalingClient,
  type AutoScalingGroup,
  DescribeAutoScalingGroupsCommand,
  DescribeLaunchConfigurationsCommand,
} from '@aws-sdk/client-auto-scaling';
import {
  DescribeImagesCommand,
  DescribeLaunchTemplateVersionsCommand,
  DescribeSubnetsCommand,
  EC2Client,
  type Image,
  type ResponseLaunchTemplateData,
} from '@aws-sdk/client-ec2';
import { AWS_CLIENT } from '../aws/client.ts';
import { UsageError } from '../command-line/arguments.ts';
import { type DescribedGroup, templateOf } from './from-group.ts';

/**
 * Reads an existing group with what it launches. It writes nothing.
 *
 * @throws UsageError if there is no such group
 */
export async function readGroup(name: string): Promise<DescribedGroup> {
  const autoScaling = new AutoScalingClient(AWS_CLIENT);
  const ec2 = new EC2Client(AWS_CLIENT);
  const { AutoScalingGroups = [] } = await autoScaling.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] }),
  );
  const [group] = AutoScalingGroups;
  if (group === undefined)
    throw new UsageError(
      `--from-group must be an Auto Scaling group of this account and region, got ${JSON.stringify(name)}. To list them: aws autoscaling describe-auto-scaling-groups --query "AutoScalingGroups[].AutoScalingGroupName"`,
    );
  const template = await readTemplate(group, autoScaling, ec2);
  const [vpcId, image] = await Promise.all([vpcOf(group, ec2), readImage(template.ImageId, ec2)]);
  return { group, template, vpcId, image };
}

async function readTemplate(
  group: AutoScalingGroup,
  autoScaling: AutoScalingClient,
  ec2: EC2Client,
): Promise<ResponseLaunchTemplateData> {
  const { LaunchConfigurationName, AutoScalingGroupName = '' } = group;
  if (LaunchConfigurationName !== undefined) {
    const { LaunchConfigurations = [] } = await autoScaling.send(
      new DescribeLaunchConfigurationsCommand({ LaunchConfigurationNames: [LaunchConfigurationName] }),
    );
    const [configuration] = LaunchConfigurations;
    return configuration === undefined ? {} : templateOf(configuration);
  }
  const named =
    group.LaunchTemplate ?? group.MixedInstancesPolicy?.LaunchTemplate?.LaunchTemplateSpecification;
  if (named === undefined) throw new UsageError(`Group ${AutoScalingGroupName} has no launch template.`);
  const { LaunchTemplateId, LaunchTemplateName, Version = '$Default' } = named;
  const { LaunchTemplateVersions = [] } = await ec2.send(
    new DescribeLaunchTemplateVersionsCommand({
      // AWS takes one of the two.
      ...(LaunchTemplateId === undefined ? { LaunchTemplateName } : { LaunchTemplateId }),
      Versions: [Version],
    }),
  );
  return LaunchTemplateVersions[0]?.LaunchTemplateData ?? {};
}

async function vpcOf(
  { VPCZoneIdentifier = '' }: AutoScalingGroup,
  ec2: EC2Client,
): Promise<string | undefined> {
  const [subnet] = VPCZoneIdentifier.split(',').filter((id) => id !== '');
  if (subnet === undefined) return undefined;
  const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({ SubnetIds: [subnet] }));
  return Subnets[0]?.VpcId;
}

async function readImage(id: string | undefined, ec2: EC2Client): Promise<Image | undefined> {
  if (id === undefined || !id.startsWith('ami-')) return undefined;
  // As a filter, because an unknown id makes a call that names it fail.
  const Filters = [{ Name: 'image-id', Values: [id] }];
  return (await ec2.send(new DescribeImagesCommand({ Filters }))).Images?.[0];
}
