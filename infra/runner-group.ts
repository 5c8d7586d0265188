import { ArnFormat, Aws, Stack, Validations } from 'aws-cdk-lib';
import { CfnAutoScalingGroup } from 'aws-cdk-lib/aws-autoscaling';
import type { LaunchTemplate } from 'aws-cdk-lib/aws-ec2';
import type { Conditions, Role } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { onDemandPercentage } from '../fleets/effective.ts';
import type { FleetConfig } from '../fleets/load.ts';
import { groupNameOf } from '../fleets/names.ts';
import { largestMaximum } from '../functions/lib/schedules.ts';
import { RECONCILE_TAG, SPOT_TAG, STACK_ID_TAG, STACK_TAG, WARM_POOL_TAG } from '../functions/lib/tags.ts';
import { overridesOf } from './instance-overrides.ts';
import { allow } from './permissions.ts';
import type { RunnerNetwork } from './runner-network.ts';

export interface RunnerGroupProps {
  app: string;
  fleet: FleetConfig;
  groupName: string;
  network: RunnerNetwork;
  launchTemplate: LaunchTemplate;
}

/** A fleet's Auto Scaling group. */
export class RunnerGroup extends CfnAutoScalingGroup {
  readonly groupArn: string;

  constructor(
    scope: Construct,
    id: string,
    { app, fleet, groupName, network, launchTemplate }: RunnerGroupProps,
  ) {
    const mixed = fleet.instanceTypes?.length !== 1 || fleet.spot !== undefined;
    const template = { launchTemplateName: groupName, version: launchTemplate.latestVersionNumber };
    super(scope, id, {
      autoScalingGroupName: groupName,
      // Without desired capacity: the workflow sets it, and a deployment must not reset it.
      minSize: '0',
      maxSize: String(largestMaximum(fleet)),
      newInstancesProtectedFromScaleIn: true,
      healthCheckType: 'EC2',
      metricsCollection: [{ granularity: '1Minute' }],
      // It would terminate Spot instances at risk while jobs run on them; the instances watch for interruptions themselves.
      ...(fleet.spot !== undefined && { capacityRebalance: false }),
      // An instance reports that its runner is up, or that it failed. EC2 Auto Scaling also replaces one that reports nothing.
      lifecycleHookSpecificationList: [
        {
          lifecycleHookName: 'launch',
          lifecycleTransition: 'autoscaling:EC2_INSTANCE_LAUNCHING',
          heartbeatTimeout: fleet.bootTimeout,
          defaultResult: 'ABANDON',
        },
      ],
      ...(mixed ? { mixedInstancesPolicy: mixedInstances(fleet, template) } : { launchTemplate: template }),
      ...network.zones,
      tags: [
        { key: 'Name', value: groupName, propagateAtLaunch: true },
        ...Object.entries({
          [STACK_TAG]: app,
          [STACK_ID_TAG]: Aws.STACK_ID,
          ...(fleet.spot !== undefined && { [SPOT_TAG]: app }),
          ...(fleet.warmPool?.size === 'auto' && { [WARM_POOL_TAG]: 'auto' }),
          ...(fleet.reconcile === 'repair' && { [RECONCILE_TAG]: 'repair' }),
        }).map(([key, value]) => ({ key, value, propagateAtLaunch: false })),
      ],
    });
    this.groupArn = groupArn(this, groupName);
    Validations.of(this).acknowledge({
      id: 'AwsSolutions-AS3',
      reason:
        'Instances come and go with every job: a notification of each would be noise. Alarms notify when the group does not follow its queue.',
    });
    if (mixed) {
      Validations.of(this).acknowledge({
        id: 'AwsSolutions-EC26',
        reason:
          'The rule does not find the launch template of a mixed instances policy. Its root volume is encrypted.',
      });
    }
  }

