import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { buildSchedule, builtImagesOf } from '../../fleets/built-images.ts';
import { logicalId } from '../../fleets/names.ts';
import { imageMessagesParameter } from '../../functions/lib/fleet-names.ts';
import { MOST_CHARACTERS } from '../../userdata/image-component.ts';
import { fleetsWith, RUNNER } from '../support/fleets.ts';
import { violationsOf } from './nag.ts';
import { SynthesisedTemplate } from './template.ts';

const INSTALL = '#!/bin/sh\ntrue\n';
const WEEKLY = '{build: weekly, docker: true, install: install.sh, keep: 5}';
const OWN_NETWORK = 'vpcId: vpc-00000001, subnetIds: [subnet-00000001, subnet-00000002]';

const FLEETS = fleetsWith(
  {
    linux: { image: WEEKLY, sshCidr: '203.0.113.0/24', tags: '{team: platform, Name: mine}' },
    large: { image: WEEKLY, instanceTypes: '[m7i.4xlarge]', rootVolumeSize: '20', tags: '{team: platform}' },
    arm: {
      image: WEEKLY,
      instanceTypes: '[m7g.large]',
      network: `{${OWN_NETWORK}, securityGroupIds: [sg-00000001]}`,
    },
    amazon: {
      image: '{build: 0 4 * * MON-FRI, timezone: Europe/Berlin, from: amazon-linux}',
      network: `{${OWN_NETWORK}}`,
      logs: 'true',
      maxRunTime: '2d',
    },
    own: { image: '{build: once, from: /acme/base}', network: 'new-vpc' },
    stock: {},
  },
  { 'install.sh': INSTALL },
);
const template = SynthesisedTemplate.of(FLEETS);
const without = SynthesisedTemplate.of(fleetsWith({ stock: {} }));

const propertiesOf = (type: string, fleet: string) =>
  template.the(`AWS::ImageBuilder::${type}`, `${logicalId(fleet)}Fleet`).properties;

const Texts = z.object({
  Environment: z.object({ Variables: z.record(z.string(), z.string()) }),
});

const documents = (fleet: string) =>
  template
    .all('AWS::ImageBuilder::Component')
    .filter(({ id }) => id.startsWith(`${logicalId(fleet)}Fleet`))
    .map(({ properties }) => String(properties.Data));

