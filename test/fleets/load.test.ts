import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { checkFleets, FleetsInvalid, loadFleets } from '../../fleets/load.ts';
import { logicalId } from '../../fleets/names.ts';
import { complaintsAbout, fleetsOf, MINIMAL, minimalNamed, minimalWith, RUNNER } from '../support/fleets.ts';

describe('a fleet with the required settings only', () => {
  it('has the defaults that the settings describe', () => {
    expect(fleetsOf(MINIMAL)).toEqual([
      {
        name: 'linux',
        resourceClass: 'acme/linux',
        instanceTypes: ['m7i.large'],
        minReplicas: 0,
        maxReplicas: 20,
        headroom: 0,
        schedules: [],
        otherRunners: 0,
        pollInterval: 5,
        idleTimeout: 300,
        maxRunTime: 18_000,
        reuse: 'single-task',
        bootTimeout: 600,
        breaker: { failures: 3, window: 900 },
        circleciUrl: 'https://runner.circleci.com',
        image: 'ubuntu',
        workingDirectory: 'root-volume',
        docker: false,
        unsafeRetries: false,
        network: 'default-vpc',
        sessionManager: false,
        allowInstanceMetadata: false,
        logs: false,
        reconcile: 'report',
        starvingAfter: 900,
        tags: {},
        installFile: undefined,
      },
    ]);
  });
});

