import type { Faults } from '../../sandbox/group/faults.ts';
import { Calendar } from '../calendar.ts';
import { costOf, type Priced } from '../cost.ts';
import type { JobTable } from '../job-table.ts';
import { imageOf, type PolicyChoice, policyOf, worldFor } from '../peers.ts';
import { replay } from '../replay.ts';
import type { Sample } from '../series.ts';
import type { World } from '../world.ts';
import type { Samples, Series, Stretch } from './model.ts';
import { pack } from './packed.ts';
import { periodsOf, weekOf } from './periods.ts';

/** The maximum number of samples of a replay: for six weeks, one a minute. */
const MOST_SAMPLES = 60_000;

/** The maximum number of points in the chart of the whole trace, and in the charts of all of its days together. */
export const MOST_POINTS = { one: 2_000, days: 6_100 };

/** The shares of jobs for which the wait is kept: each half per cent, and more of the longest waits. */
export const WAIT_SHARES = [...Array.from({ length: 200 }, (_, step) => step / 200), 0.998, 0.999, 1];

const DAY = 86_400;

/** The chart of a longer trace shows hours, and each of its days has a chart of its own. */
const MOST_DAYS = 2;

/** The days of longer traces have no charts. */
const MOST_DAYS_WITH_CHART = 100;

/** The whole trace, and each day of a long one. */
export function stretchesOf({ queuedAt, durationSeconds }: JobTable, world: World): Stretch[] {
  const all = { name: 'whole trace', from: 0, until: null };
  const last = queuedAt.at(-1) ?? 0;
  if (last <= MOST_DAYS * DAY || last > MOST_DAYS_WITH_CHART * DAY) return [all];
  const calendar = new Calendar(world);
  const dayAt = (at: number) => calendar.clockOf(calendar.hourAt(at)).day;
  const first = dayAt(0);
  const work = Array.from({ length: dayAt(last) - first + 1 }, () => 0);
  for (const [number, at] of queuedAt.entries()) {
    const day = dayAt(at) - first;
    work[day] = (work[day] ?? 0) + (durationSeconds[number] ?? 0);
  }
  const busiest = work.indexOf(Math.max(...work));
  return [
    all,
    ...work.map((_, index) => {
      const day = first + index;
      return {
        name: `${nameOf(calendar, day)}${index === busiest ? ', the busiest' : ''}`,
        from: Math.max(calendar.beginOf(day), 0),
        until: calendar.beginOf(day + 1),
      };
    }),
  ];
}

export const WEEKDAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];

const nameOf = (calendar: Calendar, day: number) =>
  calendar.dated
    ? `${WEEKDAYS[calendar.weekdayOf(day)]?.slice(0, 3)} ${calendar.nameOf(day)}`
    : `day ${calendar.nameOf(day)}`;

/**
 * Replays the jobs once more, and keeps the data of the charts.
 *
 * @param options.detailed Whether to keep the days of a long trace in detail, for which not every policy has room.
 */
export function samplesOf(
  jobs: JobTable,
  choice: PolicyChoice,
  world: World,
  options: {
    faults: Faults;
    progress: (ended: number) => void;
    priced?: Priced | undefined;
    detailed?: boolean | undefined;
  },
): Samples {
  const { faults, progress, priced, detailed = true } = options;
  const span = jobs.queuedAt.at(-1) ?? 0;
  const seriesEvery = Math.max(Math.ceil(span / MOST_SAMPLES), 1);
  const policy = policyOf(choice, world.startsAt);
  const replayed = replay(jobs, policy, worldFor(choice, world), { faults, progress, seriesEvery });
  const { startedAt, series } = replayed;
  const waits = startedAt.map((at, number) => at - (jobs.queuedAt[number] ?? 0)).sort();
  const isLong = stretchesOf(jobs, world).length > 1 || span > MOST_DAYS * DAY;
  const cost = priced && costOf(policy.name, replayed, priced, imageOf(choice));
  return {
    waits: WAIT_SHARES.map((share) => {
      const wait = waits[Math.max(Math.ceil(waits.length * share) - 1, 0)] ?? 0;
      return Math.round(wait * 10) / 10;
    }),
    ...(isLong && { overview: summed(series, MOST_POINTS.one, 3_600, true) }),
    ...((!isLong || detailed) && {
      detail: summed(series, isLong ? MOST_POINTS.days : MOST_POINTS.one, seriesEvery, false),
    }),
    week: weekOf(jobs, replayed),
    periods: periodsOf(jobs, replayed, priced, cost),
  };
}

/** Intervals that are easy to read, in seconds. */
const INTERVALS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 10_800, 21_600, 43_200, DAY];

/**
 * The highest count of each interval of time, and the mean.
 *
 * @param least The shortest interval, in seconds.
 */
export function summed(
  samples: readonly Sample[],
  mostPoints: number,
  least: number,
  means: boolean,
): Series {
  const every = (samples[1]?.at ?? 1) - (samples[0]?.at ?? 0);
  const end = (samples.at(-1)?.at ?? 0) + 1;
  const fits = (interval: number) => interval >= Math.max(least, every) && end / interval <= mostPoints;
  const everySeconds = INTERVALS.find(fits) ?? Math.ceil(end / mostPoints / DAY) * DAY;
  const buckets: Sample[][] = Array.from({ length: Math.ceil(end / everySeconds) }, () => []);
  for (const sample of samples) buckets[Math.floor(sample.at / everySeconds)]?.push(sample);
  const highest = (count: (sample: Sample) => number) =>
    pack(buckets.map((bucket) => bucket.reduce((most, sample) => Math.max(most, count(sample)), 0)));
  const tenths = (count: (sample: Sample) => number) =>
    pack(
      buckets.map((bucket) =>
        Math.round(
          (10 * bucket.reduce((sum, sample) => sum + count(sample), 0)) / Math.max(bucket.length, 1),
        ),
      ),
    );
  const waiting = ({ unclaimed }: Sample) => unclaimed;
  const running = (sample: Sample) => sample.running;
  const instances = (sample: Sample) => sample.instances;
  return {
    everySeconds,
    waiting: highest(waiting),
    running: highest(running),
    instances: highest(instances),
    ...(means && {
      tenths: { waiting: tenths(waiting), running: tenths(running), instances: tenths(instances) },
    }),
  };
}
