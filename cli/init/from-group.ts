import type { AutoScalingGroup, LaunchConfiguration } from '@aws-sdk/client-auto-scaling';
import type { Image, InstanceRequirements, ResponseLaunchTemplateData } from '@aws-sdk/client-ec2';
import { architectureOf } from '../../fleets/settings/instance.ts';
import { faultOfAnswer } from './options.ts';
import type { WrittenFleet } from './written.ts';

/** An existing group as AWS describes it. */
export interface DescribedGroup {
  group: AutoScalingGroup;
  template: ResponseLaunchTemplateData;
  /** The VPC of its subnets; `undefined` if it has none. */
  vpcId: string | undefined;
  /** Its image; `undefined` if the template names a parameter, or if it is not to be seen. */
  image: Image | undefined;
}

/** Something of the group that `fleets.yaml` does not get. */
export interface LeftOut {
  what: string;
  why: string;
}

/** What a fleet gets from an existing group. */
export interface CarriedOver {
  group: string;
  fleet: Partial<WrittenFleet>;
  leftOut: LeftOut[];
}

/** The settings of a fleet that launches what this group launches, and what is left out and why. Pure. */
export function carriedOver(described: DescribedGroup): CarriedOver {
  const { group } = described;
  const leftOut: LeftOut[] = [];
  const leaveOut = (what: string, why: string) => leftOut.push({ what, why });
  const wanted: Partial<WrittenFleet> = {
    ...typesOf(described, leaveOut),
    ...spotOf(described, leaveOut),
    ...sizeOf(group, leaveOut),
    ...networkOf(described, leaveOut),
    ...imageOf(described, leaveOut),
    ...(described.template.KeyName !== undefined && { keyPairName: described.template.KeyName }),
    ...tagsOf(described, leaveOut),
  };
  for (const [field, why] of Object.entries(NOT_OF_TEMPLATE))
    if (isSet(described.template[field as keyof ResponseLaunchTemplateData])) leaveOut(field, why);
  for (const [field, why] of Object.entries(NOT_OF_GROUP))
    if (isSet(group[field as keyof AutoScalingGroup])) leaveOut(field, why);
  const others = Object.entries(described.template).filter(
    ([field, value]) => isSet(value) && !READ.has(field) && !(field in NOT_OF_TEMPLATE),
  );
  for (const [field] of others) leaveOut(field, 'fleets.yaml has no setting for it');
  const fleet = Object.fromEntries(
    Object.entries(wanted).filter(([setting, value]) => {
      const fault = faultOfAnswer(setting as keyof WrittenFleet, value);
      if (fault !== undefined) leaveOut(setting, `it ${fault}`);
      return fault === undefined;
    }),
  );
  return { group: group.AutoScalingGroupName ?? '', fleet, leftOut };
}

type LeaveOut = (what: string, why: string) => void;

const isSet = (value: unknown) =>
  value !== undefined && value !== '' && value !== false && !(Array.isArray(value) && value.length === 0);

/** Fields of a template that are read, or that every fleet has in its own way. */
const READ = new Set([
  'ImageId',
  'InstanceType',
  'InstanceRequirements',
  'InstanceMarketOptions',
  'KeyName',
  'SecurityGroupIds',
  'SecurityGroups',
  'NetworkInterfaces',
  'BlockDeviceMappings',
  'TagSpecifications',
  // The stack sets these four itself.
  'MetadataOptions',
  'EbsOptimized',
  'Monitoring',
  'InstanceInitiatedShutdownBehavior',
]);

const NOT_OF_TEMPLATE: Record<string, string> = {
  UserData:
    'the boot of this project installs and starts the runner. Put what your jobs need into a script, and set install. It is not shown here, because it may have the token of the resource class',
  IamInstanceProfile:
    'each fleet has a role of its own, which jobs cannot use. OpenID Connect tokens of CircleCI give permissions to jobs',
};

