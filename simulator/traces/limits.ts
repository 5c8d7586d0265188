import type { Job } from '../../sandbox/trace.ts';

/** The longest job, in seconds. No CI service lets one run for a year. */
export const LONGEST_JOB = 366 * 24 * 3_600;

/** Above what any plan runs at once, and far below what fits into the memory. */
export const MOST_PARALLELISM = 10_000;

/** How many tasks fit into the memory. */
export const MOST_TASKS = 10_000_000;

/** By how much the clocks of a CI service and of its runners may differ, in seconds. */
export const CLOCKS_DIFFER = 60;

/** After 28 years, dates fall on the same days of the week, and leap years come again. In seconds. */
const CALENDAR_REPEATS = 10_227 * 24 * 3_600;

/**
 * Shortens empty time of decades, so that dates keep four digits. Days of the week and months stay.
 *
 * @param jobs In the order in which they are queued. Changes them.
 * @returns A sentence, if anything was shortened.
 */
export function shortenGaps(jobs: readonly Job[]): string[] {
  let removed = 0;
  let before = jobs[0]?.queuedAt ?? 0;
  for (const job of jobs) {
    const periods = Math.floor((job.queuedAt - before) / CALENDAR_REPEATS) - 1;
    before = job.queuedAt;
    removed += Math.max(periods, 0) * CALENDAR_REPEATS;
    job.queuedAt -= removed;
  }
  if (removed === 0) return [];
  const years = (removed / CALENDAR_REPEATS) * 28;
  return [`${years} years without a job are left out: the calendar repeats every 28 years.`];
}
