import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import {
  ComputeCapacityInput,
  CountInput,
  DescribeActivitiesInput,
  DescribeGroupInput,
  ReadSecretsInput,
  UpdateGroupInput,
} from '../../functions/lib/contracts.ts';
import { FAILURES } from '../../statemachine/failures.ts';
import { EACH_FLEET, fleetsWith, threeFleets } from '../support/fleets.ts';
import { firstPoll } from '../support/inputs.ts';
import { SynthesisedTemplate } from './template.ts';

const template = new SynthesisedTemplate(threeFleets());
const definition = readFileSync('statemachine/autoscale.asl.json', 'utf8');

describe('the workflow', () => {
  const stateMachine = template.the('AWS::StepFunctions::StateMachine');

  it('publishes metrics in one namespace only', () => {
    const namespaces = [...definition.matchAll(/"Namespace": "(.*)"/g)].map(([, namespace]) => namespace);
    expect(new Set(namespaces)).toEqual(new Set(['CircleCIRunnerAutoscaler']));
  });

  it('is an Express workflow that logs every state with its data, for a limited time', () => {
    expect(stateMachine.properties).toMatchObject({
      StateMachineType: 'EXPRESS',
      LoggingConfiguration: {
        Level: 'ALL',
        IncludeExecutionData: true,
        Destinations: [
          {
            CloudWatchLogsLogGroup: { LogGroupArn: 'LogGroup(/aws/vendedlogs/states/circleci-runners).Arn' },
          },
        ],
      },
    });
    expect(template.the('AWS::Logs::LogGroup', 'WorkflowExecutionLog').properties).toMatchObject({
      RetentionInDays: 14,
    });
  });

  it('counts each kind of failure by the metric that the alarms watch, in the state of its name', () => {
    const { States } = z
      .object({ States: z.record(z.string(), z.object({ Parameters: z.unknown().optional() })) })
      .parse(JSON.parse(definition));
    for (const [metric, state] of Object.entries(FAILURES)) {
      expect(States[state]?.Parameters).toMatchObject({ metric });
    }
  });

  it('is the definition file byte for byte, in which whole strings are substituted', () => {
    expect(stateMachine.properties.DefinitionString).toBe(definition);
    const placeholders = [...definition.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name);
    const wholeStrings = [...definition.matchAll(/"\$\{(\w+)\}"/g)].map(([, name]) => name);
    expect(wholeStrings).toEqual(placeholders);
    expect(stateMachine.properties.DefinitionSubstitutions).toEqual({
      ReadSecretsFunctionArn: 'Function(circleci-runners-read-secrets).Arn',
      DescribeActivitiesFunctionArn: 'Function(circleci-runners-describe-activities).Arn',
      CountUnclaimedFunctionArn: 'Function(circleci-runners-count-unclaimed).Arn',
      CountRunningFunctionArn: 'Function(circleci-runners-count-running).Arn',
      DescribeGroupFunctionArn: 'Function(circleci-runners-describe-group).Arn',
      ComputeCapacityFunctionArn: 'Function(circleci-runners-compute-capacity).Arn',
      UpdateGroupFunctionArn: 'Function(circleci-runners-update-group).Arn',
    });
    expect(new Set(placeholders)).toEqual(
      new Set(Object.keys(Object(stateMachine.properties.DefinitionSubstitutions))),
    );
  });
});

