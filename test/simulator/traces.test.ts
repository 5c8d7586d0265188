import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTrace } from '../../simulator/traces/load.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'traces-test-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

function file(text: string): string {
  const name = join(folder, 'trace');
  writeFileSync(name, text);
  return name;
}

const json = (value: unknown) => JSON.stringify(value, null, 2);

/** Queued at eight, started a minute later, done after two more. */
const AT = {
  queued: '2026-01-05T08:00:00Z',
  started: '2026-01-05T08:01:00Z',
  stopped: '2026-01-05T08:03:00Z',
};
const LATER = {
  queued: '2026-01-05T09:00:00.500Z',
  started: '2026-01-05T10:01:00+01:00',
  stopped: '2026-01-05T09:01:30Z',
};
/** What both are as a trace. */
const JOBS = [
  { queuedAt: 0, durationSeconds: 120 },
  { queuedAt: 3_600.5, durationSeconds: 30 },
];

type Times = typeof AT;
const github = ({ queued, started, stopped }: Times) => ({
  id: queued,
  status: 'completed',
  conclusion: 'success',
  created_at: queued,
  started_at: started,
  completed_at: stopped,
  runner_id: 7,
});
const buildkite = ({ queued, started, stopped }: Times) => ({
  type: 'script',
  state: 'passed',
  created_at: '2026-01-05T07:00:00Z',
  scheduled_at: '2026-01-05T07:00:01Z',
  runnable_at: queued,
  started_at: started,
  finished_at: stopped,
});
const circleci = ({ queued, started, stopped }: Times) => ({
  name: 'build',
  status: 'success',
  created_at: '2026-01-05T07:00:00Z',
  queued_at: queued,
  started_at: started,
  stopped_at: stopped,
});
const insights = ({ started, stopped }: Times) => ({
  id: started,
  status: 'success',
  started_at: started,
  stopped_at: stopped,
  credits_used: 5,
});
const USAGE =
  'ORGANIZATION_ID,VCS_BRANCH,JOB_RUN_QUEUED_AT,JOB_RUN_STARTED_AT,JOB_RUN_STOPPED_AT,JOB_BUILD_STATUS';
const usage = ({ queued, started, stopped }: Times) => `o,"a,""b""",${queued},${started},${stopped},success`;

describe('an export of jobs is recognised by its keys:', () => {
  it.each([
    { case: 'seconds', text: 'queued_at_s,duration_s\n0,120\n3600.5,30\n', form: 'seconds' },
    {
      case: 'GitHub Actions, the newest first',
      text: json({ total_count: 2, jobs: [github(LATER), github(AT)] }),
      form: "GitHub Actions' jobs",
    },
    {
      case: 'GitHub Actions, pages in a list',
      text: json([{ jobs: [github(AT)] }, { jobs: [github(LATER)] }]),
      form: "GitHub Actions' jobs",
    },
    {
      case: 'GitHub Actions, a job in each line',
      text: `${JSON.stringify(github(AT))}\n${JSON.stringify(github(LATER))}\n`,
      form: "GitHub Actions' jobs",
    },
    {
      case: 'Buildkite, builds with their jobs',
      text: json([
        { number: 1, jobs: [buildkite(AT)] },
        { number: 2, jobs: [buildkite(LATER)] },
      ]),
      form: "Buildkite's jobs",
    },
    { case: 'Buildkite, jobs', text: json([buildkite(AT), buildkite(LATER)]), form: "Buildkite's jobs" },
    { case: 'CircleCI, jobs', text: json([circleci(AT), circleci(LATER)]), form: "CircleCI's jobs" },
    {
      case: 'CircleCI, the usage export',
      text: `${USAGE}\n${usage(AT)}\r\n${usage(LATER)}\n`,
      form: "CircleCI's usage export",
    },
  ])('$case', async ({ text, form }) => {
    // What counts in seconds says nothing of when they are.
    const calendar = form === 'seconds' ? {} : { startsAt: Date.parse(AT.queued) };
    expect(await loadTrace(file(text))).toEqual({ jobs: JOBS, form, ...calendar, leftOut: [] });
  });

  it('CircleCI Insights, with a warning that it lacks the time at which jobs were queued', async () => {
    const trace = await loadTrace(
      file(json({ items: [insights(AT), insights(LATER)], next_page_token: null })),
    );
    expect(trace.jobs).toEqual([
      { queuedAt: 0, durationSeconds: 120 },
      { queuedAt: 3_600, durationSeconds: 30 },
    ]);
    expect(trace.cautions?.join()).toContain('as if queued when it started');
  });

  it('times of the usage export are UTC, also with a blank', async () => {
    const row = 'o,main,2026-01-05 08:00:00,2026-01-05 08:01:00.25,2026-01-05T08:03:00.25,success';
    expect((await loadTrace(file(`${USAGE}\n${row}\n${usage(LATER)}\n`))).jobs).toEqual(JOBS);
  });

  it('a job of parallelism 3 is three tasks', async () => {
    const { jobs } = await loadTrace(file(json([{ ...circleci(AT), parallelism: 3 }])));
    expect(jobs).toEqual([JOBS[0], JOBS[0], JOBS[0]]);
  });

  it('a job that started before it was queued counts as queued at its start', async () => {
    const early = { ...AT, queued: '2026-01-05T08:01:02Z' };
    expect((await loadTrace(file(json([github(early), github(LATER)])))).jobs[1]?.queuedAt).toBe(3_540.5);
  });
});

