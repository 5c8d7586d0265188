import {
  DescribeRouteTablesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeVpcEndpointsCommand,
  EC2Client,
  type RouteTable,
  type SecurityGroup,
  type Subnet,
  type VpcEndpoint,
} from '@aws-sdk/client-ec2';
import { isDirect, type Scaler } from '../../fleets/settings/scaler.ts';
import { AWS_CLIENT } from '../aws/client.ts';
import { bad, type Check, type Finding, ok } from './check.ts';
import { subnetsWithoutWayOut } from './network.ts';

/** The services of AWS that the functions of the workflows call, by the names of their VPC endpoints. */
export const SCALER_SERVICES = ['autoscaling', 'ec2', 'secretsmanager', 'ssm'];

/** What EC2 says about the VPC of `scaler`. */
export interface ScalerVpc {
  subnets: Subnet[];
  securityGroups: SecurityGroup[];
  routeTables: RouteTable[];
  endpoints: VpcEndpoint[];
}

const DOCS = 'docs/private-network.md';

/** What is wrong with the ids of `scaler`. */
function idFindings(scaler: Scaler, { subnets, securityGroups }: ScalerVpc): Finding[] {
  const { vpcId, subnetIds, securityGroupIds = [] } = scaler;
  const known = new Map<string | undefined, string | undefined>([
    ...subnets.map(({ SubnetId, VpcId }) => [SubnetId, VpcId] as const),
    ...securityGroups.map(({ GroupId, VpcId }) => [GroupId, VpcId] as const),
  ]);
  const ids = [...subnetIds, ...securityGroupIds];
  const unknown = ids.filter((id) => !known.has(id));
  const elsewhere = ids.filter((id) => known.has(id) && known.get(id) !== vpcId);
  const zones = new Set(subnets.map(({ AvailabilityZoneId }) => AvailabilityZoneId));
  return [
    ...(unknown.length === 0
      ? []
      : [bad('fail', `the region has no ${unknown.join(', ')}`, 'correct scaler in fleets.yaml')]),
    ...(elsewhere.length === 0
      ? []
      : [bad('fail', `${elsewhere.join(', ')}: not in ${vpcId}`, 'correct scaler in fleets.yaml')]),
    ...(unknown.length === 0 && zones.size === 1
      ? [
          bad(
            'warn',
            'the functions run in one zone, so no fleet is polled while that zone has an outage',
            'add a subnet of another zone to scaler.subnetIds',
          ),
        ]
      : []),
  ];
}

/** Lambda gives no function a public address, so an internet gateway is no way out for it. */
const withoutInternetGateways = (tables: RouteTable[]): RouteTable[] =>
  tables.map((table) => ({
    ...table,
    Routes: (table.Routes ?? []).filter(
      ({ GatewayId, DestinationIpv6CidrBlock }) =>
        !GatewayId?.startsWith('igw-') && DestinationIpv6CidrBlock === undefined,
    ),
  }));

/** Whether an endpoint takes what the SDK sends to a service. */
const serves =
  (service: string) =>
  ({ ServiceName = '', State, PrivateDnsEnabled }: VpcEndpoint) =>
    new RegExp(`^(cn\\.)?com\\.amazonaws\\.[a-z0-9-]+\\.${service}$`).test(ServiceName) &&
    String(State).toLowerCase() === 'available' &&
    PrivateDnsEnabled === true;

/** Whether the functions reach a service through their proxy. In China, the domain is amazonaws.com.cn. */
const isProxied = (service: string, region: string, scaler: Scaler) =>
  !isDirect(`${service}.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`, scaler);

export function scalerFindings(scaler: Scaler, vpc: ScalerVpc, region = 'us-east-1'): Finding[] {
  const direct = SCALER_SERVICES.filter((service) => !isProxied(service, region, scaler));
  if (direct.length === 0)
    return [
      ...idFindings(scaler, vpc),
      ok(`the functions reach AWS through ${scaler.httpProxy}, so they need no endpoints`),
    ];
  const closed = subnetsWithoutWayOut(scaler.subnetIds, withoutInternetGateways(vpc.routeTables));
  const missing = direct.filter((service) => !vpc.endpoints.some(serves(service)));
  const reach =
    closed.length === 0
      ? ok('the subnets of the functions have a way out, so they need no endpoints')
      : missing.length === 0
        ? ok(`${scaler.vpcId} has the endpoints that the functions need: ${direct.join(', ')}`)
        : bad(
            'fail',
            `${closed.join(', ')}: no NAT, and ${scaler.vpcId} has no endpoint with private DNS names for ${missing.join(', ')}, so no fleet is polled`,
            `make the endpoints: ${DOCS}`,
          );
  return [...idFindings(scaler, vpc), reach];
}

export const scalerNetwork: Check = {
  name: 'scaler',
  run: async ({ fleets: [{ scaler } = {}] }) => {
    if (scaler === undefined) return [];
    const ec2 = new EC2Client(AWS_CLIENT);
    const { vpcId, subnetIds, securityGroupIds } = scaler;
    const ofVpc = { Filters: [{ Name: 'vpc-id', Values: [vpcId] }] };
    // By filters: an id that does not exist would be an error.
    const [subnets, securityGroups, routeTables, endpoints] = await Promise.all([
      ec2.send(new DescribeSubnetsCommand({ Filters: [{ Name: 'subnet-id', Values: subnetIds }] })),
      securityGroupIds &&
        ec2.send(
          new DescribeSecurityGroupsCommand({ Filters: [{ Name: 'group-id', Values: securityGroupIds }] }),
        ),
      ec2.send(new DescribeRouteTablesCommand(ofVpc)),
      ec2.send(new DescribeVpcEndpointsCommand(ofVpc)),
    ]);
    const found = {
      subnets: subnets.Subnets ?? [],
      securityGroups: securityGroups?.SecurityGroups ?? [],
      routeTables: routeTables.RouteTables ?? [],
      endpoints: endpoints.VpcEndpoints ?? [],
    };
    return scalerFindings(scaler, found, await ec2.config.region());
  },
};
