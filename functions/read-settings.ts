import { ReadSettingsInput } from './lib/contracts.ts';
import { readCircleToken, secretsProvider } from './lib/secrets.ts';
import { step } from './lib/step.ts';

/**
 * Reads the fleet's settings as they are deployed, and checks that its scaler secret can be read and is complete. Its
 * answer has the secret's name, never its value.
 */
export const handler = step(
  'Read Settings',
  ReadSettingsInput,
  { secrets: secretsProvider() },
  async ({ fleet, once }, { secrets, settings }) => {
    const deployed = await settings.latest(fleet);
    await readCircleToken(secrets, deployed, { fresh: true });
    return { ...deployed, once };
  },
);
