import { describe, expect, it } from 'vitest';
import { warningsAboutShared } from '../../../fleets/warnings.ts';
import { complaintsAbout, fleetsOf, MINIMAL } from '../../support/fleets.ts';

describe('scaler', () => {
  const SUBNETS = 'subnetIds: [subnet-01234567, subnet-89abcdef]';

  it('is of all fleets', () => {
    const scaler = {
      vpcId: 'vpc-01234567',
      subnetIds: ['subnet-01234567', 'subnet-89abcdef'],
      securityGroupIds: ['sg-01234567'],
    };
    const text = `scaler: ${JSON.stringify(scaler)}\n${MINIMAL}${MINIMAL.replaceAll('linux', 'second')}`;
    expect(fleetsOf(text)).toEqual([
      expect.objectContaining({ name: 'linux', scaler }),
      expect.objectContaining({ name: 'second', scaler }),
    ]);
  });

  it('is left out by default', () => {
    expect(fleetsOf(MINIMAL)[0]).not.toHaveProperty('scaler');
  });

  it.each([
    {
      given: `{ vpcId: vpc-1, ${SUBNETS} }`,
      said: 'scaler.vpcId: must be the id of a VPC, such as vpc-0123456789abcdef0, got "vpc-1"',
    },
    {
      given: '{ vpcId: vpc-01234567 }',
      said: 'scaler.subnetIds: must be a list of subnets of the VPC, got nothing',
    },
    {
      given: '{ vpcId: vpc-01234567, subnetIds: [] }',
      said: 'scaler.subnetIds: must name at least one subnet of the VPC, got []',
    },
    {
      given: '{ vpcId: vpc-01234567, subnetIds: [subnet-01234567, subnet-01234567] }',
      said: 'scaler.subnetIds: must name each subnet once, got ["subnet-01234567", "subnet-01234567"]',
    },
    {
      given: `{ vpcId: vpc-01234567, ${SUBNETS}, securityGroupIds: [] }`,
      said: 'scaler.securityGroupIds: must name at least one security group of the VPC, or be left out, got []',
    },
    {
      given: `{ ${SUBNETS} }`,
      said: 'scaler.vpcId: must be the VPC of subnetIds and securityGroupIds, got nothing',
    },
    {
      given: 'new-vpc',
      said: 'scaler: must be a map of vpcId and subnetIds, of caCertificates, or of all, got "new-vpc"',
    },
    {
      given: `{ vpcId: vpc-01234567, subnetId: subnet-01234567, ${SUBNETS} }`,
      said: 'scaler.subnetId: is not a setting; the nearest one is subnetIds',
    },
  ])('is refused: $given', ({ given, said }) => {
    expect(complaintsAbout(`scaler: ${given}\n${MINIMAL}`)).toBe(`fleets.yaml has a fault:\n  ${said}`);
  });

  it('belongs to the top of the file', () => {
    expect(complaintsAbout(`${MINIMAL}  scaler: { vpcId: vpc-01234567, ${SUBNETS} }\n`)).toContain(
      'linux.scaler: is a setting of all fleets: put it at the top of the file, beside linux',
    );
  });

  it('warns about one subnet, which is in one zone', () => {
    const withSubnets = (...subnetIds: string[]) =>
      warningsAboutShared([{ scaler: { vpcId: 'vpc-01234567', subnetIds } }], 0);
    expect(withSubnets('subnet-01234567')).toEqual([
      {
        id: 'circleci-runner-autoscaler:scaler',
        message:
          'scaler.subnetIds: the functions run in one zone, so no fleet is polled while that zone has an outage; add a subnet of another zone',
      },
    ]);
    expect(withSubnets('subnet-01234567', 'subnet-89abcdef')).toEqual([]);
    expect(warningsAboutShared([{}], 0)).toEqual([]);
  });
});
