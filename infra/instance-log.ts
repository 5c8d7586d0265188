import { ArnFormat, RemovalPolicy, Stack } from 'aws-cdk-lib';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { LogGroup, LogGroupClass, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { allow } from './permissions.ts';

export interface InstanceLogProps {
  /** The name of the log group without `/instances`. */
  name: string;
}

/**
 * The log group of a fleet's instances: boots and runners.
 *
 * A job with sudo can write into it what it likes. CloudWatch makes metrics of lines in the embedded metric format, in any
 * namespace, but not in this class of log groups, which has no metric extraction:
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch_Logs_Log_Classes.html
 * The class of a log group cannot change: CloudFormation refuses it. So another class needs another name.
 */
export class InstanceLog extends LogGroup {
  private readonly name: string;

  constructor(scope: Construct, id: string, { name }: InstanceLogProps) {
    const logGroupName = `${name}/instances`;
    super(scope, id, {
      logGroupName,
      logGroupClass: LogGroupClass.INFREQUENT_ACCESS,
      retention: RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.name = logGroupName;
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
