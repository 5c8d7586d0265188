import { type Answer, type Asked, AwsStandIn, ec2Xml, json, resultXml } from './aws-stand-in.ts';

/** A VPC of the stand-in, with its subnets. */
export interface StandInVpc {
  id: string;
  isDefault?: boolean;
  name?: string;
  subnets?: { id: string; zone: string; isClosed?: boolean }[];
}

/** A VPC of one's own, with a subnet that leads out and one that does not. A test may change it. */
export const builds = (): StandInVpc => ({
  id: 'vpc-0000000a',
  name: 'builds',
  subnets: [
    { id: 'subnet-0000000a', zone: 'eu-west-1a' },
    { id: 'subnet-0000000b', zone: 'eu-west-1b', isClosed: true },
  ],
});

/**
 * A stand-in of the AWS that `npm run init` looks into: EC2 and STS as XML, quotas and parameters as JSON. It refuses any
 * call that could write.
 */
export class InitAws extends AwsStandIn {
  vpcs: StandInVpc[] = [{ id: 'vpc-0000000d', isDefault: true }];
  /** The types that each zone offers. */
  zones: Record<string, string[]> = {
    'eu-west-1a': ['m7i.large', 'm6i.large', 'm7g.xlarge'],
    'eu-west-1b': ['m7i.large', 'm6i.large'],
    'eu-west-1c': ['m7i.large', 'm6i.large'],
  };
  quota = 1_000;
  isBootstrapped = true;
  /** Operations that get no answer. */
  readonly silent = new Set<string>();
  /** Operations that are refused. */
  readonly refused = new Set<string>();
  /** XML that answers an operation, for tests that need more. */
  readonly answers = new Map<string, string>();

  protected override answer(operation: string, asked: Asked): Answer | 'silence' | undefined {
    if (this.silent.has(operation)) return 'silence';
    if (operation === 'GetParameter' && !this.isBootstrapped)
      return json({ __type: 'ParameterNotFound', message: 'no' }, 400);
    if (this.refused.has(operation)) return undefined;
    const own = this.answers.get(operation);
    if (own !== undefined) return { body: own };
    const ec2 = (content: string) => ec2Xml(operation, content);
    switch (operation) {
      case 'GetCallerIdentity':
        return resultXml(operation, '<Account>111122223333</Account>');
      case 'DescribeAvailabilityZones':
        return ec2(
          `<availabilityZoneInfo>${items(Object.keys(this.zones).map((zone) => `<zoneName>${zone}</zoneName>`))}</availabilityZoneInfo>`,
        );
      case 'DescribeInstanceTypeOfferings':
        return ec2(`<instanceTypeOfferingSet>${items(this.#offerings(asked))}</instanceTypeOfferingSet>`);
      case 'DescribeVpcs':
        return ec2(`<vpcSet>${items(this.vpcs.map(vpcXml))}</vpcSet>`);
      case 'DescribeSubnets':
        return ec2(`<subnetSet>${items(this.#subnets(asked).map(subnetXml))}</subnetSet>`);
      case 'DescribeRouteTables':
        return ec2(`<routeTableSet>${items(this.#subnets(asked).map(routeTableXml))}</routeTableSet>`);
      case 'GetServiceQuota':
        return json({ Quota: { Value: this.quota } });
      case 'GetParameter':
        return json({ Parameter: { Value: '28' } });
      default:
        return undefined;
    }
  }

  #offerings(asked: Asked): string[] {
    const wanted = Object.entries(asked)
      .filter(([key]) => key.startsWith('Filter.1.Value'))
      .map(([, type]) => type);
    return Object.entries(this.zones).flatMap(([zone, types]) =>
      types
        .filter((type) => wanted.includes(type))
        .map((type) => `<instanceType>${type}</instanceType><location>${zone}</location>`),
    );
  }

  #subnets(asked: Asked) {
    const ids = new Set(
      Object.entries(asked)
        .filter(([key]) => /^(Filter\.1\.Value|SubnetId)\./.test(key))
        .map(([, id]) => id),
    );
    return this.vpcs.flatMap(({ id: vpc, subnets = [] }) =>
      subnets.filter(({ id }) => ids.has(vpc) || ids.has(id)).map((subnet) => ({ ...subnet, vpc })),
    );
  }
}

const items = (contents: string[]) => contents.map((content) => `<item>${content}</item>`).join('');

const tagXml = (name: string | undefined) =>
  name === undefined ? '' : `<tagSet><item><key>Name</key><value>${name}</value></item></tagSet>`;

const vpcXml = ({ id, isDefault = false, name }: StandInVpc) =>
  `<vpcId>${id}</vpcId><isDefault>${isDefault}</isDefault><cidrBlock>10.0.0.0/16</cidrBlock>${tagXml(name)}`;

const subnetXml = ({ id, zone, vpc }: { id: string; zone: string; vpc: string }) =>
  `<subnetId>${id}</subnetId><vpcId>${vpc}</vpcId><availabilityZone>${zone}</availabilityZone><cidrBlock>10.0.0.0/24</cidrBlock>`;

const routeTableXml = ({ id, isClosed = false }: { id: string; isClosed?: boolean }) =>
  `<associationSet><item><subnetId>${id}</subnetId></item></associationSet><routeSet><item><destinationCidrBlock>${isClosed ? '10.0.0.0/16' : '0.0.0.0/0'}</destinationCidrBlock></item></routeSet>`;
