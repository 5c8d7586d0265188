import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { capacityOf } from '../../fleets/effective.ts';
import { checkFleets } from '../../fleets/load.ts';
import type { Activities } from '../../functions/lib/contracts.ts';
import { decide } from '../../functions/lib/decision.ts';
import { effectiveSettings } from '../../functions/lib/schedules.ts';

/**
 * What CircleCI's documentation says of its Machine Runner Orchestrator 1.0.0, case by case, and what the same
 * settings come to here: https://circleci.com/docs/guides/execution-runner/machine-runner-orchestrator/#scaling-behavior
 */

/** A `scaling` block of the orchestrator. */
interface Scaling {
  minReplicas: number;
  maxReplicas: number;
  headroom?: number;
  maxSurge?: number;
  scaleDownDelay?: string;
  idleTimeout?: string;
  schedules?: object[];
}

/** A pool of machines, and the tasks that wait for them and run on them. */
interface Pool {
  unclaimed: number;
  running: number;
  ready?: number;
  booting?: number;
  desired?: number;
}

/** A fleet of fleets.yaml with the settings of a `scaling` block as they are. */
function fleetOf(scaling: object) {
  const linux = { resourceClass: 'acme/linux', instanceTypes: ['m7i.large'], ...scaling };
  const [fleet] = checkFleets({ linux }, 'fleets.yaml');
  if (fleet === undefined) throw new Error('There is no fleet');
  return fleet;
}

const NO_LAUNCHES: Activities = {
  lastAt: null,
  failedLaunches: 0,
  cameInService: 0,
  breaker: { open: false },
};

/** The desired capacity here, at a time at which by default no schedule of these tests is in force. */
function desiredHere(scaling: Scaling, pool: Pool, at = '2026-01-04T12:00:00Z'): number {
  const { unclaimed, running, ready = running, booting = 0 } = pool;
  const { decision } = decide(
    NO_LAUNCHES,
    {
      counts: { unclaimed, running },
      group: {
        desired: pool.desired ?? ready + booting,
        members: { pending: booting, inService: ready, leaving: 0, standby: 0 },
        launchProcess: { suspended: false, byBreaker: false },
        paused: 'false',
      },
    },
    { capacity: capacityOf(fleetOf(scaling)), onDemandPercentage: 100 },
    Date.parse(at),
  );
  return decision.desired;
}

/** Its replicas by the first paragraph of that documentation, without what it says of machines that are there. */
function replicasThere(scaling: Scaling, { unclaimed, running, ready = running }: Pool): number {
  const { minReplicas, maxReplicas, headroom = 0, maxSurge = 0 } = scaling;
  const tasks = unclaimed + running;
  const demand = tasks > 0 ? tasks + headroom : 0;
  const clamped = Math.min(Math.max(demand, minReplicas), maxReplicas);
  return maxSurge === 0 ? clamped : Math.min(clamped, ready + maxSurge);
}

const TO_ZERO = { minReplicas: 0, maxReplicas: 10 };

