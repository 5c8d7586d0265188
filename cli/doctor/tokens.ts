import { DescribeSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { tokensAwaitedUntil } from '../../functions/lib/awaited-tokens.ts';
import type { DeployedSettings } from '../../functions/lib/contracts.ts';
import { SecretUnset } from '../../functions/lib/errors.ts';
import { readCircleToken, secretsProvider } from '../../functions/lib/secrets.ts';
import { readBesideCounts } from '../../functions/lib/zero-check.ts';
import { AWS_CLIENT } from '../aws/client.ts';
import { type ApiTokenFault, faultOfApiToken } from '../deployed/rotation.ts';
import { bad, type Check, type Finding, ok } from './check.ts';

/** Nobody has stored the tokens since a deployment made their secrets. */
export const AWAITED = 'the fleet waits for it, because nobody has stored it';

/** What is known of the secret with the resource class token: `undefined` if its name is not known, or it may not be read. */
export type RunnerSecret = 'stored' | 'empty' | 'marked for deletion' | 'missing' | undefined;

/**
 * @param fault Why the personal API token cannot be used; `undefined` if it can.
 * @param skipped What a count of 0 cannot be checked against, with the reason.
 */
export function tokenFindings(
  fleet: string,
  fault: ApiTokenFault | typeof AWAITED | undefined,
  runnerSecret: RunnerSecret,
  skipped: string[] = [],
): Finding[] {
  const store = `npm run secrets -- ${fleet}`;
  if (fault === AWAITED && (runnerSecret === 'empty' || runnerSecret === undefined))
    return [
      bad('warn', 'the fleet waits for its tokens: nothing launches until both are stored', store, fleet),
    ];
  return [
    fault === undefined
      ? ok('CircleCI counts its tasks with the personal API token', fleet)
      : fault === AWAITED
        ? bad('warn', `the personal API token is not stored: ${fault}`, store, fleet)
        : bad('fail', `the personal API token cannot be used: ${fault.says}`, fault.remedy ?? store, fleet),
    ...skipped.map((source) =>
      bad(
        'warn',
        `a count of 0 is not checked against ${source}`,
        'this may pass by itself; see docs/how-it-decides.md#whether-a-zero-is-true',
        fleet,
      ),
    ),
    ...runnerSecretFindings(fleet, runnerSecret, store),
  ];
}

function runnerSecretFindings(fleet: string, runnerSecret: RunnerSecret, store: string): Finding[] {
  if (runnerSecret === undefined) return [];
  if (runnerSecret === 'stored') return [ok('the resource class token is stored', fleet)];
  return [
    bad(
      'fail',
      runnerSecret === 'empty'
        ? 'no resource class token is stored, so no runner can claim a task'
        : `the secret with the resource class token ${runnerSecret === 'missing' ? 'does not exist' : 'is marked for deletion'}, so no runner can claim a task`,
      store,
      fleet,
    ),
  ];
}

export const tokens: Check = {
  name: 'tokens',
  run: async ({ app, fleets, groups, settings, deployedAt, now }) => {
    const client = new SecretsManagerClient(AWS_CLIENT);
    const provider = secretsProvider(client);
    const findings = groups.map(async ({ fleet }): Promise<Finding[]> => {
      const deployed = settings.get(fleet);
      if (deployed === undefined) return [];
      const declared = fleets.find(({ name }) => name === fleet);
      const runner = declared?.runnerSecretName ?? `${app}/${fleet}/runner`;
      const [{ fault, skipped }, runnerSecret] = await Promise.all([
        tryScalerSecret(deployed, provider, now < tokensAwaitedUntil(deployed, deployedAt.get(fleet))),
        readRunnerSecret(client, runner, declared !== undefined),
      ]);
      return tokenFindings(fleet, fault, runnerSecret, skipped);
    });
    return (await Promise.all(findings)).flat();
  },
};

/** @param isNamed Whether the name is known: only fleets.yaml has that of an existing secret. */
async function readRunnerSecret(
  client: SecretsManagerClient,
  SecretId: string,
  isNamed: boolean,
): Promise<RunnerSecret> {
  try {
    const { DeletedDate, VersionIdsToStages = {} } = await client.send(
      new DescribeSecretCommand({ SecretId }),
    );
    if (DeletedDate !== undefined) return 'marked for deletion';
    return Object.values(VersionIdsToStages).flat().includes('AWSCURRENT') ? 'stored' : 'empty';
  } catch (error) {
    return isNamed && (error as Error).name === 'ResourceNotFoundException' ? 'missing' : undefined;
  }
}

/** How long the sources beside the counts may take, in milliseconds. */
const LONGEST_CHECK = 5_000;

/**
 * The error of the functions' own reader, which quotes no value, or CircleCI's answer. And what a check of a count of 0 skips.
 *
 * @param isAwaited Whether a secret without a value is no failure, by the rule of the workflow.
 */
async function tryScalerSecret(
  deployed: DeployedSettings,
  provider: ReturnType<typeof secretsProvider>,
  isAwaited: boolean,
): Promise<{ fault: ApiTokenFault | typeof AWAITED | undefined; skipped?: string[] }> {
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
    if (error instanceof SecretUnset && isAwaited) return { fault: AWAITED };
    return { fault: { says: (error as Error).message } };
  }
}
