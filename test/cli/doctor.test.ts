import pc from 'picocolors';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { stringify } from 'yaml';
import { parseGroup } from '../../cli/deployed/groups.ts';
import { bootstrapFindings, ebsFindings } from '../../cli/doctor/account.ts';
import { builtImageFindings } from '../../cli/doctor/built-image.ts';
import { bad, type Finding, ok } from '../../cli/doctor/check.ts';
import {
  alarmFindings,
  groupFindings,
  pollFindings,
  scheduleFindings,
  settingsFindings,
  togetherFindings,
  topicFindings,
  undeclaredFindings,
} from '../../cli/doctor/deployed.ts';
import { imageFindings } from '../../cli/doctor/image.ts';
import { placeFindings, rateFindings } from '../../cli/doctor/initialization.ts';
import { installRightsFindings } from '../../cli/doctor/install-rights.ts';
import { concurrencyFindings } from '../../cli/doctor/lambda-concurrency.ts';
import { routeFindings, zoneFindings } from '../../cli/doctor/network.ts';
import {
  groupQuotaFindings,
  quotaFindings,
  storageFindings,
  storageWanted,
  vCpusWanted,
} from '../../cli/doctor/quotas.ts';
import { type ScalerVpc, scalerFindings } from '../../cli/doctor/scaler.ts';
import { AWAITED, tokenFindings } from '../../cli/doctor/tokens.ts';
import { findingLines, runCheck } from '../../cli/doctor.ts';
import { deployedSettingsOf } from '../../fleets/deployed-settings.ts';
import { functionsAtOnce } from '../../fleets/own-second.ts';
import type { DeployedSettings } from '../../functions/lib/contracts.ts';
import { fleetsOf } from '../support/fleets.ts';
import { runAgainstAws } from '../support/in-process.ts';
import { OperatorAws } from '../support/operator-aws.ts';
import { address } from '../support/serve.ts';

const NOW = Date.parse('2026-01-05T09:00:00Z');

const AWAITING = { at: NOW - 20_000, fleet: 'linux', waits: 'waits for its tokens' };

const failing = (name: string) => ({
  at: NOW - 10_000,
  fleet: 'linux',
  waits: undefined,
  failure: { name, message: 'it failed' },
});

const fleetWith = (more: object = {}) => {
  const settings = { resourceClass: 'acme/linux', instanceTypes: ['m7g.large'], maxReplicas: 10, ...more };
  const [fleet] = fleetsOf(stringify({ linux: settings }));
  if (fleet === undefined) throw new Error('There is no fleet');
  return fleet;
};

/** A fleet whose install script may read a bucket in China. */
const withRights = {
  ...fleetWith(),
  roles: { instance: ['arn:aws-cn:iam::111122223333:policy/a'] },
  installPermissions: [{ actions: ['s3:GetObject'], resources: ['arn:aws-cn:s3:::acme/*', '*'] }],
};

const endpoints = (prefix: string, ...services: string[]) =>
  services.map((service) => ({
    ServiceName: `${prefix}.${service}`,
    State: 'Available' as const,
    PrivateDnsEnabled: true,
  }));

/** Functions in two zones of a VPC without a way out, which has the endpoints. */
const SCALER = { vpcId: 'vpc-1', subnetIds: ['s-1', 's-2'] };
const SCALER_VPC: ScalerVpc = {
  subnets: SCALER.subnetIds.map((SubnetId) => ({
    SubnetId,
    VpcId: 'vpc-1',
    AvailabilityZoneId: `az-${SubnetId}`,
  })),
  securityGroups: [],
  routeTables: [],
  endpoints: endpoints('com.amazonaws.eu-west-1', 'autoscaling', 'ec2', 'secretsmanager', 'ssm'),
};

const deployedAs = (fleet = fleetWith()): DeployedSettings => ({
  scalerSecretName: 'circleci-runners/linux/scaler',
  groupName: 'circleci-runners-linux',
  alarmTopicArn: 'arn:aws:sns:eu-west-1:111122223333:alarms',
  // As it comes out of the parameter.
  ...JSON.parse(JSON.stringify(deployedSettingsOf('a', fleet))),
});

/** The settings of another fleet of the app `a`, with secrets and a topic of the app. */
const deployedBeside = (): DeployedSettings => ({
  ...deployedAs(),
  scalerSecretName: 'a/renamed/scaler',
  alarmTopicArn: 'arn:aws:sns:eu-west-1:111122223333:a',
});

const group = (more: object = {}) =>
  parseGroup('linux', {
    AutoScalingGroupName: 'circleci-runners-linux',
    MinSize: 0,
    MaxSize: 10,
    DesiredCapacity: 0,
    DefaultCooldown: 300,
    AvailabilityZones: [],
    HealthCheckType: 'EC2',
    CreatedTime: new Date(NOW),
    LaunchTemplate: { Version: '3' },
    SuspendedProcesses: [{ ProcessName: 'AZRebalance' }],
    ...more,
  });