describe('settings', () => {
  const SHA256 = '0123456789abcdef'.repeat(4);
  const OWN_GROUPS = '{vpcId: vpc-01234567, subnetIds: [subnet-01234567], securityGroupIds: [sg-01234567]}';
  it.each([
    { given: 'minReplicas: 20', becomes: { minReplicas: 20, maxReplicas: 20 } },
    { given: 'headroom: 3', becomes: { headroom: 3 } },
    { given: 'headroom: 20%', becomes: { headroom: '20%' } },
    { given: 'spareRunners: auto', becomes: { spareRunners: 'auto' } },
    { given: 'spareRunners: {max: 5}', becomes: { spareRunners: { max: 5 } } },
    { given: 'waitingCost: 0.5', becomes: { waitingCost: 0.5 } },
    { given: 'headroom: 1000%', becomes: { headroom: '1000%' } },
    { given: 'maxSurge: 1', becomes: { maxSurge: 1 } },
    { given: 'recycleAfter: 168h', becomes: { recycleAfter: 604_800 } },
    { given: 'recycleAfter: 7d', becomes: { recycleAfter: 604_800 } },
    { given: 'maxRunTime: 1h30m', becomes: { maxRunTime: 5_400 } },
    { given: 'scaleDownDelay: 1m', becomes: { scaleDownDelay: 60 } },
    { given: 'pollInterval: 5', becomes: { pollInterval: 5 } },
    { given: 'pollInterval: 10s', becomes: { pollInterval: 10 } },
    { given: 'pollInterval: 1m', becomes: { pollInterval: 60 } },
    { given: 'idleTimeout: 16', becomes: { idleTimeout: 16 } },
    { given: 'idleTimeout: 24 h', becomes: { idleTimeout: 86_400 } },
    { given: 'maxRunTime: 90m', becomes: { maxRunTime: 5_400 } },
    { given: 'bootTimeout: 2m', becomes: { bootTimeout: 120 } },
    { given: 'bootTimeout: 7200', becomes: { bootTimeout: 7_200 } },
    { given: 'image: ubuntu', becomes: { image: 'ubuntu' } },
    { given: 'image: amazon-linux', becomes: { image: 'amazon-linux' } },
    { given: 'image: ami-0123456789abcdef0', becomes: { image: 'ami-0123456789abcdef0' } },
    { given: 'image: /acme/runner', becomes: { image: '/acme/runner' } },
    { given: 'image: ssm:runner:prod', becomes: { image: 'ssm:runner:prod' } },
    {
      given: `runner: {version: 3.1.13, sha256: ${SHA256}}`,
      becomes: { runner: { version: '3.1.13', sha256: SHA256 } },
    },
    { given: 'runner: current', becomes: { runner: 'current' } },
    {
      given: `runner: {version: 3.1.13, sha256: {amd64: ${SHA256}}}`,
      becomes: { runner: { version: '3.1.13', sha256: { amd64: SHA256 } } },
    },
    { given: 'spot: {}', becomes: { spot: { percentage: 100, onDemandBase: 0 } } },
    { given: 'reuse: continuous', becomes: { reuse: 'continuous' } },
    { given: 'warmPool: {size: 20}', becomes: { warmPool: { size: 20, state: 'stopped' } } },
    { given: 'warmPool: {size: 0}', becomes: { warmPool: { size: 0, state: 'stopped' } } },
    {
      given: 'warmPool: {size: auto, state: hibernated}',
      becomes: { warmPool: { size: 'auto', state: 'hibernated' } },
    },
    { given: 'spot: {percentage: 1}', becomes: { spot: { percentage: 1, onDemandBase: 0 } } },
    {
      given: 'spot: {percentage: 50, onDemandBase: 10000}',
      becomes: { spot: { percentage: 50, onDemandBase: 10_000 } },
    },
    { given: 'unsafeRetries: true', becomes: { unsafeRetries: true } },
    { given: 'sessionManager: true', becomes: { sessionManager: true } },
    { given: 'allowInstanceMetadata: true', becomes: { allowInstanceMetadata: true } },
    { given: 'logs: true', becomes: { logs: true } },
    { given: 'logs: false', becomes: { logs: false } },
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
    { given: 'rootVolumeSize: 8', becomes: { rootVolumeSize: 8 } },
    { given: 'keyPairName: ops team', becomes: { keyPairName: 'ops team' } },
    { given: 'rootVolume: {}', becomes: { rootVolume: { size: 30 } } },
    {
      given: 'rootVolume: {size: 160, iops: 80000, throughput: 2000}',
      becomes: { rootVolume: { size: 160, iops: 80_000, throughput: 2_000 } },
    },
    { given: 'rootVolume: {throughput: 750}', becomes: { rootVolume: { size: 30, throughput: 750 } } },
    { given: 'rootVolume: {iops: 15000}', becomes: { rootVolume: { size: 30, iops: 15_000 } } },
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
    { given: 'workingDirectory: instance-store', becomes: { workingDirectory: 'instance-store' } },
    { given: 'docker: true', becomes: { docker: true } },
    { given: 'scalerSecretName: acme/scaler', becomes: { scalerSecretName: 'acme/scaler' } },
    { given: 'runnerSecretName: acme/runner@1', becomes: { runnerSecretName: 'acme/runner@1' } },
    { given: 'alarmEmail: ops@acme.example', becomes: { alarmEmail: 'ops@acme.example' } },
    {
      given: 'tags: {team: build, "acme:cost-centre": "0815"}',
      becomes: { tags: { team: 'build', 'acme:cost-centre': '0815' } },
    },
    {
      given: 'tags: {team: Bücher, owner: "a b/c@d.example"}',
      becomes: { tags: { team: 'Bücher', owner: 'a b/c@d.example' } },
    },
  ])('$given is accepted', ({ given, becomes }) => {
    expect(fleetsOf(minimalWith(given))).toEqual([expect.objectContaining(becomes)]);
  });

  it.each([{ resourceClass: 'acme/linux' }, { resourceClass: 'my-org_1/Linux:x64+gpu-1' }])(
    'resource class $resourceClass is accepted',
    ({ resourceClass }) => {
      const [fleet] = fleetsOf(MINIMAL.replace('acme/linux', resourceClass));
      expect(fleet?.resourceClass).toBe(resourceClass);
    },
  );

  const NUMBER = 'must be a whole number from';
  const RANGE = 'must be an IPv4 or IPv6 range such as 203.0.113.7/32 or 2001:db8::/48';
  const IPV4_ONLY = 'must be an IPv4 range, because the VPC of network: new-vpc has no IPv6';
  const DIRECT = 'must be a host, a domain, an address or a range, because curl does not read "*"';
  const PROXY_HOST = 'must have a host name or an IP address, such as proxy.acme.internal or [fd00::1]';
  const PROXY_PATH = 'must have no path, only a host and perhaps a port';
  const PROXY_PORT = 'must have a port from 1 to 65535';
  const PROXY_USER =
    'must have no user or password, because everyone who may describe the launch template can read it: allow the instances by subnet or security group instead';
  const TIME = 'a number of seconds, or numbers with units as in 90s, 1h30m or 2d';
  const NETWORK = 'must be default-vpc, new-vpc, or the vpcId and subnetIds of a VPC of yours';
  const RELEASE = 'must be the version and sha256 of a release of machine runner 3, or current';
  const VERSION = 'must be a version of machine runner 3, such as 3.1.13';
  const DIGITS = 'must be the SHA-256 of the archive for Linux, 64 hexadecimal digits';
  const SPOT = 'must be a map of percentage and onDemandBase; {} makes all instances Spot';
  const POOL_SIZE = 'must be a whole number from 0 to 10000, the number of instances that wait, or auto';
  const PERCENTAGE = `${NUMBER} 1 to 100, the percentage of instances above onDemandBase that are Spot`;
  const IMAGE =
    'must be ubuntu, amazon-linux, the id of an image such as ami-0123456789abcdef0, or a Systems Manager parameter that holds one, such as /acme/runner or ssm:runner; or a map with build';
  const TAG =
    'must be a tag of 1 to 128 letters, digits and + - = . , _ : @ that does not begin with aws: or circleci-runners:';
  const TAG_VALUE =
    'must be a text of at most 256 letters, digits, spaces and _ . : / = + - @, in quotes if it looks like a number';
  const URL = 'must be a URL such as https://runner.circleci.com: https, without a port, a query or a user';
  it.each([
    {
      given: 'minReplicas: -1',
      said: `minReplicas: ${NUMBER} 0 to 10000, the number of idle runners to keep, got -1`,
    },
    {
      given: 'minReplicas: two',
      said: `minReplicas: ${NUMBER} 0 to 10000, the number of idle runners to keep, got "two"`,
    },
    ...[
      'headroom: -1',
      'headroom: 10001',
      'headroom: 0.5',
      'headroom: 1001%',
      'headroom: 2.5%',
      'headroom: -5%',
    ].map((given) => ({
      given,
      said: `headroom: ${NUMBER} 0 to 10000, or a percentage from 0% to 1000% such as 20%, the idle runners to keep while there are tasks, or their share of the tasks, got ${given.includes('%') ? JSON.stringify(given.slice(10)) : given.slice(10)}`,
    })),
    {
      given: 'maxSurge: 0',
      said: `maxSurge: ${NUMBER} 1 to 10000, the maximum number of launches that one poll adds; for no limit, leave it out, got 0`,
    },
    { given: 'pollInterval: 0', said: `pollInterval: must be an interval from 1s to 1m: ${TIME}, got 0` },
    {
      given: 'pollInterval: 61s',
      said: `pollInterval: must be an interval from 1s to 1m: ${TIME}, got "61s"`,
    },
    {
      given: 'pollInterval: 2.5',
      said: `pollInterval: must be an interval from 1s to 1m: ${TIME}, got 2.5`,
    },
    {
      given: 'pollInterval: 1.5s',
      said: `pollInterval: must be an interval from 1s to 1m: ${TIME}, got "1.5s"`,
    },
    {
      given: 'pollInterval: "5"',
      said: `pollInterval: must be an interval from 1s to 1m: ${TIME}, got "5"`,
    },
    { given: 'idleTimeout: 2d', said: `idleTimeout: must be a time from 10s to 1d: ${TIME}, got "2d"` },
    {
      given: 'idleTimeout: 25h',
      said: `idleTimeout: must be a time from 10s to 1d: ${TIME}, got "25h"`,
    },
    { given: 'maxRunTime: 59', said: `maxRunTime: must be a time from 1m to 5d: ${TIME}, got 59` },
    { given: 'maxRunTime:', said: `maxRunTime: must be a time from 1m to 5d: ${TIME}, got nothing` },
    {
      given: 'bootTimeout: 119',
      said: `bootTimeout: must be a time from 2m to 2h: ${TIME}, got 119`,
    },
    {
      given: 'bootTimeout: 121m',
      said: `bootTimeout: must be a time from 2m to 2h: ${TIME}, got "121m"`,
    },
    { given: 'image: debian', said: `image: ${IMAGE}, got "debian"` },
    { given: 'image:', said: `image: ${IMAGE}, got nothing` },
    { given: 'image: ami-0123', said: `image: ${IMAGE}, got "ami-0123"` },
    { given: 'image: "ssm:"', said: `image: ${IMAGE}, got "ssm:"` },
    {
      given: 'rootDevice: sda1',
      said: 'rootDevice: must be the name of a root device, such as /dev/sda1 or /dev/xvda, got "sda1"',
    },
    { given: 'runner: 3.1.13', said: `runner: ${RELEASE}, got "3.1.13"` },
    { given: 'runner:', said: `runner: ${RELEASE}, got nothing` },
    {
      given: 'runner: {version: 3.1.13, sha256: {}}',
      said: 'runner.sha256: must have the SHA-256 for amd64, for arm64, or for both, got a map',
    },
    {
      given: `runner: {version: 3.1.13, sha256: {arm64: ${SHA256}}}`,
      said: 'runner: must have the SHA-256 of the archive for x86_64, the architecture of the instances',
    },
    { given: 'runner: {version: 3.1.13}', said: `runner.sha256: ${DIGITS}, got nothing` },
    { given: `runner: {sha256: ${SHA256}}`, said: `runner.version: ${VERSION}, got nothing` },
    // A number to YAML, and not the version that was meant.
    { given: `runner: {version: 3.10, sha256: ${SHA256}}`, said: `runner.version: ${VERSION}, got 3.1` },
    {
      given: `runner: {version: ../3.1.13, sha256: ${SHA256}}`,
      said: `runner.version: ${VERSION}, got "../3.1.13"`,
    },
    ...['3..1', '.3.1', '-3.1'].map((version) => ({
      given: `runner: {version: "${version}", sha256: ${SHA256}}`,
      said: `runner.version: ${VERSION}, got "${version}"`,
    })),
    {
      given: 'runner: {version: 3.1.13, sha256: 0123456789abcdef}',
      said: `runner.sha256: ${DIGITS}, got "0123456789abcdef"`,
    },
    {
      given: `runner: {version: 3.1.13, sha256: ${SHA256.toUpperCase()}}`,
      said: `runner.sha256: ${DIGITS}, got "${SHA256.toUpperCase()}"`,
    },
    { given: 'spot: true', said: `spot: ${SPOT}, got true` },
    { given: 'spot:', said: `spot: ${SPOT}, got nothing` },
    { given: 'spot: {percentage: 0}', said: `spot.percentage: ${PERCENTAGE}, got 0` },
    { given: 'spot: {percentage: 101}', said: `spot.percentage: ${PERCENTAGE}, got 101` },
    { given: 'spot: {percentage: 12.5}', said: `spot.percentage: ${PERCENTAGE}, got 12.5` },
    { given: 'spot: {percentage: 50%}', said: `spot.percentage: ${PERCENTAGE}, got "50%"` },
    {
      given: 'spot: {onDemandBase: -1}',
      said: `spot.onDemandBase: ${NUMBER} 0 to 10000, the number of On-Demand instances that come first, got -1`,
    },
    { given: 'reuse: true', said: 'reuse: must be single-task or continuous, got true' },
    { given: 'warmPool: 5', said: 'warmPool: must be a map of size and state, such as { size: 5 }, got 5' },
    { given: 'warmPool: {}', said: `warmPool.size: ${POOL_SIZE}, got nothing` },
    { given: 'warmPool: {size: many}', said: `warmPool.size: ${POOL_SIZE}, got "many"` },
    { given: 'warmPool: {size: -1}', said: `warmPool.size: ${POOL_SIZE}, got -1` },
    { given: 'warmPool: {size: 2.5}', said: `warmPool.size: ${POOL_SIZE}, got 2.5` },
    {
      given: 'warmPool: {size: 21}',
      said: 'warmPool.size: must be at most maxReplicas (20), or auto, got 21',
    },
    {
      given: 'warmPool: {size: 5, state: running}',
      said: 'warmPool.state: must be stopped or hibernated, got "running"',
    },
    { given: 'unsafeRetries: yes', said: 'unsafeRetries: must be true or false, got "yes"' },
    { given: 'sessionManager: 1', said: 'sessionManager: must be true or false, got 1' },
    { given: 'allowInstanceMetadata:', said: 'allowInstanceMetadata: must be true or false, got nothing' },
    { given: 'logs: {retention: 30}', said: 'logs: must be true or false, got a map' },
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
      said: 'network.subnetIds.1: must be the id of a subnet, such as subnet-0123456789abcdef0, got "vpc-01234567"',
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
      said: 'network.securityGroupIds.0: must be the id of a security group, such as sg-0123456789abcdef0, got "default"',
    },
    {
      given: 'rootVolumeSize: 7',
      said: `rootVolumeSize: ${NUMBER} 8 to 65536, the size of the root volume in GiB, got 7`,
    },
    {
      given: 'rootVolumeSize: 30.5',
      said: `rootVolumeSize: ${NUMBER} 8 to 65536, the size of the root volume in GiB, got 30.5`,
    },
    {
      given: 'rootVolumeSize: .inf',
      said: `rootVolumeSize: ${NUMBER} 8 to 65536, the size of the root volume in GiB, got Infinity`,
    },
    {
      given: 'rootVolume: 100',
      said: 'rootVolume: must be a map of size, iops and throughput, such as { size: 100, throughput: 500 }, got 100',
    },
    {
      given: 'rootVolume: {size: 7}',
      said: `rootVolume.size: ${NUMBER} 8 to 65536, the size of the root volume in GiB, got 7`,
    },
    {
      given: 'rootVolume: {iops: 2999}',
      said: `rootVolume.iops: ${NUMBER} 3000 to 80000, the IOPS of the root volume, got 2999`,
    },
    {
      given: 'rootVolume: {throughput: 2001}',
      said: `rootVolume.throughput: ${NUMBER} 125 to 2000, the throughput of the root volume in MiB/s, got 2001`,
    },
    {
      given: 'rootVolume: {iops: 15001}',
      said: 'rootVolume.iops: must be at most 15000, 500 for each GiB of size, 30 GiB (default); 15001 needs size: 31, got 15001',
    },
    {
      given: 'rootVolume: {throughput: 751}',
      said: "rootVolume.throughput: must be at most 750, 0.25 MiB/s for each of the volume's iops, 3000 IOPS (default); 751 MiB/s needs iops: 3004, got 751",
    },
    {
      given: 'rootVolume: {iops: 4000, throughput: 1001}',
      said: "rootVolume.throughput: must be at most 1000, 0.25 MiB/s for each of the volume's iops, 4000 IOPS; 1001 MiB/s needs iops: 4004, got 1001",
    },
    {
      given: 'rootVolume: {size: 30, iops: 16000}',
      said: 'rootVolume.iops: must be at most 15000, 500 for each GiB of size, 30 GiB; 16000 needs size: 32, got 16000',
    },
    {
      given: 'rootVolume: {throughput: 1000}',
      said: "rootVolume.throughput: must be at most 750, 0.25 MiB/s for each of the volume's iops, 3000 IOPS (default); 1000 MiB/s needs iops: 4000, got 1000",
    },
    {
      given: 'rootVolume: {size: 8, throughput: 2000}',
      said: "rootVolume.throughput: must be at most 750, 0.25 MiB/s for each of the volume's iops, 3000 IOPS (default); 2000 MiB/s needs iops: 8000 and size: 16, got 2000",
    },
    {
      given: 'rootVolumeSize: 50\n  rootVolume: {size: 50}',
      said: 'rootVolumeSize: must be left out with rootVolume: set its size, got 50',
    },
    { given: 'keyPairName: ""', said: 'keyPairName: must be the name of an EC2 key pair, got ""' },
    {
      given: 'sshCidr: 203.0.113.7',
      said: 'sshCidr: must be an IPv4 or IPv6 range such as 203.0.113.7/32 or 2001:db8::/48, got "203.0.113.7"',
    },
    {
      given: 'sshCidr: 203.0.113.256/32',
      said: 'sshCidr: must be an IPv4 or IPv6 range such as 203.0.113.7/32 or 2001:db8::/48, got "203.0.113.256/32"',
    },
    { given: 'install: ""', said: 'install: must be the path of a script, got ""' },
    {
      given: 'scalerSecretName: arn:aws:secretsmanager:eu-west-1:111122223333:secret:scaler',
      said: 'scalerSecretName: must be the name of a secret, not its ARN, got "arn:aws:secretsmanager:eu-west-1:111122223333:secret:scaler"',
    },
    {
      given: 'runnerSecretName: a b',
      said: 'runnerSecretName: must be the name of a secret, not its ARN, got "a b"',
    },
    { given: 'alarmEmail: ops', said: 'alarmEmail: must be an e-mail address, got "ops"' },
    { given: 'tags: [build]', said: 'tags: must be a map of tags to their values, got ["build"]' },
    { given: 'tags: {cost: 5}', said: `tags.cost: ${TAG_VALUE}, got 5` },
    {
      given: 'tags: {aws:team: build}',
      said: `tags.aws:team: ${TAG}`,
    },
    { given: 'tags: {"circleci-runners:stack": other}', said: `tags.circleci-runners:stack: ${TAG}` },
    { given: 'tags: {"CircleCI-Runners:paused": "true"}', said: `tags.CircleCI-Runners:paused: ${TAG}` },
    // In instance metadata, none of these can be shown.
    { given: 'tags: {team: R&D}', said: `tags.team: ${TAG_VALUE}, got "R&D"` },
    // The workflow ends an idle instance that has this tag.
    { given: 'tags: {circleci-runners:recycle: now}', said: `tags.circleci-runners:recycle: ${TAG}` },
    {
      given: 'tags: {Team: a, team: b}',
      said: 'tags: must be tags that differ in more than case, because IAM takes such two for one, got Team and team',
    },
    {
      given: `tags: {${Array.from({ length: 41 }, (_, number) => `t${number}: a`).join(', ')}}`,
      said: 'tags: must be at most 40 tags, got 41',
    },
    { given: 'tags: {cost centre: a}', said: `tags.cost centre: ${TAG}` },
    { given: 'tags: {team/a: a}', said: `tags.team/a: ${TAG}` },
    { given: 'tags: {_index: a}', said: `tags._index: ${TAG}` },
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
      said: `noProxy.0: ${fault}, got "${entry}"`,
    })),
    {
      given: 'httpProxy: http://proxy:3128\n  noProxy: localhost,.acme.example',
      said: 'noProxy: must be a list of hosts, domains and ranges such as [.acme.internal, 10.0.0.0/8], got "localhost,.acme.example"',
    },
    {
      given: 'httpProxy: http://proxy:3128\n  noProxy: ["a b"]',
      said: 'noProxy.0: must be a host, a domain such as .acme.internal, an address, or a range such as 10.0.0.0/8, got "a b"',
    },
    {
      given: `httpProxy: http://proxy:3128\n  noProxy: [${Array(101).fill('host.test')}]`,
      said: `noProxy: must be at most 400 characters together, because EC2 limits user data to 16 KB: use domains and ranges instead of hosts, got [${Array(101).fill('"host.test"').join(', ').slice(0, 80)}...]`,
    },
    {
      given: 'noProxy: [.acme.example]',
      said: 'noProxy: must be left out without httpProxy, or set httpProxy, got [".acme.example"]',
    },
    {
      given: 'workingDirectory: /mnt',
      said: 'workingDirectory: must be root-volume or instance-store, got "/mnt"',
    },
    { given: 'docker: yes', said: 'docker: must be true or false, got "yes"' },
    {
      given: 'paused: true',
      said: 'paused: is not a setting: run npm run pause -- linux (or drain, or resume), so that no deployment undoes it',
    },
    {
      given: 'warmPool: {size: 5}\n  spot: {}',
      said: 'spot: must be left out with warmPool, because AWS has warm pools for On-Demand instances only; or leave out warmPool, got a map',
    },
  ])('$given is refused', ({ given, said }) => {
    expect(complaintsAbout(minimalWith(given))).toBe(`fleets.yaml has a fault:\n  linux.${said}`);
  });

  it('a hibernated warmPool of bare metal is refused', () => {
    const text = minimalWith('warmPool: {size: 5, state: hibernated}').replace('m7i.large', 'm7i.metal-24xl');
    expect(complaintsAbout(text)).toBe(
      'fleets.yaml has a fault:\n  linux.instanceTypes: must not be bare metal with a hibernated warmPool, because bare metal cannot hibernate; or set state to stopped, got ["m7i.metal-24xl"]',
    );
  });

  it('a hibernated warmPool of types that EC2 chooses is refused', () => {
    const text = minimalWith('warmPool: {size: 5, state: hibernated}').replace(
      'instanceTypes: [m7i.large]',
      'instanceRequirements: {architecture: arm64, vCpus: {min: 2}, memoryGiB: {min: 8}}',
    );
    expect(complaintsAbout(text)).toBe(
      'fleets.yaml has a fault:\n  linux.warmPool.state: must be stopped with instanceRequirements, because EC2 may choose a type that cannot hibernate; or set instanceTypes that can, got "hibernated"',
    );
  });

  it('every setting that excludes a warmPool is reported at once', () => {
    const text = minimalWith('warmPool: {size: 30, state: hibernated}', 'spot: {}', 'reuse: often');
    expect(complaintsAbout(text.replace('m7i.large', 'm7i.metal-24xl'))).toMatch(
      /^fleets\.yaml has 4 faults:\n(?=[\s\S]*linux\.reuse: )(?=[\s\S]*linux\.warmPool\.size: )(?=[\s\S]*linux\.spot: )(?=[\s\S]*linux\.instanceTypes: )/,
    );
  });

  it.each([
    {
      missing: 'resourceClass: acme/linux',
      said: 'resourceClass: must be a resource class, namespace/class, got nothing',
    },
    {
      missing: 'instanceTypes: [m7i.large]',
      said: 'instanceTypes: must be a list of EC2 instance types such as [m7g.large], or set instanceRequirements, got nothing',
    },
    {
      missing: 'maxReplicas: 20',
      said: 'maxReplicas: must be a whole number from 1 to 10000, the maximum number of instances, got nothing',
    },
  ])('$missing cannot be left out', ({ missing, said }) => {
    expect(complaintsAbout(MINIMAL.replace(`  ${missing}\n`, ''))).toContain(`\n  linux.${said}`);
  });

  it('a long value is cut', () => {
    const long = `https://a.example/?${'b'.repeat(500)}`;
    expect(complaintsAbout(minimalWith(`circleciUrl: ${long}`))).toMatch(
      /got "https:\/\/a\.example\/\?b{60}\.\.\.$/,
    );
  });

  it('a map in the wrong place is not shown, because it may hold anything', () => {
    expect(
      complaintsAbout(minimalWith('sshCidr: {password: hunter2}', 'tags: [{password: hunter2}]')),
    ).not.toContain('hunter2');
  });
});

