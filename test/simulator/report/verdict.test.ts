import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PEERS } from '../../../simulator/peers.ts';
import { POLICY_NAMES } from '../../../simulator/report/policy-links.ts';
import type { Candidate, ReportedSearch } from '../../../simulator/report/recommend.ts';
import { verdictOf } from '../../../simulator/report/verdict.ts';
import { simulateOne } from '../../../simulator/simulate.ts';
import { WORLD } from '../../../simulator/world.ts';
import { MORNING } from './reports.ts';

const TUTORIAL = simulateOne(MORNING, { name: 'circleci-tutorial', parameters: {}, maxReplicas: 100 }, WORLD);

function candidate(set: string[], mean: number, instanceHours: number, jobsKilled = 0): Candidate {
  const waitSeconds = { ...TUTORIAL.waitSeconds, mean };
  return { set, outcome: { ...TUTORIAL, waitSeconds, instanceHours, jobsKilled } };
}

const current = candidate([], TUTORIAL.waitSeconds.mean, 100);
const verdict = (asGiven: Candidate, chosen: Candidate, search?: ReportedSearch) =>
  Object.fromEntries(
    verdictOf(asGiven, chosen, TUTORIAL, 'instance-hours', search).map(({ what, text }) => [what, text]),
  );
const searched = (training: boolean, rest: boolean): ReportedSearch => ({
  goal: 'a p95 wait of 30 s',
  tried: [],
  share: 0.5,
  set: ['a=1'],
  met: { training, rest },
});

describe('the verdict of a report', () => {
  it('says what to change, and how much less a job waits and how much more it costs', () => {
    const better = candidate(['a=1', 'b=2'], TUTORIAL.waitSeconds.mean - 40, 110);
    expect(verdict(current, better)).toEqual({
      Goal: "Met with the current settings: no job is killed, and jobs wait no longer than with CircleCI's tutorial.",
      Change: 'Set a=1 and b=2.',
      Wait: '40.0 s less for a job, on average.',
      Cost: '10.0 instance-hours more, if all days are like these.',
      'How sure':
        'No interval: it needs at least 5 days, and these jobs have one. One unusual day decides the figures.',
    });
  });

  it('says of years of jobs that they are not split into days', () => {
    const better = candidate(['a=1'], TUTORIAL.waitSeconds.mean - 40, 110);
    const years = ({ set, outcome }: Candidate) => ({ set, outcome: { ...outcome, days: [] } });
    expect(verdict(years(current), years(better))['How sure']).toBe(
      'No interval: jobs of more than 1000 days are not split into days.',
    );
  });

  it('says what is saved, and what stays the same', () => {
    const cheaper = candidate(['a=1'], TUTORIAL.waitSeconds.mean, 60);
    const { Wait, Cost } = verdict(current, cheaper);
    expect([Wait, Cost]).toEqual([
      'The same for a job, on average.',
      '40.0 instance-hours less, if all days are like these.',
    ]);
  });

  it('changes nothing if the current settings are recommended', () => {
    expect(Object.keys(verdict(current, current))).toEqual(['Goal', 'Change', 'How sure']);
    expect(verdict(current, current).Change).toBe('Nothing. Keep the current settings.');
  });

  it('says how sure the change is, over days that are drawn again', () => {
    const week = (set: string[], mean: number, instanceHours: number): Candidate => {
      const { outcome } = candidate(set, mean, 7 * instanceHours);
      const days = [1, 2, 3, 4, 5, 6, 7].map((day) => ({
        day,
        hours: 24,
        jobs: 10,
        waitSeconds: { mean: mean + day, p95: mean },
        instanceHours: instanceHours + day,
        cost: 10,
      }));
      return { set, outcome: { ...outcome, days, replayedHours: 7 * 24 } };
    };
    const before = week([], TUTORIAL.waitSeconds.mean, 20);
    const sure = verdict(before, week(['a=1'], TUTORIAL.waitSeconds.mean - 8, 22))['How sure'];
    expect(sure).toBe(
      'If the 7 days are drawn again at random, the wait is 8.0 s less, and the cost 14.0 instance-hours more in 90 % of the draws.',
    );
    expect(verdict(before, before)['How sure']).toMatch(
      /^If the 7 days are drawn again at random, jobs wait [\d.]+ to [\d.]+ s on average, for [\d.]+ to [\d.]+ instance-hours in 90 % of the draws\.$/,
    );
  });

  it.each([
    { what: 'waits longer', given: candidate([], 10_000, 100), says: 'jobs wait longer than' },
    { what: 'kills jobs', given: candidate([], 1, 100, 7), says: '7 running jobs are killed' },
  ])('misses the baseline if the fleet $what', ({ given, says }) => {
    const [goal] = verdictOf(given, current, TUTORIAL, 'instance-hours', undefined);
    expect(goal).toMatchObject({ isGood: false, text: expect.stringContaining(says) });
  });

  it.each([
    { training: true, rest: true, isGood: true, says: 'Met: a p95 wait of 30 s, on days that' },
    { training: true, rest: false, isGood: false, says: 'not on the days that this page shows' },
    { training: false, rest: false, isGood: false, says: 'No setting that was tried meets it' },
  ])('says of a goal whether it is met: $training, $rest', ({ training, rest, isGood, says }) => {
    const [goal] = verdictOf(current, current, TUTORIAL, 'instance-hours', searched(training, rest));
    expect(goal).toMatchObject({ isGood, text: expect.stringContaining(says) });
  });
});

describe('the names and links of the policies', () => {
  it('has links of docs/alternatives.md', () => {
    const page = readFileSync('docs/alternatives.md', 'utf8');
    for (const [name, { url }] of Object.entries(POLICY_NAMES)) {
      if (url === undefined) continue;
      expect(page).toMatch(new RegExp(`^\\| \`${name}\` \\| .*\\(${url.replaceAll('.', '\\.')}\\)`, 'm'));
    }
  });

  it('are there for every policy', () => {
    const without = PEERS.map(({ name }) => name).filter((name) => POLICY_NAMES[name]?.url === undefined);
    expect(without).toEqual([]);
  });
});
