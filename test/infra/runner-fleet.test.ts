import { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { logicalId } from '../../fleets/names.ts';
import { EACH_FLEET, fleetsOf, fleetsWith, minimalWith, threeFleets } from '../support/fleets.ts';
import { appOf, SynthesisedTemplate } from './template.ts';

const template = SynthesisedTemplate.of(threeFleets());

const group = (id: string) => template.the('AWS::AutoScaling::AutoScalingGroup', `${id}Fleet`);
const launchTemplate = (id: string) => template.the('AWS::EC2::LaunchTemplate', `${id}Fleet`);
const securityGroup = (id: string) => template.the('AWS::EC2::SecurityGroup', `${id}Fleet`);

describe.each(EACH_FLEET)('the instances of fleet $name', ({ id }) => {
  const data = launchTemplate(id).properties.LaunchTemplateData;

  it('give no credentials to forwarded requests: IMDSv2, one hop', () => {
    expect(data).toMatchObject({
      MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1 },
    });
  });

  it('can read their own tags, so that they can be recycled', () => {
    expect(data).toMatchObject({ MetadataOptions: { InstanceMetadataTags: 'enabled' } });
  });

  it('terminate when they power off', () => {
    expect(data).toMatchObject({
      InstanceInitiatedShutdownBehavior: 'terminate',
    });
  });

  it('have an encrypted gp3 volume of the set size and speed, which is deleted with them', () => {
    expect(Object(data).BlockDeviceMappings).toEqual([
      {
        DeviceName: '/dev/sda1',
        Ebs: {
          VolumeType: 'gp3',
          ...(id === 'LinuxLarge' ? { VolumeSize: 100, Iops: 4_000, Throughput: 500 } : { VolumeSize: 30 }),
          Encrypted: true,
          DeleteOnTermination: true,
        },
      },
    ]);
  });

  it('have a key only if the fleet sets one', () => {
    expect(Object(data).KeyName).toBe(id === 'LinuxLarge' ? 'ops-team' : undefined);
  });

  it('allow inbound SSH and SSH reruns only from the ranges that the fleet sets', () => {
    expect(securityGroup(id).properties.SecurityGroupIngress).toEqual(
      id === 'LinuxLarge'
        ? [
            { IpProtocol: 'tcp', FromPort: 22, ToPort: 22, CidrIp: '203.0.113.0/24', Description: 'SSH' },
            {
              IpProtocol: 'tcp',
              FromPort: 54_782,
              ToPort: 54_782,
              CidrIp: '198.51.100.0/24',
              Description: 'SSH reruns of CircleCI',
            },
          ]
        : [],
    );
    expect(template.all('AWS::EC2::SecurityGroupIngress')).toEqual([]);
    expect(data).toMatchObject({
      SecurityGroupIds: [`SecurityGroup(${id}FleetSecurityGroup).GroupId`],
    });
  });
});

describe('the image', () => {
  const ARM = { instanceTypes: '[m7g.large]' };
  const AMAZON = { image: 'amazon-linux' };
  const images = SynthesisedTemplate.of(
    fleetsWith({ ubuntu: {}, 'ubuntu-arm': ARM, amazon: AMAZON, 'amazon-arm': { ...ARM, ...AMAZON } }),
  );
  const canonical = '/aws/service/canonical/ubuntu/server/24.04/stable/current';
  const amazon = '/aws/service/ami-amazon-linux-latest';

  it.each([
    { name: 'ubuntu', image: `${canonical}/amd64/hvm/ebs-gp3/ami-id`, device: '/dev/sda1' },
    { name: 'ubuntu-arm', image: `${canonical}/arm64/hvm/ebs-gp3/ami-id`, device: '/dev/sda1' },
    { name: 'amazon', image: `${amazon}/al2023-ami-kernel-default-x86_64`, device: '/dev/xvda' },
    { name: 'amazon-arm', image: `${amazon}/al2023-ami-kernel-default-arm64`, device: '/dev/xvda' },
  ])('of $name is the current one for its architecture, with the volume as its root', (example) => {
    const { properties } = images.the('AWS::EC2::LaunchTemplate', `${logicalId(example.name)}Fleet`);
    expect(properties.LaunchTemplateData).toMatchObject({
      ImageId: `resolve:ssm:${example.image}`,
      BlockDeviceMappings: [{ DeviceName: example.device }],
    });
  });
});