describe('as the orchestrator has it', () => {
  it.each<{ rule: string; scaling: Scaling; pool: Pool; replicas: number }>([
    {
      rule: 'replicas are unclaimed and running tasks, as in the log of an active pool',
      scaling: TO_ZERO,
      pool: { unclaimed: 4, running: 2 },
      replicas: 6,
    },
    {
      rule: 'an idle pool has minReplicas, as in the log of an idle one',
      scaling: { minReplicas: 3, maxReplicas: 10 },
      pool: { unclaimed: 0, running: 0, ready: 3 },
      replicas: 3,
    },
    {
      rule: 'minReplicas are there before any task is',
      scaling: { minReplicas: 3, maxReplicas: 10 },
      pool: { unclaimed: 0, running: 0 },
      replicas: 3,
    },
    {
      rule: 'minReplicas 0 scales to nothing when idle',
      scaling: TO_ZERO,
      pool: { unclaimed: 0, running: 0, desired: 2 },
      replicas: 0,
    },
    {
      rule: 'replicas are at most maxReplicas',
      scaling: TO_ZERO,
      pool: { unclaimed: 30, running: 4 },
      replicas: 10,
    },
    {
      rule: 'headroom is above demand while there are tasks',
      scaling: { ...TO_ZERO, headroom: 2 },
      pool: { unclaimed: 1, running: 0 },
      replicas: 3,
    },
    {
      rule: 'headroom is not kept without tasks',
      scaling: { ...TO_ZERO, headroom: 2 },
      pool: { unclaimed: 0, running: 0 },
      replicas: 0,
    },
    {
      rule: 'headroom counts toward maxReplicas',
      scaling: { ...TO_ZERO, headroom: 5 },
      pool: { unclaimed: 0, running: 8 },
      replicas: 10,
    },
    {
      rule: 'headroom 0 is none',
      scaling: { ...TO_ZERO, headroom: 0 },
      pool: { unclaimed: 0, running: 8 },
      replicas: 8,
    },
    {
      rule: 'scale-up is immediate',
      scaling: { minReplicas: 0, maxReplicas: 1_000 },
      pool: { unclaimed: 1_000, running: 0 },
      replicas: 1_000,
    },
    {
      rule: 'maxSurge caps what is asked for above those that are ready',
      scaling: { ...TO_ZERO, maxSurge: 3 },
      pool: { unclaimed: 8, running: 2 },
      replicas: 5,
    },
  ])('$rule', ({ scaling, pool, replicas }) => {
    expect(desiredHere(scaling, pool)).toBe(replicas);
    expect(replicasThere(scaling, pool)).toBe(replicas);
  });

  it.each<{ rule: string; pool: Pool }>([
    { rule: 'busy', pool: { unclaimed: 0, running: 6 } },
    { rule: 'idle', pool: { unclaimed: 0, running: 0, ready: 6 } },
    { rule: 'booting', pool: { unclaimed: 0, running: 0, booting: 6 } },
  ])('scale-in stops no machine: $rule ones leave by themselves', ({ pool }) => {
    expect(desiredHere(TO_ZERO, pool)).toBe(6);
  });

  it('without minReplicas and maxSurge, whatever is counted, replicas are the same', () => {
    const count = fc.nat({ max: 50 });
    const scalings = fc.record({
      minReplicas: fc.constant(0),
      maxReplicas: fc.integer({ min: 1, max: 60 }),
      headroom: count,
    });
    fc.assert(
      fc.property(scalings, count, count, (scaling, unclaimed, running) => {
        // Members run the tasks, as far as they may: ours launches nothing for tasks that run elsewhere.
        const ready = Math.min(running, scaling.maxReplicas);
        const pool = { unclaimed, running, ready, desired: ready };
        expect(desiredHere(scaling, pool)).toBe(replicasThere(scaling, pool));
      }),
    );
  });

  /** The example of the documentation. */
  const EXAMPLE = {
    minReplicas: 3,
    maxReplicas: 10,
    schedules: [
      {
        name: 'working-hours',
        start: '0 8 * * MON-FRI',
        end: '0 18 * * MON-FRI',
        timezone: 'UTC',
        minReplicas: 20,
        maxReplicas: 50,
        headroom: 5,
      },
    ],
  };
  const hours = { start: '0 8 * * *', end: '0 18 * * *' };

  it.each<{ rule: string; scaling: Scaling; at: string; inForce: object }>([
    {
      rule: 'the baseline counts before a period',
      scaling: EXAMPLE,
      at: '2026-01-05T07:59:59.999Z',
      inForce: { minReplicas: 3, maxReplicas: 10 },
    },
    {
      rule: 'a period overrides the baseline from its start on',
      scaling: EXAMPLE,
      at: '2026-01-05T08:00:00Z',
      inForce: { minReplicas: 20, maxReplicas: 50, headroom: 5 },
    },
    {
      rule: 'a period overrides the baseline until its end',
      scaling: EXAMPLE,
      at: '2026-01-05T17:59:59.999Z',
      inForce: { minReplicas: 20, maxReplicas: 50, headroom: 5 },
    },
    {
      rule: 'the baseline counts from its end on',
      scaling: EXAMPLE,
      at: '2026-01-05T18:00:00Z',
      inForce: { minReplicas: 3, maxReplicas: 10 },
    },
    {
      rule: 'the baseline counts on days that it leaves out',
      scaling: EXAMPLE,
      at: '2026-01-10T12:00:00Z',
      inForce: { minReplicas: 3, maxReplicas: 10 },
    },
    {
      rule: 'controls that a period leaves out keep their baseline value',
      scaling: { ...TO_ZERO, headroom: 2, maxSurge: 4, schedules: [{ ...hours, maxReplicas: 30 }] },
      at: '2026-01-05T12:00:00Z',
      inForce: { minReplicas: 0, maxReplicas: 30, headroom: 2, maxSurge: 4 },
    },
    {
      rule: 'of two periods that overlap the one listed first wins',
      scaling: {
        ...TO_ZERO,
        schedules: [
          { ...hours, minReplicas: 2 },
          { ...hours, minReplicas: 4, headroom: 1 },
        ],
      },
      at: '2026-01-05T12:00:00Z',
      inForce: { minReplicas: 2, maxReplicas: 10 },
    },
    {
      rule: 'the default time zone is UTC',
      scaling: { ...TO_ZERO, schedules: [{ ...hours, minReplicas: 2 }] },
      at: '2026-07-06T17:59:00Z',
      inForce: { minReplicas: 2, maxReplicas: 10 },
    },
    {
      rule: 'the time zone is one by its IANA name',
      scaling: { ...TO_ZERO, schedules: [{ ...hours, timezone: 'Europe/Berlin', minReplicas: 2 }] },
      at: '2026-07-06T16:00:00Z',
      inForce: { minReplicas: 0, maxReplicas: 10 },
    },
  ])('$rule', ({ scaling, at, inForce }) => {
    expect(effectiveSettings(capacityOf(fleetOf(scaling)), Date.parse(at)).inForce).toEqual(inForce);
  });

  it('a period decides, as its example has it', () => {
    const pool = { unclaimed: 60, running: 0 };
    expect(desiredHere(EXAMPLE, pool, '2026-01-05T12:00:00Z')).toBe(50);
    expect(desiredHere(EXAMPLE, pool, '2026-01-05T20:00:00Z')).toBe(10);
  });

  it.each<{ rule: string; scaling: object; says: string | undefined }>([
    {
      rule: 'idleTimeout may be as long as scaleDownDelay',
      scaling: { ...TO_ZERO, scaleDownDelay: '10m', idleTimeout: '10m' },
      says: undefined,
    },
    {
      rule: 'idleTimeout must be no shorter than scaleDownDelay',
      scaling: { ...TO_ZERO, scaleDownDelay: '10m', idleTimeout: '5m' },
      says: 'linux.scaleDownDelay: must be at most idleTimeout (5m), got "10m"',
    },
    {
      rule: 'idleTimeout cannot be scheduled',
      scaling: { ...TO_ZERO, schedules: [{ ...hours, idleTimeout: '5m' }] },
      says: 'linux.schedule 1.idleTimeout: is not a setting',
    },
  ])('$rule', ({ scaling, says }) => {
    if (says === undefined) expect(() => fleetOf(scaling)).not.toThrow();
    else expect(() => fleetOf(scaling)).toThrow(says);
  });
});

