import { DescribeImagesCommand, type EC2Client } from '@aws-sdk/client-ec2';
import { type ImagebuilderClient, paginateListImagePipelineImages } from '@aws-sdk/client-imagebuilder';
import { paginateGetParameterHistory, type SSMClient } from '@aws-sdk/client-ssm';
import * as z from 'zod/mini';
import { builtImageParameter } from '../../functions/lib/fleet-names.ts';
import type { ImageVersion } from '../../functions/lib/images.ts';
import { readParameters, type SettingsParameter } from './settings.ts';

/** The images that are built for the fleets of a deployed app. */

/** A fleet whose image is built. */
export interface FleetWithImage {
  fleet: string;
  /** The ARN of the pipeline that builds it. */
  pipeline: string;
}

const Settings = z.object({ imageBuiltBy: z.optional(z.string()) });

/** The ARN of the pipeline that builds the image of a fleet; `undefined` if none is built. */
export function pipelineOf({ arn, value }: SettingsParameter): string | undefined {
  const { imageBuiltBy } = z.parse(Settings, value);
  const [, partition, , region, account] = arn.split(':');
  return imageBuiltBy && `arn:${partition}:imagebuilder:${region}:${account}:image-pipeline/${imageBuiltBy}`;
}

/** The fleets of an app whose image is built, by their deployed settings; `deployed` names all fleets. */
export async function fleetsWithImage(
  app: string,
  client: SSMClient,
): Promise<{ deployed: string[]; fleets: FleetWithImage[] }> {
  const parameters = await readParameters(app, client);
  const fleets = parameters.flatMap((parameter): FleetWithImage[] => {
    const pipeline = pipelineOf(parameter);
    return pipeline === undefined ? [] : [{ fleet: parameter.fleet, pipeline }];
  });
  return { deployed: parameters.map(({ fleet }) => fleet), fleets };
}

/** The versions of the parameter that a fleet's launches read. */
export async function imageVersionsOf(
  app: string,
  fleet: string,
  client: SSMClient,
): Promise<ImageVersion[]> {
  const versions: ImageVersion[] = [];
  const Name = builtImageParameter(app, fleet);
  for await (const { Parameters = [] } of paginateGetParameterHistory({ client }, { Name }))
    for (const { Value = '', LastModifiedDate } of Parameters)
      versions.push({ image: Value, at: LastModifiedDate?.getTime() ?? 0 });
  return versions;
}

/** A build of an image. */
export interface Build {
  arn: string;
  /** Its version and number, such as `1.0.7/3`. */
  build: string;
  status: string;
  created: string | undefined;
  /** The image that it made in the Region of its pipeline. */
  image: string | undefined;
}

/** The builds of a pipeline, the latest first. */
export async function buildsOf(imagePipelineArn: string, client: ImagebuilderClient): Promise<Build[]> {
  const region = imagePipelineArn.split(':')[3];
  const builds: Build[] = [];
  for await (const page of paginateListImagePipelineImages({ client }, { imagePipelineArn })) {
    for (const { arn = '', state, dateCreated, outputResources } of page.imageSummaryList ?? [])
      builds.push({
        arn,
        build: buildIn(arn),
        status: state?.status ?? 'unknown',
        created: dateCreated,
        image: outputResources?.amis?.find((ami) => ami.region === region)?.image,
      });
  }
  return builds.toSorted((a, b) => (b.created ?? '').localeCompare(a.created ?? ''));
}

/** The image of a fleet, and the last build of it. */
export interface FleetImage extends ImageVersion {
  /** `undefined` if nothing was built yet. */
  lastBuild: Pick<Build, 'build' | 'status' | 'created'> | undefined;
}

/**
 * @param pipeline The ARN of the pipeline that builds it.
 * @returns `undefined` if the fleet's launches have no image yet.
 */
export async function readBuiltImage(
  app: string,
  fleet: string,
  pipeline: string,
  { ssm, imageBuilder }: { ssm: SSMClient; imageBuilder: ImagebuilderClient },
): Promise<FleetImage | undefined> {
  const [versions, [lastBuild]] = await Promise.all([
    imageVersionsOf(app, fleet, ssm),
    buildsOf(pipeline, imageBuilder),
  ]);
  const inUse = versions.at(-1);
  return inUse && { ...inUse, lastBuild };
}

/** The version and the number of a build, in its ARN. */
export const buildIn = (arn: string): string => /:image\/[^/]+\/(.+)$/.exec(arn)?.[1] ?? arn;

/** Whether an image exists and can be launched. */
export async function isAvailable(image: string, client: EC2Client): Promise<boolean> {
  // As a filter, because an unknown id makes a call that names it fail.
  const Filters = [
    { Name: 'image-id', Values: [image] },
    { Name: 'state', Values: ['available'] },
  ];
  return ((await client.send(new DescribeImagesCommand({ Filters }))).Images ?? []).length > 0;
}
