import { InstanceArchitecture, InstanceClass, InstanceType } from 'aws-cdk-lib/aws-ec2';
import { describe, expect, it } from 'vitest';
import { architectureOf, hasAccelerator, isMac } from '../../fleets/settings/instance.ts';
import { complaintsAbout, fleetsOf, minimalWith } from '../support/fleets.ts';

describe('instance types', () => {
  it.each([
    { types: ['m7g.large', 'c7gn.xlarge', 't4g.small', 'a1.medium'], sound: true },
    { types: ['m7i.large', 'm7a.large', 'g4dn.xlarge', 'u-6tb1.metal'], sound: true },
    { types: ['m7i.large', 'm7g.large'], sound: false },
    { types: ['g5.xlarge', 'g5g.xlarge'], sound: false },
  ])('instance types $types share an architecture: $sound', ({ types, sound }) => {
    // Some of them need a driver.
    const given = minimalWith('image: ami-0123456789abcdef0').replace('[m7i.large]', `[${types}]`);
    if (sound) expect(fleetsOf(given)[0]?.instanceTypes).toEqual(types);
    else {
      expect(complaintsAbout(given)).toBe(
        `fleets.yaml has a fault:\n  linux.instanceTypes: must all be of one architecture, arm64 (Graviton) or x86_64, because they share one image, got [${types.map((type) => `"${type}"`).join(', ')}]`,
      );
    }
  });
});

describe('instance types that need more than the stock image', () => {
  const withTypes = (types: string[], ...settings: string[]) =>
    minimalWith(...settings).replace('[m7i.large]', `[${types}]`);

  it.each(['mac1.metal', 'mac2-m2pro.metal', 'mac-m4.metal'])('%s is refused with any image', (type) => {
    for (const settings of [[], ['image: ami-0123456789abcdef0']]) {
      expect(complaintsAbout(withTypes([type], ...settings))).toBe(
        `fleets.yaml has a fault:\n  linux.instanceTypes: Mac instances run macOS on Dedicated Hosts, and this project supports Linux only; leave out ${type}`,
      );
    }
  });

  const INSTEAD =
    'set image to one that has, such as one from an AWS Deep Learning AMI, or install the driver with an install script';

  it('are named in the fault, without the types beside them', () => {
    expect(complaintsAbout(withTypes(['m7i.large', 'mac1.metal', 'c7i.large']))).toBe(
      'fleets.yaml has a fault:\n  linux.instanceTypes: Mac instances run macOS on Dedicated Hosts, and this project supports Linux only; leave out mac1.metal',
    );
    expect(complaintsAbout(withTypes(['g5.xlarge', 'm7i.large', 'g4dn.xlarge']))).toBe(
      `fleets.yaml has a fault:\n  linux.instanceTypes: g5.xlarge, g4dn.xlarge have a GPU or another accelerator, and ubuntu has no driver for them: ${INSTEAD}`,
    );
  });

  const ACCELERATED = [
    ['p3.2xlarge', 'p6-b200.48xlarge', 'g4dn.xlarge', 'g5g.xlarge', 'gr6.4xlarge', 'g4ad.xlarge'],
    ['inf2.xlarge', 'trn1.2xlarge', 'dl1.24xlarge', 'dl2q.24xlarge', 'f2.6xlarge', 'vt1.3xlarge'],
  ].flat();

  it.each(ACCELERATED)('%s needs an image or an install script that has its driver', (type) => {
    expect(complaintsAbout(withTypes([type], 'image: amazon-linux'))).toBe(
      `fleets.yaml has a fault:\n  linux.instanceTypes: ${type} has a GPU or another accelerator, and amazon-linux has no driver for it: ${INSTEAD}`,
    );
    const beside = { 'driver.sh': '#!/bin/sh\n' };
    for (const settings of ['image: ami-0123456789abcdef0', 'image: /acme/gpu', 'install: driver.sh'])
      expect(fleetsOf(withTypes([type], settings), beside)).toHaveLength(1);
  });

  it('are only these: every other family that the CDK knows is accepted', () => {
    for (const family of Object.values(InstanceClass)) {
      const type = `${family}.large`;
      if (!/^([a-z]{1,3}\d[a-z-]*|u-\d+tb1)$/.test(family) || isMac(type) || hasAccelerator(type)) continue;
      expect(fleetsOf(withTypes([type]))).toHaveLength(1);
    }
    const accelerated = Object.values(InstanceClass).filter((family) => hasAccelerator(`${family}.large`));
    expect(new Set(accelerated.map((family) => family.replace(/\d.*/, '')))).toEqual(
      new Set(['p', 'g', 'gr', 'inf', 'trn', 'dl', 'f', 'vt']),
    );
  });
});

