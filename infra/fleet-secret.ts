import { ArnFormat, Stack, Validations } from 'aws-cdk-lib';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { CfnSecret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import type { FleetConfig } from '../fleets/load.ts';
import { FLEET_NAME } from '../functions/lib/fleet-names.ts';
import { allowKey } from './encryption.ts';
import { allow, forbid } from './permissions.ts';

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
    this.secretArn = secretArn(this, this.secretName);
    if (existing !== undefined) return;
    // Beside this construct in the tree, not inside it: its logical id must stay the same in deployed stacks.
    const secret = new CfnSecret(scope, `${id}Secret`, { name, description });
    Validations.of(secret).acknowledge({
      id: 'AwsSolutions-SMG4',
      reason: 'CircleCI makes and revokes its tokens; Secrets Manager cannot rotate them there.',
    });
  }

  /** Allows a role to read the secret. */
  allowRead(role: Role): void {
    allow(role, { actions: ['secretsmanager:GetSecretValue'], resources: [this.secretArn] });
    allowKey(role, this.encryptionKey, 'secretsmanager', 'read');
  }

  /** Allows a role to read the scaler secrets of all fleets: those that stacks of fleets make, and existing ones by name. */
  static allowReadScalers(app: string, role: Role, fleets: FleetConfig[]): void {
    const existing = fleets.flatMap(({ scalerSecretName }) => scalerSecretName ?? []);
    allowOfAllFleets(app, role, { use: 'scaler', existing, action: 'secretsmanager:GetSecretValue' });
    // All secrets of an app have the same key.
    allowKey(role, fleets[0]?.encryptionKey, 'secretsmanager', 'read');
  }

  /**
   * Forbids a role to read the scaler secrets of all fleets, whatever else allows it.
   *
   * @param existing The names of those that no stack makes.
   */
  static forbidReadScalers(app: string, role: Role, existing: readonly string[]): void {
    const names = [...new Set([secretNameOf(app, '*', 'scaler'), ...existing])];
    for (let start = 0; start < names.length; start += NAMES_PER_STATEMENT)
      forbid(role, {
        actions: ['secretsmanager:GetSecretValue'],
        resources: names.slice(start, start + NAMES_PER_STATEMENT).map((name) => secretArn(role, name)),
      });
  }

  /** Allows a role to see when the resource class tokens of all fleets were stored. It cannot read them. */
  static allowDatesOfRunners(app: string, role: Role, fleets: FleetConfig[]): void {
    const existing = fleets.flatMap(({ runnerSecretName }) => runnerSecretName ?? []);
    allowOfAllFleets(app, role, { use: 'runner', existing, action: 'secretsmanager:ListSecretVersionIds' });
  }
}

/**
 * The CDK moves whole statements into managed policies if a role's policy grows too large, and such a policy has 6,144
 * characters. So no statement may be longer, with names of 512 characters each.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
 */
const NAMES_PER_STATEMENT = 9;

/** Allows an action on the secrets of one use of all fleets: existing ones by name, those of the app by their pattern. */
function allowOfAllFleets(
  app: string,
  role: Role,
  { use, existing, action }: { use: 'scaler' | 'runner'; existing: string[]; action: string },
): void {
  const names = [...new Set(existing)];
  for (let start = 0; start < names.length; start += NAMES_PER_STATEMENT)
    allow(role, {
      actions: [action],
      resources: names.slice(start, start + NAMES_PER_STATEMENT).map((name) => secretArn(role, name)),
    });
  allow(role, {
    actions: [action],
    resources: [secretArn(role, secretNameOf(app, '*', use))],
    wildcard: `Fleets have stacks of their own. A secret of this name is a ${use} secret of this app.`,
  });
}

/** The name of a secret that a fleet's stack makes. */
export const secretNameOf = (app: string, fleet: string, use: 'scaler' | 'runner') =>
  `${app}/${fleet}/${use}`;

/** Whether a stack of a fleet of this app makes the secret of this name, without a value. */
export const isScalerSecretOf = (app: string, name: string): boolean =>
  name.startsWith(`${app}/`) &&
  name.endsWith('/scaler') &&
  FLEET_NAME.test(name.slice(app.length + 1, -'/scaler'.length));

/** The ARN of the secret, or secrets, of this name: Secrets Manager adds a hyphen and six characters. */
const secretArn = (scope: Construct, name: string) =>
  Stack.of(scope).formatArn({
    service: 'secretsmanager',
    resource: 'secret',
    resourceName: `${name}-??????`,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
