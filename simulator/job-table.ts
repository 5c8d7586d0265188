import type { Job } from '../sandbox/trace.ts';

/** The jobs of a trace in the order in which they were queued, in shared memory: 16 MB per million jobs. */
export interface JobTable {
  readonly length: number;
  /** Seconds from the trace's start. */
  readonly queuedAt: Float64Array;
  readonly durationSeconds: Float64Array;
}

export type Jobs = readonly Job[] | JobTable;

/** Converts jobs to a table. A table is returned as it is. */
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
