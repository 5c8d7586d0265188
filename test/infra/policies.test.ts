import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { FleetConfig } from '../../fleets/load.ts';
import {
  DETACHED_TAG,
  FALLBACK_TAG,
  IMAGE_IN_USE_TAG,
  LAUNCH_SUSPENDED_TAG,
  PAUSED_TAG,
  RECONCILE_TAG,
  STACK_TAG,
  TASKS_TAG,
} from '../../functions/lib/tags.ts';
import { fleetsOf, fleetsWith } from '../support/fleets.ts';
import { allows, PolicyStatement, type Request } from '../support/policies.ts';
import { policiesAmong, SynthesisedTemplate } from './template.ts';

const template = SynthesisedTemplate.of(
  fleetsWith({
    linux: { logs: 'true' },
    pool: { warmPool: '{size: auto}', reconcile: 'repair' },
    built: { image: '{build: weekly}' },
    spot: {
      spot: '{}',
      network: '{vpcId: vpc-00000001, subnetIds: [subnet-00000001], securityGroupIds: [sg-00000001]}',
    },
  }).map((fleet) => ({ ...fleet, allowedTypes: ['m7i.*', 'c7i.large'] })),
);

const Policy = z.object({
  Roles: z.array(z.string()),
  PolicyDocument: z.object({ Statement: z.array(PolicyStatement) }),
});
const policies = template.policies().map(({ properties }) => Policy.parse(properties));

const ROLES = {
  'Read Settings': functionRole('read-settings'),
  'Count Unclaimed': functionRole('count-unclaimed'),
  'Count Running': functionRole('count-running'),
  'Describe Group': functionRole('describe-group'),
  'Describe Activities': functionRole('describe-activities'),
  'Compute Capacity': functionRole('compute-capacity'),
  'Update Group': functionRole('update-group'),
  'Find Leftovers': functionRole('find-leftovers'),
  'Repair Leftovers': functionRole('repair-leftovers'),
  'group settings': functionRole('group-settings'),
  workflow: 'Role(WorkflowStateMachineRole)',
  'reconcile workflow': 'Role(ReconcileStateMachineRole)',
  scheduler: 'Role(WorkflowSchedulerRole)',
  'instance of linux': 'Role(LinuxFleetInstanceRole)',
  'instance of spot': 'Role(SpotFleetInstanceRole)',
  'instance of pool': 'Role(PoolFleetInstanceRole)',
  'instance of built': 'Role(BuiltFleetInstanceRole)',
  images: functionRole('images'),
  'builder of an image': 'Role(BuiltFleetImagePipelineBuilderRole)',
  'retention of images': 'Role(BuiltFleetImagePipelineRetentionRole)',
} as const;
type RoleName = keyof typeof ROLES;

function functionRole(name: string): string {
  const { Role } = z
    .object({ Role: z.string() })
    .parse(
      template
        .all('AWS::Lambda::Function')
        .find(({ properties }) => properties.FunctionName === `circleci-runners-${name}`)?.properties,
    );
  return Role.replace(/\.Arn$/, '');
}

function may(role: RoleName, request: Request): boolean {
  const statements = policies
    .filter(({ Roles }) => Roles.includes(ROLES[role]))
    .flatMap(({ PolicyDocument }) => PolicyDocument.Statement);
  expect(statements, `${role} has a policy`).not.toEqual([]);
  return allows(statements, request);
}

const arn = (rest: string, account = '111122223333') => {
  const [service, ...resource] = rest.split(' ');
  return `arn:aws:${service}:eu-west-1:${account}:${resource.join(' ')}`;
};
const group = (name: string) =>
  arn(`autoscaling autoScalingGroup:0f0f0f0f-0000-0000-0000-000000000000:autoScalingGroupName/${name}`);
const logStream = (name: string) => arn(`logs log-group:${name}:log-stream:i-0123456789abcdef0`);
const parameter = (name: string) => arn(`ssm parameter${name}`);
const SCALER_SECRET = arn('secretsmanager secret:circleci-runners/linux/scaler-AbCdEf');
const RUNNER_SECRET = arn('secretsmanager secret:circleci-runners/linux/runner-AbCdEf');
const INSTANCE_ROLE =
  'arn:aws:iam::111122223333:role/circleci-runners/circleci-runners-spot-FleetInstanceRole';
const POOL = group('circleci-runners-pool');
const LINUX = group('circleci-runners-linux');
const SPOT = group('circleci-runners-spot');
const OTHER = group('production-web');