describe('the pipelines', () => {
  it('are one for each image, in the stack of the first fleet that has it', () => {
    expect(
      template.all('AWS::ImageBuilder::ImagePipeline').map(({ properties }) => properties.Description),
    ).toEqual(['Image of linux, large', 'Image of arm', 'Image of amazon', 'Image of own']);
  });

  it('belong to no stack without such a fleet, and nothing else does', () => {
    const made = without.resources.filter(
      ({ id, type }) =>
        type.startsWith('AWS::ImageBuilder') ||
        /Image(Pipeline|Parameter|Messages)|Images|ImageBuilt/.test(id),
    );
    expect(made).toEqual([]);
    expect(JSON.stringify(without.json)).not.toMatch(/imagebuilder|\/images\//);
  });

  it.each([
    {
      fleet: 'linux',
      schedule: {
        ScheduleExpression: expect.stringMatching(/^cron\(\d+ 3 \? \* SUN \*\)$/),
        Timezone: 'UTC',
      },
    },
    {
      fleet: 'amazon',
      schedule: { ScheduleExpression: 'cron(0 4 ? * MON-FRI *)', Timezone: 'Europe/Berlin' },
    },
  ])('of $fleet runs by its schedule, whether or not the image below has changed', ({ fleet, schedule }) => {
    expect(propertiesOf('ImagePipeline', fleet).Schedule).toEqual({
      ...schedule,
      PipelineExecutionStartCondition: 'EXPRESSION_MATCH_ONLY',
    });
  });

  it('without a schedule runs only when somebody asks', () => {
    expect(propertiesOf('ImagePipeline', 'own').Schedule).toBeUndefined();
  });

  it.each([
    { build: '30 2 1 * *', expression: 'cron(30 2 1 * ? *)' },
    { build: '0 3 * 1,7 *', expression: 'cron(0 3 * 1,7 ? *)' },
    { build: '*/15 8-18 * * MON,WED', expression: 'cron(*/15 8-18 ? * MON,WED *)' },
  ])('run by $build as $expression', ({ build, expression }) => {
    expect(buildSchedule({ build, timezone: 'UTC', keep: 3 }, 'a')?.expression).toBe(expression);
  });

  it.each([
    {
      fleet: 'linux',
      parent: 'ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id',
    },
    {
      fleet: 'arm',
      parent: 'ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id',
    },
    { fleet: 'amazon', parent: 'ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64' },
    { fleet: 'own', parent: 'ssm:/acme/base' },
  ])('of $fleet builds on $parent', ({ fleet, parent }) => {
    expect(propertiesOf('ImageRecipe', fleet).ParentImage).toBe(parent);
  });

  it('build an encrypted volume that fits into those of all fleets with the image', () => {
    expect(propertiesOf('ImageRecipe', 'linux').BlockDeviceMappings).toEqual([
      {
        DeviceName: '/dev/sda1',
        Ebs: { VolumeSize: 20, VolumeType: 'gp3', Encrypted: true, DeleteOnTermination: true },
      },
    ]);
    expect(propertiesOf('ImageRecipe', 'own').BlockDeviceMappings).toBeUndefined();
  });

  it.each([
    {
      fleet: 'linux',
      in: 'the default VPC',
      network: { SecurityGroupIds: ['SecurityGroup(LinuxFleetImagePipelineSecurityGroup).GroupId'] },
    },
    {
      fleet: 'arm',
      in: "a VPC of the adopter's",
      network: { SubnetId: 'subnet-00000001', SecurityGroupIds: ['sg-00000001'] },
    },
    {
      fleet: 'amazon',
      in: "a VPC of the adopter's, with the fleet's group",
      network: {
        SubnetId: 'subnet-00000001',
        SecurityGroupIds: ['SecurityGroup(AmazonFleetSecurityGroup).GroupId'],
      },
    },
    {
      fleet: 'own',
      in: 'the VPC of the fleet',
      network: {
        SubnetId: 'Subnet(OwnFleetVpcrunnersSubnet1Subnet)',
        SecurityGroupIds: ['SecurityGroup(OwnFleetSecurityGroup).GroupId'],
      },
    },
  ])('of $fleet builds in $in', ({ fleet, network }) => {
    const { SubnetId, SecurityGroupIds } = propertiesOf('InfrastructureConfiguration', fleet);
    expect({ ...(SubnetId !== undefined && { SubnetId }), SecurityGroupIds }).toEqual(network);
  });

  it('let nobody reach the machine, although SSH to the instances is open', () => {
    const group = template.the('AWS::EC2::SecurityGroup', 'LinuxFleetImagePipeline');
    expect(group.properties.SecurityGroupIngress).toEqual([]);
  });

  it('launch the types of the fleet, with IMDSv2 and the tags of the fleet that EC2 Image Builder does not set', () => {
    expect(propertiesOf('InfrastructureConfiguration', 'linux')).toMatchObject({
      InstanceTypes: ['m7i.large'],
      InstanceMetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1 },
      ResourceTags: { team: 'platform' },
      TerminateInstanceOnFailure: true,
    });
    expect(propertiesOf('InfrastructureConfiguration', 'amazon')).not.toHaveProperty('ResourceTags');
  });

  it('test each image, and log into a group that forgets', () => {
    const { ImageTestsConfiguration, LoggingConfiguration } = propertiesOf('ImagePipeline', 'linux');
    expect(ImageTestsConfiguration).toMatchObject({ ImageTestsEnabled: true });
    expect(LoggingConfiguration).toEqual({
      ImageLogGroupName: 'LogGroup(/aws/imagebuilder/circleci-runners-linux)',
    });
    expect(template.the('AWS::Logs::LogGroup', 'LinuxFleetImagePipeline').properties.RetentionInDays).toBe(
      30,
    );
  });

  it('delete old images with their snapshots, but none that an instance may still have or that somebody chose', () => {
    expect(propertiesOf('LifecyclePolicy', 'linux')).toMatchObject({
      ResourceSelection: { Recipes: [{ Name: 'circleci-runners-linux', SemanticVersion: 'x.x.x' }] },
      PolicyDetails: [
        {
          Action: { Type: 'DELETE', IncludeResources: { Amis: true, Snapshots: true } },
          Filter: { Type: 'COUNT', Value: 5 },
          ExclusionRules: {
            Amis: {
              LastLaunched: { Unit: 'DAYS', Value: 2 },
              TagMap: { 'circleci-runners:image-in-use': 'circleci-runners' },
            },
          },
        },
      ],
    });
    expect(JSON.stringify(propertiesOf('LifecyclePolicy', 'amazon'))).toContain('"Value":4');
  });

  it('are by the rules of cdk-nag', () => {
    // An image of one's own without rootDevice is encrypted or not as its maker wants it.
    expect(violationsOf(FLEETS.filter(({ name }) => name !== 'own'))).toEqual([]);
  });
});

