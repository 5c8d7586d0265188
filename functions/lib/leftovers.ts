import type { CircleCiAccess } from './circleci.ts';
import type { DeployedSettings } from './contracts.ts';
import type { SeenInstance } from './fleet-seen.ts';
import { readInventory } from './inventory.ts';
import { type Leftover, reconcile } from './reconcile.ts';
import { type ReconcileClients, readFleetSeen } from './reconcile-reads.ts';

/** How long the reads of a fleet may take, in milliseconds. CircleCI lists the runners of 12 hours. */
const DEADLINE = 30_000;
const INVENTORY_DEADLINE = 20_000;

export interface LeftoverAccess extends CircleCiAccess {
  clients: ReconcileClients;
  now: () => number;
}

/**
 * Reads a fleet, and says what it has left behind.
 *
 * @param settings `undefined` if they could not be read: then nothing can be repaired.
 * @returns The findings, what could not be read, with the reason, and the fleet's instances.
 */
export async function findLeftovers(
  { clients, now, ...access }: LeftoverAccess,
  groupName: string,
  settings: DeployedSettings | undefined,
): Promise<{ findings: Leftover[]; missing: string[]; instances: SeenInstance[] }> {
  const at = now();
  const inventory =
    settings === undefined
      ? Promise.resolve({ missing: 'the deployed settings could not be read' })
      : readInventory({ ...access, now }, settings, INVENTORY_DEADLINE);
  const about = { groupName, runnerSecretName: settings?.runnerSecretName };
  const { seen, missing } = await readFleetSeen(clients, about, inventory, at, AbortSignal.timeout(DEADLINE));
  const { lifetimes, capacity } = settings ?? {};
  const findings = reconcile(seen, { lifetimes, otherRunners: capacity?.otherRunners ?? 0 }, at);
  return { findings, missing, instances: seen.instances ?? [] };
}

/**
 * How many findings the answer has: Step Functions takes 256 KiB, and CloudWatch Logs as much in a line. The costliest come
 * first. `npm run reconcile` prints all.
 */
const MOST_REPORTED = 100;

/** How long a text is at most: a stranger chooses the name of its runner. */
const LONGEST_TEXT = 300;

/** The first findings, each of bounded length, and how many more there are. */
export function bounded(findings: readonly Leftover[]): { findings: Leftover[]; leftOut: number } {
  const cut = (text: string) => (text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text);
  const reported = findings.slice(0, MOST_REPORTED).map((finding) => ({
    ...finding,
    resource: cut(finding.resource),
    says: cut(finding.says),
    because: cut(finding.because),
  }));
  return { findings: reported, leftOut: findings.length - reported.length };
}
