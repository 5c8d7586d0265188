import * as z from 'zod';
import { flag, text, wholeNumber } from './parts.ts';

/** Which instances a fleet launches, by their types or by what they must have. */

const INSTANCE_TYPE = /^[a-z0-9-]+\.[a-z0-9-]+$/;
export const isInstanceType = (value: unknown) => typeof value === 'string' && INSTANCE_TYPE.test(value);

/** From the fewest to the most of something; without the most, any number. */
const range = (what: string, most: number) =>
  z
    .strictObject(
      {
        min: wholeNumber(`the fewest ${what}`, 1, most).describe(`The fewest ${what}.`),
        max: wholeNumber(`the most ${what}`, 1, most).optional().describe(`The most ${what}.`),
      },
      { error: `must be a map of min and max, the fewest and the most ${what}` },
    )
    .refine(({ min, max = most }) => max >= min, {
      path: ['max'],
      error: ({ input }) => `must be at least min (${Object(input).min})`,
    });

/**
 * Instance types by what they have. Those with accelerators, bare metal ones and earlier generations are never launched.
 * https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstanceRequirements.html
 */
const InstanceRequirements = z.strictObject(
  {
    architecture: z
      .enum(['arm64', 'x86_64'], { error: 'must be arm64 (Graviton) or x86_64' })
      .describe('Of the processor: `arm64` (Graviton) or `x86_64` (Intel and AMD).'),
    vCpus: range('vCPUs', 1_024).describe('How many vCPUs: `min`, and `max` unless any number will do.'),
    memoryGiB: range('GiB of memory', 32_768).describe(
      'How much memory in GiB: `min`, and `max` unless any amount will do.',
    ),
    burstable: flag('Whether types with burstable performance, such as t4g.large, may be launched too.'),
    excluded: z
      .array(text('an instance type or some of them, such as m5.large, m5.* or r*', /^[a-z0-9.*-]{1,30}$/), {
        error: 'must be a list of instance types such as [m5.large, r*]',
      })
      .max(400, { error: 'must be at most 400 instance types' })
      .default([])
      .describe('Types that are never launched, with `*` for any text.'),
  },
  { error: 'must be a map of architecture, vCpus and memoryGiB' },
);

export const INSTANCE_SETTINGS = {
  instanceTypes: z
    .array(text('an EC2 instance type such as m7g.large', INSTANCE_TYPE), {
      error: 'must be a list of EC2 instance types such as [m7g.large]',
    })
    .min(1, { error: 'must name at least one EC2 instance type, such as [m7g.large]' })
    .optional()
    .describe(
      'EC2 instance types in order of preference, all of one architecture. The image follows from it. Give either these or `instanceRequirements`. Types with GPUs or other accelerators need an `image` of yours or an `install` script, for the driver; Mac types are refused.',
    ),
  instanceRequirements: InstanceRequirements.optional().describe(
    'Instead of `instanceTypes`, what an instance type must have: `architecture` (`arm64` or `x86_64`), `vCpus` and `memoryGiB` (maps of `min` and `max`), and perhaps `burstable` (false) and `excluded`, a list such as `[r*]`. EC2 launches the cheapest type that fits; for Spot, a cheap one with much capacity. It launches none that costs much more than others that fit.',
  ),
};

export type Architecture = 'arm64' | 'x86_64';

/**
 * Architecture of an instance type's processor, by its name: a `g` among the letters behind the generation is
 * Graviton. https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
 */
export function architectureOf(instanceType: string): Architecture {
  return /^(a1|[a-z]+\d+[a-z-]*g[a-z0-9]*)\./.test(instanceType) ? 'arm64' : 'x86_64';
}

/**
 * Families with GPUs or other accelerators, by the letters before the generation: GPUs (p, g, gr, cg), AWS Trainium and
 * Inferentia (trn, inf), Gaudi and Qualcomm (dl), FPGAs (f), media accelerators (vt).
 * https://docs.aws.amazon.com/ec2/latest/instancetypes/ac.html
 */
export const hasAccelerator = (instanceType: string) => /^(p|g|gr|cg|trn|inf|dl|f|vt)\d/.test(instanceType);

/** EC2 Mac instances: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-mac-instances.html */
export const isMac = (instanceType: string) => /^mac/.test(instanceType);

/**
 * Whether an instance type surely has no disks of its own: general families (c, m, r from their fourth generation on,
 * and t) without a `d` among the letters behind the generation.
 * https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
 */
export const hasNoDisks = (instanceType: string) =>
  /^(t\d+|[cmr]([4-9]|\d{2,}))[a-ce-z]*(-flex)?\./.test(instanceType);
