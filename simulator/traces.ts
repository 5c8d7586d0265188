import { readFileSync } from 'node:fs';
import { LineCounter, parseDocument } from 'yaml';
import { isMap } from '../fleets/settings/parts.ts';
import { describeOrigin, type Job, readTrace, refuse, TRACE_HEADER, TraceInvalid } from '../sandbox/trace.ts';
import { type ExportForm, type ExportRecord, FORMS } from './exports.ts';

/** A trace, and the records of its file that were left out. */
export interface Trace {
  /** In the order in which they were queued. The first is at 0, unless the file has seconds of its own. */
  jobs: Job[];
  /** The date of second 0, in milliseconds since the epoch, if the file has dates. */
  startsAt?: number;
  /** The form of the file. */
  form: string;
  /** Records that were left out: why, how many, and the place of the first one. */
  leftOut: { reason: string; count: number; first: string }[];
  caution?: string;
}

/** A record of a file, and its place. */
interface Located {
  record: ExportRecord;
  /** File and line. Finding the line takes a while in a long JSON file. */
  where: () => string;
  /** The same, without the line if finding it takes long. */
  place: string;
}

/** Above what any plan runs at once, and far below what fits into the memory. */
const MOST_PARALLELISM = 10_000;

const EXPECTED = `a CSV with the header ${TRACE_HEADER}, or an export of jobs: CircleCI's (usage CSV, API or Insights JSON), GitHub Actions' or Buildkite's (JSON)`;

/**
 * Reads a trace. Its header or its keys decide the form: CSV of seconds, or a CI service's export of jobs as CSV or
 * JSON (one value, pages with `items` or `jobs`, or one value per line).
 *
 * @throws TraceInvalid with file, line and fault. Records that are not jobs are left out and reported.
 */
