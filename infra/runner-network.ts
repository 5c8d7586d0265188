import { Fn, Validations } from 'aws-cdk-lib';
import { CfnSecurityGroup, IpAddresses, SubnetType, Vpc } from 'aws-cdk-lib/aws-ec2';
import type { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import { isIpv6, SSH_RERUN_PORT } from '../fleets/settings/network.ts';

/** Where a fleet's instances run, and the security groups that they are in. */
export interface RunnerNetwork {
  zones: { availabilityZones: string[] } | { vpcZoneIdentifier: string[] };
  securityGroupIds: string[];
  /** Whether the subnets may have no IPv4 addresses: only those of an adopter's VPC may. */
  perhapsIpv6Only: boolean;
}

/** Makes what a fleet's network needs: a VPC if the fleet asks for one, a security group unless it brings its own. */
export function networkOf(scope: Construct, config: FleetConfig): RunnerNetwork {
  const { network } = config;
  if (network === 'default-vpc') {
    return {
      // A group with zones and no subnets runs in the default VPC: no look-up, so no credentials at synthesis.
      zones: { availabilityZones: Fn.getAzs() },
      securityGroupIds: [securityGroup(scope, config, undefined)],
      perhapsIpv6Only: false,
    };
  }
  if (network === 'new-vpc') {
    const vpc = newVpc(scope);
    return {
      zones: { vpcZoneIdentifier: vpc.publicSubnets.map((subnet) => subnet.subnetId) },
      securityGroupIds: [securityGroup(scope, config, vpc.vpcId)],
      perhapsIpv6Only: false,
    };
  }
  return {
    zones: { vpcZoneIdentifier: network.subnetIds },
    securityGroupIds: network.securityGroupIds ?? [securityGroup(scope, config, network.vpcId)],
    perhapsIpv6Only: true,
  };
}

function newVpc(scope: Construct): Vpc {
  const vpc = new Vpc(scope, 'Vpc', {
    ipAddresses: IpAddresses.cidr('10.0.0.0/16'),
    maxAzs: 3,
    natGateways: 0,
    subnetConfiguration: [{ name: 'runners', subnetType: SubnetType.PUBLIC, mapPublicIpOnLaunch: true }],
    restrictDefaultSecurityGroup: false,
  });
  Validations.of(vpc).acknowledge({
    id: 'AwsSolutions-VPC7',
    reason:
      'The VPC holds only runners, and no port is open unless the fleet asks for SSH. If you need flow logs, name a VPC of yours that has them.',
  });
  return vpc;
}

const OUT = { ipProtocol: '-1', description: 'CircleCI, packages and what jobs need' };

/** A security group that lets everything out, by IPv4 and IPv6, and nothing in unless the fleet asks for SSH. */
function securityGroup(
  scope: Construct,
  { name, sshCidr, sshRerun }: FleetConfig,
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
