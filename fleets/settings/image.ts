import * as z from 'zod';
import { faultOfCron } from '../../functions/lib/schedules.ts';
import { faulty, flag, isMap, text, timeZone, wholeNumber } from './parts.ts';
import { Runner } from './runner.ts';

/** The image and the root volume of instances, and what is installed on them. */

/** The images that their makers publish for each Region. */
const STOCK_IMAGES = ['ubuntu', 'amazon-linux'] as const;
export type StockImage = (typeof STOCK_IMAGES)[number];

export const isStock = (image: unknown): image is StockImage => STOCK_IMAGES.some((stock) => stock === image);

const IMAGE_ID = /^ami-([0-9a-f]{8}|[0-9a-f]{17})$/;

/**
 * A parameter's name, as a path or after `ssm:`, with an optional version or label.
 * https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
 */
const IMAGE_PARAMETER = /^(?:ssm:|(?=\/))([A-Za-z0-9_./-]{1,1011}(?::[A-Za-z0-9_.-]{1,100})?)$/;

/** The name of the parameter that holds the image's id, if the image is set as a parameter. */
export const imageParameter = (image: string): string | undefined => IMAGE_PARAMETER.exec(image)?.[1];

/** The image that instances have, or from which one is built. */
const Source = [
  z.enum(STOCK_IMAGES),
  text('the id of an image, such as ami-0123456789abcdef0', IMAGE_ID),
  text('the name of a Systems Manager parameter, such as /acme/runner or ssm:runner', IMAGE_PARAMETER),
] as const;

const SOURCES =
  'ubuntu, amazon-linux, the id of an image such as ami-0123456789abcdef0, or a Systems Manager parameter that holds one, such as /acme/runner or ssm:runner';

/** When an image is built: on Sundays, by a cron, or only when somebody asks for it. */
const BUILDS = ['weekly', 'once'] as const;

const BUILD_FORM = 'weekly, once, or a cron of five fields such as "0 3 * * SUN"';

/** The days of the week are numbered differently in EC2 Image Builder and in crons. Its crons name one kind of day. */
function faultOfBuild(build: string): string | undefined {
  if (BUILDS.some((known) => known === build)) return undefined;
  const fault = faultOfCron(build);
  if (fault !== undefined) return fault;
  const [, , dayOfMonth, , dayOfWeek = ''] = build.split(' ');
  if (dayOfMonth !== '*' && dayOfWeek !== '*')
    return 'EC2 Image Builder takes days of the month or of the week';
  return /\d/.test(dayOfWeek) ? 'days of the week must be names, such as SUN' : undefined;
}

const MOST_IMAGES = 50;

/** An image that EC2 Image Builder makes for the fleet. */
const BuiltImage = z.strictObject(
  {
    build: z
      .string({ error: `must be ${BUILD_FORM}` })
      .superRefine((build, context) => {
        const fault = faultOfBuild(build);
        if (fault !== undefined)
          context.addIssue({ code: 'custom', message: `must be ${BUILD_FORM} (${fault})` });
      })
      .describe(
        'When the image is built: `weekly` (Sundays at 03:00), a cron of five fields such as `"0 3 * * SUN"`, or `once`: only when you run `npm run image -- build`.',
      ),
    timezone: timeZone().describe('Time zone of the schedule, a name of the IANA database.'),
    from: z
      .union(Source, { error: `must be ${SOURCES}` })
      .default('ubuntu')
      .describe('The image on which it is built, in the same forms as `image`.'),
    docker: z
      .boolean({ error: 'must be true or false' })
      .optional()
      .describe('The same as `docker` of the fleet.'),
    install: text('the path of a script', /\S/).optional().describe('The same as `install` of the fleet.'),
    keep: wholeNumber('the number of images that are kept', 2, MOST_IMAGES)
      .default(3)
      .describe('How many images are kept for a rollback. Older ones are deleted.'),
  },
  { error: 'must be a map with build' },
);

const Image = z.union([...Source, BuiltImage], {
  error: `must be ${SOURCES}; or a map with build`,
});

/** The image that a fleet's instances have while none is built for it. */
export const sourceOf = (image: z.infer<typeof Image>): string =>
  typeof image === 'string' ? image : image.from;

/** How the image of a fleet is built. */
export type ImageBuild = Pick<z.infer<typeof BuiltImage>, 'build' | 'timezone' | 'keep'>;

/** IOPS and MiB/s of a gp3 volume by default. */
export const GP3_BASELINE = { iops: 3_000, throughput: 125 };

/**
 * Limits of a gp3 volume.
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EbsBlockDevice.html,
 * https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html#gp3-ebs-volume-type
 */
const GP3 = { gib: 65_536, iops: 80_000, iopsPerGib: 500, throughput: 2_000, throughputPerIops: 0.25 };

/**
 * How fast a volume may load its snapshot, in MiB/s.
 * https://docs.aws.amazon.com/ebs/latest/userguide/initalize-volume.html#volume-initialization-rate
 */
const INITIALIZATION_RATE = { least: 100, most: 300 };

const ROOT_VOLUME_GIB = 30;

