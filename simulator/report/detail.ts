import type { Faults } from '../faults.ts';
import type { JobTable } from '../job-table.ts';
import { type PolicyChoice, policyOf } from '../peers.ts';
import { replay, type Sample } from '../replay.ts';
import type { World } from '../world.ts';
import type { Detail, Series } from './report-data.ts';

/** So often at most is the world looked at: of six weeks, once a minute. */
const MOST_SAMPLES = 60_000;

/** So many points are drawn at most. */
export const MOST_POINTS = 2_000;

/** The shares of jobs whose waits are kept: each half per cent, and the longest waits closer. */
export const WAIT_SHARES = [...Array.from({ length: 200 }, (_, step) => step / 200), 0.998, 0.999, 1];

/** Replays the jobs once more, and keeps what a report draws of it. */
export function detailOf(
  jobs: JobTable,
  choice: PolicyChoice,
  world: World,
  options: { faults: Faults; progress: (ended: number) => void },
): Detail {
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
    series: thin(series, MOST_POINTS),
  };
}

/** All samples, or of each stretch of time the least and the most of each count, in the order in which they come. */
export function thin(samples: readonly Sample[], mostPoints: number): Series {
  const every = (samples[1]?.at ?? 1) - (samples[0]?.at ?? 0);
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
