import * as z from 'zod';
import { HOST_NAME, PORT } from './hosts.ts';
import { eachOnce, flag, isSet, text, textWithCauses } from './parts.ts';

/** Where instances run, and who can reach them. */

/** Of 24 characters and a comma each: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html */
export const MOST_SUBNETS = 200;

/** The id of a VPC. */
export const vpcId = () =>
  text('the id of a VPC, such as vpc-0123456789abcdef0', /^vpc-([0-9a-f]{8}|[0-9a-f]{17})$/).describe(
    'Id of the VPC.',
  );

/** The ids of at least one subnet, each once. */
export const subnetIds = (most: number) =>
  z
    .array(
      text('the id of a subnet, such as subnet-0123456789abcdef0', /^subnet-([0-9a-f]{8}|[0-9a-f]{17})$/),
      { error: 'must be a list of subnets of the VPC' },
    )
    .min(1, { error: 'must name at least one subnet of the VPC' })
    .max(most, { error: `must be at most ${most} subnets` })
    .refine(isSet, eachOnce('must name each subnet once'))
    .meta({ uniqueItems: true });

/** The ids of at least one security group, each once. */
export const securityGroupIds = (most: number) =>
  z
    .array(
      text('the id of a security group, such as sg-0123456789abcdef0', /^sg-([0-9a-f]{8}|[0-9a-f]{17})$/),
      { error: 'must be a list of security groups of the VPC' },
    )
    .min(1, { error: 'must name at least one security group of the VPC, or be left out' })
    .max(most, { error: `must be at most ${most} security groups` })
    .refine(isSet, eachOnce('must name each security group once'))
    .meta({ uniqueItems: true });

const VpcOfYours = z.strictObject({
  vpcId: vpcId(),
  subnetIds: subnetIds(MOST_SUBNETS).describe(
    'Subnets of the VPC, from which instances can reach the internet.',
  ),
  // A network interface takes no more: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
  securityGroupIds: securityGroupIds(16)
    .optional()
    .describe(
      'Security groups of the VPC for the instances. They must allow outbound traffic. Default: a new security group that allows no inbound traffic.',
    ),
});

const Network = z.union([z.enum(['default-vpc', 'new-vpc']), VpcOfYours], {
  error: 'must be default-vpc, new-vpc, or the vpcId and subnetIds of a VPC of yours',
});

/** Joins patterns to one. Each of them must begin with ^ and end with $. */
const anyOf = (...patterns: RegExp[]) => new RegExp(patterns.map(({ source }) => source).join('|'));

export const RANGE = 'an IPv4 or IPv6 range such as 203.0.113.7/32 or 2001:db8::/48';

/** An IPv4 or an IPv6 range. */
export const cidr = () => text(RANGE, anyOf(z.regexes.cidrv4, z.regexes.cidrv6));

/** Whether a range is of IPv6 addresses. */
export const isIpv6 = (range: string) => range.includes(':');

/** Where CircleCI's SSH reruns listen: https://support.circleci.com/hc/en-us/articles/13659631461403-Enable-SSH-on-a-Machine-Runner */
export const SSH_RERUN_PORT = 54_782;

/** How people reach a task that they have rerun with SSH. */
const SshRerun = z.strictObject(
  {
    cidr: cidr()
      .optional()
      .describe(
        `IPv4 or IPv6 range from which TCP port ${SSH_RERUN_PORT} of the instances is open. Required without \`securityGroupIds\`.`,
      ),
    address: z
      .enum(['public', 'private', 'ipv6'], { error: 'must be public, private or ipv6' })
      .default('public')
      .describe(
        'Address of the instance that CircleCI shows: the public or private IPv4 address, or the IPv6 address. With an IPv6 range, CircleCI always shows the IPv6 address.',
      ),
  },
  { error: 'must be a map of cidr and address, such as { cidr: 203.0.113.0/24 }' },
);

const IPV6_HOST = '\\[[0-9a-fA-F:]{2,39}\\]';

/** Scheme, host and port. No user and no password, because everyone who may describe the launch template can read it. */
const PROXY_URL = new RegExp(`^https?://(${HOST_NAME}|${IPV6_HOST})(:${PORT})?/?$`);

interface ProxyUsers {
  /** What those may do who can read the URL. */
  readers: string;
  users: string;
}

