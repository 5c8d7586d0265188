import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { DeployedSettings } from '../../functions/lib/contracts.ts';
import { SecretUnset } from '../../functions/lib/errors.ts';
import { readCircleToken, secretsProvider } from '../../functions/lib/secrets.ts';
import { readBesideCounts } from '../../functions/lib/zero-check.ts';
import { AWS_CLIENT } from '../aws/client.ts';
import { faultOfApiToken, storedSecret } from '../deployed/rotation.ts';
import { bad, type Check, type Finding, ok } from './check.ts';

/** Nobody has stored the tokens since a deployment made their secrets. */
export const AWAITED = 'the fleet waits for it, because nobody has stored it';

/**
 * @param fault Why the personal API token cannot be used; `undefined` if it can.
 * @param skipped What a count of 0 cannot be checked against, with the reason.
 */
export function tokenFindings(
  fleet: string,
  fault: string | undefined,
  classTokenStored: boolean | undefined,
  skipped: string[] = [],
): Finding[] {
  const store = `npm run secrets -- ${fleet}`;
  if (fault === AWAITED && classTokenStored !== true)
    return [
      bad('fail', 'the fleet waits for its tokens: nothing launches until both are stored', store, fleet),
    ];
  return [
    fault === undefined
      ? ok('CircleCI counts its tasks with the personal API token', fleet)
      : bad('fail', `the personal API token cannot be used: ${fault}`, store, fleet),
    ...skipped.map((source) =>
      bad(
        'warn',
        `a count of 0 is not checked against ${source}`,
        'this may pass by itself; see docs/how-it-decides.md#whether-a-zero-is-true',
        fleet,
      ),
    ),
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
      const [{ fault, skipped }, stored] = await Promise.all([
        tryScalerSecret(deployed, provider),
        storedSecret(client, runner).then(
          ({ storedAt }) => storedAt !== undefined,
          // An existing secret, whose name only fleets.yaml has.
          () => undefined,
        ),
      ]);
      return tokenFindings(fleet, fault, stored, skipped);
    });
    return (await Promise.all(findings)).flat();
  },
};

/** How long the sources beside the counts may take, in milliseconds. */
const LONGEST_CHECK = 5_000;

/** The error of the functions' own reader, which quotes no value, or CircleCI's answer. And what a check of a count of 0 skips. */
async function tryScalerSecret(
  deployed: DeployedSettings,
  provider: ReturnType<typeof secretsProvider>,
): Promise<{ fault: string | undefined; skipped?: string[] }> {
  try {
    const token = await readCircleToken(provider, deployed, { fresh: true });
    const fault = await faultOfApiToken(token, deployed);
    if (fault !== undefined) return { fault };
    const reading = {
      access: { fetch },
      fleet: deployed,
      token,
      deadline: AbortSignal.timeout(LONGEST_CHECK),
    };
    const now = Date.now();
    const { skipped } = await readBesideCounts(reading, now, now);
    return { fault, skipped };
  } catch (error) {
    if (error instanceof SecretUnset && deployed.awaitsTokens) return { fault: AWAITED };
    return { fault: (error as Error).message };
  }
}
