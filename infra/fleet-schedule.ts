import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler';
import type { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import { groupNameOf, reconcileScheduleName } from '../fleets/names.ts';
import { Shared } from './shared.ts';

export interface FleetScheduleProps {
  app: string;
  config: FleetConfig;
}

/** Finds what the fleet has left behind, every 10 minutes. */
export class ReconcileSchedule extends CfnSchedule {
  constructor(scope: Construct, id: string, { app, config }: FleetScheduleProps) {
    const shared = new Shared(scope, app);
    super(scope, id, {
      name: reconcileScheduleName(app, config.name),
      groupName: shared.scheduleGroup,
      description: `Finds what fleet ${config.name} has left behind`,
      scheduleExpression: 'rate(10 minutes)',
      // Not all fleets at once.
      flexibleTimeWindow: { mode: 'FLEXIBLE', maximumWindowInMinutes: 5 },
      target: {
        arn: shared.reconcileArn,
        roleArn: shared.schedulerRoleArn,
        input: JSON.stringify({ fleet: config.name }),
        retryPolicy: { maximumEventAgeInSeconds: 300, maximumRetryAttempts: 2 },
        deadLetterConfig: { arn: shared.deadLettersArn },
      },
    });
  }
}

/** Starts an execution for the fleet every minute. The input names the fleet, and decides nothing. */
export class FleetSchedule extends CfnSchedule {
  constructor(scope: Construct, id: string, { app, config }: FleetScheduleProps) {
    const shared = new Shared(scope, app);
    super(scope, id, {
      name: groupNameOf(app, config.name),
      groupName: shared.scheduleGroup,
      description: `Lets fleet ${config.name} follow the tasks of ${config.resourceClass}`,
      scheduleExpression: 'rate(1 minute)',
      flexibleTimeWindow: { mode: 'OFF' },
      target: {
        arn: shared.stateMachineArn,
        roleArn: shared.schedulerRoleArn,
        input: JSON.stringify({ fleet: config.name }),
        // A late start is dropped. The next minute's execution reads fresh counts.
        retryPolicy: { maximumEventAgeInSeconds: 60, maximumRetryAttempts: 2 },
        deadLetterConfig: { arn: shared.deadLettersArn },
      },
    });
  }
}
