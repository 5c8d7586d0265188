import type { AutoScalingGroup } from '@aws-sdk/client-auto-scaling';
import type { Image, ResponseLaunchTemplateData } from '@aws-sdk/client-ec2';
import { describe, expect, it } from 'vitest';
import { carriedOver, templateOf } from '../../cli/init/from-group.ts';
import { fleetsText, type WrittenFleet } from '../../cli/init/written.ts';
import { loadFleetsText } from '../../fleets/load.ts';

/** A group as CircleCI's tutorial makes it. */
const GROUP = {
  AutoScalingGroupName: 'circleci-runners',
  MinSize: 0,
  MaxSize: 8,
  DesiredCapacity: 2,
  DefaultCooldown: 300,
  AvailabilityZones: ['eu-west-1a', 'eu-west-1b'],
  VPCZoneIdentifier: 'subnet-0000000a,subnet-0000000b',
  HealthCheckType: 'EC2',
} satisfies Partial<AutoScalingGroup>;

const TEMPLATE: ResponseLaunchTemplateData = {
  ImageId: 'ami-0000000a',
  InstanceType: 'm6i.large',
  SecurityGroupIds: ['sg-0000000a'],
};

const UBUNTU: Image = {
  Name: 'ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260101',
  OwnerId: '099720109477',
  RootDeviceName: '/dev/sda1',
};

interface Given {
  group?: Partial<AutoScalingGroup>;
  template?: ResponseLaunchTemplateData;
  image?: Image | undefined;
  vpcId?: string | undefined;
}

/** What a fleet gets. It must load together with a resource class. */
function from({ group = {}, template = {}, ...others }: Given = {}) {
  const carried = carriedOver({
    group: { ...GROUP, ...group } as AutoScalingGroup,
    template: { ...TEMPLATE, ...template },
    vpcId: 'vpc-0000000a',
    image: UBUNTU,
    ...others,
  });
  const whole = { maxReplicas: 1, resourceClass: 'acme/linux', ...carried.fleet } as WrittenFleet;
  if (whole.instanceTypes ?? whole.instanceRequirements)
    expect(loadFleetsText(fleetsText('linux', whole, './s.json'), 'fleets.yaml')).toHaveLength(1);
  return carried;
}

const NETWORK = { vpcId: 'vpc-0000000a', subnetIds: ['subnet-0000000a', 'subnet-0000000b'] };
const BARE = {
  instanceTypes: ['m6i.large'],
  maxReplicas: 8,
  network: { ...NETWORK, securityGroupIds: ['sg-0000000a'] },
};