/** docs/how-it-decides.md has each, in "Capacity settings". */
describe('other than in the orchestrator', () => {
  it.each<{ rule: string; scaling: Scaling; pool: Pool; there: number; here: number }>([
    {
      rule: 'minReplicas are beside the busy ones, in the log of an active pool too',
      scaling: { minReplicas: 3, maxReplicas: 10 },
      pool: { unclaimed: 4, running: 2 },
      there: 6,
      here: 9,
    },
    {
      rule: 'of minReplicas and headroom the more is kept beside the tasks',
      scaling: { minReplicas: 3, maxReplicas: 10, headroom: 2 },
      pool: { unclaimed: 0, running: 1 },
      there: 3,
      here: 4,
    },
    {
      rule: 'maxSurge counts from the pending ones as well, so no wave waits for the boots of the one before',
      scaling: { ...TO_ZERO, maxSurge: 3 },
      pool: { unclaimed: 9, running: 1, booting: 3 },
      there: 4,
      here: 7,
    },
  ])('$rule', ({ scaling, pool, there, here }) => {
    expect(replicasThere(scaling, pool)).toBe(there);
    expect(desiredHere(scaling, pool)).toBe(here);
  });

  it.each<{ rule: string; scaling: object; says: string }>([
    {
      rule: 'no limit of launches is not 0, but nothing',
      scaling: { ...TO_ZERO, maxSurge: 0 },
      says: 'linux.maxSurge: must be a whole number from 1 to 10000, the maximum number of launches that one poll adds; for no limit, leave it out, got 0',
    },
    {
      rule: 'scaleDownDelay cannot be scheduled',
      scaling: {
        ...TO_ZERO,
        schedules: [{ start: '0 8 * * *', end: '0 18 * * *', scaleDownDelay: '5m' }],
      },
      says: 'linux.schedule 1.scaleDownDelay: cannot be scheduled',
    },
    { rule: 'maxReplicas has no default', scaling: { minReplicas: 3 }, says: 'linux.maxReplicas: must be' },
  ])('$rule', ({ scaling, says }) => {
    expect(() => fleetOf(scaling)).toThrow(says);
  });
});
