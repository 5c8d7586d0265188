import { Validations } from 'aws-cdk-lib';
import { ManagedPolicy, type Role } from 'aws-cdk-lib/aws-iam';
import type { FleetConfig } from '../fleets/load.ts';
import type { AllFleets } from './all-fleets.ts';
import { FleetSecret } from './fleet-secret.ts';
import { allow } from './permissions.ts';

const REASON = 'The settings of the fleet name them, and the guardrails list them.';

/**
 * Gives a role what a fleet's `install` script may do: the role of its instances, and that of the machines on which its image
 * is built.
 *
 * @param fleets All fleets of the app, whose scaler secrets it must not read.
 */
export function allowInstall(role: Role, app: string, fleet: FleetConfig, fleets: AllFleets): void {
  const { roles, installPermissions = [] } = fleet;
  const policies = roles?.instance ?? [];
  if (policies.length + installPermissions.length === 0) return;
  const acknowledge = (id: string) => Validations.of(role).acknowledge({ id, reason: REASON });
  policies.forEach((arn, index) => {
    role.addManagedPolicy(ManagedPolicy.fromManagedPolicyArn(role, `Policy${index + 1}`, arn));
    acknowledge(`AwsSolutions-IAM4[Policy::${arn}]`);
  });
  for (const statement of installPermissions) {
    allow(role, { ...statement, wildcard: REASON });
    for (const action of statement.actions) acknowledge(`AwsSolutions-IAM5[Action::${action}]`);
  }
  // No instance reads a personal API token.
  fleets.whenComplete((configs) =>
    FleetSecret.forbidReadScalers(
      app,
      role,
      configs.flatMap(({ scalerSecretName }) => scalerSecretName ?? []),
    ),
  );
}
