import { similarTo } from './similar.ts';

/** Source and date of the list prices. */
export const LIST_PRICE_SOURCE = 'list prices of us-east-1, Linux, June 2026';

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

/** Larger sizes that most families have. */
const XLARGE = [2, 4, 8, 12, 16, 24].map((times) => `${times}xlarge`);

/** The On-Demand price of an hour in US dollars, or `undefined` if the table does not have the type's family. */
export function listPrice(type: string): number | undefined {
  const [family = '', size = ''] = type.split('.');
  const larges = sizeOf(size);
  const large = LARGE[family];
  return large === undefined || larges === undefined ? undefined : large * larges;
}

/** The type that may be meant, if the table has the family of a type and its size is mistyped. */
export function typeMeant(type: string): string | undefined {
  const [family = '', size = ''] = type.split('.');
  if (LARGE[family] === undefined || sizeOf(size) !== undefined) return undefined;
  const meant = similarTo(size, [...Object.keys(SIZES), ...XLARGE]);
  return meant && `${family}.${meant}`;
}

/** A size relative to `large`, or `undefined` if it says nothing, such as `metal`. */
function sizeOf(size: string): number | undefined {
  const times = /^(?:metal-)?(\d+)xl(?:arge)?$/.exec(size)?.[1];
  return times === undefined ? SIZES[size] : 2 * Number(times);
}

/** The most vCPUs that a type has by its size; `undefined` if its size does not say it. */
export function vCpusOf(type: string): number | undefined {
  const larges = sizeOf(type.split('.')[1] ?? '');
  // Small burstable types have two vCPUs as well.
  return larges === undefined ? undefined : 2 * Math.max(larges, 1);
}

/** gp3 volumes in us-east-1, US dollars a month: https://aws.amazon.com/ebs/pricing/ */
const GP3_MONTH = { size: 0.08, iops: 0.005, throughput: 0.04 };

/** Hours of a month, as AWS counts them for monthly prices. */
const MONTH_HOURS = 730;

/** What a gp3 volume costs an hour beyond another one, in US dollars; 0 if it is not larger or faster. */
export function volumePriceBeyond(
  volume: { [what in keyof typeof GP3_MONTH]?: number | undefined },
  base: typeof GP3_MONTH,
): number {
  const extra = (what: keyof typeof GP3_MONTH) =>
    Math.max((volume[what] ?? 0) - base[what], 0) * GP3_MONTH[what];
  return (extra('size') + extra('iops') + extra('throughput')) / MONTH_HOURS;
}
