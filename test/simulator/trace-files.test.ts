import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTrace } from '../../simulator/traces/load.ts';
import { TraceInvalid } from '../../simulator/traces/trace.ts';
import { commandWords } from '../support/bundled-commands.ts';
import { runInProcess } from '../support/in-process.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'trace-files-test-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

function file(content: string | Uint8Array): string {
  const name = join(folder, 'trace');
  writeFileSync(name, content);
  return name;
}

const json = (value: unknown) => JSON.stringify(value);
const [QUEUED, STARTED, STOPPED] = ['2026-01-05T08:00:00Z', '2026-01-05T08:01:00Z', '2026-01-05T08:03:00Z'];

const row = (queued: string, started = STARTED, stopped = STOPPED) =>
  json([{ created_at: queued, started_at: started, completed_at: stopped }]);

describe('a time is one of a calendar and a clock:', () => {
  it.each([
    '0001-01-05',
    '1970-01-05',
    '1999-12-31',
    '3000-01-01',
    '2026-02-30',
    '2026-13-01',
    '2026-00-10',
    '2026-04-31',
  ])('the date %s is refused by line', async (date) => {
    await expect(loadTrace(file(row(`${date}T08:00:00Z`)))).rejects.toThrow(
      `:1 ([0]): must have a time at which the job was queued, in the years 2000 to 2999, such as 2026-01-05T08:00:00Z, got "${date}`,
    );
  });

  it.each(['24:00:00Z', '08:60:00Z', '08:00:61Z', '08:00:00+15:00', '08:00:00 CET', '08'])(
    'the time %s is refused',
    async (time) => {
      await expect(loadTrace(file(row(`2026-01-05T${time}`)))).rejects.toThrow('must have a time');
    },
  );

  it('29 February is one of a leap year', async () => {
    const leap = row('2028-02-29T08:00:00Z', '2028-02-29T08:00:00Z', '2028-02-29T08:00:09Z');
    expect((await loadTrace(file(leap))).jobs).toEqual([{ queuedAt: 0, durationSeconds: 9 }]);
  });
});

describe('clocks that differ', () => {
  it('by a minute at most are believed: a job that ends before it starts took no time', async () => {
    expect((await loadTrace(file(row(QUEUED, STARTED, QUEUED)))).jobs[0]?.durationSeconds).toBe(0);
  });

  it('by more than a minute are reported: a job that started before it was queued', async () => {
    const { jobs, cautions } = await loadTrace(file(row(STOPPED, STARTED, STOPPED)));
    expect(jobs).toEqual([{ queuedAt: 0, durationSeconds: 120 }]);
    expect(cautions?.join()).toContain('Started more than 60 s before they were queued: 1 jobs');
  });
});

describe('empty time of decades', () => {
  it('is shortened by periods after which the calendar repeats, and that is said', async () => {
    const { jobs, cautions } = await loadTrace(file('queued_at_s,duration_s\n0,60\n1000000000000,60\n'));
    const [, second = { queuedAt: 0 }] = jobs;
    expect((1e12 - second.queuedAt) % (28 * 365.25 * 86_400)).toBe(0);
    expect(second.queuedAt).toBeLessThan(57 * 366 * 86_400);
    expect(cautions).toEqual([
      '31640 years without a job are left out: the calendar repeats every 28 years.',
    ]);
  });

  it('stays if it is shorter', async () => {
    const { jobs, cautions } = await loadTrace(file('queued_at_s,duration_s\n0,60\n1700000000,60\n'));
    expect(jobs[1]?.queuedAt).toBe(1_700_000_000);
    expect(cautions).toBeUndefined();
  });
});

