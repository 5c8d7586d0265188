import { Annotations, Match } from 'aws-cdk-lib/assertions';
import { describe, expect, it } from 'vitest';
import { hasNoDisks } from '../../fleets/settings/instance.ts';
import { warningsAbout } from '../../fleets/warnings.ts';
import { stacksOf } from '../../infra/stacks.ts';
import { emptyApp } from '../infra/template.ts';
import { fleetsOf, minimalWith } from '../support/fleets.ts';

const warned = (text: string) => fleetsOf(text).flatMap(warningsAbout);
const internet = (setting: string, range: string, port: number) =>
  `linux.${setting}: ${range} opens TCP port ${port} of the instances to every address on the internet; set a range of your own network, such as 203.0.113.0/24`;

describe('a port that is open to the internet', () => {
  it.each([
    { given: 'sshCidr: 0.0.0.0/0', message: internet('sshCidr', '0.0.0.0/0', 22) },
    { given: 'sshCidr: ::/0', message: internet('sshCidr', '::/0', 22) },
    {
      given: 'sshRerun: {cidr: 0.0.0.0/0}',
      message: internet('sshRerun.cidr', '0.0.0.0/0', 54_782),
    },
    { given: 'sshRerun: {cidr: "::/0"}', message: internet('sshRerun.cidr', '::/0', 54_782) },
  ])('gets a warning: $given', ({ given, message }) => {
    expect(warned(minimalWith(given))).toMatchObject([{ message }]);
  });

  it.each([
    'logs: true',
    'sshCidr: 203.0.113.0/24',
    'sshRerun: {cidr: 10.0.0.0/8}',
    'sshCidr: 2001:db8::/48',
  ])('is not one with %s', (given) => {
    expect(warned(minimalWith(given))).toEqual([]);
  });

  it('is in the warnings of the synthesis', () => {
    const {
      fleets: [stack],
    } = stacksOf(emptyApp(), 'runners', fleetsOf(minimalWith('sshCidr: 0.0.0.0/0')));
    if (stack === undefined) throw new Error('No stack of a fleet');
    const all = Annotations.fromStack(stack).findWarning('*', Match.anyValue());
    expect(all.map(({ entry }) => String(entry.data))).toContain(
      `${internet('sshCidr', '0.0.0.0/0', 22)} [ack: circleci-runner-autoscaler:sshCidr]`,
    );
  });
});

describe('an instance store that no type has', () => {
  const on = (types: string, setting = 'workingDirectory: instance-store') =>
    warned(minimalWith(setting).replace('[m7i.large]', `[${types}]`));

  it('gets a warning with the types', () => {
    expect(on('m7i.large, c7i-flex.large')).toMatchObject([
      {
        message:
          'linux.workingDirectory: none of the instanceTypes (m7i.large, c7i-flex.large) has an instance store, so jobs run on the root volume; choose types that have one, such as m7gd or m6id',
      },
    ]);
  });

  it('gets no warning if one type may have one, or the fleet does not use it', () => {
    expect(on('m7i.large, m6id.large')).toEqual([]);
    expect(on('m7i.large', 'workingDirectory: root-volume')).toEqual([]);
  });

  it.each([
    'm4.large',
    'm7i.large',
    'c7g.large',
    'c6gn.xlarge',
    'r5b.large',
    't3a.small',
    'm7i-flex.large',
    'c8i-flex.large',
    'm10g.large',
  ])('cannot be one of %s', (type) => {
    expect(hasNoDisks(type)).toBe(true);
  });

  it.each([
    'm6id.large',
    'm5ad.large',
    'c6gd.large',
    'r5dn.large',
    'm5d.metal',
    'c8gd.large',
    'm3.large',
    'c3.large',
    'r3.large',
  ])('may be one of %s', (type) => {
    expect(hasNoDisks(type)).toBe(false);
  });

  it.each([
    'i4i.large',
    'im4gn.large',
    'is4gen.large',
    'd3.xlarge',
    'h1.2xlarge',
    'x1.16xlarge',
    'z1d.large',
    'hpc6id.32xlarge',
    'p4d.24xlarge',
    'g5.xlarge',
    'mac1.metal',
  ])('may be one of %s, whose name does not say', (type) => {
    expect(hasNoDisks(type)).toBe(false);
  });
});