describe('durations', () => {
  const UNITS = { s: 1, m: 60, h: 3_600 };
  const bounds = { pollInterval: [1, 60], maxRunTime: [60, 432_000], bootTimeout: [120, 7_200] } as const;

  it('mean the same in any unit', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(bounds)),
        fc.constantFrom(...Object.keys(UNITS)),
        fc.integer({ min: 0, max: 500_000 }),
        (setting, unit, number) => {
          const [least, most] = bounds[setting as keyof typeof bounds];
          const seconds = number * UNITS[unit as keyof typeof UNITS];
          const given = minimalWith('idleTimeout: 1h', `${setting}: ${number}${unit}`);
          if (seconds < least || seconds > most) {
            expect(() => fleetsOf(given)).toThrow(FleetsInvalid);
          } else {
            expect(fleetsOf(given)[0]).toHaveProperty(setting, seconds);
            expect(fleetsOf(minimalWith('idleTimeout: 1h', `${setting}: ${seconds}`))).toEqual(
              fleetsOf(given),
            );
          }
        },
      ),
    );
  });
});

describe('schedules', () => {
  const scheduled = (...schedules: string[]) => minimalWith(`schedules: [${schedules.join(', ')}]`);
  const HOURS = 'start: 0 8 * * MON-FRI, end: 0 18 * * MON-FRI';

  it('have the default time zone UTC', () => {
    const [fleet] = fleetsOf(
      scheduled(`{${HOURS}, minReplicas: 4}`, `{${HOURS}, name: w, timezone: Europe/Berlin, headroom: 50%}`),
    );
    const hours = { start: '0 8 * * MON-FRI', end: '0 18 * * MON-FRI' };
    expect(fleet?.schedules).toEqual([
      { ...hours, timezone: 'UTC', minReplicas: 4 },
      { ...hours, name: 'w', timezone: 'Europe/Berlin', headroom: '50%' },
    ]);
  });

  it('may raise both bounds at once, or keep one of them', () => {
    for (const schedule of ['minReplicas: 30, maxReplicas: 50', 'minReplicas: 20', 'maxReplicas: 1'])
      expect(fleetsOf(scheduled(`{${HOURS}, ${schedule}}`))).toHaveLength(1);
  });

  const CRON = 'must be a cron of five fields such as "0 8 * * MON-FRI", when the schedule';
  it.each([
    {
      schedule: 'start: 0 8 * * *, end: 0 24 * * *',
      said: `0.end: ${CRON} ends (Invalid value for hour: 24), got "0 24 * * *"`,
    },
    {
      schedule: 'start: "@daily", end: 0 8 * * *',
      said: `0.start: ${CRON} starts (it has not five fields of numbers, *, lists, ranges and steps), got "@daily"`,
    },
    {
      schedule: 'start: 0 8 30 2 *, end: 0 8 * * *',
      said: `0.start: ${CRON} starts (it never fires), got "0 8 30 2 *"`,
    },
    { schedule: 'start: 8, end: 0 8 * * *', said: `0.start: ${CRON} starts, got 8` },
    { schedule: 'start: 0 8 * * *', said: `0.end: ${CRON} ends, got nothing` },
    {
      schedule: 'start: 0 8 * * *, end: 0 8 * * *',
      said: '0.end: must differ from start, or the schedule never ends, got "0 8 * * *"',
    },
    {
      schedule: `${HOURS}, timezone: Berlin`,
      said: '0.timezone: must be the name of a time zone of the IANA database, such as Europe/Berlin or UTC, got "Berlin"',
    },
    {
      schedule: `${HOURS}, timezone: "+02:00"`,
      said: '0.timezone: must be the name of a time zone of the IANA database, such as Europe/Berlin or UTC, got "+02:00"',
    },
    {
      schedule: `${HOURS}, minReplicas: 21`,
      said: '0.minReplicas: must be at most maxReplicas of the fleet (20), got 21',
    },
    {
      schedule: `${HOURS}, minReplicas: 3, maxReplicas: 2`,
      said: '0.maxReplicas: must be at least minReplicas (3) while it is in force, got 2',
    },
    {
      schedule: `${HOURS}, maxSurge: 0`,
      said: '0.maxSurge: must be a whole number from 1 to 10000, the maximum number of launches that one poll adds; for no limit, leave it out, got 0',
    },
    {
      schedule: `${HOURS}, scaleDownDelay: 5m`,
      said: '0.scaleDownDelay: cannot be scheduled, because an instance gets its idle time (idleTimeout, recycleAfter) when it launches, got "5m"',
    },
    {
      schedule: `${HOURS}, minReplica: 3`,
      said: '0.minReplica: is not a setting; the nearest one is minReplicas',
    },
  ])('$schedule is refused', ({ schedule, said }) => {
    expect(complaintsAbout(scheduled(`{${schedule}}`))).toBe(
      `fleets.yaml has a fault:\n  linux.schedules.${said}`,
    );
  });

  it('are reported beside all other faults, each by its place in the list', () => {
    const said = complaintsAbout(
      `${scheduled(`{${HOURS}, timezone: Berlin, minReplicas: 21}`, `{${HOURS}, maxReplicas: 0}`, '5', `{${HOURS}, minReplicas: 22}`)}  maxSurge: -1\n`,
    );
    expect(said.split('\n  ').map((line) => line.split(':')[0])).toEqual([
      'fleets.yaml has 6 faults',
      'linux.maxSurge',
      'linux.schedules.0.timezone',
      'linux.schedules.1.maxReplicas',
      'linux.schedules.2',
      'linux.schedules.0.minReplicas',
      'linux.schedules.3.minReplicas',
    ]);
  });

  it('are a list of at most 20', () => {
    expect(complaintsAbout(minimalWith('schedules: {}'))).toContain('must be a list of schedules, got a map');
    expect(complaintsAbout(scheduled(...Array(21).fill(`{${HOURS}}`)))).toContain(
      'must be at most 20 schedules',
    );
    expect(fleetsOf(scheduled(...Array(20).fill(`{${HOURS}}`)))).toHaveLength(1);
  });
});

