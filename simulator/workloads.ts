import {
  type Job,
  PIPELINES_PER_HOUR,
  pipelines,
  randomNumbers,
  round,
  SANDBOX_START,
  scattered,
  workingDay,
} from '../sandbox/trace.ts';
import type { Trace } from './traces/trace.ts';

const HOUR = 3_600;

/** A generated workload. The same seed, a whole number of at least 0, gives the same jobs. */
interface Workload {
  about: string;
  /** The hour of Monday at which it begins. Schedules depend on it. */
  from: number;
  generate: (seed: number) => Job[];
}

/** Generated workloads by name. */
export const WORKLOADS = {
  'working-day': { about: 'nine hours of pipelines with two peaks', from: 8, generate: workingDay },
  'fan-out': {
    about: 'eight hours with occasional bursts of 60 to 200 jobs',
    from: 8,
    generate: fanOut,
  },
  'quiet-night': { about: 'twelve hours with a job or two an hour', from: 20, generate: quietNight },
  flapping: {
    about: 'twelve hours of a few short jobs every five to nine minutes',
    from: 8,
    generate: flapping,
  },
  weekly: {
    about: 'a week: five working days, a weekend, and the nights',
    from: 0,
    generate: weekly,
  },
} satisfies Record<string, Workload>;

export type WorkloadName = keyof typeof WORKLOADS;

/** A generated workload as a trace. */
export function generatedTrace(name: WorkloadName, seed: number): Trace {
  const { from, generate } = WORKLOADS[name];
  const startsAt = SANDBOX_START.getTime() + (from - SANDBOX_START.getUTCHours()) * HOUR * 1_000;
  return { jobs: generate(seed), startsAt, form: 'generated', leftOut: [] };
}

/** Releases, nightly builds, matrices: many jobs at once, every half hour to hour. */
function fanOut(seed: number): Job[] {
  const random = randomNumbers(seed);
  const jobs: Job[] = [];
  for (let at = between(300, 1_200, random); at < 8 * HOUR; at += between(1_800, 3_600, random)) {
    const size = Math.floor(between(60, 201, random));
    for (let job = 0; job < size; job += 1) {
      jobs.push({ queuedAt: round(at), durationSeconds: scattered(180, random) });
    }
  }
  return jobs;
}

/** A night with few jobs, in which a scaler may poll too rarely. */
function quietNight(seed: number): Job[] {
  const random = randomNumbers(seed);
  const jobs: Job[] = [];
  for (let at = apart(2_400, random); at < 12 * HOUR; at += apart(2_400, random)) {
    jobs.push({ queuedAt: round(at), durationSeconds: scattered(240, random) });
  }
  return jobs;
}

/** Pauses around the usual idle timeouts, so that instances have just left when the next jobs are queued. */
function flapping(seed: number): Job[] {
  const random = randomNumbers(seed);
  const jobs: Job[] = [];
  for (let at = between(0, 300, random); at < 12 * HOUR; at += between(300, 540, random)) {
    const size = Math.floor(between(2, 9, random));
    for (let job = 0; job < size; job += 1) {
      jobs.push({ queuedAt: round(at), durationSeconds: scattered(60, random) });
    }
  }
  return jobs;
}

/** Pipelines per hour at night and at weekends. */
const NIGHT = 0.5;
const WEEKEND = 3;

/**
 * Whole days, starting at midnight of a Monday.
 *
 * @param busy A factor for the number of pipelines, above 0.
 */
export function weekly(seed: number, days = 7, busy = 1): Job[] {
  const hours = Array.from({ length: days * 24 }, (_, hour) => {
    const working = PIPELINES_PER_HOUR[(hour % 24) - 8];
    if (working === undefined) return NIGHT * busy;
    return (Math.floor(hour / 24) % 7 < 5 ? working : WEEKEND) * busy;
  });
  return pipelines(hours, randomNumbers(seed));
}

const between = (least: number, most: number, random: () => number) => least + (most - least) * random();

/** The time until the next random arrival, with this many seconds between arrivals on average. */
const apart = (mean: number, random: () => number) => -Math.log(1 - random()) * mean;
