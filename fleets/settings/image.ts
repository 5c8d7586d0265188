import * as z from 'zod';
import { faulty, flag, isMap, text, wholeNumber } from './parts.ts';

/** What an instance boots from, and what is installed on it. */

/** A version of machine runner 3, and the SHA-256 of its archive for the fleet's architecture. */
const Runner = z.strictObject(
  {
    version: text(
      'a version of machine runner 3, such as 3.1.13',
      // It becomes part of a URL.
      /^(?!.*\.\.)[0-9A-Za-z][0-9A-Za-z.+-]{0,31}$/,
    ).describe('The version.'),
    sha256: text('the SHA-256 of the archive for Linux, 64 hexadecimal digits', /^[0-9a-f]{64}$/).describe(
      "SHA-256 of the version's archive for Linux and the fleet's architecture.",
    ),
  },
  { error: 'must be the version and sha256 of a release of machine runner 3' },
);

/** The images that their makers publish for each region. */
const STOCK_IMAGES = ['ubuntu', 'amazon-linux'] as const;
export type StockImage = (typeof STOCK_IMAGES)[number];

export const isStock = (image: string): image is StockImage => STOCK_IMAGES.some((stock) => stock === image);

const IMAGE_ID = /^ami-([0-9a-f]{8}|[0-9a-f]{17})$/;

/**
 * A parameter's name, by its path or after `ssm:`, and perhaps a version or a label of it.
 * https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
 */
const IMAGE_PARAMETER = /^(?:ssm:|(?=\/))([A-Za-z0-9_./-]{1,1011}(?::[A-Za-z0-9_.-]{1,100})?)$/;

/** The name of the parameter that holds the image's id, if the image is told so. */
export const imageParameter = (image: string): string | undefined => IMAGE_PARAMETER.exec(image)?.[1];

const Image = z.union(
  [
    z.enum(STOCK_IMAGES),
    text('the id of an image, such as ami-0123456789abcdef0', IMAGE_ID),
    text('the name of a Systems Manager parameter, such as /acme/runner or ssm:runner', IMAGE_PARAMETER),
  ],
  {
    error:
      'must be ubuntu, amazon-linux, the id of an image such as ami-0123456789abcdef0, or a Systems Manager parameter that holds one, such as /acme/runner or ssm:runner',
  },
);

/** What a gp3 volume has unless more is asked for. */
export const GP3_BASELINE = { iops: 3_000, throughput: 125 };

/**
 * What EC2 takes of a gp3 volume.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EbsBlockDevice.html,
 * https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html#gp3-ebs-volume-type
 */
const GP3 = { gib: 65_536, iops: 80_000, iopsPerGib: 500, throughput: 2_000, throughputPerIops: 0.25 };

const ROOT_VOLUME_GIB = 30;

/** What a fleet says of its root volume, in GiB, IOPS and MiB/s. */
interface GivenVolume {
  size?: number | undefined;
  iops?: number | undefined;
  throughput?: number | undefined;
}

/** A root volume with its size; IOPS and throughput that are not given are gp3's baseline. */
interface Volume extends GivenVolume {
  size: number;
}

/** A number as a fault shows it, or what stands in for it. */
const orDefault = (given: number | undefined, otherwise: number, unit: string) =>
  given === undefined ? `${otherwise} ${unit} (default)` : `${given} ${unit}`;

function faultOfIops({ size, iops = GP3_BASELINE.iops }: GivenVolume): string | undefined {
  const most = (size ?? ROOT_VOLUME_GIB) * GP3.iopsPerGib;
  return iops <= most
    ? undefined
    : `must be at most ${most}, ${GP3.iopsPerGib} for each GiB of size, ${orDefault(size, ROOT_VOLUME_GIB, 'GiB')}; ${iops} needs size: ${Math.ceil(iops / GP3.iopsPerGib)}`;
}

function faultOfThroughput({ size, iops, throughput }: GivenVolume): string | undefined {
  const most = (iops ?? GP3_BASELINE.iops) * GP3.throughputPerIops;
  if (throughput === undefined || throughput <= most) return undefined;
  const needed = Math.ceil(throughput / GP3.throughputPerIops);
  const gib = Math.ceil(needed / GP3.iopsPerGib);
  const larger = gib > (size ?? ROOT_VOLUME_GIB) ? ` and size: ${gib}` : '';
  return `must be at most ${most}, ${GP3.throughputPerIops} MiB/s for each of the volume's iops, ${orDefault(iops, GP3_BASELINE.iops, 'IOPS')}; ${throughput} MiB/s needs iops: ${needed}${larger}`;
}

