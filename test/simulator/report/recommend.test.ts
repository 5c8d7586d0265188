import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../../simulator/outcome.ts';
import {
  type Candidate,
  named,
  paretoFront,
  recommend,
  recommendFound,
} from '../../../simulator/report/recommend.ts';
import { simulateOne } from '../../../simulator/simulate.ts';
import { WORLD } from '../../../simulator/world.ts';
import { MORNING } from './reports.ts';

const TUTORIAL = simulateOne(MORNING, { name: 'circleci-tutorial', parameters: {}, maxReplicas: 100 }, WORLD);

/** The outcome of settings, by what is chosen by: mean and p95 wait, instance-hours, jobs killed. */
function candidate(
  set: string[],
  mean: number,
  p95: number,
  instanceHours: number,
  jobsKilled = 0,
): Candidate {
  const waitSeconds = { ...TUTORIAL.waitSeconds, mean, p95 };
  return { set, outcome: { ...TUTORIAL, waitSeconds, instanceHours, jobsKilled } };
}

const tutorial: Outcome = candidate([], 120, 150, 100).outcome;
const asGiven = candidate([], 98, 110, 100);

const choose = (...others: Candidate[]) => recommend(asGiven, others, tutorial, 'instance-hours');

describe('recommend', () => {
  it.each([
    {
      what: 'keeps the settings if they are the best',
      others: [candidate(['a=1'], 99, 110, 100)],
      chosen: [],
    },
    { what: 'takes the shorter wait', others: [candidate(['a=1'], 50, 90, 109)], chosen: ['a=1'] },
    { what: 'rejects settings that cost too much', others: [candidate(['a=1'], 50, 90, 111)], chosen: [] },
    {
      what: 'measures the cost against the cheapest settings that qualify',
      others: [candidate(['a=1'], 110, 140, 80), candidate(['b=1'], 105, 120, 87)],
      chosen: ['b=1'],
    },
    { what: 'rejects settings that kill a job', others: [candidate(['a=1'], 50, 90, 90, 1)], chosen: [] },
    {
      what: 'rejects a longer wait at the 95th percentile',
      others: [candidate(['a=1'], 50, 151, 90)],
      chosen: [],
    },
    { what: 'rejects a longer mean wait', others: [candidate(['a=1'], 121, 120, 80)], chosen: [] },
    {
      what: 'takes the cheaper of two with the same wait',
      others: [candidate(['a=1'], 50, 90, 105), candidate(['b=1'], 50, 90, 104)],
      chosen: ['b=1'],
    },
  ])('$what', ({ others, chosen }) => {
    expect(choose(...others).chosen.set).toEqual(chosen);
  });

  it.each([
    { price: 'a known price', image: 0.856, said: 'Its builds and snapshots are $0.86 a month of the cost.' },
    { price: 'no price', image: undefined, said: 'Its builds and snapshots cost extra.' },
  ])('says what an image costs with $price of the instances', ({ image, said }) => {
    const { set, outcome } = candidate(['image.build=weekly'], 50, 90, 90);
    const cost = image && { instances: 90, volumes: 1, scaler: 3, image, total: 94.86 };
    const { reasons } = choose({ set, outcome: { ...outcome, ...(cost && { cost }) } });
    expect(reasons.at(-1)).toContain(said);
    expect(choose(candidate(['a=1'], 50, 90, 90)).reasons.join(' ')).not.toContain('Image Builder');
  });

  it("states wait and cost against the current settings and CircleCI's tutorial", () => {
    const { headline, reasons } = choose(candidate(['a=1', 'b=2'], 49, 90, 105));
    expect(headline).toBe(
      'With a=1 and b=2, jobs wait 49.0 s on average instead of 98.0 s, for 105 instance-hours (+5.0 %).',
    );
    expect(reasons.join(' ')).toContain('wait 120 s on average, 95 % of them at most 150 s');
    expect(reasons.join(' ')).toContain('Of the 2 settings tried, 2 are no worse');
  });

  it('mentions a shorter wait for a slightly higher cost', () => {
    const { chosen, reasons } = choose(candidate(['a=1'], 20, 40, 124), candidate(['b=1'], 1, 2, 126));
    expect(chosen).toBe(asGiven);
    const more = reasons.filter((reason) => reason.startsWith('A higher cost'));
    expect(more).toEqual([
      'A higher cost shortens the wait: with a=1, jobs wait 20.0 s on average, for 124 instance-hours (+24 %).',
    ]);
  });

  it('says what an image costs and when it counts', () => {
    const { reasons } = choose(candidate(['image.build=weekly'], 50, 90, 90));
    expect(reasons.at(-1)).toContain('Until the first build has succeeded');
    expect(choose(candidate(['a=1'], 50, 90, 90)).reasons.join()).not.toContain('Image Builder');
  });

  it('names reuse as an alternative only, with what it gives up', () => {
    const reuse = candidate(['reuse=continuous', 'idleTimeout=60s'], 50, 90, 90);
    const { chosen, reasons, rule } = choose(reuse, candidate(['a=1'], 60, 90, 90));
    expect(chosen.set).toEqual(['a=1']);
    expect(reasons).toContain(
      'If jobs may share a machine: with reuse=continuous and idleTimeout=60s, jobs wait 50.0 s on average, for 90.0 instance-hours (same). A job then finds what earlier jobs left.',
    );
    expect(reasons.join(' ')).toContain('Of the 2 settings tried that give each job a clean machine');
    expect(rule).toContain('clean machine');
    // Not if it is no better, kills jobs, or costs much more.
    for (const other of [
      [61, 90, 90],
      [50, 90, 120],
      [50, 90, 90, 1],
    ] as const) {
      const [mean, p95, hours, killed] = other;
      const without = choose(
        candidate(['reuse=continuous'], mean, p95, hours, killed),
        candidate(['a=1'], 60, 90, 90),
      );
      expect(without.reasons.join(' ')).not.toContain('share a machine');
    }
  });

  it('warns that reuse gives up clean machines, if the fleet reuses its runners', () => {
    const reuse = candidate(['reuse=continuous', 'idleTimeout=60s'], 50, 90, 90);
    const { chosen, reasons } = recommend(asGiven, [reuse], tutorial, 'instance-hours', true);
    expect(chosen).toBe(reuse);
    expect(reasons.at(-1)).toContain('what earlier jobs left');
    expect(choose(candidate(['a=1'], 50, 90, 90)).reasons.at(-1)).not.toContain('what earlier jobs left');
  });

  it('recommends nothing if everything is worse', () => {
    const { chosen, headline } = recommend(
      asGiven,
      [],
      candidate([], 90, 100, 100).outcome,
      'instance-hours',
    );
    expect(chosen).toBe(asGiven);
    expect(headline).toContain('Nothing can be recommended');
  });
});

