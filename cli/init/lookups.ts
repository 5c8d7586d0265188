import {
  DescribeRouteTablesCommand,
  DescribeSubnetsCommand,
  DescribeVpcsCommand,
  EC2Client,
  type Tag,
} from '@aws-sdk/client-ec2';
import { GetServiceQuotaCommand, ServiceQuotasClient } from '@aws-sdk/client-service-quotas';
import { SSMClient } from '@aws-sdk/client-ssm';
import * as z from 'zod';
import { boundedText } from '../../functions/lib/http-answers.ts';
import { printableName } from '../../functions/lib/printable.ts';
import { AWS_CLIENT } from '../aws/client.ts';
import { bootstrapVersion, type Place, readPlace, readSetup } from '../aws/place.ts';
import { setupFault } from '../aws/setup-fault.ts';
import { subnetsWithoutWayOut } from '../doctor/network.ts';
import { QUOTAS } from '../doctor/quotas.ts';
import { type FleetZones, zonesOf } from '../zones.ts';

/** How long one look-up may take, in milliseconds. */
const DEADLINE = 5_000;

/** One attempt: the command goes on without the answer. */
const CLIENT = { ...AWS_CLIENT, maxAttempts: 1 };

/** What is read from AWS. */
const OF_AWS = ['account', 'VPCs', 'zones that offer the types', 'vCPU quota', 'bootstrap of the CDK'];

/** A VPC that a fleet could run in. */
export interface FoundVpc {
  id: string;
  name: string | undefined;
  isDefault: boolean;
  range: string;
}

/** A subnet of such a VPC. */
export interface FoundSubnet {
  id: string;
  name: string | undefined;
  zone: string;
  range: string;
  /** Whether its route table leads to the internet. */
  hasWayOut: boolean;
}

/**
 * What `npm run init` reads from AWS and CircleCI. Nothing is necessary: what cannot be read is kept with its reason, and
 * the command goes on.
 */
export class Lookups {
  /** What was not read, by the reason. */
  readonly missing = new Map<string, string[]>();
  readonly #said = new Set<string>();
  readonly #place: Promise<Place | Error>;

  constructor() {
    // Every other call to AWS would fail for the same reason.
    this.#place = inTime(readPlace(readSetup(process.env))).catch((error: Error) => error);
  }

  /** The account and region; `undefined` if AWS cannot be read. */
  async place(): Promise<Place | undefined> {
    const place = await this.#place;
    if (!(place instanceof Error)) return place;
    for (const what of OF_AWS) this.#failed(what, place);
    return undefined;
  }

