import { Stack } from 'aws-cdk-lib';
import { CfnQueryDefinition } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { ScalingWorkflow } from './scaling-workflow.ts';
import type { TaskFunction } from './task-function.ts';

export interface LogQueriesProps {
  workflow: ScalingWorkflow;
}

/** Saved queries over the logs of the functions, for CloudWatch Logs Insights, in a folder with the stack's name. */
export class LogQueries extends Construct {
  constructor(scope: Construct, id: string, { workflow: { taskFunctions } }: LogQueriesProps) {
    super(scope, id);
    const { ComputeCapacity, DescribeActivities } = taskFunctions;

    // Remove the # of the commented line to see one fleet.
    this.query(
      'Decisions of a fleet',
      [ComputeCapacity],
      `fields @timestamp, fleet, unclaimed, running, decision.desired, decision.reasons.0, decision.reasons.1, decision.reasons.2, decision.reasons.3, poll, execution
| filter message = "Compute Capacity" and ispresent(decision.desired)
# | filter fleet = "NAME"
| sort @timestamp desc
| limit 500`,
    );
    this.query(
      'Failures',
      Object.values(taskFunctions),
      `fields @timestamp, message as step, fleet, error.name, error.message, execution
| filter level = "ERROR"
| sort @timestamp desc
| limit 500`,
    );
    this.query(
      'Slow polls',
      [ComputeCapacity],
      `fields @timestamp, fleet, pollDurationMs, unclaimed, running, poll, execution
| filter message = "Compute Capacity" and ispresent(pollDurationMs)
| sort pollDurationMs desc
| limit 100`,
    );
    this.query(
      'Breaker and failed launches',
      [DescribeActivities],
      `fields @timestamp, fleet, failedLaunches, breaker.open, breaker.kind, breaker.reason, breaker.canaryAt, execution
| filter message = "Describe Activities" and (breaker.open = 1 or failedLaunches > 0)
| sort @timestamp desc
| limit 500`,
    );
  }

  private query(name: string, functions: TaskFunction[], queryString: string): void {
    new CfnQueryDefinition(this, name.replaceAll(' ', ''), {
      name: `${Stack.of(this).stackName}/${name}`,
      logGroupNames: functions.map(({ logGroup }) => logGroup.logGroupName),
      queryString,
    });
  }
}
