import type { ImageBuild } from '../fleets/settings/image.ts';
import { figure, overheadOf, percentile, type Summary } from '../sandbox/summary.ts';
import { type Cost, costByTime, costOf, costOfReplay, type Priced } from './cost.ts';
import { type Day, daysOf } from './days.ts';
import { WAIT_PARTS, type WaitPart } from './job-figures.ts';
import type { JobTable } from './job-table.ts';
import { type Month, monthOf } from './month.ts';
import type { ReplayResult } from './replay.ts';

/** The figures of a policy on a trace: those of `npm start -- --json`, and more. */
export interface Outcome extends Summary {
  policy: string;
  waitSeconds: Summary['waitSeconds'] & { p90: number };
  /** From second 0 until all jobs had ended and all instances that do not stay had left. */
  replayedHours: number;
  /** The components of the mean wait, in seconds. */
  waitParts: Record<WaitPart, number>;
  warmLaunches: number;
  launchesPerJob: number;
  /** The share of the instance-hours in which a booted runner had no job. */
  idleShare: number;
  peakInstances: number;
  /** Launches that EC2 refused, boots that failed, and instances that EC2 took back. */
  failures: { refused: number; boots: number; interruptions: number };
  /** How often a job ran again. */
  jobsRetried: number;
  /** Requests to the CI service and to AWS. */
  requests: { ci: number; aws: number };
  /** `undefined` without prices, or if the price of the instance type is unknown. */
  cost?: Cost;
  /** What a month of that cost is. Missing like `cost`. */
  month?: Month;
  /** What was paid in the replay, in US dollars: for each job, and for each of its days. Unknown like `cost`. */
  costReplayed?: ReturnType<typeof costOfReplay>;
  /** The figures of each day. They add up to those of the replay. */
  days: Day[];
}

/**
 * Computes the figures of a replay. An execution is one start of the scaler.
 *
 * @param image How the image of the fleet is built, if it is.
 */
export function outcomeOf(
  policy: string,
  jobs: JobTable,
  replayed: ReplayResult,
  priced?: Priced,
  image?: ImageBuild,
): Outcome {
  const cost = priced && costOf(policy, replayed, priced, image);
  const month = monthOf(priced?.month, replayed.endedAt / 3_600);
  const waits = replayed.startedAt.map((at, number) => at - (jobs.queuedAt[number] as number)).sort();
  const mean = (values: Float64Array) => figure(total(values) / jobs.length);
  const jobHours = total(jobs.durationSeconds) / 3_600;
  const instanceHours = replayed.billedSeconds / 3_600;
  return {
    policy,
    jobs: jobs.length,
    jobHours: figure(jobHours),
    waitSeconds: {
      mean: mean(waits),
      p50: percentile(waits, 0.5),
      p90: percentile(waits, 0.9),
      p95: percentile(waits, 0.95),
      p99: percentile(waits, 0.99),
      max: percentile(waits, 1),
    },
    waitParts: Object.fromEntries(WAIT_PARTS.map((part) => [part, mean(replayed.parts[part])])) as Record<
      WaitPart,
      number
    >,
    replayedHours: figure(replayed.endedAt / 3_600),
    instanceHours: figure(instanceHours),
    overhead: overheadOf(instanceHours, jobHours),
    launches: replayed.launches,
    warmLaunches: replayed.warmLaunches,
    unusedLaunches: replayed.unusedLaunches,
    launchesPerJob: figure(replayed.launches / jobs.length),
    idleShare: figure(replayed.idleSeconds / Math.max(replayed.billedSeconds, 1)),
    jobsKilled: replayed.jobsKilled,
    peakInstances: replayed.peakInstances,
    failures: {
      refused: replayed.refusedLaunches,
      boots: replayed.failedBoots,
      interruptions: replayed.interruptions,
    },
    jobsRetried: replayed.jobsRetried,
    requests: replayed.requests,
    ...(cost && { cost, month, costReplayed: costOfReplay(cost, replayed, jobs.length, month) }),
    days: daysOf(jobs, replayed, costByTime(cost), priced),
    executions: { succeeded: replayed.starts - replayed.startsFailed, failed: replayed.startsFailed },
  };
}

const total = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0);