describe('two fleets share an image', () => {
  const shared = (
    settings: Record<string, string>,
    beside = { 'install.sh': INSTALL, 'other.sh': `${INSTALL}#\n` },
  ) =>
    builtImagesOf(fleetsWith({ a: { image: WEEKLY }, b: { image: WEEKLY, ...settings } }, beside)).length ===
    1;

  it.each<{ case: string; settings: Record<string, string>; same: boolean }>([
    { case: 'with the same settings', settings: {}, same: true },
    {
      case: 'also with other sizes and times',
      settings: { maxReplicas: '3', idleTimeout: '10m' },
      same: true,
    },
    { case: 'not on another architecture', settings: { instanceTypes: '[m7g.large]' }, same: false },
    {
      case: 'not with another install script',
      settings: { image: WEEKLY.replace('install.sh', 'other.sh') },
      same: false,
    },
    {
      case: 'not with another release of the runner',
      settings: { runner: JSON.stringify(RUNNER) },
      same: false,
    },
    { case: 'not with another number of images', settings: { image: WEEKLY.replace('5', '6') }, same: false },
    { case: 'not if only one has the agent of the logs', settings: { logs: 'true' }, same: false },
    { case: 'not with another proxy', settings: { httpProxy: 'http://proxy.acme:3128' }, same: false },
  ])('$case', ({ settings, same }) => {
    expect(shared(settings)).toBe(same);
  });
});

describe('the components', () => {
  it('are what EC2 Image Builder takes', () => {
    for (const fleet of ['linux', 'arm', 'amazon', 'own']) {
      const [build = '', test = ''] = documents(fleet);
      expect(parse(build).phases.map(({ name }: { name: string }) => name)).toEqual(['build', 'validate']);
      expect(parse(test).phases.map(({ name }: { name: string }) => name)).toEqual(['test']);
      for (const text of [build, test]) {
        expect(text.length).toBeLessThan(MOST_CHARACTERS);
        // It would take this for an expression: https://docs.aws.amazon.com/imagebuilder/latest/userguide/toe-user-defined-variables.html
        expect(text).not.toContain('{{');
      }
    }
  });

  it('name no secret, group or URL of CircleCI', () => {
    const named = documents('linux')
      .join('\n')
      .match(/^ *(GROUP_NAME|RUNNER_SECRET_NAME|CIRCLECI_URL)=/m);
    expect(named).toBeNull();
  });

  it('have another version if they or their tags change, and the same if not', () => {
    const versions = (install: string, tags = '{}') =>
      SynthesisedTemplate.of(
        fleetsWith(
          { linux: { image: '{build: once, install: install.sh}', tags } },
          { 'install.sh': install },
        ),
      )
        .resources.filter(({ type }) => /::(Component|ImageRecipe)$/.test(type))
        .map(({ properties }) => properties.Version);
    const before = versions(INSTALL);
    expect(versions(INSTALL)).toEqual(before);
    for (const changed of [versions(`${INSTALL}true\n`), versions(INSTALL, '{team: platform}')]) {
      expect(changed).toHaveLength(3);
      expect(changed.filter((version) => before.includes(version))).toEqual([]);
    }
    for (const version of before) expect(version).toMatch(/^1\.0\.\d{1,10}$/);
  });
});

