import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTrace } from '../../simulator/traces/load.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'odd-rows-test-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

function file(content: string | Uint8Array): string {
  const name = join(folder, 'trace');
  writeFileSync(name, content);
  return name;
}

type Fields = Record<string, unknown>;

/** A reader: how its export writes rows, and a row without anything odd, queued at eight for two minutes. */
interface Export {
  text: (rows: Fields[]) => string;
  plain: Fields;
}

const json = (rows: Fields[]) => JSON.stringify(rows);
const [QUEUED, STARTED, STOPPED] = ['2026-01-05T08:00:00Z', '2026-01-05T08:01:00Z', '2026-01-05T08:03:00Z'];

const EXPORTS = {
  seconds: {
    text: (rows) => ['queued_at_s,duration_s', ...rows.map((row) => Object.values(row).join())].join('\n'),
    plain: { queued: 0, duration: 120 },
  },
  "CircleCI's usage export": {
    text: (rows) =>
      [Object.keys(rows[0] ?? {}).join(), ...rows.map((row) => Object.values(row).join())].join('\n'),
    plain: {
      JOB_ID: 'a',
      JOB_RUN_NUMBER: 1,
      JOB_RUN_QUEUED_AT: '2026-01-05 08:00:00',
      JOB_RUN_STARTED_AT: '2026-01-05 08:01:00',
      JOB_RUN_STOPPED_AT: '2026-01-05 08:03:00',
      JOB_BUILD_STATUS: 'success',
      PARALLELISM: 1,
    },
  },
  "CircleCI's jobs": {
    text: json,
    plain: {
      number: 1,
      name: 'b',
      queued_at: QUEUED,
      started_at: STARTED,
      stopped_at: STOPPED,
      parallelism: 1,
    },
  },
  "CircleCI Insights' runs of a job": {
    text: json,
    plain: { id: 'a', status: 'success', started_at: QUEUED, stopped_at: '2026-01-05T08:02:00Z' },
  },
  "GitHub Actions' jobs": {
    text: json,
    plain: {
      ...{ id: 1, run_id: 1, name: 'b', conclusion: 'success', runner_id: 5 },
      ...{ created_at: QUEUED, started_at: STARTED, completed_at: STOPPED },
    },
  },
  "Buildkite's jobs": {
    text: json,
    plain: {
      ...{ id: 'a', type: 'script', state: 'passed', scheduled_at: '2026-01-05T07:59:00Z' },
      ...{ runnable_at: QUEUED, started_at: STARTED, finished_at: STOPPED },
    },
  },
} satisfies Record<string, Export>;

type Reader = keyof typeof EXPORTS;

/** An odd row. Its words are those of docs/traces.md. */
interface Case {
  reader: Reader;
  row: string;
  becomes: string;
  /** What differs from the plain row. */
  odd: Fields;
  /** The jobs, as durations by the second at which they are queued; what is left out; or how the refusal goes on. */
  jobs?: [queuedAt: number, durationSeconds: number][];
  leftOut?: string;
  refused?: string;
}

