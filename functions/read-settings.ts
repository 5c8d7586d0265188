import { ReadSettingsInput } from './lib/contracts.ts';
import { readCircleToken, secretsProvider } from './lib/secrets.ts';
import { step } from './lib/step.ts';

/**
 * Reads the fleet's settings as they are deployed, and checks that its scaler secret can be read and is complete. Its
 * answer has the secret's name, never its value. It also says from which second the fleet polls.
 */
export const handler = step(
  'Read Settings',
  ReadSettingsInput,
  { secrets: secretsProvider() },
  async ({ fleet, once, startedAt }, { secrets, settings }) => {
    const deployed = await settings.latest(fleet);
    await readCircleToken(secrets, deployed, { fresh: true });
    // `npm run execute` runs one execution, and somebody waits for it.
    const spread = once ? 0 : (deployed.spreadSeconds ?? 0) * 1_000;
    return { ...deployed, once, pollsFrom: new Date(startedAt + spread).toISOString() };
  },
);
