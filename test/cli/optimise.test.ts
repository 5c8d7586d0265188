import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { asYaml } from '../../cli/replays/optimise.ts';
import { WAITING_COST } from '../../fleets/effective.ts';
import { runInProcess } from '../support/in-process.ts';
import { firstHours, traceFolder } from '../support/trace-files.ts';

const trace = traceFolder();

const simulate = (...words: string[]) =>
  runInProcess('simulate', ['--trace', trace('flapping.csv', firstHours('flapping')), ...words]);

/** A morning of pipelines, in which reuse pays. */
const workingDay = (...words: string[]) =>
  runInProcess('simulate', ['--trace', trace('working-day.csv', firstHours('working-day')), ...words]);

const flapping = (...words: string[]) => runInProcess('simulate', ['--workload', 'flapping', ...words]);

let searched: ReturnType<typeof simulate> | undefined;
/** The search by the default price of waiting, which several tests look at. */
const searchedOnce = () => (searched ??= simulate('--json', '--optimise'));

describe('npm run simulate -- --optimise', () => {
  it('shows the first part, the rest, and the settings that meet the goal', async () => {
    const { stdout } = await simulate('--optimise', '--max-wait-p95', '60');
    expect(stdout).toBe(stripVTControlCharacters(stdout));
    expect(stdout).toMatch(
      /On the first 50 % of the trace:\npolicy .*\nours, current .*\nours, optimised .*\ncircleci-tutorial /,
    );
    expect(stdout).toMatch(
      /On the rest:\npolicy .*\nours, current .*\nours, optimised .*\ncircleci-tutorial /,
    );
    expect(stdout).toMatch(
      /settings tried: the settings found stay within a p95 wait of 60 s, on the rest as well\. In fleets\.yaml:\n\n {2}\w/,
    );
  });

  it('prints one JSON object with settings that --set accepts', async () => {
    const { stdout } = await flapping('--json', '--optimise', '--max-wait-p95', '60', '--train', '0.7');
    const { trace, optimised } = JSON.parse(stdout);
    expect(trace.source).toBe('flapping, seed 1');
    const keys = ['goal', 'met', 'set', 'tried', 'front', 'training', 'rest', 'intervalOfChange'];
    expect(Object.keys(optimised)).toEqual(keys);
    expect(optimised).toMatchObject({ goal: { maxWaitP95: 60 }, met: { training: true, rest: true } });
    const names = (part: { policy: string }[]) => part.map(({ policy }) => policy);
    expect(names(optimised.training)).toEqual(['ours, current', 'ours, optimised', 'circleci-tutorial']);
    expect(names(optimised.rest)).toEqual(names(optimised.training));
    expect(optimised.training[0].jobs + optimised.rest[0].jobs).toBe(trace.jobs);
    expect(optimised.training[0].jobs).toBeGreaterThan(optimised.rest[0].jobs);
    expect(optimised.training[1].waitSeconds.p95).toBeLessThanOrEqual(60);

    const again = await flapping('--json', '--policies', 'ours', '--set', ...optimised.set);
    expect(JSON.parse(again.stdout).policies[0].waitSeconds.p95).toBeLessThanOrEqual(60);
  });

  it('searches for the shortest wait within a budget, with the prices of --prices', async () => {
    const { stdout } = await simulate('--json', '--optimise', '--max-cost', '200');
    const { optimised } = JSON.parse(stdout);
    const [asGiven, found] = optimised.training;
    expect(optimised.met.training).toBe(true);
    // A limit is compared with the figures as they are shown.
    expect(Math.round(found.cost.total)).toBeLessThanOrEqual(200);
    expect(found.waitSeconds.p95).toBeLessThan(asGiven.waitSeconds.p95);
  });

  it('minimises the cost and the price of waiting, by default and within limits', async () => {
    const optimised = async (...words: string[]) =>
      JSON.parse((await simulate('--json', '--optimise', ...words)).stdout).optimised;
    const cheap = await optimised('--waiting-cost', '0');
    const usual = JSON.parse((await searchedOnce()).stdout).optimised;
    const dear = await optimised('--waiting-cost', '1000');
    expect(usual.goal).toEqual({ waitingCost: WAITING_COST });
    const figures = [cheap, usual, dear].map(({ training: [, found] }) => [
      found.cost.total,
      found.waitSeconds.mean,
    ]);
    expect(figures.map(([cost]) => cost)).toEqual(figures.map(([cost]) => cost).toSorted((a, b) => a - b));
    expect(figures.map(([, wait]) => wait)).toEqual(
      figures.map(([, wait]) => wait).toSorted((a, b) => b - a),
    );
    expect(figures[0]).not.toEqual(figures[2]);

    const limited = await optimised(
      '--max-wait-mean',
      '60',
      '--max-overhead',
      '900',
      '--max-cost',
      '900',
      '--max-wait-p95',
      '99',
    );
    expect(limited.goal).toEqual({
      maxWaitMean: 60,
      maxWaitP95: 99,
      maxCost: 900,
      maxOverhead: 9,
      waitingCost: WAITING_COST,
    });
    expect(limited.met.training).toBe(true);
    const [, found] = limited.training;
    expect(found.waitSeconds.mean).toBeLessThanOrEqual(60);
    expect(found.waitSeconds.p95).toBeLessThanOrEqual(99);
    expect(found.overhead).toBeLessThanOrEqual(9);
    expect(found.cost.total).toBeLessThanOrEqual(900);
  });

  it('reuses runners only with --isolation runner', async () => {
    // More spare runners would reach that goal on clean machines.
    const words = ['--json', '--optimise', '--max-wait-p95', '10', '--set', 'spareRunners={max: 1}'];
    const clean = JSON.parse((await simulate(...words)).stdout).optimised;
    expect(clean.met.training).toBe(false);
    expect(clean.set.join()).not.toContain('reuse');
    const reused = JSON.parse((await simulate(...words, '--isolation', 'runner')).stdout).optimised;
    expect(reused.met.training).toBe(true);
    expect(reused.set).toContain('reuse=continuous');
    expect(reused).toMatchObject({ noneIsClean: true });
    expect(reused).not.toHaveProperty('alternative');
    const said = await simulate(...words.slice(1), '--isolation', 'runner');
    expect(said.stdout.replaceAll(/\s+/g, ' ')).toContain(
      'No setting tried that gives each job a clean machine stays within a p95 wait of 10 s.',
    );
  });

  it('finds clean machines first if they meet the goal, and names reuse as an alternative', async () => {
    const { optimised } = JSON.parse(
      (await workingDay('--json', '--optimise', '--isolation', 'runner')).stdout,
    );
    const clean = JSON.parse((await workingDay('--json', '--optimise')).stdout).optimised;
    expect(optimised.set).toEqual(clean.set);
    expect(optimised).not.toHaveProperty('noneIsClean');
    const { set, givesUp, met } = optimised.alternative;
    expect(set).toContain('reuse=continuous');
    expect(givesUp).toContain('clean machines');
    expect(met).toEqual({ training: true, rest: true });
    for (const rows of [optimised.training, optimised.rest]) {
      const [, found, , reusing] = rows;
      expect([found.policy, reusing.policy]).toEqual(['ours, optimised', 'ours, with reuse']);
    }
    expect(optimised.training[3].sum).toBeLessThan(optimised.training[1].sum);
    const { waitSeconds, cost } = optimised.rest[3];
    const { stdout } = await workingDay('--optimise', '--isolation', 'runner');
    expect(stdout.replaceAll(/\s+/g, ' ')).toMatch(
      new RegExp(
        `Alternative, if jobs may share a machine: ${set.join(' ')}\\. On the rest, jobs wait ${waitSeconds.mean.toFixed(1)} s for ${cost.total.toFixed(0)} dollars a month, .* That gives up ${givesUp} `,
      ),
    );
  });

  it('says if reuse was tried and is no better', async () => {
    const words = ['--optimise', '--isolation', 'runner'];
    const { optimised } = JSON.parse((await simulate('--json', ...words)).stdout);
    expect(optimised).toMatchObject({ reuseIsNoBetter: true });
    expect((await simulate(...words)).stdout).toContain('Reuse was tried as well');
    const clean = JSON.parse((await searchedOnce()).stdout).optimised;
    expect(clean).not.toHaveProperty('reuseIsNoBetter');
  });

  it('still recommends reuse for a fleet that reuses its runners', async () => {
    const { stdout } = await simulate('--json', '--optimise', '--set', 'reuse=continuous', 'idleTimeout=60s');
    const { optimised } = JSON.parse(stdout);
    expect(optimised).not.toHaveProperty('alternative');
    expect(optimised).not.toHaveProperty('noneIsClean');
  });

  it('shows the Pareto front, on which shorter waits cost more and more', async () => {
    const { stdout } = await searchedOnce();
    const { front } = JSON.parse(stdout).optimised;
    expect(front.length).toBeGreaterThan(2);
    const [first, ...rest] = front.map(({ per10Seconds }: { per10Seconds: number | null }) => per10Seconds);
    expect(first).toBeNull();
    expect(rest).toEqual(rest.toSorted((a: number, b: number) => a - b));
    const limited = JSON.parse(
      (await simulate('--json', '--optimise', '--max-wait-p95', '90')).stdout,
    ).optimised;
    for (const { set, front: points } of [JSON.parse(stdout).optimised, limited])
      expect(points.filter(({ found }: { found?: true }) => found)).toMatchObject([{ set }]);
    const said = await simulate('--optimise');
    expect(said.stdout).toContain(' (found)');
    const [, cost, waiting, sum] =
      /(\d+) dollars a month for the cost and (\d+) for waiting are (\d+);/.exec(said.stdout) ?? [];
    expect(Math.abs(Number(cost) + Number(waiting) - Number(sum))).toBeLessThanOrEqual(1);
    expect(said.stdout).toMatch(
      /Pareto front .*:\n +[\d.]+ s for \d+ dollars a month: .*\n +[\d.]+ s for \d+ .*; 10 s less cost \d+: /,
    );
  });

  it('takes waitingCost of the fleet as its price of waiting', async () => {
    const { stdout } = await simulate('--json', '--optimise', '--set', 'waitingCost=5');
    const { goal, set } = JSON.parse(stdout).optimised;
    expect(goal).toEqual({ waitingCost: 5 });
    expect(set.join()).not.toContain('waitingCost');
  });

  it('keeps the settings of --set', async () => {
    const words = ['--set', 'reuse=single-task', 'headroom=0', '--max-wait-p95', '60'];
    const { stdout } = await simulate('--json', '--optimise', ...words);
    const { optimised } = JSON.parse(stdout);
    expect(optimised.set.join()).not.toMatch(/reuse|headroom/);
  });

  it('says so and exits with 1 if no settings meet the goal', async () => {
    expect(await simulate('--optimise', '--max-wait-p95', '0')).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('none of them stays within a p95 wait of 0 s; these come closest'),
    });
  });

  it.each([
    [
      ['--max-wait-p95', '30'],
      '--max-wait-p95 only works with --optimise: add that, or leave --max-wait-p95 out.',
    ],
    [['--max-cost', '30'], '--max-cost only works with --optimise'],
    [['--isolation', 'job'], '--isolation only works with --optimise'],
    [['--train', '0.7'], '--train only works with --optimise or --learned warm'],
    [['--optimise', '--workflow'], '--workflow only works with a replay without --optimise'],
    [['--optimise', '--policies', 'ours'], '--policies only works with a replay without --optimise'],
    [['--stack', 'other'], '--stack only works with --boot measured'],
    [['--region', 'eu-west-1'], '--region only works with --boot measured'],
    [['--optimise', '--isolation', 'none'], 'Allowed choices are job, runner'],
    [
      ['--optimise', '--isolation', 'job', '--set', 'reuse=continuous', 'idleTimeout=60s'],
      '--isolation job needs a fleet whose runners take one job',
    ],
    [['--optimise', '--set', 'instanceTypes=[x9.large]'], '--waiting-cost needs a price'],
    [['--optimise', '--max-wait-p95', 'soon'], 'It must be from 0s to 1d: a number of seconds'],
    [['--optimise', '--max-wait-p95', '30', '--train', '1'], 'It must be a number from 0.05 to 0.95'],
    [
      ['--optimise', '--max-cost', '30', '--set', 'instanceTypes=[x9.large]'],
      '--max-cost needs a price for the instance type: add it in a file for --prices',
    ],
  ])('refuses %j, and says what is allowed', async (words, said) => {
    expect(await simulate(...words)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining(said),
    });
  });
});

describe('settings as lines of fleets.yaml', () => {
  it.each([
    [[], {}],
    [['reuse=continuous', 'idleTimeout=30s'], { reuse: 'continuous', idleTimeout: '30s' }],
    [['warmPool.size=20', 'warmPool.state=hibernated'], { warmPool: { size: 20, state: 'hibernated' } }],
    [['headroom=25%'], { headroom: '25%' }],
  ])('%j', (set, settings) => {
    expect(parse(asYaml(set)) ?? {}).toEqual(settings);
  });
});
