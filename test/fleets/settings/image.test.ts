import { describe, expect, it } from 'vitest';
import {
  complaintsAbout,
  expectAccepted,
  expectRefused,
  fleetsOf,
  minimalWith,
} from '../../support/fleets.ts';

describe('settings of the image and of the runner', () => {
  const SHA256 = '0123456789abcdef'.repeat(4);
  const RELEASE = 'must be the version and sha256 of a release of machine runner 3, or current';
  const VERSION = 'must be a version of machine runner 3, such as 3.1.13';
  const DIGITS = 'must be the SHA-256 of the archive for Linux, 64 hexadecimal digits';
  const IMAGE =
    'must be ubuntu, amazon-linux, the id of an image such as ami-0123456789abcdef0, or a Systems Manager parameter that holds one, such as /acme/runner or ssm:runner; or a map with build';

  it.each([
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
  ])('$given is accepted', expectAccepted);

  it.each([
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
  ])('$given is refused', expectRefused);
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
