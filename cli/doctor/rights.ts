import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { bootstrapQualifierOf } from '../../fleets/deployment.ts';
import { AWS_CLIENT } from '../aws/client.ts';
import { bootstrapVersion } from '../aws/place.ts';
import { bad, type Check, type Finding, ok } from './check.ts';
import { installRightsFindings } from './install-rights.ts';

/** The roles of the CDK's bootstrap with which a deployment works: https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html */
const ROLES = ['deploy-role', 'file-publishing-role'];

/** The shortest session, in seconds. It is not used. */
const SHORTEST = 900;

/** @param refused The roles of the bootstrap that may not be assumed. */
export function rightsFindings(caller: string, refused: string[]): Finding[] {
  if (caller.endsWith(':root'))
    return [
      bad(
        'warn',
        'these are credentials of the root user, which may assume no role of the bootstrap',
        'deploy with a role or a user of the account',
      ),
    ];
  return refused.length === 0
    ? [ok('you may deploy: you may assume the roles of the bootstrap')]
    : [
        bad(
          'warn',
          `you may not deploy: ${caller} may not assume ${refused.join(', ')}`,
          'allow sts:AssumeRole on the roles, or deploy with another profile',
        ),
      ];
}

/**
 * A deployment works with the roles of the bootstrap, so whoever may assume them may deploy. To assume one is the only
 * sure test: a simulation of policies knows neither the role's own trust nor the organisation's policies.
 */
export const rights: Check = {
  name: 'rights',
  run: async ({ fleets }) => {
    if (fleets.length === 0) return [];
    const sts = new STSClient(AWS_CLIENT);
    const { Arn = '', Account = '' } = await sts.send(new GetCallerIdentityCommand({}));
    const ofScripts = fleets.flatMap((fleet) => installRightsFindings(fleet, Arn));
    // Without a bootstrap, there are no roles, and the check of the bootstrap says so.
    if ((await bootstrapVersion()) === undefined) return ofScripts;
    const [, partition = 'aws'] = Arn.split(':');
    const region = await sts.config.region();
    const refused = await Promise.all(
      ROLES.map(async (role) => {
        const name = `cdk-${bootstrapQualifierOf()}-${role}-${Account}-${region}`;
        const mayAssume = await mayAssumeRole(sts, `arn:${partition}:iam::${Account}:role/${name}`);
        return mayAssume ? [] : [name];
      }),
    );
    return [...rightsFindings(Arn, refused.flat()), ...ofScripts];
  },
};

async function mayAssumeRole(sts: STSClient, RoleArn: string): Promise<boolean> {
  const asked = { RoleArn, RoleSessionName: 'circleci-runners-doctor', DurationSeconds: SHORTEST };
  try {
    await sts.send(new AssumeRoleCommand(asked));
    return true;
  } catch (error) {
    if (['AccessDenied', 'AccessDeniedException'].includes((error as Error).name)) return false;
    throw error;
  }
}