export function loadTrace(file: string): Trace {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    throw new TraceInvalid(`${file} cannot be read: ${(error as Error).message}`);
  }
  const [header = ''] = text.split(/\r?\n/, 1);
  if (header.trim() === TRACE_HEADER) {
    const { jobs, startsAt } = readTrace(file);
    if (startsAt === undefined) return { jobs, form: 'seconds', leftOut: [] };
    return { jobs, form: 'seconds since 1970', startsAt, leftOut: [], caution: describeOrigin(startsAt) };
  }
  const records = /^\s*[[{]/.test(text) ? jsonRecords(file, text) : csvRecords(file, text);
  return fromExport(file, records);
}

function fromExport(file: string, records: Located[]): Trace {
  const [first] = records;
  if (first === undefined) throw new TraceInvalid(`${file} has no jobs`);
  const form = formOf(records, first);
  const faults: string[] = [];
  const found: { queued: number; seconds: number; tasks: number }[] = [];
  const leftOut = new Map<string, Trace['leftOut'][number]>();
  const originals = originalsOf(records, form);
  for (const { record, where, place } of records) {
    const read = isCopy(record, form, originals) ? { leftOut: COPIED } : form.read(record);
    if ('leftOut' in read) {
      const known = leftOut.get(read.leftOut);
      if (known === undefined) leftOut.set(read.leftOut, { reason: read.leftOut, count: 1, first: place });
      else known.count += 1;
      continue;
    }
    const { tasks = 1 } = read;
    const [queued, started, stopped] = [read.queued, read.started, read.stopped].map(instant);
    const fault =
      queued === undefined
        ? `must have a time at which the job was queued, such as 2026-01-05T08:00:00Z, got ${shown(read.queued)}`
        : started === undefined
          ? `must have a time at which the job started, got ${shown(read.started)}`
          : stopped === undefined
            ? `must have a time at which the job ended, got ${shown(read.stopped)}`
            : stopped < started
              ? `must end after it starts (${shown(read.started)}), got ${shown(read.stopped)}`
              : !(Number.isInteger(tasks) && Number(tasks) >= 1 && Number(tasks) <= MOST_PARALLELISM)
                ? `must have a parallelism of at least 1 and at most ${MOST_PARALLELISM}, got ${shown(tasks)}`
                : undefined;
    if (fault !== undefined || queued === undefined || started === undefined || stopped === undefined) {
      faults.push(`${where()}: ${fault}`);
      continue;
    }
    // A job cannot start before it is queued; one of the clocks was behind.
    found.push({
      queued: Math.min(queued, started),
      seconds: (stopped - started) / 1_000,
      tasks: Number(tasks),
    });
  }
  refuse(faults);
  if (found.length === 0) throw new TraceInvalid(`${file} has no jobs that ran`);
  const start = found.reduce((least, { queued }) => Math.min(least, queued), Number.POSITIVE_INFINITY);
  const jobs = found.flatMap(({ queued, seconds, tasks }) =>
    Array.from({ length: tasks }, () => ({ queuedAt: (queued - start) / 1_000, durationSeconds: seconds })),
  );
  return {
    jobs: jobs.sort((a, b) => a.queuedAt - b.queuedAt),
    form: form.name,
    startsAt: start,
    leftOut: [...leftOut.values()],
    ...(form.caution !== undefined && { caution: form.caution }),
  };
}

const COPIED = 'that a re-run lists again';

/** The first record of each job that the file lists several times, by the key of the job. */
function originalsOf(records: Located[], { sameJob, created }: ExportForm): Map<string, ExportRecord> {
  const originals = new Map<string, ExportRecord>();
  for (const { record } of records) {
    const key = sameJob?.(record);
    if (key === undefined) continue;
    const known = originals.get(key);
    if (known === undefined || String(created?.(record)) < String(created?.(known)))
      originals.set(key, record);
  }
  return originals;
}

/** Whether the file has a job also in an earlier record. */
function isCopy(
  record: ExportRecord,
  { sameJob }: ExportForm,
  originals: Map<string, ExportRecord>,
): boolean {
  const key = sameJob?.(record);
  return key !== undefined && originals.get(key) !== record;
}

function formOf(records: Located[], first: Located): ExportForm {
  const keys = records.map(({ record }) => new Set(Object.keys(record)));
  const form = FORMS.find(({ knows }) => keys.some(knows));
  if (form !== undefined) return form;
  const names = Object.keys(first.record);
  const hint = HINTS.find(({ keys }) => keys.every((key) => names.includes(key)))?.hint ?? '';
  throw new TraceInvalid(
    `${first.where()}: must be ${EXPECTED}; got the keys ${shown(names.join(', '))}${hint}`,
  );
}

/** Exports that are easily mistaken for exports of jobs. */
const HINTS = [
  {
    keys: ['created_at', 'stopped_at'],
    hint: '; these look like runs of a workflow, which say nothing of its jobs',
  },
  { keys: ['scheduled_at', 'finished_at'], hint: '; these look like builds without their jobs' },
];

/** Milliseconds since the epoch, or `undefined` if it is not a time. */
function instant(value: unknown): number | undefined {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\d[T ]/.test(value)) return undefined;
  // The usage export has times in UTC, without a time zone.
  const zoned = /(Z|[+-]\d\d:?\d\d)$/i.test(value) ? value : `${value}Z`;
  const at = Date.parse(zoned.replace(' ', 'T'));
  return Number.isNaN(at) ? undefined : at;
}

const shown = (value: unknown) => {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
};

// CSV.

function csvRecords(file: string, text: string): Located[] {
  const [header = '', ...lines] = text.trimEnd().split(/\r?\n/);
  const keys = fields(header)?.map((key) => key.trim().toLowerCase());
  if (keys === undefined || keys.length < 2) {
    throw new TraceInvalid(`${file}:1: must be ${EXPECTED}, got ${shown(header.slice(0, 80))}`);
  }
  const faults: string[] = [];
  const records = lines.map((line, index): Located => {
    const place = `${file}:${index + 2}`;
    const values = fields(line);
    if (values?.length !== keys.length) {
      faults.push(
        `${place}: must have ${keys.length} fields as the header has, got ${values?.length ?? 'an open quote'}`,
      );
    }
    return {
      record: Object.fromEntries(keys.map((key, field) => [key, values?.[field]])),
      where: () => place,
      place,
    };
  });
  refuse(faults);
  return records;
}

