import { paginateGetParametersByPath, type SSMClient } from '@aws-sdk/client-ssm';
import * as z from 'zod';
import { DeployedSettings } from '../../functions/lib/contracts.ts';
import { settingsParameter } from '../../functions/lib/fleet-names.ts';

/** The parameter with the settings of a fleet, as deployed. */
export interface SettingsParameter {
  fleet: string;
  arn: string;
  /** When it was deployed, in milliseconds since the epoch, if AWS says so. */
  deployedAt: number | undefined;
  /** What it has, which may be of another version. */
  value: unknown;
}

/** The parameters of all fleets. Systems Manager returns ten a call. */
export async function readParameters(app: string, client: SSMClient): Promise<SettingsParameter[]> {
  const found: SettingsParameter[] = [];
  const prefix = settingsParameter(app, '');
  const Path = prefix.replace(/\/$/, '');
  for await (const { Parameters = [] } of paginateGetParametersByPath({ client }, { Path }))
    for (const { Name = '', Value = '', ARN: arn = '', LastModifiedDate } of Parameters)
      found.push({
        fleet: Name.slice(prefix.length),
        arn,
        deployedAt: LastModifiedDate?.getTime(),
        value: JSON.parse(Value),
      });
  return found;
}

/** The settings in the parameters of fleets. One that cannot be parsed is of another version, and is left out. */
export function settingsIn(parameters: readonly SettingsParameter[]): Map<string, DeployedSettings> {
  return new Map(
    parameters.flatMap(({ fleet, value }) => {
      const parsed = z.safeParse(DeployedSettings, value);
      return parsed.success ? [[fleet, parsed.data] as const] : [];
    }),
  );
}

/** The settings of all fleets, as deployed. */
export const readSettings = async (app: string, client: SSMClient): Promise<Map<string, DeployedSettings>> =>
  settingsIn(await readParameters(app, client));
