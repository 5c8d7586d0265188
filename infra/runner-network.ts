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

  constructor(scope: Construct, id: string, { fleet }: RunnerNetworkProps) {
    super(scope, id);
    const { network, zones } = fleet;
    this.perhapsIpv6Only = typeof network === 'object';
    // What it makes is beside it in the tree, not inside it: logical ids must stay the same in deployed stacks.
    if (network === 'default-vpc') {
      // A group with zones and no subnets runs in the default VPC: no look-up, so no credentials at synthesis.
      this.zones = { availabilityZones: zones ?? Fn.getAzs() };
      this.securityGroupIds = [securityGroup(scope, fleet, undefined)];
    } else if (network === 'new-vpc') {
      const vpc = newVpc(scope, zones);
      this.zones = { vpcZoneIdentifier: vpc.publicSubnets.map((subnet) => subnet.subnetId) };
      this.securityGroupIds = [securityGroup(scope, fleet, vpc.vpcId)];
    } else {
      this.zones = { vpcZoneIdentifier: network.subnetIds };
      this.securityGroupIds = network.securityGroupIds ?? [securityGroup(scope, fleet, network.vpcId)];
    }
    this.subnetIds = 'vpcZoneIdentifier' in this.zones ? this.zones.vpcZoneIdentifier : undefined;
  }
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
  { name, sshCidr, sshRerun }: RunnerNetworkProps['fleet'],
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
