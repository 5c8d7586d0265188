import type { Job } from '../sandbox/trace.ts';

/** The jobs of a trace in the order of their being queued, in memory that threads can share: 16 MB a million. */
export interface JobTable {
  readonly length: number;
  /** Seconds from the trace's start. */
  readonly queuedAt: Float64Array;
  readonly durationSeconds: Float64Array;
}

export type Jobs = readonly Job[] | JobTable;

/** The same jobs as a table; one that is a table already is not copied. */
export function tableOf(jobs: Jobs): JobTable {
  if ('queuedAt' in jobs) return jobs;
  const column = () => new Float64Array(new SharedArrayBuffer(jobs.length * Float64Array.BYTES_PER_ELEMENT));
  const table = { length: jobs.length, queuedAt: column(), durationSeconds: column() };
  for (const [number, { queuedAt, durationSeconds }] of jobs.entries()) {
    table.queuedAt[number] = queuedAt;
    table.durationSeconds[number] = durationSeconds;
  }
  return table;
}
