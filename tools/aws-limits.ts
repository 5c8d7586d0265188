/**
 * The limits of AWS that a setting of `fleets.yaml` can meet. docs/limits.md has them as a table, and
 * test/fleets/aws-limits.test.ts tries each one: the largest value is accepted, one more is refused by name.
 */

export interface AwsLimit {
  /** The settings that can meet it, by the first part of their path. */
  settings: string[];
  limit: string;
  source?: string;
}

export interface CheckedLimit extends AwsLimit {
  /** Settings of a fleet that meet the limit. */
  most: Record<string, unknown>;
  /** Settings of a fleet beyond it, which are refused. */
  over: Record<string, unknown>;
  /** Settings beside both. */
  beside?: Record<string, unknown>;
  /** Whether the settings are at the top of the file. Default: in a fleet. */
  atTop?: true;
}

export interface UncheckedLimit extends AwsLimit {
  /** Why no check of the file is possible or useful. */
  why: string;
}

const IAM_QUOTAS = 'https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html';
const EC2 = 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide';

const hex = (index: number) => index.toString(16).padStart(8, '0');
const many = <Value>(count: number, make: (index: number) => Value): Value[] =>
  Array.from({ length: count }, (_, index) => make(index));
const tags = (count: number) => Object.fromEntries(many(count, (index) => [`tag-${index}`, 'x']));
const types = (count: number) => many(count, (index) => `m${index + 1}i.large`);
const subnets = (count: number) => ({
  vpcId: 'vpc-00000001',
  subnetIds: many(count, (index) => `subnet-${hex(index)}`),
});
const securityGroups = (count: number) => ({
  vpcId: 'vpc-00000001',
  subnetIds: ['subnet-00000001'],
  securityGroupIds: many(count, (index) => `sg-${hex(index)}`),
});
const policy = (index: number) => `arn:aws:iam::111122223333:policy/policy-${hex(index)}`;
const objects = (count: number) => [
  {
    actions: ['s3:GetObject'],
    resources: many(count, (index) => `arn:aws:s3:::acme-artifacts/some/${hex(index)}/*`),
  },
];
const volume = (more: object) => ({ rootVolume: { size: 100, ...more } });
const requirements = (more: object) => ({
  instanceTypes: undefined,
  instanceRequirements: { architecture: 'arm64', vCpus: { min: 2 }, memoryGiB: { min: 4 }, ...more },
});