describe('an image of your own', () => {
  const REQUIREMENTS = '{architecture: arm64, vCpus: {min: 2}, memoryGiB: {min: 4}}';
  const fleets = fleetsWith({
    own: { image: 'ami-0123456789abcdef0' },
    'own-volume': { image: 'ami-0123456789abcdef0', rootDevice: '/dev/xvda', rootVolumeSize: '50' },
    parameter: { image: '/acme/runner:3' },
    named: { image: 'ssm:runner' },
  });
  const required = fleetsOf(
    ['ubuntu', 'ssm:runner']
      .map(
        (image, index) =>
          `fleet${index}:\n  resourceClass: acme/fleet${index}\n  maxReplicas: 5\n  image: ${image}\n  instanceRequirements: ${REQUIREMENTS}\n`,
      )
      .join(''),
  );
  const images = SynthesisedTemplate.of([...fleets, ...required]);
  const data = (name: string) =>
    Object(images.the('AWS::EC2::LaunchTemplate', `${logicalId(name)}Fleet`).properties.LaunchTemplateData);

  it.each([
    { name: 'own', image: 'ami-0123456789abcdef0' },
    { name: 'parameter', image: 'resolve:ssm:/acme/runner:3' },
    { name: 'named', image: 'resolve:ssm:runner' },
  ])('of $name keeps the volume of the image', ({ name, image }) => {
    expect(data(name).ImageId).toBe(image);
    expect(data(name)).not.toHaveProperty('BlockDeviceMappings');
  });

  it('has an encrypted volume of the set size if rootDevice is set', () => {
    expect(data('own-volume').BlockDeviceMappings).toMatchObject([
      { DeviceName: '/dev/xvda', Ebs: { VolumeSize: 50, Encrypted: true } },
    ]);
  });

  it('is read from its parameter at the deployment with instanceRequirements', () => {
    const { stacks } = appOf(required);
    const parameters = stacks.fleets.flatMap((stack) =>
      Object.values(
        Template.fromStack(stack).findParameters('*', {
          Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>',
        }),
      ),
    );
    expect(parameters.map(({ Default }) => Default)).toEqual([
      '/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id',
      'runner',
    ]);
    for (const name of ['Fleet0', 'Fleet1']) expect(JSON.stringify(data(name))).not.toContain('resolve:ssm');
  });
});

describe('a warm pool', () => {
  const pools = SynthesisedTemplate.of(
    fleetsWith({
      none: {},
      five: { warmPool: '{size: 5}' },
      asleep: { warmPool: '{size: 2, state: hibernated}' },
      auto: { warmPool: '{size: auto}' },
      several: { warmPool: '{size: 5}', instanceTypes: '[m7i.large, m6i.large]' },
    }).concat(
      fleetsOf(
        'chosen:\n  resourceClass: acme/chosen\n  maxReplicas: 5\n  warmPool: {size: 5}\n  instanceRequirements: {architecture: arm64, vCpus: {min: 2}, memoryGiB: {min: 8}}\n',
      ),
    ),
  );

  it.each([
    { name: 'five', size: 5, state: 'Stopped' },
    { name: 'asleep', size: 2, state: 'Hibernated' },
    { name: 'auto', size: 0, state: 'Stopped' },
  ])(
    'of $name holds $size instances, whatever runs, and none that has run a job',
    ({ name, size, state }) => {
      expect(pools.the('AWS::AutoScaling::WarmPool', `${logicalId(name)}Fleet`).properties).toEqual({
        AutoScalingGroupName: `AutoScalingGroup(circleci-runners-${name})`,
        MinSize: size,
        MaxGroupPreparedCapacity: size,
        PoolState: state,
        InstanceReusePolicy: { ReuseOnScaleIn: false },
      });
    },
  );

  it('exists only for fleets that set it', () => {
    expect(pools.all('AWS::AutoScaling::WarmPool')).toHaveLength(5);
  });

  it('of several instance types has On-Demand instances only', () => {
    for (const name of ['several', 'chosen']) {
      const { properties } = pools.the('AWS::AutoScaling::AutoScalingGroup', `${logicalId(name)}Fleet`);
      const { InstancesDistribution } = Object(properties.MixedInstancesPolicy);
      expect(InstancesDistribution.OnDemandPercentageAboveBaseCapacity).toBe(100);
      expect(pools.the('AWS::AutoScaling::WarmPool', `${logicalId(name)}Fleet`)).toBeDefined();
    }
  });

  it('configures hibernation only if its state is hibernated', () => {
    const hibernation = ['None', 'Five', 'Asleep', 'Auto'].map((id) => {
      const { LaunchTemplateData } = pools.the('AWS::EC2::LaunchTemplate', `${id}Fleet`).properties;
      return Object(LaunchTemplateData).HibernationOptions;
    });
    expect(hibernation).toEqual([undefined, undefined, { Configured: true }, undefined]);
  });

  it('is deleted after the schedule, whose executions could create it again', () => {
    const schedule = pools
      .all('AWS::Scheduler::Schedule')
      .find(({ properties }) => properties.Name === 'circleci-runners-auto');
    expect(schedule?.attributes.DependsOn).toContain(pools.the('AWS::AutoScaling::WarmPool', 'AutoFleet').id);
  });
});

