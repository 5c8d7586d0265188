import * as z from 'zod';
import { eachOnce, flag, isSet, text, wholeNumber } from './parts.ts';

/** Which instances a fleet launches: by their types, or by their attributes. */

const INSTANCE_TYPE = /^[a-z0-9-]+\.[a-z0-9-]+$/;
export const isInstanceType = (value: unknown) => typeof value === 'string' && INSTANCE_TYPE.test(value);

/** A minimum and an optional maximum of something. */
const range = (what: string, most: number) =>
  z
    .strictObject(
      {
        min: wholeNumber(`the minimum number of ${what}`, 1, most).describe(`Minimum number of ${what}.`),
        max: wholeNumber(`the maximum number of ${what}`, 1, most)
          .optional()
          .describe(`Maximum number of ${what}. Default: no limit.`),
      },
      { error: `must be a map of min and max, the minimum and the maximum number of ${what}` },
    )
    .refine(({ min, max = most }) => max >= min, {
      path: ['max'],
      error: ({ input }) => `must be at least min (${Object(input).min})`,
    });

/**
 * Instance types by their attributes. Types with accelerators, bare metal types and earlier generations are never launched.
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstanceRequirements.html
 */
const InstanceRequirements = z.strictObject(
  {
    architecture: z
      .enum(['arm64', 'x86_64'], { error: 'must be arm64 (Graviton) or x86_64' })
      .describe('Architecture of the processor: `arm64` (Graviton) or `x86_64` (Intel and AMD).'),
    vCpus: range('vCPUs', 1_024).describe('Number of vCPUs: `min`, and optionally `max`.'),
    memoryGiB: range('GiB of memory', 32_768).describe('Memory in GiB: `min`, and optionally `max`.'),
    burstable: flag('Whether types with burstable performance, such as t4g.large, may be launched as well.'),
    excluded: z
      .array(text('an instance type or a pattern, such as m5.large, m5.* or r*', /^[a-z0-9.*-]{1,30}$/), {
        error: 'must be a list of instance types such as [m5.large, r*]',
      })
      .max(400, { error: 'must be at most 400 instance types' })
      .default([])
      .describe('Instance types that are never launched. `*` stands for any text.'),
  },
  { error: 'must be a map of architecture, vCpus and memoryGiB' },
);

export const INSTANCE_SETTINGS = {
  instanceTypes: z
    .array(text('an EC2 instance type such as m7g.large', INSTANCE_TYPE), {
      error: 'must be a list of EC2 instance types such as [m7g.large]',
    })
    .min(1, { error: 'must name at least one EC2 instance type, such as [m7g.large]' })
    // EC2 Auto Scaling refuses overrides that name a type twice.
    .refine(isSet, eachOnce('must name each EC2 instance type once'))
    .meta({ uniqueItems: true })
    // https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LaunchTemplateOverrides.html
    .max(40, {
      error:
        'must be at most 40 EC2 instance types, as an Auto Scaling group takes no more: or set instanceRequirements',
    })
    .optional()
    .describe(
      'EC2 instance types in order of preference, all of one architecture. Set either `instanceTypes` or `instanceRequirements`. Types with GPUs or other accelerators need a driver: use an `image` of yours that has it, or an `install` script. Mac types are refused.',
    ),
  instanceRequirements: InstanceRequirements.optional().describe(
    'Attributes of an instance type, instead of `instanceTypes`: `architecture` (`arm64` or `x86_64`), `vCpus` and `memoryGiB` (maps of `min` and `max`), `burstable` (default: false) and `excluded` (a list such as `[r*]`). EC2 launches the cheapest type that fits. For Spot, it launches a cheap type with much capacity. It excludes types that cost much more than others that fit.',
  ),
};

export type Architecture = 'arm64' | 'x86_64';

/**
 * Architecture of an instance type's processor, by its name: a `g` among the letters after the generation means
 * Graviton. https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
 */
export function architectureOf(instanceType: string): Architecture {
  return /^(a1|[a-z]+\d+[a-z-]*g[a-z0-9]*)\./.test(instanceType) ? 'arm64' : 'x86_64';
}

/** The architecture of a fleet's instances. */
export const architectureOfFleet = ({
  instanceTypes: [firstType] = [],
  instanceRequirements,
}: {
  instanceTypes?: string[] | undefined;
  instanceRequirements?: { architecture: Architecture } | undefined;
}): Architecture => instanceRequirements?.architecture ?? architectureOf(firstType ?? '');

/**
 * Families with GPUs or other accelerators, by the letters before the generation: GPUs (p, g, gr, cg), AWS Trainium and
 * Inferentia (trn, inf), Gaudi and Qualcomm (dl), FPGAs (f), media accelerators (vt).
 * https://docs.aws.amazon.com/ec2/latest/instancetypes/ac.html
 */
export const hasAccelerator = (instanceType: string) => /^(p|g|gr|cg|trn|inf|dl|f|vt)\d/.test(instanceType);

/** EC2 Mac instances: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-mac-instances.html */
export const isMac = (instanceType: string) => /^mac/.test(instanceType);

/**
 * Whether an instance type certainly has no disks of its own: general families (c, m, r from their fourth generation on,
 * and t) without a `d` among the letters after the generation.
 * https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
 */
export const hasNoDisks = (instanceType: string) =>
  /^(t\d+|[cmr]([4-9]|\d{2,}))[a-ce-z]*(-flex)?\./.test(instanceType);
