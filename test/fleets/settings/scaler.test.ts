import { describe, expect, it } from 'vitest';
import { checkFleets } from '../../../fleets/load.ts';
import { isDirect } from '../../../fleets/settings/scaler.ts';
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
      given: '{}',
      said: 'scaler: must have vpcId and subnetIds, caCertificates, or all; or leave scaler out',
    },
    {
      given: '{ vpcId: vpc-01234567, subnetIds: subnet-01234567 }',
      said: 'scaler.subnetIds: must be a list of subnets of the VPC, got "subnet-01234567"',
    },
    {
      given: '{ vpcId: vpc-01234567, subnetId: subnet-01234567 }',
      said: 'scaler.subnetId: is not a setting; the nearest one is subnetIds',
    },
    {
      given: 'new-vpc',
      said: 'scaler: must be a map of vpcId and subnetIds, of caCertificates, or of all, got "new-vpc"',
    },
    {
      given: `{ vpcId: vpc-01234567, subnetId: subnet-01234567, ${SUBNETS} }`,
      said: 'scaler.subnetId: is not a setting; the nearest one is subnetIds',
    },
    {
      given: '{ httpProxy: "http://proxy.acme.internal:3128" }',
      said: 'scaler.vpcId: must be the VPC from which the functions reach httpProxy, got nothing',
    },
    {
      given: `{ vpcId: vpc-01234567, ${SUBNETS}, noProxy: [.amazonaws.com] }`,
      said: 'scaler.noProxy: must be left out without httpProxy, or set httpProxy, got [".amazonaws.com"]',
    },
    {
      given: `{ vpcId: vpc-01234567, ${SUBNETS}, httpProxy: "http://ann:secret@proxy:3128" }`,
      said: 'scaler.httpProxy: must have no user or password, because everyone who may read the functions can read it: allow the functions by subnet or security group instead, got "http://***@proxy:3128"',
    },
    {
      given: `{ vpcId: vpc-01234567, ${SUBNETS}, httpProxy: "http://proxy:3128", noProxy: [10.0.0.0/8] }`,
      said: 'scaler.noProxy 1: must be a host, or a domain that begins with a dot such as .amazonaws.com, got "10.0.0.0/8"',
    },
  ])('is refused: $given', ({ given, said }) => {
    expect(complaintsAbout(`scaler: ${given}\n${MINIMAL}`)).toBe(`fleets.yaml has a fault:\n  ${said}`);
  });

  it('has one fault for each mistake', () => {
    const complaints = (scaler: string) => complaintsAbout(`scaler: ${scaler}\n${MINIMAL}`);
    const fault = (number: number) =>
      `  scaler.subnetId ${number}: must be the id of a subnet, such as subnet-0123456789abcdef0, got "eu-west-1a"`;
    expect(complaints('{ vpcId: vpc-01234567, subnetIds: [eu-west-1a, eu-west-1a] }')).toBe(
      ['fleets.yaml has 2 faults:', fault(1), fault(2)].join('\n'),
    );
    expect(complaints('{ securityGroupIds: [sg-01234567] }')).toMatch(
      /has 2 faults:\n {2}scaler.subnetIds: .*\n {2}scaler.vpcId: /,
    );
  });

  it('belongs to the top of the file', () => {
    expect(complaintsAbout(`${MINIMAL}  scaler: { vpcId: vpc-01234567, ${SUBNETS} }\n`)).toContain(
      'linux.scaler: is a setting of all fleets: put it at the top of the file, beside linux',
    );
  });

  it('may have a proxy, which ends without a slash', () => {
    const scaler = {
      vpcId: 'vpc-01234567',
      subnetIds: ['subnet-01234567', 'subnet-89abcdef'],
      httpProxy: 'http://proxy.acme.internal:3128/',
      noProxy: ['.amazonaws.com', 'circleci.acme.example'],
    };
    const file = { scaler, linux: { resourceClass: 'a/b', instanceTypes: ['m7i.large'], maxReplicas: 2 } };
    const [fleet] = checkFleets(file, 'fleets.yaml');
    expect(fleet?.scaler).toEqual({ ...scaler, httpProxy: 'http://proxy.acme.internal:3128' });
  });

  it.each([
    { host: 'ssm.eu-west-1.amazonaws.com', direct: true },
    { host: 'amazonaws.com.evil.example', direct: false },
    { host: 'ssm.eu-west-1.amazonaws.com.cn', direct: false },
    { host: 'circleci.acme.example', direct: true },
    { host: 'a.circleci.acme.example', direct: false },
    { host: 'in.any.case', direct: true },
  ])('reaches $host without the proxy: $direct', ({ host, direct }) => {
    const noProxy = ['.amazonaws.com', 'circleci.acme.example', '.Any.CASE'];
    const scaler = { vpcId: 'vpc-1', subnetIds: [], noProxy };
    expect(isDirect(host, { ...scaler, httpProxy: 'http://proxy:3128' })).toBe(direct);
    expect(isDirect(host, scaler)).toBe(true);
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