/** What is wrong with the URL of a proxy. */
function faultOfProxy(url: string, { readers, users }: ProxyUsers): string | undefined {
  if (url.includes('@'))
    return `must have no user or password, because everyone who may ${readers} can read it: allow the ${users} by subnet or security group instead`;
  const [, address] = /^https?:\/\/(.*)$/.exec(url) ?? [];
  if (address === undefined) return 'must begin with http:// or https://';
  if (/[/?#]./.test(address)) return 'must have no path, only a host and perhaps a port';
  const [, host = '', port] = /^(\[.*\]|[^:]*)(?::([^/:]*))?\/?$/.exec(address) ?? [];
  if (!new RegExp(`^(${HOST_NAME}|${IPV6_HOST})$`).test(host))
    return 'must have a host name or an IP address, such as proxy.acme.internal or [fd00::1]';
  return port === undefined ? undefined : 'must have a port from 1 to 65535';
}

/** Maximum length of the list of hosts without a proxy. */
const NO_PROXY_CHARACTERS = 400;

/** An item of that list. */
const DIRECT = anyOf(/^[A-Za-z0-9._-]{1,253}$/, z.regexes.ipv6, z.regexes.cidrv4, z.regexes.cidrv6);

/** Why curl would ignore an item of that list. */
function faultOfDirect(item: string): string | undefined {
  if (item.includes('*')) {
    const domain = item.replace(/^[*.]*/, '');
    const instead =
      domain === '' || domain.includes('*')
        ? 'write domains such as .acme.internal, or leave out httpProxy'
        : `write .${domain}`;
    return `must be a host, a domain, an address or a range, because curl does not read "*": ${instead}`;
  }
  const [, host, port] = /^([^:/]+|\[.*\]):(\d+)$/.exec(item) ?? [];
  if (host !== undefined)
    return `must have no port, because curl does not read ":${port}": write ${host.replace(/[[\]]/g, '')}`;
  const [, address = '', prefix] = /^(.+)\/(\d+)$/.exec(item) ?? [];
  if (prefix === undefined) return undefined;
  const [ip, most] = isIpv6(address) ? (['IPv6', 128] as const) : (['IPv4', 32] as const);
  return Number(prefix) > most ? `must have a prefix of at most ${most}, as it is an ${ip} range` : undefined;
}

/** The URL of a proxy. */
export const proxyUrl = (
  users: ProxyUsers = { readers: 'describe the launch template', users: 'instances' },
) =>
  textWithCauses(
    'the URL of a proxy, http:// or https://, with a host and perhaps a port, such as http://proxy.acme.internal:3128',
    PROXY_URL,
    (url) => faultOfProxy(url, users),
  );

/** A proxy as programs get it. */
export const withoutSlash = (url: string) => url.replace(/\/$/, '');

export const NETWORK_SETTINGS = {
  network: Network.default('default-vpc').describe(
    "Where instances run: `default-vpc` (the account's default VPC), `new-vpc` (a new VPC for the fleet, with public subnets and without NAT gateway), or a VPC of yours: its `vpcId` and `subnetIds`, and optionally `securityGroupIds` instead of a new security group. [IPv6](instance-life.md#ipv6).",
  ),
  zones: z
    .array(text('the name of an Availability Zone, such as eu-west-1a', /^[a-z]{2,3}(-[a-z]+)+-\d+[a-z]$/), {
      error: 'must be a list of Availability Zones',
    })
    .min(1, { error: 'must name at least one Availability Zone, or be left out' })
    .refine(isSet, eachOnce('must have each zone once'))
    .optional()
    .describe(
      'Availability Zones of the default VPC or of a new VPC that the fleet uses. All others are left out. `npm run zones` says which of them offer the instance types. In a VPC of yours, `subnetIds` does this. Default: all zones of the Region, or three of them in a new VPC.',
    ),
  keyPairName: text('the name of an EC2 key pair', /^[\x20-\x7e]{1,255}$/)
    .optional()
    .describe('Name of an EC2 key pair for SSH. Default: no key is installed.'),
  sshCidr: cidr()
    .optional()
    .describe(
      'IPv4 or IPv6 range from which TCP port 22 (SSH) of the instances is open. [Guardrails](guardrails.md) say how large it may be. Default: the port is closed.',
    ),
  sshRerun: SshRerun.optional().describe(
    'Lets people [rerun a job with SSH](instance-life.md#ssh-reruns). `cidr`: the range from which TCP port 54782 of the instances is open. A connection also needs an SSH key of the person who reran the job. `address`: the address that CircleCI shows, `public` (default), `private` or `ipv6`. If you set `securityGroupIds`, open the port there and leave out `cidr`: `{}` or `{ address: private }`. A session keeps its runner for up to two hours after the job, so a task may take two hours longer than `maxRunTime`.',
  ),
  httpProxy: proxyUrl()
    .transform(withoutSlash)
    .optional()
    .describe(
      'Proxy for HTTP and HTTPS of [the boot, the runner and the jobs](instance-life.md#proxy). It must work without a password, because everyone who may describe the launch template can read this URL.',
    ),
  noProxy: z
    .array(
      textWithCauses(
        'a host, a domain such as .acme.internal, an address, or a range such as 10.0.0.0/8',
        DIRECT,
        faultOfDirect,
      ),
      {
        error: 'must be a list of hosts, domains and ranges such as [.acme.internal, 10.0.0.0/8]',
      },
    )
    .refine((hosts) => hosts.join().length <= NO_PROXY_CHARACTERS, {
      error: `must be at most ${NO_PROXY_CHARACTERS} characters together, because EC2 limits user data to 16 KB: use domains and ranges instead of hosts`,
    })
    .optional()
    .describe(
      'Hosts, domains, addresses and ranges that instances reach without `httpProxy`. They always reach themselves and their metadata without it.',
    ),
  caCertificates: z
    .string({ error: 'must be the path of a file, relative to this one' })
    .optional()
    .describe(
      'Path of a PEM file, relative to this one, with certificates of [authorities of your own](private-network.md#a-certificate-authority-of-your-own). The instances trust them beside the public ones: the runner, curl, git, Docker, and every program that uses the list of the operating system. Default: the public ones.',
    ),
  sessionManager: flag(
    'Whether Session Manager can open sessions on the instances. If so, their role gets the necessary permissions.',
  ),
  allowInstanceMetadata: flag(
    "Whether jobs can reach the instance's metadata, and with it the permissions of its role. CircleCI's OpenID Connect tokens are a better way to give permissions to jobs. [Guardrails](guardrails.md) must allow it.",
  ),
};
