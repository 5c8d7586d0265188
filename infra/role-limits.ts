import { Stack } from 'aws-cdk-lib';
import { CfnManagedPolicy, CfnPolicy, type CfnRole, Role } from 'aws-cdk-lib/aws-iam';
import * as z from 'zod';

/**
 * What IAM allows of a role: characters of its own policies without white space, characters of a managed policy, and managed
 * policies, unless the quota of the account is raised. The CDK makes managed policies of what does not fit, but counts each ARN
 * of a template as 150 characters, and only warns if there are more than ten.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
 */
const MOST = { own: 10_240, managed: 6_144, policies: 10 };

/** Has the synthesis fail if IAM would refuse the policies of a role of the stack. */
export function refuseLargePolicies(stack: Stack): void {
  stack.node.addValidation({
    // The CDK has moved statements by now: validations run after aspects.
    validate: () =>
      stack.node.findAll().flatMap((child) => {
        const fault = child instanceof Role ? faultOf(child) : undefined;
        return fault === undefined ? [] : [fault];
      }),
  });
}

const ADVICE =
  'The names of secrets of your own (scalerSecretName, runnerSecretName) are in it: let fleets share secrets, or give secrets shorter names';

function faultOf(role: Role): string | undefined {
  const stack = Stack.of(role);
  const { managedPolicyArns, ref } = role.node.defaultChild as CfnRole;
  const isOf = ({ roles }: CfnPolicy | CfnManagedPolicy) =>
    JSON.stringify(stack.resolve(roles) ?? []).includes(JSON.stringify(stack.resolve(ref)));
  const children = stack.node.findAll();
  const own = children.filter((child) => child instanceof CfnPolicy).filter(isOf);
  const managed = children.filter((child) => child instanceof CfnManagedPolicy).filter(isOf);
  const lengthOf = ({ policyDocument }: CfnPolicy | CfnManagedPolicy) =>
    JSON.stringify(written(stack.resolve(policyDocument))).length;

  const { path } = role.node;
  const ownLength = own.map(lengthOf).reduce((sum, length) => sum + length, 0);
  if (ownLength > MOST.own) return tooLong(`The policy of the role ${path}`, ownLength, MOST.own);
  const longest = Math.max(0, ...managed.map(lengthOf));
  if (longest > MOST.managed) return tooLong(`A managed policy of the role ${path}`, longest, MOST.managed);
  const named: unknown[] = stack.resolve(managedPolicyArns) ?? [];
  const count = named.length + managed.length;
  if (count > MOST.policies)
    return `The role ${path} would have ${count} managed policies, and IAM allows ${MOST.policies}. ${managed.length} of them hold what does not fit into its own policy. ${ADVICE}${named.length > 0 ? ', or name fewer policies in roles.instance' : ''}`;
  return undefined;
}

const tooLong = (what: string, length: number, most: number) =>
  `${what} would have about ${length.toLocaleString('en')} characters, and IAM allows ${most.toLocaleString('en')}. ${ADVICE}`;

const Joined = z.strictObject({ 'Fn::Join': z.tuple([z.string(), z.array(z.unknown())]) });
const Reference = z.union([
  z.strictObject({ Ref: z.string() }),
  z.strictObject({ 'Fn::GetAtt': z.unknown() }),
]);

/** As long as what CloudFormation fills in, or longer: a Region, and the ARN of a resource with the longest name. */
const FILLED_IN: Record<string, number> = {
  'AWS::Partition': 10,
  'AWS::Region': 14,
  'AWS::AccountId': 12,
  'AWS::URLSuffix': 16,
};
const LONGEST = 150;

/** A value of a template with texts in place of what CloudFormation fills in. */
function written(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(written);
  const joined = Joined.safeParse(value);
  if (joined.success) {
    const [separator, parts] = joined.data['Fn::Join'];
    return parts.map(written).join(separator);
  }
  const reference = Reference.safeParse(value);
  if (reference.success) {
    const name = 'Ref' in reference.data ? reference.data.Ref : '';
    return 'x'.repeat(FILLED_IN[name] ?? LONGEST);
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, written(each)]));
}
