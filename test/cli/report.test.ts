import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { commandOf } from '../../cli/replays/report.ts';
import type { ReportData } from '../../simulator/report/model.ts';
import { runInProcess } from '../support/in-process.ts';
import { firstHours, traceFolder } from '../support/trace-files.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'report-test-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

const simulate = (...words: string[]) => runInProcess('simulate', ['--workload', 'flapping', ...words]);

/** A trace of the first hours of a workload, for what replays it hundreds of times. */
const trace = traceFolder();
const hoursOf = (workload: 'flapping' | 'working-day', ...words: string[]) =>
  runInProcess('simulate', ['--trace', trace(`${workload}.csv`, firstHours(workload)), ...words]);

const file = (name = 'out.html') => join(folder, name);

let plain: Promise<{ stdout: string; html: Buffer }> | undefined;
/** A report on ours alone, which several tests look at. */
const plainOnce = () => {
  plain ??= simulate('--json', '--policies', 'ours', '--report', file()).then(({ stdout }) => ({
    stdout,
    html: readFileSync(file()),
  }));
  return plain;
};

function dataOf(html: string): ReportData {
  const [, json = ''] = /id="data">(.*?)<\/script>/s.exec(html) ?? [];
  return JSON.parse(json);
}

describe('npm run simulate -- --report', () => {
  it('writes one file, prints its name and the usual output, and leaves no other file', async () => {
    const words = ['--json', '--policies', 'ours,mro'];
    const without = await hoursOf('flapping', ...words);
    const { stdout, stderr } = await hoursOf('flapping', ...words, '--report', file());
    expect(stdout).toBe(without.stdout);
    expect(stderr).toMatch(/^Report: .*out\.html \(\d+ kB\)\n$/);
    expect(readdirSync(folder)).toEqual(['out.html']);
    const [mine, theirs] = ['ours', 'mro'].map((policy) =>
      JSON.parse(stdout).policies.find((row: { policy: string }) => row.policy === policy),
    );
    const { rows } = dataOf(readFileSync(file(), 'utf8'));
    const waitOf = (name: string) => rows.find((row) => row.name === name)?.wait.mean;
    expect([waitOf('ours'), waitOf('mro')]).toEqual([mine.waitSeconds.mean, theirs.waitSeconds.mean]);
  });

  it('recommends clean machines first, with reuse as an alternative that says what it gives up', async () => {
    const words = ['--json', '--optimise', '--isolation', 'runner', '--report', file()];
    const { stdout } = await hoursOf('working-day', ...words);
    const { set, alternative, rest } = JSON.parse(stdout).optimised;
    expect(set.join()).not.toContain('reuse');
    const { recommendation } = dataOf(readFileSync(file(), 'utf8'));
    expect(recommendation.fleetsYaml).not.toContain('reuse');
    const said = recommendation.reasons.find((reason) => reason.startsWith('If jobs may share a machine'));
    expect(said).toContain(alternative.set[0]);
    expect(said).toContain(`${rest[3].waitSeconds.mean.toFixed(1)} s on average`);
    expect(said).toContain(`That gives up ${alternative.givesUp}.`);
  });

  it('says beside the costs what a month is', async () => {
    const { stdout, html: bytes } = await plainOnce();
    const [{ month }] = JSON.parse(stdout).policies;
    const html = bytes.toString();
    expect(month.is).toMatch(/^22 days like this one, /);
    expect(html).toContain(`<p class="note">A month is ${month.is}.</p>`);
    const { verdict } = dataOf(html).recommendation;
    const cost = verdict.find(({ what }) => what === 'Cost')?.text;
    expect(cost).toContain(`, a month being ${month.is}`);
  });

  it('writes the same bytes into any file, for its owner alone, and keeps them out of commits', async () => {
    const { html } = await plainOnce();
    execFileSync('git', ['init', '--quiet', folder]);
    await simulate('--json', '--policies', 'ours', '--report', file('b.html'));
    expect(readFileSync(file('b.html')).equals(html)).toBe(true);
    expect((statSync(file('b.html')).mode & 0o777).toString(8)).toBe('600');
    expect(execFileSync('git', ['-C', folder, 'status', '--porcelain'], { encoding: 'utf8' })).toBe('');
  });

  it('shows the settings that --optimise found, on the jobs that the search has not seen', async () => {
    const words = ['--optimise', '--max-wait-p95', '60', '--set', 'headroom=1', 'mro.headroom=2'];
    const { stdout } = await hoursOf('flapping', '--json', ...words, '--report', file());
    const { optimised } = JSON.parse(stdout);
    const { rows, recommendation, trace } = dataOf(readFileSync(file(), 'utf8'));
    const [recommended] = rows;
    expect(recommended?.kind).toBe('recommended');
    expect(recommended?.wait.p95).toBe(optimised.rest[1].waitSeconds.p95);
    expect(recommended?.price).toBe(optimised.rest[1].cost.total);
    expect(trace.jobs).toBe(optimised.rest[1].jobs);
    expect(recommendation.reasons[0]).toContain('The goal was a p95 wait of 60 s.');
    const lines = parse(recommendation.fleetsYaml);
    expect(lines['your-fleet']).toMatchObject({ headroom: 1 });
    expect(JSON.stringify(lines)).not.toContain('mro');
  });

  it('begins with what ours has learned, as the table does', async () => {
    const words = ['--json', '--policies', 'ours', '--set', 'spareRunners=auto'];
    const { stdout } = await hoursOf('flapping', ...words, '--learned', 'warm', '--report', file());
    const [mine] = JSON.parse(stdout).policies;
    const { rows, trace, assumptions, settings } = dataOf(readFileSync(file(), 'utf8'));
    expect(rows.find(({ name }) => name === 'ours')?.wait.mean).toBe(mine.waitSeconds.mean);
    expect(trace.jobs).toBe(mine.jobs);
    expect(trace.source).toContain('the part after the first');
    expect(assumptions.join(' ')).toContain('begin with what they learned on the first 50 % of the trace');
    // So do the settings that it tries.
    await hoursOf(
      'flapping',
      ...words,
      '--learned',
      'warm',
      '--set',
      'spareRunners=auto',
      'pollInterval=10s',
      '--report',
      file(),
    );
    const changed = dataOf(readFileSync(file(), 'utf8')).rows.find(({ name }) => name === 'ours');
    const trial = settings.find(({ setting, to }) => setting === 'pollInterval' && to === '10s');
    expect(trial?.wait.mean).toBe(changed?.wait.mean);
  });

  it('shows what the settings that --optimise found do with what ours has learned', async () => {
    const words = ['--optimise', '--waiting-cost', '10', '--set', 'spareRunners=auto', '--learned', 'warm'];
    const { stdout } = await hoursOf('flapping', '--json', ...words, '--report', file());
    const { optimised } = JSON.parse(stdout);
    const [recommended] = dataOf(readFileSync(file(), 'utf8')).rows;
    expect(recommended?.wait.mean).toBe(optimised.rest[1].waitSeconds.mean);
  });

  it('has the hours of the week, and nights and weekends apart, in the time zone', async () => {
    await simulate('--policies', 'ours', '--time-zone', 'Europe/Berlin', '--report', file());
    const html = readFileSync(file(), 'utf8');
    const { trace, rows, demand } = dataOf(html);
    expect(trace.zone).toBe('Europe/Berlin');
    // The jobs are those of a Monday from 08:00 to 20:00 in UTC, which is from 09:00 to 21:00.
    const withJobs = demand.flatMap((jobs, hour) => (jobs === null || jobs === 0 ? [] : [hour]));
    expect([withJobs[0], withJobs.at(-1)]).toEqual([9, 20]);
    const ours = rows.find(({ name }) => name === 'ours');
    expect(ours?.samples?.periods.map(({ jobs }) => jobs > 0)).toEqual([true, true, false]);
    expect(html).toContain('All hours are Europe/Berlin.');
    expect(html.match(/<table class="heat"/g)?.length).toBeGreaterThan(1);
  });

  it('shows its faults and prices', async () => {
    const prices = file('prices.yaml');
    writeFileSync(prices, 'instanceHour:\n  m7i.large: 0.5\nsource: our contract\n');
    const words = ['--fault', 'boot-failures=10%', '--prices', prices, '--policies', 'ours'];
    await hoursOf('flapping', ...words, '--report', file());
    const { assumptions } = dataOf(readFileSync(file(), 'utf8'));
    expect(assumptions.join(' ')).toContain('m7i.large at 0.5 an hour');
    expect(assumptions.join(' ')).toContain('Fault: boot-failures=10%.');
  });

  it.each([
    ['/nowhere/out.html', '--report must be a file in an existing folder, got "/nowhere/out.html"'],
    ['/nowhere/', '--report must be a file such as report.html, got the folder "/nowhere/"'],
    ['/dev/null', '--report must be a file such as report.html, got the device "/dev/null"'],
    [tmpdir(), '--report must be a file such as report.html, got the folder'],
  ])('refuses %s before it replays anything', async (where, said) => {
    expect(await simulate('--report', where)).toMatchObject({
      status: 2,
      stdout: '',
      stderr: expect.stringContaining(said),
    });
  });
});

describe('the command that a report shows', () => {
  it.each([
    [['--report', '/tmp/x.html', '--seed', '2'], '--report report.html --seed 2'],
    [['--report=x.html'], '--report=report.html'],
    [['--set', 'headroom=25%', '--trace', "it's mine.csv"], `--set headroom=25% --trace 'it'\\''s mine.csv'`],
  ])('%j', (words, said) => {
    expect(commandOf(words)).toBe(`npm run simulate -- ${said}`);
  });
});
