import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { circleciAccess } from '../../functions/lib/circleci.ts';
import type { DeployedSettings } from '../../functions/lib/contracts.ts';
import { type ListedRunner, readInventory } from '../../functions/lib/inventory.ts';
import { secretsProvider } from '../../functions/lib/secrets.ts';
import { AWS_CLIENT } from '../aws/client.ts';

/** How long CircleCI and Secrets Manager may take, in milliseconds: a person waits, and the rest of a status is there. */
const DEADLINE = 1_500;

/** The runners of a fleet, or why they are not known, in a few words. */
export type ReadRunners = { runners: ListedRunner[] } | { missing: string };

/** Reads the runners that CircleCI lists of a fleet, with the token that its functions use. Never throws. */
export async function readRunners(fleet: DeployedSettings): Promise<ReadRunners> {
  const deadline = AbortSignal.timeout(DEADLINE);
  const client = new SecretsManagerClient({
    maxAttempts: 1,
    requestHandler: { ...AWS_CLIENT.requestHandler, connectionTimeout: DEADLINE, requestTimeout: DEADLINE },
  });
  const access = {
    ...circleciAccess(),
    secrets: secretsProvider(client),
    timeout: () => deadline,
    now: () => Date.now(),
  };
  const inventory = await readInventory(access, fleet, DEADLINE);
  if ('runners' in inventory) return inventory;
  if ('missing' in inventory) return { missing: nameIn(inventory.missing) };
  return { missing: 'CircleCI lists none of the resource class: status 404' };
}

/** The name of an error in place of its text, which is written for an execution. */
const nameIn = (reason: string) => /^([A-Z]\w+): /.exec(reason)?.[1] ?? reason;
