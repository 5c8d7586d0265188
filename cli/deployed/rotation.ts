import { setTimeout as sleep } from 'node:timers/promises';
import { AutoScalingClient, DescribeAutoScalingGroupsCommand } from '@aws-sdk/client-auto-scaling';
import { ListSecretVersionIdsCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { boundedText } from '../../functions/lib/http-answers.ts';
import { AWS_CLIENT } from '../aws/client.ts';
import { codesInChain, UNTRUSTED } from '../aws/setup-fault.ts';

/** A secret, and when its value was stored; `undefined` if it has none, or if it is not known. */
export interface StoredSecret {
  secret: string;
  storedAt: Date | undefined;
}

/** When the current value of a secret was stored. Reading the value itself is not necessary. */
export async function storedSecret(client: SecretsManagerClient, secret: string): Promise<StoredSecret> {
  const { Versions = [] } = await client.send(new ListSecretVersionIdsCommand({ SecretId: secret }));
  const current = Versions.find(({ VersionStages }) => VersionStages?.includes('AWSCURRENT'));
  return { secret, storedAt: current?.CreatedDate };
}

const DEADLINE_SECONDS = 10;
const LONGEST_ANSWER = 10_000;

export interface ApiTokenFault {
  says: string;
  /** What to do, if another token would not help. */
  remedy?: string;
}

/**
 * Asks CircleCI for a count with a personal API token, as the functions do.
 *
 * @returns Why the token cannot be used, and what to do if another token would not help; `undefined` if it can be used.
 */
export async function faultOfApiToken(
  token: string,
  { circleciUrl, resourceClass }: { circleciUrl: string; resourceClass: string },
): Promise<ApiTokenFault | undefined> {
  const url = new URL(`${circleciUrl.replace(/\/+$/, '')}/api/v3/runner/tasks`);
  url.search = `resource-class=${encodeURIComponent(resourceClass)}`;
  try {
    const response = await fetch(url, {
      headers: { 'Circle-Token': token },
      redirect: 'manual', // fetch would carry the token to wherever a redirect points
      signal: AbortSignal.timeout(DEADLINE_SECONDS * 1_000),
    });
    const body = await boundedText(response, LONGEST_ANSWER);
    if (response.status !== 200) return { says: `CircleCI answers ${response.status} to it` };
    return Number.isInteger(JSON.parse(body ?? '').unclaimed_task_count)
      ? undefined
      : { says: 'CircleCI does not answer with a count' };
  } catch (error) {
    return unanswered(url.origin, error);
  }
}

/** By its codes, because an error's text may quote the token. */
function unanswered(origin: string, error: unknown): ApiTokenFault {
  const codes = codesInChain(error);
  const untrusted = codes.find((code) => UNTRUSTED.includes(code));
  if (untrusted !== undefined)
    return {
      says: `this machine does not trust the certificate of ${origin} (${untrusted})`,
      remedy: 'name its authority: NODE_EXTRA_CA_CERTS=FILE before the command',
    };
  const [code] = codes;
  return code === undefined
    ? { says: `${origin} gives no usable answer` }
    : {
        says: `${origin} gives no answer to this machine (${code})`,
        remedy: 'run the command where that address answers, or correct circleciUrl',
      };
}

/** Members of a group that read their token before now. Those of a warm pool read it when they start. */
export async function membersOf(client: AutoScalingClient, group: string): Promise<string[]> {
  const { AutoScalingGroups = [] } = await client.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [group] }),
  );
  return (AutoScalingGroups[0]?.Instances ?? []).flatMap(({ InstanceId, LifecycleState = '' }) =>
    InstanceId === undefined || LifecycleState.startsWith('Warmed:') ? [] : [InstanceId],
  );
}

/**
 * Waits until none of these members is left.
 *
 * @param tell Called with the number that is left, whenever it changes.
 * @returns Those that are left when the signal aborts.
 */
export async function untilGone(
  {
    group,
    members,
    everySeconds,
    signal,
  }: { group: string; members: string[]; everySeconds: number; signal: AbortSignal },
  tell: (left: number) => void,
): Promise<string[]> {
  const client = new AutoScalingClient(AWS_CLIENT);
  let left = members;
  while (left.length > 0) {
    await sleep(everySeconds * 1_000, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return left;
    const now = new Set(await membersOf(client, group));
    const still = left.filter((id) => now.has(id));
    if (still.length !== left.length) tell(still.length);
    left = still;
  }
  return left;
}