describe('the schedule', () => {
  const Schedule = z.object({
    Name: z.string(),
    Target: z.object({
      Input: z.string().transform((text): Record<string, unknown> => JSON.parse(text)),
    }),
  });
  const inputOf = (id: string) =>
    Schedule.parse(template.the('AWS::Scheduler::Schedule', `Workflow${id}`).properties).Target.Input;

  it('of each fleet starts an execution every minute, and is gone before its group and their group are', () => {
    const schedules = template.all('AWS::Scheduler::Schedule');
    const scheduleGroup = template.the('AWS::Scheduler::ScheduleGroup');
    expect(scheduleGroup.properties).toEqual({ Name: 'circleci-runners' });
    expect(scheduleGroup.attributes).toEqual({ DeletionPolicy: 'Delete', UpdateReplacePolicy: 'Delete' });
    expect(schedules).toHaveLength(EACH_FLEET.length);
    for (const { id, name } of EACH_FLEET) {
      const schedule = template.the('AWS::Scheduler::Schedule', `Workflow${id}`);
      expect(schedule.properties).toMatchObject({
        Name: `circleci-runners-${name}`,
        GroupName: scheduleGroup.properties.Name,
        ScheduleExpression: 'rate(1 minute)',
        FlexibleTimeWindow: { Mode: 'OFF' },
        Target: {
          Arn: 'StateMachine(circleci-runners)',
          RoleArn: 'Role(WorkflowSchedulerRole).Arn',
          RetryPolicy: { MaximumEventAgeInSeconds: 60 },
          DeadLetterConfig: { Arn: 'Queue(circleci-runners-dead-letters).Arn' },
        },
      });
      // The name alone makes no order: CloudFormation would make schedules before the group that they are in.
      expect([schedule.attributes.DependsOn].flat().toSorted()).toEqual(
        [template.the('AWS::AutoScaling::AutoScalingGroup', `${id}Fleet`).id, scheduleGroup.id].toSorted(),
      );
    }
  });

  it("hands the fleet's settings to the workflow", () => {
    expect(inputOf('Arm')).toEqual({
      fleet: 'arm',
      resourceClass: 'acme/arm',
      circleciUrl: 'https://runner.circleci.com',
      scalerSecretName: 'circleci-runners/arm/scaler',
      groupName: 'circleci-runners-arm',
      capacity: { minReplicas: 0, maxReplicas: 20 },
      pollIntervalSeconds: 5,
      quietPollIntervalSeconds: 60,
      breakerFailures: 3,
      breakerWindowSeconds: 900,
      onDemandPercentage: 100,
      warmPoolAuto: false,
      alarmTopicArn: 'Topic(AlarmTopic)',
    });
    expect(inputOf('LinuxLarge')).toEqual({
      fleet: 'linux-large',
      resourceClass: 'acme/linux-large',
      circleciUrl: 'https://circleci.acme.example',
      scalerSecretName: 'existing/scaler',
      groupName: 'circleci-runners-linux-large',
      capacity: {
        minReplicas: 2,
        maxReplicas: 40,
        headroom: '20%',
        maxSurge: 10,
        schedules: [
          {
            name: 'working hours',
            start: '0 8 * * MON-FRI',
            end: '0 18 * * MON-FRI',
            timezone: 'Europe/Berlin',
            minReplicas: 4,
            maxReplicas: 60,
          },
        ],
      },
      pollIntervalSeconds: 10,
      quietPollIntervalSeconds: 20,
      breakerFailures: 5,
      breakerWindowSeconds: 1_800,
      onDemandPercentage: 25,
      warmPoolAuto: false,
      alarmTopicArn: 'arn:aws:sns:eu-west-1:111122223333:builds',
    });
  });

  it('tells the workflow whether the warm pool is its own to size', () => {
    const pools = new SynthesisedTemplate(
      fleetsWith({ auto: { warmPool: '{size: auto}' }, five: { warmPool: '{size: 5}' } }),
    );
    const told = pools
      .all('AWS::Scheduler::Schedule')
      .map(
        ({ properties }) =>
          /"warmPoolAuto":(true|false)/.exec(JSON.stringify(properties).replaceAll('\\', ''))?.[1],
      );
    expect(told).toEqual(['true', 'false']);
  });

  it('hands over what the states read, and nothing that none reads', () => {
    const read = new Set([...definition.matchAll(/\$\$\.Execution\.Input\.(\w+)/g)].map(([, key]) => key));
    expect(new Set(Object.keys(inputOf('Arm')))).toEqual(read);
  });

  it.each(EACH_FLEET)('of $name hands over what the contracts of the steps ask for', ({ id }) => {
    const poll = firstPoll();
    const { executionStartedAt } = poll;
    const state = { ...inputOf(id), execution: 'execution-1', executionStartedAt, poll };
    const group = {
      desired: 0,
      members: { pending: 0, inService: 0, leaving: 0, standby: 0 },
      launchProcess: { suspended: false, byBreaker: false },
      paused: 'false',
    };
    const observed = { unclaimed: { unclaimed: 0 }, running: { running: 0 }, group };
    const activities = {
      lastAt: null,
      failedLaunches: 0,
      cameInService: 0,
      breaker: { open: false },
    };
    const decision = { from: 0, desired: 0, change: false, reasons: [] };
    ReadSecretsInput.parse(state);
    CountInput.parse(state);
    DescribeGroupInput.parse(state);
    DescribeActivitiesInput.parse(state);
    ComputeCapacityInput.parse({ ...state, activities, observed });
    UpdateGroupInput.parse({ ...state, decision, again: false });
  });
});

describe('the dead-letter queue', () => {
  const queue = template.the('AWS::SQS::Queue');

  it('keeps undelivered events for two weeks, encrypted', () => {
    expect(queue.properties).toEqual({
      QueueName: 'circleci-runners-dead-letters',
      MessageRetentionPeriod: 1_209_600,
      SqsManagedSseEnabled: true,
    });
  });

  it('refuses unencrypted requests', () => {
    expect(template.the('AWS::SQS::QueuePolicy').properties).toMatchObject({
      Queues: ['Queue(circleci-runners-dead-letters)'],
      PolicyDocument: {
        Statement: [{ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }],
      },
    });
  });
});