const decided = (reasons: string[]) => ({
  at: NOW - 4_000,
  fleet: 'linux',
  execution: 'e',
  poll: 1,
  unclaimed: 0,
  running: 0,
  members: { pending: 0, inService: 0, leaving: 0, standby: 0 },
  decision: { from: 0, desired: 0, change: false, reasons },
});

describe('the concurrency of Lambda', () => {
  const named = (...names: string[]) => names.map((name) => ({ name, pollInterval: 5 }));

  it('is needed for three functions of each fleet that polls in the same second', () => {
    expect(functionsAtOnce([])).toBe(0);
    expect(functionsAtOnce(named('linux'))).toBe(3);
    // They poll in seconds of their own, and the second one reads its settings while the first one polls.
    expect(functionsAtOnce(named('linux', 'linux'))).toBe(4);
    expect(functionsAtOnce(named('linux', 'linux', 'linux', 'linux', 'linux', 'linux'))).toBe(8);
    // Every fifth second, and every minute, from the same second on.
    expect(functionsAtOnce([...named('linux'), { name: 'linux', pollInterval: 10 }])).toBeGreaterThanOrEqual(
      3,
    );
  });

  it('is enough, or the quota must be raised', () => {
    expect(concurrencyFindings(10, 10)).toEqual([expect.objectContaining({ level: 'ok' })]);
    expect(concurrencyFindings(12, 10)).toEqual([
      expect.objectContaining({
        level: 'warn',
        says: 'all fleets that poll together need 12 functions at once, and Lambda can run 10',
        remedy: expect.stringContaining('docs/operations.md#functions-throttled'),
      }),
    ]);
  });
});

const table = (id: string, routes: object[], associations: object[]) => ({
  RouteTableId: id,
  Routes: routes,
  Associations: associations,
});
const OUT = { DestinationCidrBlock: '0.0.0.0/0', GatewayId: 'igw-1', State: 'active' as const };
const TOPIC = 'arn:aws:sns:eu-west-1:111122223333:circleci-runners-alarms';

it('finds nothing against a fleet that the file does not have, and that is like none of it', () => {
  const other = { ...deployedBeside(), resourceClass: 'acme/other' };
  const groups = [{ ...group(), fleet: 'renamed' }];
  const settings = new Map([['renamed', other]]);
  expect(togetherFindings({ app: 'a', fleets: [fleetWith()], groups, settings })).toEqual([]);
});