describe('a trace in seconds since 1970', () => {
  it('begins with its first job, and says so', async () => {
    const first = Date.parse(AT.queued) / 1_000;
    const trace = await loadTrace(file(`queued_at_s,duration_s\n${first + 3_600.5},30\n${first},120\n`));
    expect(trace).toMatchObject({ jobs: JOBS, startsAt: Date.parse(AT.queued) });
    expect(trace.cautions).toEqual([
      'queued_at_s has seconds since 1970: the trace begins with its first job, at 2026-01-05T08:00:00.000Z.',
    ]);
  });

  it('is none if its first job is queued within a year', async () => {
    const trace = await loadTrace(file('queued_at_s,duration_s\n31536000,30\n'));
    expect(trace).toEqual({
      jobs: [{ queuedAt: 31_536_000, durationSeconds: 30 }],
      form: 'seconds',
      leftOut: [],
    });
  });
});

describe('nothing is dropped silently:', () => {
  it.each([
    {
      case: 'jobs without an end',
      text: json([github(AT), { ...github(AT), completed_at: null }, { ...github(AT), completed_at: null }]),
      leftOut: [{ reason: 'that had not ended, or had no end time', count: 2, first: ':11 ([1])' }],
    },
    {
      case: 'skipped jobs, and those that were cancelled in the queue',
      text: json({
        jobs: [
          { ...github(AT), conclusion: 'skipped' },
          github(AT),
          { ...github(AT), conclusion: 'cancelled', runner_id: 0 },
        ],
      }),
      leftOut: [
        { reason: 'that were skipped', count: 1, first: ':3 (jobs[0])' },
        { reason: 'that no runner ever started', count: 1, first: ':21 (jobs[2])' },
      ],
    },
    {
      case: 'steps of a build that no agent runs',
      text: json([{ jobs: [{ type: 'waiter', state: 'finished' }, buildkite(AT)] }]),
      leftOut: [{ reason: 'of type waiter, which no agent runs', count: 1, first: ':4 ([0].jobs[0])' }],
    },
    {
      case: 'jobs that a re-run lists again, the newest first',
      text: json(
        [2, 1].map((attempt) => ({
          ...github(AT),
          run_id: 3,
          name: 'build',
          run_attempt: attempt,
          created_at: attempt === 1 ? AT.queued : LATER.queued,
        })),
      ),
      leftOut: [{ reason: 'that a re-run lists again', count: 1, first: ':2 ([0])' }],
    },
    {
      case: 'rows of the usage export without an end',
      text: `${USAGE}\n${usage(AT)}\n${usage({ ...AT, stopped: '' })}\n`,
      leftOut: [{ reason: 'that had not ended, or had no end time', count: 1, first: ':3' }],
    },
  ])('$case', async ({ text, leftOut }) => {
    const name = file(text);
    const trace = await loadTrace(name);
    expect(trace.jobs).toEqual(JOBS.slice(0, 1));
    expect(trace.leftOut).toEqual(leftOut.map((each) => ({ ...each, first: `${name}${each.first}` })));
  });
});

