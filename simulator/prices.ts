import { parse as parseYaml, type YAMLParseError } from 'yaml';
import * as z from 'zod';
import { LIST_PRICE_SOURCE, listPrice } from '../fleets/prices.ts';
import { readSettingsText } from '../fleets/settings-text.ts';
import { keyPath } from '../functions/lib/key-path.ts';

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

/** List prices. Spot prices change every hour; 40 % of On-Demand is a cautious estimate. */
export const LIST_PRICES: Prices = {
  source: LIST_PRICE_SOURCE,
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

/** @throws PricesInvalid */
function parsed(text: string, file: string): unknown {
  try {
    return parseYaml(text, { prettyErrors: true });
  } catch (error) {
    const { line } = (error as YAMLParseError).linePos?.[0] ?? { line: 1 };
    throw new PricesInvalid(
      `${file}:${line} is neither YAML nor JSON, so it has no prices. A file of prices has instanceHour, a map of instance types to dollars an hour: --help says what else.`,
    );
  }
}

/**
 * Reads prices from a file, YAML or JSON: `instanceHour`, a map of instance types, and optionally `source`,
 * `spotShare`, `volumeGbMonth`, `volumeIopsMonth` and `volumeThroughputMonth`. The default of each is the list price.
 *
 * @throws PricesInvalid
 */
export function readPrices(file: string): Prices {
  let text: string;
  try {
    text = readSettingsText(file);
  } catch (error) {
    throw new PricesInvalid(`${file} cannot be read: ${(error as Error).message}`);
  }
  const raw = parsed(text, file);
  const prices = PricesFile.safeParse(raw);
  if (!prices.success) {
    const faults = prices.error.issues.map(({ path, message }) => `${keyPath(path) || file}: ${message}`);
    throw new PricesInvalid([`${file} has no prices that can be used:`, ...faults].join('\n  '));
  }
  const { source = file, instanceHour, spotShare, ...volume } = prices.data;
  return {
    source: `${source}; else ${LIST_PRICES.source}`,
    instanceHour: (type) => instanceHour[type] ?? listPrice(type),
    spotShare: spotShare ?? LIST_PRICES.spotShare,
    volumeGbMonth: volume.volumeGbMonth ?? LIST_PRICES.volumeGbMonth,
    volumeIopsMonth: volume.volumeIopsMonth ?? LIST_PRICES.volumeIopsMonth,
    volumeThroughputMonth: volume.volumeThroughputMonth ?? LIST_PRICES.volumeThroughputMonth,
  };
}
