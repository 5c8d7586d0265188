import { CustomResource, Duration } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { groupNameOf } from '../fleets/names.ts';
import { DELETION_REFUSED_TAG } from '../functions/lib/tags.ts';
import { NodeFunction } from './node-function.ts';
import { allowDescribe } from './permissions.ts';
import { RunnerGroup } from './runner-group.ts';
import { Shared } from './shared.ts';

/** The function behind the settings of all groups for which CloudFormation has no property; see group-settings-handler.ts. */
export class GroupSettingsFunction extends NodeFunction {
  constructor(scope: Construct, id: string, { app }: { app: string }) {
    super(scope, id, {
      name: 'group-settings',
      entry: 'infra/group-settings-handler.ts',
      description:
        'Suspends AZRebalance of each group, and removes the protection of instances when the stack of a fleet is deleted',
      // The longest that Lambda allows, because instances may boot for as long as `bootTimeout`.
      timeout: Duration.minutes(15),
      environment: { STACK_NAME: app },
    });
    allowDescribe(this.executionRole, 'AutoScalingGroups');
    RunnerGroup.allowAllOf(app, this.executionRole, [
      'SuspendProcesses',
      'UpdateAutoScalingGroup',
      'SetInstanceProtection',
    ]);
    RunnerGroup.allowAllOf(app, this.executionRole, ['CreateOrUpdateTags'], {
      conditions: { 'ForAllValues:StringEquals': { 'aws:TagKeys': [DELETION_REFUSED_TAG] } },
    });
  }
}

export interface GroupSettingsProps {
  app: string;
  fleet: string;
}

/** The settings of a fleet's group that the function makes. */
export class GroupSettings extends CustomResource {
  constructor(scope: Construct, id: string, { app, fleet }: GroupSettingsProps) {
    super(scope, id, {
      resourceType: 'Custom::GroupSettings',
      serviceToken: new Shared(scope, app).groupSettingsArn,
      properties: { GroupName: groupNameOf(app, fleet) },
    });
  }
}