/** Tags of our groups, as AWS has them at a request; another group has none of them. */
const tagsOf = (resource: string): Record<string, string> => {
  const tags: Record<string, string> = {};
  for (const fleet of template.all('AWS::AutoScaling::AutoScalingGroup')) {
    if (!resource.endsWith(`/${fleet.properties.AutoScalingGroupName}`)) continue;
    for (const { Key, Value } of GroupTags.parse(fleet.properties.Tags))
      tags[`aws:ResourceTag/${Key}`] = Value;
  }
  return tags;
};
const GroupTags = z.array(z.object({ Key: z.string(), Value: z.string() }));

/** A launch from a template: of what the template says, or of what the caller puts in its place. */
const launch = (resource: string, ofTemplate: boolean, context: Record<string, string> = {}): Request => ({
  action: 'ec2:RunInstances',
  resource,
  context: {
    'ec2:LaunchTemplate': arn('ec2 launch-template/lt-0123456789abcdef0'),
    'ec2:IsLaunchTemplateResource': String(ofTemplate),
    ...context,
  },
});
const launchOf = (type: string) => launch(arn('ec2 instance/*'), false, { 'ec2:InstanceType': type });
const launchWithInterface = (id: string, subnet: string) =>
  launch(arn(`ec2 network-interface/${id}`), false, { 'ec2:Subnet': arn(`ec2 subnet/${subnet}`) });
/** An update of a group, with what it says. */
const update = (resource: string, says: Record<string, string | string[]>): Request => ({
  action: 'autoscaling:UpdateAutoScalingGroup',
  resource,
  context: { ...says, ...tagsOf(resource) },
});
/** The launch template itself, which is one of the resources of a launch. */
const fromTemplate = (app?: string): Request => ({
  action: 'ec2:RunInstances',
  resource: arn('ec2 launch-template/lt-0123456789abcdef0'),
  context: {
    'ec2:LaunchTemplate': arn('ec2 launch-template/lt-0123456789abcdef0'),
    'ec2:IsLaunchTemplateResource': 'true',
    ...(app !== undefined && { [`aws:ResourceTag/${STACK_TAG}`]: app }),
  },
});
const tagging = (resource: string, ...keys: string[]): Request => ({
  action: 'autoscaling:CreateOrUpdateTags',
  resource,
  context: { 'aws:TagKeys': keys, ...tagsOf(resource) },
});
const passing = (resource: string, service: string): Request => ({
  action: 'iam:PassRole',
  resource,
  context: { 'iam:PassedToService': service },
});
const request = (action: string, resource: string): Request => ({
  action,
  resource,
  context: tagsOf(resource),
});
/** A resource that a fleet has made, with the tags of the fleet. */
const leftover = (action: string, kind: string, reconcile?: string): Request => ({
  action,
  resource: arn(`ec2 ${kind}/x-0123456789abcdef0`),
  context: {
    [`aws:ResourceTag/${STACK_TAG}`]: 'circleci-runners',
    ...(reconcile !== undefined && { [`aws:ResourceTag/${RECONCILE_TAG}`]: reconcile }),
  },
});
/** A tag for something of a fleet that wants repairs. */
const marking = (kind: string, tag: string): Request => {
  const request = leftover('ec2:CreateTags', kind, 'repair');
  return { ...request, context: { ...request.context, 'aws:TagKeys': [tag] } };
};
const ofStack = (action: string, resource: string, stack: string): Request => ({
  action,
  resource,
  context: { [`aws:ResourceTag/${STACK_TAG}`]: stack },
});

/** A tag for an image, of the app unless it says otherwise. */
const markingImage = (tag: string, stack = 'circleci-runners'): Request => ({
  action: 'ec2:CreateTags',
  resource: arn('ec2 image/ami-0123456789abcdef0', ''),
  context: { [`aws:ResourceTag/${STACK_TAG}`]: stack, 'aws:TagKeys': [tag] },
});

/** A row of the table about an update of the group of the Spot fleet. */
const row = (
  role: RoleName,
  verdict: 'may' | 'may not',
  what: string,
  says: Record<string, string | string[]>,
): [RoleName, 'may' | 'may not', string, Request] => [role, verdict, what, update(SPOT, says)];

