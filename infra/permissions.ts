import { Aws, Validations } from 'aws-cdk-lib';
import { type Conditions, Effect, PolicyStatement, type Role } from 'aws-cdk-lib/aws-iam';

export interface Permission {
  actions: string[];
  resources: string[];
  conditions?: Conditions;
  /** Why resources with a `*` in them are as narrow as they can be; a test requires it of such resources. */
  wildcard?: string;
}

/** Allows a role some actions. */
export function allow(role: Role, { wildcard, ...permission }: Permission): void {
  role.addToPolicy(new PolicyStatement(permission));
  if (wildcard === undefined) return;
  for (const resource of permission.resources) {
    Validations.of(role).acknowledge({
      id: `AwsSolutions-IAM5[Resource::${asInFindings(resource)}]`,
      reason: wildcard,
    });
  }
}

/** Forbids a role some actions, whatever else allows them. */
export function forbid(role: Role, permission: Omit<Permission, 'wildcard'>): void {
  role.addToPolicy(new PolicyStatement({ ...permission, effect: Effect.DENY }));
}

/** Allows a role to read every group: IAM cannot restrict these actions to some. */
export function allowDescribe(role: Role, what: 'AutoScalingGroups' | 'ScalingActivities'): void {
  allow(role, {
    actions: [`autoscaling:Describe${what}`],
    resources: ['*'],
    wildcard:
      'The action supports no resources: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2autoscaling.html',
  });
}

/** cdk-nag's findings write `<AWS::Region>` where an ARN refers to the region. */
function asInFindings(arn: string): string {
  return arn
    .replaceAll(Aws.PARTITION, '<AWS::Partition>')
    .replaceAll(Aws.REGION, '<AWS::Region>')
    .replaceAll(Aws.ACCOUNT_ID, '<AWS::AccountId>');
}