describe('each check passes, warns or fails', () => {
  it.each<{ case: string; findings: Finding[]; levels: string; says?: RegExp }>([
    { case: 'a bootstrap', findings: bootstrapFindings(28), levels: 'ok' },
    {
      case: 'no bootstrap',
      findings: bootstrapFindings(undefined),
      levels: 'fail',
      says: /npx cdk bootstrap$/,
    },
    {
      case: 'an old bootstrap',
      findings: bootstrapFindings(5),
      levels: 'fail',
      says: /version 5, .* need 6/,
    },
    {
      case: 'a bootstrap that uploads to whoever has the name of its bucket',
      findings: bootstrapFindings(20),
      levels: 'warn',
      says: /version 20: before 21, .*npx cdk bootstrap$/s,
    },
    { case: 'a bootstrap that uploads to its account only', findings: bootstrapFindings(21), levels: 'ok' },
    { case: 'a quota', findings: quotaFindings('Spot', 20, 20), levels: 'ok' },
    {
      case: 'a small quota',
      findings: quotaFindings('On-Demand', 20, 5),
      levels: 'warn',
      says: /use 20 vCPUs, and the On-Demand quota is 5.*L-1216C47A/,
    },
    { case: 'enough storage', findings: storageFindings(300, 50), levels: 'ok', says: /50 TiB .* 0\.3 TiB/ },
    {
      case: 'too little storage',
      findings: storageFindings(51_201, 50),
      levels: 'warn',
      says: /use 50\.1 TiB .* is 50 TiB.*L-7A658B76/,
    },
    { case: 'no rate of initialization', findings: rateFindings([fleetWith()]), levels: '', says: /^$/ },
    {
      case: 'rates that a Region grants',
      findings: rateFindings([
        { ...fleetWith({ rootVolume: { initializationRate: 300 } }), name: 'a' },
        { ...fleetWith({ rootVolume: { initializationRate: 200 } }), name: 'b' },
        fleetWith(),
      ]),
      levels: 'ok',
      says: /: a, b may ask for 5000 MiB\/s at a time, of 5000/,
    },
    {
      case: 'rates that a Region does not grant',
      findings: rateFindings([fleetWith({ maxReplicas: 17, rootVolume: { initializationRate: 300 } })]),
      levels: 'warn',
      says: /if linux launch as many instances at once as they may, they ask for 5100 MiB\/s; EBS grants 5000 .*volumes-that-load-their-image/,
    },
    {
      case: 'rates that a Region does not grant only while a schedule is in force',
      findings: rateFindings([
        fleetWith({
          maxReplicas: 60,
          maxSurge: 10,
          schedules: [{ start: '0 8 * * *', end: '0 9 * * *', timezone: 'UTC', maxSurge: 17 }],
          rootVolume: { initializationRate: 300 },
        }),
      ]),
      levels: 'warn',
      says: /5100 MiB/,
    },
    {
      case: 'rates that a Region does not grant while a warm pool is filled',
      findings: rateFindings([
        fleetWith({ maxReplicas: 10, warmPool: { size: 7 }, rootVolume: { initializationRate: 300 } }),
      ]),
      levels: 'warn',
      says: /5100 MiB/,
    },
    {
      case: 'rates of a fleet that launches few at once',
      findings: rateFindings([
        fleetWith({ maxReplicas: 60, maxSurge: 10, rootVolume: { initializationRate: 300 } }),
      ]),
      levels: 'ok',
      says: /3000 MiB/,
    },
    {
      case: 'subnets in zones that load volumes at a rate',
      findings: placeFindings(
        'linux',
        [{ SubnetId: 'subnet-1', AvailabilityZone: 'eu-west-1a' }],
        [{ ZoneName: 'eu-west-1a', ZoneType: 'availability-zone' }],
      ),
      levels: '',
      says: /^$/,
    },
    {
      case: 'subnets in places that do not load volumes at a rate',
      findings: placeFindings(
        'linux',
        [
          { SubnetId: 'subnet-1', AvailabilityZone: 'eu-west-1a' },
          { SubnetId: 'subnet-2', AvailabilityZone: 'eu-west-1-dub-1a' },
          { SubnetId: 'subnet-3', AvailabilityZone: 'eu-west-1-wl1-dub' },
          { SubnetId: 'subnet-4', AvailabilityZone: 'eu-west-1a', OutpostArn: 'arn:aws:outposts:o' },
        ],
        [
          { ZoneName: 'eu-west-1a', ZoneType: 'availability-zone' },
          { ZoneName: 'eu-west-1-dub-1a', ZoneType: 'local-zone' },
          { ZoneName: 'eu-west-1-wl1-dub', ZoneType: 'wavelength-zone' },
        ],
      ),
      levels: 'fail',
      says: /launches: subnet-2 is in eu-west-1-dub-1a, a local zone; subnet-3 is in eu-west-1-wl1-dub, a wavelength zone; subnet-4 is on an Outpost/,
    },
    { case: 'the last group', findings: groupQuotaFindings(2, 498, 500), levels: 'ok' },
    {
      case: 'a group too many',
      findings: groupQuotaFindings(2, 499, 500),
      levels: 'fail',
      says: /499 of 500 .* 2 more are needed/,
    },
    {
      case: 'volumes without a key',
      findings: ebsFindings({ encrypted: true, key: 'alias/aws/ebs' }),
      levels: 'ok',
    },
    {
      case: 'an unused key',
      findings: ebsFindings({ encrypted: false, key: 'arn:aws:kms:k' }),
      levels: 'ok',
    },
    {
      case: 'a key of yours',
      findings: ebsFindings({ encrypted: true, key: 'arn:aws:kms:k' }),
      levels: 'warn',
      says: /arn:aws:kms:k.*docs\/operations\.md#let-ec2/,
    },
    {
      case: 'zones that offer the types',
      findings: zoneFindings([
        { fleet: 'linux', zones: [{ zone: 'a', offers: ['m7g.large'] }], leaveOut: [] },
      ]),
      levels: 'ok',
    },
    {
      case: 'a zone that offers none',
      findings: zoneFindings([{ fleet: 'linux', zones: [{ zone: 'a', offers: [] }], leaveOut: ['a'] }]),
      levels: 'fail',
      says: /a offers none .*npm run zones -- linux/,
    },
    {
      case: 'subnets with a way out',
      findings: routeFindings(
        'linux',
        ['s-1', 's-2'],
        [
          table('r-1', [OUT], [{ SubnetId: 's-1' }]),
          table(
            'r-0',
            [{ ...OUT, DestinationCidrBlock: undefined, DestinationIpv6CidrBlock: '::/0' }],
            [{ Main: true }],
          ),
        ],
      ),
      levels: 'ok',
    },
    {
      case: 'subnets without a way out',
      findings: routeFindings(
        'linux',
        ['s-1', 's-2', 's-3'],
        [
          table('r-1', [{ ...OUT, State: 'blackhole' }], [{ SubnetId: 's-1' }]),
          table('r-2', [OUT], [{ SubnetId: 's-3' }]),
        ],
      ),
      levels: 'warn',
      says: /^s-1, s-2: no route/,
    },
    {
      case: 'functions in a VPC with the endpoints',
      findings: scalerFindings(SCALER, SCALER_VPC),
      levels: 'ok',
      says: /^vpc-1 has the endpoints that the functions need: autoscaling, ec2, secretsmanager, ssm$/,
    },
    {
      case: 'functions in a VPC of China with the endpoints',
      findings: scalerFindings(SCALER, {
        ...SCALER_VPC,
        endpoints: endpoints('cn.com.amazonaws.cn-north-1', 'autoscaling', 'ec2', 'secretsmanager', 'ssm'),
      }),
      levels: 'ok',
    },
    {
      case: 'functions in a VPC without an endpoint',
      findings: scalerFindings(SCALER, {
        ...SCALER_VPC,
        endpoints: endpoints('com.amazonaws.eu-west-1', 'autoscaling', 'ec2', 'ssmmessages', 'ssm'),
      }),
      levels: 'fail',
      says: /^s-1, s-2: no NAT, and vpc-1 has no endpoint with private DNS names for secretsmanager, so no fleet is polled make the endpoints/,
    },
    {
      case: 'functions in a VPC with endpoints that no name leads to, or that are not ready',
      findings: scalerFindings(SCALER, {
        ...SCALER_VPC,
        endpoints: SCALER_VPC.endpoints.map((endpoint, index) => ({
          ...endpoint,
          ...(index === 0 && { PrivateDnsEnabled: false }),
          ...(index === 1 && { State: 'Pending' as const }),
        })),
      }),
      levels: 'fail',
      says: /for autoscaling, ec2, so/,
    },
    {
      case: 'functions in a VPC with a NAT gateway',
      findings: scalerFindings(SCALER, {
        ...SCALER_VPC,
        routeTables: [
          table('r-0', [{ ...OUT, GatewayId: undefined, NatGatewayId: 'nat-1' }], [{ Main: true }]),
        ],
        endpoints: [],
      }),
      levels: 'ok',
      says: /a way out, so they need no endpoints/,
    },
    {
      case: 'functions in a VPC with an internet gateway, which is no way out for them',
      findings: scalerFindings(SCALER, {
        ...SCALER_VPC,
        routeTables: [table('r-0', [{ ...OUT, GatewayId: 'igw-1' }], [{ Main: true }])],
        endpoints: [],
      }),
      levels: 'fail',
      says: /^s-1, s-2: no NAT/,
    },
    {
      case: 'functions in subnets of one zone',
      findings: scalerFindings(SCALER, {
        ...SCALER_VPC,
        subnets: SCALER_VPC.subnets.map((subnet) => ({ ...subnet, AvailabilityZoneId: 'az-1' })),
      }),
      levels: 'warn ok',
      says: /^the functions run in one zone/,
    },
    {
      case: 'functions behind a proxy without endpoints',
      findings: scalerFindings(
        { ...SCALER, httpProxy: 'http://proxy:3128' },
        { ...SCALER_VPC, endpoints: [] },
        'eu-west-1',
      ),
      levels: 'ok',
      says: /^the functions reach AWS through http:\/\/proxy:3128, so they need no endpoints$/,
    },
    {
      case: 'functions behind a proxy that reach a part of AWS without it, and have no endpoint for it',
      findings: scalerFindings(
        { ...SCALER, httpProxy: 'http://proxy:3128', noProxy: ['ssm.eu-west-1.amazonaws.com'] },
        { ...SCALER_VPC, endpoints: [] },
        'eu-west-1',
      ),
      levels: 'fail',
      says: /has no endpoint with private DNS names for ssm, so no fleet is polled/,
    },
    {
      case: 'functions behind a proxy in China whose noProxy has the domain of other partitions',
      findings: scalerFindings(
        { ...SCALER, httpProxy: 'http://proxy:3128', noProxy: ['.amazonaws.com'] },
        { ...SCALER_VPC, endpoints: [] },
        'cn-north-1',
      ),
      levels: 'ok',
      says: /reach AWS through/,
    },
    {
      case: 'functions in a subnet that does not exist',
      findings: scalerFindings(SCALER, { ...SCALER_VPC, subnets: SCALER_VPC.subnets.slice(1) }),
      levels: 'fail ok',
      says: /^the region has no s-1 correct scaler/,
    },
    {
      case: 'functions with a security group of another VPC',
      findings: scalerFindings(
        { ...SCALER, securityGroupIds: ['sg-1'] },
        { ...SCALER_VPC, securityGroups: [{ GroupId: 'sg-1', VpcId: 'vpc-2' }] },
      ),
      levels: 'fail ok',
      says: /^sg-1: not in vpc-1 correct scaler/,
    },
    {
      case: 'permissions of an install script',
      findings: installRightsFindings(withRights, 'arn:aws-cn:iam::111122223333:user/ann'),
      levels: 'ok',
      says: /^what the install script may do is of this partition and account$/,
    },
    {
      case: 'permissions of an install script of another partition and account',
      findings: installRightsFindings(withRights, 'arn:aws:iam::444455556666:user/ann'),
      levels: 'fail fail fail',
      says: /^arn:aws-cn:iam::111122223333:policy\/a is of another partition than the account, aws correct roles\.instance .* arn:aws-cn:s3:::acme\/\* is of another partition .*correct installPermissions .* is of another account, and a role takes policies of AWS and of its own account \(444455556666\) only/,
    },
    {
      case: 'an install script without permissions',
      findings: installRightsFindings(fleetWith(), 'arn:aws:iam::444455556666:user/ann'),
      levels: '',
      says: /^$/,
    },
    {
      case: 'an image',
      findings: imageFindings('linux', 'ami-1', 'ami-1', { State: 'available' }),
      levels: 'ok',
      says: /^image ami-1 is available$/,
    },
    {
      case: 'an image of a parameter, which fails',
      findings: imageFindings('linux', '/acme/image', 'ami-1', { State: 'failed' }),
      levels: 'fail',
      says: /^image ami-1 of \/acme\/image is failed/,
    },
    {
      case: 'no such parameter',
      findings: imageFindings('linux', '/acme/image', undefined, undefined),
      levels: 'fail',
      says: /^no parameter is named \/acme\/image/,
    },
    {
      case: 'no such image',
      findings: imageFindings('linux', 'ami-1', 'ami-1', undefined),
      levels: 'fail',
      says: /^no image ami-1 is in this region/,
    },
    {
      case: 'an image that was built',
      findings: builtImageFindings('linux', { id: 'ami-1', available: true }, [
        { build: '1.0.7/2', status: 'AVAILABLE' },
        { build: '1.0.7/1', status: 'FAILED' },
      ]),
      levels: 'ok',
      says: /^image ami-1 is available$/,
    },
    {
      case: 'an image whose last build failed',
      findings: builtImageFindings('linux', { id: 'ami-1', available: true }, [
        { build: '1.0.7/3', status: 'FAILED' },
      ]),
      levels: 'ok warn',
      says: /the last build of the image, 1\.0\.7\/3, failed/,
    },
    {
      case: 'a fleet without its first build, whose image is gone',
      findings: builtImageFindings('linux', { id: 'ami-1', available: false }, []),
      levels: 'fail warn',
      says: /^image ami-1 does not exist any more/,
    },
    { case: 'tokens', findings: tokenFindings('linux', undefined, 'stored'), levels: 'ok ok' },
    {
      case: 'a source that a count of 0 is not checked against',
      findings: tokenFindings('linux', undefined, 'stored', ['the fleets of runners: status 503']),
      levels: 'ok warn ok',
      says: /a count of 0 is not checked against the fleets of runners: status 503/,
    },
    { case: 'a token of unknown name', findings: tokenFindings('linux', undefined, undefined), levels: 'ok' },
    {
      case: 'a refused token',
      findings: tokenFindings('linux', { says: 'CircleCI answers 401 to it' }, 'empty'),
      levels: 'fail fail',
      says: /CircleCI answers 401 to it.*npm run secrets -- linux/,
    },
    {
      case: 'tokens that nobody has stored',
      findings: tokenFindings('linux', AWAITED, 'empty'),
      levels: 'warn',
      says: /the fleet waits for its tokens: nothing launches until both are stored.*npm run secrets -- linux/,
    },
    {
      case: 'a personal API token that nobody has stored',
      findings: tokenFindings('linux', AWAITED, 'stored'),
      levels: 'warn ok',
      says: /the fleet waits for it, because nobody has stored it.*npm run secrets -- linux/,
    },
    {
      case: 'a secret of the runners that is marked for deletion, of a fleet that waits',
      findings: tokenFindings('linux', AWAITED, 'marked for deletion'),
      levels: 'warn fail',
      says: /the secret with the resource class token is marked for deletion.*npm run secrets -- linux/,
    },
    {
      case: 'a secret of the runners that does not exist',
      findings: tokenFindings('linux', undefined, 'missing'),
      levels: 'ok fail',
      says: /the secret with the resource class token does not exist/,
    },
    { case: 'a group', findings: groupFindings(group(), deployedAs(), ['launch']), levels: 'ok' },
    {
      case: 'a group without its hook',
      findings: groupFindings(group(), deployedAs(), ['other']),
      levels: 'fail',
      says: /no lifecycle hook "launch"/,
    },
    {
      case: 'a group that was changed by hand',
      findings: groupFindings(
        group({
          MaxSize: 3,
          LaunchTemplate: { Version: '$Latest' },
          SuspendedProcesses: [{ ProcessName: 'Launch', SuspensionReason: 'User suspended' }],
          Tags: [{ Key: 'circleci-runners:paused', Value: 'true' }],
        }),
        deployedAs(),
        ['launch'],
      ),
      levels: 'warn warn fail warn',
      says: /Launch of circleci-runners-linux is suspended: User suspended/,
    },
    {
      case: 'an open breaker, which suspends Launch itself',
      findings: groupFindings(
        group({
          SuspendedProcesses: [{ ProcessName: 'Launch' }],
          Tags: [{ Key: 'circleci-runners:launch-suspended-by', Value: 'breaker' }],
        }),
        undefined,
        ['launch'],
      ),
      levels: 'fail',
      says: /breaker is open/,
    },
    {
      case: 'a fleet that drains, which suspends Launch itself',
      findings: groupFindings(
        group({
          SuspendedProcesses: [{ ProcessName: 'Launch' }],
          Tags: [
            { Key: 'circleci-runners:paused', Value: 'drain' },
            { Key: 'circleci-runners:launch-suspended-by', Value: 'drain' },
          ],
        }),
        undefined,
        ['launch'],
      ),
      levels: 'warn',
      says: /^the fleet drains, and its Launch process is suspended for the drain npm run resume -- linux$/,
    },
    {
      case: 'a fleet that was resumed after a drain, before its next poll',
      findings: groupFindings(
        group({
          SuspendedProcesses: [{ ProcessName: 'Launch' }],
          Tags: [{ Key: 'circleci-runners:launch-suspended-by', Value: 'drain' }],
        }),
        undefined,
        ['launch'],
      ),
      levels: 'warn',
      says: /the fleet drained, and its Launch process is still suspended\. The next poll resumes it/,
    },
    {
      case: 'fleets of the file',
      findings: undeclaredFindings('a', ['linux'], ['linux', 'arm']),
      levels: 'ok',
    },
    {
      case: 'a fleet that the file does not have',
      findings: undeclaredFindings('team-b', ['linux', 'old'], ['linux']),
      levels: 'warn',
      says: /keeps running npm run drain -- --stack team-b old, .*delete-stack --stack-name team-b-old$/,
    },
    {
      case: 'a fleet of an emulator of AWS that the file does not have',
      findings: undeclaredFindings('a', ['local'], ['linux'], 'http://localhost:4566'),
      levels: 'warn',
      says: /keeps running nothing, if http:\/\/localhost:4566 is an emulator of AWS, .*Otherwise: npm run drain/,
    },
    {
      case: 'a fleet that the file does not have, with the resource class of one that it has',
      findings: togetherFindings({
        app: 'a',
        fleets: [fleetWith()],
        groups: [{ ...group(), fleet: 'renamed' }],
        settings: new Map([['renamed', deployedBeside()]]),
      }),
      levels: 'fail',
      says: /resourceClass: must differ from that of the deployed fleet renamed/,
    },
    { case: 'deployed settings', findings: settingsFindings('a', fleetWith(), deployedAs()), levels: 'ok' },
    {
      case: 'a fleet that is not deployed',
      findings: settingsFindings('a', fleetWith(), undefined),
      levels: 'warn',
      says: /not deployed.*npx cdk deploy/,
    },
    {
      case: 'other settings',
      findings: settingsFindings('a', fleetWith({ maxReplicas: 12, pollInterval: '10s' }), deployedAs()),
      levels: 'warn',
      says: /pollInterval, maxReplicas/,
    },
    {
      case: 'other settings of what is bought and repaired',
      findings: settingsFindings('a', fleetWith({ spot: {}, reconcile: 'repair' }), deployedAs()),
      levels: 'warn',
      says: /spot, reconcile/,
    },
    { case: 'an enabled schedule', findings: scheduleFindings('linux', 'ENABLED'), levels: 'ok' },
    {
      case: 'a disabled schedule',
      findings: scheduleFindings('linux', 'DISABLED'),
      levels: 'fail',
      says: /disabled/,
    },
    {
      case: 'no schedule',
      findings: scheduleFindings('linux', undefined),
      levels: 'fail',
      says: /no schedule/,
    },
    {
      case: 'a poll',
      findings: pollFindings('linux', { decisions: [decided([])], awaiting: [] }, NOW),
      levels: 'ok',
      says: /4 s ago/,
    },
    {
      case: 'no poll',
      findings: pollFindings('other', { decisions: [decided([])], awaiting: [] }, NOW),
      levels: 'fail',
      says: /npm run explain/,
    },
    {
      case: 'no poll yet of a new fleet',
      findings: pollFindings('linux', { decisions: [], awaiting: [], age: 40 }, NOW),
      levels: 'warn',
      says: /^its first execution is due: its group was made 40 s ago.*npm run doctor -- linux/,
    },
    {
      case: 'a secret that was deleted after the fleet had waited for it',
      findings: pollFindings(
        'linux',
        { decisions: [], awaiting: [AWAITING, failing('SecretNotFound')] },
        NOW,
      ),
      levels: 'fail',
      says: /^nothing is polled, because executions fail: SecretNotFound: it failed npm run secrets -- linux$/,
    },
    {
      case: 'a secret that may not be read',
      findings: pollFindings('linux', { decisions: [], awaiting: [failing('SecretDenied')], age: 40 }, NOW),
      levels: 'fail',
      says: /SecretDenied: it failed npm run explain -- linux$/,
    },
    {
      case: 'a poll after a failure',
      findings: pollFindings('linux', { decisions: [decided([])], awaiting: [failing('SecretDenied')] }, NOW),
      levels: 'ok',
    },
    {
      case: 'no poll, because the tokens are not stored',
      findings: pollFindings('linux', { decisions: [], awaiting: [AWAITING] }, NOW),
      levels: 'warn',
      says: /^nothing is polled, because the fleet waits for its tokens.*npm run secrets -- linux/,
    },
    {
      case: 'a poll after the tokens were stored',
      findings: pollFindings('linux', { decisions: [decided([])], awaiting: [AWAITING] }, NOW),
      levels: 'ok',
    },
    {
      case: 'a doubtful zero',
      findings: pollFindings(
        'linux',
        { decisions: [decided(['the counts are doubtful: no runner'])], awaiting: [] },
        NOW,
      ),
      levels: 'warn',
      says: /^the counts are doubtful: no runner/,
    },
    { case: 'no alarm', findings: alarmFindings('linux', []), levels: 'ok' },
    { case: 'an alarm', findings: alarmFindings('linux', ['Starving']), levels: 'fail', says: /Starving/ },
    { case: 'a subscription', findings: topicFindings(TOPIC, ['arn:1']), levels: 'ok' },
    { case: 'no subscription', findings: topicFindings(TOPIC, []), levels: 'warn', says: /alarmEmail/ },
    {
      case: 'an unconfirmed subscription',
      findings: topicFindings(TOPIC, ['arn:1', 'PendingConfirmation']),
      levels: 'warn',
      says: /1 of 2 subscriptions to circleci-runners-alarms are not confirmed/,
    },
  ])('$case', ({ findings, levels, says = /./ }) => {
    expect(findings.map(({ level }) => level).join(' ')).toBe(levels);
    expect(
      findings
        .map(({ says: text, remedy = '' }) => `${text} ${remedy}`)
        .join(' ')
        .trim(),
    ).toMatch(says);
    for (const { level, remedy } of findings) expect(remedy === undefined).toBe(level === 'ok');
  });

  it('counts the vCPUs of the largest type at the largest maximum, of Spot fleets in both markets', () => {
    const fleets = [fleetWith(), fleetWith({ instanceTypes: ['m7g.large', 'm7g.2xlarge'], spot: {} })];
    expect(vCpusWanted(fleets, 'On-Demand')).toBe(20 + 80);
    expect(vCpusWanted(fleets, 'Spot')).toBe(80);
  });
});

