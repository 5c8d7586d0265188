import { ArnFormat, Stack, Validations } from 'aws-cdk-lib';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { CfnSecret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { allowKey } from './encryption.ts';
import { allow } from './permissions.ts';

export interface FleetSecretProps {
  /** Name of an existing secret. Without it the stack makes one. */
  existing: string | undefined;
  /** Name of the secret that the stack makes. */
  name: string;
  /** What the secret holds, for the Secrets Manager console. */
  description: string;
  /** The adopter's KMS key. Default: Secrets Manager's own. */
  encryptionKey: string | undefined;
}

/**
 * One of a fleet's two secrets: an existing one, or a new one without a value. A value in the template could pass for a
 * real one, and a later deployment would overwrite the adopter's.
 */
export class FleetSecret extends Construct {
  readonly secretName: string;
  readonly secretArn: string;
  private readonly encryptionKey: string | undefined;

  constructor(scope: Construct, id: string, props: FleetSecretProps) {
    super(scope, id);
    const { existing, name, description } = props;
    this.encryptionKey = props.encryptionKey;
    this.secretName = existing ?? name;
    // By its name, not by its ARN: a secret that is made again, after somebody deleted it, has another ARN.
    this.secretArn = Stack.of(this).formatArn({
      service: 'secretsmanager',
      resource: 'secret',
      // Secrets Manager adds a hyphen and six characters to a secret's name in its ARN.
      resourceName: `${this.secretName}-??????`,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    if (existing !== undefined) return;
    // Beside this construct in the tree, not inside it: its logical id must stay the same in deployed stacks.
    const secret = new CfnSecret(scope, `${id}Secret`, { name, description });
    Validations.of(secret).acknowledge({
      id: 'AwsSolutions-SMG4',
      reason: 'CircleCI makes and revokes its tokens; Secrets Manager cannot rotate them there.',
    });
  }

  /** Allows a role to read these secrets, in one statement, because a role's policies have 10,240 characters. */
  static allowRead(role: Role, secrets: FleetSecret[]): void {
    allow(role, {
      actions: ['secretsmanager:GetSecretValue'],
      resources: secrets.map(({ secretArn }) => secretArn),
    });
    // All secrets of a stack have the same key.
    allowKey(role, secrets[0]?.encryptionKey, 'secretsmanager', 'read');
  }
}