describe('the group', () => {
  it.each(EACH_FLEET)(
    'of $name has the bounds of the fleet and its schedules, and a capacity that a deployment does not touch',
    ({ id, name }) => {
      expect(group(id).properties).toMatchObject({
        AutoScalingGroupName: `circleci-runners-${name}`,
        MinSize: '0',
        MaxSize: { Arm: '20', LinuxLarge: '60', Owned: '3' }[id],
      });
      expect(group(id).properties).not.toHaveProperty('DesiredCapacity');
    },
  );

  it('is no larger than maxHourlyCost allows', () => {
    const limited = SynthesisedTemplate.of(fleetsOf(minimalWith('hourlyPrice: 0.5', 'maxHourlyCost: 3')));
    expect(limited.the('AWS::AutoScaling::AutoScalingGroup').properties.MaxSize).toBe('6');
  });

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

  const SEVERAL = { instanceTypes: '[m7i.2xlarge, m6i.2xlarge, m7a.2xlarge]' };
  const markets = SynthesisedTemplate.of(
    fleetsWith({
      several: SEVERAL,
      spot: { spot: '{}' },
      'several-spot': { ...SEVERAL, spot: '{percentage: 70, onDemandBase: 2}' },
    }),
  );

  it.each([
    {
      name: 'several',
      launches: 'several instance types on demand, in order of preference',
      types: ['m7i.2xlarge', 'm6i.2xlarge', 'm7a.2xlarge'],
      distribution: { OnDemandPercentageAboveBaseCapacity: 100 },
    },
    {
      name: 'spot',
      launches: 'one instance type as Spot capacity',
      types: ['m7i.large'],
      distribution: {
        OnDemandPercentageAboveBaseCapacity: 0,
        OnDemandBaseCapacity: 0,
        SpotAllocationStrategy: 'price-capacity-optimized',
      },
    },
    {
      name: 'several-spot',
      launches: '2 On-Demand instances first, then 30 % On-Demand, by order of preference',
      types: ['m7i.2xlarge', 'm6i.2xlarge', 'm7a.2xlarge'],
      distribution: {
        OnDemandPercentageAboveBaseCapacity: 30,
        OnDemandBaseCapacity: 2,
        SpotAllocationStrategy: 'price-capacity-optimized',
      },
    },
  ])('of $name launches $launches', ({ name, types, distribution }) => {
    const { properties } = markets.the('AWS::AutoScaling::AutoScalingGroup', `${logicalId(name)}Fleet`);
    expect(properties).not.toHaveProperty('LaunchTemplate');
    expect(properties.MixedInstancesPolicy).toEqual({
      InstancesDistribution: { OnDemandAllocationStrategy: 'prioritized', ...distribution },
      LaunchTemplate: {
        LaunchTemplateSpecification: newest(name),
        Overrides: types.map((InstanceType) => ({ InstanceType })),
      },
    });
  });

  it('with instanceRequirements launches the cheapest types that fit', () => {
    const fleets = fleetsOf(
      'any:\n  resourceClass: acme/any\n  maxReplicas: 5\n  spot: {}\n  instanceRequirements: {architecture: x86_64, vCpus: {min: 2, max: 4}, memoryGiB: {min: 8}, excluded: [r*]}\n',
    );
    const any = SynthesisedTemplate.of(fleets);
    const { properties } = any.the('AWS::AutoScaling::AutoScalingGroup', 'AnyFleet');
    expect(properties.MixedInstancesPolicy).toEqual({
      InstancesDistribution: {
        OnDemandAllocationStrategy: 'lowest-price',
        OnDemandPercentageAboveBaseCapacity: 0,
        OnDemandBaseCapacity: 0,
        SpotAllocationStrategy: 'price-capacity-optimized',
      },
      LaunchTemplate: {
        LaunchTemplateSpecification: newest('any'),
        Overrides: [
          {
            InstanceRequirements: {
              VCpuCount: { Min: 2, Max: 4 },
              MemoryMiB: { Min: 8_192 },
              CpuManufacturers: ['intel', 'amd'],
              InstanceGenerations: ['current'],
              BurstablePerformance: 'excluded',
              AcceleratorCount: { Max: 0 },
              ExcludedInstanceTypes: ['r*'],
            },
          },
        ],
      },
    });
    const template = any.the('AWS::EC2::LaunchTemplate', 'AnyFleet').properties.LaunchTemplateData;
    expect(template).not.toHaveProperty('InstanceType');
  });

  it('with Spot capacity replaces no instance at risk of an interruption, because a job may run on it', () => {
    for (const name of ['Spot', 'SeveralSpot']) {
      const { properties } = markets.the('AWS::AutoScaling::AutoScalingGroup', `${name}Fleet`);
      expect(properties.CapacityRebalance).toBe(false);
    }
  });

  it.each([
    { id: 'Arm', seconds: 600 },
    { id: 'LinuxLarge', seconds: 1_200 },
    { id: 'Owned', seconds: 600 },
  ])(
    'of $id gives an instance up that does not say within its boot timeout that its runner is up',
    ({ id, seconds }) => {
      expect(group(id).properties.LifecycleHookSpecificationList).toEqual([
        {
          LifecycleHookName: 'launch',
          LifecycleTransition: 'autoscaling:EC2_INSTANCE_LAUNCHING',
          HeartbeatTimeout: seconds,
          DefaultResult: 'ABANDON',
        },
      ]);
    },
  );

  it('gets settings without a CloudFormation property from a function', () => {
    const SETTINGS = 'Custom::circleci-runners-fleet';
    const set = template.all(SETTINGS).filter(({ properties }) => properties.Alarm === undefined);
    expect(set.map(({ properties }) => properties)).toEqual(
      EACH_FLEET.map(({ name }) => ({
        ServiceToken: 'arn:aws:lambda:eu-west-1:111122223333:function:circleci-runners-group-settings',
        GroupName: `circleci-runners-${name}`,
      })),
    );
    // So that a refused deletion leaves the fleet as it is, and the protection ends before the group does.
    for (const { id } of EACH_FLEET) {
      const { attributes } = template.the(SETTINGS, `${id}Settings`);
      const others = template.ofFleet(id).filter(({ type }) => type !== SETTINGS);
      // The first heartbeat is of the same type, and comes before an alarm of these.
      expect([attributes.DependsOn].flat().toSorted()).toEqual(others.map((other) => other.id).toSorted());
    }
  });
});

