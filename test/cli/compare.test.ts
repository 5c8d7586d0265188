import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runInProcess } from '../support/in-process.ts';

let folder: string;
let before: string;

const simulate = (...words: string[]) => runInProcess('simulate', words);
const JOBS = ['--policies', 'ours,mro'];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'compare-test-'));
  before = join(folder, 'before.json');
  writeFileSync(before, (await simulate(...JOBS, '--json')).stdout);
});

afterAll(() => rmSync(folder, { recursive: true }));

const changed = (name: string, change: (run: Record<string, unknown>) => unknown) => {
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify(change(JSON.parse(readFileSync(before, 'utf8')))));
  return file;
};

describe('npm run simulate -- --compare', () => {
  it('says what was set differently, and puts waits and costs of both runs side by side', async () => {
    const words = [...JOBS, '--set', 'warmPool.size=5', '--boot', '60s', '--compare', before];
    const { stdout } = await simulate(...words);
    const { policies, comparison } = JSON.parse((await simulate(...words, '--json')).stdout);
    const then = JSON.parse(readFileSync(before, 'utf8')).policies;
    expect(comparison.changed).toEqual([
      { what: 'warmPool.size', before: 'not set', after: '5' },
      { what: 'warmPool.state', before: 'not set', after: 'stopped' },
      { what: 'world.boot', before: '90', after: '60' },
    ]);
    for (const [index, policy] of ['ours', 'mro'].entries()) {
      expect(comparison.policies[index]).toMatchObject({
        policy,
        before: { mean: then[index].waitSeconds.mean, cost: then[index].cost.total },
        after: { mean: policies[index].waitSeconds.mean, cost: policies[index].cost.total },
        interval: { days: 7 },
      });
    }
    expect(comparison.days).toHaveLength(7);
    expect(comparison.days[1]).toMatchObject({
      day: '2026-01-06',
      before: { mean: then[0].days[1].waitSeconds.mean },
      after: { mean: policies[0].days[1].waitSeconds.mean },
    });
    expect(stdout).toContain('warmPool.size: not set before, 5 now');
    const waits = [then, policies].map(([ours]) => ours.waitSeconds.mean.toFixed(1));
    expect(stdout).toMatch(new RegExp(`^ours +${waits.join(' +')} `, 'm'));
    expect(stdout).toMatch(/^2026-01-06 /m);
    expect(stdout).toMatch(/interval of ours, .*: the mean wait changes by -[\d.]+ to -[\d.]+ s/);
  });

  it('names what is in one run only', async () => {
    const { stdout } = await simulate('--policies', 'ours,vela', '--compare', before);
    expect(stdout).toContain('Nothing was set differently.');
    expect(stdout).toContain('In one of the runs only: mro, vela.');
  });

  it('is a part of the page', async () => {
    const page = join(folder, 'report.html');
    await simulate('--policies', 'ours', '--set', 'pollInterval=10s', '--compare', before, '--report', page);
    const html = readFileSync(page, 'utf8');
    expect(html).toContain('<h2 id="compared-title">Before and now</h2>');
    expect(html).toContain('<th scope="row">pollInterval</th><td>5</td><td>10</td>');
    expect(html).toMatch(/<th scope="row">2026-01-06<\/th>/);
  });

  it.each([
    { what: 'no file', file: () => join(folder, 'none.json'), says: 'cannot be read' },
    {
      what: 'a file that is not JSON',
      file: () => {
        writeFileSync(join(folder, 'page.json'), '<html>');
        return join(folder, 'page.json');
      },
      says: 'is not JSON',
    },
    {
      what: 'another JSON',
      file: () => changed('a.json', () => []),
      says: 'is not what simulate --json prints; write one with npm run --silent simulate -- --json > before.json',
    },
    {
      what: 'a file of something else',
      file: () => 'package.json',
      says: 'is not what simulate --json prints; write one with npm run',
    },
    {
      what: 'a broken figure',
      file: () => changed('b.json', (run) => ({ ...run, policies: [{ policy: 'ours' }] })),
      says: '(policies.0.waitSeconds is missing or of another kind)',
    },
    {
      what: 'another version',
      file: () => changed('c.json', (run) => ({ ...run, format: 2 })),
      says: 'another version of simulate has written the file (format 2, and this one reads 1)',
    },
    {
      what: 'the result of a search',
      file: () => changed('d.json', ({ trace }) => ({ trace, optimised: {} })),
      says: 'write one without --optimise',
    },
  ])('refuses $what, by name', async ({ file, says }) => {
    const { status, stdout, stderr } = await simulate(...JOBS, '--compare', file());
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('--compare ');
    expect(stderr).toContain(says);
  });

  it('refuses a run of other jobs, and says which', async () => {
    const { status, stderr } = await simulate(...JOBS, '--seed', '2', '--compare', before);
    expect(status).toBe(2);
    expect(stderr).toContain('the file is a replay of other jobs (weekly, seed 1, 3692 jobs)');
  });

  it('is not for a search', async () => {
    const { status, stderr } = await simulate('--optimise', '--compare', before);
    expect(status).toBe(2);
    expect(stderr).toContain('--compare');
  });
});
