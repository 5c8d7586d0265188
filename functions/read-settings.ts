import { type AdvisedApp, forApp } from './lib/advice.ts';
import { tokensAwaitedUntil } from './lib/awaited-tokens.ts';
import { type DeployedSettings, ReadSettingsInput } from './lib/contracts.ts';
import { SecretUnset } from './lib/errors.ts';
import { fleetMetrics, publishMetrics } from './lib/metrics.ts';
import { readCircleToken, secretsProvider } from './lib/secrets.ts';
import { step } from './lib/step.ts';

/**
 * Reads the fleet's settings as they are deployed, and checks that its scaler secret can be read and is complete. Its
 * answer has the secret's name, never its value. It also says from which second the fleet polls, or that the fleet waits
 * for its tokens.
 */
export const handler = step(
  'Read Settings',
  ReadSettingsInput,
  { secrets: secretsProvider(), metrics: fleetMetrics() },
  async ({ fleet, once, startedAt }, { secrets, metrics, settings, advised, now }) => {
    const begun = now();
    const { deployedAt, ...deployed } = await settings.latest(fleet);
    const waits = await readCircleToken(secrets, deployed, { fresh: true }).then(
      () => undefined,
      (error) =>
        waitOf(fleet, deployed, {
          error,
          until: tokensAwaitedUntil(deployed, deployedAt),
          now: begun,
          advised,
        }),
    );
    // No poll succeeds without a token, and nothing is wrong: this look for the tokens is the heartbeat in its place.
    if (waits !== undefined)
      publishMetrics(metrics, fleet, { PollDuration: now() - begun, AwaitingTokens: 1 });
    // `npm run execute` runs one execution, and somebody waits for it.
    const spread = once ? 0 : (deployed.spreadSeconds ?? 0) * 1_000;
    const pollsFrom = new Date(startedAt + spread).toISOString();
    return { ...deployed, once, pollsFrom, ...(waits !== undefined && { waits }) };
  },
  ({ waits }) => (waits === undefined ? undefined : { waits }),
);

/** Why a fleet waits for its tokens. @throws the error, if it is another one, of a secret that no stack made, or too late. */
function waitOf(
  fleet: string,
  { scalerSecretName }: DeployedSettings,
  { error, until, now, advised }: { error: unknown; until: number; now: number; advised: AdvisedApp },
): string {
  if (!(error instanceof SecretUnset) || now >= until) throw error;
  const end = new Date(until).toISOString().slice(0, 16).replace('T', ' ');
  return forApp(
    advised,
    `waits for its tokens: the secret ${scalerSecretName} has no value yet, so nothing is counted and nothing launches. Store them: npm run secrets -- ${fleet}. From ${end} UTC on, a missing token is a failure.`,
  );
}