/** The odd row follows the plain one, which is queued at second 0. */
const CASES: Case[] = [
  {
    reader: 'seconds',
    row: 'fractions of a second',
    becomes: 'a job',
    odd: { queued: 9.25, duration: 0.5 },
    jobs: [[9.25, 0.5]],
  },
  {
    reader: 'seconds',
    row: 'a duration of 0',
    becomes: 'a job',
    odd: { queued: 9, duration: 0 },
    jobs: [[9, 0]],
  },
  {
    reader: 'seconds',
    row: 'an empty field, `\\N`',
    becomes: 'refused',
    odd: { queued: '', duration: '\\N' },
    refused: 'two numbers',
  },
  {
    reader: 'seconds',
    row: 'a time below 0',
    becomes: 'refused',
    odd: { queued: -1 },
    refused: 'two numbers',
  },
  {
    reader: 'seconds',
    row: 'milliseconds since 1970',
    becomes: 'refused',
    odd: { queued: 1_767_600_000_000 },
    refused: 'milliseconds must be divided',
  },
  {
    reader: 'seconds',
    row: 'a job of more than 366 days',
    becomes: 'refused',
    odd: { duration: 4e7 },
    refused: 'at most 31622400',
  },

  {
    reader: "CircleCI's usage export",
    row: 'no time zone',
    becomes: 'a job; the time is UTC',
    odd: { JOB_RUN_NUMBER: 2, JOB_RUN_QUEUED_AT: '2026-01-05 08:00:30' },
    jobs: [[30, 120]],
  },
  {
    reader: "CircleCI's usage export",
    row: '`+0100`, `UTC`',
    becomes: 'a job',
    odd: {
      JOB_RUN_NUMBER: 2,
      JOB_RUN_QUEUED_AT: '2026-01-05 09:00:30 +0100',
      JOB_RUN_STARTED_AT: '2026-01-05 08:01:00 UTC',
    },
    jobs: [[30, 120]],
  },
  {
    reader: "CircleCI's usage export",
    row: 'no time in the queue',
    becomes: 'a job, as if queued when it started',
    odd: { JOB_RUN_NUMBER: 2, JOB_RUN_QUEUED_AT: '\\N' },
    jobs: [[60, 120]],
  },
  {
    reader: "CircleCI's usage export",
    row: 'no end (cancelled, running): empty, `\\N` or `NULL`',
    becomes: 'left out',
    odd: { JOB_RUN_NUMBER: 2, JOB_RUN_STOPPED_AT: '\\N', JOB_BUILD_STATUS: 'canceled' },
    leftOut: 'that had not ended, or had no end time',
  },
  {
    reader: "CircleCI's usage export",
    row: 'never started (waiting)',
    becomes: 'left out',
    odd: { JOB_RUN_NUMBER: 2, JOB_RUN_STARTED_AT: 'NULL', JOB_RUN_STOPPED_AT: '' },
    leftOut: 'that no runner ever started',
  },
  {
    reader: "CircleCI's usage export",
    row: 'parallelism 3',
    becomes: 'three jobs',
    odd: { JOB_RUN_NUMBER: 2, PARALLELISM: 3 },
    jobs: [
      [0, 120],
      [0, 120],
      [0, 120],
    ],
  },
  {
    reader: "CircleCI's usage export",
    row: 'parallelism above 10,000',
    becomes: 'refused',
    odd: { JOB_RUN_NUMBER: 2, PARALLELISM: 1_000_000_000 },
    refused: 'parallelism of at least 1 and at most 10000',
  },
  {
    reader: "CircleCI's usage export",
    row: 'the same job again',
    becomes: 'left out',
    odd: {},
    leftOut: 'that the file lists twice',
  },
  {
    reader: "CircleCI's usage export",
    row: 'a rerun (a number of its own)',
    becomes: 'a job',
    odd: { JOB_RUN_NUMBER: 2 },
    jobs: [[0, 120]],
  },

  {
    reader: "CircleCI's jobs",
    row: 'never started (waiting, blocked)',
    becomes: 'left out',
    odd: { number: 2, started_at: null, stopped_at: null },
    leftOut: 'that no runner ever started',
  },
  {
    reader: "CircleCI's jobs",
    row: 'no end (running)',
    becomes: 'left out',
    odd: { number: 2, stopped_at: null },
    leftOut: 'that had not ended, or had no end time',
  },
  {
    reader: "CircleCI's jobs",
    row: 'cancelled while it ran',
    becomes: 'a job',
    odd: { number: 2, status: 'canceled' },
    jobs: [[0, 120]],
  },
  {
    reader: "CircleCI's jobs",
    row: 'parallelism 3',
    becomes: 'three jobs',
    odd: { number: 2, parallelism: 3 },
    jobs: [
      [0, 120],
      [0, 120],
      [0, 120],
    ],
  },
  {
    reader: "CircleCI's jobs",
    row: 'the same job again',
    becomes: 'left out',
    odd: {},
    leftOut: 'that the file lists twice',
  },

  {
    reader: "CircleCI Insights' runs of a job",
    row: 'any',
    becomes: 'a job, as if queued when it started',
    odd: { id: 'b', started_at: '2026-01-05T08:00:30Z' },
    jobs: [[30, 90]],
  },
  {
    reader: "CircleCI Insights' runs of a job",
    row: 'the same `id` again',
    becomes: 'left out',
    odd: {},
    leftOut: 'that the file lists twice',
  },

  {
    reader: "GitHub Actions' jobs",
    row: '`+02:00`, fractions of a second',
    becomes: 'a job',
    odd: { id: 2, started_at: '2026-01-05T10:01:00.5+02:00' },
    jobs: [[0, 119.5]],
  },
  {
    reader: "GitHub Actions' jobs",
    row: 'skipped',
    becomes: 'left out',
    odd: { id: 2, conclusion: 'skipped' },
    leftOut: 'that were skipped',
  },
  {
    reader: "GitHub Actions' jobs",
    row: 'cancelled in the queue',
    becomes: 'left out',
    odd: { id: 2, conclusion: 'cancelled', runner_id: 0 },
    leftOut: 'that no runner ever started',
  },
  {
    reader: "GitHub Actions' jobs",
    row: 'cancelled while it ran',
    becomes: 'a job',
    odd: { id: 2, name: 'c', conclusion: 'cancelled' },
    jobs: [[0, 120]],
  },
  {
    reader: "GitHub Actions' jobs",
    row: 'no end (queued, in progress)',
    becomes: 'left out',
    odd: { id: 2, completed_at: null },
    leftOut: 'that had not ended, or had no end time',
  },
  {
    reader: "GitHub Actions' jobs",
    row: 'copied by a re-run',
    becomes: 'left out',
    odd: { id: 2, created_at: '2026-01-05T11:00:00Z' },
    leftOut: 'that a re-run lists again',
  },
  {
    reader: "GitHub Actions' jobs",
    row: 'run again by a re-run',
    becomes: 'a job',
    odd: {
      id: 2,
      created_at: '2026-01-05T11:00:00Z',
      started_at: '2026-01-05T11:00:10Z',
      completed_at: '2026-01-05T11:00:20Z',
    },
    jobs: [[10_800, 10]],
  },
  {
    reader: "GitHub Actions' jobs",
    row: 'the same `id` again',
    becomes: 'left out',
    odd: {},
    leftOut: 'that the file lists twice',
  },

  {
    reader: "Buildkite's jobs",
    row: 'a step that no agent runs (`waiter`, `manual`, `trigger`)',
    becomes: 'left out',
    odd: { id: 'b', type: 'waiter' },
    leftOut: 'of type waiter, which no agent runs',
  },
  {
    reader: "Buildkite's jobs",
    row: 'retried',
    becomes: 'a job, and so is its retry',
    odd: { id: 'b', retried: true, state: 'failed' },
    jobs: [[0, 120]],
  },
  {
    reader: "Buildkite's jobs",
    row: 'no `runnable_at`',
    becomes: 'a job, queued at `scheduled_at`',
    odd: { id: 'b', runnable_at: null, scheduled_at: '2026-01-05T08:00:40Z' },
    jobs: [[40, 120]],
  },
  {
    reader: "Buildkite's jobs",
    row: 'cancelled in the queue',
    becomes: 'left out',
    odd: { id: 'b', state: 'canceled', started_at: null },
    leftOut: 'that no runner ever started',
  },
  {
    reader: "Buildkite's jobs",
    row: 'one of parallel jobs',
    becomes: 'a job; each has a row',
    odd: { id: 'b', parallel_group_index: 1, parallel_group_total: 2 },
    jobs: [[0, 120]],
  },
  {
    reader: "Buildkite's jobs",
    row: 'the same `id` again',
    becomes: 'left out',
    odd: {},
    leftOut: 'that the file lists twice',
  },
];