const NOT_OF_GROUP: Record<string, string> = {
  TargetGroupARNs: 'runners accept no connections',
  LoadBalancerNames: 'runners accept no connections',
  MaxInstanceLifetime: 'instances leave after their job; npm run recycle replaces the others',
  PlacementGroup: 'fleets.yaml has no setting for it',
  WarmPoolConfiguration: 'its instances would boot in another way: set warmPool, for example { size: auto }',
};

function typesOf({ group, template, image }: DescribedGroup, leaveOut: LeaveOut): Partial<WrittenFleet> {
  const overrides = group.MixedInstancesPolicy?.LaunchTemplate?.Overrides ?? [];
  if (overrides.some(({ WeightedCapacity }) => WeightedCapacity !== undefined))
    leaveOut('WeightedCapacity', 'each instance runs one job at a time, so each counts once');
  if (overrides.some(({ LaunchTemplateSpecification }) => LaunchTemplateSpecification !== undefined))
    leaveOut('the launch templates of single types', 'a fleet has one image. Make a fleet for each');
  const [requirements] = overrides.flatMap(({ InstanceRequirements: each }) => each ?? []);
  const attributes = (requirements ?? template.InstanceRequirements) as InstanceRequirements | undefined;
  const named = overrides.flatMap(({ InstanceType }) => InstanceType ?? []);
  const types = [...new Set(named.length > 0 ? named : [template.InstanceType ?? []].flat())];
  if (attributes !== undefined) return requirementsOf(attributes, image, leaveOut);
  const [first] = types;
  if (first === undefined) return {};
  const instanceTypes = types.filter((type) => architectureOf(type) === architectureOf(first));
  const others = types.filter((type) => !instanceTypes.includes(type));
  if (others.length > 0)
    leaveOut(
      others.join(', '),
      `a fleet has one architecture, here that of ${first}. Make another fleet for them`,
    );
  return { instanceTypes };
}

const GIB = 1_024;

function requirementsOf(
  {
    VCpuCount,
    MemoryMiB,
    BurstablePerformance,
    ExcludedInstanceTypes,
    CpuManufacturers = [],
    ...others
  }: InstanceRequirements,
  image: Image | undefined,
  leaveOut: LeaveOut,
): Partial<WrittenFleet> {
  const isArm = image?.Architecture === 'arm64' || CpuManufacturers.join() === 'amazon-web-services';
  for (const [field, value] of Object.entries(others))
    if (isSet(value)) leaveOut(`InstanceRequirements.${field}`, 'instanceRequirements has no such attribute');
  const range = (least = 0, most: number | undefined, round: (value: number) => number) => ({
    min: Math.max(round(least), 1),
    ...(most !== undefined && { max: Math.max(Math.floor(most), 1) }),
  });
  return {
    instanceRequirements: {
      architecture: isArm ? 'arm64' : 'x86_64',
      vCpus: range(VCpuCount?.Min, VCpuCount?.Max, Math.ceil),
      memoryGiB: range((MemoryMiB?.Min ?? 0) / GIB, MemoryMiB?.Max && MemoryMiB.Max / GIB, Math.ceil),
      ...(BurstablePerformance !== undefined && BurstablePerformance !== 'excluded' && { burstable: true }),
      ...(ExcludedInstanceTypes !== undefined &&
        ExcludedInstanceTypes.length > 0 && { excluded: ExcludedInstanceTypes }),
    },
  };
}

function spotOf({ group, template }: DescribedGroup, leaveOut: LeaveOut): Partial<WrittenFleet> {
  const distribution = group.MixedInstancesPolicy?.InstancesDistribution;
  const market = template.InstanceMarketOptions;
  const price = distribution?.SpotMaxPrice ?? market?.SpotOptions?.MaxPrice;
  if (isSet(price))
    leaveOut(`the maximum Spot price (${price})`, 'AWS advises against one; maxHourlyCost limits the cost');
  if (market?.MarketType === 'spot') return { spot: {} };
  const percentage = 100 - (distribution?.OnDemandPercentageAboveBaseCapacity ?? 100);
  if (percentage === 0) return {};
  const onDemandBase = distribution?.OnDemandBaseCapacity ?? 0;
  return { spot: { ...(percentage < 100 && { percentage }), ...(onDemandBase > 0 && { onDemandBase }) } };
}

