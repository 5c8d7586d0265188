import { type EC2Client, type Filter, type Instance, paginateDescribeInstances } from '@aws-sdk/client-ec2';

/** The most values in a filter: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html */
const FILTER_VALUES = 200;

interface Options {
  abortSignal?: AbortSignal;
}

/** @throws An error of the SDK. */
export async function describeInstances(
  client: EC2Client,
  Filters: Filter[],
  options: Options = {},
): Promise<Instance[]> {
  const found: Instance[] = [];
  for await (const { Reservations = [] } of paginateDescribeInstances({ client }, { Filters }, options))
    found.push(...Reservations.flatMap(({ Instances = [] }) => Instances));
  return found;
}

/**
 * The instances of these that EC2 still knows, in any order. They are asked for by a filter, because an instance that is gone
 * makes a call that names it fail.
 *
 * @throws An error of the SDK.
 */
export async function instancesById(
  client: EC2Client,
  ids: readonly string[],
  options: Options = {},
): Promise<Instance[]> {
  const found: Instance[] = [];
  for (let start = 0; start < ids.length; start += FILTER_VALUES) {
    const Filters = [{ Name: 'instance-id', Values: ids.slice(start, start + FILTER_VALUES) }];
    found.push(...(await describeInstances(client, Filters, options)));
  }
  return found;
}
