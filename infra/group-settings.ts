import { CustomResource, Duration, type Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import { groupNameOf } from '../fleets/names.ts';
import { DELETION_REFUSED_TAG } from '../functions/lib/tags.ts';
import { advisedEnvironment } from './advised-app.ts';
import { NodeFunction } from './node-function.ts';
import { allowDescribe } from './permissions.ts';
import { RunnerGroup } from './runner-group.ts';
import { Shared } from './shared.ts';

/** The function behind the settings of all groups for which CloudFormation has no property; see group-settings-handler.ts. */
export class GroupSettingsFunction extends NodeFunction {
  constructor(scope: Construct, id: string, { app, fleets }: { app: string; fleets: FleetConfig[] }) {
    super(scope, id, {
      name: 'group-settings',
      description:
        'Suspends AZRebalance of each group, and protects fleets and their instances from deployments and deletions',
      // The longest that Lambda allows, because instances may boot for as long as `bootTimeout`.
      timeout: Duration.minutes(15),
      environment: advisedEnvironment(scope, app),
    });
    allowDescribe(this.executionRole, 'AutoScalingGroups');
    RunnerGroup.allowAllOf(app, this.executionRole, ['SuspendProcesses', 'SetInstanceProtection']);
    RunnerGroup.allowUpdate(app, this.executionRole, fleets);
    RunnerGroup.allowAllOf(app, this.executionRole, ['CreateOrUpdateTags'], {
      conditions: { 'ForAllValues:StringEquals': { 'aws:TagKeys': [DELETION_REFUSED_TAG] } },
    });
  }
}

/** The logical id of the resource that each stack has of the function. */
const ID = 'Settings';

/**
 * The type of that resource. It names the app and the kind of the stack, so that no other app takes the stack over: apps
 * `a` and `a-b` can both have a stack `a-b-x`. CloudFormation refuses to change the type of a resource before it changes
 * anything else.
 */
const typeOf = (app: string, kind: 'fleet' | 'shared') => `Custom::${app}-${kind}`;

export interface GroupSettingsProps {
  app: string;
  fleet: string;
}

/** The settings of a fleet's group that the function makes. */
export class GroupSettings extends CustomResource {
  constructor(scope: Stack, { app, fleet }: GroupSettingsProps) {
    super(scope, ID, {
      resourceType: typeOf(app, 'fleet'),
      serviceToken: new Shared(scope, app).groupSettingsArn,
      properties: { GroupName: groupNameOf(app, fleet) },
    });
  }
}

/**
 * A first heartbeat of a fleet, which the function publishes. The alarm on missing heartbeats is made after it: until the first
 * execution, the fleet would have none, and the alarm would ring.
 */
export class FirstHeartbeat extends CustomResource {
  constructor(scope: Stack, { app, fleet }: GroupSettingsProps) {
    super(scope, 'FirstHeartbeat', {
      resourceType: typeOf(app, 'fleet'),
      serviceToken: new Shared(scope, app).groupSettingsArn,
      properties: { GroupName: groupNameOf(app, fleet), Alarm: 'NotRunning' },
    });
  }
}

/** Lets the function refuse a shared stack that would delete fleets: it has fleets of its own, from an older version. */
export class FleetsElsewhere extends CustomResource {
  constructor(scope: Stack, { app, settings }: { app: string; settings: GroupSettingsFunction }) {
    super(scope, ID, { resourceType: typeOf(app, 'shared'), serviceToken: settings.functionArn });
  }
}
