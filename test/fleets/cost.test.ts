import { describe, expect, it } from 'vitest';
import { largestCost } from '../../fleets/cost.ts';
import { capacityOf } from '../../fleets/effective.ts';
import { fleetsIn } from '../../fleets/fleet.ts';
import { alarmsOfFleet } from '../../statemachine/alarms.ts';
import { SynthesisedTemplate } from '../infra/template.ts';
import { complaintsAbout, fleetsOf, MINIMAL, minimalNamed, minimalWith } from '../support/fleets.ts';

const only = (text: string) => {
  const [fleet] = fleetsOf(text);
  if (fleet === undefined) throw new Error('There is no fleet');
  return fleet;
};

const NIGHTS = 'schedules: [{start: 0 0 * * *, end: 0 6 * * *, maxReplicas: 60}]';

describe('maxHourlyCost of a fleet', () => {
  it.each([
    { settings: ['maxHourlyCost: 1.2'], affordable: 11, why: 'm7i.large costs 0.1008' },
    {
      settings: ['maxHourlyCost: 1.008'],
      affordable: 10,
      why: 'ten cost that, whatever binary fractions lose',
    },
    { settings: ['maxHourlyCost: 1.2', 'hourlyPrice: 0.12'], affordable: 10, why: 'the price is given' },
    { settings: [], affordable: undefined, why: 'there is none' },
  ])('allows $affordable instances, because $why: $settings', ({ settings, affordable }) => {
    expect(only(minimalWith(...settings)).affordable).toBe(affordable);
    expect(capacityOf(only(minimalWith(...settings))).affordable).toBe(affordable);
  });

  it('counts the most expensive type, because the group may launch any', () => {
    const text = minimalWith('maxHourlyCost: 2').replace('[m7i.large]', '[m7i.large, m7i.xlarge]');
    expect(only(text).affordable).toBe(9);
  });

  it('bounds what schedules raise, and the size of the group', () => {
    const fleet = only(minimalWith('maxHourlyCost: 3', NIGHTS));
    expect(fleet).toMatchObject({ maxReplicas: 20, affordable: 29 });
    expect(largestCost(fleet)).toBeCloseTo(29 * 0.1008, 9);
    const group = SynthesisedTemplate.of([fleet]).the('AWS::AutoScaling::AutoScalingGroup');
    expect(group.properties).toMatchObject({ MaxSize: '29' });
  });

  it.each([
    {
      settings: ['maxHourlyCost: 1'],
      says: 'all instances that maxHourlyCost (9 instances) allows',
      size: 'maxHourlyCost (9 instances)',
    },
    { settings: ['maxHourlyCost: 9'], says: undefined, size: 'maxReplicas (20)' },
    { settings: [], says: undefined, size: 'maxReplicas (20)' },
    {
      settings: ['maxHourlyCost: 3', NIGHTS],
      says: 'all instances that maxHourlyCost (29 instances) allows',
      size: 'maxReplicas (20 or, by schedule, 60), or below maxHourlyCost (29 instances)',
    },
  ])('has an alarm of its own where it can be the limit: $settings', ({ settings, says, size }) => {
    const fleet = only(minimalWith(...settings));
    const { CostLimitReached, Saturated, MaximumSizeTooSmall } = alarmsOfFleet(fleet);
    expect(Saturated?.wrong).not.toContain('maxHourlyCost');
    expect(MaximumSizeTooSmall?.wrong).toContain(`below ${size}.`);
    if (says === undefined) expect(CostLimitReached).toBeUndefined();
    else expect(CostLimitReached?.wrong).toContain(says);
    const deployed = SynthesisedTemplate.of([fleet])
      .all('AWS::CloudWatch::Alarm')
      .filter(({ properties }) => properties.MetricName === 'AtMaxHourlyCost');
    expect(deployed.map(({ properties }) => properties)).toEqual(
      says === undefined
        ? []
        : [
            expect.objectContaining({
              AlarmName: 'circleci-runners-linux-CostLimitReached',
              AlarmActions: [expect.any(String)],
            }),
          ],
    );
  });

  it.each([
    {
      case: 'a type without a known price',
      text: minimalWith('maxHourlyCost: 3').replace('m7i.large', 'm7i.large, u7i-12tb.224xlarge'),
      says: "linux.hourlyPrice: must be set to the On-Demand price of the fleet's most expensive instance in US dollars an hour, because that of u7i-12tb.224xlarge is not known here: https://aws.amazon.com/ec2/pricing/on-demand/",
    },
    {
      case: 'types by their attributes',
      text: minimalWith('maxHourlyCost: 3').replace(
        'instanceTypes: [m7i.large]',
        'instanceRequirements: {architecture: arm64, vCpus: {min: 2}, memoryGiB: {min: 8}}',
      ),
      says: "linux.hourlyPrice: must be set to the On-Demand price of the fleet's most expensive instance in US dollars an hour, because with instanceRequirements it is not known: https://aws.amazon.com/ec2/pricing/on-demand/",
    },
    {
      case: 'spare runners of a type without a known price',
      text: minimalWith('spareRunners: auto').replace('m7i.large', 'u7i-12tb.224xlarge'),
      says: "linux.hourlyPrice: must be set to the On-Demand price of the fleet's most expensive instance in US dollars an hour, because that of u7i-12tb.224xlarge is not known here: https://aws.amazon.com/ec2/pricing/on-demand/",
    },
    {
      case: 'less than one instance costs',
      text: minimalWith('maxHourlyCost: 0.1'),
      says: 'linux.maxHourlyCost: must be at least 0.1008 dollars, the price of one instance at 0.1008 dollars an hour, got 0.1',
    },
    {
      case: 'less than the idle runners cost',
      text: minimalWith('maxHourlyCost: 0.3', 'minReplicas: 4'),
      says: 'linux.maxHourlyCost: must be at least 0.4032 dollars, the price of the 4 instances of minReplicas at 0.1008 dollars an hour, got 0.3',
    },
    {
      case: 'no amount',
      text: minimalWith('maxHourlyCost: cheap'),
      says: 'linux.maxHourlyCost: must be the maximum cost of the instances in US dollars an hour, from 0.001 to 1000000, got "cheap"',
    },
  ])('is refused for $case', ({ text, says }) => {
    expect(complaintsAbout(text)).toBe(`fleets.yaml has a fault:\n  ${says}`);
  });
});

