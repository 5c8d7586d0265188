import { describe, expect, it } from 'vitest';
import { complaintsAbout, fleetsOf, minimalWith } from '../support/fleets.ts';

const INSTALL = { 'install.sh': '#!/bin/sh\n' };

describe('an image that is built', () => {
  it('has defaults', () => {
    expect(fleetsOf(minimalWith('image: {build: weekly}'))).toMatchObject([
      { image: 'ubuntu', imageBuild: { build: 'weekly', timezone: 'UTC', keep: 3 }, docker: false },
    ]);
  });

  it('says what instances install until it is there', () => {
    const image =
      'image: {build: 0 3 * * SUN, timezone: Europe/Berlin, from: amazon-linux, docker: true, install: install.sh}';
    expect(fleetsOf(minimalWith(image), INSTALL)).toMatchObject([
      {
        image: 'amazon-linux',
        imageBuild: { build: '0 3 * * SUN', timezone: 'Europe/Berlin', keep: 3 },
        docker: true,
        install: 'install.sh',
        installFile: expect.stringMatching(/\/install\.sh$/),
      },
    ]);
  });

  it('holds what the fleet itself asks for', () => {
    expect(
      fleetsOf(minimalWith('image: {build: once}', 'docker: true', 'install: install.sh'), INSTALL),
    ).toMatchObject([{ docker: true, install: 'install.sh' }]);
  });

  it('leaves a fleet without it as it is', () => {
    const [fleet] = fleetsOf(minimalWith('image: amazon-linux'));
    expect(fleet).toMatchObject({ image: 'amazon-linux' });
    expect(fleet).not.toHaveProperty('imageBuild');
  });

  it.each([
    {
      image: '{build: daily}',
      fault:
        'linux.image.build: must be weekly, once, or a cron of five fields such as "0 3 * * SUN" (it has not five fields',
    },
    { image: '{build: 0 3 * * 0}', fault: '(days of the week must be names, such as SUN), got "0 3 * * 0"' },
    {
      image: '{build: 0 3 1 * MON}',
      fault: '(EC2 Image Builder takes days of the month or of the week), got',
    },
    { image: '{from: ubuntu}', fault: 'linux.image.build: must be weekly, once, or a cron' },
    {
      image: '{build: weekly, timezone: Mars}',
      fault: 'linux.image.timezone: must be the name of a time zone',
    },
    {
      image: '{build: weekly, from: debian}',
      fault: 'linux.image.from: must be ubuntu, amazon-linux, the id of an image',
    },
    { image: '{build: weekly, keep: 1}', fault: 'linux.image.keep: must be a whole number from 2 to 50' },
    {
      image: '{build: weekly, kept: 3}',
      fault: 'linux.image.kept: is not a setting',
    },
    {
      image: '{build: weekly, install: gone.sh}',
      fault: 'linux.image.install: must be the path of a script',
    },
    {
      image: 'debian',
      fault:
        'or a Systems Manager parameter that holds one, such as /acme/runner or ssm:runner; or a map with build',
    },
    {
      image: '{build: weekly, docker: true}\n  docker: true',
      fault: 'linux.docker: must be left out, because image.docker sets it, got true',
    },
    {
      image: '{build: weekly, install: install.sh}\n  install: install.sh',
      fault: 'linux.install: must be left out, because image.install sets it',
    },
    {
      image: '{build: weekly}\n  rootDevice: /dev/xvda',
      fault: 'linux.rootDevice: must be left out with image ubuntu or amazon-linux',
    },
    {
      image: '{build: weekly, from: /acme/base}\n  rootVolumeSize: 50',
      fault: 'linux.rootVolumeSize: must come with rootDevice',
    },
  ])('is refused as $image', ({ image, fault }) => {
    expect(complaintsAbout(minimalWith(`image: ${image}`), INSTALL)).toContain(fault);
  });

  it('is refused for a group that chooses its types, because such a group does not read it', () => {
    const text =
      'linux:\n  resourceClass: acme/linux\n  maxReplicas: 5\n  image: {build: weekly}\n  instanceRequirements: {architecture: arm64, vCpus: {min: 2}, memoryGiB: {min: 8}}\n';
    expect(complaintsAbout(text)).toContain('linux.image: must be without build with instanceRequirements');
  });
});