it('counts the root volumes at the largest maximum, and those of the warm pool', () => {
  const pool = (size: number | string) => ({ warmPool: { size }, rootVolume: { size: 100 } });
  expect(storageWanted([fleetWith()])).toBe(10 * 30);
  expect(storageWanted([fleetWith(pool(5))])).toBe(15 * 100);
  expect(storageWanted([fleetWith(pool('auto')), fleetWith()])).toBe(20 * 100 + 300);
});

describe('a check', () => {
  const surroundings = {
    app: 'a',
    inFile: [],
    fleets: [],
    groups: [],
    settings: new Map(),
    deployedAt: new Map(),
    now: NOW,
  };

  it('that may not be made is a warning', async () => {
    const denied = Object.assign(new Error('not authorized to perform: ec2:DescribeVpcs'), {
      name: 'UnauthorizedOperation',
    });
    const check = { name: 'network', run: () => Promise.reject(denied) };
    expect(await runCheck(check, surroundings)).toEqual([
      {
        check: 'network',
        level: 'warn',
        says: 'not checked: UnauthorizedOperation: not authorized to perform: ec2:DescribeVpcs',
        remedy: 'allow this call, or use a profile that may make it',
      },
    ]);
  });

  it.each([
    ['that has no answer', () => new Promise<never>(() => {}), 'TooLate: no answer within 30 s'],
    [
      'that is throttled',
      () => Promise.reject(Object.assign(new Error('Rate exceeded'), { name: 'ThrottlingException' })),
      'ThrottlingException: Rate exceeded',
    ],
  ])('%s is a warning that says to run it again', async (_, run, says) => {
    vi.useFakeTimers();
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const found = runCheck({ name: 'network', run }, surroundings);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(await found).toEqual([
      {
        check: 'network',
        level: 'warn',
        says: `not checked: ${says}`,
        remedy: 'run npm run doctor again',
      },
    ]);
  });

  it('that an emulator of AWS does not have is a warning that says so', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL', 'http://localhost:4566');
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    const unknown = Object.assign(new Error('Unknown EC2 action: X'), { name: 'InvalidAction' });
    const check = { name: 'volume key', run: () => Promise.reject(unknown) };
    expect((await runCheck(check, surroundings))[0]).toMatchObject({
      level: 'warn',
      remedy: 'nothing, if http://localhost:4566 is an emulator of AWS: it does not have this call',
    });
  });

  it('ends all of them if the set-up of AWS is wrong', async () => {
    const expired = Object.assign(new Error('expired'), { name: 'ExpiredTokenException' });
    await expect(runCheck({ name: 'x', run: () => Promise.reject(expired) }, surroundings)).rejects.toBe(
      expired,
    );
  });
});

