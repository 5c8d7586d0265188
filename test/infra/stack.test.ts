import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import * as z from 'zod';
import {
  ComputeCapacityInput,
  CountInput,
  DescribeGroupInput,
  ReadSecretsInput,
  UpdateGroupInput,
} from '../../functions/lib/contracts.ts';
import { firstPoll } from '../support/inputs.ts';
import { fleetsOf, MINIMAL } from './fleets.ts';
import { appOf, type Resource, SynthesisedTemplate } from './template.ts';

const INSTALL = '#!/bin/sh\napt-get install -y nodejs\n';

/** One fleet of each network; `linux-large` asks for everything that can be asked for. */
const FLEETS = fleetsOf(
  `
arm:
  resourceClass: acme/arm
  instanceTypes: [m7g.large]
  maxReplicas: 20
linux-large:
  resourceClass: acme/linux-large
  instanceTypes: [m7i.2xlarge, m6i.2xlarge, m7a.2xlarge]
  minReplicas: 2
  maxReplicas: 40
  pollInterval: 10s
  idleTimeout: 10m
  maxRunTime: 2h
  circleciUrl: https://circleci.acme.example
  network: new-vpc
  rootVolumeSize: 100
  keyPairName: ops-team
  sshCidr: 203.0.113.0/24
  install: install.sh
  scalerSecretName: existing/scaler
  runnerSecretName: existing/runner
  alarmEmail: ops@acme.example
  tags: {team: build, cost-centre: "0815"}
owned:
  resourceClass: acme/owned
  instanceTypes: [c7i.large]
  maxReplicas: 3
  network: {vpcId: vpc-0123456789abcdef0, subnetIds: [subnet-0123456789abcdef0, subnet-0fedcba9876543210]}
  alarmEmail: ops@acme.example
  tags: {team: platform}
`,
  { 'install.sh': INSTALL },
);

const template = new SynthesisedTemplate(FLEETS);
const definition = readFileSync('statemachine/autoscale.asl.json', 'utf8');

/** Each fleet by the name that the outputs give it. */
const EACH_FLEET = [
  { id: 'Arm', name: 'arm' },
  { id: 'LinuxLarge', name: 'linux-large' },
  { id: 'Owned', name: 'owned' },
];

const secret = (fleet: string, use: 'Scaler' | 'Runner') =>
  fleet === 'LinuxLarge'
    ? `arn:aws:secretsmanager:eu-west-1:111122223333:secret:existing/${use.toLowerCase()}-??????`
    : `Secret(${fleet}Fleet${use}Secret)`;
const groupArn = (name: string) =>
  `arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:*:autoScalingGroupName/circleci-runners-${name}`;

/** The role of a function, by the function's name. */
const LambdaFunction = z.object({
  FunctionName: z.string(),
  Role: z.string().transform((arn) => arn.replace(/\.Arn$/, '')),
});
const functions = template
  .all('AWS::Lambda::Function')
  .map((resource) => ({ ...resource, ...LambdaFunction.parse(resource.properties) }));
const roleOf = (name: string) =>
  functions.find(({ FunctionName }) => FunctionName === `circleci-runners-${name}`)?.Role;
const writesItsLog = (name: string) => [
  `logs:CreateLogStream on LogGroup(/aws/lambda/circleci-runners-${name}).Arn`,
  `logs:PutLogEvents on LogGroup(/aws/lambda/circleci-runners-${name}).Arn`,
];

