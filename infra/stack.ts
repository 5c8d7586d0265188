import { Aspects, CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import { logicalId } from '../fleets/names.ts';
import { AlarmTopic } from './alarm-topic.ts';
import { Alarms } from './alarms.ts';
import { FleetsDashboard } from './dashboard.ts';
import { EncryptionKey } from './encryption.ts';
import { GroupSettings } from './group-settings.ts';
import { LogQueries } from './log-queries.ts';
import { RunnerFleet } from './runner-fleet.ts';
import { ScalingWorkflow } from './scaling-workflow.ts';

export interface AutoscalerStackProps extends StackProps {
  fleets: FleetConfig[];
}

/** Everything that an account needs for its fleets, as a table of contents. */
export class AutoscalerStack extends Stack {
  constructor(scope: Construct, id: string, { fleets: configs, ...props }: AutoscalerStackProps) {
    super(scope, id, {
      description: 'EC2 runners that follow the CircleCI queue',
      // Indentation would take a third more of the 1 MB that a template may have.
      suppressTemplateIndentation: true,
      ...props,
    });

    const [{ encryptionKey } = {}] = configs;
    if (encryptionKey !== undefined) Aspects.of(this).add(new EncryptionKey(encryptionKey));
    const fleets = configs.map(
      // Not the name alone: a fleet may be called `workflow`, or `default`, a name that the CDK treats differently.
      (config) => new RunnerFleet(this, `${logicalId(config.name)}Fleet`, { config }),
    );
    new GroupSettings(this, 'GroupSettings', { fleets });
    const topic = new AlarmTopic(this, 'AlarmTopic', { fleets });
    const workflow = new ScalingWorkflow(this, 'Workflow', { fleets, topic });
    const alarms = new Alarms(this, 'Alarms', { fleets, workflow, topic });
    new FleetsDashboard(this, 'Dashboard', { fleets, workflow, alarms });
    new LogQueries(this, 'LogQueries', { workflow });

    new CfnOutput(this, 'StateMachineArn', { value: workflow.stateMachine.stateMachineArn });
  }
}
