import { Fn, Validations } from 'aws-cdk-lib';
import { CfnSecurityGroup, IpAddresses, SubnetType, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import { isIpv6, SSH_RERUN_PORT } from '../fleets/settings/network.ts';

export interface RunnerNetworkProps {
  fleet: Pick<FleetConfig, 'name' | 'network' | 'zones' | 'sshCidr' | 'sshRerun'>;
}

/** Where a fleet's instances run: zones or subnets, and security groups. */
export class RunnerNetwork extends Construct {
  /** Zones for the default VPC, subnets for another VPC. */
  readonly zones: { availabilityZones: string[] } | { vpcZoneIdentifier: string[] };
  readonly securityGroupIds: string[];
  /** The subnets, if they are known: those of the default VPC are not. */
  readonly subnetIds: string[] | undefined;
  /** Whether the subnets may have no IPv4 addresses: only those of an adopter's VPC may. */
  readonly perhapsIpv6Only: boolean;
  /** Whether the security group lets somebody in. */
  private readonly open: boolean;
  /** The VPC, if it is not the default one. */
  private readonly vpcId: string | undefined;
  private readonly name: string;

  constructor(scope: Construct, id: string, { fleet }: RunnerNetworkProps) {
    super(scope, id);
    const { network, zones, sshCidr, sshRerun } = fleet;
    let vpcId: string | undefined;
    this.perhapsIpv6Only = typeof network === 'object';
    // What it makes is beside it in the tree, not inside it: logical ids must stay the same in deployed stacks.
    if (network === 'default-vpc') {
      // A group with zones and no subnets runs in the default VPC: no look-up, so no credentials at synthesis.
      this.zones = { availabilityZones: zones ?? Fn.getAzs() };
      this.securityGroupIds = [securityGroup(scope, fleet, undefined)];
    } else if (network === 'new-vpc') {
      const vpc = newVpc(scope, zones);
      vpcId = vpc.vpcId;
      this.zones = { vpcZoneIdentifier: vpc.publicSubnets.map((subnet) => subnet.subnetId) };
      this.securityGroupIds = [securityGroup(scope, fleet, vpc.vpcId)];
    } else {
      vpcId = network.vpcId;
      this.zones = { vpcZoneIdentifier: network.subnetIds };
      this.securityGroupIds = network.securityGroupIds ?? [securityGroup(scope, fleet, network.vpcId)];
    }
    this.subnetIds = 'vpcZoneIdentifier' in this.zones ? this.zones.vpcZoneIdentifier : undefined;
    this.open = sshCidr !== undefined || sshRerun?.cidr !== undefined;
    this.vpcId = vpcId;
    this.name = fleet.name;
  }

  /** Where images are built: in the first subnet, or in the default VPC. Nobody can reach the machine. */
  forBuilds(scope: Construct): BuildNetwork {
    const [subnetId] = this.subnetIds ?? [];
    const securityGroupIds = this.open
      ? [securityGroup(scope, { name: this.name, sshCidr: undefined, sshRerun: undefined }, this.vpcId)]
      : this.securityGroupIds;
    return { ...(subnetId !== undefined && { subnetId }), securityGroupIds };
  }
}

/** The subnet and the security groups of machines on which an image is built. */
export interface BuildNetwork {
  subnetId?: string;
  securityGroupIds?: string[];
}

function newVpc(scope: Construct, zones: string[] | undefined): Vpc {
  const vpc = new Vpc(scope, 'Vpc', {
    ipAddresses: IpAddresses.cidr('10.0.0.0/16'),
    ...(zones === undefined ? { maxAzs: 3 } : { availabilityZones: zones }),
    natGateways: 0,
    subnetConfiguration: [{ name: 'runners', subnetType: SubnetType.PUBLIC, mapPublicIpOnLaunch: true }],
    restrictDefaultSecurityGroup: false,
  });
  Validations.of(vpc).acknowledge({
    id: 'AwsSolutions-VPC7',
    reason:
      'The VPC holds only runners, and every port is closed except for the SSH settings of the fleet. If you need flow logs, use a VPC of yours that has them.',
  });
  return vpc;
}

const OUT = { ipProtocol: '-1', description: 'CircleCI, packages and what jobs need' };

/** A security group that allows all outbound traffic, and inbound SSH from the fleet's ranges only. */
function securityGroup(
  scope: Construct,
  { name, sshCidr, sshRerun }: Pick<FleetConfig, 'name' | 'sshCidr' | 'sshRerun'>,
  vpcId: string | undefined,
): string {
  const group = new CfnSecurityGroup(scope, 'SecurityGroup', {
    groupDescription: `CircleCI runners of fleet ${name}`,
    // In the default VPC, EC2 itself adds the rules that let everything out, for IPv6 too if the VPC has it.
    ...(vpcId !== undefined && {
      vpcId,
      securityGroupEgress: [
        { ...OUT, cidrIp: '0.0.0.0/0' },
        { ...OUT, cidrIpv6: '::/0' },
      ],
    }),
    securityGroupIngress: [
      ...(sshCidr === undefined ? [] : [openTo(sshCidr, 22, 'SSH')]),
      ...(sshRerun?.cidr === undefined
        ? []
        : [openTo(sshRerun.cidr, SSH_RERUN_PORT, 'SSH reruns of CircleCI')]),
    ],
  });
  return group.attrGroupId;
}

/** A rule that lets an IPv4 or IPv6 range reach a TCP port. */
const openTo = (cidr: string, port: number, description: string): CfnSecurityGroup.IngressProperty => ({
  ipProtocol: 'tcp',
  fromPort: port,
  toPort: port,
  ...(isIpv6(cidr) ? { cidrIpv6: cidr } : { cidrIp: cidr }),
  description,
});

/** A role's policies have 10,240 characters, and each subnet takes about 160. */
const MOST_SUBNETS = 20;

/** The subnets that these fleets name; `undefined` if some are not known here, or too many for a policy. */
export function namedSubnets(fleets: Pick<FleetConfig, 'network'>[]): string[] | undefined {
  const known = new Set<string>();
  for (const { network } of fleets) {
    if (typeof network !== 'object') return undefined;
    for (const id of network.subnetIds) known.add(id);
  }
  return known.size > MOST_SUBNETS ? undefined : [...known];
}
