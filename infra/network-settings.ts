import * as z from 'zod';
import { flag, isMap, text } from './setting.ts';

/** Where instances run, and what reaches them. */

export const VpcOfYours = z.strictObject({
  vpcId: text('the id of a VPC, such as vpc-0123456789abcdef0', /^vpc-([0-9a-f]{8}|[0-9a-f]{17})$/).describe(
    'The VPC.',
  ),
  subnetIds: z
    .array(
      text('the id of a subnet, such as subnet-0123456789abcdef0', /^subnet-([0-9a-f]{8}|[0-9a-f]{17})$/),
      { error: 'must be a list of subnets of the VPC' },
    )
    .min(1, { error: 'must name at least one subnet of the VPC' })
    .describe('Subnets of the VPC, from which instances can reach the internet.'),
  // A network interface takes no more: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
  securityGroupIds: z
    .array(
      text('the id of a security group, such as sg-0123456789abcdef0', /^sg-([0-9a-f]{8}|[0-9a-f]{17})$/),
      { error: 'must be a list of security groups of the VPC' },
    )
    .min(1, { error: 'must name at least one security group of the VPC, or be left out' })
    .max(16, { error: 'must be at most 16 security groups' })
    .optional()
    .describe(
      'Security groups of the VPC that instances are in, and that let them out. Without them one is made, which lets nothing in.',
    ),
});

const Network = z.union([z.enum(['default-vpc', 'new-vpc']), VpcOfYours], {
  error: 'must be default-vpc, new-vpc, or the vpcId and subnetIds of a VPC of yours',
});

/** An IPv4 or an IPv6 range. */
const cidr = () =>
  text(
    'an IPv4 or IPv6 range such as 203.0.113.7/32 or 2001:db8::/48',
    new RegExp(`${z.regexes.cidrv4.source}|${z.regexes.cidrv6.source}`),
  );

/** Whether a range is of IPv6 addresses. */
export const isIpv6 = (range: string) => range.includes(':');

export const NETWORK_SETTINGS = {
  network: Network.default('default-vpc').describe(
    "Where instances run: the account's default VPC, a VPC made for the fleet (public subnets, no NAT gateway), or a VPC of yours: its `vpcId` and `subnetIds`, and perhaps `securityGroupIds` in place of the one that is made. [IPv6](instance-life.md#ipv6).",
  ),
  keyPairName: text('the name of an EC2 key pair', /^[\x20-\x7e]{1,255}$/)
    .optional()
    .describe('An EC2 key pair for SSH. Without it no key is installed.'),
  sshCidr: cidr()
    .optional()
    .describe(
      'The IPv4 or IPv6 range from which SSH (TCP port 22) reaches the instances. Without it the port is closed.',
    ),
  sessionManager: flag('Whether Session Manager reaches the instances. Their role may do what that takes.'),
  allowInstanceMetadata: flag(
    "Whether jobs reach the instance's metadata, and with it the rights of its role. Better give jobs rights by CircleCI's OpenID Connect tokens.",
  ),
};

export const NETWORK_RULES = [
  z.refine<{ sshCidr?: string | undefined }>(({ sshCidr }) => sshCidr === undefined, {
    path: ['sshCidr'],
    error: 'must be left out with securityGroupIds, which say themselves what is let in',
    when: ({ value }) => isMap(value) && Object(value.network).securityGroupIds !== undefined,
  }),
];
