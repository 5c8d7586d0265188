import type { Faults } from '../sandbox/group/faults.ts';
import type { Priced } from './cost.ts';
import { type Jobs, tableOf } from './job-table.ts';
import { type Outcome, outcomeOf } from './outcome.ts';
import { idleFor, PLAIN, type Policy } from './policy.ts';
import { replay } from './replay.ts';
import type { World } from './world.ts';

/** A lower bound for any scaler in the replayed world. */
export interface LowerBound {
  name: string;
  /** One line for tables. */
  about: string;
  policy: Partial<Policy>;
  world: Partial<World>;
}

/** In seconds. A runner leaves as soon as no job waits; this is the time in which it can claim one that does. */
const AT_ONCE = 0.001;

/**
 * - Without any wait: whenever a job comes, an instance has just booted for it. Its boot is paid for, so no scaler that
 *   boots an instance for each job pays less.
 * - Clean: as a job is queued an instance is launched for it, and runs it alone. No scaler that launches
 *   for jobs that are queued, and none before, waits less with a clean machine for each.
 * - Reactive: the same for a job that no runner takes at once, and runners stay forever. No scaler waits less that
 *   launches for jobs that are queued, and none before, whatever it pays.
 */
export const LOWER_BOUNDS: LowerBound[] = [
  {
    name: 'lower bound: no wait',
    about: 'an instance has just booted whenever a job is queued',
    policy: {},
    world: {},
  },
  {
    name: 'lower bound: clean',
    about: 'a launch at the moment a job is queued, for that job alone',
    policy: { leavesAt: idleFor(AT_ONCE) },
    world: {},
  },
  {
    name: 'lower bound: reactive',
    about: 'a launch as each job is queued, and runners stay forever',
    policy: {
      scaler: { kind: 'webhook', delay: 0, onlyIfQueued: true },
      reuse: true,
      leavesAt: () => Number.POSITIVE_INFINITY,
      keeps: () => Number.POSITIVE_INFINITY,
    },
    world: { idleClaim: 0 },
  },
];

const REACTIVE: Policy = {
  ...PLAIN,
  name: 'lower bound',
  scaler: { kind: 'webhook', delay: 0, onlyIfQueued: false },
  leavesAt: idleFor(AT_ONCE),
  maxReplicas: Number.POSITIVE_INFINITY,
};

/** The outcomes of the lower bounds on these jobs, in the order of `LOWER_BOUNDS`. */
export function lowerBoundsOf(
  jobs: Jobs,
  world: World,
  options: { faults?: Faults; priced?: Priced | undefined } = {},
): Outcome[] {
  const table = tableOf(jobs);
  const { priced, ...faults } = options;
  return LOWER_BOUNDS.map(({ name, policy, world: other }, index) => {
    const own = { ...world, ...other };
    const replayed = replay(table, { ...REACTIVE, ...policy }, own, faults);
    // The instances are those of the next bound, each requested early enough to have booted when its job is queued.
    if (index === 0) {
      replayed.startedAt.set(table.queuedAt);
      for (const part of Object.values(replayed.parts)) part.fill(0);
    }
    return outcomeOf(name, table, replayed, priced);
  });
}