describe('the network', () => {
  it('default-vpc is the default VPC in each of its zones, without a look-up', () => {
    expect(group('Arm').properties).toMatchObject({ AvailabilityZones: { 'Fn::GetAZs': '' } });
    expect(group('Arm').properties).not.toHaveProperty('VPCZoneIdentifier');
    expect(securityGroup('Arm').properties).not.toHaveProperty('VpcId');
  });

  it('new-vpc is a VPC of public subnets with an internet gateway and no NAT gateway', () => {
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
      SecurityGroupEgress: [
        { IpProtocol: '-1', CidrIp: '0.0.0.0/0' },
        { IpProtocol: '-1', CidrIpv6: '::/0' },
      ],
    });
  });

  it('allows SSH from an IPv6 range as from an IPv4 range', () => {
    const dualStack = SynthesisedTemplate.of(fleetsWith({ dual: { sshCidr: '2001:db8::/48' } }));
    expect(dualStack.the('AWS::EC2::SecurityGroup').properties.SecurityGroupIngress).toEqual([
      { IpProtocol: 'tcp', FromPort: 22, ToPort: 22, CidrIpv6: '2001:db8::/48', Description: 'SSH' },
    ]);
  });

  it.each([
    { id: 'Arm', answers: undefined },
    { id: 'LinuxLarge', answers: undefined },
    { id: 'Owned', answers: 'enabled' },
  ])(
    'of $id has metadata by IPv6 only if its subnets may be without IPv4 addresses: $answers',
    ({ id, answers }) => {
      const { MetadataOptions } = Object(launchTemplate(id).properties.LaunchTemplateData);
      expect(MetadataOptions.HttpProtocolIpv6).toBe(answers);
    },
  );

  it('uses the security groups of the adopter instead of a new one', () => {
    const ids = ['sg-0123456789abcdef0', 'sg-0fedcba9876543210'];
    const network = `{vpcId: vpc-01234567, subnetIds: [subnet-01234567], securityGroupIds: [${ids}]}`;
    const own = SynthesisedTemplate.of(fleetsOf(minimalWith(`network: ${network}`)));
    expect(own.the('AWS::EC2::LaunchTemplate').properties.LaunchTemplateData).toMatchObject({
      SecurityGroupIds: ids,
    });
    expect(own.all('AWS::EC2::SecurityGroup')).toEqual([]);
  });
});

