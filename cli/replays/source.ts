import type { FleetConfig } from '../../fleets/load.ts';
import { duration } from '../../simulator/report/number-format.ts';
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

/** A trace in one line. `describeTrace` has the same for `--json`. */
export function describeSource(
  source: string,
  { jobs }: Trace,
  { maxReplicas }: FleetConfig,
  { colours }: Terminal,
): string {
  const { work, span } = secondsOf(jobs);
  return `${colours.bold(source)}: ${jobs.length} ${jobs.length === 1 ? 'job' : 'jobs'}, ${shownTime(work)} of work in ${shownTime(span)}; at most ${maxReplicas} instances`;
}

export function describeTrace(source: string, { jobs, form, leftOut, cautions }: Trace) {
  const { work, span } = secondsOf(jobs);
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

/** The run times of all jobs together, and the time from the first job in the queue to the last. */
const secondsOf = (jobs: Trace['jobs']) => ({
  work: jobs.reduce((sum, { durationSeconds }) => sum + durationSeconds, 0),
  span: (jobs.at(-1)?.queuedAt ?? 0) - (jobs[0]?.queuedAt ?? 0),
});

const hours = (seconds: number) => Math.round(seconds / 360) / 10;

/** Hours; minutes or seconds of less than an hour. */
const shownTime = (seconds: number) => (seconds < 3_600 ? duration(seconds) : `${hours(seconds)} h`);