  async vpcs(): Promise<FoundVpc[] | undefined> {
    return this.#fromAws('VPCs', async () => {
      const { Vpcs = [] } = await new EC2Client(CLIENT).send(new DescribeVpcsCommand({}));
      return Vpcs.map(({ VpcId = '', Tags, IsDefault = false, CidrBlock = '' }) => ({
        id: VpcId,
        name: nameIn(Tags),
        isDefault: IsDefault,
        range: CidrBlock,
      }));
    });
  }

  async subnets(vpcId: string): Promise<FoundSubnet[] | undefined> {
    return this.#fromAws(`subnets of ${vpcId}`, async () => {
      const ec2 = new EC2Client(CLIENT);
      const Filters = [{ Name: 'vpc-id', Values: [vpcId] }];
      const [{ Subnets = [] }, { RouteTables = [] }] = await Promise.all([
        ec2.send(new DescribeSubnetsCommand({ Filters })),
        ec2.send(new DescribeRouteTablesCommand({ Filters })),
      ]);
      const ids = Subnets.map(({ SubnetId = '' }) => SubnetId);
      const closed = new Set(subnetsWithoutWayOut(ids, RouteTables));
      return Subnets.map(({ SubnetId = '', Tags, AvailabilityZone = '', CidrBlock = '' }) => ({
        id: SubnetId,
        name: nameIn(Tags),
        zone: AvailabilityZone,
        range: CidrBlock,
        hasWayOut: !closed.has(SubnetId),
      })).sort((one, other) => one.zone.localeCompare(other.zone));
    });
  }

  /** The zones of the region, and which of the types each of them offers. */
  async zones(instanceTypes: string[]): Promise<FleetZones['zones'] | undefined> {
    return this.#fromAws('zones that offer the types', async () => {
      const found = await zonesOf(
        [{ name: '', network: 'default-vpc', instanceTypes }],
        new EC2Client(CLIENT),
      );
      return found[0]?.zones;
    });
  }

  /** vCPUs that On-Demand instances may have together. */
  async vCpuQuota(): Promise<number | undefined> {
    return this.#fromAws('vCPU quota', async () => {
      const { Quota } = await new ServiceQuotasClient(CLIENT).send(
        new GetServiceQuotaCommand({ ServiceCode: 'ec2', QuotaCode: QUOTAS['On-Demand'] }),
      );
      return Quota?.Value;
    });
  }

  /** Whether the CDK is bootstrapped here. */
  async isBootstrapped(): Promise<boolean | undefined> {
    return this.#fromAws('bootstrap of the CDK', async () => {
      const version = await bootstrapVersion(new SSMClient(CLIENT));
      return version !== undefined;
    });
  }

  /** The resource classes of a namespace that a personal API token sees. */
  async classes(namespace: string, url: string, token: string): Promise<string[] | undefined> {
    const what = `resource classes of ${namespace}`;
    try {
      return await inTime(classesOf(namespace, url, token));
    } catch (error) {
      this.#failed(what, error);
      return undefined;
    }
  }

  async #fromAws<T>(what: string, read: () => Promise<T>): Promise<T | undefined> {
    // `place` says why.
    if ((await this.#place) instanceof Error) return undefined;
    try {
      return await inTime(read());
    } catch (error) {
      this.#failed(what, error);
      return undefined;
    }
  }

  #failed(what: string, error: unknown): void {
    this.keep(what, setupFault(error, readSetup(process.env)) ?? (error as Error).message);
  }

  /** A line for each reason that no line was for before. */
  lines(): string[] {
    const reasons = [...this.missing].filter(([reason]) => !this.#said.has(reason));
    return reasons.map(([reason, what]) => {
      this.#said.add(reason);
      return `Not looked up: ${what.join(', ')}. ${reason}`;
    });
  }

  /** Keeps that something was not read. */
  keep(what: string, reason: string): void {
    const others = this.missing.get(reason) ?? [];
    if (!others.includes(what)) this.missing.set(reason, [...others, what]);
  }
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`There was no answer within ${DEADLINE / 1_000} s.`)),
      DEADLINE,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** People see the name, and may have given it any characters. */
function nameIn(tags: Tag[] = []): string | undefined {
  const name = tags.find(({ Key }) => Key === 'Name')?.Value;
  return name === undefined ? undefined : printableName(name, LONGEST_NAME);
}

const LONGEST_ANSWER = 1_000_000;

/** No name at AWS or CircleCI is longer: it is somebody's text, shown in a question. */
const LONGEST_NAME = 256;

const Classes = z.object({ items: z.array(z.object({ resource_class: z.string() })) });

/** The call of CircleCI's own command line, `circleci runner resource-class list NAMESPACE`. */
async function classesOf(namespace: string, base: string, token: string): Promise<string[]> {
  const url = new URL(`${base.replace(/\/+$/, '')}/api/v3/runner/resource`);
  url.search = `namespace=${encodeURIComponent(namespace)}`;
  // Not the error's text, because it may quote the token.
  const response = await fetch(url, {
    headers: { 'Circle-Token': token },
    redirect: 'manual', // fetch would carry the token to wherever a redirect points
    signal: AbortSignal.timeout(DEADLINE),
  }).catch(() => {
    throw new Error(`${url.origin} does not answer.`);
  });
  const body = await boundedText(response, LONGEST_ANSWER).catch(() => undefined);
  if (response.status === 401 || response.status === 403)
    throw new Error(`CircleCI refuses the token with ${response.status}.`);
  if (response.status !== 200) throw new Error(`CircleCI answers ${response.status}.`);
  try {
    const { items } = Classes.parse(JSON.parse(body ?? ''));
    return items.map((item) => printableName(item.resource_class, LONGEST_NAME)).sort();
  } catch {
    throw new Error('CircleCI does not answer with a list of classes.');
  }
}