const RootVolume = z
  .strictObject(
    {
      size: wholeNumber('the size of the root volume in GiB', 8, GP3.gib)
        .optional()
        // Not a default of the parser: a fault says whether the size was given.
        .meta({ default: ROOT_VOLUME_GIB })
        .describe('The size in GiB.'),
      iops: wholeNumber('the IOPS of the root volume', GP3_BASELINE.iops, GP3.iops)
        .optional()
        .describe(`I/O operations per second. Without it ${GP3_BASELINE.iops}, which cost nothing more.`),
      throughput: wholeNumber(
        'the throughput of the root volume in MiB/s',
        GP3_BASELINE.throughput,
        GP3.throughput,
      )
        .optional()
        .describe(`Throughput in MiB/s. Without it ${GP3_BASELINE.throughput}, which cost nothing more.`),
    },
    { error: 'must be a map of size, iops and throughput, such as { size: 100, throughput: 500 }' },
  )
  .refine((volume) => faultOfIops(volume) === undefined, {
    path: ['iops'],
    when: ({ value, issues }) => isMap(value) && !faulty(issues, 'size', 'iops'),
    error: ({ input }) => faultOfIops(Object(input)),
  })
  .refine((volume) => faultOfThroughput(volume) === undefined, {
    path: ['throughput'],
    when: ({ value, issues }) => isMap(value) && !faulty(issues, 'size', 'iops', 'throughput'),
    error: ({ input }) => faultOfThroughput(Object(input)),
  });

/** The root volume of a fleet's instances, in GiB, IOPS and MiB/s; what is not given is gp3's baseline. */
export function rootVolumeOf({
  rootVolume,
  rootVolumeSize,
}: {
  rootVolume?: Volume | undefined;
  rootVolumeSize?: number | undefined;
}): Volume {
  return rootVolume ?? { size: rootVolumeSize ?? ROOT_VOLUME_GIB };
}

export const IMAGE_SETTINGS = {
  image: Image.default('ubuntu').describe(
    'The image of the instances: the current Ubuntu 24.04 LTS or Amazon Linux 2023 that the region has; [an image of yours](instance-life.md#an-image-of-your-own) by its id; or the Systems Manager parameter that holds its id, by a path such as `/acme/runner` or as `ssm:name`. Each launch reads the parameter.',
  ),
  rootDevice: text(
    'the name of a root device, such as /dev/sda1 or /dev/xvda',
    /^\/dev\/[a-z][a-z0-9]{2,15}$/,
  )
    .optional()
    .describe(
      'The root device of an image of yours. With it, the volume is encrypted and as `rootVolume` says. Without it, the volume is as the image has it.',
    ),
  rootVolume: RootVolume.transform(({ size = ROOT_VOLUME_GIB, ...others }): Volume => ({ size, ...others }))
    .optional()
    .describe(
      'The encrypted gp3 root volume: its `size` in GiB (30), `iops` (3000, up to 80000, at most 500 for each GiB) and `throughput` in MiB/s (125, up to 2000, at most 0.25 for each of its IOPS). A boot reads the image from it, so more throughput can shorten boots; what is above the baseline [costs extra](https://aws.amazon.com/ebs/pricing/). With an image of yours it needs `rootDevice`.',
    ),
  rootVolumeSize: wholeNumber('the size of the root volume in GiB', 8, GP3.gib)
    .optional()
    .describe('Another way to write `rootVolume: { size: ... }`.'),
  runner: Runner.optional().describe(
    "A release of machine runner 3 by its version and SHA-256. Without it, instances install CircleCI's current release, by the SHA-256 that its manifest states.",
  ),
  workingDirectory: z
    .enum(['root-volume', 'instance-store'], { error: 'must be root-volume or instance-store' })
    .default('root-volume')
    .describe(
      "Where jobs run: on the root volume, or on [the instance's own disks](instance-life.md#instance-store) (NVMe), such as those of m7gd and c6id, which are faster and cost nothing more. An instance type without such disks falls back to the root volume.",
    ),
  docker: flag(
    "Whether jobs can use Docker. The boot installs it if the image lacks it, and puts the user of the jobs into the group `docker`. That makes every job root on its instance in effect: it can read the resource class token and the role's credentials. [What a job can do](instance-life.md#what-a-job-can-do).",
  ),
  install: text('the path of a script', /\S/)
    .optional()
    .describe(
      "A script, by its path beside this file, that installs what the fleet's jobs need. It runs as root at boot. What it prints is on the console output, which whoever may call `ec2:GetConsoleOutput` reads: it must not print secrets.",
    ),
};
