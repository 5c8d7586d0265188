import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { front, generated, replayAll, traceSection } from '../../cli/replays/benchmark-page.ts';
import { goalsTable, isReached, reachGoals } from '../../cli/replays/goals.ts';
import { runInProcess } from '../support/in-process.ts';

const PAGE = readFileSync('docs/benchmark.md', 'utf8');

let folder: string;
let out: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'benchmark-test-'));
  out = join(folder, 'page.md');
  writeFileSync(join(folder, 'two.csv'), 'queued_at_s,duration_s\n10,60\n10,120\n');
});

afterAll(() => rmSync(folder, { recursive: true }));

const benchmark = (...words: string[]) => runInProcess('benchmark', ['--out', out, ...words]);

describe('docs/benchmark.md', () => {
  it.each(['quiet-night', 'flapping'] as const)('has the figures of a replay of %s', async (name) => {
    const jobs = generated(name);
    expect(PAGE).toContain(`\n${traceSection({ jobs, rows: await replayAll(jobs) })}\n`);
  });

  it('has what the search reaches on quiet-night', async () => {
    const reached = await reachGoals(generated('quiet-night'));
    expect(reached.length).toBe(3);
    for (const row of goalsTable(reached).split('\n')) expect(PAGE).toContain(`\n${row}\n`);
  });

  it('says that a goal is reached if both limits hold on the rest', async () => {
    const [image] = await reachGoals(generated('quiet-night'));
    if (image === undefined) throw new Error('There is no goal');
    expect(isReached(image)).toBe(true);
    const { rest, references } = image;
    const longer = { ...rest.waitSeconds, mean: 0.26 * references.tutorial.waitSeconds.mean };
    expect(isReached({ ...image, rest: { ...rest, waitSeconds: longer } })).toBe(false);
    const overhead = (references.ours.overhead ?? 0) + 0.02;
    expect(isReached({ ...image, rest: { ...rest, overhead } })).toBe(false);
  });

  it('computes the Pareto front of the policies that kill no job', async () => {
    const rows = await replayAll(generated('quiet-night'));
    const best = front(rows);
    const wait = best.map(({ outcome }) => outcome.waitSeconds.mean);
    const cost = best.map(({ outcome }) => outcome.cost?.total ?? 0);
    expect(wait).toEqual(wait.toSorted((a, b) => b - a));
    expect(cost).toEqual(cost.toSorted((a, b) => a - b));
    expect(best.every(({ outcome }) => outcome.jobsKilled === 0)).toBe(true);
    expect(rows.some(({ outcome }) => outcome.jobsKilled > 0)).toBe(true);
    expect(best.some(({ policy }) => policy.startsWith('lower bound'))).toBe(false);
  });
});

describe('npm run benchmark', () => {
  it('writes a page with the traces of a folder, and prints their names', async () => {
    const { stdout } = await benchmark('--traces', folder, '--only', 'two.csv,quiet-night');
    expect(stdout).toBe(`${out} now has: two.csv, quiet-night.\n`);
    const page = readFileSync(out, 'utf8');
    expect(page.match(/^### .*$/gm)).toEqual(['### two.csv', '### quiet-night']);
    expect(page).toContain('\n| two.csv (22 days) | 143 s, ');
  });

  it.each([
    [['--traces', 'nowhere'], '--traces must be a folder with CSV traces, got "nowhere"'],
    [['--traces', 'docs'], '--traces must be a folder with CSV traces; "docs" has none'],
    [
      ['--only', 'busy-night'],
      'quiet-night, flapping, weekly, faults, goals, separated by commas, got "busy-night"',
    ],
    [['--out', 'nowhere/'], '--out must be a file such as benchmark.md, got the folder "nowhere/"'],
    [['--out', 'nowhere/page.md'], '--out must be a file in an existing folder, got "nowhere/page.md"'],
  ])('refuses %j, and says what is allowed', async (words, said) => {
    expect(await benchmark(...words)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining(said),
    });
  });
});
