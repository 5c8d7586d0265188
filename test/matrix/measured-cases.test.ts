import { describe, expect, it } from 'vitest';
import { workingDay } from '../../sandbox/trace.ts';
import { BURST, played, type RuleOfBreaker } from '../support/measured-cases.ts';

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
