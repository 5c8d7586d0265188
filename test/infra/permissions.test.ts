import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { logicalId } from '../../fleets/names.ts';
import { EACH_FLEET, fleetsWith, INSTALL, threeFleets } from '../support/fleets.ts';
import { SynthesisedTemplate } from './template.ts';

const template = SynthesisedTemplate.of(threeFleets());

/** What the delivery of the workflow's log needs, on all resources. */
const LOG_DELIVERY = [
  'logs:CreateLogDelivery',
  'logs:DeleteLogDelivery',
  'logs:DescribeLogGroups',
  'logs:DescribeResourcePolicies',
  'logs:GetLogDelivery',
  'logs:ListLogDeliveries',
  'logs:PutResourcePolicy',
  'logs:UpdateLogDelivery',
];
/** What Session Manager needs, on all resources. */
const SESSION_MANAGER = [
  'ssm:UpdateInstanceInformation',
  'ssmmessages:CreateControlChannel',
  'ssmmessages:CreateDataChannel',
  'ssmmessages:OpenControlChannel',
  'ssmmessages:OpenDataChannel',
];

const secret = (fleet: string, use: 'Scaler' | 'Runner') => {
  const folder =
    fleet === 'LinuxLarge'
      ? 'existing'
      : `circleci-runners/${fleet.replace(/\B[A-Z]/g, '-$&').toLowerCase()}`;
  return `arn:aws:secretsmanager:eu-west-1:111122223333:secret:${folder}/${use.toLowerCase()}-??????`;
};
const groupArn = (name: string) =>
  `arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:*:autoScalingGroupName/circleci-runners-${name}`;

/** What every instance may do. */
const ofInstances = (name: string, runnerSecret: string) => [
  `autoscaling:CompleteLifecycleAction on ${groupArn(name)}`,
  `autoscaling:RecordLifecycleActionHeartbeat on ${groupArn(name)}`,
  `autoscaling:SetInstanceHealth on ${groupArn(name)}`,
  `autoscaling:TerminateInstanceInAutoScalingGroup on ${groupArn(name)}`,
  `secretsmanager:GetSecretValue on ${runnerSecret}`,
];

/** The permission to read what is uploaded with this content, and nothing beside it. */
const readsScript = (of: SynthesisedTemplate, content: string) =>
  `s3:GetObject on arn:aws:s3:::${of.uploaded(content)}`;

/** A function by its name, with the role that it has. */
const LambdaFunction = z.object({
  FunctionName: z.string(),
  Role: z.string().transform((arn) => arn.replace(/\.Arn$/, '')),
});
const functions = template
  .all('AWS::Lambda::Function')
  .map(({ properties }) => LambdaFunction.parse(properties));
const roleOf = (name: string) =>
  functions.find(({ FunctionName }) => FunctionName === `circleci-runners-${name}`)?.Role;
const writesItsLog = (name: string) => [
  `logs:CreateLogStream on LogGroup(/aws/lambda/circleci-runners-${name}).Arn`,
  `logs:PutLogEvents on LogGroup(/aws/lambda/circleci-runners-${name}).Arn`,
];

describe('permissions', () => {
  it('cover all resources only if AWS supports no narrower ones', () => {
    const actions = template
      .statements()
      .filter(({ resources }) => resources.includes('*'))
      .flatMap((statement) => statement.actions);
    expect([...new Set(actions)].toSorted()).toEqual([
      'autoscaling:DescribeAutoScalingGroups',
      'autoscaling:DescribeScalingActivities',
      'cloudwatch:PutMetricData',
      'ec2:RunInstances',
      ...LOG_DELIVERY,
      ...SESSION_MANAGER,
    ]);
  });

  it('have no wildcard in an action, and in a resource only for the id of a group, the end of a secret, the streams of a log, new instances, the settings of a fleet and the tagged groups of the stack', () => {
    const statements = template.statements();
    expect(statements.flatMap(({ actions }) => actions).filter((action) => /[*?]/.test(action))).toEqual([]);
    const wide = statements
      .filter(({ condition }) => JSON.stringify(condition) !== ONLY_GROUPS_OF_THE_STACK)
      .flatMap(({ resources }) => resources)
      .filter((resource) => resource !== '*')
      .map((resource) =>
        resource
          .replace('autoScalingGroup:*:', 'autoScalingGroup:')
          .replace(/(:secret:.*)-\?{6}$/, '$1')
          .replace(/(:log-group:.*):\*$/, '$1')
          .replace(/:(instance|network-interface|volume)\/\*$/, '')
          .replace(/(:parameter\/circleci-runners\/fleets)\/\*$/, '$1'),
      )
      .filter((resource) => /[*?]/.test(resource));
    expect(wide).toEqual([]);
  });

  it('come from these policies only: no role has a managed or an inline policy', () => {
    const more = template
      .all('AWS::IAM::Role')
      .filter(({ properties }) => 'ManagedPolicyArns' in properties || 'Policies' in properties);
    expect(more).toEqual([]);
  });
});

