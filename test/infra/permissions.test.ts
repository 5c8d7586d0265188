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
/** Conditions that restrict a permission to the groups of the app, to its launch templates, or to launches from a template. */
const RESTRICTED =
  /"aws:ResourceTag\/circleci-runners:stack":"circleci-runners"|"ec2:LaunchTemplate"|"ec2:CreateAction"/;

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
      'autoscaling:DescribeAutoScalingInstances',
      'autoscaling:DescribeScalingActivities',
      'autoscaling:DescribeWarmPool',
      'cloudwatch:PutMetricData',
      'ec2:DescribeInstances',
      'ec2:DescribeLaunchTemplateVersions',
      'ec2:DescribeLaunchTemplates',
      'ec2:DescribeNetworkInterfaces',
      'ec2:DescribeVolumes',
      ...LOG_DELIVERY,
      ...SESSION_MANAGER,
    ]);
  });

  it('have no wildcard in an action, and in a resource only for the id of a group, the end of a secret, the streams of a log, the settings, secrets and instance roles of fleets, and what a condition restricts', () => {
    const statements = template.statements();
    expect(statements.flatMap(({ actions }) => actions).filter((action) => /[*?]/.test(action))).toEqual([]);
    const wide = statements
      .filter(({ condition }) => !RESTRICTED.test(JSON.stringify(condition ?? {})))
      .flatMap(({ resources }) => resources)
      .filter((resource) => resource !== '*')
      .map((resource) =>
        resource
          .replace('autoScalingGroup:*:', 'autoScalingGroup:')
          .replace(/(:secret:.*)-\?{6}$/, '$1')
          .replace(/(:log-group:.*):\*$/, '$1')
          .replace(/(:secret:circleci-runners)\/\*\/(scaler|runner)$/, '$1')
          .replace(/(:role\/circleci-runners)\/\*$/, '$1')
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
      'cloudwatch:PutMetricData on * if {"StringEquals":{"cloudwatch:namespace":"CircleCIRunnerAutoscaler/circleci-runners"}}',
      ...steps.map((step) => `lambda:InvokeFunction on Function(circleci-runners-${step}).Arn`),
      ...LOG_DELIVERY.map((action) => `${action} on *`),
      'sns:Publish on Topic(circleci-runners)',
      'sns:Publish on arn:aws:sns:eu-west-1:111122223333:builds',
    ]);
    expect(template.the('AWS::StepFunctions::StateMachine', 'Workflow').properties).toMatchObject({
      RoleArn: 'Role(WorkflowStateMachineRole).Arn',
    });
  });
});

const ONLY_GROUPS_OF_THE_STACK =
  '{"StringEquals":{"aws:ResourceTag/circleci-runners:stack":"circleci-runners"}}';

/** No update of a group may make it larger than the largest of the fleets, or take a launch configuration. */
const WITHIN_ITS_SIZE = {
  NumericLessThanEqualsIfExists: { 'autoscaling:MinSize': '0', 'autoscaling:MaxSize': '60' },
  Null: { 'autoscaling:LaunchConfigurationName': 'true' },
};

/** Groups of the app that have one more tag. */
const tagged = (tag: string, value: string, conditions = {}) =>
  JSON.stringify({
    ...conditions,
    StringEquals: {
      'aws:ResourceTag/circleci-runners:stack': 'circleci-runners',
      [`aws:ResourceTag/circleci-runners:${tag}`]: value,
    },
  });

/** Tags that may be written, on groups of the app. */
const tagging = (...keys: string[]) =>
  JSON.stringify({
    'ForAllValues:StringEquals': { 'aws:TagKeys': keys.map((key) => `circleci-runners:${key}`) },
    StringEquals: { 'aws:ResourceTag/circleci-runners:stack': 'circleci-runners' },
  });

const ofEc2 = (resource: string, account = '111122223333') =>
  `arn:aws:ec2:eu-west-1:${account}:${resource}/*`;
const FROM_TEMPLATE = `"ArnLike":{"ec2:LaunchTemplate":"${ofEc2('launch-template')}"}`;

/** What changing how the groups of Spot fleets buy instances takes. */
const FALLS_BACK = [
  `autoscaling:UpdateAutoScalingGroup on ${groupArn('*')} if ${tagged('spot', 'circleci-runners', WITHIN_ITS_SIZE)}`,
  `ec2:RunInstances on ${ofEc2('launch-template')} if ${ONLY_GROUPS_OF_THE_STACK}`,
  ...[ofEc2('image', ''), ofEc2('snapshot', ''), ofEc2('security-group'), ofEc2('key-pair')].map(
    (resource) =>
      `ec2:RunInstances on ${resource} if {${FROM_TEMPLATE},"Bool":{"ec2:IsLaunchTemplateResource":"true"}}`,
  ),
  ...['instance', 'network-interface', 'volume', 'subnet'].map(
    (resource) => `ec2:RunInstances on ${ofEc2(resource)} if {${FROM_TEMPLATE}}`,
  ),
  ...['instance', 'volume'].map(
    (resource) =>
      `ec2:CreateTags on ${ofEc2(resource)} if {"StringEquals":{"ec2:CreateAction":"RunInstances"}}`,
  ),
  'iam:PassRole on arn:aws:iam::111122223333:role/circleci-runners/* if {"StringEquals":{"iam:PassedToService":["ec2.amazonaws.com","ec2.amazonaws.com.cn"]}}',
  ...[
    'canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id',
    'canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id',
    'ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64',
    'ami-amazon-linux-latest/al2023-ami-kernel-default-arm64',
  ].map((name) => `ssm:GetParameters on arn:aws:ssm:eu-west-1::parameter/aws/service/${name}`),
];

