import { Aws, type IAspect, Stack } from 'aws-cdk-lib';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { CfnLogGroup } from 'aws-cdk-lib/aws-logs';
import { CfnSecret } from 'aws-cdk-lib/aws-secretsmanager';
import { CfnTopic } from 'aws-cdk-lib/aws-sns';
import { CfnQueue } from 'aws-cdk-lib/aws-sqs';
import type { IConstruct } from 'constructs';
import { allow } from './permissions.ts';

/** Encrypts with the adopter's key whatever a stack keeps, wherever it is made. The volumes have it from their launch template. */
export class EncryptionKey implements IAspect {
  constructor(private readonly arn: string) {}

  visit(node: IConstruct): void {
    if (node instanceof CfnSecret || node instanceof CfnLogGroup) node.kmsKeyId = this.arn;
    if (node instanceof CfnTopic) node.kmsMasterKeyId = this.arn;
    if (node instanceof CfnQueue) {
      node.kmsMasterKeyId = this.arn;
      node.sqsManagedSseEnabled = undefined;
    }
  }
}

/**
 * Allows a role to use the adopter's key through one service: to read what it keeps encrypted, or to write.
 *
 * @param arn The key. Without one, the service uses a key of AWS, which needs no permission.
 */
export function allowKey(role: Role, arn: string | undefined, service: string, use: 'read' | 'write'): void {
  if (arn === undefined) return;
  allow(role, {
    actions: ['kms:Decrypt', ...(use === 'write' ? ['kms:GenerateDataKey'] : [])],
    resources: [arn],
    conditions: {
      StringEquals: { 'kms:ViaService': `${service}.${Stack.of(role).region}.${Aws.URL_SUFFIX}` },
    },
  });
}
