import { readFileSync } from 'node:fs';
import { Aws, Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { ScheduleGroup } from 'aws-cdk-lib/aws-scheduler';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { DefinitionBody, LogLevel, StateMachine, StateMachineType } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import { metricNamespace } from '../functions/lib/metric-namespace.ts';
import type { AlarmTopic } from './alarm-topic.ts';
import { allowKey } from './encryption.ts';
import { allow } from './permissions.ts';
import { withRunbook } from './runbook.ts';
import type { ScalerNetwork } from './scaler-network.ts';
import { Shared } from './shared.ts';
import { type TaskFunctions, taskFunctions } from './task-functions.ts';

export interface ScalingWorkflowProps {
  app: string;
  fleets: FleetConfig[];
  topic: AlarmTopic;
  /** Where the functions run. */
  network: ScalerNetwork;
  /** Another state machine that schedules of fleets start. */
  reconcile: StateMachine;
}

/** The state machine that all fleets share, its functions, and what the schedules of fleets need. */
export class ScalingWorkflow extends Construct {
  readonly stateMachine: StateMachine;
  /** The function of each Task state, by the state's name without spaces. */
  readonly taskFunctions: TaskFunctions;
  /** The schedules of all fleets, each by its group's name. */
  readonly schedules: ScheduleGroup;
  /** The events that schedules could not deliver. */
  readonly deadLetters: Queue;

  constructor(
    scope: Construct,
    id: string,
    { app, fleets, topic, network, reconcile }: ScalingWorkflowProps,
  ) {
    super(scope, id);
    this.taskFunctions = taskFunctions(this, app, fleets, network);
    const role = new Role(this, 'StateMachineRole', {
      assumedBy: new ServicePrincipal('states.amazonaws.com'),
      path: Shared.rolePath(app, 'workflow'),
    });
    allow(role, {
      actions: ['lambda:InvokeFunction'],
      resources: Object.values(this.taskFunctions).map(({ functionArn }) => functionArn),
    });
    allow(role, {
      actions: ['cloudwatch:PutMetricData'],
      resources: ['*'],
      conditions: { StringEquals: { 'cloudwatch:namespace': metricNamespace(app) } },
      wildcard:
        'Metrics are no resources, so a condition names their namespace. Nor has the delivery of logs, which the CDK allows for the execution log, any: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html',
    });
    allow(role, { actions: ['sns:Publish'], resources: topic.arnsFor(fleets) });
    const [{ encryptionKey } = {}] = fleets;
    allowKey(role, encryptionKey, 'sns', 'write');

    const definition = readFileSync(new URL('../statemachine/autoscale.asl.json', import.meta.url), 'utf8');
    this.stateMachine = new StateMachine(this, 'StateMachine', {
      stateMachineName: app,
      stateMachineType: StateMachineType.EXPRESS,
      role,
      // From the text, so that the template holds the file as it is.
      definitionBody: DefinitionBody.fromString(withRunbook(this, definition)),
      definitionSubstitutions: {
        ...Object.fromEntries(
          Object.entries(this.taskFunctions).map(([name, { functionArn }]) => [
            `${name}FunctionArn`,
            functionArn,
          ]),
        ),
        SnsPublishArn: integrationArn('sns:publish'),
        CloudWatchPutMetricDataArn: integrationArn('aws-sdk:cloudwatch:putMetricData'),
        AlarmTopicArn: topic.topicArn,
        StackName: app,
        MetricNamespace: metricNamespace(app),
      },
      logs: {
        level: LogLevel.ALL,
        // The state has no secrets, only their names.
        includeExecutionData: true,
        destination: new LogGroup(this, 'ExecutionLog', {
          logGroupName: `/aws/vendedlogs/states/${Aws.STACK_NAME}`,
          retention: RetentionDays.TWO_WEEKS,
          removalPolicy: RemovalPolicy.DESTROY,
        }),
      },
    });

    Validations.of(this.stateMachine).acknowledge({
      id: 'AwsSolutions-SF2',
      reason:
        'The execution log holds each state with its input, output and times already; tracing would be paid for with every poll.',
    });

    this.deadLetters = new Queue(this, 'DeadLetters', {
      queueName: Shared.deadLettersName(app),
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    Validations.of(this.deadLetters).acknowledge({
      id: 'AwsSolutions-SQS3',
      reason: 'It is a dead-letter queue itself: what the schedules could not deliver to the workflow.',
    });

    const schedulerRole = new Role(this, 'SchedulerRole', {
      roleName: Shared.schedulerRoleName(app),
      assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
    });
    allow(schedulerRole, {
      actions: ['states:StartExecution'],
      resources: [this.stateMachine.stateMachineArn, reconcile.stateMachineArn],
    });
    allow(schedulerRole, { actions: ['sqs:SendMessage'], resources: [this.deadLetters.queueArn] });
    allowKey(schedulerRole, encryptionKey, 'sqs', 'write');
    this.schedules = new ScheduleGroup(this, 'Schedules', {
      scheduleGroupName: app,
      removalPolicy: RemovalPolicy.DESTROY,
    });
  }
}

/** A service that Step Functions calls itself. The ARN has the partition, such as `aws-us-gov`, but no region and account. */
const integrationArn = (call: string) => `arn:${Aws.PARTITION}:states:::${call}`;
