import type { DeployedSettings } from './contracts.ts';

/**
 * How long after the deployment of its settings a fleet waits for its tokens, in milliseconds. Later a missing token is a
 * failure: somebody has forgotten the fleet, or the secret of a fleet at work was lost.
 */
const LONGEST_WAIT = 24 * 3_600_000;

/**
 * Until when a scaler secret without a value is no failure, in milliseconds since the epoch; 0 for a secret that no stack made.
 *
 * @param deployedAt When the settings were deployed. Without it, the wait is over.
 */
export const tokensAwaitedUntil = (
  { awaitsTokens }: Pick<DeployedSettings, 'awaitsTokens'>,
  deployedAt = 0,
): number => (awaitsTokens ? deployedAt + LONGEST_WAIT : 0);
