import { Size, Stack, Tags } from 'aws-cdk-lib';
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
import { POOL_IMAGE_TAG, RECONCILE_TAG, STACK_TAG } from '../functions/lib/tags.ts';
import { runnerUserData } from '../userdata/user-data.ts';
import type { FleetSecret } from './fleet-secret.ts';
import type { InstallScript } from './install-script.ts';
import type { InstanceLog } from './instance-log.ts';
import { InstanceRole } from './instance-role.ts';
import { allow } from './permissions.ts';
import { RunnerImage } from './runner-image.ts';
import { namedSubnets, type RunnerNetwork } from './runner-network.ts';

export interface RunnerLaunchTemplateProps {
  app: string;
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
  constructor(scope: Construct, id: string, props: RunnerLaunchTemplateProps) {
    const { app, fleet, groupName, image, network, role, runnerSecret, install, log } = props;
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
    for (const group of otherGroups) this.addSecurityGroup(group);
    // The volumes' name; the instances have theirs from the group.
    Tags.of(this).add('Name', groupName);
    // After the fleet's own tags, so that none of them takes its place. Update Group may launch from templates with it.
    Tags.of(this).add(STACK_TAG, app, { priority: 200 });
    if (fleet.reconcile === 'repair') Tags.of(this).add(RECONCILE_TAG, 'repair', { priority: 200 });
    if (fleet.imageBuild !== undefined && fleet.warmPool !== undefined)
      Tags.of(this).add(POOL_IMAGE_TAG, 'refresh', { priority: 200 });
  }

  /**
   * Allows a role to launch instances from the templates of these fleets' app. EC2 Auto Scaling requires this of a role that
   * changes the mixed instances policy of a group:
   * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html
   */
  static allowLaunch(app: string, role: Role, fleets: FleetConfig[]): void {
    const stack = Stack.of(role);
    const arn = (resource: string, { id = '*', ...more }: { id?: string; account?: string } = {}) =>
      stack.formatArn({ service: 'ec2', resource, resourceName: id, ...more });
    // A launch involves many resources, and each must be allowed. One of them is the template, by its tag.
    allow(role, {
      actions: ['ec2:RunInstances'],
      resources: [arn('launch-template')],
      conditions: { StringEquals: { [`aws:ResourceTag/${STACK_TAG}`]: app } },
      wildcard: 'A condition restricts the launch templates to those of this app, by their tag.',
    });
    const fromTemplate = { ArnLike: { 'ec2:LaunchTemplate': arn('launch-template') } };
    // The image, the security groups, the key pair and the snapshots must be those of the template.
    // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/use-launch-templates-to-control-launching-instances.html
    allow(role, {
      actions: ['ec2:RunInstances'],
      resources: [
        arn('image', { account: '' }),
        arn('snapshot', { account: '' }),
        arn('security-group'),
        arn('key-pair'),
      ],
      conditions: { ...fromTemplate, Bool: { 'ec2:IsLaunchTemplateResource': 'true' } },
      wildcard: 'Conditions restrict them to those of the launch template.',
    });
    // The group chooses among instance types and subnets, which the security groups of the template must fit.
    const types = allowedTypesOf(fleets);
    const subnets = namedSubnets(fleets)?.map((id) => arn('subnet', { id }));
    for (const { resource, conditions } of [
      { resource: 'instance', conditions: types && { StringLike: { 'ec2:InstanceType': types } } },
      // An interface that exists already has a subnet and security groups of its own.
      { resource: 'network-interface', conditions: subnets && { ArnEquals: { 'ec2:Subnet': subnets } } },
      { resource: 'volume', conditions: {} },
    ]) {
      allow(role, {
        actions: ['ec2:RunInstances'],
        resources: [arn(resource)],
        conditions: { ...fromTemplate, ...conditions },
        wildcard: 'What a launch makes has no id yet; conditions restrict it.',
      });
    }
    allow(role, {
      actions: ['ec2:RunInstances'],
      resources: subnets ?? [arn('subnet')],
      conditions: fromTemplate,
      ...(subnets === undefined && {
        wildcard: 'The subnets of the default VPC, and of a VPC of a fleet, are not known here.',
      }),
    });
    allow(role, {
      actions: ['ec2:CreateTags'],
      resources: ['instance', 'volume'].map((resource) => arn(resource)),
      conditions: { StringEquals: { 'ec2:CreateAction': 'RunInstances' } },
      wildcard: 'New instances and volumes have no ids yet; a condition restricts the tags to their launch.',
    });
    InstanceRole.allowPass(app, role);
    RunnerImage.allowRead(app, role, fleets, 'ssm:GetParameters');
  }
}

/** The types that the guardrails allow; `undefined` if EC2 chooses the types of a fleet by their attributes. */
const allowedTypesOf = (fleets: FleetConfig[]) =>
  fleets.some(({ instanceRequirements }) => instanceRequirements !== undefined)
    ? undefined
    : fleets[0]?.allowedTypes;

/** The encrypted root volume. */
function rootDevice(scope: Construct, deviceName: string, fleet: FleetConfig): BlockDevice {
  const { size, iops, throughput, initializationRate } = rootVolumeOf(fleet);
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
      ...(initializationRate !== undefined && {
        volumeInitializationRate: Size.mebibytes(initializationRate),
      }),
    }),
  };
}