describe('what each role may do, and may not', () => {
  it.each<[RoleName, 'may' | 'may not', string, Request]>([
    [
      'Read Settings',
      'may',
      'read the settings of a fleet',
      request('ssm:GetParameter', parameter('/circleci-runners/fleets/linux')),
    ],
    [
      'Read Settings',
      'may not',
      "read another stack's settings",
      request('ssm:GetParameter', parameter('/circleci-runners-b/fleets/linux')),
    ],
    [
      'Read Settings',
      'may not',
      'read another parameter',
      request('ssm:GetParameter', parameter('/production/database-password')),
    ],
    [
      'Read Settings',
      'may not',
      'change settings',
      request('ssm:PutParameter', parameter('/circleci-runners/fleets/linux')),
    ],
    ['Read Settings', 'may', 'read a scaler secret', request('secretsmanager:GetSecretValue', SCALER_SECRET)],
    [
      'Read Settings',
      'may not',
      'read a runner secret',
      request('secretsmanager:GetSecretValue', RUNNER_SECRET),
    ],
    [
      'Count Unclaimed',
      'may',
      'read a scaler secret',
      request('secretsmanager:GetSecretValue', SCALER_SECRET),
    ],
    [
      'Count Unclaimed',
      'may not',
      'change a scaler secret',
      request('secretsmanager:PutSecretValue', SCALER_SECRET),
    ],
    [
      'Count Unclaimed',
      'may not',
      'read a secret of others',
      request('secretsmanager:GetSecretValue', arn('secretsmanager secret:core-banking/db-abcdef')),
    ],
    ['Count Unclaimed', 'may not', 'change a group', request('autoscaling:SetDesiredCapacity', LINUX)],
    [
      'Count Running',
      'may not',
      'read a runner secret',
      request('secretsmanager:GetSecretValue', RUNNER_SECRET),
    ],
    ['Count Running', 'may not', 'change a group', request('autoscaling:SetDesiredCapacity', LINUX)],
    [
      'instance of spot',
      'may not',
      "read another fleet's token",
      request('secretsmanager:GetSecretValue', RUNNER_SECRET),
    ],
    ['Describe Group', 'may', 'read groups', request('autoscaling:DescribeAutoScalingGroups', '*')],
    ['Describe Group', 'may not', 'read a secret', request('secretsmanager:GetSecretValue', SCALER_SECRET)],
    ['Describe Activities', 'may not', 'change a group', request('autoscaling:SetDesiredCapacity', LINUX)],
    ['Compute Capacity', 'may not', 'read groups', request('autoscaling:DescribeAutoScalingGroups', '*')],
    [
      'Compute Capacity',
      'may',
      'read what a fleet has learned',
      request('ssm:GetParameter', parameter('/circleci-runners/learned/linux')),
    ],
    [
      'Compute Capacity',
      'may',
      'write what a fleet has learned',
      request('ssm:PutParameter', parameter('/circleci-runners/learned/linux')),
    ],
    [
      'Compute Capacity',
      'may not',
      'write what a fleet of another app has learned',
      request('ssm:PutParameter', parameter('/circleci-runners-b/learned/linux')),
    ],
    [
      'Compute Capacity',
      'may not',
      'change settings',
      request('ssm:PutParameter', parameter('/circleci-runners/fleets/linux')),
    ],
    [
      'Compute Capacity',
      'may not',
      'delete what a fleet has learned',
      request('ssm:DeleteParameter', parameter('/circleci-runners/learned/linux')),
    ],
    [
      'Describe Activities',
      'may not',
      'write what a fleet has learned',
      request('ssm:PutParameter', parameter('/circleci-runners/learned/linux')),
    ],
    ['Compute Capacity', 'may not', 'read a secret', request('secretsmanager:GetSecretValue', SCALER_SECRET)],
    ['Update Group', 'may', "set a fleet's capacity", request('autoscaling:SetDesiredCapacity', LINUX)],
    ['Find Leftovers', 'may', 'read instances', request('ec2:DescribeInstances', '*')],
    [
      'Find Leftovers',
      'may not',
      'read a resource class token',
      request('secretsmanager:GetSecretValue', RUNNER_SECRET),
    ],
    [
      'Find Leftovers',
      'may not',
      'end a member of a fleet that wants repairs',
      request('autoscaling:TerminateInstanceInAutoScalingGroup', POOL),
    ],
    [
      'Find Leftovers',
      'may not',
      'end an instance',
      leftover('ec2:TerminateInstances', 'instance', 'repair'),
    ],
    [
      'Repair Leftovers',
      'may',
      'end a member of a fleet that wants repairs',
      request('autoscaling:TerminateInstanceInAutoScalingGroup', POOL),
    ],
    [
      'Repair Leftovers',
      'may not',
      'end a member of a fleet that only wants reports',
      request('autoscaling:TerminateInstanceInAutoScalingGroup', LINUX),
    ],
    ['Repair Leftovers', 'may', 'end an instance', leftover('ec2:TerminateInstances', 'instance', 'repair')],
    ['Repair Leftovers', 'may', 'delete a volume', leftover('ec2:DeleteVolume', 'volume', 'repair')],
    ['Repair Leftovers', 'may', 'mark a detached volume', marking('volume', DETACHED_TAG)],
    ['Repair Leftovers', 'may not', 'give a volume another tag', marking('volume', RECONCILE_TAG)],
    ['Repair Leftovers', 'may not', 'tag an instance', marking('instance', DETACHED_TAG)],
    [
      'Repair Leftovers',
      'may not',
      'end an instance of a fleet that only wants reports',
      leftover('ec2:TerminateInstances', 'instance'),
    ],
    [
      'Repair Leftovers',
      'may not',
      'end an instance of others',
      request('ec2:TerminateInstances', arn('ec2 instance/i-0123456789abcdef0')),
    ],
    ['Repair Leftovers', 'may not', 'set a capacity', request('autoscaling:SetDesiredCapacity', POOL)],
    [
      'Update Group',
      'may not',
      "set another group's capacity",
      request('autoscaling:SetDesiredCapacity', OTHER),
    ],
    [
      'Update Group',
      'may not',
      'set the capacity of a group whose name begins alike',
      request('autoscaling:SetDesiredCapacity', group('circleci-runners-linux-2')),
    ],
    [
      'Update Group',
      'may not',
      'end an instance',
      request('autoscaling:TerminateInstanceInAutoScalingGroup', LINUX),
    ],
    ['Update Group', 'may not', 'delete a group', request('autoscaling:DeleteAutoScalingGroup', LINUX)],
    [
      'Update Group',
      'may',
      'set its own tags',
      tagging(LINUX, LAUNCH_SUSPENDED_TAG, FALLBACK_TAG, TASKS_TAG),
    ],
    ['Update Group', 'may not', "write the tasks of a group that is no fleet's", tagging(OTHER, TASKS_TAG)],
    ['Describe Group', 'may not', 'write the tasks of a fleet', tagging(LINUX, TASKS_TAG)],
    ['Update Group', 'may not', 'pause a fleet', tagging(LINUX, PAUSED_TAG)],
    ['Update Group', 'may not', 'hide another tag behind its own', tagging(LINUX, FALLBACK_TAG, 'owner')],
    [
      'Update Group',
      'may',
      'change how a Spot fleet buys',
      request('autoscaling:UpdateAutoScalingGroup', SPOT),
    ],
    ...(['Update Group', 'group settings'] as const).flatMap((role) => [
      row(role, 'may', 'set the largest maximum size of the fleets', { 'autoscaling:MaxSize': '20' }),
      row(role, 'may not', 'set a larger maximum size', { 'autoscaling:MaxSize': '21' }),
      row(role, 'may not', 'set a minimum size', { 'autoscaling:MinSize': '1' }),
      row(role, 'may not', 'take a launch configuration, with an image and a role of its own', {
        'autoscaling:LaunchConfigurationName': 'mine',
      }),
      row(role, 'may', 'let a Spot fleet choose among types that the guardrails allow', {
        'autoscaling:InstanceTypes': ['m7i.large', 'c7i.large'],
      }),
      row(role, 'may not', 'let it choose another type', {
        'autoscaling:InstanceTypes': ['m7i.large', 'p5.48xlarge'],
      }),
    ]),
    [
      'Update Group',
      'may not',
      'change how another fleet buys',
      request('autoscaling:UpdateAutoScalingGroup', LINUX),
    ],
    [
      'Update Group',
      'may not',
      'resize the warm pool of a fleet whose pool has a fixed size',
      request('autoscaling:PutWarmPool', LINUX),
    ],
    ['Update Group', 'may', 'resize a warm pool of size auto', request('autoscaling:PutWarmPool', POOL)],
    [
      'Update Group',
      'may not',
      'set the capacity of a group of another app',
      ofStack('autoscaling:SetDesiredCapacity', group('circleci-runners-b-x'), 'circleci-runners-b'),
    ],
    [
      'Update Group',
      'may not',
      'set the capacity of a group with the tag, and a name of others',
      ofStack('autoscaling:SetDesiredCapacity', OTHER, 'circleci-runners'),
    ],
    ['Update Group', 'may', "launch with the template's image", launch(arn('ec2 image/ami-1', ''), true)],
    ['Update Group', 'may not', 'launch another image', launch(arn('ec2 image/ami-2', ''), false)],
    [
      'Update Group',
      'may not',
      'launch into another security group',
      launch(arn('ec2 security-group/sg-2'), false),
    ],
    ['Update Group', 'may not', 'launch with another key pair', launch(arn('ec2 key-pair/mine'), false)],
    [
      'Update Group',
      'may',
      "launch into the fleet's subnet",
      launch(arn('ec2 subnet/subnet-00000001'), false),
    ],
    [
      'Update Group',
      'may not',
      'launch into another subnet',
      launch(arn('ec2 subnet/subnet-00000002'), false),
    ],
    [
      'Update Group',
      'may',
      "make a network interface in the fleet's subnet",
      launchWithInterface('*', 'subnet-00000001'),
    ],
    [
      'Update Group',
      'may not',
      'take a network interface that is in another subnet, with security groups of its own',
      launchWithInterface('eni-production', 'subnet-00000002'),
    ],
    ['Update Group', 'may', 'launch a type that the guardrails allow', launchOf('m7i.large')],
    ['Update Group', 'may not', 'launch another type', launchOf('p5.48xlarge')],
    ['Update Group', 'may', 'make the volumes of a launch', launch(arn('ec2 volume/*'), true)],
    ['Update Group', 'may', "launch from a fleet's template", fromTemplate('circleci-runners')],
    [
      'Update Group',
      'may not',
      'launch from the template of another app',
      fromTemplate('circleci-runners-b'),
    ],
    ['Update Group', 'may not', 'launch from any other template', fromTemplate()],
    [
      'Update Group',
      'may not',
      'launch without a template',
      request('ec2:RunInstances', arn('ec2 instance/*')),
    ],
    ['Update Group', 'may', "give an instance the fleet's role", passing(INSTANCE_ROLE, 'ec2.amazonaws.com')],
    [
      'Update Group',
      'may not',
      "give an instance a function's role",
      passing(
        `arn:aws:iam::111122223333:role${String(template.the('AWS::IAM::Role', 'GroupSettings').properties.Path)}x`,
        'ec2.amazonaws.com',
      ),
    ],
    [
      'Update Group',
      'may not',
      "give a function the fleet's role",
      passing(INSTANCE_ROLE, 'lambda.amazonaws.com'),
    ],
    [
      'Update Group',
      'may not',
      'give an instance another role',
      passing(arn('iam role/admin'), 'ec2.amazonaws.com'),
    ],
    [
      'group settings',
      'may',
      'take the protection of members away',
      ofStack('autoscaling:SetInstanceProtection', LINUX, 'circleci-runners'),
    ],
    [
      'group settings',
      'may',
      'take the protection of members of a fleet away that a deployment removes',
      ofStack('autoscaling:SetInstanceProtection', group('circleci-runners-removed'), 'circleci-runners'),
    ],
    [
      'group settings',
      'may not',
      'touch a group of another stack whose name begins alike',
      ofStack('autoscaling:SetInstanceProtection', group('circleci-runners-b-x'), 'circleci-runners-b'),
    ],
    [
      'group settings',
      'may not',
      'touch another group',
      ofStack('autoscaling:UpdateAutoScalingGroup', OTHER, 'circleci-runners'),
    ],
    [
      'group settings',
      'may not',
      "touch a group without the stack's tag",
      request('autoscaling:UpdateAutoScalingGroup', group('circleci-runners-web')),
    ],
    [
      'workflow',
      'may',
      'invoke its functions',
      request('lambda:InvokeFunction', 'Function(circleci-runners-update-group).Arn'),
    ],
    [
      'workflow',
      'may not',
      'invoke the function of the group settings',
      request('lambda:InvokeFunction', 'Function(circleci-runners-group-settings).Arn'),
    ],
    [
      'workflow',
      'may not',
      'put metrics elsewhere',
      { action: 'cloudwatch:PutMetricData', resource: '*', context: { 'cloudwatch:namespace': 'AWS/EC2' } },
    ],
    ['workflow', 'may not', 'send to another topic', request('sns:Publish', arn('sns billing'))],
    [
      'scheduler',
      'may',
      'start the workflow',
      request('states:StartExecution', 'StateMachine(circleci-runners)'),
    ],
    [
      'scheduler',
      'may not',
      'start another workflow',
      request('states:StartExecution', 'StateMachine(payments)'),
    ],
    [
      'instance of linux',
      'may',
      'read the token of its class',
      request('secretsmanager:GetSecretValue', RUNNER_SECRET),
    ],
    [
      'instance of linux',
      'may not',
      'read the scaler secret',
      request('secretsmanager:GetSecretValue', SCALER_SECRET),
    ],
    [
      'instance of linux',
      'may',
      'leave its group',
      request('autoscaling:TerminateInstanceInAutoScalingGroup', LINUX),
    ],
    [
      'instance of linux',
      'may not',
      "end another fleet's instance",
      request('autoscaling:TerminateInstanceInAutoScalingGroup', SPOT),
    ],
    [
      'instance of linux',
      'may not',
      'ask for more instances',
      request('autoscaling:SetDesiredCapacity', LINUX),
    ],
    [
      'instance of linux',
      'may',
      'write to the log of its fleet',
      request('logs:PutLogEvents', logStream('/circleci-runners/linux/instances')),
    ],
    [
      'instance of linux',
      'may not',
      'read the log of its fleet, which has lines of other instances',
      request('logs:GetLogEvents', logStream('/circleci-runners/linux/instances')),
    ],
    [
      'instance of linux',
      'may not',
      'read the token of the class of another fleet',
      request(
        'secretsmanager:GetSecretValue',
        arn('secretsmanager secret:circleci-runners/spot/runner-AbCdEf'),
      ),
    ],
    [
      'instance of linux',
      'may not',
      "write to a function's log, whose lines become metrics",
      request('logs:PutLogEvents', logStream('/aws/lambda/circleci-runners-compute-capacity')),
    ],
    [
      'instance of linux',
      'may not',
      'make a log group of another class',
      request('logs:CreateLogGroup', arn('logs log-group:/circleci-runners/linux/instances')),
    ],
    [
      'instance of linux',
      'may not',
      'put metrics',
      {
        action: 'cloudwatch:PutMetricData',
        resource: '*',
        context: { 'cloudwatch:namespace': 'CircleCIRunnerAutoscaler/circleci-runners' },
      },
    ],
    ['instance of linux', 'may not', 'launch instances', launch(arn('ec2 instance/*'), true)],
    [
      'instance of linux',
      'may not',
      'read settings',
      request('ssm:GetParameter', parameter('/circleci-runners/fleets/linux')),
    ],
    [
      'images',
      'may',
      'write which image was built for a fleet',
      request('ssm:PutParameter', parameter('/circleci-runners/images/built')),
    ],
    [
      'images',
      'may not',
      'write which image was built for a fleet of another app',
      request('ssm:PutParameter', parameter('/team-b/images/built')),
    ],
    [
      'images',
      'may not',
      'write settings, which name the image that a fleet begins with',
      request('ssm:PutParameter', parameter('/circleci-runners/fleets/built')),
    ],
    ['images', 'may', 'mark an image of the app as in use', markingImage(IMAGE_IN_USE_TAG)],
    ['images', 'may not', 'give an image another tag', markingImage(STACK_TAG)],
    ['images', 'may not', 'mark an image of another app', markingImage(IMAGE_IN_USE_TAG, 'team-b')],
    // No fleet here has both a built image and a warm pool.
    ['images', 'may not', 'end an instance', leftover('ec2:TerminateInstances', 'instance', 'repair')],
    [
      'Find Leftovers',
      'may',
      'read the console of an instance of the app',
      ofStack('ec2:GetConsoleOutput', arn('ec2 instance/i-0123456789abcdef0'), 'circleci-runners'),
    ],
    [
      'Find Leftovers',
      'may not',
      'read the console of another instance',
      ofStack('ec2:GetConsoleOutput', arn('ec2 instance/i-0123456789abcdef0'), 'team-b'),
    ],
    ['images', 'may not', 'launch instances', launch(arn('ec2 instance/*'), true)],
    ['images', 'may not', 'read a scaler secret', request('secretsmanager:GetSecretValue', SCALER_SECRET)],
    [
      'builder of an image',
      'may not',
      'read a runner secret',
      request('secretsmanager:GetSecretValue', RUNNER_SECRET),
    ],
    [
      'builder of an image',
      'may not',
      'write which image was built',
      request('ssm:PutParameter', parameter('/circleci-runners/images/built')),
    ],
    [
      'builder of an image',
      'may not',
      'end a member of a group',
      request('autoscaling:TerminateInstanceInAutoScalingGroup', LINUX),
    ],
    [
      'retention of images',
      'may',
      'delete an image that EC2 Image Builder has made',
      {
        action: 'ec2:DeregisterImage',
        resource: arn('ec2 image/ami-0123456789abcdef0', ''),
        context: { 'aws:ResourceTag/CreatedBy': 'EC2 Image Builder' },
      },
    ],
    [
      'retention of images',
      'may not',
      'delete another image',
      request('ec2:DeregisterImage', arn('ec2 image/ami-0123456789abcdef0', '')),
    ],
    [
      'instance of built',
      'may not',
      'write which image was built',
      request('ssm:PutParameter', parameter('/circleci-runners/images/built')),
    ],
  ])('%s %s %s', (role, verdict, _, asked) => {
    expect(may(role, asked)).toBe(verdict === 'may');
  });
});