  /**
   * Allows a role some actions on the groups of an app, by the beginning of their names and by their tags. It names no
   * fleet, because fleets have stacks of their own.
   *
   * @param tags Further tags that the groups must have.
   */
  static allowAllOf(
    app: string,
    role: Role,
    actions: string[],
    { tags = {}, conditions = {} }: { tags?: Record<string, string>; conditions?: Conditions } = {},
  ): void {
    allow(role, {
      actions: actions.map((action) => `autoscaling:${action}`),
      resources: [groupArn(role, groupNameOf(app, '*'))],
      conditions: {
        ...conditions,
        StringEquals: Object.fromEntries(
          Object.entries({ [STACK_TAG]: app, ...tags }).map(([key, value]) => [
            `aws:ResourceTag/${key}`,
            value,
          ]),
        ),
      },
      wildcard: 'The groups of an app begin with its name, and have a tag with its name.',
    });
  }

  /**
   * Allows a role to update the groups of an app, but not to a larger size than the largest of these fleets has, and to no
   * launch configuration, which would come with an image and a role of its own. Neither is in an update of ours.
   *
   * @param tags Further tags that the groups must have.
   * @param subnets Where the groups may launch. Default: anywhere.
   */
  static allowUpdate(
    app: string,
    role: Role,
    fleets: FleetConfig[],
    { tags = {}, subnets }: { tags?: Record<string, string>; subnets?: string[] | undefined } = {},
  ): void {
    const types = fleets[0]?.allowedTypes;
    RunnerGroup.allowAllOf(app, role, ['UpdateAutoScalingGroup'], {
      tags,
      // https://docs.aws.amazon.com/autoscaling/ec2/userguide/security_iam_id-based-policy-examples.html
      conditions: {
        NumericLessThanEqualsIfExists: {
          'autoscaling:MinSize': '0',
          'autoscaling:MaxSize': String(Math.max(...fleets.map(largestMaximum))),
        },
        Null: { 'autoscaling:LaunchConfigurationName': 'true' },
        ...(types !== undefined && { 'ForAllValues:StringLike': { 'autoscaling:InstanceTypes': types } }),
        // It holds for an update that names no subnet, as ours, whether AWS then sends the group's own subnets or none.
        ...(subnets !== undefined && {
          'ForAllValues:StringEquals': { 'autoscaling:VPCZoneIdentifiers': subnets },
        }),
      },
    });
  }

  /** Allows the role of the group's instances to complete their launch and to leave the group. */
  allowMembers(role: Role): void {
    allow(role, {
      actions: [
        'autoscaling:CompleteLifecycleAction',
        'autoscaling:RecordLifecycleActionHeartbeat',
        'autoscaling:SetInstanceHealth',
        'autoscaling:TerminateInstanceInAutoScalingGroup',
      ],
      resources: [this.groupArn],
      wildcard:
        'The * stands for the id that EC2 Auto Scaling gives a new group; the name belongs to one group.',
    });
  }
}

/** The ARN of the group, or groups, of this name. */
const groupArn = (scope: Construct, name: string) =>
  Stack.of(scope).formatArn({
    service: 'autoscaling',
    resource: 'autoScalingGroup',
    resourceName: `*:autoScalingGroupName/${name}`,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });

/** Several instance types, types by their attributes, or Spot capacity. */
function mixedInstances(
  fleet: FleetConfig,
  launchTemplateSpecification: CfnAutoScalingGroup.LaunchTemplateSpecificationProperty,
): CfnAutoScalingGroup.MixedInstancesPolicyProperty {
  const { onDemandAllocationStrategy, overrides } = overridesOf(fleet);
  return {
    instancesDistribution: {
      onDemandPercentageAboveBaseCapacity: onDemandPercentage(fleet),
      onDemandAllocationStrategy,
      ...(fleet.spot !== undefined && {
        onDemandBaseCapacity: fleet.spot.onDemandBase,
        spotAllocationStrategy: 'price-capacity-optimized',
      }),
    },
    launchTemplate: { launchTemplateSpecification, overrides },
  };
}
