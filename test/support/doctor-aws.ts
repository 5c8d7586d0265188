import { type Answer, type Asked, ec2Xml, json, resultXml } from './aws-stand-in.ts';
import { OperatorAws } from './operator-aws.ts';

const ACCOUNT = '111122223333';

/** An image that fleets.yaml names, and one that EC2 Image Builder has made. */
const IMAGE = 'ami-01234567';
const BUILT_IMAGE = 'ami-89abcdef';

const BUILD = `arn:aws:imagebuilder:eu-west-1:${ACCOUNT}:image/circleci-runners-linux/1.0.7/3`;

/** The answers of an account in which nothing is wrong, by operation. */
const HEALTHY: Record<string, (operation: string, asked: Asked) => Answer> = {
  GetCallerIdentity: (operation) =>
    resultXml(operation, `<Account>${ACCOUNT}</Account><Arn>arn:aws:iam::${ACCOUNT}:user/ann</Arn>`),
  AssumeRole: (operation) =>
    resultXml(
      operation,
      '<Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2036-01-01T00:00:00Z</Expiration></Credentials>',
    ),
  GetParameter: () => json({ Parameter: { Value: '28' } }),
  GetServiceQuota: (_, { ServiceCode }) => json({ Quota: { Value: ServiceCode === 'ebs' ? 50 : 64 } }),
  DescribeAccountLimits: (operation) =>
    resultXml(
      operation,
      '<MaxNumberOfAutoScalingGroups>500</MaxNumberOfAutoScalingGroups><NumberOfAutoScalingGroups>4</NumberOfAutoScalingGroups>',
    ),
  'GET /2016-08-19/account-settings': () => json({ AccountLimit: { UnreservedConcurrentExecutions: 1_000 } }),
  GetEbsEncryptionByDefault: (operation) =>
    ec2Xml(operation, '<ebsEncryptionByDefault>true</ebsEncryptionByDefault>'),
  GetEbsDefaultKmsKeyId: (operation) => ec2Xml(operation, '<kmsKeyId>alias/aws/ebs</kmsKeyId>'),
  DescribeVpcs: (operation) =>
    ec2Xml(operation, '<vpcSet><item><vpcId>vpc-1</vpcId><isDefault>true</isDefault></item></vpcSet>'),
  DescribeSubnets: (operation) =>
    ec2Xml(
      operation,
      `<subnetSet>${['1', '2'].map((id) => `<item><subnetId>subnet-0000000${id}</subnetId><vpcId>vpc-00000001</vpcId><availabilityZoneId>euw1-az${id}</availabilityZoneId></item>`).join('')}</subnetSet>`,
    ),
  DescribeSecurityGroups: (operation) =>
    ec2Xml(
      operation,
      '<securityGroupInfo><item><groupId>sg-00000001</groupId><vpcId>vpc-00000001</vpcId></item></securityGroupInfo>',
    ),
  DescribeRouteTables: (operation) => ec2Xml(operation, '<routeTableSet/>'),
  DescribeVpcEndpoints: (operation) =>
    ec2Xml(
      operation,
      `<vpcEndpointSet>${['autoscaling', 'ec2', 'secretsmanager', 'ssm'].map((service) => `<item><serviceName>com.amazonaws.eu-west-1.${service}</serviceName><state>available</state><privateDnsEnabled>true</privateDnsEnabled></item>`).join('')}</vpcEndpointSet>`,
    ),
  DescribeAvailabilityZones: (operation) =>
    ec2Xml(
      operation,
      '<availabilityZoneInfo><item><zoneName>eu-west-1a</zoneName></item></availabilityZoneInfo>',
    ),
  DescribeInstanceTypeOfferings: (operation) =>
    ec2Xml(
      operation,
      '<instanceTypeOfferingSet><item><instanceType>m7g.large</instanceType><location>eu-west-1a</location></item></instanceTypeOfferingSet>',
    ),
  DescribeLifecycleHooks: (operation) =>
    resultXml(
      operation,
      '<LifecycleHooks><member><LifecycleHookName>launch</LifecycleHookName></member></LifecycleHooks>',
    ),
  GetSecretValue: () => json({ SecretString: '{}' }),
  ListSecretVersionIds: () =>
    json({ Versions: [{ VersionStages: ['AWSCURRENT'], CreatedDate: 1_767_000_000 }] }),
  DescribeSecret: () => json({ VersionIdsToStages: { version: ['AWSCURRENT'] } }),
  'GET /schedules/circleci-runners-linux': () => json({ State: 'ENABLED' }),
  DescribeAlarms: () => json({ MetricAlarms: [], CompositeAlarms: [] }),
  GetParameterHistory: () =>
    json({
      Parameters: [{ Name: 'image', Value: BUILT_IMAGE, Version: 1, LastModifiedDate: 1_767_000_000 }],
    }),
  'POST /ListImagePipelineImages': () =>
    json({ imageSummaryList: [{ arn: BUILD, state: { status: 'AVAILABLE' }, dateCreated: '2026-01-05' }] }),
  ListSubscriptionsByTopic: (operation) =>
    resultXml(
      operation,
      '<Subscriptions><member><SubscriptionArn>arn:aws:sns:eu-west-1:111122223333:alarms:1</SubscriptionArn></member></Subscriptions>',
    ),
};

/** A stand-in of the AWS that `doctor` reads, in which nothing is wrong until a test changes an answer. */
export class DoctorAws extends OperatorAws {
  /** What a test has changed: another answer, or `refused`. */
  readonly changed = new Map<string, Answer | 'refused'>();
  /** The images that exist. */
  images = [IMAGE, BUILT_IMAGE];
  /** The managed policies that exist. */
  readonly policies = new Set([
    `arn:aws:iam::${ACCOUNT}:policy/artifacts`,
    'arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess',
  ]);

  protected override answer(operation: string, asked: Asked): Answer | 'silence' | undefined {
    const [name = ''] = operation.replace(/\/$/, '').split('?');
    const changed = this.changed.get(name);
    if (changed === 'refused') return undefined;
    if (changed === undefined && name === 'DescribeImages') return this.#imageWith(asked['Filter.1.Value.1']);
    if (changed === undefined && name === 'GetPolicy') return this.#policyWith(`${asked.PolicyArn}`);
    return changed ?? HEALTHY[name.replace(/\/$/, '')]?.(name, asked) ?? super.answer(name, asked);
  }

  #policyWith(arn: string): Answer {
    if (this.policies.has(arn)) return resultXml('GetPolicy', `<Policy><Arn>${arn}</Arn></Policy>`);
    const error = `<Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>Policy ${arn} was not found.</Message></Error>`;
    return { status: 404, body: `<ErrorResponse>${error}</ErrorResponse>` };
  }

  #imageWith(id: unknown): Answer {
    const found = this.images.filter((each) => each === id);
    const items = found.map(
      (each) => `<item><imageId>${each}</imageId><imageState>available</imageState></item>`,
    );
    return ec2Xml('DescribeImages', `<imagesSet>${items.join('')}</imagesSet>`);
  }
}