describe('an odd row:', () => {
  it.each(CASES)('$reader, $row: $becomes', async ({ reader, odd, jobs = [], leftOut, refused }) => {
    const { text, plain }: Export = EXPORTS[reader];
    const name = file(text([plain, { ...plain, ...odd }]));
    if (refused !== undefined) {
      await expect(loadTrace(name)).rejects.toThrow(refused);
      return;
    }
    const trace = await loadTrace(name);
    const plainJob = { queuedAt: 0, durationSeconds: 120 };
    expect(trace.jobs).toEqual([
      plainJob,
      ...jobs.map(([queuedAt, durationSeconds]) => ({ queuedAt, durationSeconds })),
    ]);
    expect(trace.leftOut.map(({ reason, count }) => `${count} ${reason}`)).toEqual(
      leftOut === undefined ? [] : [`1 ${leftOut}`],
    );
  });

  it('docs/traces.md says it of each', () => {
    const rows = readFileSync('docs/traces.md', 'utf8')
      .split('\n')
      .map((line) => line.split(' | ').map((cell) => cell.replaceAll(/^\| | \|$/g, '')))
      .filter(([reader = '']) => reader in EXPORTS);
    expect(rows).toEqual(CASES.map(({ reader, row, becomes }) => [reader, row, becomes]));
  });
});
