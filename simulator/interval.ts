export type Range = [low: number, high: number];

/**
 * Where the figures of other days like these are likely to be: the days are drawn at random, with replacement, and this
 * is the range of the middle `level` of all draws. A bootstrap with blocks of whole days, because jobs of a day depend on
 * each other.
 */
export interface Interval {
  level: number;
  /** How many days there are to draw from. */
  days: number;
  /** The mean wait. */
  waitSeconds: { mean: Range };
  /** Hours of instances in as many hours as were replayed. */
  instanceHours: Range;
  /** US dollars a month; missing like `cost`. */
  cost?: { total: Range };
}