describe('a fleet whose image is built', () => {
  it.each(['linux', 'large'])('%s reads its own parameter at each launch', (fleet) => {
    const { properties } = template.the('AWS::EC2::LaunchTemplate', `${logicalId(fleet)}Fleet`);
    expect(properties.LaunchTemplateData).toMatchObject({
      ImageId: `resolve:ssm:/circleci-runners/images/${fleet}`,
      BlockDeviceMappings: [{ DeviceName: '/dev/sda1' }],
    });
  });

  it('has the parameter before its group, and keeps it', () => {
    const parameter = template.the('Custom::circleci-runners-image', 'LinuxFleet');
    expect(parameter).toMatchObject({
      properties: {
        ServiceToken: 'arn:aws:lambda:eu-west-1:111122223333:function:circleci-runners-images',
        GroupName: 'circleci-runners-linux',
        Source: 'ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id',
      },
      attributes: { DeletionPolicy: 'Retain' },
    });
    const { DependsOn } = template.the('AWS::AutoScaling::AutoScalingGroup', 'LinuxFleet').attributes;
    expect([DependsOn].flat().some((id) => String(id).startsWith('LinuxFleetImageParameter'))).toBe(true);
  });

  it('says in its settings which image it has', () => {
    const [first, second] = ['Linux', 'Large'].map(
      (id) =>
        JSON.parse(String(template.the('AWS::SSM::Parameter', `${id}Parameter`).properties.Value))
          .imageBuiltBy,
    );
    expect([first, second]).toEqual(['circleci-runners-linux', 'circleci-runners-linux']);
  });

  it('installs the same at a boot of the stock image', () => {
    const userData = template.userData('Linux');
    expect(userData).toMatch(/^DOCKER=true$/m);
    expect(userData).toMatch(/^INSTALL_SHA256=[0-9a-f]{64}$/m);
  });
});

describe('the roles', () => {
  it('of the machine that builds may take commands, log, and read the script: no secret, no group', () => {
    const actions = template
      .permissions('Role(LinuxFleetImagePipelineBuilderRole)')
      .map((permission) => permission.split(' ')[0]);
    expect([...new Set(actions.map((action) => action?.split(':')[0]))].toSorted()).toEqual([
      'ec2messages',
      'imagebuilder',
      'kms',
      'logs',
      's3',
      'ssm',
      'ssmmessages',
    ]);
    expect(actions.filter((action) => /^(ssm|imagebuilder|s3|kms|logs):/.test(action ?? ''))).toEqual([
      'imagebuilder:GetComponent',
      'kms:Decrypt',
      'logs:CreateLogStream',
      'logs:PutLogEvents',
      's3:GetObject',
      's3:GetObject',
      'ssm:UpdateInstanceInformation',
    ]);
  });

  it('of the deletion of old images may delete what EC2 Image Builder has made, and nothing else', () => {
    const permissions = template.permissions('Role(LinuxFleetImagePipelineRetentionRole)');
    const made = ' if {"StringEquals":{"aws:ResourceTag/CreatedBy":"EC2 Image Builder"}}';
    expect(permissions).toEqual([
      `ec2:DeleteSnapshot on arn:aws:ec2:eu-west-1::snapshot/*${made}`,
      `ec2:DeregisterImage on arn:aws:ec2:eu-west-1::image/*${made}`,
      `ec2:DescribeImageAttribute on arn:aws:ec2:eu-west-1::image/*${made}`,
      'ec2:DescribeImages on *',
      'imagebuilder:DeleteImage on arn:aws:imagebuilder:eu-west-1:111122223333:image/circleci-runners-linux/*',
      'tag:GetResources on *',
    ]);
  });

  it('of the function may write the parameters of images, and reads nothing else that it could write', () => {
    expect(
      template
        .permissions('Role(ImagesPartsRole)')
        .filter((permission) => !/^(logs|ssm:GetParameter on)/.test(permission)),
    ).toEqual([
      ...['CreateTags', 'DeleteTags'].map(
        (action) =>
          `ec2:${action} on arn:aws:ec2:eu-west-1::image/* if ${JSON.stringify({ 'ForAllValues:StringEquals': { 'aws:TagKeys': ['circleci-runners:image-in-use'] }, StringEquals: { 'aws:ResourceTag/circleci-runners:stack': 'circleci-runners' } })}`,
      ),
      'ec2:DescribeImages on *',
      'imagebuilder:GetImage on arn:aws:imagebuilder:eu-west-1:111122223333:image/circleci-runners-*',
      'sns:Publish on Topic(circleci-runners)',
      'ssm:GetParameterHistory on arn:aws:ssm:eu-west-1:111122223333:parameter/circleci-runners/image-messages',
      'ssm:GetParameterHistory on arn:aws:ssm:eu-west-1:111122223333:parameter/circleci-runners/images/*',
      'ssm:GetParametersByPath on arn:aws:ssm:eu-west-1:111122223333:parameter/circleci-runners/fleets',
      'ssm:PutParameter on arn:aws:ssm:eu-west-1:111122223333:parameter/circleci-runners/image-messages',
      'ssm:PutParameter on arn:aws:ssm:eu-west-1:111122223333:parameter/circleci-runners/images/*',
    ]);
  });

  it('of the function may keep which messages it has sent, in a parameter that goes with the app', () => {
    const { properties, attributes } = template.the('AWS::SSM::Parameter', 'ImageMessages');
    expect(properties.Name).toBe(imageMessagesParameter('circleci-runners'));
    expect(attributes).not.toHaveProperty('DeletionPolicy');
  });
});