describe('the workflow', () => {
  it('may invoke its seven functions, publish metrics in its namespace, publish to the topics, deliver its log, and nothing else', () => {
    const steps = [
      'compute-capacity',
      'count-running',
      'count-unclaimed',
      'describe-activities',
      'describe-group',
      'read-settings',
      'update-group',
    ];
    expect(template.permissions('Role(WorkflowStateMachineRole)')).toEqual([
      'cloudwatch:PutMetricData on * if {"StringEquals":{"cloudwatch:namespace":"CircleCIRunnerAutoscaler"}}',
      ...steps.map((step) => `lambda:InvokeFunction on Function(circleci-runners-${step}).Arn`),
      ...LOG_DELIVERY.map((action) => `${action} on *`),
      'sns:Publish on Topic(AlarmTopic)',
      'sns:Publish on arn:aws:sns:eu-west-1:111122223333:builds',
    ]);
    expect(template.the('AWS::StepFunctions::StateMachine').properties).toMatchObject({
      RoleArn: 'Role(WorkflowStateMachineRole).Arn',
    });
  });
});

const ONLY_ITS_TAGS =
  '{"ForAllValues:StringEquals":{"aws:TagKeys":["circleci-runners:launch-suspended-by","circleci-runners:on-demand-for","circleci-runners:tasks-withheld","circleci-runners:tasks"]}}';

const ONLY_THE_COUNT =
  '{"ForAllValues:StringEquals":{"aws:TagKeys":["circleci-runners:launches-counted-until"]}}';

const ONLY_GROUPS_OF_THE_STACK =
  '{"StringEquals":{"aws:ResourceTag/circleci-runners:stack":"circleci-runners"}}';

const FROM_TEMPLATE =
  '"ArnEquals":{"ec2:LaunchTemplate":"arn:aws:ec2:eu-west-1:111122223333:launch-template/LaunchTemplate(circleci-runners-linux-large)"}';
const SUBNETS = [1, 2].map((number) => `Subnet(LinuxLargeFleetVpcrunnersSubnet${number}Subnet)`);

/** What changing how the group of the one fleet with Spot capacity buys instances takes. */
const FALLS_BACK = [
  `autoscaling:UpdateAutoScalingGroup on ${groupArn('linux-large')}`,
  `ec2:RunInstances on * if {${FROM_TEMPLATE},"Bool":{"ec2:IsLaunchTemplateResource":"true"}}`,
  ...['instance/*', 'network-interface/*', 'volume/*', ...SUBNETS.map((subnet) => `subnet/${subnet}`)].map(
    (resource) => `ec2:RunInstances on arn:aws:ec2:eu-west-1:111122223333:${resource} if {${FROM_TEMPLATE}}`,
  ),
  ...['instance', 'volume'].map(
    (resource) =>
      `ec2:CreateTags on arn:aws:ec2:eu-west-1:111122223333:${resource}/* if {"StringEquals":{"ec2:CreateAction":"RunInstances"}}`,
  ),
  'iam:PassRole on Role(LinuxLargeFleetInstanceRole).Arn if {"StringEquals":{"iam:PassedToService":"ec2.amazonaws.com"}}',
  'ssm:GetParameters on arn:aws:ssm:eu-west-1::parameter/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id',
];

