import { figure } from '../sandbox/summary.ts';
import { randomNumbers } from '../sandbox/trace.ts';
import type { Day } from './days.ts';
import type { Interval, Range } from './interval.ts';
import { type Month, monthOf } from './month.ts';
import type { Outcome } from './outcome.ts';

/** The share of the draws that an interval contains. */
export const LEVEL = 0.9;

/** With fewer days, an interval would say more than they can. */
export const FEWEST_DAYS = 5;

/** How often the days are drawn. */
const DRAWS = 2_000;

const SEED = 1;

/** A first or last day with fewer hours counts as a part of the day next to it. */
const SHORTEST_DAY = 12;

type Days = Pick<Outcome, 'days' | 'replayedHours'> & { month?: Pick<Month, 'hours'> | undefined };

/**
 * The interval of an outcome.
 *
 * @returns `undefined` if there are too few days.
 */
export const intervalOf = (outcome: Days): Interval | undefined => resampled(outcome);

/**
 * The interval of how much more one outcome has than another of the same jobs: of each draw, both have the same days.
 *
 * @returns `undefined` if there are too few days, or the days are not the same.
 */
export function intervalOfChange(from: Days, to: Days): Interval | undefined {
  const isSame =
    from.days.length === to.days.length && from.days.every(({ day }, index) => day === to.days[index]?.day);
  return isSame ? resampled(to, from) : undefined;
}

/** How many days there are to draw from. */
export const daysToDraw = ({ days }: Pick<Outcome, 'days'>): number => blocksOf(days, days).length;

/** What is added up over the days of a draw. */
interface Sums {
  jobs: number;
  waited: number;
  hours: number;
  instanceHours: number;
  cost: number;
}

const NOTHING: Sums = { jobs: 0, waited: 0, hours: 0, instanceHours: 0, cost: 0 };

const plus = (a: Sums, b: Sums): Sums => ({
  jobs: a.jobs + b.jobs,
  waited: a.waited + b.waited,
  hours: a.hours + b.hours,
  instanceHours: a.instanceHours + b.instanceHours,
  cost: a.cost + b.cost,
});

const sumsOf = ({ jobs, waitSeconds, hours, instanceHours, cost = Number.NaN }: Day): Sums => ({
  jobs,
  waited: jobs * (waitSeconds?.mean ?? 0),
  hours,
  instanceHours,
  cost,
});

/** @param like The days that say which of them are too short, so that two outcomes have the same blocks. */
function blocksOf(days: readonly Day[], like: readonly Day[]): Sums[] {
  const blocks = days.map(sumsOf);
  const isShort = (day: Day | undefined) => (day?.hours ?? 0) < SHORTEST_DAY;
  if (blocks.length > 1 && isShort(like.at(-1))) blocks.push(joined(blocks.pop(), blocks.pop()));
  if (blocks.length > 1 && isShort(like[0])) blocks.unshift(joined(blocks.shift(), blocks.shift()));
  return blocks;
}

const joined = (a: Sums = NOTHING, b: Sums = NOTHING) => plus(a, b);

function resampled(to: Days, from?: Days): Interval | undefined {
  const blocks = blocksOf(to.days, to.days);
  const others = from === undefined ? undefined : blocksOf(from.days, to.days);
  const count = blocks.length;
  if (count < FEWEST_DAYS) return undefined;
  const random = randomNumbers(SEED);
  const draws: { wait: number; instanceHours: number; cost: number }[] = [];
  for (let draw = 0; draw < DRAWS; draw += 1) {
    const drawn = Array.from({ length: count }, () => Math.floor(random() * count));
    const one = figuresOf(blocks, drawn, to);
    const other = others === undefined || from === undefined ? undefined : figuresOf(others, drawn, from);
    draws.push({
      wait: one.wait - (other?.wait ?? 0),
      instanceHours: one.instanceHours - (other?.instanceHours ?? 0),
      cost: one.cost - (other?.cost ?? 0),
    });
  }
  // Draws without a job have no wait.
  const waits = draws.map(({ wait }) => wait).filter((wait) => !Number.isNaN(wait));
  const costs = draws.map(({ cost }) => cost);
  return {
    level: LEVEL,
    days: count,
    waitSeconds: { mean: middle(waits) },
    instanceHours: middle(draws.map(({ instanceHours }) => instanceHours)),
    ...(!costs.some(Number.isNaN) && { cost: { total: middle(costs) } }),
  };
}

function figuresOf(
  blocks: readonly Sums[],
  drawn: readonly number[],
  { replayedHours, month = monthOf(undefined, replayedHours) }: Days,
) {
  const { jobs, waited, hours, instanceHours, cost } = drawn.reduce(
    (sums, index) => plus(sums, blocks[index] ?? NOTHING),
    NOTHING,
  );
  return {
    wait: waited / jobs,
    instanceHours: (instanceHours / hours) * replayedHours,
    cost: (cost / hours) * month.hours,
  };
}

function middle(values: readonly number[]): Range {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => figure(sorted[Math.round((sorted.length - 1) * share)] ?? 0);
  return [at((1 - LEVEL) / 2), at((1 + LEVEL) / 2)];
}
