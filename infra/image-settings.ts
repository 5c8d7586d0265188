import * as z from 'zod';
import { faulty, isMap, text, wholeNumber } from './setting.ts';

/** What an instance boots from, and what is installed on it. */

/** A version of machine runner 3, and the SHA-256 of its archive for the fleet's architecture. */
export const Runner = z.strictObject(
  {
    version: text('a version of machine runner 3, such as 3.1.13', /^[0-9A-Za-z.+-]{1,32}$/).describe(
      'The version.',
    ),
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

export const IMAGE_SETTINGS = {
  image: Image.default('ubuntu').describe(
    'The image of the instances: the current Ubuntu 24.04 LTS, or Amazon Linux 2023, as they are published for the region; [one of yours](instance-life.md#an-image-of-your-own) by its id; or a Systems Manager parameter that holds its id, by its path such as `/acme/runner`, or as `ssm:name`. A parameter is read at each launch.',
  ),
  rootDevice: text(
    'the name of a root device, such as /dev/sda1 or /dev/xvda',
    /^\/dev\/[a-z][a-z0-9]{2,15}$/,
  )
    .optional()
    .describe(
      'The root device of an image of yours, so that its volume gets the size of `rootVolumeSize` and is encrypted. Without it the volume is as the image has it.',
    ),
  runner: Runner.optional().describe(
    "A release of machine runner 3 by its version and SHA-256. Without it, instances install the newest package of CircleCI's repository.",
  ),
  rootVolumeSize: wholeNumber('the size of the root volume in GiB', 8, 16_384)
    .optional()
    .describe(
      'Size of the encrypted gp3 root volume in GiB; 30 unless told. With an image of yours it needs `rootDevice`.',
    ),
  install: text('the path of a script', /\S/)
    .optional()
    .describe(
      "A script, by its path beside this file, that installs what the fleet's jobs need. It runs as root at boot.",
    ),
};

/** What else a fleet says of what its instances boot from. */
interface Images {
  image: string;
  rootDevice?: string | undefined;
  rootVolumeSize?: number | undefined;
  instanceRequirements?: object | undefined;
}

export const IMAGE_RULES = [
  z.refine<Images>(
    ({ image, rootDevice, rootVolumeSize }) =>
      rootVolumeSize === undefined || isStock(image) || rootDevice !== undefined,
    {
      path: ['rootVolumeSize'],
      error:
        'must come with rootDevice, because only the maker of an image knows what its root device is called',
      when: ({ value, issues }) => !faulty(issues, 'image', 'rootDevice', 'rootVolumeSize') && isMap(value),
    },
  ),
  z.refine<Images>(({ image, rootDevice }) => rootDevice === undefined || !isStock(image), {
    path: ['rootDevice'],
    error: 'must be left out, unless image is one of yours: those of ubuntu and amazon-linux are known',
    when: ({ value, issues }) => !faulty(issues, 'image', 'rootDevice') && isMap(value),
  }),
  z.refine<Images>(
    ({ image, instanceRequirements }) => !instanceRequirements || !imageParameter(image)?.includes(':'),
    {
      path: ['image'],
      error:
        'must be a parameter without a version or a label, because with instanceRequirements it is read by CloudFormation, as it is at the deployment',
      when: ({ value, issues }) => isMap(value) && !faulty(issues, 'image'),
    },
  ),
];