describe('maxHourlyCost of all fleets', () => {
  const two = (maximum: number | string, ...settings: string[]) =>
    `maxHourlyCost: ${maximum}\n${minimalNamed('a')}${minimalWith(...settings).replace('acme/linux', 'acme/b')}`;

  it('is no fleet', () => {
    expect(fleetsOf(two(4.1)).map(({ name }) => name)).toEqual(['a', 'linux']);
  });

  it('lets the fleets have what they cost together at their maximum sizes', () => {
    expect(fleetsOf(two(4.032))).toHaveLength(2);
    expect(fleetsOf(two(3.1, 'maxHourlyCost: 1'))).toHaveLength(2);
  });

  it.each([
    {
      case: 'the fleets could cost more',
      text: two(4),
      says: 'maxHourlyCost: must be at least 4.032 dollars, what all fleets cost at their maximum sizes (a 2.016 dollars, linux 2.016 dollars), got 4: raise it, or lower maxReplicas or maxHourlyCost of a fleet',
    },
    {
      case: 'a schedule lets them cost more',
      text: two(4.1, NIGHTS),
      says: 'maxHourlyCost: must be at least 8.064 dollars, what all fleets cost at their maximum sizes (a 2.016 dollars, linux 6.048 dollars), got 4.1: raise it, or lower maxReplicas or maxHourlyCost of a fleet',
    },
    {
      case: 'the price of one is not known',
      text: two(4.1).replace('[m7i.large]', '[m9i.large]'),
      says: "a.hourlyPrice: must be set to the On-Demand price of the fleet's most expensive instance in US dollars an hour, because that of m9i.large is not known here: https://aws.amazon.com/ec2/pricing/on-demand/",
    },
    {
      case: 'it is no amount',
      text: two('much'),
      says: 'maxHourlyCost: must be the maximum cost of the instances of all fleets in US dollars an hour, from 0.001 to 1000000, got "much"',
    },
  ])('is refused if $case', ({ text, says }) => {
    expect(complaintsAbout(text)).toBe(`fleets.yaml has a fault:\n  ${says}`);
  });

  it('is not enough for a file: there must be a fleet', () => {
    expect(complaintsAbout('maxHourlyCost: 4\n')).toContain('must have at least one fleet');
  });

  it('leaves other names to fleets, those of JavaScript included', () => {
    const names = ['toString', 'constructor', 'hasOwnProperty'];
    const file = Object.fromEntries(names.map((name) => [name, {}]));
    expect(fleetsIn({ maxHourlyCost: 4, ...file }).map(([name]) => name)).toEqual(names);
    expect(fleetsOf(minimalNamed('toString'))).toHaveLength(1);
    expect(fleetsOf(MINIMAL)).toHaveLength(1);
  });
});
