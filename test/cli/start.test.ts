import { execFile } from 'node:child_process';
import { promisify, stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { commandWords } from '../support/bundled-commands.ts';
import { runInProcess } from '../support/in-process.ts';
import { HEADER, traceFolder } from '../support/trace-files.ts';

const run = promisify(execFile);

const trace = traceFolder();

const start = (...words: string[]) => runInProcess('start', words);

describe('npm start', () => {
  it('ends without an error when its reader stops reading', async () => {
    const { stdout, stderr } = await run('bash', [
      '-c',
      `"${process.execPath}" ${commandWords('start').join(' ')} | head -1; exit "\${PIPESTATUS[0]}"`,
    ]);
    expect(stdout).toMatch(/^Fleet example: .*\n$/);
    expect(stderr).toBe('');
  });

  it('prints one JSON object with the agreed keys', async () => {
    const { stdout } = await start('--json', '--trace', trace('two.csv', `${HEADER}10,60\n10,120\n`));
    expect(JSON.parse(stdout)).toEqual({
      jobs: 2,
      jobHours: 0.05,
      // The fleet is idle, so it is polled once a minute: a job queued at 10 s is noticed at 60 s, 50 s later. Then it
      // takes 3 s until pending, and 90 s of boot.
      waitSeconds: { mean: 143, p50: 143, p95: 143, p99: 143, max: 143 },
      instanceHours: 0.108,
      overhead: 1.167,
      launches: 2,
      warmLaunches: 0,
      unusedLaunches: 0,
      ghostLaunches: 0,
      jobsKilled: 0,
      // The longer job ends after 273 s, and its instance leaves after 288 s: in the fifth minute.
      executions: { succeeded: 5, failed: 0 },
    });
  });

  it('begins with the first job of a trace in seconds since 1970, and says so', async () => {
    const { stdout, stderr } = await start(
      '--json',
      '--trace',
      trace('epoch.csv', `${HEADER}1767600000,60\n1767600030,90\n`),
    );
    expect(JSON.parse(stdout)).toMatchObject({ jobs: 2, executions: { failed: 0 } });
    expect(stderr).toBe(
      'queued_at_s has seconds since 1970: the trace begins with its first job, at 2026-01-05T08:00:00.000Z.\n',
    );
  });

  it('shows how a fleet starts, the last execution and the figures, in 80 columns', async () => {
    const { stdout } = await start('--hours', '0.3', '--seed', '4');
    const lines = stripVTControlCharacters(stdout).split('\n');
    for (const what of [
      'is queued',
      'launches',
      'ready',
      'claims',
      'finishes',
      'leaves',
      'Queue wait',
      'Compute Capacity',
    ]) {
      expect(stdout).toContain(what);
    }
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it('has no colours without a terminal, also in CI', async () => {
    const { stdout } = await run(process.execPath, commandWords('start', '--hours', '0.1'), {
      env: { ...process.env, CI: 'true' },
    });
    expect(stdout).toBe(stripVTControlCharacters(stdout));
  });

  it('generates the same day for the same seed, and another day for another seed', async () => {
    const runs: string[] = [];
    for (const seed of ['7', '7', '8']) {
      runs.push((await start('--json', '--hours', '0.2', '--seed', seed)).stdout);
    }
    const [first, again, other] = runs;
    expect(first).toBe(again);
    expect(first).not.toBe(other);
  });

  it('applies --boot, --poll and --max', async () => {
    const file = trace('three.csv', `${HEADER}10,60\n10,60\n10,60\n`);
    const { stdout } = await start('--json', '--trace', file, '--boot', '40', '--poll', '20', '--max', '1');
    const { waitSeconds, launches } = JSON.parse(stdout);
    // Noticed at 60 s, then 3 s and 40 s. The second job waits for the first one's 60 s, its leaving, a poll and a boot.
    expect(waitSeconds.p50).toBeGreaterThan(150);
    expect(launches).toBe(3);
  });

  it('applies --warm, --warm-boot and --reuse', async () => {
    const file = trace('warm.csv', `${HEADER}10,60\n10,60\n200,60\n`);
    const { stdout } = await start(
      ...['--json', '--trace', file, '--quiet-poll', '5'],
      ...['--warm', '1', '--warm-boot', '20', '--reuse', '300'],
    );
    expect(JSON.parse(stdout)).toMatchObject({
      // Noticed at 10 s: a runner is ready 23 s later, and free for the second job after 60 s and a request for work.
      // The third job finds an idle runner.
      waitSeconds: { p50: 23, max: 85.5, mean: 37 },
      launches: 2,
      warmLaunches: 1,
    });
  });

  it('refuses a file that the guardrails do not allow, as a deployment does', async () => {
    const text =
      'linux: {resourceClass: acme/linux, instanceTypes: [m7i.large], maxReplicas: 9, sshCidr: 0.0.0.0/0}\n';
    const { stderr, status } = await start('--fleets', trace('open.yaml', text));
    expect(stderr).toContain(
      'asks for more than is allowed without guardrails.yaml:\n  linux.sshCidr: must be',
    );
    expect(status).toBe(2);
  });

  it('runs a fleet of another file with all its settings, and prints them', async () => {
    const text = `linux:
  resourceClass: acme/linux
  instanceTypes: [m7i.large]
  minReplicas: 1
  maxReplicas: 9
  headroom: 20%
  maxSurge: 2
  schedules: [{start: 0 7 * * *, end: 0 19 * * *, maxReplicas: 3}]
  reuse: continuous
  idleTimeout: 2m
  spot: {percentage: 50, onDemandBase: 1}
`;
    const jobs = `${HEADER}${'200,60\n'.repeat(4)}`;
    const words = ['--fleets', trace('settings.yaml', text), '--trace', trace('four.csv', jobs)];
    const { stdout } = await start(...words);
    const printed = stripVTControlCharacters(stdout);
    expect(printed).toMatch(
      /^Fleet linux: 4 jobs, at most 9 instances, a poll every 5 s\nWith minReplicas 1, /,
    );
    // The schedule allows 3 instances. The first is On-Demand, and half of the other two (rounded up).
    expect(printed).toMatch(/Launches +3, 0 of them unused, 1 Spot\n/);
    const settings = [
      'headroom 20%',
      'maxSurge 2',
      '1 schedule',
      'runners reused until idle for 3600 s',
      '50 % Spot',
      '1 On-Demand first',
    ];
    expect(printed).toContain(`, ${settings.join(', ')}\n`);
    const { stdout: json } = await start(...words, '--json');
    expect(JSON.parse(json)).toMatchObject({ jobs: 4, launches: 3, spotLaunches: 1, jobsKilled: 0 });
  });

  it.each([
    {
      words: ['--fleets', 'examples/warm-pool/fleets.yaml', '--max', '5'],
      said: ['--max', 'warm pool of fleet linux (20)', 'got 5'],
    },
    {
      words: ['--fleets', 'examples/spot-and-reuse/fleets.yaml', '--warm', '5'],
      said: ['--warm', 'fleet linux has Spot capacity', 'got 5'],
    },
    { words: ['--fleets', '/nowhere.yaml'], said: ['/nowhere.yaml', 'cannot be read'] },
    { words: ['--quiet-poll', '3'], said: ['--quiet-poll', 'at least the poll interval (5 s)', 'got 3'] },
    {
      words: ['--warm', '21', '--max', '20'],
      said: ['--warm', 'at most the maximum number of instances (20)', 'got 21'],
    },
    { words: ['--warm-boot', 'x'], said: ["'x'", 'from 0s to 1h'] },
    {
      words: ['--reuse', '15'],
      said: ['--reuse', 'longer than three poll intervals of 5 s, got 15 s', 'got 15'],
    },
    { words: ['--reuse', '-1'], said: ["'-1'", 'from 0s to 1d'] },
    { words: ['--poll', '0'], said: ["'0'", 'from 1s to 1m'] },
    { words: ['--max', 'many'], said: ["'many'", 'whole number'] },
    { words: ['--boot', '-1'], said: ["'-1'", 'from 0s to 1h'] },
    { words: ['--hours', 'x'], said: ["'x'", 'number from 0.01'] },
    { words: ['--trace', 'x.csv', '--seed', '2'], said: ['--seed only works with a generated day'] },
    { words: ['--seed', '1.5'], said: ["'1.5'", 'whole number'] },
    { words: ['--fleet', 'nope'], said: ['"nope"', 'example'] },
    { words: ['--trace', '/nowhere.csv'], said: ['/nowhere.csv', 'cannot be read'] },
    { words: ['--trase', 'x'], said: ['--trase', '--trace'] },
  ])('says what is wrong and what is allowed, and exits with 2: $words', async ({ words, said }) => {
    const { status, stdout, stderr } = await start(...words);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    for (const part of said) expect(stderr).toContain(part);
  });

  it.each([
    {
      case: 'another header',
      text: 'a,b\n1,2\n',
      said: ':2: must be a CSV with the header queued_at_s,duration_s, or an export of jobs',
    },
    { case: 'a word', text: `${HEADER}1,2\n3,x\n`, said: ':3: must be two numbers of at least 0, got "3,x"' },
    { case: 'a negative time', text: `${HEADER}-1,2\n`, said: ':2: must be two numbers' },
    { case: 'a column too many', text: `${HEADER}1,2,3\n`, said: ':2: must be two numbers' },
    {
      case: 'an empty row',
      text: `${HEADER}1,2\n\n3,4\n`,
      said: ':3: must be two numbers of at least 0, got ""',
    },
    { case: 'no jobs', text: HEADER, said: 'has no jobs' },
  ])('refuses a trace with $case, and names the line', async ({ text, said }) => {
    expect(await start('--trace', trace('bad.csv', text))).toMatchObject({
      status: 2,
      stderr: expect.stringContaining(said),
    });
  });
});
