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

/** The versions of a parameter, in order; none if it is missing. */
export async function versionsOf(Name: string, { ssm }: Clients): Promise<ImageVersion[]> {
  const versions: ImageVersion[] = [];
  try {
    for await (const { Parameters = [] } of paginateGetParameterHistory({ client: ssm }, { Name }))
      for (const { Value = '', LastModifiedDate } of Parameters)
        versions.push({ image: Value, at: LastModifiedDate?.getTime() ?? 0 });
  } catch (error) {
    if ((error as Error).name !== 'ParameterNotFound') throw error;
  }
  return versions;
}

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
