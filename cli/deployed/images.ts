import { DescribeImagesCommand, type EC2Client } from '@aws-sdk/client-ec2';
import { type ImagebuilderClient, paginateListImagePipelineImages } from '@aws-sdk/client-imagebuilder';
import {
  paginateGetParameterHistory,
  paginateGetParametersByPath,
  type SSMClient,
} from '@aws-sdk/client-ssm';
import * as z from 'zod/mini';
import { builtImageParameter } from '../../functions/lib/fleet-names.ts';
import type { ImageVersion } from '../../functions/lib/images.ts';

/** The images that are built for the fleets of a deployed app. */

/** A fleet whose image is built. */
export interface FleetWithImage {
  fleet: string;
  /** The ARN of the pipeline that builds it. */
  pipeline: string;
}

const Settings = z.object({ imageBuiltBy: z.optional(z.string()) });

/** The fleets of an app whose image is built, by their deployed settings; `deployed` names all fleets. */
export async function fleetsWithImage(
  app: string,
  client: SSMClient,
): Promise<{ deployed: string[]; fleets: FleetWithImage[] }> {
  const Path = `/${app}/fleets`;
  const deployed: string[] = [];
  const fleets: FleetWithImage[] = [];
  for await (const { Parameters = [] } of paginateGetParametersByPath({ client }, { Path })) {
    for (const { Name = '', Value = '', ARN = '' } of Parameters) {
      const fleet = Name.slice(Path.length + 1);
      const { imageBuiltBy } = z.parse(Settings, JSON.parse(Value));
      deployed.push(fleet);
      const [, partition, , region, account] = ARN.split(':');
      const place = `arn:${partition}:imagebuilder:${region}:${account}`;
      if (imageBuiltBy !== undefined)
        fleets.push({ fleet, pipeline: `${place}:image-pipeline/${imageBuiltBy}` });
    }
  }
  return { deployed, fleets };
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
export interface BuiltImage extends ImageVersion {
  /** `undefined` if nothing was built yet. */
  lastBuild: Pick<Build, 'build' | 'status' | 'created'> | undefined;
}

/** @returns `undefined` if no image is built for the fleet. */
export async function readBuiltImage(
  app: string,
  fleet: string,
  { ssm, imageBuilder }: { ssm: SSMClient; imageBuilder: ImagebuilderClient },
): Promise<BuiltImage | undefined> {
  const { fleets } = await fleetsWithImage(app, ssm);
  const pipeline = fleets.find((each) => each.fleet === fleet)?.pipeline;
  if (pipeline === undefined) return undefined;
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
