import { Aspects, CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { type IStateMachine, StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import { AlarmTopic } from './alarm-topic.ts';
import { SharedAlarms } from './alarms.ts';
import { FleetsDashboard } from './dashboard.ts';
import { EncryptionKey } from './encryption.ts';
import { FleetsElsewhere, GroupSettingsFunction } from './group-settings.ts';
import { ImagesFunction } from './images.ts';
import { LogQueries } from './log-queries.ts';
import { ReconcileWorkflow } from './reconcile-workflow.ts';
import { ScalerNetwork } from './scaler-network.ts';
import { ScalingWorkflow } from './scaling-workflow.ts';
import { Shared } from './shared.ts';

export interface SharedStackProps extends StackProps {
  /** The adopter's KMS key. Default: keys of AWS. */
  encryptionKey?: string | undefined;
}

/**
 * What all fleets share, as a table of contents. The stack has the name of the app. At first it has only the topic: all else
 * depends on all fleets, and `complete` makes it.
 */
export class SharedStack extends Stack {
  /** The topic that receives the alarms of all fleets. */
  readonly alarmTopic: ITopic;
  /** The state machine that the schedules of all fleets start. */
  readonly stateMachine: IStateMachine;

  private readonly topic: AlarmTopic;

  constructor(
    scope: Construct,
    private readonly app: string,
    { encryptionKey, ...props }: SharedStackProps,
  ) {
    super(scope, app, {
      stackName: app,
      description: 'EC2 runners that follow the CircleCI queue',
      suppressTemplateIndentation: true,
      ...props,
    });
    if (encryptionKey !== undefined) Aspects.of(this).add(new EncryptionKey(encryptionKey));

    this.topic = new AlarmTopic(this, 'AlarmTopic', { topicName: app });
    this.alarmTopic = this.topic;
    // By its name, because it is made last.
    this.stateMachine = StateMachine.fromStateMachineArn(
      this,
      'StateMachine',
      new Shared(this, app).stateMachineArn,
    );
  }

  /**
   * Makes the rest, once.
   *
   * @param fleets All fleets. The stack knows them by their names, and refers to nothing of their stacks.
   */
  complete(fleets: FleetConfig[]): void {
    const { app, topic } = this;
    topic.subscribe(fleets);
    const network = new ScalerNetwork(this, 'Scaler', { fleets });
    const reconcile = new ReconcileWorkflow(this, 'Reconcile', { app, fleets, network }).stateMachine;
    const workflow = new ScalingWorkflow(this, 'Workflow', { app, fleets, topic, network, reconcile });
    const settings = new GroupSettingsFunction(this, 'GroupSettings', { app, fleets });
    new FleetsElsewhere(this, { app, settings });
    if (fleets.some(({ imageBuild }) => imageBuild !== undefined))
      new ImagesFunction(this, 'Images', { app, fleets, topic });
    const alarms = new SharedAlarms(this, 'Alarms', {
      app,
      fleets: fleets.length,
      workflow,
      reconcile,
      topicArns: topic.arnsFor(fleets),
    });
    new FleetsDashboard(this, 'Dashboard', { app, fleets, workflow, alarms });
    new LogQueries(this, 'LogQueries', { workflow });

    new CfnOutput(this, 'StateMachineArn', { value: workflow.stateMachine.stateMachineArn });
  }
}
