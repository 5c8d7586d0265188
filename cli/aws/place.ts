import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { GetParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import * as z from 'zod';
import { bootstrapQualifierOf } from '../../fleets/deployment.ts';
import { makePrivateFolder, writePrivate } from '../../simulator/private-files.ts';
import { AWS_CLIENT } from './client.ts';
import { type AwsSetup, setupFault } from './setup-fault.ts';

/** The account and region that a command talks to. */
export interface Place {
  /** `undefined` if AWS did not say. */
  account: string | undefined;
  region: string;
}

/** How long a command waits for the name of the account, in milliseconds. */
const DEADLINE = 3_000;

/**
 * Asks AWS for the account of the credentials.
 *
 * @throws what the SDK throws if the region or the credentials are missing or refused.
 */
export async function readPlace(setup: AwsSetup): Promise<Place> {
  const client = new STSClient({ ...AWS_CLIENT, maxAttempts: 1 });
  const region = await client.config.region();
  try {
    const { Account } = await client.send(new GetCallerIdentityCommand({}), {
      abortSignal: AbortSignal.timeout(DEADLINE),
    });
    return { account: Account, region };
  } catch (error) {
    // A network may reach the service that the command needs, and not this one.
    const { name } = error as Error;
    if (name === 'AbortError' || name === 'TimeoutError' || setupFault(error, setup) === undefined)
      return { account: undefined, region };
    throw error;
  }
}

/** The set-up of AWS in this environment. */
export function readSetup(env: NodeJS.ProcessEnv): AwsSetup {
  return {
    profile: env.AWS_PROFILE || undefined,
    profiles: profilesIn(env),
    endpoint: env.AWS_ENDPOINT_URL || undefined,
    hasSessionToken: (env.AWS_SESSION_TOKEN ?? '') !== '',
  };
}

/** https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html */
function profilesIn(env: NodeJS.ProcessEnv): string[] {
  const files = [
    env.AWS_CONFIG_FILE || join(homedir(), '.aws', 'config'),
    env.AWS_SHARED_CREDENTIALS_FILE || join(homedir(), '.aws', 'credentials'),
  ];
  const found = files.flatMap((file) => {
    try {
      const heads = readFileSync(file, 'utf8').matchAll(/^\s*\[\s*(?:profile\s+)?([^\]\s]+)\s*\]/gm);
      return [...heads].map(([, name = '']) => name);
    } catch {
      return [];
    }
  });
  return [...new Set(found)];
}

/** The file that has where each stack was found last. Git ignores its folder, in every project. */
const LAST_PLACES = '.local/places.json';

const LastPlaces = z.record(z.string(), z.object({ account: z.string(), region: z.string() }));
type LastPlaces = z.infer<typeof LastPlaces>;

function readLastPlaces(file: string): LastPlaces {
  try {
    return LastPlaces.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    // No command has found a stack yet.
    return {};
  }
}

/** Where a stack was found the last time, if that was another account or region. */
export function otherLastPlace(stack: string, place: Place, file = LAST_PLACES): Place | undefined {
  const last = readLastPlaces(file)[stack];
  if (last === undefined || place.account === undefined) return undefined;
  return last.account === place.account && last.region === place.region ? undefined : last;
}

/** Keeps where a stack was found. */
export function keepPlace(stack: string, { account, region }: Place, file = LAST_PLACES): void {
  if (account === undefined) return;
  const places = { ...readLastPlaces(file), [stack]: { account, region } };
  try {
    makePrivateFolder(dirname(file));
    writePrivate(file, `${JSON.stringify(places, undefined, 2)}\n`);
  } catch {
    // A folder that cannot be written only loses the comparison.
  }
}

/** The version of the CDK's bootstrap in this account and region; `undefined` if there is none. */
export async function bootstrapVersion(
  client = new SSMClient(AWS_CLIENT),
  qualifier = bootstrapQualifierOf(),
): Promise<number | undefined> {
  const Name = `/cdk-bootstrap/${qualifier}/version`;
  try {
    const { Parameter } = await client.send(new GetParameterCommand({ Name }));
    return Number(Parameter?.Value);
  } catch (error) {
    if ((error as Error).name === 'ParameterNotFound') return undefined;
    throw error;
  }
}

/** A place in one line. */
export const describePlace = ({ account = 'unknown', region }: Place) =>
  `account ${account}, region ${region}`;