describe('a fleet from an existing group', () => {
  it('launches the same in the same network', () => {
    expect(from()).toEqual({ group: 'circleci-runners', fleet: BARE, leftOut: [] });
  });

  const policy = (more: object, ...overrides: object[]) => ({
    MixedInstancesPolicy: {
      LaunchTemplate: { Overrides: overrides },
      ...more,
    },
  });
  const spot = (InstancesDistribution: object) => policy({ InstancesDistribution });

  it.each<{ case: string; given: Given; gets: Partial<WrittenFleet> }>([
    {
      case: 'the types of its policy, each once',
      given: {
        group: policy(
          {},
          { InstanceType: 'm7i.large' },
          { InstanceType: 'm6i.large' },
          { InstanceType: 'm7i.large' },
        ),
      },
      gets: { instanceTypes: ['m7i.large', 'm6i.large'] },
    },
    {
      case: 'Spot above a base',
      given: { group: spot({ OnDemandBaseCapacity: 2, OnDemandPercentageAboveBaseCapacity: 20 }) },
      gets: { spot: { percentage: 80, onDemandBase: 2 } },
    },
    {
      case: 'Spot only',
      given: { group: spot({ OnDemandPercentageAboveBaseCapacity: 0 }) },
      gets: { spot: {} },
    },
    {
      case: 'Spot of its template',
      given: { template: { InstanceMarketOptions: { MarketType: 'spot' } } },
      gets: { spot: {} },
    },
    { case: 'its key', given: { template: { KeyName: 'operators' } }, gets: { keyPairName: 'operators' } },
    {
      case: 'its volume',
      given: {
        template: {
          BlockDeviceMappings: [
            {
              DeviceName: '/dev/sda1',
              Ebs: { VolumeSize: 100, VolumeType: 'gp3', Iops: 4_000, Throughput: 500 },
            },
          ],
        },
      },
      gets: { rootVolume: { size: 100, iops: 4_000, throughput: 500 } },
    },
    {
      case: 'no iops and throughput of the baseline',
      given: {
        template: {
          BlockDeviceMappings: [
            { DeviceName: '/dev/sda1', Ebs: { VolumeSize: 50, Iops: 3_000, Throughput: 125 } },
          ],
        },
      },
      gets: { rootVolume: { size: 50 } },
    },
    {
      case: 'an image of its own, with its root device',
      given: {
        image: { Name: 'ours', OwnerId: '111122223333', RootDeviceName: '/dev/xvda' },
        template: { BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { VolumeSize: 80 } }] },
      },
      gets: { image: 'ami-0000000a', rootDevice: '/dev/xvda', rootVolume: { size: 80 } },
    },
    {
      case: 'an image that somebody else calls Ubuntu',
      given: { image: { ...UBUNTU, OwnerId: '111122223333' } },
      gets: { image: 'ami-0000000a', rootDevice: '/dev/sda1' },
    },
    {
      case: 'Amazon Linux 2023',
      given: { image: { Name: 'al2023-ami-2023.9.20260101.0-kernel-6.1-x86_64', ImageOwnerAlias: 'amazon' } },
      gets: { image: 'amazon-linux' },
    },
    {
      case: 'the parameter of an image',
      given: { template: { ImageId: 'resolve:ssm:/acme/runner' }, image: undefined },
      gets: { image: '/acme/runner' },
    },
    {
      case: 'a parameter that is no path',
      given: { template: { ImageId: 'resolve:ssm:runner:3' }, image: undefined },
      gets: { image: 'ssm:runner:3' },
    },
    {
      case: 'the parameter of Canonical',
      given: {
        template: {
          ImageId:
            'resolve:ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id',
        },
        image: undefined,
      },
      gets: {},
    },
    {
      case: 'its tags, those of its instances included',
      given: {
        group: {
          Tags: [
            { Key: 'team', Value: 'ci' },
            { Key: 'aws:cloudformation:stack-name', Value: 'x' },
          ],
        },
        template: {
          TagSpecifications: [
            { ResourceType: 'instance', Tags: [{ Key: 'cost', Value: '4711' }] },
            { ResourceType: 'volume', Tags: [{ Key: 'other', Value: 'x' }] },
          ],
        },
      },
      gets: { tags: { team: 'ci', cost: '4711' } },
    },
    {
      case: 'the security groups of a network interface',
      given: { template: { SecurityGroupIds: [], NetworkInterfaces: [{ Groups: ['sg-0000000b'] }] } },
      gets: { network: { ...NETWORK, securityGroupIds: ['sg-0000000b'] } },
    },
    {
      case: 'a security group of the stack if it names none',
      given: { template: { SecurityGroupIds: [] } },
      gets: { network: NETWORK },
    },
  ])('gets $case', ({ given, gets }) => {
    const { fleet, leftOut } = from(given);
    expect(fleet).toEqual({ ...BARE, ...gets });
    expect(leftOut).toEqual([]);
  });

  it('gets the attributes of its types', () => {
    const InstanceRequirements = {
      VCpuCount: { Min: 2, Max: 8 },
      MemoryMiB: { Min: 4_096, Max: 16_384 },
      BurstablePerformance: 'included',
      ExcludedInstanceTypes: ['r*'],
      CpuManufacturers: ['amazon-web-services'],
      LocalStorage: 'required',
    };
    const { fleet, leftOut } = from({ group: policy({}, { InstanceRequirements }) });
    expect(fleet).not.toHaveProperty('instanceTypes');
    expect(fleet.instanceRequirements).toEqual({
      architecture: 'arm64',
      vCpus: { min: 2, max: 8 },
      memoryGiB: { min: 4, max: 16 },
      burstable: true,
      excluded: ['r*'],
    });
    expect(leftOut.map(({ what }) => what)).toEqual(['InstanceRequirements.LocalStorage']);
  });

  it('gets zones if the group names no subnets', () => {
    const { fleet, leftOut } = from({ group: { VPCZoneIdentifier: '' }, vpcId: undefined });
    expect(fleet).toEqual({
      instanceTypes: ['m6i.large'],
      maxReplicas: 8,
      zones: ['eu-west-1a', 'eu-west-1b'],
    });
    expect(leftOut.map(({ what }) => what)).toEqual(['sg-0000000a']);
  });

  it('gets what a launch configuration says', () => {
    const template = templateOf({
      LaunchConfigurationName: 'old',
      CreatedTime: new Date(0),
      ImageId: 'ami-0000000a',
      InstanceType: 'm5.large',
      KeyName: '',
      SecurityGroups: ['sg-0000000a'],
      UserData: 'IyE=',
      SpotPrice: '0.05',
      BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { VolumeSize: 40, VolumeType: 'gp2' } }],
    });
    const { fleet, leftOut } = from({ template });
    expect(fleet).toEqual({ ...BARE, instanceTypes: ['m5.large'], spot: {}, rootVolume: { size: 40 } });
    expect(leftOut.map(({ what }) => what)).toEqual([
      'the maximum Spot price (0.05)',
      'the volume type gp2',
      'UserData',
    ]);
  });

  it.each<{ what: RegExp; why: RegExp; given: Given }>([
    { what: /^UserData$/, why: /set install/, given: { template: { UserData: 'c2VjcmV0LXRva2Vu' } } },
    {
      what: /^IamInstanceProfile$/,
      why: /OpenID/,
      given: { template: { IamInstanceProfile: { Name: 'jobs' } } },
    },
    { what: /^the minimum size \(2\)$/, why: /minReplicas/, given: { group: { MinSize: 2 } } },
    { what: /^TargetGroupARNs$/, why: /connections/, given: { group: { TargetGroupARNs: ['arn'] } } },
    {
      what: /^WarmPoolConfiguration$/,
      why: /warmPool/,
      given: { group: { WarmPoolConfiguration: { MinSize: 2 } } },
    },
    {
      what: /^CapacityReservationSpecification$/,
      why: /no setting/,
      given: { template: { CapacityReservationSpecification: {} } },
    },
    {
      what: /^the tag Name$/,
      why: /names its instances/,
      given: { group: { Tags: [{ Key: 'Name', Value: 'x' }] } },
    },
    { what: /^the tag a b$/, why: /it must/, given: { group: { Tags: [{ Key: 'a b', Value: 'x' }] } } },
    {
      what: /^m7g\.large$/,
      why: /architecture/,
      given: { group: policy({}, { InstanceType: 'm6i.large' }, { InstanceType: 'm7g.large' }) },
    },
    {
      what: /^WeightedCapacity$/,
      why: /counts once/,
      given: { group: policy({}, { InstanceType: 'm6i.large', WeightedCapacity: '2' }) },
    },
    {
      what: /^the volume \/dev\/sdf$/,
      why: /one volume/,
      given: { template: { BlockDeviceMappings: [{ DeviceName: '/dev/sdf', Ebs: { VolumeSize: 9 } }] } },
    },
    {
      what: /22\.04|older Ubuntu/,
      why: /24\.04/,
      given: { image: { ...UBUNTU, Name: 'ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-2024' } },
    },
    {
      what: /Amazon Linux 2$/,
      why: /2023/,
      given: { image: { Name: 'amzn2-ami-hvm-2.0', ImageOwnerAlias: 'amazon' } },
    },
    {
      what: /^rootVolume$/,
      why: /from 8 to/,
      given: { template: { BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { VolumeSize: 4 } }] } },
    },
  ])('leaves out $what, and says why', ({ what, why, given }) => {
    const { leftOut } = from(given);
    expect(leftOut).toEqual([{ what: expect.stringMatching(what), why: expect.stringMatching(why) }]);
    expect(JSON.stringify(leftOut)).not.toContain('c2VjcmV0LXRva2Vu');
  });
});
