import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { capacityOf, onDemandPercentage } from '../../fleets/effective.ts';
import { checkFleets, type FleetConfig, FleetsInvalid } from '../../fleets/load.ts';
import { brokenLaw } from '../../functions/lib/capacity.ts';
import type { Activities, Group } from '../../functions/lib/contracts.ts';
import { decide, type Observed } from '../../functions/lib/decision.ts';
import { effectiveSettings } from '../../functions/lib/schedules.ts';

const few = fc.nat({ max: 40 });
const some = fc.integer({ min: 1, max: 40 });
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

/** The settings of a fleet and of its schedules, as in fleets.yaml. */
const SCALING_SETTINGS = {
  minReplicas: optional(few),
  headroom: optional(
    fc.oneof(
      few,
      fc.nat({ max: 300 }).map((share) => `${share}%`),
    ),
  ),
  maxSurge: optional(some),
};

const crons = fc
  .tuple(fc.nat({ max: 59 }), fc.nat({ max: 23 }), fc.constantFrom('*', 'MON-FRI', 'SAT,SUN'))
  .map(([minute, hour, day]) => `${minute} ${hour} * * ${day}`);
const schedule = fc.record({
  ...SCALING_SETTINGS,
  start: crons,
  end: crons,
  timezone: fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe'),
  maxReplicas: optional(some),
});

/** Any fleet that fleets.yaml may have. */
const fleets = fc
  .record({
    ...SCALING_SETTINGS,
    maxReplicas: some,
    maxHourlyCost: optional(fc.double({ min: 0.1, max: 3, noNaN: true })),
    schedules: fc.array(schedule, { maxLength: 3 }),
    spot: optional(fc.record({ percentage: fc.integer({ min: 1, max: 100 }), onDemandBase: few })),
  })
  .map((settings) => {
    const linux = { resourceClass: 'acme/linux', instanceTypes: ['m7i.large'], ...settings };
    // By way of JSON, because a file has nothing that is undefined.
    return checked(JSON.stringify({ linux }));
  })
  .filter((fleet) => fleet !== undefined);

/** All laws try the same inputs, so each fleet is checked once. */
const checkedFleets = new Map<string, FleetConfig | undefined>();

function checked(json: string): FleetConfig | undefined {
  if (!checkedFleets.has(json)) checkedFleets.set(json, check(json));
  return checkedFleets.get(json);
}

function check(json: string): FleetConfig | undefined {
  try {
    return checkFleets(JSON.parse(json), 'fleets.yaml')[0];
  } catch (error) {
    if (error instanceof FleetsInvalid) return undefined;
    throw error;
  }
}

const NOW = { min: Date.parse('2026-01-01'), max: Date.parse('2027-01-01') };

const groups = fc.record<Group>(
  {
    desired: few,
    members: fc.record({ pending: few, inService: few, leaving: few, standby: few }),
    launchProcess: fc.record(
      { suspended: fc.boolean(), byBreaker: fc.boolean(), forDrain: fc.constant(true as const) },
      { requiredKeys: ['suspended', 'byBreaker'] },
    ),
    paused: fc.constantFrom('false', 'false', 'true', 'drain'),
    purchase: fc.record({ onDemandPercentage: fc.constantFrom(0, 40, 100), byFallback: fc.boolean() }),
    warmPool: fc.record({ size: few, state: fc.constant('Stopped') }),
  },
  { requiredKeys: ['desired', 'members', 'launchProcess', 'paused'] },
);

/** A time, and what an execution of that time may have read of the launches. */
const moments = fc
  .record({
    now: fc.integer(NOW),
    open: fc.boolean(),
    canaryIn: fc.constantFrom(-60_000, 60_000),
    shortage: optional(fc.constantFrom(60_000, 1_200_000)),
    launchDemand: optional(fc.record({ peak: few, today: few, resting: fc.boolean() })),
  })
  .map(({ now, open, canaryIn, shortage, launchDemand }) => {
    const activities: Activities = {
      lastAt: null,
      failedLaunches: 0,
      cameInService: 0,
      ...(shortage !== undefined && { spotShortageAt: now - shortage }),
      ...(launchDemand !== undefined && { launchDemand }),
      breaker: open
        ? {
            open,
            isNew: false,
            failures: 3,
            kind: 'boot',
            reason: 'it failed',
            canaryAt: now + canaryIn,
          }
        : { open },
    };
    return { now, activities };
  });