export const CHECKED: CheckedLimit[] = [
  {
    settings: ['roles'],
    limit: 'A role takes 10 managed policies, unless the quota of the account is raised',
    source: IAM_QUOTAS,
    most: { roles: { instance: many(10, policy) } },
    over: { roles: { instance: many(11, policy) } },
  },
  {
    settings: ['installPermissions'],
    limit: 'The policies of a role have at most 10,240 characters together; these may have 4,000 of them',
    source: IAM_QUOTAS,
    most: { installPermissions: objects(70) },
    over: { installPermissions: objects(90) },
  },
  {
    settings: ['instanceTypes'],
    limit: 'A group takes 40 instance types',
    source: 'https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LaunchTemplate.html',
    most: { instanceTypes: types(40) },
    over: { instanceTypes: types(41) },
  },
  {
    settings: ['instanceTypes'],
    limit: 'A group refuses an instance type that is there twice',
    most: { instanceTypes: ['m7i.large', 'm6i.large'] },
    over: { instanceTypes: ['m7i.large', 'm7i.large'] },
  },
  {
    settings: ['instanceRequirements'],
    limit: 'A request takes 400 excluded instance types, each of at most 30 characters',
    source: 'https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstanceRequirements.html',
    most: requirements({ excluded: many(400, (index) => `m${index}.*`) }),
    over: requirements({ excluded: many(401, (index) => `m${index}.*`) }),
  },
  {
    settings: ['network'],
    limit: 'The subnets of a group have at most 5,000 characters together, which are 200 subnets',
    source: 'https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html',
    most: { network: subnets(200) },
    over: { network: subnets(201) },
  },
  {
    settings: ['network'],
    limit: 'A network interface has at most 16 security groups',
    source: 'https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html',
    most: { network: securityGroups(16) },
    over: { network: securityGroups(17) },
  },
  {
    settings: ['tags'],
    limit: 'A resource has at most 50 tags; the deployment and AWS need up to 10',
    source: `${EC2}/Using_Tags.html`,
    most: { tags: tags(40) },
    over: { tags: tags(41) },
  },
  {
    settings: ['tags', 'image'],
    limit: 'EC2 Image Builder gives the machines on which it builds at most 30 tags',
    source:
      'https://docs.aws.amazon.com/imagebuilder/latest/APIReference/API_CreateInfrastructureConfiguration.html',
    beside: { image: { build: 'weekly' } },
    most: { tags: tags(30) },
    over: { tags: tags(31) },
  },
  {
    settings: ['image'],
    limit: 'EC2 Image Builder takes the names of days only, and days of the month or of the week, not both',
    source: 'https://docs.aws.amazon.com/imagebuilder/latest/userguide/cron-expressions.html',
    most: { image: { build: '0 3 * * SUN' } },
    over: { image: { build: '0 3 1 * SUN' } },
  },
  {
    settings: ['image'],
    limit: 'A lifecycle policy keeps at most 1,000 images; `image.keep` takes 50',
    source:
      'https://docs.aws.amazon.com/imagebuilder/latest/APIReference/API_LifecyclePolicyDetailFilter.html',
    most: { image: { build: 'weekly', keep: 50 } },
    over: { image: { build: 'weekly', keep: 51 } },
  },
  {
    settings: ['image'],
    limit: 'The name of a parameter has at most 1,011 characters, and a label 100',
    source: 'https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html',
    most: { image: `ssm:${'p'.repeat(1_011)}` },
    over: { image: `ssm:${'p'.repeat(1_012)}` },
  },
  {
    settings: ['tags'],
    limit: 'The value of a tag has at most 256 characters',
    source: `${EC2}/Using_Tags.html`,
    most: { tags: { team: 'x'.repeat(256) } },
    over: { tags: { team: 'x'.repeat(257) } },
  },
  {
    settings: ['tags'],
    limit: 'IAM takes no & in the value of a tag',
    source: 'https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html',
    most: { tags: { team: 'R+D' } },
    over: { tags: { team: 'R&D' } },
  },
  {
    settings: ['tags'],
    limit: 'IAM takes two tags that differ in case only for one',
    source: 'https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html',
    most: { tags: { Team: 'x', Owner: 'y' } },
    over: { tags: { Team: 'x', team: 'y' } },
  },
  {
    settings: ['tags'],
    limit: 'Tags that begin with aws: are reserved, and circleci-runners: are those of this project',
    source: `${EC2}/Using_Tags.html`,
    most: { tags: { 'circleci-runner': 'x' } },
    over: { tags: { 'circleci-runners:recycle': 'now' } },
  },
  {
    settings: ['rootVolume', 'rootVolumeSize'],
    limit: 'A gp3 volume has at most 65,536 GiB',
    source: 'https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html',
    most: { rootVolumeSize: 65_536 },
    over: { rootVolumeSize: 65_537 },
  },
  {
    settings: ['rootVolume'],
    limit: 'A gp3 volume has at most 80,000 IOPS',
    source: 'https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html',
    beside: {},
    most: volume({ size: 1_000, iops: 80_000 }),
    over: volume({ size: 1_000, iops: 80_001 }),
  },
  {
    settings: ['rootVolume'],
    limit: 'A gp3 volume has at most 2,000 MiB/s',
    source: 'https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html',
    most: volume({ size: 1_000, iops: 10_000, throughput: 2_000 }),
    over: volume({ size: 1_000, iops: 10_000, throughput: 2_001 }),
  },
  {
    settings: ['rootVolume'],
    limit: 'A volume loads its snapshot at 300 MiB/s at most',
    source: 'https://docs.aws.amazon.com/ebs/latest/userguide/initalize-volume.html',
    most: volume({ initializationRate: 300 }),
    over: volume({ initializationRate: 301 }),
  },
  {
    settings: ['keyPairName'],
    limit: 'The name of a key pair has at most 255 characters',
    source: 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateKeyPair.html',
    most: { keyPairName: 'k'.repeat(255) },
    over: { keyPairName: 'k'.repeat(256) },
  },
  {
    settings: ['scalerSecretName', 'runnerSecretName'],
    limit: 'The name of a secret has at most 512 characters',
    source: 'https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html',
    most: { scalerSecretName: 's'.repeat(512) },
    over: { scalerSecretName: 's'.repeat(513) },
  },
  {
    settings: ['alarmTopicArn'],
    limit: 'The name of a topic has at most 256 characters, and an alarm notifies no FIFO topic',
    source: 'https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html',
    most: { alarmTopicArn: `arn:aws:sns:eu-west-1:111122223333:${'t'.repeat(256)}` },
    over: { alarmTopicArn: 'arn:aws:sns:eu-west-1:111122223333:alarms.fifo' },
  },
  {
    settings: ['noProxy', 'httpProxy'],
    limit: 'User data have at most 16 KB',
    source: `${EC2}/instancedata-add-user-data.html`,
    beside: { httpProxy: 'http://proxy.example:3128' },
    most: { noProxy: ['a.example'] },
    over: { noProxy: many(101, (index) => `host-${index}`) },
  },
  {
    settings: ['starvingAfter'],
    limit: 'An alarm looks back at most a day; the setting takes 6 hours',
    source: 'https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html',
    most: { starvingAfter: '6h' },
    over: { starvingAfter: '25h' },
  },
  {
    settings: ['warmPool', 'spot'],
    limit: 'A group with Spot Instances has no warm pool',
    source: 'https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-warm-pools.html',
    most: { warmPool: { size: 2 } },
    over: { warmPool: { size: 2 }, spot: {} },
  },
  {
    settings: ['sshCidr', 'sshRerun'],
    limit: 'A VPC without IPv6 takes no IPv6 range',
    most: { network: 'new-vpc', sshCidr: '203.0.113.0/24' },
    over: { network: 'new-vpc', sshCidr: '2001:db8::/48' },
  },
  {
    settings: ['schedules'],
    limit:
      'An advanced parameter has at most 8 KB; beyond 20 schedules, or at the synthesis, a fleet is refused',
    source:
      'https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html',
    most: { schedules: many(20, schedule) },
    over: { schedules: many(21, schedule) },
  },
  {
    settings: ['scaler'],
    limit: 'A function has at most 16 subnets',
    source: 'https://docs.aws.amazon.com/lambda/latest/api/API_VpcConfig.html',
    most: { scaler: subnets(16) },
    over: { scaler: subnets(17) },
    atTop: true,
  },
  {
    settings: ['scaler'],
    limit: 'A function has at most 5 security groups',
    source: 'https://docs.aws.amazon.com/lambda/latest/api/API_VpcConfig.html',
    most: { scaler: securityGroups(5) },
    over: { scaler: securityGroups(6) },
    atTop: true,
  },
];

