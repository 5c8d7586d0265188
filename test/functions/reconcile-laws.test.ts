import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FleetSeen } from '../../functions/lib/fleet-seen.ts';
import { MOST_REPAIRS, reconcile, repairsOf } from '../../functions/lib/reconcile.ts';
import {
  DAY,
  HOUR,
  LIFETIMES,
  launched,
  MINUTE,
  member,
  NOW,
  runner,
  SETTINGS,
  seen,
} from '../support/fleet-seen.ts';

/** What is true of an instance, which nobody but the instance knows. */
interface Truth {
  id: string;
  age: number;
  place: string;
  state: string;
  /** A job runs, and began this long ago. */
  job: number | undefined;
  /** Cut off from CircleCI for this long. */
  cutOff: number;
  connects: boolean;
  /** Launched before the class and its secret were changed: its runner runs jobs of the former class, and is not listed. */
  isOfFormerClass: boolean;
}

const truths = fc
  .array(
    fc.record({
      age: fc.integer({ min: 1, max: 30 * 60 }).map((minutes) => minutes * MINUTE),
      place: fc.constantFrom(
        'InService',
        'InService',
        'InService',
        'none',
        'Standby',
        'Terminating:Wait',
        'Pending:Wait',
      ),
      state: fc.constantFrom('running', 'running', 'running', 'stopped', 'stopping'),
      jobShare: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      cutShare: fc.constantFrom(0, 0, 0, 0.3, 0.99),
      connects: fc.constantFrom(true, true, true, false),
      isOfFormerClass: fc.constantFrom(false, false, false, true),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((all) =>
    all.map(({ age, place, state, jobShare, cutShare, connects, isOfFormerClass }, index): Truth => {
      const runs = jobShare !== null && state === 'running' && connects && place !== 'Pending:Wait';
      const job = runs ? Math.min(age, LIFETIMES.runSeconds * 1_000) * jobShare : undefined;
      // A job was claimed while the runner was in contact.
      const cutOff = cutShare * (job ?? age);
      return {
        id: `i-000000${(10 + index).toString(16)}f`,
        age,
        place,
        state,
        job,
        cutOff,
        connects,
        isOfFormerClass,
      };
    }),
  );

/** When the resource class token was stored for the last two times, and whether each is of the class. */
const tokens = fc.record({
  last: fc.integer({ min: 0, max: 40 * 60 }).map((minutes) => minutes * MINUTE),
  lastIsRight: fc.boolean(),
  otherIsRight: fc.boolean(),
});

/** How old the list of CircleCI is: it may have stopped listing contacts, for longer than jobs take. */
const lags = fc.constantFrom(0, 0, 0, HOUR, 8 * HOUR);

function observed(
  all: Truth[],
  token: { last: number; lastIsRight: boolean; otherIsRight: boolean },
  lag: number,
): FleetSeen {
  const isListed = ({ age, connects, cutOff, isOfFormerClass }: Truth) =>
    connects &&
    !isOfFormerClass &&
    (age < token.last ? token.lastIsRight : token.otherIsRight) &&
    age > lag &&
    Math.max(cutOff, lag) < 12 * HOUR;
  const runners = all
    .filter(isListed)
    .map(({ id, cutOff, age }) => runner(id, Math.max(cutOff, lag, Math.min(age, 10 * MINUTE)), age));
  return seen({
    members: all.flatMap(({ id, place, age }) => (place === 'none' ? [] : [member(id, place, NOW - age)])),
    instances: all.map(({ id, age, state, isOfFormerClass }) =>
      launched(id, age, {
        state,
        stoppedAt: state === 'stopped' ? NOW - Math.max(age - MINUTE, 0) : undefined,
        templateVersion: isOfFormerClass ? '1' : '2',
      }),
    ),
    inventory: runners.length === 0 ? { none: true } : { runners, at: NOW },
    tokenStoredAt: NOW - token.last,
    volumes: [{ id: 'vol-1', createdAt: NOW - 9 * DAY, detachedAt: NOW - 9 * DAY, gib: 30, kept: false }],
  });
}

describe('whatever there is', () => {
  it('no job is killed', () => {
    let repairs = 0;
    fc.assert(
      fc.property(truths, tokens, lags, (all, token, lag) => {
        const findings = reconcile(observed(all, token, lag), SETTINGS, NOW);
        for (const { repair } of findings) {
          if (repair === null || !('instance' in repair)) continue;
          repairs += 1;
          const truth = all.find(({ id }) => id === repair.instance);
          expect({ repair, job: truth?.job }).toEqual({ repair, job: undefined });
        }
      }),
      { numRuns: 4_000 },
    );
    expect(repairs).toBeGreaterThan(100);
  });

  it('nothing is repaired without a whole inventory', () => {
    const broken = fc.constantFrom({ none: true as const }, { missing: 'CircleCI answered 500' });
    fc.assert(
      fc.property(truths, tokens, broken, (all, token, inventory) => {
        const fleet = { ...observed(all, token, 0), inventory };
        expect(reconcile(fleet, SETTINGS, NOW).filter(({ repair }) => repair !== null)).toEqual([]);
      }),
    );
  });

  it('a run repairs at most a few, each of them once', () => {
    fc.assert(
      fc.property(truths, tokens, (all, token) => {
        const repairs = repairsOf(reconcile(observed(all, token, 0), SETTINGS, NOW));
        expect(repairs.length).toBeLessThanOrEqual(MOST_REPAIRS);
        expect(new Set(repairs.map(({ resource }) => resource)).size).toBe(repairs.length);
      }),
    );
  });

  it('only members in service are terminated in the group, and only instances in no group in EC2', () => {
    fc.assert(
      fc.property(truths, tokens, (all, token) => {
        for (const { repair } of reconcile(observed(all, token, 0), SETTINGS, NOW)) {
          if (repair === null || !('instance' in repair)) continue;
          const place = all.find(({ id }) => id === repair.instance)?.place;
          expect(place).toBe(repair.action === 'terminate-member' ? 'InService' : 'none');
        }
      }),
    );
  });
});