describe('a file', () => {
  const plain = {
    JOB_ID: 'a',
    JOB_RUN_NUMBER: 1,
    JOB_RUN_QUEUED_AT: '2026-01-05 08:00:00',
    JOB_RUN_STARTED_AT: '2026-01-05 08:01:00',
    JOB_RUN_STOPPED_AT: '2026-01-05 08:03:00',
    JOB_BUILD_STATUS: 'success',
    PARALLELISM: 1,
  };
  const text = (rows: object[]) =>
    [Object.keys(rows[0] ?? {}).join(), ...rows.map((row) => Object.values(row).join())].join('\n');
  const many = Array.from({ length: 20_000 }, (_, number) => ({
    ...plain,
    JOB_RUN_NUMBER: number,
    NOTE: number % 9 === 0 ? '"a, ""b""\nc"' : 'é',
  }));

  it('may be compressed with gzip, in parts', async () => {
    const csv = text(many);
    const half = Math.floor(csv.length / 2);
    const parts = [csv.slice(0, half), csv.slice(half)].map((part) => gzipSync(part));
    expect(await loadTrace(file(Buffer.concat(parts)))).toEqual(await loadTrace(file(csv)));
    expect((await loadTrace(file(gzipSync(row(QUEUED))))).jobs).toHaveLength(1);
  });

  it('that is cut off in the middle is refused', async () => {
    const cut = gzipSync(text(many)).subarray(0, 4_000);
    await expect(loadTrace(file(cut))).rejects.toThrow('cannot be read: unexpected end of file');
  });

  it.each(['utf16le', 'utf8'] as const)('may have a byte order mark: %s', async (encoding) => {
    expect((await loadTrace(file(Buffer.from(`\uFEFF${row(QUEUED)}`, encoding)))).jobs).toHaveLength(1);
  });

  it('names the line of a fault after quoted line breaks', async () => {
    await expect(loadTrace(file(`${text(many)}\n1,2`))).rejects.toThrow(':22225: must have 8 fields');
  });

  it('may be a pipe, for npm start and for simulate', async () => {
    for (const command of ['start', 'simulate']) {
      const source = `printf 'queued_at_s,duration_s\\n0,60\\n'`;
      const words = `"$@" --json --trace <(${source})`;
      const started = ['bash', process.execPath, ...commandWords(command)];
      expect(execFileSync('bash', ['-c', words, ...started], { encoding: 'utf8' })).toContain('"jobs":1,');
    }
  });

  it.each([
    { case: 'lists in lists', content: '['.repeat(20_000) + ']'.repeat(20_000), said: 'at most 64 deep' },
    {
      case: 'a job with deep values',
      content: `[{"a": ${'['.repeat(20_000)}${']'.repeat(20_000)}}]`,
      said: ':1 ([0]): must be nested at most 1000 deep',
    },
    { case: 'two brackets that do not match', content: '[{"a": [}]', said: ':1: must be JSON' },
    { case: 'a comma too many', content: `[${row(QUEUED).slice(1, -1)},]`, said: 'unexpected ]' },
    { case: 'no comma', content: '[{"a":1}{"b":2}]', said: 'unexpected {' },
    {
      case: 'a fault after the jobs of a build',
      content: `{\n"jobs": [\n${row(QUEUED).slice(1, -1)}\n],\n"b": x}`,
      said: ':5: must be JSON',
    },
    { case: 'a job of a gigabyte', content: `[{"a": "${'x'.repeat(17 << 20)}"}]`, said: 'at most 16 MB' },
  ])('of JSON with $case is refused with exit code 2', async ({ content, said }) => {
    await expect(loadTrace(file(content))).rejects.toThrow(TraceInvalid);
    const { status, stderr } = await runInProcess('simulate', ['--trace', file(content)]);
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining(said) });
  });

  it('with more tasks than fit into the memory is refused at the job that exceeds them', async () => {
    const rows = Array.from({ length: 1_002 }, (_, number) => ({
      ...plain,
      JOB_RUN_NUMBER: number,
      PARALLELISM: 10_000,
    }));
    await expect(loadTrace(file(text(rows)))).rejects.toThrow(
      ':1002: a trace must have at most 10000000 tasks',
    );
  });
});

it('npm start reads what simulate reads, and says what it has left out', async () => {
  const plain = {
    id: 1,
    run_id: 1,
    created_at: QUEUED,
    name: 'b',
    started_at: STARTED,
    completed_at: STOPPED,
  };
  const copy = { ...plain, id: 2, created_at: '2026-01-05T09:00:00Z' };
  const { stdout, stderr } = await runInProcess('start', ['--json', '--trace', file(json([plain, copy]))]);
  expect(JSON.parse(stdout)).toMatchObject({ jobs: 1 });
  expect(stderr).toContain('Left out: 1 that a re-run lists again');
});
