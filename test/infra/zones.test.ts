import { describe, expect, it } from 'vitest';
import { complaintsAbout, fleetsWith, minimalWith } from '../support/fleets.ts';
import { SynthesisedTemplate } from './template.ts';

const ZONES = '[eu-west-1a, eu-west-1c]';

describe('zones', () => {
  it('are those of the group in the default VPC', () => {
    const [group] = SynthesisedTemplate.of(fleetsWith({ linux: { zones: ZONES } })).all(
      'AWS::AutoScaling::AutoScalingGroup',
    );
    expect(group?.properties.AvailabilityZones).toEqual(['eu-west-1a', 'eu-west-1c']);
  });

  it('are those of the subnets of a new VPC', () => {
    const template = SynthesisedTemplate.of(fleetsWith({ linux: { zones: ZONES, network: 'new-vpc' } }));
    const zones = template.all('AWS::EC2::Subnet').map(({ properties }) => properties.AvailabilityZone);
    expect(zones).toEqual(['eu-west-1a', 'eu-west-1c']);
  });

  it.each([
    {
      lines: [`zones: ${ZONES}`, 'network: {vpcId: vpc-01234567, subnetIds: [subnet-01234567]}'],
      says: 'linux.zones: must be left out in a VPC of yours: leave out the subnets of the other zones',
    },
    { lines: ['zones: []'], says: 'linux.zones: must name at least one Availability Zone, or be left out' },
    { lines: ['zones: [eu-west-1]'], says: 'linux.zone 1: must be the name of an Availability Zone' },
    { lines: ['zones: [eu-west-1a, eu-west-1a]'], says: 'linux.zones: must have each zone once' },
  ])('are refused: $lines', ({ lines, says }) => {
    expect(complaintsAbout(minimalWith(...lines))).toContain(says);
  });
});
