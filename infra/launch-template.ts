import { Stack, Tags } from 'aws-cdk-lib';
import {
  type BlockDevice,
  BlockDeviceVolume,
  EbsDeviceVolumeType,
  InstanceInitiatedShutdownBehavior,
  InstanceType,
  KeyPair,
  LaunchTemplate,
  LaunchTemplateHttpTokens,
  SecurityGroup,
  UserData,
} from 'aws-cdk-lib/aws-ec2';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { idleTimes } from '../fleets/effective.ts';
import type { FleetConfig } from '../fleets/load.ts';
import { rootVolumeOf } from '../fleets/settings/image.ts';
import { runnerUserData } from '../userdata/user-data.ts';
import type { FleetSecret } from './fleet-secret.ts';
import type { InstallScript } from './install-script.ts';
import type { InstanceLog } from './instance-log.ts';
import type { InstanceRole } from './instance-role.ts';
import { allow } from './permissions.ts';
import type { RunnerImage } from './runner-image.ts';
import type { RunnerNetwork } from './runner-network.ts';

export interface RunnerLaunchTemplateProps {
  fleet: FleetConfig;
  /** Name of the launch template, which is the group's. */
  groupName: string;
  image: RunnerImage;
  network: RunnerNetwork;
  role: InstanceRole;
  runnerSecret: FleetSecret;
  install: InstallScript | undefined;
  log: InstanceLog | undefined;
}

/** How a fleet's instances are launched. */
export class RunnerLaunchTemplate extends LaunchTemplate {
  private readonly image: RunnerImage;
  private readonly instanceRole: InstanceRole;
  private readonly network: RunnerNetwork;

  constructor(scope: Construct, id: string, props: RunnerLaunchTemplateProps) {
    const { fleet, groupName, image, network, role, runnerSecret, install, log } = props;
    const [firstType] = fleet.instanceTypes ?? [];
    const idle = idleTimes(fleet);
    const [firstGroup, ...otherGroups] = network.securityGroupIds.map((groupId, index) =>
      SecurityGroup.fromSecurityGroupId(scope, `SecurityGroup${index + 1}`, groupId),
    );
    super(scope, id, {
      launchTemplateName: groupName,
      ...(firstType !== undefined && { instanceType: new InstanceType(firstType) }),
      machineImage: image,
      userData: UserData.custom(
        runnerUserData({
          fleet: { ...fleet, idleTimeout: idle.seconds },
          idleSpreadSeconds: idle.spread,
          groupName,
          runnerSecretName: runnerSecret.secretName,
          installObject: install?.object,
          installSha256: install?.sha256,
          logGroupName: log?.logGroupName,
        }),
      ),
      role,
      ...(firstGroup !== undefined && { securityGroup: firstGroup }),
      httpTokens: LaunchTemplateHttpTokens.REQUIRED,
      httpPutResponseHopLimit: 1,
      // So that an instance can read the tag that recycles it; see userdata/watch.sh.
      instanceMetadataTags: true,
      // In a subnet without IPv4 addresses, metadata are at [fd00:ec2::254]; see metadata() in userdata/aws.sh.
      ...(network.perhapsIpv6Only && { httpProtocolIpv6: true }),
      ...(fleet.warmPool?.state === 'hibernated' && { hibernationConfigured: true }),
      // An instance whose runner powers it off must go: EC2 Auto Scaling would replace a stopped one, and its volume would still cost.
      instanceInitiatedShutdownBehavior: InstanceInitiatedShutdownBehavior.TERMINATE,
      ...(image.rootDevice !== undefined && { blockDevices: [rootDevice(scope, image.rootDevice, fleet)] }),
      ...(fleet.keyPairName !== undefined && {
        keyPair: KeyPair.fromKeyPairName(scope, 'KeyPair', fleet.keyPairName),
      }),
    });
    this.image = image;
    this.instanceRole = role;
    this.network = network;
    for (const group of otherGroups) this.addSecurityGroup(group);
    // The volumes' name; the instances have theirs from the group.
    Tags.of(this).add('Name', groupName);
  }

  /**
   * Allows a role to launch instances from this template. EC2 Auto Scaling requires this of a role that changes the
   * mixed instances policy of a group:
   * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html
   */
  allowLaunch(role: Role): void {
    const arn = (resource: string, resourceName: string) =>
      Stack.of(this).formatArn({ service: 'ec2', resource, resourceName });
    const launchTemplate = {
      ArnEquals: { 'ec2:LaunchTemplate': arn('launch-template', this.launchTemplateId ?? '') },
    };
    // The image, the security groups, the key pair and the snapshots must be those of the template.
    // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/use-launch-templates-to-control-launching-instances.html
    allow(role, {
      actions: ['ec2:RunInstances'],
      resources: ['*'],
      conditions: { ...launchTemplate, Bool: { 'ec2:IsLaunchTemplateResource': 'true' } },
      wildcard: 'A launch involves many resources; conditions restrict them to those of one launch template.',
    });
    // The group chooses among instance types and subnets.
    allow(role, {
      actions: ['ec2:RunInstances'],
      resources: ['instance', 'network-interface', 'volume'].map((resource) => arn(resource, '*')),
      conditions: launchTemplate,
      wildcard: 'What a launch makes has no id yet; a condition restricts it to one launch template.',
    });
    allow(role, {
      actions: ['ec2:RunInstances'],
      resources: this.network.subnetIds?.map((subnetId) => arn('subnet', subnetId)) ?? [arn('subnet', '*')],
      conditions: launchTemplate,
      ...(this.network.subnetIds === undefined && {
        wildcard: 'The subnets of the default VPC are not known before the deployment.',
      }),
    });
    allow(role, {
      actions: ['ec2:CreateTags'],
      resources: ['instance', 'volume'].map((resource) => arn(resource, '*')),
      conditions: { StringEquals: { 'ec2:CreateAction': 'RunInstances' } },
      wildcard: 'New instances and volumes have no ids yet; a condition restricts the tags to their launch.',
    });
    this.instanceRole.allowPass(role);
    this.image.allowLaunch(role);
  }
}

/** The encrypted root volume. */
function rootDevice(scope: Construct, deviceName: string, fleet: FleetConfig): BlockDevice {
  const { size, iops, throughput } = rootVolumeOf(fleet);
  return {
    deviceName,
    volume: BlockDeviceVolume.ebs(size, {
      encrypted: true,
      ...(fleet.encryptionKey !== undefined && {
        kmsKey: Key.fromKeyArn(scope, 'VolumeKey', fleet.encryptionKey),
      }),
      volumeType: EbsDeviceVolumeType.GP3,
      deleteOnTermination: true,
      ...(iops !== undefined && { iops }),
      ...(throughput !== undefined && { throughput }),
    }),
  };
}
