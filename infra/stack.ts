import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import { AlarmTopic } from './alarm-topic.ts';
import { Alarms } from './alarms.ts';
import { FleetsDashboard } from './dashboard.ts';
import { GroupSettings } from './group-settings.ts';
import { LogQueries } from './log-queries.ts';
import { RunnerFleet } from './runner-fleet.ts';
import { ScalingWorkflow } from './scaling-workflow.ts';

/** Everything that an account needs for its fleets, as a table of contents. */
export class AutoscalerStack extends Stack {
  constructor(scope: Construct, id: string, fleets: FleetConfig[], props?: StackProps) {
    super(scope, id, { description: 'EC2 runners that follow the CircleCI queue', ...props });

    const runnerFleets = fleets.map((fleet) => new RunnerFleet(this, fleet));
    new GroupSettings(this, 'GroupSettings', runnerFleets);
    const topic = new AlarmTopic(this, 'AlarmTopic', runnerFleets);
    const workflow = new ScalingWorkflow(this, 'Workflow', runnerFleets, topic);
    const alarms = new Alarms(this, 'Alarms', runnerFleets, workflow, topic);
    new FleetsDashboard(this, 'Dashboard', runnerFleets, workflow, alarms);
    new LogQueries(this, 'LogQueries', workflow);

    new CfnOutput(this, 'StateMachineArn', { value: workflow.stateMachine.stateMachineArn });
  }
}
