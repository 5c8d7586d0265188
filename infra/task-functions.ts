import type { Construct } from 'constructs';
import { learns } from '../fleets/effective.ts';
import type { FleetConfig } from '../fleets/load.ts';
import {
  COUNTED_TAG,
  FALLBACK_TAG,
  LAUNCH_SUSPENDED_TAG,
  OUTSIDE_TAG,
  SPOT_TAG,
  TASKS_TAG,
  WARM_POOL_TAG,
  WITHHELD_TAG,
} from '../functions/lib/tags.ts';
import { FleetParameter } from './fleet-parameter.ts';
import { FleetSecret } from './fleet-secret.ts';
import { RunnerLaunchTemplate } from './launch-template.ts';
import { LearnedParameter } from './learned-parameter.ts';
import { allowDescribe } from './permissions.ts';
import { RunnerGroup } from './runner-group.ts';
import { namedSubnets } from './runner-network.ts';
import type { ScalerNetwork } from './scaler-network.ts';
import { TaskFunction } from './task-function.ts';

export type TaskFunctions = ReturnType<typeof taskFunctions>;

/** The function of each Task state, by the name of its placeholder in the definition, with its permissions. */
export function taskFunctions(scope: Construct, app: string, fleets: FleetConfig[], network: ScalerNetwork) {
  const functions = {
    ReadSettings: new TaskFunction(scope, 'ReadSettings', {
      network,
      entry: 'read-settings',
      description: "Reads a fleet's settings, and proves that its scaler secret can be read and is whole",
    }),
    DescribeActivities: new TaskFunction(scope, 'DescribeActivities', {
      network,
      entry: 'describe-activities',
      description: "Reads a group's scaling activities, and whether its launches only fail",
    }),
    CountUnclaimed: new TaskFunction(scope, 'CountUnclaimed', {
      network,
      entry: 'count-unclaimed',
      description: "Counts the tasks of a fleet's resource class that wait for a runner",
    }),
    CountRunning: new TaskFunction(scope, 'CountRunning', {
      network,
      entry: 'count-running',
      description: "Counts the tasks of a fleet's resource class that a runner works on",
    }),
    DescribeGroup: new TaskFunction(scope, 'DescribeGroup', {
      network,
      entry: 'describe-group',
      description: "Reads a group's desired capacity and counts its members by lifecycle state",
    }),
    ComputeCapacity: new TaskFunction(scope, 'ComputeCapacity', {
      network,
      entry: 'compute-capacity',
      description: "Decides a group's desired capacity, and when the next poll is due",
    }),
    UpdateGroup: new TaskFunction(scope, 'UpdateGroup', {
      network,
      entry: 'update-group',
      description:
        "Sets a group's desired capacity, suspends its launches while the breaker is open, and has it fall back from Spot to On-Demand",
    }),
  };
  for (const { executionRole } of Object.values(functions)) FleetParameter.allowRead(app, executionRole);
  for (const reader of [functions.ReadSettings, functions.CountUnclaimed, functions.CountRunning]) {
    FleetSecret.allowReadScalers(app, reader.executionRole, fleets);
  }
  allowDescribe(functions.DescribeActivities.executionRole, 'ScalingActivities');
  allowDescribe(functions.DescribeActivities.executionRole, 'AutoScalingGroups');
  allowTags(functions.DescribeActivities, app, [COUNTED_TAG], ['CreateOrUpdateTags']);
  allowDescribe(functions.DescribeGroup.executionRole, 'AutoScalingGroups');
  if (fleets.some(learns)) LearnedParameter.allowUse(app, functions.ComputeCapacity.executionRole);
  allowUpdates(functions.UpdateGroup, app, fleets);
  allowTags(
    functions.UpdateGroup,
    app,
    [LAUNCH_SUSPENDED_TAG, FALLBACK_TAG, WITHHELD_TAG, OUTSIDE_TAG, TASKS_TAG],
    ['CreateOrUpdateTags', 'DeleteTags'],
  );
  return functions;
}

/** Allows Update Group what it changes of the fleets' groups. */
function allowUpdates({ executionRole }: TaskFunction, app: string, fleets: FleetConfig[]): void {
  allowDescribe(executionRole, 'AutoScalingGroups');
  RunnerGroup.allowAllOf(app, executionRole, ['SetDesiredCapacity', 'SuspendProcesses', 'ResumeProcesses']);
  RunnerGroup.allowAllOf(app, executionRole, ['PutWarmPool'], { tags: { [WARM_POOL_TAG]: 'auto' } });
  const ofSpot = fleets.filter(({ spot }) => spot !== undefined);
  if (ofSpot.length === 0) return;
  // How the group of a Spot fleet buys instances.
  RunnerGroup.allowUpdate(app, executionRole, ofSpot, {
    tags: { [SPOT_TAG]: app },
    subnets: namedSubnets(ofSpot),
  });
  RunnerLaunchTemplate.allowLaunch(app, executionRole, ofSpot);
}

/** Allows a function to write these tags of the fleets' groups, and no others. */
function allowTags({ executionRole }: TaskFunction, app: string, keys: string[], actions: string[]): void {
  RunnerGroup.allowAllOf(app, executionRole, actions, {
    conditions: { 'ForAllValues:StringEquals': { 'aws:TagKeys': keys } },
  });
}
