import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { EACH_FLEET, threeFleets } from './fleets.ts';
import { SynthesisedTemplate } from './template.ts';

const template = new SynthesisedTemplate(threeFleets());

const group = (id: string) => template.the('AWS::AutoScaling::AutoScalingGroup', `${id}Fleet`);
const launchTemplate = (id: string) => template.the('AWS::EC2::LaunchTemplate', `${id}Fleet`);
const securityGroup = (id: string) => template.the('AWS::EC2::SecurityGroup', `${id}Fleet`);

describe.each(EACH_FLEET)('the instances of fleet $name', ({ id }) => {
  const data = launchTemplate(id).properties.LaunchTemplateData;

  it('give no credentials to a request that was not meant for them: IMDSv2, one hop', () => {
    expect(data).toMatchObject({
      MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1 },
    });
  });

  it('are gone when they power off', () => {
    expect(data).toMatchObject({
      InstanceInitiatedShutdownBehavior: 'terminate',
    });
  });

  it('have an encrypted gp3 volume of the size asked for, which goes with them', () => {
    expect(data).toMatchObject({
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
    expect(data).toMatchObject({
      ImageId: `resolve:ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/${architecture}/hvm/ebs-gp3/ami-id`,
    });
  });

  it('have a key only if one is asked for', () => {
    expect(Object(data).KeyName).toBe(id === 'LinuxLarge' ? 'ops-team' : undefined);
  });

  it('let nothing in but, if asked for, SSH from where it was asked for', () => {
    expect(securityGroup(id).properties.SecurityGroupIngress).toEqual(
      id === 'LinuxLarge'
        ? [{ IpProtocol: 'tcp', FromPort: 22, ToPort: 22, CidrIp: '203.0.113.0/24', Description: 'SSH' }]
        : [],
    );
    expect(template.all('AWS::EC2::SecurityGroupIngress')).toEqual([]);
    expect(data).toMatchObject({
      SecurityGroupIds: [`SecurityGroup(${id}FleetSecurityGroup).GroupId`],
    });
  });
});

describe('the group', () => {
  it.each(EACH_FLEET)(
    'of $name has the bounds of the fleet, and a capacity that a deployment does not touch',
    ({ id, name }) => {
      expect(group(id).properties).toMatchObject({
        AutoScalingGroupName: `circleci-runners-${name}`,
        MinSize: '0',
        MaxSize: { Arm: '20', LinuxLarge: '40', Owned: '3' }[id],
      });
      expect(group(id).properties).not.toHaveProperty('DesiredCapacity');
    },
  );

  it.each(EACH_FLEET)(
    'of $name terminates no instance by itself, and no deployment replaces any',
    ({ id }) => {
      const { properties, attributes } = group(id);
      expect(properties).toMatchObject({ NewInstancesProtectedFromScaleIn: true, HealthCheckType: 'EC2' });
      expect(attributes).not.toHaveProperty('UpdatePolicy');
    },
  );

  const newest = (name: string) => ({
    LaunchTemplateName: `circleci-runners-${name}`,
    Version: `LaunchTemplate(circleci-runners-${name}).LatestVersionNumber`,
  });

  it('of one instance type launches from the newest version of the launch template', () => {
    expect(group('Arm').properties).toMatchObject({ LaunchTemplate: newest('arm') });
    expect(group('Arm').properties).not.toHaveProperty('MixedInstancesPolicy');
    expect(launchTemplate('Arm').properties).toMatchObject({
      LaunchTemplateData: { InstanceType: 'm7g.large' },
    });
  });

  it('of several instance types launches them on demand, in order of preference', () => {
    expect(group('LinuxLarge').properties).not.toHaveProperty('LaunchTemplate');
    expect(group('LinuxLarge').properties.MixedInstancesPolicy).toEqual({
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
        group(id).id,
      ]);
    }
  });
});

describe('the network', () => {
  it('default-vpc is the default VPC in each of its zones, found without a look-up', () => {
    expect(group('Arm').properties).toMatchObject({ AvailabilityZones: { 'Fn::GetAZs': '' } });
    expect(group('Arm').properties).not.toHaveProperty('VPCZoneIdentifier');
    expect(securityGroup('Arm').properties).not.toHaveProperty('VpcId');
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
    expect(group('LinuxLarge').properties.VPCZoneIdentifier).toHaveLength(subnets.length);
    expect(securityGroup('LinuxLarge').properties).toMatchObject({ VpcId: 'VPC(LinuxLargeFleetVpc)' });
  });

  it('of the adopter is used by its ids', () => {
    expect(group('Owned').properties.VPCZoneIdentifier).toEqual([
      'subnet-0123456789abcdef0',
      'subnet-0fedcba9876543210',
    ]);
    expect(securityGroup('Owned').properties).toMatchObject({
      VpcId: 'vpc-0123456789abcdef0',
      SecurityGroupEgress: [{ IpProtocol: '-1', CidrIp: '0.0.0.0/0' }],
    });
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
    const data = launchTemplate('LinuxLarge').properties.LaunchTemplateData;
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
    expect(group('LinuxLarge').properties.Tags).toEqual(
      expect.arrayContaining([
        { Key: 'Name', Value: 'circleci-runners-linux-large', PropagateAtLaunch: true },
        { Key: 'team', Value: 'build', PropagateAtLaunch: true },
      ]),
    );
  });
});
