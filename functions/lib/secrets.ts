import { SecretsProvider } from '@aws-lambda-powertools/parameters/secrets';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import * as z from 'zod/mini';
import { CIRCLECI_CLOUD, CircleCiUrl, samePlace } from './circleci-url.ts';
import { clientSettings } from './client-settings.ts';
import type { DeployedSettings } from './contracts.ts';
import {
  SecretDenied,
  SecretMalformed,
  SecretMismatch,
  SecretNotFound,
  SecretsManagerUnavailable,
  SecretUnset,
} from './errors.ts';
import { sdkError } from './sdk-errors.ts';
import { sentence } from './sentence.ts';

/** How long a warm function caches a secret. A rotated token still works at once: see circleci.ts. */
export const CACHE_SECONDS = 300;

/** Makes a function's reader of secrets, which caches their values, once for each function. */
export const secretsProvider = (client = new SecretsManagerClient(clientSettings)) =>
  new SecretsProvider({ awsSdkV3Client: client });

const NotEmpty = z.string().check(z.minLength(1));

const ScalerSecret = z.object({
  /** Where the token may be sent. */
  circleci_url: z._default(CircleCiUrl, CIRCLECI_CLOUD),
  /** The classes whose tasks the token may count: one, or those of all fleets that share the secret. */
  resource_class: z.union([NotEmpty, z.array(NotEmpty).check(z.minLength(1))]),
  // It becomes a header: anything else makes fetch quote it in its error.
  circle_token: z.string().check(z.regex(/^[\x21-\x7e]+$/)),
});

/**
 * Reads a fleet's scaler secret, `{"resource_class": "...", "circle_token": "..."}`, and returns its token. Fleets may share
 * a secret that has a list of their classes.
 * The value appears in no error and no log.
 *
 * @param options.fresh Ask Secrets Manager even if the value is cached.
 * @throws SecretNotFound, SecretUnset, SecretDenied, SecretMalformed, SecretMismatch, SecretsManagerUnavailable
 */
export async function readCircleToken(
  secrets: SecretsProvider,
  fleet: Pick<DeployedSettings, 'scalerSecretName' | 'resourceClass' | 'circleciUrl'>,
  options: { fresh: boolean },
): Promise<string> {
  const name = fleet.scalerSecretName;
  const value = await fetchSecret(secrets, name, options.fresh);
  const secret = parseSecret(name, value);
  const fault = mismatchOf(name, secret, fleet);
  if (fault === undefined) return secret.circle_token;
  // A cached value can be older than the fleet's class, or than its place among those that share the secret.
  if (!options.fresh) return readCircleToken(secrets, fleet, { fresh: true });
  throw new SecretMismatch(fault);
}

/** Why a secret is not this fleet's; `undefined` if it is. */
function mismatchOf(
  name: string,
  secret: z.infer<typeof ScalerSecret>,
  { resourceClass, circleciUrl }: Pick<DeployedSettings, 'resourceClass' | 'circleciUrl'>,
): string | undefined {
  if (![secret.resource_class].flat().includes(resourceClass))
    return `Secret ${name}: "resource_class" is not the fleet's, ${resourceClass}, and does not list it. Correct it in the secret or in fleets.yaml.`;
  // The value is not quoted, because it may be a token in the wrong field.
  if (!samePlace(secret.circleci_url, circleciUrl))
    return `Secret ${name}: "circleci_url" is not the fleet's circleciUrl, ${circleciUrl} (left out: ${CIRCLECI_CLOUD}). Correct it in the secret or in fleets.yaml.`;
  return undefined;
}

async function fetchSecret(secrets: SecretsProvider, name: string, fresh: boolean): Promise<string> {
  let value: string | Uint8Array | undefined;
  try {
    value = await secrets.get(name, { maxAge: CACHE_SECONDS, forceFetch: fresh });
  } catch (error) {
    throw translate(name, error);
  }
  if (value === undefined || value === '') throw unset(name);
  if (typeof value !== 'string')
    throw new SecretMalformed(`Secret ${name} is binary; it must be text: ${SHAPE}`);
  return value;
}

function unset(name: string, cause?: Error): SecretUnset {
  return new SecretUnset(
    `Secret ${name} has no value yet. Store the two tokens of the fleet: npm run secrets -- FLEET. Or set only this one to ${SHAPE}: aws secretsmanager put-secret-value --secret-id ${name} --secret-string file://secret.json`,
    { cause },
  );
}

const SHAPE = '{"resource_class": "<namespace>/<class>", "circle_token": "<personal API token>"}';

function parseSecret(name: string, value: string) {
  let json: unknown;
  try {
    json = JSON.parse(value);
  } catch {
    throw new SecretMalformed(`Secret ${name} is not JSON; it must be ${SHAPE}`);
  }
  const parsed = z.safeParse(ScalerSecret, json);
  if (parsed.success) return parsed.data;
  const keys = [...new Set(parsed.error.issues.map((issue) => `"${issue.path.join('.')}"`))].join(' and ');
  throw new SecretMalformed(
    keys === '""'
      ? `Secret ${name} is not a JSON object; it must be ${SHAPE}`
      : `Secret ${name}: ${keys} must be a text that is not empty and has no spaces or line breaks; the secret must be ${SHAPE}`,
  );
}

/** Error names: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html */
function translate(name: string, error: unknown): Error {
  const cause = sdkError(error);
  switch (cause.name) {
    case 'ResourceNotFoundException':
      // The same error says that the secret exists but no version of it is staged AWSCURRENT.
      return /staging label/i.test(cause.message)
        ? unset(name, cause)
        : new SecretNotFound(
            `No secret is named ${name} in this account and region. Run npm run secrets, which makes it, or correct scalerSecretName.`,
            { cause },
          );
    case 'InvalidRequestException':
      // The only state of a secret in which it cannot be read.
      return new SecretNotFound(
        `Secret ${name} is marked for deletion. Run npm run secrets, which restores it, or correct scalerSecretName.`,
        { cause },
      );
    case 'InvalidParameterException':
    case 'ValidationException':
      return new SecretNotFound(
        `Secrets Manager does not take ${name} for the name of a secret: ${sentence(cause.message)} Correct scalerSecretName.`,
        { cause },
      );
    case 'AccessDeniedException':
    case 'DecryptionFailure':
      return new SecretDenied(
        `Secret ${name} may not be read: ${sentence(cause.message)} Allow the function's role secretsmanager:GetSecretValue, and kms:Decrypt if the secret has a key of its own.`,
        { cause },
      );
    default:
      return new SecretsManagerUnavailable(
        `Secrets Manager did not give ${name}: ${cause.name}: ${cause.message}`,
        { cause },
      );
  }
}
