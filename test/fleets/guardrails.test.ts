import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse as parseYaml, stringify } from 'yaml';
import * as z from 'zod';
import { deploymentOf } from '../../fleets/deployment.ts';
import { FleetsInvalid, loadFleets, loadFleetsText } from '../../fleets/load.ts';
import { guardrailsReference } from '../../fleets/reference.ts';
import { guardrailsSchema } from '../../fleets/schema.ts';
import { MINIMAL, minimalNamed, minimalWith, withoutPlaces } from '../support/fleets.ts';

/** Loads the fleets of a text as a deployment does, with the guardrails of another text; without it, there is no file. */
function load(fleets: string, guardrails?: string, stack?: string) {
  const directory = mkdtempSync(join(tmpdir(), 'guardrails-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'fleets.yaml');
  writeFileSync(file, fleets);
  const given = join(directory, 'guardrails.yaml');
  if (guardrails !== undefined) writeFileSync(given, guardrails);
  try {
    return loadFleets(file, {
      ...(guardrails !== undefined && { guardrails: given }),
      ...(stack !== undefined && { stack }),
    });
  } catch (error) {
    if (error instanceof FleetsInvalid)
      error.message = withoutPlaces(error.message).replaceAll(`${directory}/`, '');
    throw error;
  }
}

/** What is said of fleets that are refused, line by line, without the first and the last. */
function refused(fleets: string, guardrails?: string, stack?: string): string[] {
  try {
    load(fleets, guardrails, stack);
  } catch (error) {
    if (error instanceof FleetsInvalid) return error.message.split('\n  ').slice(1, -1);
    throw error;
  }
  return [];
}

const replaced = (from: string, to: string, ...settings: string[]) =>
  minimalWith(...settings).replace(from, to);

const REQUIREMENTS = (max: string) =>
  replaced(
    'instanceTypes: [m7i.large]',
    `instanceRequirements: {architecture: x86_64, vCpus: {min: 2${max}}, memoryGiB: {min: 8, max: 32}}`,
  );

const PREFIX = 'a name that begins with circleci-runners/';
const SSH = 'a private range, or a public one of at most /16 (IPv4) or /32 (IPv6)';
const SCALER = '{ vpcId: vpc-00000001, subnetIds: [subnet-00000001] }';
const KEY = 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const VPC = 'vpcId: vpc-01234567, subnetIds: [subnet-01234567]';

describe('without guardrails.yaml', () => {
  it('count a fleet with instanceRequirements at no less than the dearest type that they match', () => {
    const fleet = (maxReplicas: number) =>
      replaced(
        'instanceTypes: [m7i.large]',
        'instanceRequirements: {architecture: arm64, vCpus: {min: 32, max: 32}, memoryGiB: {min: 192, max: 192}, excluded: ["c*", "m*", "r*", "x*"]}',
      ).replace(/maxReplicas: \d+/, `maxReplicas: ${maxReplicas}`);
    // is4gen.8xlarge costs 4.61 dollars.
    expect(refused(fleet(21))).toEqual([
      'linux: must cost at most 100 dollars an hour at its maximum size, got 100.8 dollars (21 instances at 4.8 dollars): lower maxReplicas (maxHourlyCost)',
    ]);
    expect(refused(fleet(20))).toEqual([]);
  });

  it.each<{ attack: string; fleets: string; says: string[] }>([
    {
      attack: "takes another application's secret to the instances",
      fleets: minimalWith('runnerSecretName: core-banking/db-master-password'),
      says: [
        `linux.runnerSecretName: must be ${PREFIX}, got "core-banking/db-master-password" (secretPrefixes)`,
      ],
    },
    {
      attack: "takes another application's secret to the functions",
      fleets: minimalWith('scalerSecretName: core-banking/db-master-password'),
      says: [
        `linux.scalerSecretName: must be ${PREFIX}, got "core-banking/db-master-password" (secretPrefixes)`,
      ],
    },
    {
      attack: 'takes a secret whose name only begins like the prefix',
      fleets: minimalWith('runnerSecretName: circleci-runners-prod/linux/runner'),
      says: [
        `linux.runnerSecretName: must be ${PREFIX}, got "circleci-runners-prod/linux/runner" (secretPrefixes)`,
      ],
    },
    {
      attack: "takes another fleet's personal API token to the instances",
      fleets: `${minimalWith('runnerSecretName: circleci-runners/b/scaler')}${minimalNamed('b').replace('acme/linux', 'acme/b')}`,
      says: [
        'linux.runnerSecretName: must not be the scaler secret of b, because the instances would read a personal API token, got "circleci-runners/b/scaler" (no ceiling allows it)',
      ],
    },
    {
      attack: "takes its own fleet's personal API token to the instances",
      fleets: minimalWith('scalerSecretName: circleci-runners/own', 'runnerSecretName: circleci-runners/own'),
      says: [
        'linux.runnerSecretName: must not be the scaler secret of linux, because the instances would read a personal API token, got "circleci-runners/own" (no ceiling allows it)',
      ],
    },
    {
      attack: 'takes the personal API token of a fleet that is in another file, or gone',
      fleets: minimalWith('runnerSecretName: circleci-runners/gone/scaler'),
      says: [
        'linux.runnerSecretName: must not be of the kind that the stack makes for scalers, because the instances would read a personal API token, got "circleci-runners/gone/scaler" (no ceiling allows it)',
      ],
    },
    {
      attack: 'sends the tokens elsewhere',
      fleets: minimalWith('circleciUrl: https://evil.example'),
      says: [
        'linux.circleciUrl: must be https://runner.circleci.com, got "https://evil.example" (circleciUrls)',
      ],
    },
    {
      attack: 'encrypts everything with a key of their own, to make it unreadable later',
      fleets: `encryptionKey: ${KEY}\n${MINIMAL}`,
      says: [
        'encryptionKey: must be left out, because no key is listed, got "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" (encryptionKeys)',
      ],
    },
    {
      attack: 'launches a type that costs 500 times as much',
      fleets: replaced('m7i.large', 'p5.48xlarge', 'image: /acme/gpu'),
      says: [
        'linux.instanceTypes: must be one of c*, m*, r*, t2.*, t3*, t4g.*, got "p5.48xlarge" (instanceTypes)',
      ],
    },
    {
      attack: 'keeps ten thousand instances',
      fleets: replaced('maxReplicas: 20', 'maxReplicas: 10000', 'minReplicas: 10000'),
      says: [
        'linux.minReplicas: must be at most 500, got 10000 (maxInstances)',
        'linux.maxReplicas: must be at most 500, got 10000 (maxInstances)',
        'linux: must cost at most 100 dollars an hour at its maximum size, got 1008 dollars (10000 instances at 0.1008 dollars): lower maxReplicas (maxHourlyCost)',
        '(all fleets): must have at most 1000 instances together, got 10000: lower maxReplicas, first that of linux (maxInstancesOfAllFleets)',
        '(all fleets): must cost at most 200 dollars an hour together, got 1008 dollars: lower maxReplicas, first that of linux (maxHourlyCostOfAllFleets)',
      ],
    },
    {
      attack: 'hides the number in a schedule',
      fleets: minimalWith('schedules: [{start: 0 0 * * *, end: 0 6 * * *, maxReplicas: 900}]'),
      says: ['linux.schedule 1.maxReplicas: must be at most 500, got 900 (maxInstances)'],
    },
    {
      attack: 'names a price that is too low',
      fleets: replaced('m7i.large', 'm7i.48xlarge', 'hourlyPrice: 0.001', 'maxHourlyCost: 1'),
      says: [
        'linux: must cost at most 100 dollars an hour at its maximum size, got 193.536 dollars (20 instances at 9.6768 dollars): lower maxReplicas (maxHourlyCost)',
      ],
    },
    {
      attack: 'takes the largest size of a family that the list of prices lacks',
      fleets: replaced('m7i.large', 'm9x.48xlarge'),
      says: [
        'linux: must cost at most 100 dollars an hour at its maximum size, got 460.8 dollars (20 instances at 23.04 dollars): lower maxReplicas (maxHourlyCost)',
        '(all fleets): must cost at most 200 dollars an hour together, got 460.8 dollars: lower maxReplicas, first that of linux (maxHourlyCostOfAllFleets)',
      ],
    },
    {
      attack: 'takes a size that says nothing about the price',
      fleets: replaced('m7i.large', 'm9x.metal'),
      says: [
        'linux.instanceTypes: must be a type with a list price, or one in hourlyPrices, got "m9x.metal" (hourlyPrices)',
      ],
    },
    {
      attack: 'has a mistyped size',
      fleets: replaced('m7i.large', 'm7i.lagre'),
      says: [
        'linux.instanceTypes: must be a type with a list price (the nearest one is m7i.large), or one in hourlyPrices, got "m7i.lagre" (hourlyPrices)',
      ],
    },
    {
      attack: 'gives cheap instances volumes of 64 TiB',
      fleets: replaced('m7i.large', 't3.micro', 'rootVolume: {size: 65536, iops: 80000, throughput: 2000}'),
      says: [
        'linux: must cost at most 100 dollars an hour at its maximum size, got 156.3855 dollars (20 instances at 0.0104 dollars, and 20 root volumes at 7.8089 dollars more than the default one): lower maxReplicas or rootVolume (maxHourlyCost)',
      ],
    },
    {
      attack: 'hides the volumes in a warm pool',
      fleets: replaced('m7i.large', 't3.micro', 'rootVolumeSize: 32768', 'warmPool: {size: auto}'),
      says: [
        'linux: must cost at most 100 dollars an hour at its maximum size, got 143.717 dollars (20 instances at 0.0104 dollars, and 40 root volumes at 3.5877 dollars more than the default one): lower maxReplicas or rootVolume (maxHourlyCost)',
      ],
    },
    {
      attack: 'describes a type without an upper limit',
      fleets: REQUIREMENTS(''),
      says: ['linux.instanceRequirements.vCpus.max: must be at most 64, got nothing (instanceRequirements)'],
    },
    {
      attack: "gives jobs the instance's role",
      fleets: minimalWith('allowInstanceMetadata: true'),
      says: ['linux.allowInstanceMetadata: must be false, got true (allowInstanceMetadata)'],
    },
    {
      attack: 'opens SSH to everybody',
      fleets: minimalWith('sshCidr: 0.0.0.0/0'),
      says: [`linux.sshCidr: must be ${SSH}, got "0.0.0.0/0" (sshRanges)`],
    },
    {
      attack: 'opens SSH to half of everybody',
      fleets: minimalWith('sshCidr: 128.0.0.0/1'),
      says: [`linux.sshCidr: must be ${SSH}, got "128.0.0.0/1" (sshRanges)`],
    },
    {
      attack: 'opens SSH reruns to everybody, by IPv6',
      fleets: minimalWith('sshRerun: {cidr: "::/0"}', `network: {${VPC}}`),
      says: [`linux.sshRerun.cidr: must be ${SSH}, got "::/0" (sshRanges)`],
    },
  ])('$attack: refused', ({ fleets, says }) => {
    expect(refused(fleets)).toEqual(says);
  });

  it('says everything at once, and who can raise a ceiling', () => {
    const text = minimalWith(
      'runnerSecretName: core-banking/db-master-password',
      'circleciUrl: https://evil.example',
      'sshCidr: 0.0.0.0/0',
    );
    expect(() => load(text)).toThrow(
      [
        'fleets.yaml asks for more than is allowed without guardrails.yaml:',
        'linux.circleciUrl: must be https://runner.circleci.com, got "https://evil.example" (circleciUrls)',
        `linux.runnerSecretName: must be ${PREFIX}, got "core-banking/db-master-password" (secretPrefixes)`,
        `linux.sshCidr: must be ${SSH}, got "0.0.0.0/0" (sshRanges)`,
        'The owner of guardrails.yaml can set the ceilings, whose names are in brackets. See docs/guardrails.md.',
      ].join('\n  '),
    );
  });

  it.each([
    { setting: 'scalerSecretName: circleci-runners/acme/scaler' },
    { setting: 'sshCidr: 203.0.113.0/24' },
    { setting: 'sshCidr: 10.0.0.0/8' },
    { setting: 'sshCidr: fd00::/8\n  network: {vpcId: vpc-01234567, subnetIds: [subnet-01234567]}' },
    { setting: 'docker: true' },
    { setting: 'rootVolumeSize: 1000' },
    { setting: 'sessionManager: true' },
    { setting: 'network: new-vpc' },
    { setting: 'circleciUrl: https://runner.circleci.com/' },
    { setting: 'circleciUrl: http://127.0.0.1:4566' },
  ])('$setting is allowed', ({ setting }) => {
    expect(load(minimalWith(setting))).toHaveLength(1);
  });

  it.each([
    {
      case: 'its runner secret',
      setting: 'runnerSecretName: circleci-runners/b/runner',
      says: 'linux.runnerSecretName: must differ from that of b: a token claims tasks of one resource class, and each fleet has its own, got "circleci-runners/b/runner" (no ceiling allows it)',
    },
    {
      case: 'its runner secret for the scaler',
      setting: 'scalerSecretName: circleci-runners/b/runner',
      says: 'linux.scalerSecretName: must not be the runner secret of b, because its instances would read a personal API token, got "circleci-runners/b/runner" (no ceiling allows it)',
    },
    {
      case: 'its scaler secret, for another CircleCI',
      setting: 'scalerSecretName: circleci-runners/b/scaler\n  circleciUrl: http://127.0.0.1:4566',
      says: 'linux.scalerSecretName: must differ from that of b, whose circleciUrl is another: a secret names the one address to which its token may go, got "circleci-runners/b/scaler" (no ceiling allows it)',
    },
  ])('refuses the secret that the stack makes for another fleet: $case', ({ setting, says }) => {
    const other = minimalNamed('b').replace('acme/linux', 'acme/b');
    expect(refused(`${minimalWith(setting)}${other}`)).toEqual([says]);
    // Not the secret of `b` if that names another one.
    const key = setting.includes('/runner') ? 'runnerSecretName' : 'scalerSecretName';
    expect(refused(`${minimalWith(setting)}${other}  ${key}: circleci-runners/own\n`)).toEqual([]);
  });

  it("refuses the fleet's own runner secret for the scaler", () => {
    expect(refused(minimalWith('scalerSecretName: circleci-runners/linux/runner'))).toEqual([
      'linux.scalerSecretName: must not be the runner secret of linux, because its instances would read a personal API token, got "circleci-runners/linux/runner" (no ceiling allows it)',
    ]);
  });

  it('lets fleets of one CircleCI share the scaler secret that the stack makes for one of them', () => {
    const other = minimalNamed('b').replace('acme/linux', 'acme/b');
    expect(refused(`${minimalWith('scalerSecretName: circleci-runners/b/scaler')}${other}`)).toEqual([]);
  });

  it("lets a stack have secrets under its own name, and not under the default stack's", () => {
    const own = minimalWith('runnerSecretName: team-b/linux/token');
    expect(refused(own, undefined, 'team-b')).toEqual([]);
    expect(refused(own)).toHaveLength(1);
    expect(
      refused(minimalWith('scalerSecretName: circleci-runners/linux/scaler'), undefined, 'team-b'),
    ).toEqual([
      'linux.scalerSecretName: must be a name that begins with team-b/, got "circleci-runners/linux/scaler" (secretPrefixes)',
    ]);
  });
});

const PROXIED = (url: string) =>
  `scaler: {vpcId: vpc-01234567, subnetIds: [subnet-01234567], httpProxy: "${url}"}\n`;

const permissions = (action: string, resource: string) =>
  `installPermissions: [{actions: ["${action}"], resources: ["${resource}"]}]`;

/** Two entries, so that an action of one on a resource of the other is in neither. */
const ARTIFACTS =
  'installPermissions: [{actions: [s3:GetObject], resources: ["arn:aws:s3:::acme/*"]}, {actions: [iam:PassRole], resources: ["arn:aws:iam::111122223333:role/a"]}]';

describe('guardrails.yaml', () => {
  it.each<{ ceiling: string; fleets: string; says?: string[] }>([
    {
      ceiling: 'instanceTypes: [m7i.*]',
      fleets: replaced('[m7i.large]', '[m7i.large, m7i-flex.large, m6i.large]'),
      says: [
        'linux.instanceTypes: must be one of m7i.*, got "m7i-flex.large" (instanceTypes)',
        'linux.instanceTypes: must be one of m7i.*, got "m6i.large" (instanceTypes)',
      ],
    },
    { ceiling: 'instanceTypes: [m7i.*]', fleets: MINIMAL },
    {
      ceiling: 'instanceTypes: [m7i.*]',
      fleets: REQUIREMENTS(', max: 8'),
      says: [
        'linux.instanceRequirements: must be left out: set instanceTypes, got a map (instanceRequirements)',
      ],
    },
    {
      ceiling: '{instanceTypes: [m7i.*], instanceRequirements: {vCpus: 8, memoryGiB: 16}}',
      fleets: REQUIREMENTS(', max: 8'),
      says: ['linux.instanceRequirements.memoryGiB.max: must be at most 16, got 32 (instanceRequirements)'],
    },
    { ceiling: 'instanceRequirements: {vCpus: 8, memoryGiB: 32}', fleets: REQUIREMENTS(', max: 8') },
    {
      ceiling: 'maxInstances: 19',
      fleets: MINIMAL,
      says: ['linux.maxReplicas: must be at most 19, got 20 (maxInstances)'],
    },
    { ceiling: 'maxInstances: 20', fleets: MINIMAL },
    {
      ceiling: '{instanceTypes: [p5.*], hourlyPrices: {p5.*: 98.32}, maxHourlyCost: 200}',
      fleets: replaced('m7i.large', 'p5.48xlarge', 'image: /acme/gpu').replace('20', '3'),
      says: [
        'linux: must cost at most 200 dollars an hour at its maximum size, got 294.96 dollars (3 instances at 98.32 dollars): lower maxReplicas (maxHourlyCost)',
        '(all fleets): must cost at most 200 dollars an hour together, got 294.96 dollars: lower maxReplicas, first that of linux (maxHourlyCostOfAllFleets)',
      ],
    },
    {
      ceiling: '{instanceTypes: [p5.*]}',
      fleets: replaced('m7i.large', 'p5.48xlarge', 'image: /acme/gpu'),
      says: [
        'linux.instanceTypes: must be a type with a list price, or one in hourlyPrices, got "p5.48xlarge" (hourlyPrices)',
      ],
    },
    { ceiling: 'maxHourlyCost: 2', fleets: minimalWith('maxHourlyCost: 2') },
    {
      ceiling: 'circleciUrls: [https://circleci.acme.example]',
      fleets: MINIMAL,
      says: [
        'linux.circleciUrl: must be https://circleci.acme.example, got "https://runner.circleci.com" (circleciUrls)',
      ],
    },
    {
      ceiling: 'circleciUrls: [https://circleci.acme.example]',
      fleets: minimalWith('circleciUrl: https://circleci.acme.example/'),
    },
    {
      ceiling: 'secretPrefixes: [acme/circleci/]',
      fleets: minimalWith('scalerSecretName: acme/circleci/scaler', 'runnerSecretName: acme/vault/runner'),
      says: [
        'linux.runnerSecretName: must be a name that begins with acme/circleci/, got "acme/vault/runner" (secretPrefixes)',
      ],
    },
    {
      ceiling: 'secretPrefixes: []',
      fleets: minimalWith('scalerSecretName: circleci-runners/a'),
      says: [
        'linux.scalerSecretName: must be a name that begins with nothing: leave it out, got "circleci-runners/a" (secretPrefixes)',
      ],
    },
    { ceiling: 'networks: [default-vpc, vpc-00000001]', fleets: `scaler: ${SCALER}\n${MINIMAL}` },
    {
      ceiling: 'networks: [default-vpc, vpc-00000002]',
      fleets: `scaler: ${SCALER}\n${MINIMAL}`,
      says: [
        'scaler: must be a VPC or subnets of default-vpc, vpc-00000002, got ["vpc-00000001", "subnet-00000001"] (networks)',
      ],
    },
    {
      ceiling: 'networks: [default-vpc, vpc-00000001]',
      fleets: `scaler: ${SCALER.replace('}', ', securityGroupIds: [sg-00000001] }')}\n${MINIMAL}`,
      says: [
        'scaler.subnetIds: must be subnets of default-vpc, vpc-00000001, because securityGroupIds is set, got ["subnet-00000001"] (networks)',
      ],
    },
    { ceiling: `encryptionKeys: ["${KEY}"]`, fleets: `encryptionKey: ${KEY}\n${MINIMAL}` },
    {
      ceiling: 'encryptionKeys: [arn:aws:kms:*:111122223333:key/*]',
      fleets: `encryptionKey: ${KEY}\n${MINIMAL}`,
    },
    {
      ceiling: 'encryptionKeys: [arn:aws:kms:*:111122223333:key/*]',
      fleets: `encryptionKey: ${KEY.replace('111122223333', '999988887777')}\n${MINIMAL}`,
      says: [
        'encryptionKey: must be arn:aws:kms:*:111122223333:key/*, got "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab" (encryptionKeys)',
      ],
    },
    {
      ceiling: 'networks: [new-vpc]',
      fleets: MINIMAL,
      says: ['linux.network: must be one of new-vpc, got "default-vpc" (networks)'],
    },
    { ceiling: 'networks: [vpc-01234567]', fleets: minimalWith(`network: {${VPC}}`) },
    {
      ceiling: 'networks: [vpc-89abcdef]',
      fleets: minimalWith(`network: {${VPC}}`),
      says: [
        'linux.network: must be a VPC or subnets of vpc-89abcdef, got ["vpc-01234567", "subnet-01234567"] (networks)',
      ],
    },
    {
      // The subnets could be of any VPC, and so could the security groups.
      ceiling: 'networks: [vpc-01234567]',
      fleets: minimalWith(`network: {${VPC}, securityGroupIds: [sg-01234567]}`),
      says: [
        'linux.network.subnetIds: must be subnets of vpc-01234567, because securityGroupIds is set, got ["subnet-01234567"] (networks)',
      ],
    },
    {
      ceiling: 'networks: [subnet-01234567]',
      fleets: minimalWith(`network: {${VPC}, securityGroupIds: [sg-01234567]}`),
    },
    {
      ceiling: 'sshRanges: []',
      fleets: minimalWith('sshCidr: 10.0.0.0/8'),
      says: ['linux.sshCidr: must be left out, got "10.0.0.0/8" (sshRanges)'],
    },
    {
      ceiling: 'sshRanges: [203.0.113.0/24]',
      fleets: minimalWith('sshCidr: 203.0.0.0/16'),
      says: ['linux.sshCidr: must be within 203.0.113.0/24, got "203.0.0.0/16" (sshRanges)'],
    },
    { ceiling: 'sshRanges: [203.0.113.0/24]', fleets: minimalWith('sshCidr: 203.0.113.64/26') },
    {
      ceiling: 'maxHourlyCost: 1',
      fleets: MINIMAL,
      says: [
        'linux: must cost at most 1 dollar an hour at its maximum size, got 2.016 dollars (20 instances at 0.1008 dollars): lower maxReplicas (maxHourlyCost)',
      ],
    },
    { ceiling: 'sshRanges: [0.0.0.0/0]', fleets: minimalWith('sshCidr: 0.0.0.0/0') },
    {
      ceiling: 'allowDocker: false',
      fleets: minimalWith('docker: true'),
      says: ['linux.docker: must be false, got true (allowDocker)'],
    },
    {
      ceiling: 'allowSessionManager: false',
      fleets: minimalWith('sessionManager: true'),
      says: ['linux.sessionManager: must be false, got true (allowSessionManager)'],
    },
    {
      ceiling: '# no policies',
      fleets: minimalWith('roles: {instance: ["arn:aws:iam::aws:policy/AdministratorAccess"]}'),
      says: [
        'linux.roles.instance: must be left out, because no policy is listed, got "arn:aws:iam::aws:policy/AdministratorAccess" (instancePolicies)',
      ],
    },
    {
      ceiling: 'instancePolicies: ["arn:aws:iam::111122223333:policy/runners/*"]',
      fleets: minimalWith(
        'roles: {instance: ["arn:aws:iam::111122223333:policy/runners/a", "arn:aws:iam::aws:policy/runners/a"]}',
      ),
      says: [
        'linux.roles.instance: must be arn:aws:iam::111122223333:policy/runners/*, got "arn:aws:iam::aws:policy/runners/a" (instancePolicies)',
      ],
    },
    {
      ceiling: '# no permissions',
      fleets: minimalWith(permissions('s3:GetObject', 'arn:aws:s3:::acme/*')),
      says: [
        'linux.installPermission 1: must be left out, because no permission is listed, got "s3:GetObject on arn:aws:s3:::acme/*" (installPermissions)',
      ],
    },
    ...[
      ['s3:GetObject', 'arn:aws:s3:::acme/*'],
      ['s3:GetObject', 'arn:aws:s3:::acme/tools/*'],
      ['s3:GetObject', 'arn:aws:s3:::acme/tools/*.tar.gz'],
    ].map(([action = '', resource = '']) => ({
      ceiling: ARTIFACTS,
      fleets: minimalWith(permissions(action, resource)),
    })),
    ...[
      ['s3:Get*', 'arn:aws:s3:::acme/*'],
      ['s3:GetObject', 'arn:aws:s3:::acme*'],
      ['s3:GetObject', 'arn:aws:s3:::acmeX/a'],
      ['s3:GetObject', '*'],
      ['s3:GetObject', 'arn:aws:iam::111122223333:role/a'],
      ['iam:PassRole', 'arn:aws:s3:::acme/*'],
    ].map(([action = '', resource = '']) => ({
      ceiling: ARTIFACTS,
      fleets: minimalWith(permissions(action, resource)),
      says: [
        `linux.installPermission 1: must be s3:GetObject on arn:aws:s3:::acme/*, or iam:PassRole on arn:aws:iam::111122223333:role/a, got "${action} on ${resource}" (installPermissions)`,
      ],
    })),
    {
      ceiling: ARTIFACTS,
      fleets: minimalWith(
        permissions('s3:GetObject", "s3:PutObject", "s3:List*', 'arn:aws:s3:::acme/*", "*'),
      ),
      says: [
        'linux.installPermission 1: must be s3:GetObject on arn:aws:s3:::acme/*, or iam:PassRole on arn:aws:iam::111122223333:role/a, got "s3:GetObject on *, and 4 more" (installPermissions)',
      ],
    },
    {
      ceiling: 'scalerProxies: ["http://proxy.acme.internal:3128/"]',
      fleets: `${PROXIED('http://proxy.acme.internal:3128')}${MINIMAL}`,
    },
    {
      ceiling: 'scalerProxies: ["http://proxy.acme.internal:3128"]',
      fleets: `${PROXIED('http://proxy.evil.example:3128')}${MINIMAL}`,
      says: [
        'scaler.httpProxy: must be http://proxy.acme.internal:3128, got "http://proxy.evil.example:3128" (scalerProxies)',
      ],
    },
    { ceiling: 'allowInstanceMetadata: true', fleets: minimalWith('allowInstanceMetadata: true') },
    { ceiling: '# nothing', fleets: MINIMAL },
  ])('$ceiling: $says', ({ ceiling, fleets, says = [] }) => {
    expect(refused(fleets, ceiling)).toEqual(says);
  });

  it('decides which types the roles of the app may launch', () => {
    expect(load(MINIMAL, 'instanceTypes: [m7i.*]')).toMatchObject([{ allowedTypes: ['m7i.*'] }]);
    expect(load(MINIMAL)).toMatchObject([{ allowedTypes: ['c*', 'm*', 'r*', 't2.*', 't3*', 't4g.*'] }]);
  });

  it('is named by the faults of what it does not allow', () => {
    expect(() => load(MINIMAL, 'maxInstances: 1')).toThrow(
      /^fleets\.yaml asks for more than guardrails\.yaml allows:\n/,
    );
  });

  it('is refused with all of its own faults', () => {
    expect(() =>
      load(
        MINIMAL,
        '{maxInstance: 3, allowDocker: perhaps, secretPrefixes: [core], encryptionKeys: ["arn:aws:kms:*:*:key/*"]}',
      ),
    ).toThrow(
      [
        'guardrails.yaml has 4 faults:',
        'secretPrefix 1: must be the beginning of names of secrets that ends with a slash, such as acme/circleci/, got "core"',
        'encryptionKey 1: must be the ARN of a KMS key or a pattern with an account, such as arn:aws:kms:eu-west-1:111122223333:key/*, got "arn:aws:kms:*:*:key/*"',
        'allowDocker: must be true or false, got "perhaps"',
        'maxInstance: is not a setting; the nearest one is maxInstances',
      ].join('\n  '),
    );
  });

  it('is not optional where a deployment names it', () => {
    expect(() => loadFleets('fleets.yaml', { guardrails: '/nowhere/guardrails.yaml' })).toThrow(
      '/nowhere/guardrails.yaml cannot be read: ENOENT',
    );
  });

  it('is found by cdk.json, also without the CDK', () => {
    const directory = mkdtempSync(join(tmpdir(), 'cdk-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const file = join(directory, 'cdk.json');
    writeFileSync(file, '{"app": "x", "context": {"guardrails": "platform/limits.yaml", "stack": "team-b"}}');
    expect(deploymentOf(file)).toEqual({ guardrails: 'platform/limits.yaml', stack: 'team-b' });
    expect(deploymentOf(join(directory, 'none.json'))).toEqual({
      guardrails: undefined,
      stack: 'circleci-runners',
    });
  });
});

describe('the folders that read fleets.yaml', () => {
  it.each(['cli', 'infra'])('%s/ reads it with guardrails only', (folder) => {
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.ts'),
    );
    const naming = files.filter((file) => readFileSync(join(folder, file), 'utf8').includes('readFleets'));
    expect(naming).toEqual([]);
    expect(files.some((file) => readFileSync(join(folder, file), 'utf8').includes('loadFleets('))).toBe(true);
  });
});

describe('whatever fleets.yaml says', () => {
  const ceilings = { maxInstances: 50, maxHourlyCost: 4, instanceTypes: ['m7i.*', 't4g.*'] };
  const types = fc.constantFrom('m7i.large', 'm7i.4xlarge', 't4g.small', 'c7i.large', 'p5.48xlarge');
  const fleets = fc.record(
    {
      instanceTypes: fc.uniqueArray(types, { minLength: 1, maxLength: 2 }),
      maxReplicas: fc.integer({ min: 1, max: 100 }),
      minReplicas: fc.integer({ min: 0, max: 3 }),
      maxHourlyCost: fc.double({ min: 0.5, max: 20, noNaN: true }),
      hourlyPrice: fc.double({ min: 0.01, max: 20, noNaN: true }),
      schedules: fc.array(
        fc.record({
          start: fc.constant('0 8 * * *'),
          end: fc.constant('0 9 * * *'),
          maxReplicas: fc.integer({ min: 3, max: 100 }),
        }),
        { maxLength: 2 },
      ),
    },
    { requiredKeys: ['instanceTypes', 'maxReplicas'] },
  );
  const PRICES: Record<string, number> = { 'm7i.large': 0.1008, 'm7i.4xlarge': 0.8064, 't4g.small': 0.0168 };

  it('no fleet that is accepted is above a ceiling', () => {
    let accepted = 0;
    fc.assert(
      fc.property(fleets, (settings) => {
        let loaded: ReturnType<typeof load>;
        try {
          loaded = load(
            stringify({ linux: { resourceClass: 'acme/linux', ...settings } }),
            stringify(ceilings),
          );
        } catch (error) {
          expect(error).toBeInstanceOf(FleetsInvalid);
          return;
        }
        accepted += 1;
        const [fleet] = loaded;
        const most = Math.max(
          settings.maxReplicas,
          ...(settings.schedules ?? []).map((each) => each.maxReplicas),
        );
        const size = Math.min(most, fleet?.affordable ?? most);
        const price = Math.max(
          ...settings.instanceTypes.map((type) => PRICES[type] ?? Number.POSITIVE_INFINITY),
        );
        expect(most).toBeLessThanOrEqual(ceilings.maxInstances);
        expect(size * price).toBeLessThanOrEqual(ceilings.maxHourlyCost + 1e-9);
      }),
      { numRuns: 500 },
    );
    expect(accepted).toBeGreaterThan(20);
  });
});

describe('the reference and the schema of guardrails.yaml', () => {
  const [, example = ''] = /```yaml\n(.*?)```/s.exec(guardrailsReference()) ?? [];

  it('has an example with every ceiling that the file and its schema accept', () => {
    const schema = JSON.parse(guardrailsSchema());
    expect(Object.keys(parseYaml(example))).toEqual(Object.keys(schema.properties));
    expect(z.fromJSONSchema(schema).safeParse(parseYaml(example)).success).toBe(true);
    expect(refused(minimalWith('circleciUrl: https://circleci.acme.example'), example)).toEqual([
      expect.stringContaining('linux.network: must be one of vpc-0123456789abcdef0'),
    ]);
  });

  it('describes every ceiling', () => {
    const { properties } = JSON.parse(guardrailsSchema());
    for (const ceiling of Object.values<{ description?: string }>(properties))
      expect(ceiling.description).toEqual(expect.any(String));
  });

  it('shows messages as they are', () => {
    const [, shown = ''] = /```text\n(.*?)```/s.exec(guardrailsReference()) ?? [];
    const fleets = replaced('maxReplicas: 20', 'maxReplicas: 10000', 'allowInstanceMetadata: true');
    const directory = mkdtempSync(join(tmpdir(), 'guardrails-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const guardrails = join(directory, 'guardrails.yaml');
    writeFileSync(guardrails, 'maxInstances: 100');
    let lines: string[] = [];
    try {
      loadFleetsText(fleets, 'fleets.yaml', { guardrails });
    } catch (error) {
      lines = (error as Error).message.split('\n');
    }
    for (const line of shown.trimEnd().split('\n').slice(1)) expect(lines).toContain(line);
  });
});
