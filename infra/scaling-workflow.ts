import { readFileSync } from 'node:fs';
import { Aws, Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { CfnSchedule, ScheduleGroup } from 'aws-cdk-lib/aws-scheduler';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { DefinitionBody, LogLevel, StateMachine, StateMachineType } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { capacityOf, onDemandPercentage } from '../fleets/effective.ts';
import { logicalId } from '../fleets/names.ts';
import { METRIC_NAMESPACE } from '../functions/lib/metrics.ts';
import { FALLBACK_TAG, LAUNCH_SUSPENDED_TAG } from '../functions/lib/tags.ts';
import type { AlarmTopic } from './alarm-topic.ts';
import { allow, DESCRIBE_ACTIVITIES, DESCRIBE_GROUPS } from './permissions.ts';
import { onGroups, type RunnerFleet } from './runner-fleet.ts';
import { StepFunction } from './step-function.ts';

/** The state machine that all fleets share, its functions, and a schedule for each fleet. */
export class ScalingWorkflow extends Construct {
  readonly stateMachine: StateMachine;
  /** The function of each Task state, by the state's name without spaces. */
  readonly steps: ReturnType<ScalingWorkflow['functions']>;
  /** The schedules of all fleets, each by its group's name. */
  readonly schedules: ScheduleGroup;
  /** What schedules could not deliver. */
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, fleets: RunnerFleet[], topic: AlarmTopic) {
    super(scope, id);
    this.steps = this.functions(fleets);
    const role = new Role(this, 'StateMachineRole', {
      assumedBy: new ServicePrincipal('states.amazonaws.com'),
    });
    allow(role, {
      actions: ['lambda:InvokeFunction'],
      resources: Object.values(this.steps).map((step) => step.functionArn),
    });
    allow(role, {
      actions: ['cloudwatch:PutMetricData'],
      resources: ['*'],
      conditions: { StringEquals: { 'cloudwatch:namespace': METRIC_NAMESPACE } },
      wildcard:
        'Metrics are no resources, so a condition names their namespace. Nor has the delivery of logs, which the CDK allows for the execution log, any: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html',
    });
    allow(role, { actions: ['sns:Publish'], resources: topic.arns });

    const definition = readFileSync(new URL('../statemachine/autoscale.asl.json', import.meta.url), 'utf8');
    this.stateMachine = new StateMachine(this, 'StateMachine', {
      stateMachineName: Stack.of(this).stackName,
      stateMachineType: StateMachineType.EXPRESS,
      role,
      // From the text, so that the template holds the file as it is.
      definitionBody: DefinitionBody.fromString(definition),
      definitionSubstitutions: Object.fromEntries(
        Object.entries(this.steps).map(([name, step]) => [`${name}FunctionArn`, step.functionArn]),
      ),
      logs: {
        level: LogLevel.ALL,
        // There is no secret in the state: only names of secrets.
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
    this.schedules = new ScheduleGroup(this, 'Schedules', {
      scheduleGroupName: Stack.of(this).stackName,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    for (const fleet of fleets) this.schedule(fleet, schedulerRole, topic);
  }

  /** One function for each Task state, by the name of its placeholder in the definition. */
  private functions(fleets: RunnerFleet[]) {
    const autoPools = fleets.filter(({ config }) => config.warmPool?.size === 'auto');
    const readScalerSecrets = {
      actions: ['secretsmanager:GetSecretValue'],
      resources: fleets.map((fleet) => fleet.scalerSecret.arn),
    };
    return {
      ReadSecrets: new StepFunction(this, 'ReadSecrets', {
        entry: 'read-secrets',
        description: "Proves that a fleet's scaler secret can be read and is whole",
        permissions: [readScalerSecrets],
      }),
      DescribeActivities: new StepFunction(this, 'DescribeActivities', {
        entry: 'describe-activities',
        description: "Reads a group's scaling activities, and whether its launches only fail",
        permissions: [DESCRIBE_ACTIVITIES],
      }),
      CountUnclaimed: new StepFunction(this, 'CountUnclaimed', {
        entry: 'count-unclaimed',
        description: "Counts the tasks of a fleet's resource class that wait for a runner",
        permissions: [readScalerSecrets],
      }),
      CountRunning: new StepFunction(this, 'CountRunning', {
        entry: 'count-running',
        description: "Counts the tasks of a fleet's resource class that a runner works on",
        permissions: [readScalerSecrets],
      }),
      DescribeGroup: new StepFunction(this, 'DescribeGroup', {
        entry: 'describe-group',
        description: "Reads a group's desired capacity and counts its members by lifecycle state",
        permissions: [DESCRIBE_GROUPS],
      }),
      ComputeCapacity: new StepFunction(this, 'ComputeCapacity', {
        entry: 'compute-capacity',
        description: "Decides a group's desired capacity, and when the next poll is due",
        permissions: [],
      }),
      UpdateGroup: new StepFunction(this, 'UpdateGroup', {
        entry: 'update-group',
        description:
          "Sets a group's desired capacity, suspends its launches while the breaker is open, and has it fall back from Spot to On-Demand",
        permissions: [
          DESCRIBE_GROUPS,
          onGroups(
            fleets,
            'autoscaling:SetDesiredCapacity',
            'autoscaling:SuspendProcesses',
            'autoscaling:ResumeProcesses',
          ),
          ...(autoPools.length > 0 ? [onGroups(autoPools, 'autoscaling:PutWarmPool')] : []),
          {
            ...onGroups(fleets, 'autoscaling:CreateOrUpdateTags', 'autoscaling:DeleteTags'),
            conditions: {
              'ForAllValues:StringEquals': { 'aws:TagKeys': [LAUNCH_SUSPENDED_TAG, FALLBACK_TAG] },
            },
          },
          ...fleets.flatMap((fleet) => fleet.fallbackPermissions),
        ],
      }),
    };
  }

  /** Starts an execution for the fleet every minute; its input explains itself in the console. */
  private schedule(fleet: RunnerFleet, role: Role, topic: AlarmTopic): void {
    const { config } = fleet;
    const schedule = new CfnSchedule(this, `${logicalId(config.name)}Schedule`, {
      name: fleet.groupName,
      groupName: this.schedules.scheduleGroupName,
      description: `Lets fleet ${config.name} follow the tasks of ${config.resourceClass}`,
      scheduleExpression: 'rate(1 minute)',
      flexibleTimeWindow: { mode: 'OFF' },
      target: {
        arn: this.stateMachine.stateMachineArn,
        roleArn: role.roleArn,
        input: Stack.of(this).toJsonString({
          fleet: config.name,
          resourceClass: config.resourceClass,
          circleciUrl: config.circleciUrl,
          scalerSecretName: fleet.scalerSecret.name,
          groupName: fleet.groupName,
          capacity: capacityOf(config),
          pollIntervalSeconds: config.pollInterval,
          quietPollIntervalSeconds: config.quietPollInterval,
          breakerFailures: config.breaker.failures,
          breakerWindowSeconds: config.breaker.window,
          onDemandPercentage: onDemandPercentage(config),
          warmPoolAuto: config.warmPool?.size === 'auto',
          alarmTopicArn: topic.arnOf(config),
        }),
        // A start that comes late is worth nothing: the next minute's counts afresh.
        retryPolicy: { maximumEventAgeInSeconds: 60, maximumRetryAttempts: 2 },
        deadLetterConfig: { arn: this.deadLetters.queueArn },
      },
    });
    // Made after the group that it is in: a name alone does not tell CloudFormation. And deleted before the Auto
    // Scaling group, so that nothing is launched into a group on its way out.
    schedule.node.addDependency(this.schedules, fleet.warmPool ?? fleet.group);
  }
}