describe('settings that depend on each other', () => {
  it.each([
    {
      given: ['scaleDownDelay: 301s'],
      said: 'scaleDownDelay: must be at most idleTimeout (5m), got "301s"',
    },
    { given: ['scaleDownDelay: 5m'], said: undefined },
    { given: ['scaleDownDelay: 0s'], said: undefined },
    { given: ['scaleDownDelay: 10m', 'idleTimeout: 10m'], said: undefined },
    { given: ['recycleAfter: 299'], said: 'recycleAfter: must be at least idleTimeout (5m), got 299' },
    { given: ['recycleAfter: 5m'], said: undefined },
    { given: ['idleTimeout: 2h'], said: undefined },
  ])('$given: $said', ({ given, said }) => {
    if (said === undefined) expect(fleetsOf(minimalWith(...given))).toHaveLength(1);
    else expect(complaintsAbout(minimalWith(...given))).toBe(`fleets.yaml has a fault:\n  linux.${said}`);
  });

  it('maxReplicas is at least minReplicas', () => {
    expect(complaintsAbout(minimalWith('minReplicas: 21'))).toBe(
      'fleets.yaml has a fault:\n  linux.maxReplicas: must be at least minReplicas (21), got 20',
    );
  });

  it.each([
    { idleTimeout: '15s', pollInterval: '5s', sound: false },
    { idleTimeout: '16s', pollInterval: '5s', sound: true },
    { idleTimeout: '3m', pollInterval: '1m', sound: false },
    { idleTimeout: '181s', pollInterval: '1m', sound: true },
  ])('idleTimeout $idleTimeout with pollInterval $pollInterval: sound is $sound', (example) => {
    const given = minimalWith(`idleTimeout: ${example.idleTimeout}`, `pollInterval: ${example.pollInterval}`);
    if (example.sound) expect(fleetsOf(given)).toHaveLength(1);
    else {
      expect(complaintsAbout(given)).toMatch(
        /linux\.idleTimeout: must be longer than three times pollInterval \(\d+[sm]\), or runners leave before they are needed, got "/,
      );
    }
  });
});

