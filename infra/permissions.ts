import { Aws, Validations } from 'aws-cdk-lib';
import { type Conditions, PolicyStatement, type Role } from 'aws-cdk-lib/aws-iam';

export interface Permission {
  actions: string[];
  resources: string[];
  conditions?: Conditions;
  /** Why resources with a `*` in them are as narrow as they can be; required of such resources by a test. */
  wildcard?: string;
}

/** What reading the state of groups takes. */
export const DESCRIBE_GROUPS: Permission = {
  actions: ['autoscaling:DescribeAutoScalingGroups'],
  resources: ['*'],
  wildcard:
    'The action knows no resources: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2autoscaling.html',
};

/** What reading the scaling activities of groups takes. */
export const DESCRIBE_ACTIVITIES: Permission = {
  ...DESCRIBE_GROUPS,
  actions: ['autoscaling:DescribeScalingActivities'],
};

/** Allows a role some actions. */
export function allow(role: Role, { wildcard, ...permission }: Permission): void {
  role.addToPolicy(new PolicyStatement(permission));
  if (wildcard === undefined) return;
  for (const resource of permission.resources) {
    Validations.of(role).acknowledge({
      id: `AwsSolutions-IAM5[Resource::${asFindingsNameIt(resource)}]`,
      reason: wildcard,
    });
  }
}

/** cdk-nag's findings write `<AWS::Region>` where an ARN refers to the region. */
function asFindingsNameIt(arn: string): string {
  return arn
    .replaceAll(Aws.PARTITION, '<AWS::Partition>')
    .replaceAll(Aws.REGION, '<AWS::Region>')
    .replaceAll(Aws.ACCOUNT_ID, '<AWS::AccountId>');
}