describe('the step that sizes warm pools', () => {
  it('may resize only the pools with the size auto', () => {
    const pools = SynthesisedTemplate.of(
      fleetsWith({ none: {}, five: { warmPool: '{size: 5}' }, auto: { warmPool: '{size: auto}' } }),
    );
    const allowed = pools.statements().filter(({ actions }) => actions.includes('autoscaling:PutWarmPool'));
    expect(allowed.flatMap(({ resources }) => resources)).toEqual([
      expect.stringMatching(/:autoScalingGroupName\/circleci-runners-auto$/),
    ]);
    expect(allowed.flatMap(({ actions }) => actions)).toEqual(['autoscaling:PutWarmPool']);
  });
});

const READS_SETTINGS =
  'ssm:GetParameter on arn:aws:ssm:eu-west-1:111122223333:parameter/circleci-runners/fleets/*';

describe('each step', () => {
  const secrets = EACH_FLEET.map(({ id }) => `secretsmanager:GetSecretValue on ${secret(id, 'Scaler')}`);
  it.each([
    { step: 'read-settings', may: secrets },
    { step: 'count-unclaimed', may: secrets },
    { step: 'count-running', may: secrets },
    {
      step: 'describe-activities',
      may: [
        'autoscaling:DescribeAutoScalingGroups on *',
        'autoscaling:DescribeScalingActivities on *',
        ...EACH_FLEET.map(
          ({ name }) => `autoscaling:CreateOrUpdateTags on ${groupArn(name)} if ${ONLY_THE_COUNT}`,
        ),
      ],
    },
    { step: 'describe-group', may: ['autoscaling:DescribeAutoScalingGroups on *'] },
    { step: 'compute-capacity', may: [] },
    {
      step: 'update-group',
      may: [
        'autoscaling:DescribeAutoScalingGroups on *',
        ...EACH_FLEET.flatMap(({ name }) => [
          `autoscaling:SetDesiredCapacity on ${groupArn(name)}`,
          `autoscaling:SuspendProcesses on ${groupArn(name)}`,
          `autoscaling:ResumeProcesses on ${groupArn(name)}`,
          ...['CreateOrUpdateTags', 'DeleteTags'].map(
            (action) => `autoscaling:${action} on ${groupArn(name)} if ${ONLY_ITS_TAGS}`,
          ),
        ]),
        ...FALLS_BACK,
      ],
    },
  ])("$step may do what it is for, on the fleets' own resources, and write its log", ({ step, may }) => {
    expect(template.permissions(roleOf(step))).toEqual(
      [...may, READS_SETTINGS, ...writesItsLog(step)].toSorted(),
    );
  });

  it("is separate from the function for the groups' settings, which may change the groups and write its log", () => {
    expect(template.permissions(roleOf('group-settings'))).toEqual(
      [
        'autoscaling:DescribeAutoScalingGroups on *',
        ...['SetInstanceProtection', 'SuspendProcesses', 'UpdateAutoScalingGroup'].map(
          (action) => `autoscaling:${action} on ${groupArn('*')} if ${ONLY_GROUPS_OF_THE_STACK}`,
        ),
        ...writesItsLog('group-settings'),
      ].toSorted(),
    );
  });
});

describe('every function', () => {
  it('has a role of its own, which only Lambda may assume', () => {
    expect(new Set(functions.map(({ Role }) => Role)).size).toBe(functions.length);
    for (const { Role } of functions) {
      const role = template.the('AWS::IAM::Role', Role.slice('Role('.length, -1));
      expect(role.properties.AssumeRolePolicyDocument).toMatchObject({
        Statement: [{ Action: 'sts:AssumeRole', Principal: { Service: 'lambda.amazonaws.com' } }],
      });
    }
  });
});