describe('an unusable file is refused with the place of the fault:', () => {
  it.each([
    {
      case: 'a time that is none',
      text: json([github(AT), { ...github(AT), started_at: 'soon' }]),
      said: [':11 ([1])', 'at which the job started, got "soon"'],
    },
    {
      case: 'an end before the start',
      text: json([{ ...github(AT), completed_at: '2026-01-05T07:59:59Z' }]),
      said: [':2 ([0])', 'must end after it starts ("2026-01-05T08:01:00Z"), got "2026-01-05T07:59:59Z"'],
    },
    {
      case: 'a number for a time',
      text: `${JSON.stringify(github(AT))}\n${JSON.stringify({ ...github(AT), created_at: 12 })}\n`,
      said: [':2: ', 'at which the job was queued', 'got 12'],
    },
    {
      case: 'no parallelism',
      text: json([{ ...circleci(AT), parallelism: 0 }]),
      said: ['parallelism of at least 1 and at most 10000, got 0'],
    },
    {
      case: 'a parallelism beyond the memory',
      text: `${USAGE},PARALLELISM\n${usage(AT)},3\n${usage(AT)},30000000\n`,
      said: [':3: ', 'at most 10000, got 30000000'],
    },
    {
      case: 'a row with a field too few',
      text: `${USAGE}\n${usage(AT)}\no,main\n`,
      said: [':3: must have 6 fields', 'got 2'],
    },
    { case: 'a quote that is not closed', text: `${USAGE}\no,"main\n`, said: [':2: ', 'an open quote'] },
    {
      case: 'JSON with a fault in its third line',
      text: '[\n  {"a": 1},\n  {"b": }\n]',
      said: [':3: must be JSON'],
    },
    { case: 'JSON that breaks off', text: '[\n  {"a": 1},\n', said: [':3: must be JSON'] },
    {
      case: 'a line that is no JSON',
      text: `${JSON.stringify(github(AT))}\n{"a"\n`,
      said: [':2: must be JSON'],
    },
    { case: 'a job that is none', text: json([github(AT), 5]), said: ['([1]): must be a job, got 5'] },
    {
      case: 'runs of workflows',
      text: json({ items: [{ id: 'a', created_at: AT.queued, stopped_at: AT.stopped }] }),
      said: [':3 (items[0])', 'must be a CSV', 'runs of a workflow'],
    },
    {
      case: 'builds without their jobs',
      text: json([{ number: 1, scheduled_at: AT.queued, finished_at: AT.stopped }]),
      said: ['builds without their jobs'],
    },
    { case: 'other columns', text: 'a,b\n1,2\n', said: [':2: must be a CSV', '"a, b"'] },
    { case: 'something else', text: 'hello\n', said: [':1: must be a CSV', '"hello"'] },
    { case: 'nothing', text: '', said: [':1: must be a CSV', '""'] },
    { case: 'an empty list', text: '[]', said: ['has no jobs'] },
    {
      case: 'nothing that ran',
      text: json([{ ...github(AT), conclusion: 'skipped' }]),
      said: ['no jobs that ran'],
    },
  ])('$case', async ({ text, said }) => {
    const name = file(text);
    const reading = loadTrace(name);
    for (const part of [name, ...said]) await expect(reading).rejects.toThrow(part);
  });

  it('many faults are counted', async () => {
    const bad = { ...github(AT), created_at: 'x' };
    await expect(loadTrace(file(json(Array(8).fill(bad))))).rejects.toThrow('... and 3 more');
  });

  it('a missing file', async () => {
    await expect(loadTrace('/nowhere.json')).rejects.toThrow('/nowhere.json cannot be read');
  });
});
