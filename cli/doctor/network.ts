import {
  DescribeRouteTablesCommand,
  DescribeVpcsCommand,
  EC2Client,
  type RouteTable,
} from '@aws-sdk/client-ec2';
import { AWS_CLIENT } from '../aws/client.ts';
import { type FleetZones, zonesOf } from '../zones.ts';
import { bad, type Check, type Finding, ok } from './check.ts';

export function zoneFindings(found: FleetZones[]): Finding[] {
  return found.map(({ fleet, leaveOut, zones }) =>
    leaveOut.length === 0
      ? ok(
          zones.length === 1
            ? 'its zone offers its instance types'
            : `all ${zones.length} zones offer its instance types`,
          fleet,
        )
      : bad(
          'fail',
          `${leaveOut.join(', ')} offer${leaveOut.length === 1 ? 's' : ''} none of its instance types`,
          `leave them out: npm run zones -- ${fleet}`,
          fleet,
        ),
  );
}

export const zones: Check = {
  name: 'zones',
  run: async ({ fleets }) => zoneFindings(await zonesOf(fleets, new EC2Client(AWS_CLIENT))),
};

/** Whether a route table leads out of the VPC. */
const leadsOut = ({ Routes = [] }: RouteTable) =>
  Routes.some(
    (route) =>
      (route.DestinationCidrBlock === '0.0.0.0/0' || route.DestinationIpv6CidrBlock === '::/0') &&
      route.State !== 'blackhole',
  );

/** @param tables The route tables of the VPC: a subnet without one of its own has the main one. */
export function subnetsWithoutWayOut(subnetIds: readonly string[], tables: RouteTable[]): string[] {
  const isOf = (subnet: string) => (table: RouteTable) =>
    table.Associations?.some(({ SubnetId }) => SubnetId === subnet) === true;
  const main = tables.find(({ Associations = [] }) => Associations.some(({ Main }) => Main === true));
  return subnetIds.filter((subnet) => {
    const table = tables.find(isOf(subnet)) ?? main;
    return table === undefined || !leadsOut(table);
  });
}

export function routeFindings(fleet: string, subnetIds: readonly string[], tables: RouteTable[]): Finding[] {
  const closed = subnetsWithoutWayOut(subnetIds, tables);
  return closed.length === 0
    ? [ok('its subnets have a route to the internet', fleet)]
    : [
        bad(
          'warn',
          `${closed.join(', ')}: no route to 0.0.0.0/0, so runners reach CircleCI only through endpoints or a proxy`,
          'add a NAT or internet gateway to the route table, or set proxy',
          fleet,
        ),
      ];
}

export const routes: Check = {
  name: 'network',
  run: async ({ fleets }) => {
    const ec2 = new EC2Client(AWS_CLIENT);
    const findings = fleets.map(async ({ name, network }): Promise<Finding[]> => {
      if (network === 'new-vpc') return [];
      if (network === 'default-vpc') {
        const { Vpcs = [] } = await ec2.send(
          new DescribeVpcsCommand({ Filters: [{ Name: 'is-default', Values: ['true'] }] }),
        );
        return Vpcs.length > 0
          ? [ok('the region has a default VPC', name)]
          : [bad('fail', 'the region has no default VPC', 'set network: new-vpc, or your own subnets', name)];
      }
      const { RouteTables = [] } = await ec2.send(
        new DescribeRouteTablesCommand({ Filters: [{ Name: 'vpc-id', Values: [network.vpcId] }] }),
      );
      return routeFindings(name, network.subnetIds, RouteTables);
    });
    return (await Promise.all(findings)).flat();
  },
};
