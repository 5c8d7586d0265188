import { Option } from 'commander';
import { formatDuration } from '../../fleets/duration.ts';
import { WORLD } from '../../simulator/world.ts';
import { durationOption } from '../command-line/arguments.ts';

const option = (flag: string, what: string, seconds: number) =>
  new Option(`${flag} <time>`, what)
    .argParser(durationOption(0, 3_600, 'any'))
    .default(seconds, formatDuration(seconds));

/** How long boots of an image take that is built for the fleet. */
export const imageBootOption = () =>
  option('--image-boot', 'the same for ours with an image that is built (image.build)', WORLD.imageBoot);

export const imageWarmBootOption = () =>
  option('--image-warm-boot', 'the same for an instance of a warm pool with that image', WORLD.imageWarmBoot);