describe('fleet names', () => {
  it.each(['linux', 'a', 'Linux-Large_2', 'default', 'workflow', 'network', 'a'.repeat(32)])(
    '%s is accepted',
    (name) => {
      expect(fleetsOf(minimalNamed(name))[0]?.name).toBe(name);
    },
  );

  it.each(['2fast', '-linux', 'linux large', 'linux/large', 'größe', 'a'.repeat(33)])(
    '%s is refused',
    (name) => {
      expect(complaintsAbout(minimalNamed(`"${name}"`))).toBe(
        `fleets.yaml has a fault:\n  ${name}: must have a name of a letter and at most 31 more letters, digits, hyphens and underscores`,
      );
    },
  );

  it.each([
    ['linux-large', 'linux_large'],
    ['linux-large', 'linuxLarge'],
    ['linux', 'Linux'],
    ['macOS', 'macos'],
  ])('%s and %s are too alike', (first, second) => {
    const other = minimalNamed(second).replace('acme/linux', 'acme/other');
    expect(complaintsAbout(minimalNamed(first) + other)).toBe(
      `fleets.yaml has a fault:\n  ${second}: must differ from ${first} in more than hyphens, underscores and case`,
    );
  });

  it.each([
    ['linux', 'Linux'],
    ['linux-large', 'LinuxLarge'],
    ['arm_64-spot', 'Arm64Spot'],
  ])('%s is %s in the outputs', (name, id) => {
    expect(logicalId(name)).toBe(id);
  });
});

