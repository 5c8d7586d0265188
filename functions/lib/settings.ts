/**
 * A fleet's settings, from where the deployment put them: a parameter of Systems Manager for each fleet. Each function
 * reads them by the fleet's name, so neither an execution's input nor a crafted event can set a URL, a secret, a group
 * or a limit. All steps of an execution read the version that it began with.
 */

import { SSMProvider } from '@aws-lambda-powertools/parameters/ssm';
import { GetParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import * as z from 'zod/mini';
import { clientSettings } from './client-settings.ts';
import { DeployedSettings } from './contracts.ts';
import { SettingsDenied, SettingsMalformed, SettingsNotFound, SettingsUnavailable } from './errors.ts';
import { FLEET_NAME, settingsParameter } from './fleet-names.ts';
import { keyPath } from './key-path.ts';
import { sdkError } from './sdk-errors.ts';
import { sentence } from './sentence.ts';

/**
 * How long a warm function keeps a version of the settings, in seconds. A version never changes, but a fleet that is
 * removed and deployed again begins with version 1 again.
 */
const CACHE_SECONDS = 300;

/** Reads settings of fleets; it belongs at the edge of each function. */
export interface SettingsReader {
  /**
   * The settings that are deployed now, their version, and when they were deployed, in milliseconds since the epoch.
   *
   * @throws SettingsNotFound, SettingsDenied, SettingsMalformed, SettingsUnavailable
   */
  latest(fleet: string): Promise<DeployedSettings & { version: number; deployedAt?: number | undefined }>;
  /**
   * The settings that a step's execution began with, from memory if this function has read them in the last five
   * minutes.
   *
   * @throws SettingsNotFound, SettingsDenied, SettingsMalformed, SettingsUnavailable
   */
  of(input: { fleet: string; settings: { version: number } }): Promise<DeployedSettings>;
}

/**
 * @param stack Name of the stack that deployed the fleets; by default the one that deployed this function.
 */
export function settingsReader(
  stack = process.env.STACK_NAME ?? '',
  client = new SSMClient(clientSettings),
): SettingsReader {
  const provider = new SSMProvider({ awsSdkV3Client: client });
  const parsed = parser();
  const nameOf = (fleet: string) => {
    if (FLEET_NAME.test(fleet)) return settingsParameter(stack, fleet);
    throw new SettingsNotFound(`No fleet can be named ${JSON.stringify(fleet.slice(0, 64))}.`);
  };
  return {
    async latest(fleet) {
      const name = nameOf(fleet);
      const { Parameter } = await client
        .send(new GetParameterCommand({ Name: name }))
        .catch((error) => Promise.reject(translated(name, error)));
      const { Value = '', Version = 0, LastModifiedDate } = Parameter ?? {};
      return { ...parsed(name, Value), version: Version, deployedAt: LastModifiedDate?.getTime() };
    },
    async of({ fleet, settings: { version } }) {
      const name = `${nameOf(fleet)}:${version}`;
      const value = await provider
        .get(name, { maxAge: CACHE_SECONDS })
        .catch((error) => Promise.reject(translated(name, error)));
      return parsed(name, value ?? '');
    },
  };
}

/** Parses parameters. It keeps the last result of each, because a warm function reads the same value in each poll. */
function parser(): (name: string, value: string) => DeployedSettings {
  const last = new Map<string, { value: string; settings: DeployedSettings }>();
  return (name, value) => {
    const known = last.get(name);
    if (known?.value === value) return known.settings;
    const settings = parse(name, value);
    last.set(name, { value, settings });
    return settings;
  };
}

function parse(name: string, value: string): DeployedSettings {
  let json: unknown;
  try {
    json = JSON.parse(value);
  } catch {
    throw new SettingsMalformed(`Parameter ${name} is not JSON. Deploy again: npx cdk deploy --all`);
  }
  const settings = z.safeParse(DeployedSettings, json);
  if (settings.success) return settings.data;
  const faults = settings.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${keyPath(path)}: ${message}`,
  );
  throw new SettingsMalformed(
    `Parameter ${name} is not what a deployment writes: ${faults.join('; ')}. Deploy again: npx cdk deploy --all`,
  );
}

/** Error names: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html */
function translated(name: string, error: unknown): Error {
  const cause = sdkError(error);
  switch (cause.name) {
    case 'ParameterNotFound':
    case 'ParameterVersionNotFound':
      return new SettingsNotFound(
        `There is no parameter ${name} in this account and region: no such fleet is deployed.`,
        { cause },
      );
    case 'AccessDeniedException':
      return new SettingsDenied(
        `Parameter ${name} may not be read: ${sentence(cause.message)} Allow the function's role ssm:GetParameter.`,
        { cause },
      );
    default:
      return new SettingsUnavailable(
        `Systems Manager did not give ${name}: ${cause.name}: ${cause.message}`,
        { cause },
      );
  }
}