describe('the result of a search', () => {
  const search = {
    goal: 'a p95 wait of 30 s',
    tried: Array.from({ length: 56 }, () => asGiven),
    share: 0.5,
    set: ['a=1'],
  };
  const found = candidate(['a=1'], 20, 29, 200);

  it.each([
    { met: { training: true, rest: true }, said: 'meet it on the first part of the trace, and on the rest' },
    {
      met: { training: true, rest: false },
      said: 'but not on the rest, which this page shows: the two parts differ',
    },
    { met: { training: false, rest: false }, said: 'None of the settings tried meets it' },
  ])('is recommended whatever it costs, with whether it meets the goal: $met', ({ met, said }) => {
    const { chosen, reasons, rule } = recommendFound(asGiven, found, tutorial, 'instance-hours', {
      ...search,
      met,
    });
    expect(chosen).toBe(found);
    expect(reasons[0]).toContain('The goal was a p95 wait of 30 s.');
    expect(reasons[0]).toContain(said);
    expect(rule).toContain('The search tried 56 settings on the first 50 % of the time');
  });
});

describe('the Pareto front', () => {
  it('has the cheapest candidate, and each more expensive one with a shorter wait', () => {
    const all = [
      candidate(['a'], 50, 90, 100),
      candidate(['b'], 60, 90, 100),
      candidate(['c'], 50, 90, 110),
      candidate(['d'], 40, 90, 120),
      candidate(['e'], 70, 90, 90),
    ];
    expect(paretoFront(all, 'instance-hours').map(({ set }) => set.join())).toEqual(['e', 'a', 'd']);
    expect(paretoFront([], 'instance-hours')).toEqual([]);
  });
});

describe('settings in a sentence', () => {
  it.each([
    [[], 'the current settings'],
    [['a=1'], 'a=1'],
    [['a=1', 'b=2'], 'a=1 and b=2'],
    [['a=1', 'b=2', 'c=3'], 'a=1, b=2 and c=3'],
  ])('%j', (set, said) => {
    expect(named({ ...asGiven, set })).toBe(said);
  });
});