const counts = fc.record({ unclaimed: few, running: few });

/** A decision, and the settings that were in force. */
type Decided = ReturnType<typeof decide> & {
  observed: Observed;
  inForce: ReturnType<typeof effectiveSettings>['inForce'];
  activities: Activities;
  again: (group: Partial<Group>) => ReturnType<typeof decide>;
};

const law = (name: string, holds: (decided: Decided) => void) =>
  it(name, () =>
    fc.assert(
      fc.property(fleets, counts, groups, moments, (fleet, counts, group, { now, activities }) => {
        const capacity = capacityOf(fleet);
        const settings = { capacity, onDemandPercentage: onDemandPercentage(fleet) };
        const again = (other: Partial<Group>) =>
          decide(activities, { counts, group: { ...group, ...other } }, settings, now);
        const { inForce } = effectiveSettings(capacity, now);
        holds({ ...again({}), observed: { counts, group }, inForce, activities, again });
      }),
      { numRuns: 400 },
    ),
  );

/** How many runners without a task are kept. */
function spare({ observed: { counts }, inForce: { minReplicas, headroom = 0 } }: Decided): number {
  const tasks = counts.unclaimed + counts.running;
  const ahead =
    typeof headroom === 'number' ? headroom : Math.ceil((tasks * Number.parseInt(headroom, 10)) / 100);
  return Math.max(minReplicas, tasks > 0 ? ahead : 0);
}

/** What the tasks, and the runners without one that are kept, ask for within the bounds in force. */
function wanted(decided: Decided): number {
  const { unclaimed, running } = decided.observed.counts;
  const { maxReplicas, affordable = Number.POSITIVE_INFINITY } = decided.inForce;
  return Math.min(unclaimed + running + spare(decided), maxReplicas, affordable);
}

const present = ({ group: { members } }: Observed) => members.pending + members.inService;

describe('whatever the fleet, its schedules, the demand and the group', () => {
  law('a decision breaks no law by the settings in force', ({ decision, situation, inForce }) => {
    expect(situation).toMatchObject(inForce);
    expect(brokenLaw(decision, situation)).toBeUndefined();
  });

  law(
    'a rise is not delayed but by maxSurge, an open breaker, a person, tasks on other runners and members in standby',
    (decided) => {
      const { decision, observed, inForce, activities } = decided;
      if (observed.group.paused !== 'false' || activities.breaker.open) return;
      const { maxSurge = Number.POSITIVE_INFINITY } = inForce;
      const limit = Math.max(present(observed) + maxSurge, observed.group.desired);
      // A running task without a member in service for it runs elsewhere, and needs no instance.
      const elsewhere = Math.max(observed.counts.running - observed.group.members.inService, 0);
      // A member in standby takes the place of a spare runner, never that of one for a task.
      const standby = Math.min(observed.group.members.standby, spare(decided));
      expect(decision.desired).toBeGreaterThanOrEqual(Math.min(wanted(decided) - elsewhere - standby, limit));
    },
  );

  law('nothing rises beyond what is wanted by the settings in force', (decided) => {
    const { decision } = decided;
    if (decision.desired > decision.from) expect(decision.desired).toBeLessThanOrEqual(wanted(decided));
  });

  law('no member that may have a task is taken away', ({ decision, observed }) => {
    if (decision.desired < decision.from) expect(decision.desired).toBeGreaterThanOrEqual(present(observed));
  });

  law('how instances are bought and warmed changes nothing about their number', ({ decision, again }) => {
    expect(again({ purchase: undefined, warmPool: undefined }).decision.desired).toBe(decision.desired);
  });

  law('a paused fleet is held, and one that drains launches nothing', ({ observed, activities, again }) => {
    expect(again({ paused: 'true' }).decision).toMatchObject({ change: false });
    const { desired, launchProcess, warmPoolSize } = again({ paused: 'drain' }).decision;
    expect(desired).toBeLessThanOrEqual(observed.group.desired);
    // The record of its own suspension says why: the drain, or the breaker if that is open.
    const { suspended, byBreaker, forDrain = false } = observed.group.launchProcess;
    const isOnRecord = !byBreaker || forDrain !== activities.breaker.open;
    expect(launchProcess).toBe(suspended && isOnRecord ? undefined : 'suspend');
    expect(warmPoolSize).toBeUndefined();
  });
});
