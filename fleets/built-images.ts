import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { FleetConfig } from './load.ts';
import { architectureOfFleet } from './settings/instance.ts';

/** Which fleets share an image that is built for them, and when it is built. */

/** An image with the fleets that have it, in the order of the file. The stack of the first one builds it. */
export interface BuiltImage {
  builder: FleetConfig;
  fleets: FleetConfig[];
}

/** The distinct images that are built for these fleets. */
export function builtImagesOf(fleets: FleetConfig[]): BuiltImage[] {
  const imageOf = buildingImages();
  return [...new Set(fleets.flatMap((fleet) => imageOf(fleet) ?? []))];
}

/** Gives the image of each fleet that comes next, if it is built. An image that fleets have already gains the fleet. */
export function buildingImages(): (fleet: FleetConfig) => BuiltImage | undefined {
  const images = new Map<string, BuiltImage>();
  return (fleet) => {
    if (fleet.imageBuild === undefined) return undefined;
    const key = identityOf(fleet);
    const image = images.get(key) ?? { builder: fleet, fleets: [] };
    image.fleets.push(fleet);
    images.set(key, image);
    return image;
  };
}

/** The digest of what a fleet's image holds; `undefined` is nothing. */
export const digestOf = (content: unknown): string =>
  createHash('sha256')
    .update(JSON.stringify(content) ?? '')
    .digest('hex');

/** Two fleets have the same image if all of this is the same. */
const identityOf = (fleet: FleetConfig): string =>
  digestOf([
    fleet.imageBuild,
    fleet.image,
    fleet.rootDevice,
    architectureOfFleet(fleet),
    fleet.docker,
    fleet.installFile === undefined ? undefined : readFileSync(fleet.installFile, 'utf8'),
    fleet.authoritiesFile === undefined ? undefined : readFileSync(fleet.authoritiesFile, 'utf8'),
    fleet.runner ?? fleet.defaultRunner,
    fleet.logs,
    fleet.httpProxy,
    fleet.noProxy,
    fleet.roles,
    fleet.installPermissions,
  ]);

/**
 * The schedule of EC2 Image Builder for an image, or `undefined` if it is only built when somebody asks. Its crons have six
 * fields, and `?` for the kind of day that does not count:
 * https://docs.aws.amazon.com/imagebuilder/latest/userguide/cron-expressions.html
 *
 * @param name Images with other names are built at other minutes.
 */
export function buildSchedule(
  { build, timezone }: NonNullable<FleetConfig['imageBuild']>,
  name: string,
): { expression: string; timezone: string } | undefined {
  if (build === 'once') return undefined;
  const minute = Number.parseInt(digestOf(name).slice(0, 6), 16) % 60;
  const cron = build === 'weekly' ? `${minute} 3 * * SUN` : build;
  const [minutes, hours, dayOfMonth, month, dayOfWeek] = cron.split(/ +/);
  const days = dayOfWeek === '*' ? [dayOfMonth, month, '?'] : ['?', month, dayOfWeek];
  return { expression: `cron(${[minutes, hours, ...days, '*'].join(' ')})`, timezone };
}
