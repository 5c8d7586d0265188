import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { formatDuration } from '../../fleets/duration.ts';
import { WORLD } from '../../simulator/world.ts';
import { AWS_CLIENT } from '../aws/client.ts';
import { readSetup } from '../aws/place.ts';
import { setupFault } from '../aws/setup-fault.ts';
import { durationOption, UsageError } from '../command-line/arguments.ts';
import { type BootTimes, describeBootTimes, readBootTimes, untilRunner } from '../deployed/boots.ts';
import type { Terminal } from '../terminal/terminal.ts';

/** `--boot measured` takes the boots of this many days: CloudWatch keeps them longer, and fleets change. */
const DAYS = 14;

/** The fleet has no measured boots. */
export class NotMeasured extends Error {
  override readonly name = 'NotMeasured';
}

/** The option `--boot`. */
export const bootOption = () =>
  new Option(
    '--boot <time>',
    `time from pending to ready, such as 90s or 2m; measured takes what the boots of the deployed --fleet took in the last ${DAYS} days`,
  )
    .argParser((given) => {
      if (given === 'measured') return given;
      try {
        return durationOption(0, 3_600, 'any')(given);
      } catch (error) {
        throw new InvalidArgumentError(`${(error as Error).message.replace(/\.$/, '')}; or measured.`);
      }
    })
    .default(WORLD.boot, formatDuration(WORLD.boot));

/** What a replay takes for boots, in seconds: of the stock image, and of a built one. */
export interface Boots {
  boot: number;
  warmBoot: number;
  imageBoot: number;
  imageWarmBoot: number;
}

interface GivenBoots extends Omit<Boots, 'boot'> {
  boot: number | 'measured';
  stack: string;
  fleet?: string | undefined;
  json?: boolean;
}

/**
 * The boot times of a replay. What is given besides `--boot measured` holds.
 *
 * @param hasImage Whether the fleet boots an image that is built for it: then these boots were measured.
 */
export async function chooseBoots(
  given: GivenBoots,
  hasImage: boolean,
  command: Command,
  terminal: Terminal,
): Promise<Boots> {
  const { boot, warmBoot, imageBoot, imageWarmBoot } = given;
  if (boot !== 'measured') return { boot, warmBoot, imageBoot, imageWarmBoot };
  const measured = await measuredBoot(given.stack, given.fleet);
  if (given.json !== true) terminal.note(`--boot measured: ${measured.source}`);
  const unlessGiven = (option: Exclude<keyof Boots, 'boot'>, seconds: number | undefined) =>
    command.getOptionValueSource(option) === 'default' ? (seconds ?? given[option]) : given[option];
  return hasImage
    ? {
        boot: WORLD.boot,
        warmBoot,
        imageBoot: unlessGiven('imageBoot', measured.boot),
        imageWarmBoot: unlessGiven('imageWarmBoot', measured.warmBoot),
      }
    : { boot: measured.boot, warmBoot: unlessGiven('warmBoot', measured.warmBoot), imageBoot, imageWarmBoot };
}

/** Seconds of a boot and, if a warm pool was used, of a resume, and where they are from. */
export interface MeasuredBoot {
  boot: number;
  warmBoot: number | undefined;
  source: string;
}

/**
 * Reads how long the boots of a deployed fleet take.
 *
 * @throws UsageError, NotMeasured
 */
export async function measuredBoot(
  stack: string,
  fleet: string | undefined,
  now = Date.now(),
  client = new CloudWatchClient(AWS_CLIENT),
): Promise<MeasuredBoot> {
  if (fleet === undefined)
    throw new UsageError('--boot measured needs --fleet: the name of a deployed fleet');
  const period = { from: now - DAYS * 86_400_000, to: now };
  const times = await readBootTimes(stack, fleet, period, client).catch((error: Error) => {
    if (setupFault(error, readSetup(process.env)) !== undefined || !('$metadata' in error)) throw error;
    throw new NotMeasured(`CloudWatch did not say how long boots took. ${error.name}: ${error.message}`);
  });
  return bootIn(times, stack, fleet);
}

const toTenths = (seconds: number) => Math.round(seconds * 10) / 10;

function bootIn(times: BootTimes, stack: string, fleet: string): MeasuredBoot {
  const whole = untilRunner(times);
  if (whole === undefined)
    throw new NotMeasured(
      `Stack ${stack} has published no boot of fleet ${fleet} in the last ${DAYS} days. In one hour of three, the boots of 15 to 25 minutes before are published. Until then, set --boot to a time such as 90s.`,
    );
  return {
    boot: toTenths(whole),
    warmBoot: times.Resume && toTenths(times.Resume.mean),
    source: `boots of fleet ${fleet} in the last ${DAYS} days: ${describeBootTimes(times)}`,
  };
}