describe('the lines', () => {
  const found = [
    { check: 'bootstrap', ...ok('the CDK is bootstrapped, version 28') },
    { check: 'group', ...bad('warn', 'the fleet is paused', 'npm run resume -- linux', 'linux') },
    {
      check: 'network',
      ...bad('fail', 'the region has no default VPC', 'set network: new-vpc, or your own subnets', 'linux'),
    },
  ];

  it.each([80, 120])('fit %i columns', (columns) => {
    const lines = findingLines(found, columns, pc.createColors(false));
    expect(lines.filter((line) => line.length > columns)).toEqual([]);
    expect(lines.join('\n')).toMatchSnapshot();
  });
});

it('says in one line what an emulator of AWS cannot answer, after the others', () => {
  const remedy = 'nothing, if http://localhost:4566 is an emulator of AWS: it does not have this call';
  const lacking = (check: string) => ({
    check,
    ...bad('warn', `not checked: InvalidAction: Unknown action of ${check}`, remedy),
  });
  const group = { check: 'group', ...ok('its group is as it was deployed', 'local') };
  expect(findingLines([lacking('network'), group, lacking('quotas')], 200, pc.createColors(false))).toEqual([
    'ok   local, group: its group is as it was deployed',
    'warn not checked: network, quotas. To do: nothing, if http://localhost:4566 is an emulator of AWS: it does not have their calls',
    '1 ok, 1 warning, 0 failed',
  ]);
  expect(findingLines([lacking('network'), group], 200, pc.createColors(false))[0]).toContain(
    'network: not checked: InvalidAction',
  );
});