describe('architectureOf', () => {
  // The long spellings of the enumeration, such as `memory5`, are no instance types.
  const families = [...new Set(Object.values(InstanceClass))].filter((family) =>
    /^[a-z]{1,3}\d[a-z]{0,3}$/.test(family),
  );

  it('agrees with the CDK about each family', () => {
    expect(families.length).toBeGreaterThan(100);
    const wrong = families.filter((family) => {
      const arm = new InstanceType(`${family}.large`).architecture === InstanceArchitecture.ARM_64;
      return architectureOf(`${family}.large`) !== (arm ? 'arm64' : 'x86_64');
    });
    expect(wrong).toEqual([]);
  });
});

describe('instanceRequirements', () => {
  const LEAST = { architecture: 'arm64', vCpus: { min: 2 }, memoryGiB: { min: 8 } };
  const withRequirements = (requirements: unknown, ...settings: string[]) =>
    minimalWith(...settings).replace(
      'instanceTypes: [m7i.large]',
      `instanceRequirements: ${JSON.stringify(requirements)}`,
    );

  it('replace instanceTypes', () => {
    expect(fleetsOf(withRequirements(LEAST))).toMatchObject([
      { instanceRequirements: { ...LEAST, burstable: false, excluded: [] } },
    ]);
    const most = {
      architecture: 'x86_64',
      vCpus: { min: 2, max: 2 },
      memoryGiB: { min: 4, max: 16 },
      burstable: true,
      excluded: ['r*', 'm5.large'],
    };
    expect(fleetsOf(withRequirements(most))).toMatchObject([{ instanceRequirements: most }]);
  });

  const FEWEST = 'must be a whole number from 1 to 1024, the minimum number of vCPUs';
  it.each([
    {
      wrong: { ...LEAST, architecture: 'arm' },
      said: 'architecture: must be arm64 (Graviton) or x86_64, got "arm"',
    },
    {
      wrong: { ...LEAST, vCpus: 4 },
      said: 'vCpus: must be a map of min and max, the minimum and the maximum number of vCPUs, got 4',
    },
    { wrong: { ...LEAST, vCpus: { max: 4 } }, said: `vCpus.min: ${FEWEST}, got nothing` },
    { wrong: { ...LEAST, vCpus: { min: 0 } }, said: `vCpus.min: ${FEWEST}, got 0` },
    { wrong: { ...LEAST, vCpus: { min: 4, max: 2 } }, said: 'vCpus.max: must be at least min (4), got 2' },
    {
      wrong: { ...LEAST, vCpus: { min: 4, maxi: 8 } },
      said: 'vCpus.maxi: is not a setting; the nearest one is max',
    },
    {
      wrong: { ...LEAST, memory: { min: 4 } },
      said: 'memory: is not a setting; the nearest one is memoryGiB',
    },
    {
      wrong: { ...LEAST, excluded: ['R5'] },
      said: 'excluded 1: must be an instance type or a pattern, such as m5.large, m5.* or r*, got "R5"',
    },
  ])('$wrong are refused', ({ wrong, said }) => {
    expect(complaintsAbout(withRequirements(wrong))).toBe(
      `fleets.yaml has a fault:\n  linux.instanceRequirements.${said}`,
    );
  });

  it('are refused beside instanceTypes, and beside a parameter that CloudFormation cannot read', () => {
    expect(complaintsAbout(minimalWith(`instanceRequirements: ${JSON.stringify(LEAST)}`))).toBe(
      'fleets.yaml has a fault:\n  linux.instanceRequirements: must be left out with instanceTypes, or leave out instanceTypes, got a map',
    );
    expect(complaintsAbout(withRequirements(LEAST, 'image: /acme/runner:3'))).toBe(
      'fleets.yaml has a fault:\n  linux.image: must be a parameter without a version or a label, because with instanceRequirements CloudFormation reads its current value at the deployment, got "/acme/runner:3"',
    );
  });
});
