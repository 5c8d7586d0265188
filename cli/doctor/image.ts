import { DescribeImagesCommand, EC2Client, type Image } from '@aws-sdk/client-ec2';
import { GetParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { imageParameter, isStock } from '../../fleets/settings/image.ts';
import { AWS_CLIENT } from '../aws/client.ts';
import { bad, type Check, type Finding, ok } from './check.ts';

/** @param id The image that each launch uses; `undefined` if its parameter does not exist. */
export function imageFindings(
  fleet: string,
  given: string,
  id: string | undefined,
  image: Pick<Image, 'State'> | undefined,
): Finding[] {
  const correct = 'correct image in fleets.yaml';
  if (id === undefined) return [bad('fail', `no parameter is named ${given}`, correct, fleet)];
  const which = id === given ? id : `${id} of ${given}`;
  if (image === undefined)
    return [
      bad(
        'fail',
        `no image ${which} is in this region, or it is not shared with this account`,
        correct,
        fleet,
      ),
    ];
  return image.State === 'available'
    ? [ok(`image ${which} is available`, fleet)]
    : [bad('fail', `image ${which} is ${image.State ?? 'in no state'}`, correct, fleet)];
}

/** Stock images are not checked: their makers publish the parameters for every region. */
export const images: Check = {
  name: 'image',
  run: async ({ fleets }) => {
    const ssm = new SSMClient(AWS_CLIENT);
    const ec2 = new EC2Client(AWS_CLIENT);
    const findings = fleets.map(async ({ name, image }): Promise<Finding[]> => {
      if (isStock(image)) return [];
      const parameter = imageParameter(image);
      const id = parameter === undefined ? image : await parameterValue(ssm, parameter);
      const found = id === undefined ? undefined : await imageWith(ec2, id);
      return imageFindings(name, parameter ?? image, id, found);
    });
    return (await Promise.all(findings)).flat();
  },
};

async function parameterValue(client: SSMClient, Name: string): Promise<string | undefined> {
  try {
    return (await client.send(new GetParameterCommand({ Name }))).Parameter?.Value;
  } catch (error) {
    const { name } = error as Error;
    if (name === 'ParameterNotFound' || name === 'ParameterVersionNotFound') return undefined;
    throw error;
  }
}

async function imageWith(client: EC2Client, id: string): Promise<Image | undefined> {
  // As a filter, because an unknown id makes a call that names it fail.
  const Filters = [{ Name: 'image-id', Values: [id] }];
  return (await client.send(new DescribeImagesCommand({ Filters }))).Images?.[0];
}
