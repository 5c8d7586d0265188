import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { generatedTrace, type WorkloadName } from '../../simulator/workloads.ts';

/** Traces of real jobs that the project does not contain; whoever has them has them beside it. */
export const realTrace = (name: string) => `../shared/traces/${name}`;

export const REAL_TRACES = ['bitcoin_core.csv', 'firefox_b_linux.csv'].map(realTrace);

/** The first line of a trace in seconds. */
export const HEADER = 'queued_at_s,duration_s\n';

/** The first hours of a workload as a trace in seconds: a search replays its jobs hundreds of times. */
export function firstHours(workload: WorkloadName, hours = 3): string {
  const { jobs } = generatedTrace(workload, 1);
  const rows = jobs
    .filter(({ queuedAt }) => queuedAt < hours * 3_600)
    .map(({ queuedAt, durationSeconds }) => `${queuedAt},${durationSeconds}\n`);
  return `${HEADER}${rows.join('')}`;
}

/**
 * Makes a folder for the traces of a test file, which goes with it.
 *
 * @returns What writes a trace into it, and gives its path.
 */
export function traceFolder(): (name: string, text: string) => string {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'traces-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  return (name, text) => {
    const file = join(folder, name);
    writeFileSync(file, text);
    return file;
  };
}
