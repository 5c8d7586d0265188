import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { reconcileScheduleName } from '../../fleets/names.ts';
import { spreadOf } from '../../fleets/own-second.ts';
import { DeployedSettings, ExecutionInput } from '../../functions/lib/contracts.ts';
import { FLEET_NAME } from '../../functions/lib/fleet-names.ts';
import { FAILURES } from '../../statemachine/failures.ts';
import { EACH_FLEET, fleetsOf, fleetsWith, minimalNamed, threeFleets } from '../support/fleets.ts';
import { SynthesisedTemplate } from './template.ts';

const template = SynthesisedTemplate.of(threeFleets());
const definition = readFileSync('statemachine/autoscale.asl.json', 'utf8');

describe('the workflow', () => {
  const stateMachine = template.the('AWS::StepFunctions::StateMachine', 'Workflow');

  it('publishes metrics in the namespace of the app only', () => {
    const namespaces = [...definition.matchAll(/"Namespace": "(.*)"/g)].map(([, namespace]) => namespace);
    expect(new Set(namespaces)).toEqual(new Set([['$', '{MetricNamespace}'].join('')]));
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
      ReadSettingsFunctionArn: 'Function(circleci-runners-read-settings).Arn',
      DescribeActivitiesFunctionArn: 'Function(circleci-runners-describe-activities).Arn',
      CountUnclaimedFunctionArn: 'Function(circleci-runners-count-unclaimed).Arn',
      CountRunningFunctionArn: 'Function(circleci-runners-count-running).Arn',
      DescribeGroupFunctionArn: 'Function(circleci-runners-describe-group).Arn',
      ComputeCapacityFunctionArn: 'Function(circleci-runners-compute-capacity).Arn',
      UpdateGroupFunctionArn: 'Function(circleci-runners-update-group).Arn',
      SnsPublishArn: 'arn:aws:states:::sns:publish',
      CloudWatchPutMetricDataArn: 'arn:aws:states:::aws-sdk:cloudwatch:putMetricData',
      AlarmTopicArn: 'Topic(circleci-runners)',
      StackName: 'circleci-runners',
      MetricNamespace: 'CircleCIRunnerAutoscaler/circleci-runners',
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

  it('of each fleet starts an execution every minute, and is gone before its group is', () => {
    const schedules = template.all('AWS::Scheduler::Schedule');
    const scheduleGroup = template.the('AWS::Scheduler::ScheduleGroup');
    expect(scheduleGroup.properties).toEqual({ Name: 'circleci-runners' });
    expect(scheduleGroup.attributes).toEqual({ DeletionPolicy: 'Delete', UpdateReplacePolicy: 'Delete' });
    expect(schedules).toHaveLength(2 * EACH_FLEET.length);
    for (const { id, name } of EACH_FLEET) {
      const schedule = template.the('AWS::Scheduler::Schedule', `${id}Schedule`);
      expect(schedule.properties).toMatchObject({
        Name: `circleci-runners-${name}`,
        GroupName: scheduleGroup.properties.Name,
        ScheduleExpression: 'rate(1 minute)',
        FlexibleTimeWindow: { Mode: 'OFF' },
        Target: {
          Arn: 'arn:aws:states:eu-west-1:111122223333:stateMachine:circleci-runners',
          RoleArn: 'arn:aws:iam::111122223333:role/circleci-runners-scheduler-eu-west-1',
          RetryPolicy: { MaximumEventAgeInSeconds: 60 },
          DeadLetterConfig: { Arn: 'arn:aws:sqs:eu-west-1:111122223333:circleci-runners-dead-letters' },
        },
      });
      const alarms = template.resources.filter((resource) => resource.id.startsWith(`${id}Alarms`));
      expect(alarms.length).toBeGreaterThan(20);
      expect([schedule.attributes.DependsOn].flat().toSorted()).toEqual(
        [
          ...alarms.map((alarm) => alarm.id),
          template.the('AWS::AutoScaling::AutoScalingGroup', `${id}Fleet`).id,
          template.the('AWS::SSM::Parameter', id).id,
        ].toSorted(),
      );
    }
  });

  it('of each fleet also starts the workflow that finds what is left behind, every 10 minutes', () => {
    for (const { id, name } of EACH_FLEET) {
      const { properties } = template.the('AWS::Scheduler::Schedule', `${id}ReconcileSchedule`);
      expect(properties).toMatchObject({
        Name: `circleci-runners-${name}.reconcile`,
        ScheduleExpression: 'rate(10 minutes)',
        Target: {
          Arn: 'arn:aws:states:eu-west-1:111122223333:stateMachine:circleci-runners-reconcile',
          Input: JSON.stringify({ fleet: name }),
        },
      });
    }
    const names = ['a', 'b'].map((end) => reconcileScheduleName('a'.repeat(31), `${'b'.repeat(31)}${end}`));
    expect(names.map(({ length }) => length)).toEqual([64, 64]);
    expect(new Set(names).size).toBe(2);
    // The schedules of the polls have the names of fleets in the same group.
    for (const name of ['a.reconcile', ...names]) expect(name.replace(/^a+-/, '')).not.toMatch(FLEET_NAME);
  });

  it('names the fleet to the workflow, and decides nothing', () => {
    for (const { id, name } of EACH_FLEET) {
      const { Target } = Schedule.parse(template.the('AWS::Scheduler::Schedule', `${id}Schedule`).properties);
      expect(Target.Input).toEqual({ fleet: name });
      ExecutionInput.parse(Target.Input);
    }
  });

  it('is all that the states read of the input of an execution', () => {
    const read = new Set([...definition.matchAll(/\$\$\.Execution\.Input\.(\w+)/g)].map(([, key]) => key));
    expect(read).toEqual(new Set(['fleet']));
  });
});

describe("a fleet's parameter", () => {
  const Parameter = z.object({
    Name: z.string(),
    Type: z.literal('String'),
    Tier: z.string(),
    Value: z.string().transform((text): Record<string, unknown> => JSON.parse(text)),
  });
  const parameterOf = (id: string, of = template) =>
    Parameter.parse(of.the('AWS::SSM::Parameter', `${id}Parameter`).properties);
  const settingsOf = (id: string) => parameterOf(id).Value;

  it('has the name that the functions read', () => {
    expect(parameterOf('LinuxLarge').Name).toBe('/circleci-runners/fleets/linux-large');
    const environments = template
      .all('AWS::Lambda::Function')
      .filter(({ properties }) => properties.FunctionName !== 'circleci-runners-group-settings')
      .map(({ properties }) => properties.Environment);
    expect(environments).toHaveLength(9);
    for (const environment of environments)
      expect(environment).toMatchObject({ Variables: { STACK_NAME: 'circleci-runners' } });
  });

  it('holds another second for a fleet whose name has the second of the one before it', () => {
    const alike = SynthesisedTemplate.of(fleetsWith({ arm: {}, macos: {} }));
    const seconds = ['Arm', 'Macos'].map((id) => parameterOf(id, alike).Value.spreadSeconds);
    expect(seconds).toEqual([0, 1]);
  });

  it('holds all that the deployment decides for the fleet', () => {
    const spreads = spreadOf(threeFleets());
    expect(settingsOf('Arm')).toEqual({
      resourceClass: 'acme/arm',
      circleciUrl: 'https://runner.circleci.com',
      scalerSecretName: 'circleci-runners/arm/scaler',
      awaitsTokens: true,
      groupName: 'circleci-runners-arm',
      capacity: { minReplicas: 0, maxReplicas: 20 },
      pollIntervalSeconds: 5,
      quietPollIntervalSeconds: 60,
      spreadSeconds: spreads.get('arm'),
      breakerFailures: 3,
      breakerWindowSeconds: 900,
      onDemandPercentage: 100,
      warmPoolAuto: false,
      runnerSecretName: 'circleci-runners/arm/runner',
      lifetimes: { bootSeconds: 600, idleSeconds: 300, runSeconds: 18_000, ageLimitSeconds: 19_800 },
      alarmTopicArn: 'arn:aws:sns:eu-west-1:111122223333:circleci-runners',
    });
    expect(settingsOf('LinuxLarge')).toEqual({
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
      spreadSeconds: spreads.get('linux-large'),
      breakerFailures: 5,
      breakerWindowSeconds: 1_800,
      onDemandPercentage: 25,
      warmPoolAuto: false,
      runnerSecretName: 'existing/runner',
      lifetimes: { bootSeconds: 1_200, idleSeconds: 14_400, runSeconds: 14_400, ageLimitSeconds: 30_900 },
      alarmTopicArn: 'arn:aws:sns:eu-west-1:111122223333:builds',
    });
  });

  it('says whether the workflow sizes the warm pool', () => {
    const pools = SynthesisedTemplate.of(
      fleetsWith({ auto: { warmPool: '{size: auto}' }, five: { warmPool: '{size: 5}' } }),
    );
    expect(parameterOf('Auto', pools).Value.warmPoolAuto).toBe(true);
    expect(parameterOf('Five', pools).Value.warmPoolAuto).toBe(false);
  });

  it('is beside one for what the fleet learns, if it learns', () => {
    const fleets = SynthesisedTemplate.of(
      fleetsWith({
        spares: { spareRunners: '{max: 5}', waitingCost: '10' },
        auto: { warmPool: '{size: auto}' },
        five: { warmPool: '{size: 5}' },
      }),
    );
    const learned = fleets
      .all('AWS::SSM::Parameter')
      .map(({ properties }) => properties)
      .filter(({ Name }) => String(Name).startsWith('/circleci-runners/learned/'));
    expect(learned.map(({ Name, Value }) => [Name, Value])).toEqual([
      ['/circleci-runners/learned/spares', '{}'],
      ['/circleci-runners/learned/auto', '{}'],
    ]);
    expect(parameterOf('Spares', fleets).Value.spareRunners).toEqual({
      idleCost: 0.1008,
      waitingCost: 10,
      max: 5,
      stays: 788,
    });
    expect(parameterOf('Five', fleets).Value.spareRunners).toBeUndefined();
  });

  it("names the groups that share a plan's concurrency, to fleets that share it", () => {
    const [concurrency] = fleetsOf(
      `concurrency: {limit: 80, fleets: [two, one]}\n${['one', 'two', 'three']
        .map((name) => minimalNamed(name).replace('acme/linux', `acme/${name}`))
        .join('')}`,
    ).map((fleet) => fleet.concurrency);
    expect(concurrency).toBeDefined();
    const fleets = fleetsWith({ one: {}, two: {}, three: {} }).map((fleet) =>
      fleet.name === 'three' || concurrency === undefined ? fleet : { ...fleet, concurrency },
    );
    const shared = SynthesisedTemplate.of(fleets);
    const groups = ['circleci-runners-one', 'circleci-runners-two'];
    expect(parameterOf('One', shared).Value.concurrency).toEqual({ limit: 80, groups });
    expect(parameterOf('Two', shared).Value.concurrency).toEqual({ limit: 80, groups });
    expect(parameterOf('Three', shared).Value.concurrency).toBeUndefined();
  });

  it.each(EACH_FLEET)('of $name is what the functions can read', ({ id }) => {
    expect(DeployedSettings.parse(settingsOf(id))).toEqual(settingsOf(id));
  });

  it('is an advanced one only where the schedules outgrow a standard one', () => {
    const schedule = (index: number) =>
      `{name: "${`schedule ${index} `.padEnd(60, 'x')}", start: "0 8 * * MON-FRI", end: "0 18 * * MON-FRI", timezone: America/Argentina/Buenos_Aires, minReplicas: 1, maxReplicas: 20, headroom: 10%, maxSurge: 10}`;
    const scheduled = SynthesisedTemplate.of(
      fleetsWith({
        few: { schedules: `[${[1, 2].map(schedule).join(', ')}]` },
        many: { schedules: `[${Array.from({ length: 20 }, (_, index) => schedule(index)).join(', ')}]` },
      }),
    );
    expect(parameterOf('Few', scheduled).Tier).toBe('Standard');
    expect(parameterOf('Many', scheduled).Tier).toBe('Advanced');
    expect(JSON.stringify(parameterOf('Many', scheduled).Value).length).toBeLessThan(8_192);
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
