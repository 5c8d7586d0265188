import { describe, expect, it } from 'vitest';
import { logicalId } from '../../fleets/names.ts';
import { complaintsAbout, fleetsOf, MINIMAL, minimalNamed, minimalWith, RUNNER } from '../support/fleets.ts';

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
        `fleets.yaml has a fault:\n  ${name}: must have a name of a letter and at most 31 more letters, digits, hyphens and underscores, and not begin with x-`,
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
        'fleets.yaml has 3 faults:',
        'network.network.vpcId: must be the id of a VPC, such as vpc-0123456789abcdef0, got nothing',
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
