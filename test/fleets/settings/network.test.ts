import { describe, expect, it } from 'vitest';
import {
  complaintsAbout,
  expectAccepted,
  expectRefused,
  fleetsOf,
  minimalWith,
} from '../../support/fleets.ts';

describe('settings of the network', () => {
  const OWN_GROUPS = '{vpcId: vpc-01234567, subnetIds: [subnet-01234567], securityGroupIds: [sg-01234567]}';
  const RANGE = 'must be an IPv4 or IPv6 range such as 203.0.113.7/32 or 2001:db8::/48';
  const IPV4_ONLY = 'must be an IPv4 range, because the VPC of network: new-vpc has no IPv6';
  const DIRECT = 'must be a host, a domain, an address or a range, because curl does not read "*"';
  const PROXY_HOST = 'must have a host name or an IP address, such as proxy.acme.internal or [fd00::1]';
  const PROXY_PATH = 'must have no path, only a host and perhaps a port';
  const PROXY_PORT = 'must have a port from 1 to 65535';
  const PROXY_USER =
    'must have no user or password, because everyone who may describe the launch template can read it: allow the instances by subnet or security group instead';
  const NETWORK = 'must be default-vpc, new-vpc, or the vpcId and subnetIds of a VPC of yours';
  const URL = 'must be a URL such as https://runner.circleci.com: https, without a port, a query or a user';

  it.each([
    {
      given: 'circleciUrl: https://circleci.acme.example',
      becomes: { circleciUrl: 'https://circleci.acme.example' },
    },
    {
      given: 'circleciUrl: http://localhost:8080/api/',
      becomes: { circleciUrl: 'http://localhost:8080/api/' },
    },
    { given: 'network: default-vpc', becomes: { network: 'default-vpc' } },
    { given: 'network: new-vpc', becomes: { network: 'new-vpc' } },
    {
      given: 'network: {vpcId: vpc-01234567, subnetIds: [subnet-0123456789abcdef0, subnet-89abcdef]}',
      becomes: {
        network: { vpcId: 'vpc-01234567', subnetIds: ['subnet-0123456789abcdef0', 'subnet-89abcdef'] },
      },
    },
    { given: 'sshCidr: 2001:db8::/48', becomes: { sshCidr: '2001:db8::/48' } },
    { given: 'sshCidr: 203.0.113.0/24', becomes: { sshCidr: '203.0.113.0/24' } },
    {
      given: 'sshRerun: {cidr: 203.0.113.0/24}',
      becomes: { sshRerun: { cidr: '203.0.113.0/24', address: 'public' } },
    },
    {
      given: 'sshRerun: {cidr: "2001:db8::/48", address: ipv6}',
      becomes: { sshRerun: { cidr: '2001:db8::/48', address: 'ipv6' } },
    },
    {
      given: `network: ${OWN_GROUPS}\n  sshRerun: {address: ipv6}`,
      becomes: { sshRerun: { address: 'ipv6' } },
    },
    {
      given: `network: ${OWN_GROUPS}\n  sshRerun: {}`,
      becomes: { sshRerun: { address: 'public' } },
    },
    {
      given: `network: ${OWN_GROUPS}\n  sshRerun: {address: private}`,
      becomes: { sshRerun: { address: 'private' } },
    },
    {
      given: 'httpProxy: http://proxy.acme.example:3128\n  noProxy: [.acme.example, 10.0.0.0/8, "fd00::/8"]',
      becomes: {
        httpProxy: 'http://proxy.acme.example:3128',
        noProxy: ['.acme.example', '10.0.0.0/8', 'fd00::/8'],
      },
    },
    { given: 'httpProxy: "https://[fd00::1]:3128"', becomes: { httpProxy: 'https://[fd00::1]:3128' } },
    { given: 'httpProxy: http://proxy:65535/', becomes: { httpProxy: 'http://proxy:65535' } },
    { given: 'httpProxy: http://10.0.0.5/', becomes: { httpProxy: 'http://10.0.0.5' } },
    {
      given:
        'httpProxy: http://proxy:1\n  noProxy: [build_1.acme.example, 10.0.0.0/32, "fd00::/128", "fd00::1"]',
      becomes: {
        httpProxy: 'http://proxy:1',
        noProxy: ['build_1.acme.example', '10.0.0.0/32', 'fd00::/128', 'fd00::1'],
      },
    },
  ])('$given is accepted', expectAccepted);

  it.each([
    { given: 'circleciUrl: runner.circleci.com', said: `circleciUrl: ${URL}, got "runner.circleci.com"` },
    { given: 'circleciUrl: ftp://a.example', said: `circleciUrl: ${URL}, got "ftp://a.example"` },
    {
      given: 'circleciUrl: "https://a.example/?b=c"',
      said: `circleciUrl: ${URL}, got "https://a.example/?b=c"`,
    },
    {
      given: `circleciUrl: "https://a.example/'; id; '"`,
      said: `circleciUrl: ${URL}, got "https://a.example/'; id; '"`,
    },
    { given: 'network: private', said: `network: ${NETWORK}, got "private"` },
    { given: 'network: [subnet-01234567]', said: `network: ${NETWORK}, got ["subnet-01234567"]` },
    {
      given: 'network: {vpcId: vpc-01234567}',
      said: 'network.subnetIds: must be a list of subnets of the VPC, got nothing',
    },
    {
      given: 'network: {vpcId: vpc-01234567, subnetIds: []}',
      said: 'network.subnetIds: must name at least one subnet of the VPC, got []',
    },
    {
      given: 'network: {vpcId: vpc-0123, subnetIds: [subnet-01234567]}',
      said: 'network.vpcId: must be the id of a VPC, such as vpc-0123456789abcdef0, got "vpc-0123"',
    },
    {
      given: 'network: {vpcId: vpc-01234567, subnetIds: [subnet-01234567, vpc-01234567]}',
      said: 'network.subnetId 2: must be the id of a subnet, such as subnet-0123456789abcdef0, got "vpc-01234567"',
    },
    {
      given: 'network: {vpcId: vpc-01234567, subnetIds: [subnet-01234567], securityGroupIds: []}',
      said: 'network.securityGroupIds: must name at least one security group of the VPC, or be left out, got []',
    },
    {
      given: 'network: {vpcId: vpc-01234567, subnetIds: [subnet-01234567], securityGroupIds: default}',
      said: 'network.securityGroupIds: must be a list of security groups of the VPC, got "default"',
    },
    {
      given: 'network: {vpcId: vpc-01234567, subnetIds: [subnet-01234567], securityGroupIds: [default]}',
      said: 'network.securityGroupId 1: must be the id of a security group, such as sg-0123456789abcdef0, got "default"',
    },
    {
      given: 'sshCidr: 203.0.113.7',
      said: 'sshCidr: must be an IPv4 or IPv6 range such as 203.0.113.7/32 or 2001:db8::/48, got "203.0.113.7"',
    },
    {
      given: 'sshCidr: 203.0.113.256/32',
      said: 'sshCidr: must be an IPv4 or IPv6 range such as 203.0.113.7/32 or 2001:db8::/48, got "203.0.113.256/32"',
    },
    {
      given:
        'network: {vpcId: vpc-01234567, subnetIds: [subnet-01234567], securityGroupIds: [sg-01234567]}\n  sshCidr: 203.0.113.7/32',
      said: 'sshCidr: must be left out with securityGroupIds: open the port there, got "203.0.113.7/32"',
    },
    {
      given: 'sshRerun: true',
      said: 'sshRerun: must be a map of cidr and address, such as { cidr: 203.0.113.0/24 }, got true',
    },
    {
      given: 'sshRerun: {}',
      said: `sshRerun.cidr: ${RANGE}, from which TCP port 54782 is open, got nothing`,
    },
    { given: 'sshRerun: {cidr: everybody}', said: `sshRerun.cidr: ${RANGE}, got "everybody"` },
    {
      given: 'sshRerun: {cidr: 203.0.113.0/24, address: elastic}',
      said: 'sshRerun.address: must be public, private or ipv6, got "elastic"',
    },
    {
      given: `network: ${OWN_GROUPS}\n  sshRerun: {cidr: 203.0.113.0/24}`,
      said: 'sshRerun.cidr: must be left out with securityGroupIds: open TCP port 54782 there, got "203.0.113.0/24"',
    },
    {
      given: 'network: new-vpc\n  sshRerun: {cidr: "2001:db8::/48"}',
      said: `sshRerun.cidr: ${IPV4_ONLY}, got "2001:db8::/48"`,
    },
    {
      given: 'network: new-vpc\n  sshCidr: 2001:db8::/48',
      said: `sshCidr: ${IPV4_ONLY}, got "2001:db8::/48"`,
    },
    {
      given: 'sshRerun: {cidr: "2001:db8::/48", address: private}',
      said: 'sshRerun.address: must be left out with an IPv6 range, because CircleCI then shows the IPv6 address; or set cidr to an IPv4 range, got "private"',
    },
    {
      given: 'sshRerun: {cidr: 203.0.113.0/24, address: ipv6}',
      said: 'sshRerun.address: must be public or private with an IPv4 range; or set cidr to an IPv6 range, got "ipv6"',
    },
    ...[
      { url: 'proxy.acme.example:3128', fault: 'must begin with http:// or https://' },
      { url: 'socks5://proxy:1080', fault: 'must begin with http:// or https://' },
      { url: 'http://proxy:3128/pac', fault: PROXY_PATH },
      { url: 'http://proxy:3128?a=b', fault: PROXY_PATH },
      { url: 'http://proxy:0', fault: PROXY_PORT },
      { url: 'http://proxy:65536', fault: PROXY_PORT },
      { url: 'http://proxy:', fault: PROXY_PORT },
      { url: 'http://proxy:http/', fault: PROXY_PORT },
      { url: 'http://proxy..acme.example:3128', fault: PROXY_HOST },
      { url: 'http://proxy.:3128', fault: PROXY_HOST },
      { url: 'http://:3128', fault: PROXY_HOST },
      { url: 'http://', fault: PROXY_HOST },
      { url: 'http://fd00::1:3128', fault: PROXY_HOST },
    ].map(({ url, fault }) => ({ given: `httpProxy: "${url}"`, said: `httpProxy: ${fault}, got "${url}"` })),
    // Neither the terminal nor the log of a deployment shows the password.
    ...[
      { url: 'http://ci:hunter2@proxy:3128', shown: 'http://***@proxy:3128' },
      { url: 'ci:hunter2@proxy:3128', shown: '***@proxy:3128' },
    ].map(({ url, shown }) => ({
      given: `httpProxy: "${url}"`,
      said: `httpProxy: ${PROXY_USER}, got "${shown}"`,
    })),
    ...[
      { entry: '*', fault: `${DIRECT}: write domains such as .acme.internal, or leave out httpProxy` },
      { entry: '*.acme.internal', fault: `${DIRECT}: write .acme.internal` },
      {
        entry: 'build-*.acme.internal',
        fault: `${DIRECT}: write domains such as .acme.internal, or leave out httpProxy`,
      },
      {
        entry: 'acme.internal:443',
        fault: 'must have no port, because curl does not read ":443": write acme.internal',
      },
      {
        entry: '[fd00::1]:443',
        fault: 'must have no port, because curl does not read ":443": write fd00::1',
      },
      { entry: '10.0.0.0/33', fault: 'must have a prefix of at most 32, as it is an IPv4 range' },
      { entry: 'fd00::/129', fault: 'must have a prefix of at most 128, as it is an IPv6 range' },
    ].map(({ entry, fault }) => ({
      given: `httpProxy: http://proxy:3128\n  noProxy: ["${entry}"]`,
      said: `noProxy 1: ${fault}, got "${entry}"`,
    })),
    {
      given: 'httpProxy: http://proxy:3128\n  noProxy: localhost,.acme.example',
      said: 'noProxy: must be a list of hosts, domains and ranges such as [.acme.internal, 10.0.0.0/8], got "localhost,.acme.example"',
    },
    {
      given: 'httpProxy: http://proxy:3128\n  noProxy: ["a b"]',
      said: 'noProxy 1: must be a host, a domain such as .acme.internal, an address, or a range such as 10.0.0.0/8, got "a b"',
    },
    {
      given: `httpProxy: http://proxy:3128\n  noProxy: [${Array(101).fill('host.test')}]`,
      said: `noProxy: must be at most 400 characters together, because EC2 limits user data to 16 KB: use domains and ranges instead of hosts, got [${Array(101).fill('"host.test"').join(', ').slice(0, 80)}...]`,
    },
    {
      given: 'noProxy: [.acme.example]',
      said: 'noProxy: must be left out without httpProxy, or set httpProxy, got [".acme.example"]',
    },
  ])('$given is refused', expectRefused);

  it.each([
    { what: 'subnetIds', once: 'must name each subnet once' },
    { what: 'securityGroupIds', once: 'must name each security group once' },
  ])('may not name one of $what twice', ({ what, once }) => {
    const ids: Record<string, string[]> = {
      subnetIds: ['subnet-01234567'],
      securityGroupIds: ['sg-01234567'],
    };
    const given = { ...ids, [what]: [...(ids[what] ?? []), ...(ids[what] ?? [])] };
    const network = JSON.stringify({ vpcId: 'vpc-01234567', ...given });
    expect(
      fleetsOf(minimalWith(`network: ${JSON.stringify({ vpcId: 'vpc-01234567', ...ids })}`)),
    ).toHaveLength(1);
    expect(complaintsAbout(minimalWith(`network: ${network}`))).toContain(
      `linux.network.${what}: ${once}, got`,
    );
  });

  it.each([
    'http://localhost:99999',
    'http://127.0.0.1:0',
    'https://-.',
    `https://${'a'.repeat(64)}.acme.com`,
    'https://a-.acme.com',
  ])('may not name %s, which is no address', (url) => {
    expect(complaintsAbout(minimalWith(`circleciUrl: ${url}`))).toContain('linux.circleciUrl: must be a URL');
  });
});
