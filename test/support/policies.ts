import * as z from 'zod';

/**
 * Judges requests by the identity policies of a role, as IAM does for requests in the role's own account: allowed if a
 * statement allows it, and none denies it.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
 *
 * It knows the elements and condition operators that our policies use, and refuses all others, so that a new one is not
 * taken for granted. It leaves out permissions boundaries, session policies, service control policies and resource
 * policies: each of them can only take permissions away from a role in its own account, or is the adopter's own.
 */

const OneOrMore = z.union([z.string(), z.array(z.string())]).transform((value) => [value].flat());

/** A statement of a policy; an element that it does not know is an error. */
export const PolicyStatement = z.strictObject({
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Action: OneOrMore,
  Resource: OneOrMore,
  Condition: z.record(z.string(), z.record(z.string(), OneOrMore)).default({}),
});
export type PolicyStatement = z.infer<typeof PolicyStatement>;

export interface Request {
  action: string;
  resource: string;
  /** Condition keys of the request; a key with several values has a list. */
  context?: Record<string, string | string[]>;
}

/** Whether a role with these statements may make the request. */
export function allows(statements: PolicyStatement[], request: Request): boolean {
  const applying = statements.filter((statement) => applies(statement, request));
  return (
    applying.some(({ Effect }) => Effect === 'Allow') && !applying.some(({ Effect }) => Effect === 'Deny')
  );
}

function applies({ Action, Resource, Condition }: PolicyStatement, request: Request): boolean {
  return (
    Action.some((pattern) => matches(pattern.toLowerCase(), request.action.toLowerCase())) &&
    Resource.some((pattern) => matches(pattern, request.resource)) &&
    Object.entries(Condition).every(([operator, keys]) =>
      Object.entries(keys).every(([key, wanted]) => holds(operator, request.context?.[key], wanted)),
    )
  );
}

/** `*` stands for any text and `?` for one character: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html */
function matches(pattern: string, text: string): boolean {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's').test(text);
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html */
function holds(operator: string, given: string | string[] | undefined, wanted: string[]): boolean {
  const [name = '', quantifier] = operator.split(':').toReversed();
  if (Object.hasOwn(NEGATED, name)) {
    // It holds for a request without the key, too.
    return !holds(operator.replace(name, NEGATED[name] ?? ''), given, wanted);
  }
  const values = [given ?? []].flat();
  if (operator === 'Null') return wanted.includes(String(values.length === 0));
  if (name.endsWith('IfExists'))
    return values.length === 0 || holds(operator.replace(/IfExists$/, ''), given, wanted);
  const compare = COMPARISONS[name];
  if (compare === undefined) throw new Error(`No condition operator ${operator} is known here`);
  const one = (value: string) => wanted.some((candidate) => compare(candidate, value));
  if (quantifier === 'ForAllValues') return values.every(one);
  if (quantifier === 'ForAnyValue') return values.some(one);
  if (quantifier !== undefined) throw new Error(`No condition operator ${operator} is known here`);
  // A key that the request does not have never matches, unless the operator says so.
  return values.length > 0 && values.every(one);
}

/** Operators that are the opposite of another one, for keys with one value. */
const NEGATED: Record<string, string> = { ArnNotLike: 'ArnLike', StringNotLike: 'StringLike' };

const COMPARISONS: Record<string, (pattern: string, value: string) => boolean> = {
  StringEquals: (pattern, value) => pattern === value,
  StringLike: matches,
  ArnEquals: matches,
  ArnLike: matches,
  NumericLessThanEquals: (most, value) => Number(value) <= Number(most),
  Bool: (pattern, value) => pattern === value,
};
