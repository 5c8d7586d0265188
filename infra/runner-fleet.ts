import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  Annotations,
  type ArnComponents,
  ArnFormat,
  CfnOutput,
  RemovalPolicy,
  Stack,
  Tags,
  Validations,
} from 'aws-cdk-lib';
import { CfnAutoScalingGroup, CfnWarmPool } from 'aws-cdk-lib/aws-autoscaling';
import {
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
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { CfnSecret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { idleTimes, onDemandPercentage } from '../fleets/effective.ts';
import type { FleetConfig } from '../fleets/load.ts';
import { logicalId } from '../fleets/names.ts';
import { rootVolumeOf } from '../fleets/settings/image.ts';
import { architectureOf } from '../fleets/settings/instance.ts';
import { warningsAbout } from '../fleets/warnings.ts';
import { largestMaximum } from '../functions/lib/schedules.ts';
import { runnerUserData } from '../userdata/user-data.ts';
import { overridesOf } from './instance-overrides.ts';
import { imageOf } from './machine-image.ts';
import { allow, type Permission } from './permissions.ts';
import { networkOf, type RunnerNetwork } from './runner-network.ts';

/** Bucket and key of a file that a deployment uploads. */
const objectOf = (asset: Asset) => `${asset.s3BucketName}/${asset.s3ObjectKey}`;

const sha256Of = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

/** A fleet's secret: one of the adopter's by name, or one that the stack makes. */
interface FleetSecret {
  name: string;
  arn: string;
}

/** The permission to do something with the groups of some fleets. */
export function onGroups(fleets: RunnerFleet[], ...actions: string[]): Permission {
  return {
    actions,
    resources: fleets.map((fleet) => fleet.groupArn),
    wildcard:
      'The * is the id that EC2 Auto Scaling gives a group when it is made; the name is of one group.',
  };
}

/** One fleet: its Auto Scaling group of runners, perhaps with a warm pool, their launch template, and its two secrets. */
export class RunnerFleet extends Construct {
  readonly config: FleetConfig;
  readonly groupName: string;
  readonly groupArn: string;
  /** Where instances write, if the fleet asks for logs. */
  readonly logGroupName: string;
  readonly scalerSecret: FleetSecret;
  readonly runnerSecret: FleetSecret;
  /** What a schedule must not outlive. */
  readonly group: CfnAutoScalingGroup;
  readonly warmPool: CfnWarmPool | undefined;
  /** What it takes to change how the group buys its instances; nothing for a fleet without Spot capacity. */
  fallbackPermissions: Permission[] = [];

  constructor(scope: Construct, config: FleetConfig) {
    // Not the name alone: a fleet may be called `workflow`, or `default`, which means something to the CDK.
    super(scope, `${logicalId(config.name)}Fleet`);
    this.config = config;
    const stack = Stack.of(this);
    this.groupName = `${stack.stackName}-${config.name}`;
    this.groupArn = stack.formatArn({
      service: 'autoscaling',
      resource: 'autoScalingGroup',
      resourceName: `*:autoScalingGroupName/${this.groupName}`,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    this.logGroupName = `/${stack.stackName}/${config.name}`;
    this.scalerSecret = this.secret(
      'scaler',
      config.scalerSecretName,
      'The resource class and a personal API token, with which the autoscaler counts tasks: {"resource_class": "...", "circle_token": "..."}',
    );
    this.runnerSecret = this.secret(
      'runner',
      config.runnerSecretName,
      'The resource class token, with which runners claim tasks',
    );
    for (const { id, message } of warningsAbout(config)) Annotations.of(this).addWarningV2(id, message);
    this.group = this.autoScalingGroup();
    this.warmPool = this.poolOf(this.group);

    for (const [key, value] of Object.entries(config.tags)) Tags.of(this).add(key, value);
    const output = (what: string, value: string) =>
      new CfnOutput(stack, `${logicalId(config.name)}${what}`, { value });
    output('GroupName', this.groupName);
    output('ScalerSecretName', this.scalerSecret.name);
    output('RunnerSecretName', this.runnerSecret.name);
  }

  /**
   * An existing secret by its name, or a new one without any value: a value in the template could pass for a
   * real one, and a later deployment would write it over the adopter's.
   */
  private secret(use: 'scaler' | 'runner', existing: string | undefined, description: string): FleetSecret {
    const name = existing ?? `${Stack.of(this).stackName}/${this.config.name}/${use}`;
    if (existing === undefined) {
      const secret = new CfnSecret(this, `${logicalId(use)}Secret`, { name, description });
      Validations.of(secret).acknowledge({
        id: 'AwsSolutions-SMG4',
        reason:
          "CircleCI's tokens are made and revoked at CircleCI, where Secrets Manager cannot rotate them.",
      });
      return { name, arn: secret.ref };
    }
    // Secrets Manager adds a hyphen and six characters to a secret's name in its ARN.
    const arn = Stack.of(this).formatArn({
      service: 'secretsmanager',
      resource: 'secret',
      resourceName: `${name}-??????`,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    return { name, arn };
  }

  private autoScalingGroup(): CfnAutoScalingGroup {
    const { config } = this;
    const network = networkOf(this, config);
    const template = this.launchTemplate(network);
    const specification = {
      launchTemplateName: this.groupName,
      version: template.latestVersionNumber,
    };
    const { onDemandAllocationStrategy, overrides } = overridesOf(config);
    const mixed = config.instanceTypes?.length !== 1 || config.spot !== undefined;
    const group = new CfnAutoScalingGroup(this, 'Group', {
      autoScalingGroupName: this.groupName,
      // Desired capacity is not in the template: it is the workflow's, and a deployment must not reset it.
      minSize: '0',
      maxSize: String(largestMaximum(config)),
      newInstancesProtectedFromScaleIn: true,
      healthCheckType: 'EC2',
      metricsCollection: [{ granularity: '1Minute' }],
      // It would terminate Spot instances that EC2 may take back, whatever runs on them; the instances watch for that.
      ...(config.spot !== undefined && { capacityRebalance: false }),
      // The instance itself says that its runner is up, or that it never will be; silence gives it up too.
      lifecycleHookSpecificationList: [
        {
          lifecycleHookName: 'launch',
          lifecycleTransition: 'autoscaling:EC2_INSTANCE_LAUNCHING',
          heartbeatTimeout: config.bootTimeout,
          defaultResult: 'ABANDON',
        },
      ],
      ...(!mixed
        ? { launchTemplate: specification }
        : {
            mixedInstancesPolicy: {
              instancesDistribution: {
                onDemandPercentageAboveBaseCapacity: onDemandPercentage(config),
                onDemandAllocationStrategy,
                ...(config.spot !== undefined && {
                  onDemandBaseCapacity: config.spot.onDemandBase,
                  spotAllocationStrategy: 'price-capacity-optimized',
                }),
              },
              launchTemplate: {
                launchTemplateSpecification: specification,
                overrides,
              },
            },
          }),
      ...network.zones,
      tags: [{ key: 'Name', value: this.groupName, propagateAtLaunch: true }],
    });
    Validations.of(group).acknowledge({
      id: 'AwsSolutions-AS3',
      reason:
        'Instances come and go with every job: a notification of each would be noise. The alarms tell when the group does not follow its queue.',
    });
    if (mixed) {
      Validations.of(group).acknowledge({
        id: 'AwsSolutions-EC26',
        reason:
          'The rule does not find the launch template of a mixed instances policy. Its root volume is encrypted.',
      });
    }
    return group;
  }

  /**
   * Instances that have installed all and stand by. With one value for both, the pool has that many whatever the
   * group's desired capacity is: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutWarmPool.html
   */
  private poolOf(group: CfnAutoScalingGroup): CfnWarmPool | undefined {
    const { warmPool } = this.config;
    if (warmPool === undefined) return undefined;
    // `auto` is the workflow's to size, and begins with none.
    const size = warmPool.size === 'auto' ? 0 : warmPool.size;
    return new CfnWarmPool(this, 'WarmPool', {
      autoScalingGroupName: group.ref,
      minSize: size,
      maxGroupPreparedCapacity: size,
      poolState: warmPool.state === 'stopped' ? 'Stopped' : 'Hibernated',
      // An instance that has run a job is not clean any more.
      instanceReusePolicy: { reuseOnScaleIn: false },
    });
  }

  private launchTemplate(network: RunnerNetwork): LaunchTemplate {
    const { config } = this;
    const [firstType] = config.instanceTypes ?? [];
    const architecture = config.instanceRequirements?.architecture ?? architectureOf(firstType ?? '');
    const { machineImage, rootDevice, parameter } = imageOf(config, architecture);
    const install =
      config.installFile === undefined ? undefined : new Asset(this, 'Install', { path: config.installFile });
    const logs = config.logs ? this.logs() : undefined;
    const idle = idleTimes(config);
    const rootVolume = rootVolumeOf(config);
    const [firstGroup, ...otherGroups] = network.securityGroupIds.map((id, index) =>
      SecurityGroup.fromSecurityGroupId(this, `SecurityGroup${index + 1}`, id),
    );
    const template = new LaunchTemplate(this, 'LaunchTemplate', {
      launchTemplateName: this.groupName,
      ...(firstType !== undefined && { instanceType: new InstanceType(firstType) }),
      machineImage,
      userData: UserData.custom(
        runnerUserData({
          fleet: { ...config, idleTimeout: idle.seconds },
          idleSpreadSeconds: idle.spread,
          groupName: this.groupName,
          runnerSecretName: this.runnerSecret.name,
          installObject: install && objectOf(install),
          installSha256: config.installFile && sha256Of(config.installFile),
          logGroupName: logs?.logGroupName,
        }),
      ),
      role: this.instanceRole(install, logs),
      ...(firstGroup !== undefined && { securityGroup: firstGroup }),
      httpTokens: LaunchTemplateHttpTokens.REQUIRED,
      httpPutResponseHopLimit: 1,
      // So that an instance sees the tag by which it is recycled; see userdata/watch.sh.
      instanceMetadataTags: true,
      // In a subnet without IPv4 addresses, metadata are at [fd00:ec2::254]; see metadata() in userdata/aws.sh.
      ...(network.perhapsIpv6Only && { httpProtocolIpv6: true }),
      ...(config.warmPool?.state === 'hibernated' && { hibernationConfigured: true }),
      // A runner that powers off is gone. A stopped one would be replaced: an unused launch, and paid for.
      instanceInitiatedShutdownBehavior: InstanceInitiatedShutdownBehavior.TERMINATE,
      ...(rootDevice !== undefined && {
        blockDevices: [
          {
            deviceName: rootDevice,
            volume: BlockDeviceVolume.ebs(rootVolume.size, {
              encrypted: true,
              volumeType: EbsDeviceVolumeType.GP3,
              deleteOnTermination: true,
              ...(rootVolume.iops !== undefined && { iops: rootVolume.iops }),
              ...(rootVolume.throughput !== undefined && { throughput: rootVolume.throughput }),
            }),
          },
        ],
      }),
      ...(config.keyPairName !== undefined && {
        keyPair: KeyPair.fromKeyPairName(this, 'KeyPair', config.keyPairName),
      }),
    });
    for (const group of otherGroups) template.addSecurityGroup(group);
    if (config.spot !== undefined) this.fallbackPermissions = this.mayFallBack(template, parameter);
    // The volumes' name; the instances have theirs from the group.
    Tags.of(template).add('Name', this.groupName);
    return template;
  }

  /**
   * EC2 Auto Scaling asks whoever changes a group's mixed instances policy for what a launch of its template takes.
   * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html
   */
  private mayFallBack(template: LaunchTemplate, parameter: ArnComponents | undefined): Permission[] {
    const stack = Stack.of(this);
    const arn = (service: string, resource: string, resourceName: string) =>
      stack.formatArn({ service, resource, resourceName });
    const templateArn = arn('ec2', 'launch-template', template.launchTemplateId ?? '');
    return [
      onGroups([this], 'autoscaling:UpdateAutoScalingGroup'),
      {
        actions: ['ec2:RunInstances'],
        resources: ['*'],
        conditions: { ArnEquals: { 'ec2:LaunchTemplate': templateArn } },
        wildcard: 'A launch is of many resources; a condition names the launch template that they are of.',
      },
      {
        actions: ['ec2:CreateTags'],
        resources: ['instance', 'volume'].map((resource) => arn('ec2', resource, '*')),
        conditions: { StringEquals: { 'ec2:CreateAction': 'RunInstances' } },
        wildcard: 'What is launched has no id yet; a condition says that it is being launched.',
      },
      ...(template.role === undefined
        ? []
        : [
            {
              actions: ['iam:PassRole'],
              resources: [template.role.roleArn],
              conditions: { StringEquals: { 'iam:PassedToService': 'ec2.amazonaws.com' } },
            },
          ]),
      ...(parameter === undefined
        ? []
        : [{ actions: ['ssm:GetParameters'], resources: [stack.formatArn(parameter)] }]),
    ];
  }

  /** The log group of the fleet's instances. */
  private logs(): LogGroup {
    return new LogGroup(this, 'Logs', {
      logGroupName: this.logGroupName,
      retention: RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
  }

  /**
   * What an instance may do: read its own token and its own install script, complete its launch, leave its own
   * group; and, if the fleet asks for it, write its log and be reached by Session Manager.
   */
  private instanceRole(install: Asset | undefined, logs: LogGroup | undefined): Role {
    const role = new Role(this, 'InstanceRole', {
      assumedBy: new ServicePrincipal('ec2.amazonaws.com'),
      description: `CircleCI runners of fleet ${this.config.name}`,
    });
    allow(role, { actions: ['secretsmanager:GetSecretValue'], resources: [this.runnerSecret.arn] });
    allow(
      role,
      onGroups(
        [this],
        'autoscaling:CompleteLifecycleAction',
        'autoscaling:RecordLifecycleActionHeartbeat',
        'autoscaling:SetInstanceHealth',
        'autoscaling:TerminateInstanceInAutoScalingGroup',
      ),
    );
    if (install !== undefined) {
      allow(role, {
        actions: ['s3:GetObject'],
        resources: [install.bucket.arnForObjects(install.s3ObjectKey)],
      });
    }
    if (logs !== undefined) {
      allow(role, {
        actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [
          Stack.of(this).formatArn({
            service: 'logs',
            resource: 'log-group',
            resourceName: `${this.logGroupName}:*`,
            arnFormat: ArnFormat.COLON_RESOURCE_NAME,
          }),
        ],
        wildcard: 'The * is for the log streams of one log group, each named by its instance.',
      });
    }
    if (this.config.sessionManager) {
      allow(role, {
        actions: [
          'ssm:UpdateInstanceInformation',
          'ssmmessages:CreateControlChannel',
          'ssmmessages:CreateDataChannel',
          'ssmmessages:OpenControlChannel',
          'ssmmessages:OpenDataChannel',
        ],
        resources: ['*'],
        wildcard:
          'Session Manager, as its guide has it: https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html',
      });
    }
    return role;
  }
}
