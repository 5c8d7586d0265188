import {
  type AvailabilityZone,
  DescribeAvailabilityZonesCommand,
  DescribeSubnetsCommand,
  EC2Client,
  type Subnet,
} from '@aws-sdk/client-ec2';
import type { FleetConfig } from '../../fleets/load.ts';
import { rootVolumeOf } from '../../fleets/settings/image.ts';
import { mostLaunches } from '../../functions/lib/capacity.ts';
import { largestMaximum } from '../../functions/lib/schedules.ts';
import { AWS_CLIENT } from '../aws/client.ts';
import { bad, type Finding, ok } from './check.ts';

/**
 * What `rootVolume.initializationRate` needs of a Region and its zones. AWS names no Region that does not have it, and no API
 * says it. AWS does say where else there is none, and how much a Region takes:
 * https://docs.aws.amazon.com/ebs/latest/userguide/initalize-volume.html#volume-initialization-rate
 */

/** The rates in MiB/s that requests may have together at a time, in a Region. It can be raised. */
const RATES_TOGETHER = 5_000;

/** The most instances of the warm pool of a fleet, which Auto Scaling launches at once beside them. */
export const mostPooled = (fleet: Pick<FleetConfig, 'warmPool' | 'maxReplicas' | 'schedules'>): number => {
  const { size = 0 } = fleet.warmPool ?? {};
  return size === 'auto' ? largestMaximum(fleet) : size;
};

type Rated = Pick<FleetConfig, 'name' | 'rootVolume' | 'rootVolumeSize' | 'warmPool' | 'schedules'> &
  Parameters<typeof mostLaunches>[0];

/** Whether all fleets together may ask for more than a Region grants. EC2 then refuses launches. */
export function rateFindings(fleets: readonly Rated[]): Finding[] {
  const rated = fleets.flatMap((fleet) => {
    const { initializationRate: rate } = rootVolumeOf(fleet);
    return rate === undefined
      ? []
      : [{ name: fleet.name, wanted: rate * (mostLaunches(fleet) + mostPooled(fleet)) }];
  });
  if (rated.length === 0) return [];
  const wanted = rated.reduce((sum, fleet) => sum + fleet.wanted, 0);
  const names = rated.map(({ name }) => name).join(', ');
  if (wanted <= RATES_TOGETHER)
    return [ok(`initializationRate: ${names} may ask for ${wanted} MiB/s at a time, of ${RATES_TOGETHER}`)];
  return [
    bad(
      'warn',
      `initializationRate: if ${names} launch as many instances at once as they may, they ask for ${wanted} MiB/s; EBS grants ${RATES_TOGETHER} unless the quota was raised, and the other launches fail`,
      'lower the rate, limit the launches of a poll, or raise the quota: see docs/images.md#volumes-that-load-their-image',
    ),
  ];
}

/** Subnets in which EBS takes no rate. */
export function placeFindings(
  fleet: string,
  subnets: Pick<Subnet, 'SubnetId' | 'AvailabilityZone' | 'OutpostArn'>[],
  zones: Pick<AvailabilityZone, 'ZoneName' | 'ZoneType'>[],
): Finding[] {
  const typeOf = (zone: string | undefined) => zones.find(({ ZoneName }) => ZoneName === zone)?.ZoneType;
  const without = subnets.flatMap(({ SubnetId, AvailabilityZone, OutpostArn }) => {
    if (OutpostArn !== undefined) return [`${SubnetId} is on an Outpost`];
    const type = typeOf(AvailabilityZone);
    if (type === undefined || type === 'availability-zone') return [];
    return [`${SubnetId} is in ${AvailabilityZone}, a ${type.replace('-zone', ' zone')}`];
  });
  return without.length === 0
    ? []
    : [
        bad(
          'fail',
          `initializationRate: EBS has none there, and refuses launches: ${without.join('; ')}`,
          'leave these subnets out, or remove rootVolume.initializationRate',
          fleet,
        ),
      ];
}

/** What stands against the rates of these fleets. */
export async function initializationFindings(fleets: FleetConfig[]): Promise<Finding[]> {
  const rated = fleets.filter((fleet) => rootVolumeOf(fleet).initializationRate !== undefined);
  const ec2 = new EC2Client(AWS_CLIENT);
  const places = rated.map(async ({ name, network }) => {
    if (typeof network !== 'object') return [];
    const Filters = [{ Name: 'subnet-id', Values: network.subnetIds }];
    const [{ Subnets = [] }, { AvailabilityZones = [] }] = await Promise.all([
      ec2.send(new DescribeSubnetsCommand({ Filters })),
      ec2.send(new DescribeAvailabilityZonesCommand({})),
    ]);
    return placeFindings(name, Subnets, AvailabilityZones);
  });
  return [...rateFindings(rated), ...(await Promise.all(places)).flat()];
}