function sizeOf({ MinSize = 0, MaxSize = 0 }: AutoScalingGroup, leaveOut: LeaveOut): Partial<WrittenFleet> {
  if (MinSize > 0)
    leaveOut(
      `the minimum size (${MinSize})`,
      'minReplicas is another thing: idle runners that are kept beside the busy ones. Set it if you want some',
    );
  return MaxSize > 0 ? { maxReplicas: MaxSize } : {};
}

function networkOf({ group, template, vpcId }: DescribedGroup, leaveOut: LeaveOut): Partial<WrittenFleet> {
  const [card] = template.NetworkInterfaces ?? [];
  const securityGroupIds = [...(template.SecurityGroupIds ?? []), ...(card?.Groups ?? [])];
  const subnetIds = (group.VPCZoneIdentifier ?? '').split(',').filter((id) => id !== '');
  if (isSet(template.SecurityGroups))
    leaveOut('security groups by name', 'set their ids as securityGroupIds of network');
  if (subnetIds.length > 0 && vpcId !== undefined)
    return { network: { vpcId, subnetIds, ...(securityGroupIds.length > 0 && { securityGroupIds }) } };
  if (securityGroupIds.length > 0)
    leaveOut(
      securityGroupIds.join(', '),
      'the group names no subnets, so the fleet gets a security group of its own',
    );
  const zones = group.AvailabilityZones ?? [];
  return zones.length > 0 ? { zones } : {};
}

/** Canonical: https://documentation.ubuntu.com/aws/aws-how-to/instances/find-ubuntu-images/ */
const CANONICAL = '099720109477';

const STOCK: readonly { image: string; isIt: RegExp; says?: string; fleet: Partial<WrittenFleet> }[] = [
  {
    image: 'Ubuntu 24.04',
    isIt: /ubuntu-noble-24\.04|canonical\/ubuntu\/server\/(24\.04|noble)\//,
    fleet: {},
  },
  {
    image: 'an older Ubuntu',
    isIt: /ubuntu-(bionic|focal|jammy)|canonical\/ubuntu\/server\/(18\.04|20\.04|22\.04|bionic|focal|jammy)\//,
    says: 'its curl is too old for the boot: the fleet gets Ubuntu 24.04',
    fleet: {},
  },
  {
    image: 'Amazon Linux 2023',
    isIt: /^al2023-ami-2023|ami-amazon-linux-latest\/al2023-/,
    fleet: { image: 'amazon-linux' },
  },
  {
    image: 'Amazon Linux 2',
    isIt: /^amzn2-ami|ami-amazon-linux-latest\/amzn2-/,
    says: 'the boot does not support it: the fleet gets Amazon Linux 2023',
    fleet: { image: 'amazon-linux' },
  },
];

function imageOf({ template, image }: DescribedGroup, leaveOut: LeaveOut): Partial<WrittenFleet> {
  const { ImageId = '' } = template;
  const parameter = /^resolve:ssm:(.+)$/.exec(ImageId)?.[1];
  const isMakers = image === undefined || image.OwnerId === CANONICAL || image.ImageOwnerAlias === 'amazon';
  const name = parameter ?? image?.Name ?? '';
  const stock = isMakers ? STOCK.find(({ isIt }) => isIt.test(name)) : undefined;
  if (stock?.says !== undefined) leaveOut(`the image ${ImageId}, ${stock.image}`, stock.says);
  const device = image?.RootDeviceName;
  const volume = volumeOf(template, device, leaveOut);
  if (stock !== undefined || ImageId === '')
    return { ...stock?.fleet, ...(volume && { rootVolume: volume.size }) };
  const own = parameter === undefined ? ImageId : parameter.startsWith('/') ? parameter : `ssm:${parameter}`;
  const root = device ?? volume?.device;
  return {
    image: own,
    ...(root !== undefined && { rootDevice: root }),
    ...(volume !== undefined && root !== undefined && { rootVolume: volume.size }),
  };
}