describe('npm run doctor', () => {
  let aws: OperatorAws;

  beforeEach(async () => {
    aws = await new OperatorAws().listen();
  });

  afterEach(() => aws.close());

  const command = (...words: string[]) => runAgainstAws(address(aws.server), 'doctor', words);

  it('works before a deployment: what it may not read is a warning', async () => {
    const { status, stdout } = await command('--json', '--fleets', 'examples/one-class/fleets.yaml');
    const { findings } = JSON.parse(stdout);
    expect(findings).toContainEqual(expect.objectContaining({ check: 'settings', level: 'warn' }));
    expect(findings).toContainEqual(
      expect.objectContaining({ check: 'quotas', says: expect.stringMatching(/^not checked: AccessDenied/) }),
    );
    expect(findings.map(({ level }: Finding) => level)).not.toContain('fail');
    expect(status).toBe(0);
  });

  it('leaves out fleets.yaml if the app on an emulator has none of its fleets', async () => {
    aws.groups = [{ fleet: 'local', desired: 0 }];
    const { stdout, stderr } = await command('--json');
    const about = JSON.parse(stdout).findings.map(({ fleet }: Finding) => fleet);
    expect(about).toContain('local');
    expect(about).not.toContain('example');
    expect(stderr).toContain(
      `The AWS at ${address(aws.server)} has no fleet of fleets.yaml (it has local), so only what is deployed is checked.`,
    );
    for (const words of [['--fleets', 'fleets.yaml'], ['example']]) {
      const chosen = await command('--json', ...words);
      expect(JSON.parse(chosen.stdout).findings).toContainEqual(
        expect.objectContaining({ fleet: 'example', says: 'it is in fleets.yaml, and not deployed' }),
      );
    }
  });

  it('reads fleets.yaml if the app on an emulator has one of its fleets', async () => {
    aws.groups = [
      { fleet: 'local', desired: 0 },
      { fleet: 'example', desired: 0 },
    ];
    const { stdout } = await command('--json');
    expect(JSON.parse(stdout).findings).toContainEqual(expect.objectContaining({ check: 'file' }));
  });

  it('fails for a pipeline if a deployed fleet does not poll', async () => {
    aws.groups = [{ fleet: 'linux', desired: 0 }];
    const { status, stdout } = await command('linux', '--deployed-only');
    expect(stdout).toMatch(/^fail linux, polls: no poll succeeded in the last 150 s/m);
    expect(stdout).toMatch(/^\d+ ok, \d+ warnings, \d+ failed$/m);
    expect(status).toBe(1);
  });

  it.each([
    { words: ['--deployed-only'], says: /^Stack circleci-runners has no fleets\./m },
    {
      words: ['mac', '--fleets', 'examples/one-class/fleets.yaml'],
      says: /^The fleet must be one of .*, got "mac"$/m,
    },
    { words: ['--fleets', 'none.yaml'], says: /none\.yaml/ },
    {
      words: ['--deployed-only', '--fleets', 'none.yaml'],
      says: /^--deployed-only reads no fleets file: leave out --fleets, or --deployed-only\.$/m,
    },
  ])('refuses $words', async ({ words, says }) => {
    const { status, stderr } = await command(...words);
    expect(stderr).toMatch(says);
    expect(status).toBe(2);
  });
});
