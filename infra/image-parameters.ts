import {
  GetParameterCommand,
  PutParameterCommand,
  paginateGetParameterHistory,
  type SSMClient,
} from '@aws-sdk/client-ssm';
import type { ImageVersion } from '../functions/lib/images.ts';

/** The parameters from which launches read the image of a fleet, and those that AWS publishes. */

interface Clients {
  ssm: SSMClient;
}

/** A version of a parameter. */
export interface ParameterVersion {
  value: string;
  version: number;
  /** In milliseconds since the epoch. */
  at: number;
}

/** The versions of a parameter, as Systems Manager returns them; none if it is missing. */
export async function historyOf(Name: string, { ssm }: Clients): Promise<ParameterVersion[]> {
  const history: ParameterVersion[] = [];
  try {
    for await (const { Parameters = [] } of paginateGetParameterHistory({ client: ssm }, { Name }))
      for (const { Value: value = '', Version: version = 0, LastModifiedDate } of Parameters)
        history.push({ value, version, at: LastModifiedDate?.getTime() ?? 0 });
  } catch (error) {
    if ((error as Error).name !== 'ParameterNotFound') throw error;
  }
  return history;
}

/** The images of a fleet, in order; none if the parameter is missing. */
export const versionsOf = async (name: string, clients: Clients): Promise<ImageVersion[]> =>
  (await historyOf(name, clients)).map(({ value, at }) => ({ image: value, at }));

/** `undefined` if there is no such parameter. */
export async function parameterValue(Name: string, { ssm }: Clients): Promise<string | undefined> {
  try {
    return (await ssm.send(new GetParameterCommand({ Name }))).Parameter?.Value;
  } catch (error) {
    if ((error as Error).name !== 'ParameterNotFound') throw error;
    return undefined;
  }
}

/** A new version. Launches from now on read it. */
export const write = (Name: string, Value: string, { ssm }: Clients) =>
  ssm.send(
    new PutParameterCommand({ Name, Value, Type: 'String', DataType: 'aws:ec2:image', Overwrite: true }),
  );