const ROOT_DEVICES = ['/dev/sda1', '/dev/xvda'];

/** @param root The root device of the image, if it is known. */
function volumeOf(
  { BlockDeviceMappings = [] }: ResponseLaunchTemplateData,
  root: string | undefined,
  leaveOut: LeaveOut,
): { device: string; size: NonNullable<WrittenFleet['rootVolume']> } | undefined {
  const isRoot = ({ DeviceName = '' }) =>
    root === undefined ? ROOT_DEVICES.includes(DeviceName) : DeviceName === root;
  for (const { DeviceName = '' } of BlockDeviceMappings.filter((each) => !isRoot(each)))
    leaveOut(`the volume ${DeviceName}`, 'a fleet has one volume, the root volume');
  const mapping = BlockDeviceMappings.find(isRoot);
  if (mapping?.Ebs === undefined) return undefined;
  const {
    VolumeSize,
    VolumeType = 'gp3',
    Iops,
    Throughput,
    VolumeInitializationRate,
    KmsKeyId,
  } = mapping.Ebs;
  if (isSet(KmsKeyId))
    leaveOut(`the key of the root volume (${KmsKeyId})`, 'set encryptionKey, for all fleets');
  const isGp3 = VolumeType === 'gp3';
  if (!isGp3) leaveOut(`the volume type ${VolumeType}`, 'root volumes are gp3');
  const size = {
    ...(VolumeSize !== undefined && { size: VolumeSize }),
    ...(isGp3 && Iops !== undefined && Iops !== 3_000 && { iops: Iops }),
    ...(isGp3 && Throughput !== undefined && Throughput !== 125 && { throughput: Throughput }),
    ...(VolumeInitializationRate !== undefined && { initializationRate: VolumeInitializationRate }),
  };
  return Object.keys(size).length > 0 ? { device: mapping.DeviceName ?? '', size } : undefined;
}

function tagsOf({ group, template }: DescribedGroup, leaveOut: LeaveOut): Partial<WrittenFleet> {
  const ofInstances = (template.TagSpecifications ?? []).filter(
    ({ ResourceType }) => ResourceType === 'instance',
  );
  const all = [...(group.Tags ?? []), ...ofInstances.flatMap(({ Tags = [] }) => Tags)];
  const tags: Record<string, string> = {};
  for (const { Key = '', Value = '' } of all) {
    if (Key.startsWith('aws:')) continue;
    if (Key === 'Name') leaveOut('the tag Name', 'the stack names its instances itself');
    else {
      const fault = faultOfAnswer('tags', { [Key]: Value });
      if (fault === undefined) tags[Key] = Value;
      else leaveOut(`the tag ${Key}`, `it ${fault}`);
    }
  }
  return Object.keys(tags).length > 0 ? { tags } : {};
}

/** A launch configuration, which old groups have, as a launch template would say it. */
export function templateOf(configuration: LaunchConfiguration): ResponseLaunchTemplateData {
  const { ImageId, InstanceType, KeyName, SecurityGroups, UserData, IamInstanceProfile, SpotPrice } =
    configuration;
  const devices = configuration.BlockDeviceMappings?.filter(({ Ebs }) => Ebs !== undefined) ?? [];
  return {
    ImageId,
    InstanceType: InstanceType as ResponseLaunchTemplateData['InstanceType'],
    ...(isSet(KeyName) && { KeyName }),
    SecurityGroupIds: SecurityGroups,
    UserData,
    BlockDeviceMappings: devices.map(({ DeviceName, Ebs = {} }) => ({
      DeviceName,
      Ebs: {
        VolumeSize: Ebs.VolumeSize,
        VolumeType: Ebs.VolumeType as 'gp3' | undefined,
        Iops: Ebs.Iops,
        Throughput: Ebs.Throughput,
      },
    })),
    ...(isSet(IamInstanceProfile) && { IamInstanceProfile: { Name: IamInstanceProfile } }),
    ...(isSet(SpotPrice) && {
      InstanceMarketOptions: { MarketType: 'spot', SpotOptions: { MaxPrice: SpotPrice } },
    }),
  };
}
