import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { NEEDS_YOU, OUTAGE } from '../../sandbox/alarms.ts';
import { BACKLOGS, type Backlog, BEGINS, endOf, faultOutcomeOf } from '../../sandbox/fault-outcomes.ts';
import type { Fault } from '../../sandbox/faults/fault.ts';
import { FAULTS } from '../../sandbox/faults/faults.ts';
import { FAILURES } from '../../statemachine/failures.ts';
import { matrixRow } from '../../tools/fault-matrix.ts';

const KINDS: string[] = Object.values(FAILURES);
const NOTIFYING = [NEEDS_YOU, OUTAGE];

/** How long it may take until an alarm rings, and until it is over, in minutes. */
const SOON = 10;

/** One fault of each kind that `checkFaults` tells apart. `npm test` plays these, and `npm run test:matrix` all others. */
export const SAMPLE = [
  'CircleCI answers JSON cut short',
  'CircleCI answers 429, Retry-After 1 h, to every third request',
  'the secret is malformed',
  'SetDesiredCapacity is denied',
  'EC2 has no capacity',
  'EC2 takes Spot Instances back, after 10 minutes on average',
  '60 tasks of the class run on runners of somebody else',
  'a person pauses the fleet',
  'the workflow is not started',
].map((name) => {
  const fault = FAULTS.find((candidate) => candidate.name === name);
  if (fault === undefined) throw new Error(`There is no fault "${name}"`);
  return fault;
});

/** The others, in two halves: a worker plays each. */
export const othersThanSample = (half: 0 | 1): Fault[] =>
  FAULTS.filter((fault) => !SAMPLE.includes(fault)).filter((_, index) => index % 2 === half);

/** Checks what each of these faults leads to, and its row in docs/fault-matrix.md. */
export function checkFaults(faults: Fault[]): void {
  const runs = (Object.keys(BACKLOGS) as Backlog[]).flatMap((backlog) =>
    faults.map((fault) => ({ ...fault, fault, backlog })),
  );

  describe('a fleet, for half an hour, when', () => {
    it.each(runs)('$name, with a backlog $backlog the maximum', async ({ fault, backlog }) => {
      const {
        ends,
        rings = ends?.state,
        direct,
        late,
        unsteady,
        ofLaunches,
        idlers,
        kills,
        says,
        ringsAgain,
      } = fault;
      const over = endOf(fault);
      const outcome = await faultOutcomeOf(fault, backlog);
      const { executions, failed, states, errors } = outcome;
      const alarms = outcome.alarms.filter(({ heading }) => heading !== 'Saturated' || rings === 'Saturated');

      // No outage looks like a busy day. Afterwards, a large backlog may keep the fleet at its maximum for a while.
      const saturated = outcome.alarms.find(({ heading }) => heading === 'Saturated');
      if (rings !== 'Saturated') {
        if (backlog === 'below') expect(saturated).toBeUndefined();
        expect(saturated?.ringings[0]?.from ?? Number.POSITIVE_INFINITY).toBeGreaterThan(over);
      }
      expect(outcome.waits).toEqual(fault.waits ? [expect.stringContaining(fault.waits)] : []);
      if (says) expect(outcome.reasons).toContainEqual(expect.stringContaining(says));

      // Nothing is lost, and nothing is launched for nothing, unless that is what fails.
      expect(outcome.jobs.neverRun).toBe(0);
      if (kills) expect(outcome.jobs.killed).toBeGreaterThan(0);
      else expect(outcome.jobs.killed).toBe(0);
      if (!ofLaunches && !idlers && !kills) expect(outcome.jobs.launchesForNone).toBe(0);

      // Executions fail by name, all of them, or not at all.
      expect({ states, errors }).toEqual({
        states: ends ? [ends.state] : [],
        errors: ends ? [ends.error] : [],
      });
      if (unsteady) expect(failed).toBeGreaterThan(0);
      else expect(failed).toBe(ends ? executions : 0);

      // One alarm says what it is, soon; one notification tells of it.
      const ringing = alarms.find(({ heading }) => heading === rings);
      expect(ringing?.heading).toBe(rings);
      const headings = alarms.map(({ heading }) => heading);
      expect(headings.filter((heading) => KINDS.includes(heading) && heading !== rings)).toEqual([]);
      expect(headings.filter((heading) => NOTIFYING.includes(heading))).toHaveLength(
        rings && !direct ? 1 : 0,
      );
      if (!rings) expect(headings).toEqual([]);
      // The heartbeat counts polls that succeeded; only a write can fail after one.
      const silent = ends !== undefined && ends.state !== FAILURES.GroupUpdateRefused && !unsteady;
      expect(headings.includes('Scaler Not Running')).toBe(silent || rings === 'Scaler Not Running');
      const ringsAfter = (ringing?.ringings[0]?.from ?? BEGINS) - BEGINS;
      expect(ringsAfter).toBeGreaterThanOrEqual(0);
      expect(ringsAfter).toBeLessThanOrEqual(late ? 2 * SOON : SOON);

      // Each rings once, and all are over soon after it: the breaker is closed, and jobs are served.
      for (const { ringings, heading } of alarms) {
        if (heading === 'Zone Unusable') continue;
        const overAfter = (ringings.at(-1)?.until ?? Number.POSITIVE_INFINITY) - over;
        expect(overAfter).toBeLessThanOrEqual(late ? 4 * SOON : SOON);
        if (unsteady) continue;
        const [first, again, ...more] = ringings;
        expect(more).toEqual([]);
        const ringsTwice = ringsAgain !== undefined && [rings, ...NOTIFYING].includes(heading);
        if (ringsTwice) expect((again?.from ?? 0) - (first?.until ?? over)).toBeGreaterThan(2 * SOON);
        // Until a late recovery, jobs wait, with a claim of a canary between.
        else if (!ringsAgain && !(late && heading === 'Starving'))
          expect({ heading, again }).toEqual({ heading, again: undefined });
      }
      // An idle runner takes the last job before the fault is over, at most 47 s before.
      expect(outcome.servedAfter).toBeGreaterThan(idlers ? -1 : 0);
      // A large backlog takes time at the maximum.
      const served = backlog === 'above' ? 3 * SOON : 3;
      expect(outcome.servedAfter).toBeLessThanOrEqual(late ? 4 * SOON : served);
    });

    it.each(faults)('docs/fault-matrix.md says of "$name" what `npm run generate` writes', async (fault) => {
      expect(readFileSync('docs/fault-matrix.md', 'utf8').split('\n')).toContain(await matrixRow(fault));
    });
  });
}