describe('unknown keys', () => {
  it('cannot control the terminal of whoever checks the file', () => {
    const text = `${MINIMAL}  "max\\e[2JReplicas\\x9b31m\\u202e": 3\n`;
    expect(complaintsAbout(text)).toBe(
      'fleets.yaml has a fault:\n  linux.max\ufffd[2JReplicas\ufffd31m\ufffd: is not a setting; the nearest one is maxReplicas',
    );
  });

  it.each([
    { key: 'maxReplica', nearest: 'maxReplicas' },
    { key: 'instanceType', nearest: 'instanceTypes' },
    { key: 'maxreplicas', nearest: 'maxReplicas' },
    { key: 'resource_class', nearest: 'resourceClass' },
    { key: 'runnerSecret', nearest: 'runnerSecretName' },
    { key: 'unsafeRetry', nearest: 'unsafeRetries' },
    { key: 'log', nearest: 'logs' },
  ])('$key gets the nearest setting, and its value is not repeated', ({ key, nearest }) => {
    expect(complaintsAbout(minimalWith(`${key}: hunter2`))).toBe(
      `fleets.yaml has a fault:\n  linux.${key}: is not a setting; the nearest one is ${nearest}`,
    );
  });

  it('of a network get the nearest of its keys, also in a fleet called network', () => {
    const given = minimalNamed('network');
    expect(complaintsAbout(`${given}  subnetwork: hunter2\n  network: {subnetwork: hunter2}\n`)).toBe(
      [
        'fleets.yaml has 4 faults:',
        'network.network.vpcId: must be the id of a VPC, such as vpc-0123456789abcdef0, got nothing',
        'network.network.subnetIds: must be a list of subnets of the VPC, got nothing',
        'network.network.subnetwork: is not a setting; the nearest one is subnetIds',
        'network.subnetwork: is not a setting; the nearest one is network',
      ].join('\n  '),
    );
  });

  it.each([
    { map: 'runner', key: 'sha265', nearest: 'sha256', beside: RUNNER },
    { map: 'runner', key: 'versions', nearest: 'version', beside: RUNNER },
    { map: 'spot', key: 'percent', nearest: 'percentage', beside: { onDemandBase: 2 } },
    { map: 'warmPool', key: 'sizes', nearest: 'size', beside: { size: 2 } },
    { map: 'rootVolume', key: 'thruput', nearest: 'throughput', beside: { size: 50 } },
    { map: 'sshRerun', key: 'cidrs', nearest: 'cidr', beside: { cidr: '203.0.113.0/24' } },
    { map: 'breaker', key: 'windows', nearest: 'window', beside: { failures: 2 } },
    { map: 'spot', key: 'on_demand_base', nearest: 'onDemandBase', beside: {} },
    {
      map: 'network',
      key: 'vpcID',
      nearest: 'vpcId',
      beside: { vpcId: 'vpc-01234567', subnetIds: ['subnet-01234567'] },
    },
  ])('of $map, such as $key, get the nearest of its keys', ({ map, key, nearest, beside }) => {
    for (const name of ['linux', map]) {
      const given = JSON.stringify({ ...beside, [key]: 'hunter2' });
      expect(complaintsAbout(`${minimalNamed(name)}  ${map}: ${given}\n`)).toBe(
        `fleets.yaml has a fault:\n  ${name}.${map}.${key}: is not a setting; the nearest one is ${nearest}`,
      );
    }
  });
});