describe('the schedule', () => {
  it('may start executions of the workflow, and send the failed starts to the dead-letter queue, for this account only', () => {
    expect(template.permissions('Role(WorkflowSchedulerRole)')).toEqual([
      'sqs:SendMessage on Queue(circleci-runners-dead-letters).Arn',
      'states:StartExecution on StateMachine(circleci-runners)',
    ]);
    expect(template.the('AWS::IAM::Role', 'WorkflowSchedulerRole').properties).toMatchObject({
      AssumeRolePolicyDocument: {
        Statement: [{ Condition: { StringEquals: { 'aws:SourceAccount': '111122223333' } } }],
      },
    });
  });
});

describe.each(EACH_FLEET)('the instances of fleet $name', ({ id, name }) => {
  const launchTemplate = template.the('AWS::EC2::LaunchTemplate', `${id}Fleet`);

  it('may read one secret, act on their own group, and do what the fleet enables', () => {
    expect(template.permissions(`Role(${id}FleetInstanceRole)`)).toEqual(
      [
        ...ofInstances(name, secret(id, 'Runner')),
        ...(id === 'LinuxLarge'
          ? [
              'logs:CreateLogStream on arn:aws:logs:eu-west-1:111122223333:log-group:/circleci-runners/linux-large/instances:*',
              'logs:PutLogEvents on arn:aws:logs:eu-west-1:111122223333:log-group:/circleci-runners/linux-large/instances:*',
              readsScript(template, INSTALL),
              ...SESSION_MANAGER.map((action) => `${action} on *`),
            ]
          : []),
      ].toSorted(),
    );
  });

  it('have these permissions, which only EC2 may assume for them, and keep them until the group is gone', () => {
    expect(launchTemplate.properties.LaunchTemplateData).toMatchObject({
      IamInstanceProfile: { Arn: `InstanceProfile(${id}FleetLaunchTemplateProfile).Arn` },
    });
    expect(template.the('AWS::IAM::InstanceProfile', `${id}Fleet`).properties).toEqual({
      Roles: [`Role(${id}FleetInstanceRole)`],
    });
    const role = template.the('AWS::IAM::Role', `${id}FleetInstanceRole`);
    expect(role.properties.AssumeRolePolicyDocument).toMatchObject({
      Statement: [{ Action: 'sts:AssumeRole', Principal: { Service: 'ec2.amazonaws.com' } }],
    });
    expect(launchTemplate.attributes.DependsOn).toContainEqual(
      expect.stringMatching(`^${id}FleetInstanceRoleDefaultPolicy`),
    );
  });
});

describe('the instances of a fleet', () => {
  const OTHER_INSTALL = '#!/bin/sh\napt-get install -y golang\n';
  const fleets = SynthesisedTemplate.of(
    fleetsWith(
      {
        nothing: {},
        install: { install: 'install.sh' },
        other: { install: 'other.sh' },
        logs: { logs: 'true' },
        'session-manager': { sessionManager: 'true' },
        ssh: { sshCidr: '203.0.113.0/24', keyPairName: 'ops-team' },
        metadata: { allowInstanceMetadata: 'true' },
        spot: { spot: '{}', unsafeRetries: 'true' },
      },
      { 'install.sh': INSTALL, 'other.sh': OTHER_INSTALL },
    ),
  );
  const logs = 'arn:aws:logs:eu-west-1:111122223333:log-group:/circleci-runners/logs/instances:*';

  it.each([
    { name: 'nothing', adds: [] },
    { name: 'install', adds: [readsScript(fleets, INSTALL)] },
    { name: 'other', adds: [readsScript(fleets, OTHER_INSTALL)] },
    {
      name: 'logs',
      adds: [`logs:CreateLogStream on ${logs}`, `logs:PutLogEvents on ${logs}`],
    },
    { name: 'session-manager', adds: SESSION_MANAGER.map((action) => `${action} on *`) },
    { name: 'ssh', adds: [] },
    { name: 'metadata', adds: [] },
    { name: 'spot', adds: [] },
  ])('that is about $name have the permissions that this adds, and no others', ({ name, adds }) => {
    const id = logicalId(name);
    expect(fleets.permissions(`Role(${id}FleetInstanceRole)`)).toEqual(
      [...ofInstances(name, secret(id, 'Runner')), ...adds].toSorted(),
    );
  });
});
