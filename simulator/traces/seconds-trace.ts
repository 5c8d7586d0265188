import type { Job } from '../../sandbox/trace.ts';
import type { Row } from './csv.ts';
import { DATES } from './instant.ts';
import { LONGEST_JOB, shortenGaps } from './limits.ts';
import { shown, type Trace, TraceFaults, TraceInvalid } from './trace.ts';

/** The first line of a trace in seconds. */
export const TRACE_HEADER = 'queued_at_s,duration_s';

/** If the first job is queued later, it is the origin: the seconds are not those of a trace. In seconds. */
const LATEST_FIRST_JOB = 366 * 24 * 3_600;

/** Milliseconds since 1970 are more than this. */
const MOST_SECONDS = 1e12;

/** A trace in seconds: a row for each job. */
export class SecondsTrace {
  readonly #file: string;
  readonly #jobs: Job[] = [];
  readonly #faults = new TraceFaults();

  constructor(file: string) {
    this.#file = file;
  }

  add({ line, text, values = [] }: Row): void {
    const [queuedAt = Number.NaN, durationSeconds = Number.NaN, ...more] = values.map((field) =>
      field.trim() === '' ? Number.NaN : Number(field),
    );
    const place = `${this.#file}:${line}`;
    if (more.length > 0 || !(queuedAt >= 0 && durationSeconds >= 0))
      this.#faults.add(`${place}: must be two numbers of at least 0, got ${shown(text.slice(0, 80))}`);
    else if (queuedAt > MOST_SECONDS)
      this.#faults.add(
        `${place}: queued_at_s must be at most ${MOST_SECONDS} seconds, got ${queuedAt}; milliseconds must be divided by 1000`,
      );
    else if (durationSeconds > LONGEST_JOB)
      this.#faults.add(`${place}: duration_s must be at most ${LONGEST_JOB} seconds, got ${durationSeconds}`);
    else this.#jobs.push({ queuedAt, durationSeconds });
  }

  end(): Trace {
    this.#faults.refuse();
    const jobs = this.#jobs.sort((a, b) => a.queuedAt - b.queuedAt);
    const [first] = jobs;
    if (first === undefined) throw new TraceInvalid(`${this.#file} has no jobs`);
    const origin = first.queuedAt;
    if (origin <= LATEST_FIRST_JOB) {
      const cautions = shortenGaps(jobs);
      return { jobs, form: 'seconds', leftOut: [], ...(cautions.length > 0 && { cautions }) };
    }
    for (const job of jobs) job.queuedAt = toMilliseconds(job.queuedAt - origin);
    const isDate = origin * 1_000 >= DATES.from && origin * 1_000 < DATES.to;
    return {
      jobs,
      form: isDate ? 'seconds since 1970' : 'seconds',
      ...(isDate && { startsAt: origin * 1_000 }),
      leftOut: [],
      cautions: [
        isDate
          ? `queued_at_s has seconds since 1970: the trace begins with its first job, at ${new Date(origin * 1_000).toISOString()}.`
          : `queued_at_s begins with ${origin}: the trace begins with its first job.`,
        ...shortenGaps(jobs),
      ],
    };
  }
}

/** Differences of large numbers have digits that the numbers do not have. */
const toMilliseconds = (seconds: number) => Math.round(seconds * 1_000) / 1_000;
