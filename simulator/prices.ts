import { readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import * as z from 'zod';

/** Prices of instances, in US dollars. */
export interface Prices {
  /** Source and date of the prices, as the report shows them. */
  source: string;
  /** Per hour of an On-Demand instance, by instance type. */
  instanceHour: (type: string) => number | undefined;
  /** The Spot price as a share of the On-Demand price, from 0 to 1. */
  spotShare: number;
  /** Per GB of a volume and month. */
  volumeGbMonth: number;
  /** Per IOPS above gp3's baseline and month. */
  volumeIopsMonth: number;
  /** Per MiB/s above gp3's baseline and month. */
  volumeThroughputMonth: number;
}

/** Prices that cannot be used; the message says which file, what was given and what is allowed. */
export class PricesInvalid extends Error {
  override readonly name = 'PricesInvalid';
}

/** The `large` size of each family, Linux, On-Demand, US dollars an hour: https://aws.amazon.com/ec2/pricing/on-demand/ */
const LARGE: Record<string, number> = {
  c5: 0.085,
  c6a: 0.0765,
  c6g: 0.068,
  c6i: 0.085,
  c7a: 0.10264,
  c7g: 0.0725,
  c7i: 0.08925,
  'c7i-flex': 0.08479,
  c8g: 0.07976,
  m5: 0.096,
  m6a: 0.0864,
  m6g: 0.077,
  m6i: 0.096,
  m7a: 0.11592,
  m7g: 0.0816,
  m7i: 0.1008,
  'm7i-flex': 0.09576,
  m8g: 0.08976,
  r5: 0.126,
  r6g: 0.1008,
  r6i: 0.126,
  r7g: 0.1071,
  r7i: 0.1323,
  r8g: 0.11782,
  t3: 0.0832,
  t3a: 0.0752,
  t4g: 0.0672,
};

/** Sizes relative to `large`. Within a family, the price is proportional to the size. */
const SIZES: Record<string, number> = {
  nano: 1 / 16,
  micro: 1 / 8,
  small: 1 / 4,
  medium: 1 / 2,
  large: 1,
  xlarge: 2,
};

function listPrice(type: string): number | undefined {
  const [family = '', size = ''] = type.split('.');
  const times = /^(\d+)xlarge$/.exec(size)?.[1];
  const larges = times === undefined ? SIZES[size] : 2 * Number(times);
  const large = LARGE[family];
  return large === undefined || larges === undefined ? undefined : large * larges;
}

/** List prices. Spot prices change every hour; 40 % of On-Demand is a cautious estimate. */
export const LIST_PRICES: Prices = {
  source: 'list prices of us-east-1, Linux, June 2026',
  instanceHour: listPrice,
  spotShare: 0.4,
  // https://aws.amazon.com/ebs/pricing/
  volumeGbMonth: 0.08,
  volumeIopsMonth: 0.005,
  volumeThroughputMonth: 0.04,
};

const price = (what: string) =>
  z.number(`must be ${what} in US dollars`).min(0, `must be ${what} in US dollars`);

const PricesFile = z.strictObject({
  source: z.string().optional(),
  instanceHour: z.record(z.string(), price('the price of an hour')),
  spotShare: z.number().min(0).max(1).optional(),
  volumeGbMonth: price('the price of a GB of a volume, a month,').optional(),
  volumeIopsMonth: price('the price of an IOPS of a volume, a month,').optional(),
  volumeThroughputMonth: price('the price of a MiB/s of a volume, a month,').optional(),
});

/**
 * Reads prices from a file, YAML or JSON: `instanceHour`, a map of instance types, and optionally `source`,
 * `spotShare`, `volumeGbMonth`, `volumeIopsMonth` and `volumeThroughputMonth`. The default of each is the list price.
 *
 * @throws PricesInvalid
 */
export function readPrices(file: string): Prices {
  let raw: unknown;
  try {
    raw = parseYaml(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new PricesInvalid(`${file} cannot be read: ${(error as Error).message}`);
  }
  const parsed = PricesFile.safeParse(raw);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(
      ({ path, message }) => `${path.join('.') || '(top level)'}: ${message}`,
    );
    throw new PricesInvalid([`${file} has no prices that can be used:`, ...faults].join('\n  '));
  }
  const { source = file, instanceHour, spotShare, ...volume } = parsed.data;
  return {
    source: `${source}; else ${LIST_PRICES.source}`,
    instanceHour: (type) => instanceHour[type] ?? listPrice(type),
    spotShare: spotShare ?? LIST_PRICES.spotShare,
    volumeGbMonth: volume.volumeGbMonth ?? LIST_PRICES.volumeGbMonth,
    volumeIopsMonth: volume.volumeIopsMonth ?? LIST_PRICES.volumeIopsMonth,
    volumeThroughputMonth: volume.volumeThroughputMonth ?? LIST_PRICES.volumeThroughputMonth,
  };
}
