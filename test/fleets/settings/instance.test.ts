import { describe, expect, it } from 'vitest';
import { complaintsAbout, expectAccepted, expectRefused, fleetsOf, MINIMAL } from '../../support/fleets.ts';

describe('settings of the instances', () => {
  const NUMBER = 'must be a whole number from';
  const TAG =
    'must be a tag of 1 to 128 letters, digits and + - = . , _ : @ that does not begin with aws: or circleci-runners:';
  const TAG_VALUE =
    'must be a text of at most 256 letters, digits, spaces and _ . : / = + - @, in quotes if it looks like a number';

  it.each([
    { given: 'sessionManager: true', becomes: { sessionManager: true } },
    { given: 'allowInstanceMetadata: true', becomes: { allowInstanceMetadata: true } },
    { given: 'logs: true', becomes: { logs: true } },
    { given: 'logs: false', becomes: { logs: false } },
    { given: 'rootVolumeSize: 8', becomes: { rootVolumeSize: 8 } },
    { given: 'keyPairName: ops team', becomes: { keyPairName: 'ops team' } },
    { given: 'rootVolume: {}', becomes: { rootVolume: { size: 30 } } },
    {
      given: 'rootVolume: {size: 160, iops: 80000, throughput: 2000}',
      becomes: { rootVolume: { size: 160, iops: 80_000, throughput: 2_000 } },
    },
    {
      given: 'rootVolume: {initializationRate: 100}',
      becomes: { rootVolume: { size: 30, initializationRate: 100 } },
    },
    { given: 'rootVolume: {throughput: 750}', becomes: { rootVolume: { size: 30, throughput: 750 } } },
    { given: 'rootVolume: {iops: 15000}', becomes: { rootVolume: { size: 30, iops: 15_000 } } },
    { given: 'workingDirectory: instance-store', becomes: { workingDirectory: 'instance-store' } },
    { given: 'docker: true', becomes: { docker: true } },
    {
      given: 'tags: {team: build, "acme:cost-centre": "0815"}',
      becomes: { tags: { team: 'build', 'acme:cost-centre': '0815' } },
    },
    {
      given: 'tags: {team: Bücher, owner: "a b/c@d.example"}',
      becomes: { tags: { team: 'Bücher', owner: 'a b/c@d.example' } },
    },
  ])('$given is accepted', expectAccepted);

  it.each([
    { given: 'sessionManager: 1', said: 'sessionManager: must be true or false, got 1' },
    { given: 'allowInstanceMetadata:', said: 'allowInstanceMetadata: must be true or false, got nothing' },
    { given: 'logs: {retention: 30}', said: 'logs: must be true or false, got a map' },
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
    ...[99, 301].map((rate) => ({
      given: `rootVolume: {initializationRate: ${rate}}`,
      said: `rootVolume.initializationRate: ${NUMBER} 100 to 300, the rate in MiB/s at which the root volume loads its image, got ${rate}`,
    })),
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
    { given: 'install: ""', said: 'install: must be the path of a script, got ""' },
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
      given: 'workingDirectory: /mnt',
      said: 'workingDirectory: must be root-volume or instance-store, got "/mnt"',
    },
    { given: 'docker: yes', said: 'docker: must be true or false, got "yes"' },
  ])('$given is refused', expectRefused);

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
});
