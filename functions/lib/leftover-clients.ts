import { EC2Client } from '@aws-sdk/client-ec2';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { autoScalingClient } from './auto-scaling.ts';
import { clientSettings } from './client-settings.ts';
import type { ReconcileClients } from './reconcile-reads.ts';

/** AWS did not give all that says what is left behind. */
export class LeftoversUnread extends Error {
  override readonly name = 'LeftoversUnread';
}

/** Makes a function's clients, once for each function. */
export const leftoverClients = (): ReconcileClients => ({
  autoScaling: autoScalingClient(),
  ec2: new EC2Client(clientSettings),
  secrets: new SecretsManagerClient(clientSettings),
});

/** A missing inventory of runners only prevents repairs: the alarms of the polls ring for a fault of CircleCI. */
export function refuseUnread(missing: readonly string[]): void {
  const unread = missing.filter((what) => !what.startsWith('runners ('));
  if (unread.length > 0) throw new LeftoversUnread(`AWS did not give: ${unread.join(', ')}`);
}
