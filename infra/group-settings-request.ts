import * as z from 'zod/mini';
import { fleetStackName } from '../fleets/names.ts';
import { FLEET_NAME } from '../functions/lib/fleet-names.ts';

const Properties = z.object({
  /** The group of a fleet. The request of the shared stack names none. */
  GroupName: z.optional(z.string()),
  /** Names the alarm that watches a fleet's heartbeat; only of the request before that alarm is made. */
  Alarm: z.optional(z.string()),
  /** The image that a fleet has until one is built; only of requests about its image. */
  Source: z.optional(z.string()),
});

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html */
const Request = z.object({
  RequestType: z.enum(['Create', 'Update', 'Delete']),
  ResponseURL: z.string(),
  StackId: z.string(),
  RequestId: z.string(),
  LogicalResourceId: z.string(),
  ResourceProperties: Properties,
  OldResourceProperties: z.optional(Properties),
});
type Request = z.infer<typeof Request>;

/** The function was called by somebody else than CloudFormation, or for a stack that is no fleet's. */
export class RequestRefused extends Error {
  override readonly name = 'RequestRefused';
}

/** The parts of the function's environment that say which requests are its own. */
interface Own {
  STACK_NAME?: string;
  AWS_REGION?: string;
  /** Set where an emulator stands in for AWS. */
  AWS_ENDPOINT_URL?: string;
}

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * The request, if it is CloudFormation's for the shared stack of this app, or for the stack of a fleet and its group.
 *
 * @throws RequestRefused
 */
export function checkedRequest(event: unknown, own: Own): Request {
  const parsed = z.safeParse(Request, event);
  if (!parsed.success) throw new RequestRefused('The event is not a request of CloudFormation.');
  const { StackId, ResponseURL, ResourceProperties } = parsed.data;
  const app = own.STACK_NAME ?? '';
  if (app === '' || stackIn(StackId) !== stackThatMayAsk(app, ResourceProperties.GroupName)) {
    throw new RequestRefused(
      "The request is not of this app's shared stack, or of the stack of the group's fleet.",
    );
  }
  if (!answersCloudFormation(ResponseURL, own)) {
    throw new RequestRefused('The answer would not go to CloudFormation.');
  }
  return parsed.data;
}

/**
 * The name of the stack whose requests are about this group, or about none.
 *
 * @throws RequestRefused
 */
function stackThatMayAsk(app: string, group: string | undefined): string {
  if (group === undefined) return app;
  const fleet = group.slice(app.length + 1);
  if (!group.startsWith(`${app}-`) || !FLEET_NAME.test(fleet))
    throw new RequestRefused('The group is not one of this app.');
  return fleetStackName(app, fleet);
}

/** The name of the stack with this id. */
const stackIn = (stackId: string): string | undefined =>
  /^arn:[^/]*:stack\/([^/]+)\/[^/]+$/.exec(stackId)?.[1];

/** The buckets from which CloudFormation reads answers: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-vpce-bucketnames.html */
function answersCloudFormation(text: string, { AWS_REGION = '', AWS_ENDPOINT_URL }: Own): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, port, username, password } = new URL(text);
  if (AWS_ENDPOINT_URL !== undefined && LOOPBACK.has(hostname)) return true;
  const bucket = `cloudformation-custom-resource-response-${AWS_REGION.replaceAll('-', '')}`;
  const [first = '', ...rest] = hostname.split('.');
  return (
    protocol === 'https:' &&
    `${port}${username}${password}` === '' &&
    first === bucket &&
    /^s3(-[a-z0-9-]+)?(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?$/.test(rest.join('.'))
  );
}

/**
 * Answers CloudFormation.
 *
 * @param failure Why it could not be done. Default: it is done.
 */
export async function answer(
  { ResponseURL, StackId, RequestId, LogicalResourceId }: Request,
  PhysicalResourceId: string,
  failure: string | undefined,
): Promise<void> {
  const taken = await fetch(ResponseURL, {
    method: 'PUT',
    body: JSON.stringify({
      Status: failure === undefined ? 'SUCCESS' : 'FAILED',
      ...(failure !== undefined && { Reason: failure }),
      PhysicalResourceId,
      StackId,
      RequestId,
      LogicalResourceId,
    }),
    signal: AbortSignal.timeout(10_000),
  });
  // Lambda calls again after an error.
  if (!taken.ok) throw new Error(`CloudFormation did not take the answer: status ${taken.status}`);
}
