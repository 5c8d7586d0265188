import type { Faults } from '../../sandbox/group/faults.ts';
import type { JobTable } from '../job-table.ts';
import { type PolicyChoice, policyOf, worldFor } from '../peers.ts';
import { replay } from '../replay.ts';
import type { Sample } from '../series.ts';
import type { World } from '../world.ts';
import type { Samples, Series } from './model.ts';

/** The maximum number of samples of a replay: for six weeks, one a minute. */
const MOST_SAMPLES = 60_000;

/** The maximum number of points in a chart. */
export const MOST_POINTS = 2_000;

/** The shares of jobs for which the wait is kept: each half per cent, and more of the longest waits. */
export const WAIT_SHARES = [...Array.from({ length: 200 }, (_, step) => step / 200), 0.998, 0.999, 1];

/** A period of the trace, in seconds. */
export interface Stretch {
  name: string;
  from: number;
  until: number;
}

const DAY = 86_400;

/** For traces of more days, the report also shows the busiest day. */
const MOST_DAYS = 2;

/** The whole trace, and the busiest day of a long one. */
export function stretchesOf({ queuedAt, durationSeconds }: JobTable): Stretch[] {
  const all = { name: 'whole trace', from: 0, until: Number.POSITIVE_INFINITY };
  if ((queuedAt.at(-1) ?? 0) <= MOST_DAYS * DAY) return [all];
  const work: number[] = [];
  for (const [number, at] of queuedAt.entries()) {
    const day = Math.floor(at / DAY);
    work[day] = (work[day] ?? 0) + (durationSeconds[number] ?? 0);
  }
  const busiest = work.reduce((most, seconds, day) => (seconds > (work[most] ?? 0) ? day : most), 0);
  return [all, { name: `day ${busiest + 1}, the busiest`, from: busiest * DAY, until: (busiest + 1) * DAY }];
}

/** Replays the jobs once more, and keeps the data of the charts. */
export function samplesOf(
  jobs: JobTable,
  choice: PolicyChoice,
  world: World,
  options: { faults: Faults; progress: (ended: number) => void },
): Samples {
  const span = jobs.queuedAt.at(-1) ?? 0;
  const seriesEvery = Math.max(Math.ceil(span / MOST_SAMPLES), 1);
  const policy = policyOf(choice, world.startsAt);
  const { startedAt, series } = replay(jobs, policy, worldFor(choice, world), {
    ...options,
    seriesEvery,
  });
  const waits = startedAt.map((at, number) => at - (jobs.queuedAt[number] ?? 0)).sort();
  return {
    waits: WAIT_SHARES.map((share) => {
      const wait = waits[Math.max(Math.ceil(waits.length * share) - 1, 0)] ?? 0;
      return Math.round(wait * 10) / 10;
    }),
    series: stretchesOf(jobs).map(({ from, until }) =>
      thin(
        series.filter(({ at }) => at >= from && at <= until),
        MOST_POINTS,
      ),
    ),
  };
}

/** All samples, or the lowest and the highest value of each count in each stretch of time, in the order of time. */
export function thin(samples: readonly Sample[], mostPoints: number): Series {
  const from = samples[0]?.at ?? 0;
  const every = (samples[1]?.at ?? from + 1) - from;
  const size = samples.length <= mostPoints ? 1 : Math.ceil(samples.length / Math.floor(mostPoints / 2));
  const column = (count: (sample: Sample) => number) => {
    const counts = samples.map(count);
    if (size === 1) return counts;
    const stretches = Array.from({ length: Math.ceil(counts.length / size) }, (_, index) =>
      counts.slice(index * size, (index + 1) * size),
    );
    return stretches.flatMap(extremes);
  };
  return {
    from,
    everySeconds: size === 1 ? every : (size * every) / 2,
    thinned: size > 1,
    waiting: column(({ unclaimed }) => unclaimed),
    running: column(({ running }) => running),
    instances: column(({ instances }) => instances),
  };
}

function extremes(values: readonly number[]): [number, number] {
  const least = Math.min(...values);
  const most = Math.max(...values);
  return values.indexOf(least) <= values.indexOf(most) ? [least, most] : [most, least];
}
