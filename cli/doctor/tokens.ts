import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { DeployedSettings } from '../../functions/lib/contracts.ts';
import { readCircleToken, secretsProvider } from '../../functions/lib/secrets.ts';
import { AWS_CLIENT } from '../aws/client.ts';
import { faultOfApiToken, storedSecret } from '../deployed/rotation.ts';
import { bad, type Check, type Finding, ok } from './check.ts';

/** @param fault Why the personal API token cannot be used; `undefined` if it can. */
export function tokenFindings(
  fleet: string,
  fault: string | undefined,
  classTokenStored: boolean | undefined,
): Finding[] {
  const store = `npm run secrets -- ${fleet}`;
  return [
    fault === undefined
      ? ok('CircleCI counts its tasks with the personal API token', fleet)
      : bad('fail', `the personal API token cannot be used: ${fault}`, store, fleet),
    ...(classTokenStored === undefined
      ? []
      : classTokenStored
        ? [ok('the resource class token is stored', fleet)]
        : [bad('fail', 'no resource class token is stored, so no runner can claim a task', store, fleet)]),
  ];
}

export const tokens: Check = {
  name: 'tokens',
  run: async ({ app, fleets, groups, settings }) => {
    const client = new SecretsManagerClient(AWS_CLIENT);
    const provider = secretsProvider(client);
    const findings = groups.map(async ({ fleet }): Promise<Finding[]> => {
      const deployed = settings.get(fleet);
      if (deployed === undefined) return [];
      const runner = fleets.find(({ name }) => name === fleet)?.runnerSecretName ?? `${app}/${fleet}/runner`;
      const [fault, stored] = await Promise.all([
        faultOfScalerSecret(deployed, provider),
        storedSecret(client, runner).then(
          ({ storedAt }) => storedAt !== undefined,
          // An existing secret, whose name only fleets.yaml has.
          () => undefined,
        ),
      ]);
      return tokenFindings(fleet, fault, stored);
    });
    return (await Promise.all(findings)).flat();
  },
};

/** The error of the functions' own reader, which quotes no value, or CircleCI's answer. */
async function faultOfScalerSecret(
  deployed: DeployedSettings,
  provider: ReturnType<typeof secretsProvider>,
): Promise<string | undefined> {
  try {
    const token = await readCircleToken(provider, deployed, { fresh: true });
    return await faultOfApiToken(token, deployed);
  } catch (error) {
    return (error as Error).message;
  }
}