describe('the log of instances', () => {
  it('is a log group without metrics from its lines, with a retention of a month, for fleets that set logs', () => {
    const groups = template
      .all('AWS::Logs::LogGroup')
      .filter(({ properties }) => String(properties.LogGroupName).startsWith('/circleci-runners/'));
    expect(groups.map(({ properties, attributes }) => ({ ...properties, ...attributes }))).toEqual([
      expect.objectContaining({
        LogGroupName: '/circleci-runners/linux-large/instances',
        // CloudWatch makes no metrics of lines in the embedded metric format here, whatever a job with sudo writes.
        LogGroupClass: 'INFREQUENT_ACCESS',
        RetentionInDays: 30,
        DeletionPolicy: 'Delete',
      }),
    ]);
  });
});

describe('secrets', () => {
  it('are created without a value, and only if the fleet names none', () => {
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

  it('appear in no other part of the template', () => {
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
  ])('of $id are on all of its resources that can be tagged', ({ id, wanted }) => {
    const resources = template.resources.filter((resource) => resource.id.startsWith(`${id}Fleet`));
    const taggable = resources.filter(({ type }) => !UNTAGGABLE.includes(type));
    expect(taggable.length).toBeGreaterThan(3);
    for (const { properties } of taggable) {
      const tags = Tags.parse(properties.Tags).map(({ Key, Value }) => [Key, Value]);
      expect(Object.fromEntries(tags)).toMatchObject(wanted);
    }
  });

  it('are on instances and volumes', () => {
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

it('root volumes load their image at the rate that a fleet sets', () => {
  const fast = SynthesisedTemplate.of(fleetsWith({ fast: { rootVolume: '{initializationRate: 300}' } }));
  const { LaunchTemplateData } = fast.the('AWS::EC2::LaunchTemplate', 'FastFleet').properties;
  expect(Object(LaunchTemplateData).BlockDeviceMappings[0].Ebs).toMatchObject({
    VolumeSize: 30,
    VolumeInitializationRate: 300,
  });
});