it('the table has every role of the stack', () => {
  const known: string[] = Object.values(ROLES);
  expect(policies.flatMap(({ Roles }) => Roles).filter((role) => !known.includes(role))).toEqual([]);
});

describe('the evaluator of policies', () => {
  const statement = (changes: object) =>
    PolicyStatement.parse({ Effect: 'Allow', Action: 's3:Get*', Resource: 'arn:aws:s3:::b/*', ...changes });
  const get = request('s3:GetObject', 'arn:aws:s3:::b/key');

  it.each([
    { case: 'a matching statement allows', statements: [statement({})], allowed: true },
    { case: 'no statement allows nothing', statements: [], allowed: false },
    { case: 'another action is not allowed', statements: [statement({ Action: 's3:Put*' })], allowed: false },
    {
      case: 'another resource is not allowed',
      statements: [statement({ Resource: 'arn:aws:s3:::c/*' })],
      allowed: false,
    },
    { case: 'a denial wins', statements: [statement({}), statement({ Effect: 'Deny' })], allowed: false },
    {
      case: 'a condition on a key that the request lacks fails',
      statements: [statement({ Condition: { StringEquals: { 'aws:SourceVpc': 'vpc-1' } } })],
      allowed: false,
    },
    {
      case: 'ForAllValues holds for a request without the key',
      statements: [statement({ Condition: { 'ForAllValues:StringEquals': { 'aws:TagKeys': 'a' } } })],
      allowed: true,
    },
    {
      case: 'IfExists holds for a request without the key',
      statements: [statement({ Condition: { NumericLessThanEqualsIfExists: { 's3:max-keys': '10' } } })],
      allowed: true,
    },
    {
      case: 'Null: true holds for a request without the key',
      statements: [statement({ Condition: { Null: { 's3:max-keys': 'true' } } })],
      allowed: true,
    },
    {
      case: 'Null: false does not',
      statements: [statement({ Condition: { Null: { 's3:max-keys': 'false' } } })],
      allowed: false,
    },
    {
      case: 'a dot in a pattern is a dot',
      statements: [statement({ Resource: 'arn:aws:s3:::b/k.y' })],
      allowed: false,
    },
  ])('$case', ({ statements, allowed }) => {
    expect(allows(statements, get)).toBe(allowed);
  });

  it('refuses an operator that it does not know', () => {
    const unknown = statement({ Condition: { NumericLessThan: { 's3:max-keys': '10' } } });
    expect(() => allows([unknown], get)).toThrow('No condition operator NumericLessThan');
  });
});

