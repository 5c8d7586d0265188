import { Aws, CustomResource, Duration, Stack } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { logicalId } from '../fleets/names.ts';
import { NodeFunction } from './node-function.ts';
import { allowDescribe } from './permissions.ts';
import type { RunnerFleet } from './runner-fleet.ts';
import { RunnerGroup } from './runner-group.ts';

export interface GroupSettingsProps {
  fleets: RunnerFleet[];
}

/** Settings of the groups for which CloudFormation has no property; see group-settings-handler.ts. */
export class GroupSettings extends Construct {
  constructor(scope: Construct, id: string, { fleets }: GroupSettingsProps) {
    super(scope, id);
    const settings = new NodeFunction(this, 'Function', {
      name: 'group-settings',
      entry: 'infra/group-settings-handler.ts',
      description:
        'Suspends AZRebalance of each group, and removes the protection of instances when the stack is deleted',
      // The longest that Lambda allows, because instances may boot for as long as `bootTimeout`.
      timeout: Duration.minutes(15),
      environment: { STACK_ID: Aws.STACK_ID, STACK_NAME: Aws.STACK_NAME },
    });
    allowDescribe(settings.executionRole, 'AutoScalingGroups');
    RunnerGroup.allowAllOf(Stack.of(this), settings.executionRole, [
      'SuspendProcesses',
      'UpdateAutoScalingGroup',
      'SetInstanceProtection',
    ]);
    for (const fleet of fleets) {
      const resource = new CustomResource(this, `${logicalId(fleet.config.name)}Settings`, {
        resourceType: 'Custom::GroupSettings',
        serviceToken: settings.functionArn,
        properties: { GroupName: fleet.groupName },
      });
      resource.node.addDependency(fleet.group);
    }
  }
}
