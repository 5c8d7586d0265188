import { ReadSecretsInput } from './lib/contracts.ts';
import { readCircleToken, secretsProvider } from './lib/secrets.ts';
import { step } from './lib/step.ts';

/** Checks that the fleet's scaler secret can be read and is complete. Its answer has the secret's name, never its value. */
export const handler = step(
  'Read Secrets',
  ReadSecretsInput,
  { secrets: secretsProvider() },
  async (input, { secrets }) => {
    await readCircleToken(secrets, input, { fresh: true });
    return { scalerSecretName: input.scalerSecretName };
  },
);
