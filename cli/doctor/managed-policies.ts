import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { AWS_CLIENT } from '../aws/client.ts';
import { hasManagedPolicy } from '../aws/managed-policy.ts';
import { bad, type Check, ok } from './check.ts';
import { mayBeAttached } from './install-rights.ts';

/**
 * Whether the managed policies exist that fleets name. A deployment would fail at the role, and roll back. Those of another
 * partition or account have failed already.
 */
export const managedPolicies: Check = {
  name: 'rights',
  run: async ({ fleets }) => {
    const withRoles = fleets.filter(({ roles }) => roles !== undefined);
    if (withRoles.length === 0) return [];
    const sts = new STSClient(AWS_CLIENT);
    const { Arn = '' } = await sts.send(new GetCallerIdentityCommand({}));
    const findings = withRoles.map(async ({ name, roles }) => {
      const arns = (roles?.instance ?? []).filter((arn) => mayBeAttached(arn, Arn));
      const exist = await Promise.all(arns.map((arn) => hasManagedPolicy(arn, sts)));
      const missing = arns.filter((_, index) => exist[index] === false);
      if (missing.length === 0)
        return exist.includes(true) ? [ok('the managed policies in roles exist', name)] : [];
      return missing.map((arn) =>
        bad(
          'fail',
          `${arn} does not exist`,
          'create the policy, or correct roles.instance in fleets.yaml',
          name,
        ),
      );
    });
    return (await Promise.all(findings)).flat();
  },
};
