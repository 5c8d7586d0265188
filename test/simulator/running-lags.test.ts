import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_FAULTS } from '../../sandbox/group/faults.ts';
import type { Job } from '../../sandbox/trace.ts';
import { policyOf } from '../../simulator/peers.ts';
import type { OursSettings } from '../../simulator/policies/ours.ts';
import { replay } from '../../simulator/replay.ts';
import { WORLD } from '../../simulator/world.ts';
import { ours } from './choices.ts';
import { traces } from './generated-traces.ts';

const LAG = 10;

const run = (settings: Partial<OursSettings>, jobs: Job[]) =>
  replay(jobs, policyOf(ours(settings)), WORLD, {
    faults: { ...NO_FAULTS, runningLags: [{ from: 0, to: Number.POSITIVE_INFINITY, count: LAG }] },
  });

/** The most tasks that end within a lag. */
function mostEnds(jobs: Job[], startedAt: ArrayLike<number>): number {
  const ends = jobs.map(({ durationSeconds }, job) => (startedAt[job] ?? 0) + durationSeconds);
  return Math.max(...ends.map((at) => ends.filter((end) => end <= at && end > at - LAG).length), 0);
}

describe('while CircleCI counts tasks as running for 2 to 10 s after their end', () => {
  it('a fleet without spare runners launches nothing more', () => {
    const settings = fc.record({
      pollInterval: fc.constantFrom(1, 5, 7, 20, 60),
      maxReplicas: fc.integer({ min: 1, max: 20 }),
      maxSurge: fc.constantFrom(undefined, 1, 4),
    });
    fc.assert(
      fc.property(settings, traces, (settings, jobs) => {
        expect(run(settings, jobs).unusedLaunches).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it('at most as many spare runners too many are there at a time as tasks that end within the lag', () => {
    const settings = fc.record({
      pollInterval: fc.constantFrom(1, 5, 20),
      idleTimeout: fc.constantFrom(150, 300),
      headroom: fc.integer({ min: 1, max: 5 }),
    });
    fc.assert(
      fc.property(settings, traces, (settings, jobs) => {
        const result = run(settings, jobs);
        const atATime = settings.headroom + mostEnds(jobs, result.startedAt);
        // A spare runner waits for twice the idle time.
        const times = 1 + Math.ceil(result.endedAt / (2 * settings.idleTimeout));
        expect(result.unusedLaunches).toBeLessThanOrEqual(atATime * times);
      }),
      { numRuns: 200 },
    );
  });
});