describe('a policy that outgrows a role', () => {
  /** 130 secrets of one's own: the CDK moves statements into managed policies. */
  const names = Array.from({ length: 130 }, (_, index) => `fleet-${index}`);
  const large = SynthesisedTemplate.of(
    fleetsWith(
      Object.fromEntries(names.map((name) => [name, { scalerSecretName: `acme/ci/${name}/scaler` }])),
    ),
  );
  const statementsOf = (types: string[]) =>
    large
      .policies()
      .filter(({ type }) => types.includes(type))
      .map(({ properties }) => Policy.parse(properties))
      .filter(({ Roles }) => Roles.some((role) => role.includes('CountUnclaimed')))
      .flatMap(({ PolicyDocument }) => PolicyDocument.Statement);
  const mayRead = (types: string[]) =>
    names.filter((name) =>
      allows(
        statementsOf(types),
        request('secretsmanager:GetSecretValue', arn(`secretsmanager secret:acme/ci/${name}/scaler-AbCdEf`)),
      ),
    );

  it('is seen where the CDK moves it to', () => {
    expect(mayRead(['AWS::IAM::Policy']).length).toBeLessThan(names.length);
    expect(mayRead(['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy'])).toEqual(names);
  });

  it('has no part that is longer than AWS allows', () => {
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    const most = { 'AWS::IAM::Policy': 10_240, 'AWS::IAM::ManagedPolicy': 6_144 };
    const tooLong = large
      .policies()
      .filter(
        ({ type, properties }) =>
          JSON.stringify(properties.PolicyDocument).length > most[type as keyof typeof most],
      );
    expect(tooLong.map(({ id }) => id)).toEqual([]);
  });

  it.each(['Allow', 'Deny'] as const)('is seen with what it says: %s', (effect) => {
    const of = (type: string, Effect: string) => ({
      type,
      properties: {
        Roles: ['Role(x)'],
        PolicyDocument: { Statement: [{ Effect, Action: 's3:GetObject', Resource: '*' }] },
      },
    });
    const found = policiesAmong([of('AWS::IAM::Policy', 'Allow'), of('AWS::IAM::ManagedPolicy', effect)])
      .map(({ properties }) => Policy.parse(properties))
      .flatMap(({ PolicyDocument }) => PolicyDocument.Statement);
    expect(found).toHaveLength(2);
    expect(allows(found, { action: 's3:GetObject', resource: 'arn:aws:s3:::b/k' })).toBe(effect === 'Allow');
  });

  it.each([
    { type: 'AWS::IAM::RolePolicy', properties: {} },
    { type: 'AWS::IAM::Role', properties: { Policies: [] } },
    {
      type: 'AWS::IAM::Role',
      properties: { ManagedPolicyArns: ['arn:aws:iam::aws:policy/AdministratorAccess'] },
    },
  ])('is not overlooked as $type with $properties', (resource) => {
    expect(() => policiesAmong([resource])).toThrow('Permissions that nobody evaluates');
  });
});

