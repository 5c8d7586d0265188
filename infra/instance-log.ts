import { ArnFormat, RemovalPolicy, Stack } from 'aws-cdk-lib';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { allow } from './permissions.ts';

export interface InstanceLogProps {
  name: string;
}

/** The log group of a fleet's instances: boots and runners. */
export class InstanceLog extends LogGroup {
  private readonly name: string;

  constructor(scope: Construct, id: string, { name }: InstanceLogProps) {
    super(scope, id, {
      logGroupName: name,
      retention: RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.name = name;
  }

  /** Allows a role to write to the log group. */
  allowWrite(role: Role): void {
    allow(role, {
      actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      resources: [
        Stack.of(this).formatArn({
          service: 'logs',
          resource: 'log-group',
          resourceName: `${this.name}:*`,
          arnFormat: ArnFormat.COLON_RESOURCE_NAME,
        }),
      ],
      wildcard: 'The * stands for the log streams of one log group; each has the name of its instance.',
    });
  }
}
