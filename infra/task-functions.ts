import type { Construct } from 'constructs';
import {
  COUNTED_TAG,
  FALLBACK_TAG,
  LAUNCH_SUSPENDED_TAG,
  TASKS_TAG,
  WITHHELD_TAG,
} from '../functions/lib/tags.ts';
import { FleetParameter } from './fleet-parameter.ts';
import { FleetSecret } from './fleet-secret.ts';
import { allowDescribe } from './permissions.ts';
import type { RunnerFleet } from './runner-fleet.ts';
import { RunnerGroup } from './runner-group.ts';
import { TaskFunction } from './task-function.ts';

export type TaskFunctions = ReturnType<typeof taskFunctions>;

/** The function of each Task state, by the name of its placeholder in the definition, with its permissions. */
export function taskFunctions(scope: Construct, fleets: RunnerFleet[]) {
  const functions = {
    ReadSettings: new TaskFunction(scope, 'ReadSettings', {
      entry: 'read-settings',
      description: "Reads a fleet's settings, and proves that its scaler secret can be read and is whole",
    }),
    DescribeActivities: new TaskFunction(scope, 'DescribeActivities', {
      entry: 'describe-activities',
      description: "Reads a group's scaling activities, and whether its launches only fail",
    }),
    CountUnclaimed: new TaskFunction(scope, 'CountUnclaimed', {
      entry: 'count-unclaimed',
      description: "Counts the tasks of a fleet's resource class that wait for a runner",
    }),
    CountRunning: new TaskFunction(scope, 'CountRunning', {
      entry: 'count-running',
      description: "Counts the tasks of a fleet's resource class that a runner works on",
    }),
    DescribeGroup: new TaskFunction(scope, 'DescribeGroup', {
      entry: 'describe-group',
      description: "Reads a group's desired capacity and counts its members by lifecycle state",
    }),
    ComputeCapacity: new TaskFunction(scope, 'ComputeCapacity', {
      entry: 'compute-capacity',
      description: "Decides a group's desired capacity, and when the next poll is due",
    }),
    UpdateGroup: new TaskFunction(scope, 'UpdateGroup', {
      entry: 'update-group',
      description:
        "Sets a group's desired capacity, suspends its launches while the breaker is open, and has it fall back from Spot to On-Demand",
    }),
  };
  for (const { executionRole } of Object.values(functions)) FleetParameter.allowRead(executionRole);
  const scalerSecrets = fleets.map(({ scalerSecret }) => scalerSecret);
  for (const reader of [functions.ReadSettings, functions.CountUnclaimed, functions.CountRunning]) {
    FleetSecret.allowRead(reader.executionRole, scalerSecrets);
  }
  allowDescribe(functions.DescribeActivities.executionRole, 'ScalingActivities');
  allowDescribe(functions.DescribeActivities.executionRole, 'AutoScalingGroups');
  allowTags(functions.DescribeActivities, fleets, [COUNTED_TAG], ['CreateOrUpdateTags']);
  allowDescribe(functions.DescribeGroup.executionRole, 'AutoScalingGroups');
  allowUpdates(functions.UpdateGroup, fleets);
  allowTags(
    functions.UpdateGroup,
    fleets,
    [LAUNCH_SUSPENDED_TAG, FALLBACK_TAG, WITHHELD_TAG, TASKS_TAG],
    ['CreateOrUpdateTags', 'DeleteTags'],
  );
  return functions;
}

/** Allows Update Group what it changes of the fleets' groups. */
function allowUpdates({ executionRole }: TaskFunction, fleets: RunnerFleet[]): void {
  const groups = fleets.map(({ group }) => group);
  const autoPools = fleets.filter(({ config }) => config.warmPool?.size === 'auto');
  allowDescribe(executionRole, 'AutoScalingGroups');
  RunnerGroup.allow(executionRole, groups, {
    actions: ['SetDesiredCapacity', 'SuspendProcesses', 'ResumeProcesses'],
  });
  if (autoPools.length > 0) {
    RunnerGroup.allow(
      executionRole,
      autoPools.map(({ group }) => group),
      { actions: ['PutWarmPool'] },
    );
  }
  for (const fleet of fleets) fleet.allowFallback(executionRole);
}

/** Allows a function to write these tags of the fleets' groups, and no others. */
function allowTags(
  { executionRole }: TaskFunction,
  fleets: RunnerFleet[],
  keys: string[],
  actions: string[],
): void {
  RunnerGroup.allow(
    executionRole,
    fleets.map(({ group }) => group),
    { actions, conditions: { 'ForAllValues:StringEquals': { 'aws:TagKeys': keys } } },
  );
}
