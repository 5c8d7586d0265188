import type { FleetConfig } from '../../fleets/load.ts';
import { loadTrace } from '../../simulator/traces/load.ts';
import type { Trace } from '../../simulator/traces/trace.ts';
import { generatedTrace, type WorkloadName } from '../../simulator/workloads.ts';
import { UsageError } from '../command-line/arguments.ts';
import type { Terminal } from '../terminal/terminal.ts';

/** The options that choose the jobs. */
export interface TraceOptions {
  trace?: string;
  workload?: WorkloadName;
  seed: number;
  /** When a trace without dates begins, in milliseconds since the epoch. */
  startsAt?: number;
}

/** @throws TraceInvalid, UsageError */
export async function chooseTrace({
  trace: file,
  workload,
  seed,
  startsAt,
}: TraceOptions): Promise<{ source: string; trace: Trace }> {
  if (file !== undefined) {
    const trace = await loadTrace(file);
    return { source: file, trace: startsAt === undefined ? trace : datedFrom(trace, startsAt) };
  }
  if (startsAt !== undefined)
    throw new UsageError('--starts-at needs --trace: add it, or leave --starts-at out');
  const name = workload ?? 'weekly';
  const trace = generatedTrace(name, seed);
  if (trace.jobs.length === 0)
    throw new UsageError(`--seed must be one with which the workload ${name} has jobs, got ${seed}`);
  return { source: `${name}, seed ${seed}`, trace };
}

/** @throws UsageError if the trace has dates of its own. */
function datedFrom(trace: Trace, startsAt: number): Trace {
  if (trace.startsAt !== undefined)
    throw new UsageError(
      `--starts-at is for a trace without dates, and this one begins at ${new Date(trace.startsAt).toISOString()}: leave --starts-at out`,
    );
  return { ...trace, startsAt };
}

export function describeSource(
  { source, jobs, jobHours, spanHours }: ReturnType<typeof describeTrace>,
  { maxReplicas }: FleetConfig,
  { colours }: Terminal,
): string {
  return `${colours.bold(source)}: ${jobs} ${jobs === 1 ? 'job' : 'jobs'}, ${jobHours} h of work in ${spanHours} h; at most ${maxReplicas} instances`;
}

export function describeTrace(source: string, { jobs, form, leftOut, cautions }: Trace) {
  const work = jobs.reduce((sum, { durationSeconds }) => sum + durationSeconds, 0);
  const span = (jobs.at(-1)?.queuedAt ?? 0) - (jobs[0]?.queuedAt ?? 0);
  const hours = (seconds: number) => Math.round(seconds / 360) / 10;
  return {
    source,
    form,
    jobs: jobs.length,
    jobHours: hours(work),
    spanHours: hours(span),
    leftOut,
    ...(cautions !== undefined && { caution: cautions.join(' ') }),
  };
}
