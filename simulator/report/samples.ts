import type { Faults } from '../../sandbox/group/faults.ts';
import type { JobTable } from '../job-table.ts';
import { type PolicyChoice, policyOf } from '../peers.ts';
import { replay, type Sample } from '../replay.ts';
import type { World } from '../world.ts';
import type { Samples, Series } from './model.ts';

/** So often at most is the world looked at: of six weeks, once a minute. */
const MOST_SAMPLES = 60_000;

/** So many points are drawn at most. */
export const MOST_POINTS = 2_000;

/** The shares of jobs whose waits are kept: each half per cent, and the longest waits closer. */
export const WAIT_SHARES = [...Array.from({ length: 200 }, (_, step) => step / 200), 0.998, 0.999, 1];

/** A stretch of time, in seconds of the trace. */
export interface Stretch {
  name: string;
  from: number;
  until: number;
}

const DAY = 86_400;

/** Traces of more than so many days have one of them shown more closely. */
const MOST_DAYS = 2;

/** All the time of a trace, and of a long one the day with most work. */
export function stretchesOf({ queuedAt, durationSeconds }: JobTable): Stretch[] {
  const all = { name: 'all the time', from: 0, until: Number.POSITIVE_INFINITY };
  if ((queuedAt.at(-1) ?? 0) <= MOST_DAYS * DAY) return [all];
  const work: number[] = [];
  for (const [number, at] of queuedAt.entries()) {
    const day = Math.floor(at / DAY);
    work[day] = (work[day] ?? 0) + (durationSeconds[number] ?? 0);
  }
  const busiest = work.reduce((most, seconds, day) => (seconds > (work[most] ?? 0) ? day : most), 0);
  return [all, { name: `day ${busiest + 1}, the busiest`, from: busiest * DAY, until: (busiest + 1) * DAY }];
}

/** Replays the jobs once more, and keeps what a report draws of it. */
export function samplesOf(
  jobs: JobTable,
  choice: PolicyChoice,
  world: World,
  options: { faults: Faults; progress: (ended: number) => void },
): Samples {
  const span = jobs.queuedAt.at(-1) ?? 0;
  const seriesEvery = Math.max(Math.ceil(span / MOST_SAMPLES), 1);
  const policy = policyOf(choice, world.startsAt);
  const { startedAt, series } = replay(jobs, policy, world, { ...options, seriesEvery });
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

/** All samples, or of each stretch of time the least and the most of each count, in the order in which they come. */
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