/** The fields of a line, without their quotes; `undefined` if a quote is not closed. */
function fields(line: string): string[] | undefined {
  const found: string[] = [];
  for (let rest = line; ; ) {
    const match = /^(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/.exec(rest);
    if (match === null) return undefined;
    const [all, quoted, plain = '', end] = match;
    found.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === '') return found;
    rest = rest.slice(all.length);
  }
}

// JSON.

function jsonRecords(file: string, text: string): Located[] {
  try {
    return pathRecords(file, text, JSON.parse(text), []);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return lineRecords(file, text, error);
  }
}

/** One value per line, as `gh api --paginate --jq '.jobs[]'` prints them. */
function lineRecords(file: string, text: string, whole: SyntaxError): Located[] {
  const lines = text.split(/\r?\n/);
  return lines.flatMap((line, index) => {
    if (line.trim() === '') return [];
    const where = `${file}:${index + 1}`;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      // If the first line is not a value by itself, all lines are one value with a fault.
      const fault = index === 0 ? whole : (error as SyntaxError);
      const at = index === 0 ? `${file}${lineOfSyntaxError(text, whole)}` : where;
      throw new TraceInvalid(`${at}: must be JSON, one value or one in each line: ${fault.message}`);
    }
    return listOf(value).map(({ value: record, path }) => {
      if (!isMap(record)) throw new TraceInvalid(`${where}: must be a job, got ${shown(record)}`);
      const place = path.length === 0 ? where : `${where} (${named(path)})`;
      return { record, where: () => place, place };
    });
  });
}

/** `:3`, or nothing if the engine's message has no place. */
function lineOfSyntaxError(text: string, { message }: SyntaxError): string {
  const position = syntaxErrorAt(text, message);
  return position === undefined ? '' : `:${text.slice(0, position).split('\n').length}`;
}

/** How much of the text before a fault the engine quotes. */
const SHOWN_BEFORE = 10;

function syntaxErrorAt(text: string, message: string): number | undefined {
  if (message.includes('end of JSON input')) return text.length;
  const position = /at position (\d+)/.exec(message)?.[1];
  if (position !== undefined) return Number(position);
  const [, cut, excerpt] = /(\.\.\. ?)?"([\s\S]+)"(?:\.\.\. ?)? is not valid JSON$/.exec(message) ?? [];
  const start = excerpt === undefined ? -1 : text.indexOf(excerpt);
  if (excerpt === undefined || start === -1 || text.includes(excerpt, start + 1)) return undefined;
  return start + (cut === undefined ? 0 : SHOWN_BEFORE);
}

function pathRecords(file: string, text: string, value: unknown, base: Path): Located[] {
  // Only to report where a fault is: this takes much longer than reading the file.
  let lines: ((path: Path) => number) | undefined;
  const where = (path: Path) => {
    lines ??= lineFinder(text);
    return `${file}:${lines(path)} (${named(path)})`;
  };
  return listOf(value, base).map(({ value: record, path }) => {
    if (!isMap(record)) throw new TraceInvalid(`${where(path)}: must be a job, got ${shown(record)}`);
    return { record, where: () => where(path), place: `${file} (${named(path)})` };
  });
}

type Path = (string | number)[];

/** The records of a value: a list, a page with a list in it, builds with their jobs, or one record. */
function listOf(value: unknown, path: Path = []): { value: unknown; path: Path }[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => listOf(item, [...path, index]));
  for (const key of ['items', 'jobs']) {
    const inner = isMap(value) ? value[key] : undefined;
    if (Array.isArray(inner)) return listOf(inner, [...path, key]);
  }
  return [{ value, path }];
}

/** Parses JSON as YAML, whose parser knows the place of each value. */
function lineFinder(text: string): (path: Path) => number {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter });
  return (path) => {
    const node = path.length === 0 ? document.contents : document.getIn(path, true);
    const range = Object(node).range as [number, number, number] | undefined;
    return counter.linePos(range?.[0] ?? 0).line;
  };
}

const named = (path: Path) =>
  path.reduce<string>(
    (name, step) => (typeof step === 'number' ? `${name}[${step}]` : name === '' ? step : `${name}.${step}`),
    '',
  );