function schedule(index: number) {
  return {
    name: `schedule ${index}`,
    start: '0 8 * * *',
    end: '0 18 * * *',
    timezone: 'UTC',
    minReplicas: 1,
  };
}

export const UNCHECKED: UncheckedLimit[] = [
  {
    settings: ['scaler'],
    limit: 'An account has 500 network interfaces of functions in a VPC',
    source: 'https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html',
    why: 'the functions share one for each subnet, whatever the number of fleets',
  },
  {
    settings: ['maxReplicas', 'minReplicas', 'maxSurge', 'headroom', 'spareRunners', 'waitingCost'],
    limit: 'The vCPUs of an account, On-Demand and Spot',
    source: `${EC2}/ec2-on-demand-instances.html`,
    why: '`npm run doctor` compares it: each account has another quota',
  },
  {
    settings: ['network', 'maxReplicas'],
    limit: 'The free addresses of the subnets',
    why: 'they change with each launch: the breaker opens with the kind `addresses`',
  },
  {
    settings: ['network'],
    limit: 'An account has 5 VPCs and 5 Elastic IP addresses in a Region',
    source: 'https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html',
    why: 'the number that exists is known in the account only; CloudFormation refuses the next one, and that fleet alone fails',
  },
  {
    settings: ['network', 'zones'],
    limit: 'A zone may lack the instance type',
    why: '`npm run zones` and `npm run doctor` ask EC2',
  },
  {
    settings: ['instanceTypes', 'instanceRequirements', 'image', 'rootDevice', 'keyPairName'],
    limit: 'The type, the image or the key may not exist in the Region',
    why: '`npm run doctor` asks EC2 for the image; EC2 refuses the others at the first launch: the breaker opens with the kind `refused`',
  },
  {
    settings: ['image'],
    limit: 'The document of a component of EC2 Image Builder has at most 16,000 characters',
    source: 'https://docs.aws.amazon.com/imagebuilder/latest/APIReference/API_CreateComponent.html',
    why: 'it does not grow with your script, which the build downloads: a test compares the largest one',
  },
  {
    settings: ['image'],
    limit: 'The pipelines, recipes and images of EC2 Image Builder in an account',
    why: 'each fleet with `image.build` makes one pipeline; CloudFormation refuses one more, and that fleet alone fails',
  },
  {
    settings: ['spareRunners', 'warmPool'],
    limit: 'A standard parameter has at most 4 KB',
    source:
      'https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html',
    why: 'what a fleet has learned is cut to fit before it is written',
  },
  {
    settings: ['encryptionKey'],
    limit: 'The service-linked role may not use the key',
    why: 'the policy of the key is in the account: `npm run doctor` says what it must allow',
  },
  {
    settings: ['alarmTopicArn'],
    limit: 'An alarm notifies at most five topics',
    source: 'https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html',
    why: 'more alarms notify the others, so any number works',
  },
  {
    settings: ['roles'],
    limit: 'IAM attaches policies that exist, of AWS or of the account itself',
    source: 'https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachRolePolicy.html',
    why: 'it is known in the account only: `npm run doctor` compares the account and the partition, and CloudFormation refuses the stack of the fleet',
  },
  {
    settings: ['tags'],
    limit: 'A tag policy of your organization',
    why: 'it is known in the account only: CloudFormation refuses the stack',
  },
  {
    settings: ['alarmEmail'],
    limit: 'AWS sends mails only to an address that is confirmed',
    why: '`npm run doctor` says whether somebody is subscribed',
  },
  {
    settings: ['pollInterval', 'quietPollInterval', 'concurrency'],
    limit: 'The requests of an account, as above',
    why: 'all fleets and all other programs of the account share them',
  },
];

/** Settings that meet no limit of AWS, because they choose between a few values or are about CircleCI and time alone. */
export const WITHOUT_LIMIT = [
  'resourceClass',
  'otherRunners',
  'reuse',
  'breaker',
  'unsafeRetries',
  'maxHourlyCost',
  'hourlyPrice',
  'idleTimeout',
  'recycleAfter',
  'scaleDownDelay',
  'maxRunTime',
  'bootTimeout',
  'circleciUrl',
  'runner',
  'workingDirectory',
  'docker',
  'install',
  'caCertificates',
  'sessionManager',
  'allowInstanceMetadata',
  'logs',
  'reconcile',
];
