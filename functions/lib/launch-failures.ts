/**
 * Why a launch failed, read from what EC2 Auto Scaling says about it. Pure. sandbox/launch-messages.yaml has texts that
 * groups have reported; docs/launch-failures.md shows what follows from each.
 */

/**
 * What a failure calls for.
 *
 * - `shortage`: EC2 has no capacity, or the account is at a quota. It passes, and trying costs nothing.
 * - `addresses`: the subnet has no free address. It passes as instances leave.
 * - `throttled`: the account makes too many requests. It passes.
 * - `placement`: the zone never has this instance type. Other zones do.
 * - `spot-role`: the account lacks the service-linked role for Spot Instances. Somebody must create it.
 * - `volume-key`: the KMS key of the volumes cannot be used. Somebody must change the key's policy.
 * - `refused`: EC2 refused the request for another reason, such as an image that does not exist.
 * - `boot`: the instance launched and never came into service.
 */
export type FailureKind =
  | 'shortage'
  | 'addresses'
  | 'throttled'
  | 'placement'
  | 'spot-role'
  | 'volume-key'
  | 'refused'
  | 'boot';

export const FAILURE_KINDS = [
  'shortage',
  'addresses',
  'throttled',
  'placement',
  'spot-role',
  'volume-key',
  'refused',
  'boot',
] as const satisfies readonly FailureKind[];

/** Kinds that pass by themselves and cost nothing to try again. */
export const PASSING: readonly FailureKind[] = ['shortage', 'addresses', 'throttled'];

/** A failure as it is classified; `spot` if it was Spot capacity that failed. */
export interface Classified {
  kind: FailureKind;
  spot: boolean;
}

/** "Could not launch Spot Instances." is how every failure of a mixed instances policy begins: not the cause. */
const PREFIX = /^Could not launch (Spot|On-Demand) Instances\.\s*/;

/** `UnfulfillableCapacity - There is no capacity ...`, or, of an instance that ended, `... Reason: Client.InternalError: ...`. */
const CODE = /^([A-Z]\w+(?:\.\w+)*) - |Termination Reason: ((?:Client|Server)\.\w+(?:\.\w+)*)/;

/** https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html, in the order in which they are tried. */
const CODES: readonly (readonly [RegExp, FailureKind])[] = [
  [/^InsufficientFreeAddressesInSubnet$/, 'addresses'],
  [/^(RequestLimitExceeded|Throttling(Exception)?|RequestThrottled(Exception)?)$/, 'throttled'],
  [/^(Insufficient\w*|Unfulfillable)Capacity$/, 'shortage'],
  [/^((Client|Server)\.)?\w+LimitExceeded$/, 'shortage'],
  [/^(MaxSpotInstanceCountExceeded|SpotMaxPriceTooLow|ReservationCapacityExceeded)$/, 'shortage'],
  [/^Server\.(SpotInstance(Termination|Shutdown)|Insufficient\w*Capacity)$/, 'shortage'],
  [/^Unsupported$/, 'placement'],
  [/^AuthFailure\.ServiceLinkedRoleCreationNotPermitted$/, 'spot-role'],
  [/^Client\.(InternalError|InvalidKMSKey(\.\w+)?)$/, 'volume-key'],
];

/**
 * Texts without a code, or with one that says too little, such as `InvalidFleetConfiguration`. Failures also quote names
 * that an adopter chose, which must not match.
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ts-as-capacity.html
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ts-as-instancelaunchfailure.html
 */
const TEXTS: readonly (readonly [RegExp, FailureKind])[] = [
  [/\bnot enough free addresses in (the )?subnet\b/i, 'addresses'],
  [/^(Request limit exceeded|Rate exceeded)\b/i, 'throttled'],
  [/\bnot supported in (your|the) requested Availability Zone\b/i, 'placement'],
  [/\brequested configuration is currently not supported\b/i, 'placement'],
  [/\bAvailability Zone is (currently constrained|no longer supported)\b/i, 'placement'],
  [/\bservice-linked role for EC2 Spot Instances\b/i, 'spot-role'],
  [/\bsufficient\b.+\bcapacity\b/i, 'shortage'],
  [/\bno (Spot )?capacity (is )?available\b/i, 'shortage'],
  [/\b(instance|vCPU) (count )?limit\b/i, 'shortage'],
  [/\bMax spot instance count exceeded\b|\bSpot request price\b/i, 'shortage'],
  [/\bquota allows\b/i, 'shortage'],
];

/** Codes and texts that are of Spot capacity, whatever the prefix says. */
const SPOT =
  /\bSpot(Instance|MaxPrice)|\bMaxSpot|\bSpot (request price|capacity|Instances)\b|\bspot instance count\b/i;

/**
 * Classifies a failure by the error code after the prefix, else by its text.
 *
 * @param message What EC2 Auto Scaling says.
 * @param launched Whether there was an instance.
 */
export function classifyFailure(message: string, launched: boolean): Classified {
  const prefix = PREFIX.exec(message);
  const cause = message.slice(prefix?.[0].length ?? 0);
  const [, refusal, termination] = CODE.exec(cause) ?? [];
  const code = refusal ?? termination ?? '';
  const kind = first(CODES, code) ?? first(TEXTS, cause) ?? (launched ? 'boot' : 'refused');
  return { kind, spot: prefix === null ? SPOT.test(cause) : prefix[1] === 'Spot' };
}

const first = (patterns: readonly (readonly [RegExp, FailureKind])[], text: string) =>
  patterns.find(([pattern]) => pattern.test(text))?.[1];
