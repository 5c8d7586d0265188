import { TRACE_HEADER } from './seconds-trace.ts';

/** What a file must be, as a message says it. */
export const EXPECTED = `a CSV with the header ${TRACE_HEADER}, or an export of jobs: CircleCI's (usage CSV, API or Insights JSON), GitHub Actions' or Buildkite's (JSON)`;

/** One job of an export, before its times are parsed. Times are RFC 3339; seconds are a number or its text. */
export interface ExportedJob {
  /** When a runner could claim it. */
  queued: unknown;
  started: unknown;
  stopped: unknown;
  /** Number of tasks. Default: 1. */
  tasks?: unknown;
}

/** Why a record is not a job that a runner ran. The text continues "there were 3 ...". */
export interface NotAJob {
  leftOut: string;
}

/** A row of CSV, or a JSON object. */
export type ExportRecord = Record<string, unknown>;

/** A form in which CI services export jobs. */
export interface ExportForm {
  /** The name in a sentence: `it is read as ...`. */
  name: string;
  /** Whether a record with these keys has this form. */
  knows: (keys: ReadonlySet<string>) => boolean;
  read: (record: ExportRecord) => ExportedJob | NotAJob;
  /** What no two jobs share. */
  identity: (record: ExportRecord) => string | undefined;
  /** A key that records of one run of a job share, if a re-run lists it again with a new identity. */
  sameRun?: (record: ExportRecord) => string | undefined;
  /** A warning about what the form lacks. */
  caution?: string;
}

/** Databases export a missing value as `\N` or `NULL`. */
const isMissing = (value: unknown) =>
  value === undefined || value === null || (typeof value === 'string' && MISSING.has(value.trim()));
const MISSING = new Set(['', '\\N', 'NULL', 'null']);

/** The values as one key; `undefined` if one is missing. */
const keyOf = (...values: unknown[]) => (values.some(isMissing) ? undefined : JSON.stringify(values));

export const NEVER_STARTED = 'that no runner ever started';
export const NEVER_ENDED = 'that had not ended, or had no end time';

/** A job that ran from start to end, or the reason why the record is not one. */
function ran(job: ExportedJob): ExportedJob | NotAJob {
  if (isMissing(job.started)) return { leftOut: NEVER_STARTED };
  if (isMissing(job.stopped)) return { leftOut: NEVER_ENDED };
  return job;
}

/**
 * The forms. The keys of the records decide which one a file has:
 *
 * - CircleCI's usage export (CSV): https://circleci.com/docs/guides/insights/usage-api/; it has times since August
 *   2024, and an end only for jobs that succeeded or failed.
 * - CircleCI's jobs (JSON): https://circleci.com/docs/api/v2/, "Get job details"; a job of parallelism n is n tasks.
 * - CircleCI's Insights (JSON): the runs of a job, without the time at which they were queued.
 * - GitHub Actions (JSON): https://docs.github.com/en/rest/actions/workflow-jobs
 * - Buildkite (JSON): https://buildkite.com/docs/apis/rest-api/builds, builds with their jobs or jobs alone.
 */
export const FORMS: ExportForm[] = [
  {
    name: "CircleCI's usage export",
    knows: (keys) => keys.has('job_run_started_at') && keys.has('job_run_stopped_at'),
    read: (record) =>
      ran({
        queued: isMissing(record.job_run_queued_at) ? record.job_run_started_at : record.job_run_queued_at,
        started: record.job_run_started_at,
        stopped: record.job_run_stopped_at,
        ...(!isMissing(record.parallelism) && { tasks: Number(record.parallelism) }),
      }),
    identity: ({ job_id, job_run_number }) => keyOf(job_id, job_run_number),
  },
  {
    name: "Buildkite's jobs",
    // Records without a type are builds.
    knows: (keys) =>
      keys.has('finished_at') && keys.has('type') && (keys.has('runnable_at') || keys.has('scheduled_at')),
    read: (record) => {
      if (!isMissing(record.type) && record.type !== 'script')
        return { leftOut: `of type ${String(record.type)}, which no agent runs` };
      const queued = [record.runnable_at, record.scheduled_at, record.created_at];
      return ran({
        queued: queued.find((at) => !isMissing(at)),
        started: record.started_at,
        stopped: record.finished_at,
      });
    },
    identity: ({ id }) => keyOf(id),
  },
  {
    name: "GitHub Actions' jobs",
    knows: (keys) => keys.has('completed_at') && keys.has('created_at'),
    read: (record) => {
      if (record.conclusion === 'skipped') return { leftOut: 'that were skipped' };
      const { runner_id } = record;
      // GitHub tells a start of jobs as well that were cancelled before a runner had them.
      if (record.conclusion === 'cancelled' && (runner_id === 0 || runner_id === null))
        return { leftOut: NEVER_STARTED };
      return ran({ queued: record.created_at, started: record.started_at, stopped: record.completed_at });
    },
    identity: ({ id }) => keyOf(id),
    // A re-run of failed jobs lists those that had succeeded again, with their old times and a new time of creation.
    sameRun: ({ run_id, name, started_at, completed_at }) => keyOf(run_id, name, started_at, completed_at),
  },
  {
    name: "CircleCI's jobs",
    knows: (keys) => keys.has('stopped_at') && keys.has('started_at') && keys.has('queued_at'),
    read: (record) =>
      ran({
        queued: record.queued_at,
        started: record.started_at,
        stopped: record.stopped_at,
        ...(!isMissing(record.parallelism) && { tasks: record.parallelism }),
      }),
    identity: ({ id, web_url, number, name, queued_at, started_at }) =>
      keyOf(id) ?? keyOf(web_url) ?? keyOf(number, name, queued_at, started_at),
  },
  {
    name: "CircleCI Insights' runs of a job",
    knows: (keys) => keys.has('stopped_at') && keys.has('started_at'),
    read: (record) =>
      ran({ queued: record.started_at, started: record.started_at, stopped: record.stopped_at }),
    identity: ({ id }) => keyOf(id),
    caution: 'Insights does not say when a job was queued: each is replayed as if queued when it started.',
  },
];

/** Exports that are easily mistaken for exports of jobs. */
const HINTS = [
  {
    keys: ['created_at', 'stopped_at'],
    hint: '; these look like runs of a workflow, which say nothing of its jobs',
  },
  { keys: ['scheduled_at', 'finished_at'], hint: '; these look like builds without their jobs' },
];

/** What records with these keys may be, if they are not jobs. */
export const hintFor = (names: readonly string[]) =>
  HINTS.find(({ keys }) => keys.every((key) => names.includes(key)))?.hint ?? '';
