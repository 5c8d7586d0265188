import type { FleetWorld } from './sandbox.ts';

/** What a run came to; the keys are those that `npm start -- --json` prints. */
export interface Summary {
  jobs: number;
  /** Hours of work in the jobs themselves. */
  jobHours: number;
  /** From queued to claimed. */
  waitSeconds: { mean: number; p50: number; p95: number; p99: number; max: number };
  /** Hours of instances paid for. */
  instanceHours: number;
  /** Instance-hours over job-hours, less one: 0.1 is a tenth on top of the work. `null` if the jobs took no time. */
  overhead: number | null;
  launches: number;
  /** Launches for which the warm pool had an instance. */
  warmLaunches: number;
  /** Launches of Spot instances, where the fleet has any. */
  spotLaunches?: number;
  /** Launches of instances that left without ever claiming a job. */
  unusedLaunches: number;
  /** Jobs whose instance was taken away while they ran. */
  jobsKilled: number;
  executions: { succeeded: number; failed: number };
}

/**
 * A summary as `--json` prints it. `ghostLaunches` is the former name of `unusedLaunches`; 0.2.0 removes it.
 */
export const asJson = <S extends Pick<Summary, 'unusedLaunches'>>(summary: S) => ({
  ...summary,
  ghostLaunches: summary.unusedLaunches,
});

/** Sums up a fleet after its last job. */
export function summarise(world: FleetWorld): Summary {
  const { tasks } = world.queue;
  const waits = tasks.map((task) => (task.startedAt ?? task.queuedAt) - task.queuedAt).sort((a, b) => a - b);
  const { launches, warmLaunches, spotLaunches, unusedLaunches, billedSeconds } = world.group.totals;
  const jobHours = sum(tasks.map((task) => task.durationSeconds)) / 3_600;
  const instanceHours = billedSeconds / 3_600;
  return {
    jobs: tasks.length,
    jobHours: figure(jobHours),
    waitSeconds: {
      mean: figure(sum(waits) / waits.length),
      p50: percentile(waits, 0.5),
      p95: percentile(waits, 0.95),
      p99: percentile(waits, 0.99),
      max: percentile(waits, 1),
    },
    instanceHours: figure(instanceHours),
    overhead: overheadOf(instanceHours, jobHours),
    launches,
    warmLaunches,
    ...(world.group.onDemandPercentage !== undefined && { spotLaunches }),
    unusedLaunches,
    jobsKilled: tasks.filter((task) => task.killed).length,
    executions: { ...world.outcomes },
  };
}

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);

/** `null` for jobs that took no time. */
export const overheadOf = (instanceHours: number, jobHours: number) =>
  jobHours > 0 ? figure(instanceHours / jobHours - 1) : null;

/** The smallest value that the share of all values does not exceed (nearest rank). */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return figure(sorted[Math.max(Math.ceil(sorted.length * share) - 1, 0)] ?? 0);
}

/** Enough digits to compare, few enough to read. */
export const figure = (value: number) => Math.round(value * 1_000) / 1_000;