describe('a launch by Update Group', () => {
  const NETWORK = '{vpcId: vpc-00000001, subnetIds: [subnet-00000001]}';
  const mayLaunch = (fleets: FleetConfig[], asked: Request) => {
    const statements = SynthesisedTemplate.of(fleets.map((fleet) => ({ ...fleet, allowedTypes: ['m7i.*'] })))
      .policies()
      .map(({ properties }) => Policy.parse(properties))
      .filter(({ Roles }) => Roles.some((role) => role.includes('UpdateGroup')))
      .flatMap(({ PolicyDocument }) => PolicyDocument.Statement);
    return allows(statements, asked);
  };

  it('is possible only if a fleet has Spot capacity', () => {
    expect(mayLaunch(fleetsWith({ linux: {} }), launchOf('m7i.large'))).toBe(false);
    expect(mayLaunch(fleetsWith({ linux: { spot: '{}' } }), launchOf('m7i.large'))).toBe(true);
  });

  it('is by a group in the subnets of the Spot fleets, if they are known at the deployment', () => {
    const moved = (...subnets: string[]) => update(SPOT, { 'autoscaling:VPCZoneIdentifiers': subnets });
    const named = fleetsWith({ spot: { spot: '{}', network: NETWORK }, linux: {} });
    expect(mayLaunch(named, update(SPOT, {}))).toBe(true);
    expect(mayLaunch(named, moved('subnet-00000001'))).toBe(true);
    expect(mayLaunch(named, moved('subnet-00000001', 'subnet-00000002'))).toBe(false);
    const unknown = fleetsWith({ spot: { spot: '{}' } });
    expect(mayLaunch(unknown, moved('subnet-00000002'))).toBe(true);
  });

  it('is into any subnet if that of a Spot fleet is not known at the deployment', () => {
    const elsewhere = launch(arn('ec2 subnet/subnet-00000002'), false);
    expect(mayLaunch(fleetsWith({ a: { spot: '{}', network: NETWORK } }), elsewhere)).toBe(false);
    expect(mayLaunch(fleetsWith({ a: { spot: '{}', network: NETWORK }, b: {} }), elsewhere)).toBe(false);
    expect(mayLaunch(fleetsWith({ a: { spot: '{}', network: NETWORK }, b: { spot: '{}' } }), elsewhere)).toBe(
      true,
    );
  });

  it.each([
    { count: 20, named: true },
    { count: 21, named: false },
  ])('names $count subnets: $named, because a policy has 10,240 characters', ({ count, named }) => {
    const subnetIds = Array.from(
      { length: count },
      (_, index) => `subnet-${String(index).padStart(17, '0')}`,
    );
    const fleets = fleetsWith({
      a: { spot: '{}', network: `{vpcId: vpc-00000001, subnetIds: [${subnetIds}]}` },
    });
    expect(mayLaunch(fleets, launch(arn('ec2 subnet/subnet-00000000000000099'), false))).toBe(!named);
    const [policy] = SynthesisedTemplate.of(fleets)
      .policies()
      .map(({ properties }) => Policy.parse(properties))
      .filter(({ Roles }) => Roles.some((role) => role.includes('UpdateGroup')));
    expect(JSON.stringify(policy?.PolicyDocument).length).toBeLessThan(10_240);
  });

  it('is of any type if EC2 chooses the types by their attributes', () => {
    const chosen = fleetsOf(
      'a:\n  resourceClass: acme/a\n  maxReplicas: 5\n  spot: {}\n  instanceRequirements: {architecture: arm64, vCpus: {min: 2}, memoryGiB: {min: 8}}\n',
    );
    expect(mayLaunch(chosen, launchOf('i4g.large'))).toBe(true);
    expect(mayLaunch(fleetsWith({ a: { spot: '{}' } }), launchOf('i4g.large'))).toBe(false);
  });
});
