import { describe, expect, it } from 'vitest';
import { workingDay } from '../../sandbox/trace.ts';
import { BURST, played, playedOut, type RuleOfBreaker } from '../support/measured-cases.ts';

/**
 * What led to rules of today, through the real workflow: the figure that was measured then, what the rule of then gives in
 * the world of today, and what the rule of today gives.
 */
describe('while a zone refuses one launch in six, and another zone takes it a second later,', () => {
  it.each<{ boot: number; rule: RuleOfBreaker; median: number; was: string }>([
    { boot: 90, rule: 'opens at instant refusals', median: 108, was: '151 s when measured' },
    { boot: 90, rule: 'waits for other launches', median: 96, was: '99 s when measured' },
    { boot: 300, rule: 'opens at instant refusals', median: 558, was: '600 s when measured' },
    { boot: 300, rule: 'waits for other launches', median: 306, was: '309 s when measured' },
  ])(
    '40 jobs wait $median s in the median if the breaker $rule, with boots of $boot s ($was)',
    async (example) => {
      const { median, unused } = await played(BURST, example);
      expect(median).toBe(example.median);
      expect(unused).toBe(0);
    },
  );

  it('Launches Failing rings in none of the 544 minutes of a working day, not in 254 (324 when measured)', async () => {
    const day = await played(workingDay(1), { boot: 90, rule: 'waits for other launches' });
    expect(day).toMatchObject({ minutes: 544, launchesFailing: 0, launchesFailingBefore: 254, unused: 0 });
  });
});

describe('an outage on a working day, with a backlog above the maximum,', () => {
  it.each([
    { outage: 'the Launch process is suspended' as const },
    { outage: 'CircleCI hands out no tasks' as const },
  ])('is not called saturated, as it was with 68 tasks waiting: $outage', async ({ outage }) => {
    const { waiting, atMaximum, rung } = await playedOut(outage);
    expect(waiting).toBeGreaterThan(68);
    expect(atMaximum).toBe(0);
    expect(rung).not.toHaveProperty('Saturated');
    const heading = outage === 'CircleCI hands out no tasks' ? 'Tasks Not Handed Out' : 'Starving';
    expect(rung[heading]?.[0]).toBeGreaterThan(0);
    expect(rung[heading]?.[0]).toBeLessThanOrEqual(15);
  });

  it('200 jobs without any capacity try 61 launches in 90 minutes, not 3,583, with the breaker open', async () => {
    const { launches, rung } = await playedOut('no capacity, of Spot or On-Demand');
    expect(launches).toBe(61);
    expect(rung['Breaker Open']?.[0]).toBeLessThanOrEqual(5);
    expect(rung).toHaveProperty('Launches Failing');
  });
});