/** The root volume of a fleet that sets nothing. */
export const DEFAULT_VOLUME = { size: ROOT_VOLUME_GIB, ...GP3_BASELINE };

/** The root volume as fleets.yaml sets it, in GiB, IOPS and MiB/s. */
interface GivenVolume {
  size?: number | undefined;
  iops?: number | undefined;
  throughput?: number | undefined;
  initializationRate?: number | undefined;
}

/** A root volume with its size. Default of IOPS and throughput: gp3's baseline. */
export interface Volume extends GivenVolume {
  size: number;
}

/** A number as a fault shows it, or its default. */
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
        // Not a default of the parser, because a fault says whether the size was given.
        .meta({ default: ROOT_VOLUME_GIB })
        .describe('Size in GiB.'),
      iops: wholeNumber('the IOPS of the root volume', GP3_BASELINE.iops, GP3.iops)
        .optional()
        .describe(`I/O operations per second. Default: ${GP3_BASELINE.iops}, which cost nothing extra.`),
      throughput: wholeNumber(
        'the throughput of the root volume in MiB/s',
        GP3_BASELINE.throughput,
        GP3.throughput,
      )
        .optional()
        .describe(`Throughput in MiB/s. Default: ${GP3_BASELINE.throughput}, which costs nothing extra.`),
      initializationRate: wholeNumber(
        'the rate in MiB/s at which the root volume loads its image',
        INITIALIZATION_RATE.least,
        INITIALIZATION_RATE.most,
      )
        .optional()
        .describe(
          'The rate in MiB/s at which the whole image is loaded into the volume. Default: blocks are loaded when they are read first, at a rate that EBS does not promise.',
        ),
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

/** The root volume of a fleet's instances, in GiB, IOPS and MiB/s. Default of IOPS and throughput: gp3's baseline. */
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
    'Image of the instances: `ubuntu` (the current Ubuntu 24.04 LTS), `amazon-linux` (the current Amazon Linux 2023), the id of [an image of yours](instance-life.md#an-image-of-your-own), or the Systems Manager parameter that holds an id, as a path such as `/acme/runner` or as `ssm:name`. Each launch reads the parameter. A map with `build` lets [EC2 Image Builder make the image](images.md): `build` (`weekly`, `once`, or a cron of five fields in `timezone`), `from` (default: `ubuntu`), `docker`, `install` and `keep` (default: 3).',
  ),
  rootDevice: text(
    'the name of a root device, such as /dev/sda1 or /dev/xvda',
    /^\/dev\/[a-z][a-z0-9]{2,15}$/,
  )
    .optional()
    .describe(
      'Root device of an image of yours. If it is set, the root volume is encrypted and `rootVolume` applies. Otherwise the image defines the root volume.',
    ),
  rootVolume: RootVolume.transform(({ size = ROOT_VOLUME_GIB, ...others }): Volume => ({ size, ...others }))
    .optional()
    .describe(
      'The encrypted gp3 root volume: `size` in GiB (default: 30), `iops` (default: 3000, maximum: 80000, at most 500 per GiB), `throughput` in MiB/s (default: 125, maximum: 2000, at most 0.25 per IOPS) and `initializationRate` in MiB/s (100 to 300, default: not set), at which [the image is loaded](images.md#volumes-that-load-their-image). A boot reads the image from this volume, so more throughput can shorten boots. A rate, and more `iops` or `throughput` than the default, [cost extra](https://aws.amazon.com/ebs/pricing/). For an image of yours, set `rootDevice` as well.',
    ),
  rootVolumeSize: wholeNumber('the size of the root volume in GiB', 8, GP3.gib)
    .optional()
    .describe('Short for `rootVolume: { size: ... }`.'),
  runner: Runner.optional().describe(
    "Version and SHA-256 of the release of machine runner 3 that boots install. `sha256` is of the archive for Linux and the fleet's architecture, or of both: `{ amd64: ..., arm64: ... }`. Default: [the release that `npm run pin` wrote](operations.md#update-the-runner) into `runner-release.json`, unless an image of yours has a runner. `current` installs whatever CircleCI has published by then, with the SHA-256 from the same place.",
  ),
  workingDirectory: z
    .enum(['root-volume', 'instance-store'], { error: 'must be root-volume or instance-store' })
    .default('root-volume')
    .describe(
      "Where jobs run: on the root volume, or on [the instance's own disks](instance-life.md#instance-store) (NVMe), which are faster and cost nothing extra. Types such as m7gd and c6id have such disks; on other types, jobs run on the root volume.",
    ),
  docker: flag(
    "Whether jobs can use Docker. The boot installs Docker if the image lacks it, and adds the user of the jobs to the group `docker`. Every job is then in effect root on its instance: it can read the resource class token and the role's credentials. [What a job can do](instance-life.md#what-a-job-can-do).",
  ),
  install: text('the path of a script', /\S/)
    .optional()
    .describe(
      "Path of a script, relative to this file, that installs what the fleet's jobs need. It must lie in the folder of this file or of the app, or below. It runs as root at boot. It must not print secrets, because its output is on the console output, which everyone with `ec2:GetConsoleOutput` can read.",
    ),
};