describe('an image of your own', () => {
  const OWN = 'image: ami-0123456789abcdef0';
  it.each([
    { given: [OWN], fault: undefined },
    { given: [OWN, 'rootDevice: /dev/sda1'], fault: undefined },
    { given: [OWN, 'rootDevice: /dev/sda1', 'rootVolumeSize: 100'], fault: undefined },
    {
      given: [OWN, 'rootVolumeSize: 100'],
      fault:
        'rootVolumeSize: must come with rootDevice, because only the maker of an image knows the name of its root device, got 100',
    },
    { given: [OWN, 'rootDevice: /dev/sda1', 'rootVolume: {throughput: 500}'], fault: undefined },
    {
      given: [OWN, 'rootVolume: {}'],
      fault:
        'rootVolume: must come with rootDevice, because only the maker of an image knows the name of its root device, got a map',
    },
    {
      given: ['rootDevice: /dev/sda1'],
      fault:
        'rootDevice: must be left out with image ubuntu or amazon-linux, whose root devices are known, got "/dev/sda1"',
    },
  ])('may set its root volume with its device: $given', ({ given, fault }) => {
    if (fault === undefined) expect(fleetsOf(minimalWith(...given))).toHaveLength(1);
    else expect(complaintsAbout(minimalWith(...given))).toBe(`fleets.yaml has a fault:\n  linux.${fault}`);
  });
});

