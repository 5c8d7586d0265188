import type { FleetConfig } from '../fleets/load.ts';
import { DURATIONS, type GroupDurations } from '../sandbox/group/durations.ts';
import { SANDBOX_START } from '../sandbox/trace.ts';

/** The replayed world, the same for every policy. */
export interface World extends GroupDurations {
  /** The date of second 0, in milliseconds since the epoch. Schedules depend on it. */
  startsAt: number;
  /** `boot` of a fleet whose image is built for it. */
  imageBoot: number;
  /** `warmBoot` of such a fleet. */
  imageWarmBoot: number;
  /** The time zone in which the days of the trace begin; `undefined` if the trace has no dates. */
  zone?: string;
}

const { idleTimeout: _, idleSpread: __, ...durations } = DURATIONS;

/**
 * Boots of an image with everything installed, in seconds.
 *
 * - 26 s from the request until SSH answers, for m7i and other types (brevdev/ec2-coldboot-research, 2025). With an image, our
 *   scripts took 0.8 s until the runner (docs/images.md). The rest is assumed: volumes made from snapshots load lazily.
 * - A resume from the warm pool has its volume loaded, and has only the runner to start. 15 s is assumed.
 */
const IMAGE_BOOTS = { imageBoot: 35, imageWarmBoot: 15 };

/** The reference model: the sandbox's durations. */
export const WORLD: World = { startsAt: SANDBOX_START.getTime(), ...durations, ...IMAGE_BOOTS };

/** The world of a fleet: its boots are faster if its image is built. */
export const worldOf = (world: World, { imageBuild }: Pick<FleetConfig, 'imageBuild'>): World =>
  imageBuild === undefined ? world : { ...world, boot: world.imageBoot, warmBoot: world.imageWarmBoot };