describe('the workflow', () => {
  const stateMachine = template.the('AWS::StepFunctions::StateMachine');

  it('may invoke its six functions, put metrics into its namespace, deliver its log, and nothing else', () => {
    const everywhere = [
      'CreateLogDelivery',
      'DeleteLogDelivery',
      'DescribeLogGroups',
      'DescribeResourcePolicies',
      'GetLogDelivery',
      'ListLogDeliveries',
      'PutResourcePolicy',
      'UpdateLogDelivery',
    ].map((action) => `logs:${action} on *`);
    const steps = [
      'compute-capacity',
      'count-running',
      'count-unclaimed',
      'describe-group',
      'read-secrets',
      'update-group',
    ];
    expect(template.permissions('Role(WorkflowStateMachineRole)')).toEqual([
      'cloudwatch:PutMetricData on * if {"StringEquals":{"cloudwatch:namespace":"CircleCIRunnerAutoscaler"}}',
      ...steps.map((step) => `lambda:InvokeFunction on Function(circleci-runners-${step}).Arn`),
      ...everywhere,
    ]);
    expect(stateMachine.properties).toMatchObject({ RoleArn: 'Role(WorkflowStateMachineRole).Arn' });
  });

  it('puts no metric into another namespace', () => {
    const namespaces = [...definition.matchAll(/"Namespace": "(.*)"/g)].map(([, namespace]) => namespace);
    expect(new Set(namespaces)).toEqual(new Set(['CircleCIRunnerAutoscaler']));
  });

  it('is an Express one that logs every state with its data, for a limited time', () => {
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

  it('is the definition file byte for byte, in which whole strings are substituted', () => {
    expect(stateMachine.properties.DefinitionString).toBe(definition);
    const placeholders = [...definition.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name);
    const wholeStrings = [...definition.matchAll(/"\$\{(\w+)\}"/g)].map(([, name]) => name);
    expect(wholeStrings).toEqual(placeholders);
    expect(stateMachine.properties.DefinitionSubstitutions).toEqual({
      ReadSecretsFunctionArn: 'Function(circleci-runners-read-secrets).Arn',
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

describe('each step', () => {
  const secrets = EACH_FLEET.map(({ id }) => `secretsmanager:GetSecretValue on ${secret(id, 'Scaler')}`);
  it.each([
    { step: 'read-secrets', may: secrets },
    { step: 'count-unclaimed', may: secrets },
    { step: 'count-running', may: secrets },
    { step: 'describe-group', may: ['autoscaling:DescribeAutoScalingGroups on *'] },
    { step: 'compute-capacity', may: [] },
    {
      step: 'update-group',
      may: EACH_FLEET.map(({ name }) => `autoscaling:SetDesiredCapacity on ${groupArn(name)}`),
    },
  ])("$step may do what it is for, on the fleets' own resources, and write its log", ({ step, may }) => {
    expect(template.permissions(roleOf(step))).toEqual([...may, ...writesItsLog(step)].toSorted());
  });

  it("beside them, the function for the groups' settings may do the same for its own", () => {
    expect(template.permissions(roleOf('group-settings'))).toEqual(
      [
        'autoscaling:DescribeAutoScalingGroups on *',
        ...EACH_FLEET.flatMap(({ name }) =>
          ['SetInstanceProtection', 'SuspendProcesses', 'UpdateAutoScalingGroup'].map(
            (action) => `autoscaling:${action} on ${groupArn(name)}`,
          ),
        ),
        ...writesItsLog('group-settings'),
      ].toSorted(),
    );
  });
});

describe('every function', () => {
  it("is one of the steps, or sets the groups' settings", () => {
    const files = readdirSync('functions').flatMap((file) =>
      file.endsWith('.ts') ? [file.slice(0, -3)] : [],
    );
    expect(functions.map(({ FunctionName }) => FunctionName).toSorted()).toEqual(
      [...files, 'group-settings'].map((name) => `circleci-runners-${name}`).toSorted(),
    );
  });

  it.each(functions)('$FunctionName runs on Node.js 24 and arm64', ({ properties }) => {
    expect(properties).toMatchObject({
      Runtime: 'nodejs24.x',
      Architectures: ['arm64'],
      Description: expect.any(String),
    });
  });

  it.each(functions)(
    '$FunctionName has a log group of its own, kept two weeks',
    ({ FunctionName, properties }) => {
      expect(properties.LoggingConfig).toEqual({
        LogFormat: 'JSON',
        LogGroup: `LogGroup(/aws/lambda/${FunctionName})`,
      });
      const [group, ...others] = template
        .all('AWS::Logs::LogGroup')
        .filter(({ properties: { LogGroupName } }) => LogGroupName === `/aws/lambda/${FunctionName}`);
      expect(others).toEqual([]);
      expect(group?.properties.RetentionInDays).toBe(14);
    },
  );

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

describe('permissions', () => {
  it('are on all resources only where AWS has no narrower ones', () => {
    const actions = template
      .statements()
      .filter(({ resources }) => resources.includes('*'))
      .flatMap((statement) => statement.actions);
    expect([...new Set(actions)].toSorted()).toEqual([
      'autoscaling:DescribeAutoScalingGroups',
      'cloudwatch:PutMetricData',
      // The delivery of the workflow's log.
      'logs:CreateLogDelivery',
      'logs:DeleteLogDelivery',
      'logs:DescribeLogGroups',
      'logs:DescribeResourcePolicies',
      'logs:GetLogDelivery',
      'logs:ListLogDeliveries',
      'logs:PutResourcePolicy',
      'logs:UpdateLogDelivery',
      // Session Manager.
      'ssm:UpdateInstanceInformation',
      'ssmmessages:CreateControlChannel',
      'ssmmessages:CreateDataChannel',
      'ssmmessages:OpenControlChannel',
      'ssmmessages:OpenDataChannel',
    ]);
  });

  it('have no wildcard in an action, and none in a resource but for the id of a group and the end of a secret', () => {
    const statements = template.statements();
    expect(statements.flatMap(({ actions }) => actions).filter((action) => /[*?]/.test(action))).toEqual([]);
    const wide = statements
      .flatMap(({ resources }) => resources)
      .filter((resource) => resource !== '*')
      .map((resource) => resource.replace('autoScalingGroup:*:', 'autoScalingGroup:').replace(/-\?{6}$/, ''))
      .filter((resource) => /[*?]/.test(resource));
    expect(wide).toEqual([]);
  });

  it('come from nowhere else: no role has a managed or an inline policy', () => {
    const more = template
      .all('AWS::IAM::Role')
      .filter(({ properties }) => 'ManagedPolicyArns' in properties || 'Policies' in properties);
    expect(more).toEqual([]);
  });
});

describe.each(EACH_FLEET)('the instances of fleet $name', ({ id, name }) => {
  const launchTemplate = template.the('AWS::EC2::LaunchTemplate', `${id}Fleet`);

  it('read one secret, act on their own group, and are reached by Session Manager unless SSH is asked for', () => {
    const sessionManager = [
      'ssm:UpdateInstanceInformation on *',
      'ssmmessages:CreateControlChannel on *',
      'ssmmessages:CreateDataChannel on *',
      'ssmmessages:OpenControlChannel on *',
      'ssmmessages:OpenDataChannel on *',
    ];
    expect(template.permissions(`Role(${id}FleetInstanceRole)`)).toEqual([
      `autoscaling:SetInstanceHealth on ${groupArn(name)}`,
      `autoscaling:TerminateInstanceInAutoScalingGroup on ${groupArn(name)}`,
      `secretsmanager:GetSecretValue on ${secret(id, 'Runner')}`,
      ...(id === 'LinuxLarge' ? [] : sessionManager),
    ]);
    expect(launchTemplate.properties.LaunchTemplateData).toMatchObject({
      IamInstanceProfile: { Arn: `InstanceProfile(${id}FleetLaunchTemplateProfile).Arn` },
    });
    expect(template.the('AWS::IAM::InstanceProfile', `${id}Fleet`).properties).toEqual({
      Roles: [`Role(${id}FleetInstanceRole)`],
    });
  });

  it('keep their permissions until the group is gone', () => {
    expect(launchTemplate.attributes.DependsOn).toContainEqual(
      expect.stringMatching(`^${id}FleetInstanceRoleDefaultPolicy`),
    );
  });

  it('give no credentials to a request that was not meant for them: IMDSv2, one hop', () => {
    expect(launchTemplate.properties.LaunchTemplateData).toMatchObject({
      MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1 },
    });
  });

  it('are gone when they power off', () => {
    expect(launchTemplate.properties.LaunchTemplateData).toMatchObject({
      InstanceInitiatedShutdownBehavior: 'terminate',
    });
  });

  it('have an encrypted gp3 volume of the size asked for, which goes with them', () => {
    expect(launchTemplate.properties.LaunchTemplateData).toMatchObject({
      BlockDeviceMappings: [
        {
          DeviceName: '/dev/sda1',
          Ebs: {
            VolumeType: 'gp3',
            VolumeSize: id === 'LinuxLarge' ? 100 : 30,
            Encrypted: true,
            DeleteOnTermination: true,
          },
        },
      ],
    });
  });

  it('run the current Ubuntu LTS of their architecture', () => {
    const architecture = id === 'Arm' ? 'arm64' : 'amd64';
    expect(launchTemplate.properties.LaunchTemplateData).toMatchObject({
      ImageId: `resolve:ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/${architecture}/hvm/ebs-gp3/ami-id`,
    });
  });

  it('have a key only if one is asked for', () => {
    const keyName = Object(launchTemplate.properties.LaunchTemplateData).KeyName;
    expect(keyName).toBe(id === 'LinuxLarge' ? 'ops-team' : undefined);
  });

  it('let nothing in but, if asked for, SSH from where it was asked for', () => {
    const group = template.the('AWS::EC2::SecurityGroup', `${id}Fleet`);
    expect(group.properties.SecurityGroupIngress).toEqual(
      id === 'LinuxLarge'
        ? [{ IpProtocol: 'tcp', FromPort: 22, ToPort: 22, CidrIp: '203.0.113.0/24', Description: 'SSH' }]
        : [],
    );
    expect(template.all('AWS::EC2::SecurityGroupIngress')).toEqual([]);
    expect(launchTemplate.properties.LaunchTemplateData).toMatchObject({
      SecurityGroupIds: [`SecurityGroup(${id}FleetSecurityGroup).GroupId`],
    });
  });
});

describe('the group', () => {
  const group = (id: string) => template.the('AWS::AutoScaling::AutoScalingGroup', `${id}Fleet`).properties;

  it.each(EACH_FLEET)(
    'of $name has the bounds of the fleet, and a capacity that a deployment does not touch',
    ({ id, name }) => {
      expect(group(id)).toMatchObject({
        AutoScalingGroupName: `circleci-runners-${name}`,
        MinSize: '0',
        MaxSize: { Arm: '20', LinuxLarge: '40', Owned: '3' }[id],
      });
      expect(group(id)).not.toHaveProperty('DesiredCapacity');
    },
  );

  it.each(EACH_FLEET)(
    'of $name terminates no instance by itself, and no deployment replaces any',
    ({ id }) => {
      const { properties, attributes } = template.the('AWS::AutoScaling::AutoScalingGroup', `${id}Fleet`);
      expect(properties).toMatchObject({ NewInstancesProtectedFromScaleIn: true, HealthCheckType: 'EC2' });
      expect(attributes).not.toHaveProperty('UpdatePolicy');
    },
  );

  const newest = (name: string) => ({
    LaunchTemplateName: `circleci-runners-${name}`,
    Version: `LaunchTemplate(circleci-runners-${name}).LatestVersionNumber`,
  });

  it('of one instance type launches from the newest version of the launch template', () => {
    expect(group('Arm')).toMatchObject({ LaunchTemplate: newest('arm') });
    expect(group('Arm')).not.toHaveProperty('MixedInstancesPolicy');
    expect(template.the('AWS::EC2::LaunchTemplate', 'ArmFleet').properties).toMatchObject({
      LaunchTemplateData: { InstanceType: 'm7g.large' },
    });
  });

  it('of several instance types launches them on demand, in order of preference', () => {
    expect(group('LinuxLarge')).not.toHaveProperty('LaunchTemplate');
    expect(group('LinuxLarge').MixedInstancesPolicy).toEqual({
      InstancesDistribution: {
        OnDemandPercentageAboveBaseCapacity: 100,
        OnDemandAllocationStrategy: 'prioritized',
      },
      LaunchTemplate: {
        LaunchTemplateSpecification: newest('linux-large'),
        Overrides: [
          { InstanceType: 'm7i.2xlarge' },
          { InstanceType: 'm6i.2xlarge' },
          { InstanceType: 'm7a.2xlarge' },
        ],
      },
    });
  });

  it('has the settings that CloudFormation does not know set by a function', () => {
    const set = template.all('Custom::GroupSettings');
    expect(set.map(({ properties }) => properties)).toEqual(
      EACH_FLEET.map(({ name }) => ({
        ServiceToken: 'Function(circleci-runners-group-settings).Arn',
        GroupName: `circleci-runners-${name}`,
      })),
    );
    // So that the protection ends before the group does.
    for (const { id } of EACH_FLEET) {
      expect(template.the('Custom::GroupSettings', `GroupSettings${id}`).attributes.DependsOn).toEqual([
        template.the('AWS::AutoScaling::AutoScalingGroup', `${id}Fleet`).id,
      ]);
    }
  });
});

describe('the network', () => {
  const securityGroup = (id: string) => template.the('AWS::EC2::SecurityGroup', `${id}Fleet`).properties;
  const group = (id: string) => template.the('AWS::AutoScaling::AutoScalingGroup', `${id}Fleet`).properties;

  it('default-vpc is the default VPC in each of its zones, found without a look-up', () => {
    expect(group('Arm')).toMatchObject({ AvailabilityZones: { 'Fn::GetAZs': '' } });
    expect(group('Arm')).not.toHaveProperty('VPCZoneIdentifier');
    expect(securityGroup('Arm')).not.toHaveProperty('VpcId');
  });

  it('new-vpc is a VPC of public subnets with a way out and no NAT gateway', () => {
    const vpc = template.the('AWS::EC2::VPC');
    const subnets = template.all('AWS::EC2::Subnet');
    expect(vpc.id).toMatch(/^LinuxLargeFleet/);
    expect(subnets.length).toBeGreaterThanOrEqual(2);
    for (const { properties } of subnets) expect(properties.MapPublicIpOnLaunch).toBe(true);
    expect(template.all('AWS::EC2::NatGateway')).toEqual([]);
    const routes = template.all('AWS::EC2::Route');
    expect(routes).toHaveLength(subnets.length);
    for (const { properties } of routes) {
      expect(properties).toMatchObject({
        DestinationCidrBlock: '0.0.0.0/0',
        GatewayId: 'InternetGateway(LinuxLargeFleetVpcIGW)',
      });
    }
    expect(group('LinuxLarge').VPCZoneIdentifier).toHaveLength(subnets.length);
    expect(securityGroup('LinuxLarge')).toMatchObject({ VpcId: 'VPC(LinuxLargeFleetVpc)' });
  });

  it('of the adopter is used by its ids', () => {
    expect(group('Owned').VPCZoneIdentifier).toEqual([
      'subnet-0123456789abcdef0',
      'subnet-0fedcba9876543210',
    ]);
    expect(securityGroup('Owned')).toMatchObject({
      VpcId: 'vpc-0123456789abcdef0',
      SecurityGroupEgress: [{ IpProtocol: '-1', CidrIp: '0.0.0.0/0' }],
    });
  });
});

const userDataOf = (launchTemplate: Resource): string =>
  z.object({ LaunchTemplateData: z.object({ UserData: z.string() }) }).parse(launchTemplate.properties)
    .LaunchTemplateData.UserData;

describe('user data', () => {
  const LIB = '/usr/local/lib/circleci-runner-autoscaler';
  const texts = template.all('AWS::EC2::LaunchTemplate').map(userDataOf);
  const files = readdirSync('userdata').map((file) => ({
    file,
    text: readFileSync(`userdata/${file}`, 'utf8'),
  }));

  it.each(files)('contains $file as it is', ({ file, text }) => {
    const here = new RegExp(`^cat >${LIB}/${file.replace('.sh', '')} <<'(\\w+)'\\n([\\s\\S]*?\\n)\\1$`, 'm');
    for (const userData of texts) expect(here.exec(userData)?.[2]).toBe(text);
  });

  it('contains the script that installs what jobs need, or one that does nothing', () => {
    const install = (text: string) =>
      text.match(/\/install <<'END_OF_INSTALL'\n([\s\S]*?)END_OF_INSTALL\n/)?.[1];
    expect(texts.map(install)).toEqual(['#!/bin/sh\n', INSTALL, '#!/bin/sh\n']);
  });

  it("hands the fleet's settings to the scripts", () => {
    const exported = (text: string) =>
      Object.fromEntries(
        [...text.matchAll(/^export (\w+)='(.*)'$/gm)].map(([, name, value]) => [name, value]),
      );
    expect(texts.map(exported)).toEqual([
      {
        AWS_REGION: 'eu-west-1',
        GROUP_NAME: 'circleci-runners-arm',
        RUNNER_SECRET_NAME: 'circleci-runners/arm/runner',
        CIRCLECI_URL: 'https://runner.circleci.com',
        IDLE_TIMEOUT_SECONDS: '300',
        MAX_RUN_TIME_SECONDS: '18000',
      },
      {
        AWS_REGION: 'eu-west-1',
        GROUP_NAME: 'circleci-runners-linux-large',
        RUNNER_SECRET_NAME: 'existing/runner',
        CIRCLECI_URL: 'https://circleci.acme.example',
        IDLE_TIMEOUT_SECONDS: '600',
        MAX_RUN_TIME_SECONDS: '7200',
      },
      expect.objectContaining({ RUNNER_SECRET_NAME: 'circleci-runners/owned/runner' }),
    ]);
  });

  it('fits into the 16 KB that EC2 takes, with all settings as long as they may be', () => {
    const name = 'a'.repeat(32);
    const longest = MINIMAL.replace('linux:', `${name}:`).concat(
      `  circleciUrl: https://${'a'.repeat(253)}\n`,
      `  runnerSecretName: ${'a'.repeat(512)}\n`,
      '  install: install.sh\n',
    );
    const { resources } = new SynthesisedTemplate(fleetsOf(longest, { 'install.sh': '#'.repeat(6 * 1024) }));
    const [text] = resources.filter(({ type }) => type === 'AWS::EC2::LaunchTemplate').map(userDataOf);
    expect(Buffer.byteLength(text ?? '')).toBeGreaterThan(6 * 1024);
    expect(Buffer.byteLength(text ?? '')).toBeLessThanOrEqual(16 * 1024);
  });

  const scripts = [...texts, ...files.map(({ text }) => text)];

  it('is sound to bash, as a whole and file by file', () => {
    for (const script of scripts) execFileSync('bash', ['-n'], { input: script });
  });

  const shellcheck = spawnSync('shellcheck', ['--version']).error === undefined;
  it.skipIf(!shellcheck)('is sound to shellcheck, if that is installed', () => {
    for (const script of scripts) {
      const { stdout } = spawnSync('shellcheck', ['-'], { input: script, encoding: 'utf8' });
      expect(stdout).toBe('');
    }
  });
});

describe('secrets', () => {
  it('are made without a value, and only where none exists', () => {
    const made = template.all('AWS::SecretsManager::Secret');
    expect(made.map(({ properties }) => properties.Name)).toEqual([
      'circleci-runners/arm/scaler',
      'circleci-runners/arm/runner',
      'circleci-runners/owned/scaler',
      'circleci-runners/owned/runner',
    ]);
    for (const { properties } of made) {
      expect(Object.keys(properties).filter((key) => !['Name', 'Description', 'Tags'].includes(key))).toEqual(
        [],
      );
    }
  });

  it('are read into no other part of the template', () => {
    expect(JSON.stringify(template.json)).not.toMatch(/resolve:(secretsmanager|ssm-secure)/);
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

  it('of each fleet starts an execution every minute, and is gone before the group is', () => {
    const schedules = template.all('AWS::Scheduler::Schedule');
    expect(schedules).toHaveLength(EACH_FLEET.length);
    for (const { id, name } of EACH_FLEET) {
      const schedule = template.the('AWS::Scheduler::Schedule', `Workflow${id}`);
      expect(schedule.properties).toMatchObject({
        Name: `circleci-runners-${name}`,
        ScheduleExpression: 'rate(1 minute)',
        FlexibleTimeWindow: { Mode: 'OFF' },
        Target: {
          Arn: 'StateMachine(circleci-runners)',
          RoleArn: 'Role(WorkflowSchedulerRole).Arn',
          RetryPolicy: { MaximumEventAgeInSeconds: 60 },
        },
      });
      expect(schedule.attributes.DependsOn).toEqual([
        template.the('AWS::AutoScaling::AutoScalingGroup', `${id}Fleet`).id,
      ]);
    }
  });

  it('may start executions of the workflow, on behalf of this account alone', () => {
    expect(template.permissions('Role(WorkflowSchedulerRole)')).toEqual([
      'states:StartExecution on StateMachine(circleci-runners)',
    ]);
    expect(template.the('AWS::IAM::Role', 'WorkflowSchedulerRole').properties).toMatchObject({
      AssumeRolePolicyDocument: {
        Statement: [{ Condition: { StringEquals: { 'aws:SourceAccount': '111122223333' } } }],
      },
    });
  });

  it("hands the fleet's settings to the workflow", () => {
    expect(inputOf('Arm')).toEqual({
      fleet: 'arm',
      resourceClass: 'acme/arm',
      circleciUrl: 'https://runner.circleci.com',
      scalerSecretName: 'circleci-runners/arm/scaler',
      groupName: 'circleci-runners-arm',
      minReplicas: 0,
      maxReplicas: 20,
      pollIntervalSeconds: 5,
    });
    expect(inputOf('LinuxLarge')).toEqual({
      fleet: 'linux-large',
      resourceClass: 'acme/linux-large',
      circleciUrl: 'https://circleci.acme.example',
      scalerSecretName: 'existing/scaler',
      groupName: 'circleci-runners-linux-large',
      minReplicas: 2,
      maxReplicas: 40,
      pollIntervalSeconds: 10,
    });
  });

  it('hands over what the states read, and nothing that none reads', () => {
    const read = new Set([...definition.matchAll(/"\$\.(\w+)/g)].map(([, key]) => key));
    const written = [...definition.matchAll(/"ResultPath": "\$\.(\w+)"/g)].map(([, key]) => key);
    for (const key of written) read.delete(key);
    expect(new Set(Object.keys(inputOf('Arm')))).toEqual(read);
  });

  it.each(EACH_FLEET)('of $name hands over what the contracts of the steps ask for', ({ id }) => {
    const poll = firstPoll();
    const state = { ...inputOf(id), execution: 'execution-1', poll };
    const group = { desired: 0, members: { pending: 0, inService: 0, leaving: 0, standby: 0 } };
    const observed = { unclaimed: { unclaimed: 0 }, running: { running: 0 }, group };
    const decision = { desired: 0, change: false, reasons: [] };
    const plan = { decision, updateTimeoutSeconds: 1, again: false, poll };
    ReadSecretsInput.parse(state);
    CountInput.parse(state);
    DescribeGroupInput.parse(state);
    ComputeCapacityInput.parse({ ...state, observed });
    UpdateGroupInput.parse({ ...state, plan });
  });
});

describe('every alarm', () => {
  const operations = readFileSync('docs/operations.md', 'utf8');
  const alarms = template.all('AWS::CloudWatch::Alarm');
  const topic = 'Topic(AlarmsTopic)';

  it("watches a failure: of each fleet's steps, or of the executions", () => {
    expect(
      alarms.map(({ id, properties }) => [id.slice(0, -8), properties.MetricName, properties.Dimensions]),
    ).toEqual([
      ...EACH_FLEET.map(({ id, name }) => [
        `Alarms${id}StepFailed`,
        'StepFailed',
        [{ Name: 'Fleet', Value: name }],
      ]),
      [
        'AlarmsExecutionsFailed',
        'ExecutionsFailed',
        [{ Name: 'StateMachineArn', Value: 'StateMachine(circleci-runners)' }],
      ],
      [
        'AlarmsExecutionsTimedOut',
        'ExecutionsTimedOut',
        [{ Name: 'StateMachineArn', Value: 'StateMachine(circleci-runners)' }],
      ],
    ]);
    expect(alarms[0]?.properties.Namespace).toBe('CircleCIRunnerAutoscaler');
  });

  it.each(alarms)(
    '$id says what is wrong and where to read on, and tells the topic of its coming and going',
    ({ properties }) => {
      expect(properties).toMatchObject({
        AlarmActions: [topic],
        OKActions: [topic],
        TreatMissingData: 'notBreaching',
      });
      const [, heading] =
        / See docs\/operations\.md, "(.+)"\.$/.exec(String(properties.AlarmDescription)) ?? [];
      expect(operations).toContain(`\n## ${heading}\n`);
    },
  );

  it('may speak to the topic, whose own policy would otherwise keep it silent', () => {
    expect(template.the('AWS::SNS::TopicPolicy').properties).toMatchObject({
      Topics: [topic],
      PolicyDocument: {
        Statement: expect.arrayContaining([
          {
            Sid: expect.any(String),
            Effect: 'Allow',
            Principal: { Service: 'cloudwatch.amazonaws.com' },
            Action: 'sns:Publish',
            Resource: topic,
            Condition: { StringEquals: { 'aws:SourceAccount': '111122223333' } },
          },
        ]),
      },
    });
  });

  it('is told to each address once', () => {
    expect(template.all('AWS::SNS::Subscription').map(({ properties }) => properties)).toEqual([
      { Protocol: 'email', Endpoint: 'ops@acme.example', TopicArn: topic },
    ]);
  });
});

describe('outputs', () => {
  it("are the workflow, and each fleet's group and secrets", () => {
    expect(template.outputs).toEqual({
      StateMachineArn: 'StateMachine(circleci-runners)',
      ArmGroupName: 'circleci-runners-arm',
      ArmScalerSecretName: 'circleci-runners/arm/scaler',
      ArmRunnerSecretName: 'circleci-runners/arm/runner',
      LinuxLargeGroupName: 'circleci-runners-linux-large',
      LinuxLargeScalerSecretName: 'existing/scaler',
      LinuxLargeRunnerSecretName: 'existing/runner',
      OwnedGroupName: 'circleci-runners-owned',
      OwnedScalerSecretName: 'circleci-runners/owned/scaler',
      OwnedRunnerSecretName: 'circleci-runners/owned/runner',
    });
  });
});

describe('tags', () => {
  const Tags = z.array(z.object({ Key: z.string(), Value: z.string() })).default([]);
  /** Resources that have no tags, and the launch template, whose tags are those of instances and volumes. */
  const UNTAGGABLE = [
    'AWS::IAM::Policy',
    'AWS::IAM::InstanceProfile',
    'AWS::EC2::Route',
    'AWS::EC2::SubnetRouteTableAssociation',
    'AWS::EC2::VPCGatewayAttachment',
    'AWS::EC2::LaunchTemplate',
  ];

  it.each([
    { id: 'LinuxLarge', wanted: { team: 'build', 'cost-centre': '0815' } },
    { id: 'Owned', wanted: { team: 'platform' } },
  ])('of $id reach all of its resources that can be tagged', ({ id, wanted }) => {
    const resources = template.resources.filter((resource) => resource.id.startsWith(`${id}Fleet`));
    const taggable = resources.filter(({ type }) => !UNTAGGABLE.includes(type));
    expect(taggable.length).toBeGreaterThan(3);
    for (const { properties } of taggable) {
      const tags = Tags.parse(properties.Tags).map(({ Key, Value }) => [Key, Value]);
      expect(Object.fromEntries(tags)).toMatchObject(wanted);
    }
  });

  it('reach instances and volumes', () => {
    const data = template.the('AWS::EC2::LaunchTemplate', 'LinuxLargeFleet').properties.LaunchTemplateData;
    const tags = expect.arrayContaining([
      { Key: 'Name', Value: 'circleci-runners-linux-large' },
      { Key: 'team', Value: 'build' },
      { Key: 'cost-centre', Value: '0815' },
    ]);
    expect(data).toMatchObject({
      TagSpecifications: [
        { ResourceType: 'instance', Tags: tags },
        { ResourceType: 'volume', Tags: tags },
      ],
    });
    expect(template.the('AWS::AutoScaling::AutoScalingGroup', 'LinuxLargeFleet').properties.Tags).toEqual(
      expect.arrayContaining([
        { Key: 'Name', Value: 'circleci-runners-linux-large', PropagateAtLaunch: true },
        { Key: 'team', Value: 'build', PropagateAtLaunch: true },
      ]),
    );
  });
});

describe('fleets', () => {
  const MARKS: Record<string, string[]> = {
    Arm: ['acme/arm', 'm7g.', 'runners-arm', 'runners/arm'],
    LinuxLarge: [
      'linux-large',
      'm7i.',
      'acme.example',
      'existing/',
      'ops-team',
      '203.0.113.0',
      'build',
      '0815',
      'apt-get install -y nodejs\n',
    ],
    Owned: [
      'acme/owned',
      'c7i.',
      'runners-owned',
      'runners/owned',
      'vpc-0123456789abcdef0',
      'subnet-0',
      'platform',
    ],
  };

  it.each(EACH_FLEET)("$name has its own settings in its resources and none of the others'", ({ id }) => {
    const resources = template.ofFleet(id);
    expect(resources.length).toBeGreaterThan(10);
    const text = JSON.stringify(resources.map(({ properties }) => properties)).replaceAll('\\n', '\n');
    for (const [fleet, marks] of Object.entries(MARKS)) {
      const found = marks.filter((mark) => text.includes(mark));
      expect(found).toEqual(fleet === id ? marks : []);
    }
  });

  it('may have any name that is accepted, also one that means something to the CDK or to this stack', () => {
    const names = [
      'default',
      'resource',
      'role',
      'function',
      'workflow',
      'alarms',
      'topic',
      'group-settings',
      'x',
      'x-group',
    ];
    const text = names
      .map((name) => MINIMAL.replace('linux:', `${name}:`).replace('acme/linux', `acme/${name}`))
      .join('');
    const groups = new SynthesisedTemplate(fleetsOf(text)).all('AWS::AutoScaling::AutoScalingGroup');
    expect(groups.map(({ properties }) => properties.AutoScalingGroupName)).toEqual(
      names.map((name) => `circleci-runners-${name}`),
    );
  });
});

describe('the AwsSolutions rules of cdk-nag', () => {
  const violations = () => {
    const { app } = appOf(FLEETS);
    return new AwsSolutionsChecks(app)
      .validateScope(app)
      .violations.flatMap(({ ruleName, violatingResources }) =>
        violatingResources.map(({ constructPath }) => ({ rule: ruleName, path: constructPath ?? '' })),
      );
  };

  it('find nothing that is not accepted with a reason', () => {
    expect(violations()).toEqual([]);
  });

  it('find everything that is accepted, so that no acceptance outlives its cause', () => {
    const accepted: { rule: string; path: string; reason: string }[] = [];
    const of = Validations.of;
    const spy = vi.spyOn(Validations, 'of').mockImplementation((scope) => {
      const validations = of(scope);
      validations.acknowledge = (...rules) => {
        accepted.push(...rules.map(({ id, reason }) => ({ rule: id, path: scope.node.path, reason })));
      };
      return validations;
    });
    onTestFinished(() => spy.mockRestore());
    const found = violations();
    const ours = accepted.filter(({ rule }) => rule.startsWith('AwsSolutions-'));
    const idle = ours.filter(
      ({ rule, path }) => !found.some((finding) => finding.rule === rule && finding.path.startsWith(path)),
    );
    expect(ours.length).toBeGreaterThan(0);
    expect(idle).toEqual([]);
    expect(ours.filter(({ reason }) => reason.length < 40)).toEqual([]);
  });
});

describe('the template', () => {
  it('is as it was, but for the code, the definition and the user data, which have tests of their own', async () => {
    const resources = template.resources.map(({ id, type, properties, attributes }) => [
      id,
      { Type: type, ...attributes, Properties: properties },
    ]);
    const text = JSON.stringify(
      Object.fromEntries(resources),
      (key, value) => {
        if (key === 'DefinitionString') return 'statemachine/autoscale.asl.json';
        if (key === 'UserData') return 'userdata/';
        if (key === 'S3Key') return 'HASH.zip';
        return value;
      },
      2,
    );
    await expect(`${text}\n`).toMatchFileSnapshot('__snapshots__/template.json');
  });
});
