import { readFileSync } from 'node:fs';
import { Aws, Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { CfnSchedule, ScheduleGroup } from 'aws-cdk-lib/aws-scheduler';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { DefinitionBody, LogLevel, StateMachine, StateMachineType } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { capacityOf, onDemandPercentage, quietPollIntervalOf } from '../fleets/effective.ts';
import { logicalId } from '../fleets/names.ts';
import { METRIC_NAMESPACE } from '../functions/lib/metrics.ts';
import { spreadSeconds } from '../functions/lib/pacing.ts';
import type { AlarmTopic } from './alarm-topic.ts';
import { allowKey } from './encryption.ts';
import { FleetParameter } from './fleet-parameter.ts';
import { allow } from './permissions.ts';
import type { RunnerFleet } from './runner-fleet.ts';
import { type TaskFunctions, taskFunctions } from './task-functions.ts';

export interface ScalingWorkflowProps {
  fleets: RunnerFleet[];
  topic: AlarmTopic;
}

/** The state machine that all fleets share, its functions, and a schedule for each fleet. */
export class ScalingWorkflow extends Construct {
  readonly stateMachine: StateMachine;
  /** The function of each Task state, by the state's name without spaces. */
  readonly taskFunctions: TaskFunctions;
  /** The schedules of all fleets, each by its group's name. */
  readonly schedules: ScheduleGroup;
  /** The events that schedules could not deliver. */
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, { fleets, topic }: ScalingWorkflowProps) {
    super(scope, id);
    this.taskFunctions = taskFunctions(this, fleets);
    const role = new Role(this, 'StateMachineRole', {
      assumedBy: new ServicePrincipal('states.amazonaws.com'),
    });
    allow(role, {
      actions: ['lambda:InvokeFunction'],
      resources: Object.values(this.taskFunctions).map(({ functionArn }) => functionArn),
    });
    allow(role, {
      actions: ['cloudwatch:PutMetricData'],
      resources: ['*'],
      conditions: { StringEquals: { 'cloudwatch:namespace': METRIC_NAMESPACE } },
      wildcard:
        'Metrics are no resources, so a condition names their namespace. Nor has the delivery of logs, which the CDK allows for the execution log, any: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html',
    });
    allow(role, { actions: ['sns:Publish'], resources: topic.arns });
    const [{ encryptionKey } = {}] = fleets.map(({ config }) => config);
    allowKey(role, encryptionKey, 'sns', 'write');

    const definition = readFileSync(new URL('../statemachine/autoscale.asl.json', import.meta.url), 'utf8');
    this.stateMachine = new StateMachine(this, 'StateMachine', {
      stateMachineName: Stack.of(this).stackName,
      stateMachineType: StateMachineType.EXPRESS,
      role,
      // From the text, so that the template holds the file as it is.
      definitionBody: DefinitionBody.fromString(definition),
      definitionSubstitutions: {
        ...Object.fromEntries(
          Object.entries(this.taskFunctions).map(([name, { functionArn }]) => [
            `${name}FunctionArn`,
            functionArn,
          ]),
        ),
        AlarmTopicArn: topic.topicArn,
        StackName: Stack.of(this).stackName,
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
      queueName: `${Stack.of(this).stackName}-dead-letters`,
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    Validations.of(this.deadLetters).acknowledge({
      id: 'AwsSolutions-SQS3',
      reason: 'It is a dead-letter queue itself: what the schedules could not deliver to the workflow.',
    });

    const schedulerRole = new Role(this, 'SchedulerRole', {
      assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
    });
    allow(schedulerRole, {
      actions: ['states:StartExecution'],
      resources: [this.stateMachine.stateMachineArn],
    });
    allow(schedulerRole, { actions: ['sqs:SendMessage'], resources: [this.deadLetters.queueArn] });
    allowKey(schedulerRole, encryptionKey, 'sqs', 'write');
    this.schedules = new ScheduleGroup(this, 'Schedules', {
      scheduleGroupName: Stack.of(this).stackName,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const groupNames = new Map(fleets.map(({ config, groupName }) => [config.name, groupName]));
    for (const fleet of fleets) this.schedule(fleet, groupNames, schedulerRole, topic);
  }

  /** Starts an execution for the fleet every minute. The input names the fleet, and decides nothing. */
  private schedule(
    fleet: RunnerFleet,
    groupNames: ReadonlyMap<string, string>,
    role: Role,
    topic: AlarmTopic,
  ): void {
    const { config } = fleet;
    const settings = new FleetParameter(this, `${logicalId(config.name)}Parameter`, {
      fleet: config.name,
      settings: {
        resourceClass: config.resourceClass,
        circleciUrl: config.circleciUrl,
        scalerSecretName: fleet.scalerSecret.secretName,
        groupName: fleet.groupName,
        alarmTopicArn: topic.arnOf(config),
        capacity: capacityOf(config),
        pollIntervalSeconds: config.pollInterval,
        quietPollIntervalSeconds: quietPollIntervalOf(config),
        spreadSeconds: spreadSeconds(config.name, config.pollInterval),
        breakerFailures: config.breaker.failures,
        breakerWindowSeconds: config.breaker.window,
        onDemandPercentage: onDemandPercentage(config),
        warmPoolAuto: config.warmPool?.size === 'auto',
        ...(config.concurrency && {
          concurrency: {
            limit: config.concurrency.limit,
            groups: config.concurrency.fleets.map((name) => groupNames.get(name) ?? ''),
          },
        }),
      },
    });
    const schedule = new CfnSchedule(this, `${logicalId(config.name)}Schedule`, {
      name: fleet.groupName,
      groupName: this.schedules.scheduleGroupName,
      description: `Lets fleet ${config.name} follow the tasks of ${config.resourceClass}`,
      scheduleExpression: 'rate(1 minute)',
      flexibleTimeWindow: { mode: 'OFF' },
      target: {
        arn: this.stateMachine.stateMachineArn,
        roleArn: role.roleArn,
        input: JSON.stringify({ fleet: config.name }),
        // A late start is dropped. The next minute's execution reads fresh counts.
        retryPolicy: { maximumEventAgeInSeconds: 60, maximumRetryAttempts: 2 },
        deadLetterConfig: { arn: this.deadLetters.queueArn },
      },
    });
    // CloudFormation makes the schedule after its schedule group, whose name alone makes no order, and after the settings
    // that its executions read. It deletes the schedule before the Auto Scaling group, so that nothing is launched into a
    // group on its way out.
    schedule.node.addDependency(this.schedules, settings, fleet.warmPool ?? fleet.group);
  }
}
