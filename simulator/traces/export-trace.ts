import type { Job } from '../../sandbox/trace.ts';
import { EXPECTED, type ExportedJob, type ExportForm, type ExportRecord, FORMS, hintFor } from './forms.ts';
import { A_DATE, instant } from './instant.ts';
import { CLOCKS_DIFFER, LONGEST_JOB, MOST_PARALLELISM, MOST_TASKS, shortenGaps } from './limits.ts';
import { LeftOutCounts, shown, type Trace, TraceFaults, TraceInvalid } from './trace.ts';

/** A record of a file, and its place. */
export interface Located {
  record: ExportRecord;
  place: string;
}

/** A job of an export. Times are milliseconds since the epoch. */
interface FoundJob {
  /** When the export says that it was queued. */
  created: number;
  /** No later than its start. */
  queued: number;
  seconds: number;
  tasks: number;
}

/** A run of a job, and where the file lists it. */
interface LocatedRun {
  job: FoundJob;
  place: string;
}

/** How many records decide the form of a file: not each has all keys. */
const DECIDING = 1_000;

/** An export of jobs as a trace. */
export class ExportTrace {
  readonly #file: string;
  /** The first records, as long as the form is not decided. */
  #first: Located[] = [];
  #form: ExportForm | undefined;
  readonly #faults = new TraceFaults();
  readonly #leftOut = new LeftOutCounts();
  readonly #found: FoundJob[] = [];
  readonly #identities = new Set<string>();
  /** By the key that records of one run share. */
  readonly #runs = new Map<string, LocatedRun>();
  #tasks = 0;

  constructor(file: string) {
    this.#file = file;
  }

  add(located: Located): void {
    if (this.#form !== undefined) this.#read(located, this.#form);
    else if (this.#first.push(located) >= DECIDING) this.#decide();
  }

  end(): Trace {
    const { caution } = this.#form ?? this.#decide();
    this.#faults.refuse();
    if (this.#found.length === 0) throw new TraceInvalid(`${this.#file} has no jobs that ran`);
    const startsAt = this.#found.reduce(
      (least, { queued }) => Math.min(least, queued),
      Number.POSITIVE_INFINITY,
    );
    const jobs: Job[] = [];
    for (const { queued, seconds, tasks } of this.#found) {
      for (let task = 0; task < tasks; task += 1)
        jobs.push({ queuedAt: (queued - startsAt) / 1_000, durationSeconds: seconds });
    }
    jobs.sort((a, b) => a.queuedAt - b.queuedAt);
    const early = this.#found.filter(({ created, queued }) => isEarly(created, queued)).length;
    const cautions = [
      ...(caution === undefined ? [] : [caution]),
      ...(early === 0 ? [] : [describeEarly(early)]),
      ...shortenGaps(jobs),
    ];
    const form = this.#form?.name ?? '';
    const leftOut = this.#leftOut.reasons();
    return { jobs, form, startsAt, leftOut, ...(cautions.length > 0 && { cautions }) };
  }

  #decide(): ExportForm {
    const [first] = this.#first;
    if (first === undefined) throw new TraceInvalid(`${this.#file} has no jobs`);
    const keys = this.#first.map(({ record }) => new Set(Object.keys(record)));
    const form = FORMS.find(({ knows }) => keys.some(knows));
    if (form === undefined) {
      const names = Object.keys(first.record);
      throw new TraceInvalid(
        `${first.place}: must be ${EXPECTED}; got the keys ${shown(names.join(', '))}${hintFor(names)}`,
      );
    }
    this.#form = form;
    for (const located of this.#first) this.#read(located, form);
    this.#first = [];
    return form;
  }

  #read({ record, place }: Located, form: ExportForm): void {
    const read = form.read(record);
    if ('leftOut' in read) {
      this.#leftOut.add(read.leftOut, place);
      return;
    }
    const job = this.#parse(read, place);
    if (job === undefined || this.#isKnown(record, form, job, place)) return;
    this.#tasks += job.tasks;
    if (this.#tasks > MOST_TASKS)
      throw new TraceInvalid(
        `${place}: a trace must have at most ${MOST_TASKS} tasks, and this job exceeds that`,
      );
    this.#found.push(job);
  }

  /** The job of a record; `undefined` if it has a fault. */
  #parse(read: ExportedJob, place: string): FoundJob | undefined {
    const { tasks = 1 } = read;
    const [queued, started, stopped] = [read.queued, read.started, read.stopped].map(instant);
    const fault = (text: string) => void this.#faults.add(`${place}: ${text}`);
    if (queued === undefined)
      return fault(`must have a time at which the job was queued, ${A_DATE}, got ${shown(read.queued)}`);
    if (started === undefined)
      return fault(`must have a time at which the job started, got ${shown(read.started)}`);
    if (stopped === undefined)
      return fault(`must have a time at which the job ended, got ${shown(read.stopped)}`);
    if (isEarly(started, stopped))
      return fault(`must end after it starts (${shown(read.started)}), got ${shown(read.stopped)}`);
    if (stopped > started + LONGEST_JOB * 1_000)
      return fault(
        `must end at most ${LONGEST_JOB} seconds after it starts (${shown(read.started)}), got ${shown(read.stopped)}`,
      );
    if (!(Number.isInteger(tasks) && Number(tasks) >= 1 && Number(tasks) <= MOST_PARALLELISM))
      return fault(
        `must have a parallelism of at least 1 and at most ${MOST_PARALLELISM}, got ${shown(tasks)}`,
      );
    return {
      created: queued,
      queued: Math.min(queued, started),
      seconds: Math.max(stopped - started, 0) / 1_000,
      tasks: Number(tasks),
    };
  }

  /** Whether an earlier record has the same job. */
  #isKnown(record: ExportRecord, form: ExportForm, job: FoundJob, place: string): boolean {
    const identity = form.identity(record) ?? '';
    const key = form.sameRun?.(record);
    const known = key === undefined ? undefined : this.#runs.get(key);
    const listedBefore = identity !== '' && this.#identities.has(identity);
    this.#identities.add(identity);
    if (listedBefore && (known === undefined || known.job.created === job.created)) {
      this.#leftOut.add(LISTED_TWICE, place);
      return true;
    }
    if (key === undefined) return false;
    if (known === undefined) {
      this.#runs.set(key, { job, place });
      return false;
    }
    // The copy is the one that was created later.
    const isCopy = job.created >= known.job.created;
    this.#leftOut.add(COPIED, isCopy ? place : known.place);
    if (!isCopy) {
      Object.assign(known.job, job);
      known.place = place;
    }
    return true;
  }
}

const COPIED = 'that a re-run lists again';
const LISTED_TWICE = 'that the file lists twice';

/** Whether something is earlier than what comes before it, by more than the clocks may differ. In milliseconds. */
const isEarly = (before: number, after: number) => after < before - CLOCKS_DIFFER * 1_000;

const describeEarly = (early: number) =>
  `Started more than ${CLOCKS_DIFFER} s before they were queued: ${early} jobs, such as copies of a re-run. Each is replayed as if queued when it started.`;
