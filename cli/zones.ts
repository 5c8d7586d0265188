import {
  DescribeAvailabilityZonesCommand,
  DescribeInstanceTypeOfferingsCommand,
  DescribeSubnetsCommand,
  EC2Client,
} from '@aws-sdk/client-ec2';
import { Command } from 'commander';
import { type FleetConfig, FleetsInvalid, loadFleets } from '../fleets/load.ts';
import { AWS_CLIENT } from './aws/client.ts';
import { stackOption } from './command-line/arguments.ts';
import { namedFleet } from './command-line/fleets.ts';
import { type CliCommand, nameAndMessage, type Shell } from './command-line/run.ts';
import type { Terminal } from './terminal/terminal.ts';

const define = ({ terminal }: Shell) =>
  new Command('npm run zones --')
    .description(
      "Reads from EC2 which Availability Zones offer the fleets' instance types, and says which zones to leave out. It changes nothing.",
    )
    .argument('[fleet]', 'a fleet of fleets.yaml (default: all fleets)')
    .option('--json', 'print only one JSON object')
    .option('--fleets <file>', 'the fleets file', 'fleets.yaml')
    .addOption(stackOption())
    .action((fleet: string | undefined, options: Options) => showZones(fleet, options, terminal));

/** A fleet uses zones that it cannot use. */
class ZonesUnusable extends Error {
  override readonly name = 'ZonesUnusable';
}

interface Options {
  json?: boolean;
  fleets: string;
  stack: string;
}

/** What was found of a fleet. */
export interface FleetZones {
  fleet: string;
  /** The zones that the fleet uses, and the types that each of them offers. */
  zones: { zone: string; offers: string[] }[];
  /** Zones that offer none of the types. */
  leaveOut: string[];
}

async function showZones(
  name: string | undefined,
  { json = false, fleets: file, stack }: Options,
  terminal: Terminal,
): Promise<void> {
  const fleets =
    name === undefined ? loadFleets(file, { stack }) : [namedFleet(file, name, undefined, { stack })];
  const found = await zonesOf(fleets);
  if (json) terminal.print(JSON.stringify(found));
  else for (const text of found.flatMap(described)) terminal.print(text);
  const unusable = found.filter(({ leaveOut }) => leaveOut.length > 0).map(({ fleet }) => fleet);
  if (unusable.length > 0) {
    throw new ZonesUnusable(
      `${unusable.join(', ')} would launch in zones that offer none of the instance types. EC2 refuses such launches. Set zones in ${file}, or remove the subnets of these zones.`,
    );
  }
}

/**
 * Reads which zones offer the types of these fleets. Types that are given by their attributes are left out: EC2 chooses
 * among those that a zone offers.
 */
export async function zonesOf(
  fleets: Pick<FleetConfig, 'name' | 'instanceTypes' | 'network' | 'zones'>[],
  ec2 = new EC2Client(AWS_CLIENT),
): Promise<FleetZones[]> {
  const named = fleets.filter((fleet) => fleet.instanceTypes !== undefined);
  const types = [...new Set(named.flatMap(({ instanceTypes = [] }) => instanceTypes))];
  if (types.length === 0) return [];
  const [offerings, allZones] = await Promise.all([offeringsOf(ec2, types), zonesOfRegion(ec2)]);
  return Promise.all(
    named.map(async ({ name, network, zones, instanceTypes = [] }) => {
      const used =
        typeof network === 'object' ? await zonesOfSubnets(ec2, network.subnetIds) : (zones ?? allZones);
      const offered = used.map((zone) => ({
        zone,
        offers: instanceTypes.filter((type) => offerings.get(zone)?.has(type)),
      }));
      const leaveOut = offered.filter(({ offers }) => offers.length === 0).map(({ zone }) => zone);
      return { fleet: name, zones: offered, leaveOut };
    }),
  );
}

/** The types that each zone offers. */
async function offeringsOf(ec2: EC2Client, types: string[]): Promise<Map<string, Set<string>>> {
  const offerings = new Map<string, Set<string>>();
  let NextToken: string | undefined;
  do {
    const page = await ec2.send(
      new DescribeInstanceTypeOfferingsCommand({
        LocationType: 'availability-zone',
        Filters: [{ Name: 'instance-type', Values: types }],
        NextToken,
      }),
    );
    for (const { Location = '', InstanceType = '' } of page.InstanceTypeOfferings ?? []) {
      offerings.set(Location, (offerings.get(Location) ?? new Set()).add(InstanceType));
    }
    NextToken = page.NextToken;
  } while (NextToken);
  return offerings;
}

/** The zones that `Fn::GetAZs` may return: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-getavailabilityzones.html */
async function zonesOfRegion(ec2: EC2Client): Promise<string[]> {
  const { AvailabilityZones = [] } = await ec2.send(
    new DescribeAvailabilityZonesCommand({ Filters: [{ Name: 'zone-type', Values: ['availability-zone'] }] }),
  );
  return AvailabilityZones.map(({ ZoneName = '' }) => ZoneName).sort();
}

async function zonesOfSubnets(ec2: EC2Client, SubnetIds: string[]): Promise<string[]> {
  const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({ SubnetIds }));
  return [...new Set(Subnets.map(({ AvailabilityZone = '' }) => AvailabilityZone))].sort();
}

function described({ fleet, zones, leaveOut }: FleetZones): string[] {
  const usable = zones.filter(({ zone }) => !leaveOut.includes(zone)).map(({ zone }) => zone);
  return [
    `Fleet ${fleet}:`,
    ...zones.map(
      ({ zone, offers }) => `  ${zone}  ${offers.length === 0 ? 'none of the types' : offers.join(', ')}`,
    ),
    ...(leaveOut.length === 0
      ? []
      : [
          `  Leave out ${leaveOut.join(', ')}${usable.length === 0 ? '.' : `: zones: [${usable.join(', ')}]`}`,
        ]),
  ];
}

export const zones: CliCommand = {
  define,
  usageErrors: [FleetsInvalid],
  expectedErrors: [ZonesUnusable],
  describeError: nameAndMessage,
  aws: 'account',
};