describe('faults of every kind in one file', () => {
  it('are reported together, each with its key path, what is allowed and what was given', () => {
    const text = `
linux:
  resourceClass: linux
  instanceTypes: [m7i.large, m7g.large]
  minReplicas: 3
  maxReplicas: 2
  pollInterval: 10s
  idleTimeout: 30s
  rootVolumeSize: 30.5
  circle_token: hunter2
  install: nowhere.sh
mac:
  resourceClass: acme/mac
  instanceTypes: []
  network: {vpcId: vpc-01234567, subnetIds: subnet-01234567}
MAC:
  resourceClass: acme/mac
  instanceTypes: m7g.large
  maxReplicas: 1
windows: 5
2fast:
`;
    expect(complaintsAbout(text).split('\n  ')).toEqual([
      'fleets.yaml has 16 faults:',
      'linux.resourceClass: must be a resource class, namespace/class, got "linux"',
      'linux.rootVolumeSize: must be a whole number from 8 to 65536, the size of the root volume in GiB, got 30.5',
      'linux.circle_token: is not a setting; docs/configuration.md lists all of them',
      'linux.maxReplicas: must be at least minReplicas (3), got 2',
      'linux.idleTimeout: must be longer than three times pollInterval (10s), or runners leave before they are needed, got "30s"',
      'linux.instanceTypes: must all be of one architecture, arm64 (Graviton) or x86_64, because they share one image, got ["m7i.large", "m7g.large"]',
      'mac.instanceTypes: must name at least one EC2 instance type, such as [m7g.large], got []',
      'mac.maxReplicas: must be a whole number from 1 to 10000, the maximum number of instances, got nothing',
      'mac.network.subnetIds: must be a list of subnets of the VPC, got "subnet-01234567"',
      'MAC.instanceTypes: must be a list of EC2 instance types such as [m7g.large], got "m7g.large"',
      'windows: must be a map of settings, got 5',
      '2fast: must be a map of settings, got nothing',
      'MAC: must differ from mac in more than hyphens, underscores and case',
      'MAC.resourceClass: must differ from the resource class of mac: two fleets of one resource class would both launch an instance for each task, got "acme/mac"',
      '2fast: must have a name of a letter and at most 31 more letters, digits, hyphens and underscores',
      expect.stringMatching(
        /^linux\.install: must be the path of a script, relative to this file, got "nowhere\.sh" \(ENOENT: /,
      ),
    ]);
  });
});

describe('the install script', () => {
  it('is found beside the file, wherever the app runs', () => {
    const [fleet] = fleetsOf(minimalWith('install: setup.sh'), { 'setup.sh': '#!/bin/sh\nid\n' });
    expect(fleet?.installFile).toMatch(/^\/.*\/setup\.sh$/);
    expect(readFileSync(fleet?.installFile ?? '', 'utf8')).toBe('#!/bin/sh\nid\n');
  });

  it('may lie anywhere in the folder in which the app runs', () => {
    const script = relative(tmpdir(), 'examples/graviton/install.sh');
    const [fleet] = checkFleets(parseYaml(minimalWith(`install: ${script}`)), join(tmpdir(), 'fleets.yaml'));
    expect(fleet?.installFile).toBe(resolve('examples/graviton/install.sh'));
  });

  // A change of fleets.yaml would otherwise put a file of the machine that deploys onto an instance.
  it.each([
    { what: 'by its path', install: '/etc/rc0.d/../profile' },
    { what: 'from the folder above', install: '../outside.sh' },
    { what: 'by a symbolic link', install: 'link.sh' },
    { what: 'that never ends', install: '/dev/zero' },
  ])('cannot be a file from elsewhere, $what', ({ install }) => {
    const folder = mkdtempSync(join(tmpdir(), 'install-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    mkdirSync(join(folder, 'fleets'));
    writeFileSync(join(folder, 'outside.sh'), '#!/bin/sh\n');
    symlinkSync('../outside.sh', join(folder, 'fleets/link.sh'));
    const raw = parseYaml(minimalWith(`install: ${install}`));
    const file = realpathSync(resolve(folder, 'fleets', install));
    expect(() => checkFleets(raw, join(folder, 'fleets/fleets.yaml'))).toThrow(
      `linux.install: must be the path of a script in the folder of this file or of the app, or below, got "${install}" (it is ${file})`,
    );
  });

  it('may have any length', () => {
    const long = `#!/bin/sh\n${'#'.repeat(100_000)}\n`;
    expect(fleetsOf(minimalWith('install: setup.sh'), { 'setup.sh': long })).toHaveLength(1);
  });

  it.each([
    { what: 'a path that leads nowhere', install: 'nowhere.sh', seen: 'ENOENT: ' },
    { what: 'a directory', install: '.', seen: 'EISDIR: ' },
  ])('cannot be $what', ({ install, seen }) => {
    const said = complaintsAbout(minimalWith(`install: ${install}`));
    expect(said).toContain(
      `fleets.yaml has a fault:\n  linux.install: must be the path of a script, relative to this file, got "${install}" (${seen}`,
    );
  });

  it.each([
    { what: 'no interpreter', script: 'apt-get update\n', because: 'it does not begin with #!' },
    {
      what: 'an interpreter only in its second line',
      script: '\n#!/bin/sh\n',
      because: 'it does not begin with #!',
    },
    { what: 'nothing in it', script: '', because: 'it does not begin with #!' },
    {
      what: 'the line ends of Windows',
      script: '#!/bin/sh\r\nid\r\n',
      because: 'its first line ends as on Windows',
    },
    { what: 'a byte order mark', script: '\uFEFF#!/bin/sh\nid\n', because: 'it does not begin with #!' },
  ])('is refused with $what, because Linux would not run it', ({ script, because }) => {
    expect(complaintsAbout(minimalWith('install: setup.sh'), { 'setup.sh': script })).toBe(
      `fleets.yaml has a fault:\n  linux.install: must be a script whose first line names its interpreter, such as #!/usr/bin/env bash, with Unix line ends, got "setup.sh" (${because})`,
    );
  });

  it('cannot have an extension that must be escaped in a URL', () => {
    expect(
      complaintsAbout(minimalWith('install: setup.my script'), { 'setup.my script': '#!/bin/sh\n' }),
    ).toBe(
      'fleets.yaml has a fault:\n  linux.install: must be a file with a short extension such as .sh, or none, got "setup.my script" (.my script)',
    );
  });

  it('is reported beside all other faults of its fleet', () => {
    const text = minimalWith('install: setup.sh', 'image: debian', 'spot: {percentage: 0}');
    expect(complaintsAbout(text, { 'setup.sh': 'id\n' })).toMatch(
      /^fleets\.yaml has 3 faults:\n {2}linux\.spot\.percentage: .*\n {2}linux\.image: .*\n {2}linux\.install: /,
    );
  });
});

describe('a file that holds many fleets', () => {
  it('may have a thousand', () => {
    const fleets = Array.from({ length: 1_000 }, (_, index) =>
      minimalNamed(`fleet-${index}`).replace('acme/linux', `acme/class-${index}`),
    );
    expect(fleetsOf(fleets.join(''))).toHaveLength(1_000);
  });
});

describe('a file that holds no fleets', () => {
  const MAP = 'must be a map of fleet names to their settings';
  it.each([
    { file: 'an empty file', text: '', said: `${MAP}, got nothing` },
    {
      file: 'only comments',
      text: '# todo\n',
      said: `${MAP}, got nothing`,
    },
    {
      file: 'a list',
      text: '- linux\n',
      said: `${MAP}, got ["linux"]`,
    },
    { file: 'a text', text: 'linux\n', said: `${MAP}, got "linux"` },
    { file: 'an empty map', text: '{}\n', said: 'must have at least one fleet' },
  ])('$file is refused', ({ text, said }) => {
    expect(complaintsAbout(text)).toBe(`fleets.yaml has a fault:\n  (top level): ${said}`);
  });

  it('may not name an instance type twice', () => {
    expect(complaintsAbout(MINIMAL.replace('[m7i.large]', '[m7i.large, c7i.large, m7i.large]'))).toBe(
      'fleets.yaml has a fault:\n  linux.instanceTypes: must name each EC2 instance type once, got ["m7i.large", "c7i.large", "m7i.large"]',
    );
  });

  it('may not have more instance types than a group takes', () => {
    const types = (count: number) =>
      MINIMAL.replace(
        'm7i.large',
        Array.from({ length: count }, (_, index) => `m${index + 1}i.large`).join(),
      );
    expect(fleetsOf(types(40))[0]?.instanceTypes).toHaveLength(40);
    expect(complaintsAbout(types(41))).toContain(
      'linux.instanceTypes: must be at most 40 EC2 instance types, as an Auto Scaling group takes no more: or set instanceRequirements, got [',
    );
  });

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

  describe('with secrets', () => {
    const named = (name: string, settings: string) =>
      `${name}: {resourceClass: acme/${name}, instanceTypes: [m7i.large], maxReplicas: 1, ${settings}}\n`;

    it('may not name one runner secret for two fleets', () => {
      const runner = (secret: string) => `runnerSecretName: ${secret}`;
      expect(fleetsOf(named('a', runner('x')) + named('b', runner('y')))).toHaveLength(2);
      expect(complaintsAbout(named('a', runner('x')) + named('b', runner('x')))).toContain(
        'b.runnerSecretName: must differ from that of a: a token claims tasks of one resource class',
      );
    });

    it('may name one scaler secret for fleets of one CircleCI', () => {
      const scaler = 'scalerSecretName: x';
      const server = 'circleciUrl: https://circleci.acme.example';
      expect(fleetsOf(named('a', scaler) + named('b', scaler))).toHaveLength(2);
      expect(fleetsOf(named('a', `${scaler}, ${server}`) + named('b', `${scaler}, ${server}`))).toHaveLength(
        2,
      );
      expect(complaintsAbout(named('a', scaler) + named('b', `${scaler}, ${server}`))).toContain(
        'b.scalerSecretName: must differ from that of a, whose circleciUrl is another: a secret names the one address to which its token may go',
      );
    });
  });

  it.each([
    { case: 'of a fleet', text: `${MINIMAL}\n__proto__: {resourceClass: acme/b}`, at: '__proto__' },
    { case: 'of a setting', text: minimalWith('__proto__: 1'), at: 'linux.__proto__' },
    { case: 'of a tag', text: minimalWith('tags: {__proto__: x}'), at: 'linux.tags.__proto__' },
  ])('may not have the name __proto__ $case, which a parser would leave out', ({ text, at }) => {
    expect(complaintsAbout(text)).toContain(`${at}: must have another name`);
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

  it('may share settings by merge keys, whose faults are those of the fleet that takes them', () => {
    const shared = (settings: string) =>
      `linux: &shared\n  resourceClass: acme/linux\n  instanceTypes: [m7i.large]\n  maxReplicas: 5\nother:\n  <<: *shared\n  resourceClass: acme/other\n${settings}`;
    expect(fleetsOf(shared(''))[1]).toMatchObject({
      name: 'other',
      resourceClass: 'acme/other',
      instanceTypes: ['m7i.large'],
      maxReplicas: 5,
    });
    expect(complaintsAbout(shared('  minReplicas: 6\n'))).toBe(
      'fleets.yaml has a fault:\n  other.maxReplicas: must be at least minReplicas (6), got 5',
    );
  });

  it.each([
    { file: 'not YAML at all', text: 'linux: [', where: ':1:9' },
    { file: 'a fleet twice', text: MINIMAL + MINIMAL, where: ':7:1' },
    { file: 'a setting twice', text: minimalWith('maxReplicas: 3'), where: ':6:3' },
  ])('$file is refused as no YAML, with the place', ({ text, where }) => {
    expect(complaintsAbout(text)).toMatch(/^fleets\.yaml is not YAML: /);
    expect(complaintsAbout(text)).toContain(where);
  });

  it('that cannot be read is reported with the reason', () => {
    expect(() => loadFleets('/nowhere/fleets.yaml')).toThrow(
      new FleetsInvalid(
        "/nowhere/fleets.yaml cannot be read: ENOENT: no such file or directory, open '/nowhere/fleets.yaml'",
      ),
    );
  });
});

describe('the fleets.yaml of the repository', () => {
  it('has no faults', () => {
    expect(loadFleets('fleets.yaml')).toHaveLength(1);
  });
});
