import { readFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { PEERS } from '../../simulator/peers.ts';
import { runInProcess } from '../support/in-process.ts';
import { HEADER, traceFolder } from '../support/trace-files.ts';

const trace = traceFolder();

const simulate = (...words: string[]) => runInProcess('simulate', words);

describe('npm run simulate', () => {
  it('prints one JSON object: the trace, and each policy with the keys of npm start', async () => {
    const file = trace('two.csv', `${HEADER}10,60\n10,120\n`);
    const { stdout } = await simulate('--json', '--trace', file, '--policies', 'ours,circleci-tutorial');
    const { trace: about, policies } = JSON.parse(stdout);
    expect(about).toEqual({
      source: file,
      form: 'seconds',
      jobs: 2,
      jobHours: 0.1,
      spanHours: 0,
      leftOut: [],
      fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/),
    });
    expect(policies.map(({ policy }: { policy: string }) => policy)).toEqual(['ours', 'circleci-tutorial']);
    // npm start prints these keys for the same trace; there are more.
    expect(policies[0]).toMatchObject({
      jobs: 2,
      jobHours: 0.05,
      waitSeconds: { mean: 143, p50: 143, p90: 143, p95: 143, p99: 143, max: 143 },
      waitParts: { seen: 50, launch: 3, boot: 90, claim: 0, capacity: 0 },
      instanceHours: 0.108,
      overhead: 1.167,
      launches: 2,
      warmLaunches: 0,
      unusedLaunches: 0,
      ghostLaunches: 0,
      jobsKilled: 0,
      peakInstances: 2,
      executions: { succeeded: 5, failed: 0 },
    });
  });

  it('shows a row for each policy, in 80 columns, without colours if there is no terminal', async () => {
    const { stdout } = await simulate('--workload', 'flapping');
    expect(stdout).toBe(stripVTControlCharacters(stdout));
    for (const name of ['ours', ...PEERS.map((peer) => peer.name)]) expect(stdout).toContain(`\n${name} `);
    const rows = stdout.split('\n').slice(2, -3);
    expect(Math.max(...rows.map((row) => row.length))).toBeLessThanOrEqual(80);
  });

  it('prints the table of the README', async () => {
    const [, block = ''] = /```text\n(policy [\s\S]*?)```/.exec(readFileSync('README.md', 'utf8')) ?? [];
    const { stdout } = await simulate();
    expect(block.split('\n').length).toBeGreaterThan(5);
    for (const row of block.trim().split('\n')) expect(stdout).toContain(`${row}\n`);
    const tuned = await simulate('--set', 'warmPool.size=auto', 'reuse=continuous', 'idleTimeout=120s');
    expect(tuned.stdout).toMatch(/^ours +18\.0 .* 242 +164 +0$/m);
  });

  it('says what a month stands for, and what a day and a job cost', async () => {
    const words = ['--trace', trace('day.csv', `${HEADER}0,3600\n7200,3600\n`), '--policies', 'ours'];
    const { stdout } = await simulate(...words);
    const [replayed] = JSON.parse((await simulate(...words, '--json')).stdout).policies;
    const { perDay, perJob, days } = replayed.costReplayed;
    expect({ days, perJob }).toEqual({ days: 1, perJob: expect.closeTo(perDay / 2, 3) });
    expect(perDay * 22).toBeCloseTo(replayed.cost.total, 0);
    const is = '22 days like this one, without the hours between them (nights, weekends)';
    expect(replayed.month).toEqual({ days: 22, hours: expect.closeTo(22 * replayed.replayedHours, 0), is });
    expect(stdout).toContain(
      `A month is ${is}. ours cost ${perDay.toFixed(2)} for the day replayed, ${perJob} for each job.`,
    );
    const week = await simulate('--workload', 'weekly', '--policies', 'ours');
    expect(week.stdout).toMatch(
      /A month is 730 hours like the 16\d\.\d replayed\. ours cost [\d.]+ for each of the 7 days/,
    );
  });

  it('says in seconds or minutes how long a short trace is', async () => {
    const words = ['--trace', trace('short.csv', `${HEADER}0,30\n20,40\n300,12\n`), '--policies', 'ours'];
    expect((await simulate(...words)).stdout).toContain(
      'short.csv: 3 jobs, 82 s of work in 5 minutes; at most',
    );
  });

  it('counts as many days of a trace of 720 hours for what a day costs as for the interval', async () => {
    const jobs = Array.from({ length: 721 }, (_, hour) => `${hour * 3_600},300\n`);
    const { stdout } = await simulate(
      '--trace',
      trace('month.csv', `${HEADER}${jobs.join('')}`),
      '--policies',
      'ours',
    );
    expect(stdout).toContain('for each of the 30 days replayed');
    expect(stdout).toContain('by drawing the 30 days again');
  });

  it('says that the month of some days may have too few weekends or too many', async () => {
    const file = trace('days.csv', `${HEADER}0,3600\n${2 * 86_400},3600\n`);
    const { stdout } = await simulate('--trace', file, '--policies', 'ours');
    expect(stdout).toMatch(
      /A month is 730 hours like the 49\.\d replayed, which are less than a week: weekends may count too little or too much\./,
    );
  });

  it('costs about as much a month on either half of a day as on the whole', async () => {
    const words = ['--workload', 'flapping', '--json'];
    const { policies } = JSON.parse((await simulate(...words, '--policies', 'ours')).stdout);
    const { optimised } = JSON.parse(
      (await simulate(...words, '--optimise', '--max-wait-mean', '900')).stdout,
    );
    for (const [ours] of [optimised.training, optimised.rest]) {
      expect(ours.cost.total / policies[0].cost.total).toBeCloseTo(1, 0.3);
      expect(ours.month).toMatchObject({
        days: 22,
        is: expect.stringContaining('(50 % of it is replayed)'),
      });
    }
    const said = await simulate('--workload', 'flapping', '--optimise', '--max-wait-mean', '900');
    expect(said.stdout).toContain('On the rest, a month is 22 days like this one');
  });

  it('says how sure its figures are, or that there are too few days to say so', async () => {
    const { stdout } = await simulate('--policies', 'ours,mro');
    const printed = JSON.parse((await simulate('--policies', 'ours,mro', '--json')).stdout).policies;
    const { waitSeconds, cost } = printed[0].interval;
    expect(waitSeconds.mean[0]).toBeLessThan(printed[0].waitSeconds.mean);
    expect(waitSeconds.mean[1]).toBeGreaterThan(printed[0].waitSeconds.mean);
    const [low, high] = waitSeconds.mean.map((value: number) => value.toFixed(1));
    const [least, most] = cost.total.map((value: number) => value.toFixed(0));
    expect(stdout).toContain(
      `90 % interval of ours, by drawing the 7 days again at random: jobs wait ${low} to ${high} s on average, and cost ${least} to ${most} USD a month.`,
    );
    expect(printed[1].interval.days).toBe(7);
    const short = await simulate('--workload', 'flapping', '--policies', 'ours');
    expect(short.stdout).toContain('that takes 5 days, and the trace has one.');
    const years = trace('years.csv', `${HEADER}0,60\n200000000,60\n`);
    const long = await simulate('--trace', years, '--policies', 'ours');
    expect(long.stdout.replaceAll('\n', ' ')).toContain(
      'a trace of more than 1000 days is not split into days.',
    );
  });

  it('gives dates and a time zone to a trace without dates', async () => {
    const file = trace('dated.csv', `${HEADER}0,60\n7200,60\n`);
    const words = ['--json', '--trace', file, '--policies', 'ours', '--starts-at', '2026-01-05T21:30:00Z'];
    const daysOf = async (...more: string[]) => {
      const [ours] = JSON.parse((await simulate(...words, ...more)).stdout).policies;
      return ours.days.map(({ day, jobs }: { day: string; jobs: number }) => [day, jobs]);
    };
    expect(await daysOf()).toEqual([['2026-01-05', 2]]);
    expect(await daysOf('--time-zone', 'Europe/Berlin')).toEqual([
      ['2026-01-05', 1],
      ['2026-01-06', 1],
    ]);
  });

  it('refuses to move a trace that has dates', async () => {
    const job = {
      created_at: '2026-01-05T08:00:00Z',
      started_at: '2026-01-05T08:01:00Z',
      completed_at: '2026-01-05T08:03:00Z',
    };
    const file = trace('github.json', JSON.stringify([job]));
    const { status, stderr } = await simulate('--trace', file, '--starts-at', '2026-01-06');
    expect(status).toBe(2);
    expect(stderr).toContain('this one begins at 2026-01-05T08:00:00.000Z: leave --starts-at out');
  });

  it('uses threads for long replays, with the same result', async () => {
    const rows = Array.from({ length: 26_000 }, (_, number) => `${number},60\n`);
    const file = trace('many.csv', `${HEADER}${rows.join('')}`);
    const alone = await simulate('--json', '--trace', file, '--policies', 'circleci-tutorial');
    const both = await simulate('--json', '--trace', file, '--policies', 'mro,circleci-tutorial');
    expect(JSON.parse(both.stdout).policies[1]).toEqual(JSON.parse(alone.stdout).policies[0]);
  });

  it('applies --boot, --warm-boot and --set', async () => {
    const file = trace('one.csv', `${HEADER}0,60\n`);
    const words = [
      '--boot',
      '40',
      '--set',
      'pollInterval=20s',
      'quietPollInterval=20',
      '--set',
      'webhook.delay=7',
    ];
    const { stdout } = await simulate('--json', '--trace', file, ...words, '--policies', 'ours,webhook');
    const waits = JSON.parse(stdout).policies.map((policy: { waitSeconds: object }) => policy.waitSeconds);
    expect(waits).toMatchObject([{ max: 43 }, { max: 50 }]);
  });

  it('applies --image-boot and --image-warm-boot to ours with an image that is built', async () => {
    const file = trace('later.csv', `${HEADER}0,60\n600,60\n`);
    const words = [
      '--json',
      '--trace',
      file,
      '--policies',
      'ours,mro',
      '--image-boot',
      '30',
      '--image-warm-boot',
      '9',
    ];
    const waits = async (...set: string[]) => {
      const { policies } = JSON.parse((await simulate(...words, ...set)).stdout);
      return policies.map(({ waitParts }: { waitParts: { boot: number } }) => waitParts.boot);
    };
    expect(await waits()).toEqual([90, 90]);
    expect(await waits('--set', 'image.build=weekly')).toEqual([30, 90]);
    expect(await waits('--set', 'image.build=weekly', 'warmPool.size=3')).toEqual([9, 90]);
  });

  it('says of a fault that it begins after the last job is queued', async () => {
    const file = trace('day.csv', `${HEADER}0,60\n7200,60\n`);
    const words = ['--trace', file, '--policies', 'ours', '--fault', 'outage=1h..9h'];
    const { stderr } = await simulate(...words, 'boot-failures=100%@3h..4h', 'dead-instances=5%');
    expect(stderr.replaceAll('\n', ' ')).toContain(
      '--fault boot-failures=100%@3h..4h begins after the last job is queued (2.0 h after the start), so it changes little or nothing.',
    );
    expect(stderr).not.toContain('--fault outage');
    expect(stderr).not.toContain('--fault dead-instances');
  });

  it.each([[], ['--workflow']])(
    'ends tasks that nobody runs with the last job, because other instances would launch forever: %j',
    async (...how) => {
      const file = trace('two.csv', `${HEADER}0,60\n7200,60\n`);
      const words = ['--trace', file, '--policies', 'ours', '--set', 'minReplicas=2', '--json', ...how];
      const played = async (...fault: string[]) => {
        const { stdout } = await simulate(...words, ...fault);
        return JSON.parse(stdout).policies[0].instanceHours;
      };
      const without = await played();
      const withThem = await played('--fault', 'phantom-tasks=4');
      expect(withThem).toBeGreaterThan(without);
      // At most 4 more instances for the 2 hours, and for the hour in which each may be idle.
      expect(withThem - without).toBeLessThan(4 * 3);
      expect(await played('--fault', 'phantom-tasks=4@1h..9h')).toBeLessThan(without + 4 * 2);
    },
  );

  it('says that --image-boot changes nothing without an image that is built', async () => {
    const words = ['--workload', 'flapping', '--policies', 'ours', '--image-boot', '30'];
    const said = async (...more: string[]) => {
      const { status, stderr } = await simulate(...words, ...more);
      return { status, stderr: stderr.replaceAll('\n', ' ') };
    };
    expect(await said()).toMatchObject({
      status: 0,
      stderr: expect.stringContaining(
        '--image-boot changes nothing, because no image is built: add --set image.build=weekly.',
      ),
    });
    expect((await said('--set', 'image.build=weekly')).stderr).not.toContain('changes nothing');
  });

  it('replays the rest of a trace with what was learned on its first part', async () => {
    const words = [
      '--json',
      '--workload',
      'flapping',
      '--set',
      'spareRunners=auto',
      '--policies',
      'ours,mro',
    ];
    const replayed = async (...more: string[]) => JSON.parse((await simulate(...words, ...more)).stdout);
    const cold = await replayed();
    const warm = await replayed('--learned', 'warm', '--train', '0.7');
    const { stderr } = await simulate(...words.slice(1), '--learned', 'warm', '--train', '0.7');
    expect(stderr).toContain(
      '--learned warm: ours began with what it has learned on the first 70 % of the trace, and the figures are of the rest. Other policies learn nothing.',
    );
    expect(warm.trace.jobs).toBeLessThan(cold.trace.jobs / 2);
    expect(warm.policies.map(({ jobs }: { jobs: number }) => jobs)).toEqual([
      warm.trace.jobs,
      warm.trace.jobs,
    ]);
    expect(warm.policies[0].waitSeconds.mean).toBeLessThan(cold.policies[0].waitSeconds.mean);

    const found = [
      '--json',
      '--workload',
      'flapping',
      '--optimise',
      '--set',
      'spareRunners=auto',
      'image=ubuntu',
      'warmPool={size: 1}',
      'reuse=single-task',
      'headroom=0',
      'minReplicas=0',
      'pollInterval=5s',
      'quietPollInterval=5s',
      'idleTimeout=5m',
    ];
    const search = async (...more: string[]) =>
      JSON.parse((await simulate(...found, ...more)).stdout).optimised;
    const [before, after] = [await search(), await search('--learned', 'warm')];
    expect(after.training).toEqual(before.training);
    expect(after.rest[0].waitSeconds.mean).toBeLessThan(before.rest[0].waitSeconds.mean);
    expect(after.rest[2]).toEqual(before.rest[2]);
  });

  it('refuses --learned warm with --workflow', async () => {
    const { status, stderr } = await simulate('--workload', 'quiet-night', '--learned', 'warm', '--workflow');
    expect(status).toBe(2);
    expect(stderr).toContain('--learned warm cannot be combined with --workflow');
  });

  it('uses the settings of a fleet, and its maxReplicas for all policies', async () => {
    const file = trace('many-at-once.csv', `${HEADER}${'0,60\n'.repeat(30)}`);
    const { stdout } = await simulate(
      '--json',
      '--trace',
      file,
      '--fleet',
      'example',
      '--policies',
      'ours,mro',
    );
    const peaks = JSON.parse(stdout).policies.map(
      (policy: { peakInstances: number }) => policy.peakInstances,
    );
    expect(peaks).toEqual([20, 20]);
  });

  it('prints on standard error what it has left out', async () => {
    const job = { created_at: '2026-01-05T08:00:00Z', started_at: '2026-01-05T08:01:00Z' };
    const text = JSON.stringify([
      { ...job, completed_at: '2026-01-05T08:03:00Z' },
      { ...job, completed_at: null },
    ]);
    const { stderr } = await simulate(
      '--trace',
      trace('github.json', text),
      '--policies',
      'circleci-tutorial',
    );
    expect(stderr).toContain('Left out: 1 that had not ended');
  });

  it('runs ours through the real state machine as well', async () => {
    const file = trace('short.csv', `${HEADER}0,60\n`);
    const { stdout } = await simulate('--json', '--trace', file, '--policies', 'ours', '--workflow');
    const [replayed, real] = JSON.parse(stdout).policies;
    expect(real).toMatchObject({ policy: 'ours (workflow)', instanceHours: replayed.instanceHours });
  });

  it('prints the same bytes for the same seed, and others for another seed', async () => {
    const runs = await Promise.all(
      ['7', '7', '8'].map((seed) => simulate('--json', '--workload', 'fan-out', '--seed', seed)),
    );
    const [first, again, other] = runs.map(({ stdout }) => stdout);
    expect(first).toBe(again);
    expect(first).not.toBe(other);
  });

  it.each([
    { words: ['--workload', 'nope'], said: ['nope', 'quiet-night'] },
    { words: ['--workload', 'weekly', '--trace', 'x.csv'], said: ['--workload', '--trace'] },
    {
      words: ['--trace', 'x.csv', '--seed', '2'],
      said: ['--seed only works with a generated trace or --fault'],
    },
    { words: ['--seed', '1.5'], said: ["'1.5'", 'whole number'] },
    { words: ['--boot', '-1'], said: ["'-1'", 'from 0s to 1h'] },
    { words: ['--warm-boot', 'x'], said: ["'x'", 'from 0s to 1h'] },
    { words: ['--policies', 'ours,mor'], said: ['"mor"', 'mro'] },
    { words: ['--fleet', 'nope'], said: ['"nope"', 'example'] },
    { words: ['--set', 'pollInterval'], said: ['key=value', '"pollInterval"'] },
    { words: ['--set', 'pollInterval=99'], said: ['\n  pollInterval: ', 'from 1s to 1m', 'got 99'] },
    { words: ['--set', 'nosuch=1'], said: ['\n  nosuch: is not a setting'] },
    { words: ['--set', 'polInterval=9'], said: ['polInterval', 'pollInterval'] },
    { words: ['--set', 'tags={a'], said: ['--set tags={a', 'as in fleets.yaml'] },
    { words: ['--set', 'maxReplicas=1', 'minReplicas=2'], said: ['must be at least minReplicas (2), got 1'] },
    { words: ['--set', 'mro.hedroom=1'], said: ['mro has the parameters', 'the nearest one is headroom'] },
    { words: ['--set', 'mro.headroom=-1'], said: ['mro.headroom', 'at least 0, got "-1"'] },
    { words: ['--set', 'mro.pollInterval=0'], said: ['mro.pollInterval', 'at least 1s:', 'got "0"'] },
    { words: ['--set', 'mro.idleTimeout=5 minutes'], said: ['mro.idleTimeout', '1h30m', 'got "5 minutes"'] },
    { words: ['--policies', 'ours,seed'], said: ['seed', 'circleci-tutorial'] },
    { words: ['--set', 'seed.idleTimeout=30'], said: ['seed', 'circleci-tutorial'] },
    {
      words: ['--set', 'mro.headroom=1', '--policies', 'circleci-tutorial'],
      said: ['mro is not among --policies'],
    },
    { words: ['--trace', '/nowhere.csv'], said: ['/nowhere.csv', 'cannot be read'] },
    { words: ['--starts-at', '2026-01-05'], said: ['--starts-at needs --trace'] },
    { words: ['--starts-at', 'monday'], said: ["'monday'", 'such as 2026-01-05'] },
    { words: ['--time-zone', 'Mars/Crater'], said: ["'Mars/Crater'", 'Europe/Berlin'] },
    { words: ['--trase', 'x'], said: ['--trase', '--trace'] },
  ])('says what is wrong and what is allowed, and exits with 2: $words', async ({ words, said }) => {
    const { status, stdout, stderr } = await simulate(...words);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    for (const part of said) expect(stderr).toContain(part);
  });
});