describe('the function gets', () => {
  const patternOf = (id: string) => template.the('AWS::Events::Rule', id).properties.EventPattern;

  it('builds of this app that succeeded or failed', () => {
    expect(patternOf('ImageBuilt')).toEqual({
      source: ['aws.imagebuilder'],
      'detail-type': ['EC2 Image Builder Image State Change'],
      resources: [{ prefix: 'arn:aws:imagebuilder:eu-west-1:111122223333:image/circleci-runners-' }],
      detail: { state: { status: ['AVAILABLE', 'FAILED'] } },
    });
  });

  it('breakers of this app that open', () => {
    expect(patternOf('BreakerOpened')).toEqual({
      source: ['aws.cloudwatch'],
      'detail-type': ['CloudWatch Alarm State Change'],
      detail: { alarmName: [{ wildcard: 'circleci-runners-*-BreakerOpen' }], state: { value: ['ALARM'] } },
    });
  });

  it('texts with first steps and the heading of the runbook', () => {
    const { Environment } = Texts.parse(
      template
        .all('AWS::Lambda::Function')
        .find(({ properties }) => properties.FunctionName === 'circleci-runners-images')?.properties,
    );
    for (const heading of ['Image Build Failed', 'Image Rolled Back'])
      expect(readFileSync('docs/operations.md', 'utf8')).toContain(`\n## ${heading}\n`);
    expect(Environment.Variables.BUILD_FAILED).toMatch(
      /FLEET_NAME failed.*\n\nDo this first:\n1\. [\s\S]*"Image Build Failed"/,
    );
    expect(Environment.Variables.ROLLED_BACK).toMatch(
      /npm run image -- build FLEET_NAME[\s\S]*"Image Rolled Back"/,
    );
  });
});

describe('warm pools of built images', () => {
  const pools = SynthesisedTemplate.of(
    fleetsWith(
      { pooled: { image: WEEKLY, warmPool: '{size: 2}' }, plain: { warmPool: '{size: 2}' } },
      { 'install.sh': INSTALL },
    ),
  );
  const tagsOf = (fleet: string) =>
    JSON.stringify(pools.the('AWS::EC2::LaunchTemplate', `${logicalId(fleet)}Fleet`).properties);

  it('are compared every ten minutes, and only an app with such a fleet may replace their instances', () => {
    const schedules = (of: SynthesisedTemplate) =>
      of.all('AWS::Events::Rule').map(({ properties }) => properties.ScheduleExpression);
    expect(schedules(pools)).toContain('rate(10 minutes)');
    expect(schedules(template)).not.toContain('rate(10 minutes)');
    const roles = (of: SynthesisedTemplate) =>
      JSON.stringify(of.all('AWS::IAM::Policy').filter(({ id }) => id.startsWith('Images')));
    expect(roles(pools)).toContain('ec2:TerminateInstances');
    expect(roles(template)).not.toContain('ec2:TerminateInstances');
  });

  it('have the tag by which their instances may be replaced, and others do not', () => {
    expect(tagsOf('pooled')).toContain('circleci-runners:pool-image');
    expect(tagsOf('plain')).not.toContain('circleci-runners:pool-image');
  });
});