/** What a search for what is left behind reads. Of the resource class token, only when it was stored. */
const FINDS_LEFTOVERS = [
  ...['circleci-runners/*/runner', 'existing/runner'].map(
    (name) =>
      `secretsmanager:ListSecretVersionIds on arn:aws:secretsmanager:eu-west-1:111122223333:secret:${name}-??????`,
  ),
  ...['AutoScalingGroups', 'AutoScalingInstances', 'ScalingActivities', 'WarmPool'].map(
    (what) => `autoscaling:Describe${what} on *`,
  ),
  ...['Instances', 'LaunchTemplates', 'LaunchTemplateVersions', 'NetworkInterfaces', 'Volumes'].map(
    (what) => `ec2:Describe${what} on *`,
  ),
];

const READS_SETTINGS =
  'ssm:GetParameter on arn:aws:ssm:eu-west-1:111122223333:parameter/circleci-runners/fleets/*';

describe('each step', () => {
  const secrets = ['circleci-runners/*/scaler', 'existing/scaler'].map(
    (name) =>
      `secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-west-1:111122223333:secret:${name}-??????`,
  );
  it.each([
    { step: 'read-settings', may: secrets },
    { step: 'count-unclaimed', may: secrets },
    { step: 'count-running', may: secrets },
    {
      step: 'describe-activities',
      may: [
        'autoscaling:DescribeAutoScalingGroups on *',
        'autoscaling:DescribeScalingActivities on *',
        `autoscaling:CreateOrUpdateTags on ${groupArn('*')} if ${tagging('launches-counted-until')}`,
      ],
    },
    { step: 'describe-group', may: ['autoscaling:DescribeAutoScalingGroups on *'] },
    { step: 'compute-capacity', may: [] },
    {
      step: 'update-group',
      may: [
        'autoscaling:DescribeAutoScalingGroups on *',
        ...['SetDesiredCapacity', 'SuspendProcesses', 'ResumeProcesses'].map(
          (action) => `autoscaling:${action} on ${groupArn('*')} if ${ONLY_GROUPS_OF_THE_STACK}`,
        ),
        `autoscaling:PutWarmPool on ${groupArn('*')} if ${tagged('warm-pool', 'auto')}`,
        ...['CreateOrUpdateTags', 'DeleteTags'].map(
          (action) =>
            `autoscaling:${action} on ${groupArn('*')} if ${tagging('launch-suspended-by', 'on-demand-for', 'tasks-withheld', 'tasks-outside', 'tasks')}`,
        ),
        ...FALLS_BACK,
      ],
    },
    {
      step: 'find-leftovers',
      may: [
        ...secrets,
        ...FINDS_LEFTOVERS,
        `ec2:GetConsoleOutput on ${ofEc2('instance')} if ${JSON.stringify({ StringEquals: { 'aws:ResourceTag/circleci-runners:stack': 'circleci-runners' } })}`,
      ],
    },
    { step: 'repair-leftovers', may: [...secrets, ...FINDS_LEFTOVERS] },
  ])("$step may do what it is for, on the fleets' own resources, and write its log", ({ step, may }) => {
    expect(template.permissions(roleOf(step))).toEqual(
      [...may, READS_SETTINGS, ...writesItsLog(step)].toSorted(),
    );
  });

  it('that repairs may end what is left behind if a fleet wants repairs, and nothing of another fleet', () => {
    const may = (reconcile: string) => {
      const one = SynthesisedTemplate.of(fleetsWith({ linux: { reconcile } }));
      return one
        .permissions(roleOf('repair-leftovers'))
        .filter((permission) => !/:(Describe|Get|List)/.test(permission));
    };
    const ofRepairs = [
      `autoscaling:TerminateInstanceInAutoScalingGroup on ${groupArn('*')} if ${tagged('reconcile', 'repair')}`,
      `ec2:CreateTags on ${ofEc2('volume')} if ${tagged('reconcile', 'repair', {
        'ForAllValues:StringEquals': { 'aws:TagKeys': ['circleci-runners:detached-since'] },
      })}`,
      ...['DeleteLaunchTemplateVersions', 'DeleteVolume', 'TerminateInstances'].flatMap((action) =>
        ['instance', 'volume', 'launch-template'].map(
          (resource) => `ec2:${action} on ${ofEc2(resource)} if ${tagged('reconcile', 'repair')}`,
        ),
      ),
    ];
    const log = writesItsLog('repair-leftovers').filter(
      (permission) => !/:(Describe|Get|List)/.test(permission),
    );
    expect(may('repair')).toEqual([...ofRepairs, ...log].toSorted());
    expect(may('report')).toEqual(log.toSorted());
  });

  it("is separate from the function for the groups' settings, which may change the groups and write its log", () => {
    expect(template.permissions(roleOf('group-settings'))).toEqual(
      [
        'autoscaling:DescribeAutoScalingGroups on *',
        ...['SetInstanceProtection', 'SuspendProcesses'].map(
          (action) => `autoscaling:${action} on ${groupArn('*')} if ${ONLY_GROUPS_OF_THE_STACK}`,
        ),
        `autoscaling:UpdateAutoScalingGroup on ${groupArn('*')} if ${JSON.stringify({ ...WITHIN_ITS_SIZE, ...JSON.parse(ONLY_GROUPS_OF_THE_STACK) })}`,
        `autoscaling:CreateOrUpdateTags on ${groupArn('*')} if ${tagging('deletion-refused-at')}`,
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
  it('may start executions of the two workflows, and send the failed starts to the dead-letter queue, for this account only', () => {
    expect(template.permissions('Role(WorkflowSchedulerRole)')).toEqual([
      'sqs:SendMessage on Queue(circleci-runners-dead-letters).Arn',
      'states:StartExecution on StateMachine(circleci-runners)',
      'states:StartExecution on StateMachine(circleci-runners-reconcile)',
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
