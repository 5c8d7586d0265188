import { ReadSecretsInput } from './lib/contracts.ts';
import { readCircleToken } from './lib/secrets.ts';
import { step } from './lib/step.ts';

/** Proves that the fleet's scaler secret can be read and is whole; hands on its name, never its value. */
export const handler = step('Read Secrets', ReadSecretsInput, async (input) => {
  await readCircleToken(input, { fresh: true });
  return { scalerSecretName: input.scalerSecretName };
});
