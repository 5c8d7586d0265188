import { describe, expect, it } from 'vitest';
import { alarmsOver, NEEDS_YOU } from '../../sandbox/alarms.ts';
import type { Starts } from '../../sandbox/schedule.ts';
import { alarmsOfFleet } from '../../statemachine/alarms.ts';
import { fleetsWith } from '../support/fleets.ts';
import { LATE_AND_SKIPPED, STARTS } from '../support/starts.ts';

/** When an execution publishes what it has found, in seconds after its start: at its end. */
const ENDS_AFTER = 53;
const MINUTES = 300;
/** Seconds after the full minute. Executions of the phase 6 end within their minute, those of the phase 9 in the next one. */
const PHASES = Array.from({ length: 20 }, (_, number) => 3 * number);

const [config] = fleetsWith({ linux: {} });
if (config === undefined) throw new Error('There is no fleet');
/** The alarms over what an execution publishes once. */
const ONCE = Object.values(alarmsOfFleet(config)).filter(({ bad }) => bad === 'any');

/** When each alarm rings, in minutes, if every execution publishes that something is wrong. */
function ringings(starts: Starts, phase: number) {
  const metrics = ONCE.flatMap(({ metric: name }) =>
    Array.from({ length: MINUTES }, (_, minute) =>
      starts(minute).map((late) => ({
        namespace: '',
        name,
        dimensions: { Fleet: 'linux' },
        value: 1,
        at: (minute * 60 + phase + late + ENDS_AFTER) * 1_000,
      })),
    ).flat(),
  );
  const run = { metrics, executions: [], startedAt: 0, minutes: MINUTES };
  return new Map(
    alarmsOver([config as NonNullable<typeof config>], run).map((alarm) => [alarm.heading, alarm.ringings]),
  );
}

describe.each(Object.entries(STARTS))('with starts that are %s', (_, starts) => {
  const byPhase = PHASES.map((phase) => ringings(starts, phase));

  it.each(ONCE)('$heading rings once, and hardly later than with starts on time', ({ heading, minutes }) => {
    for (const rung of byPhase) {
      const [first, ...more] = rung.get(heading) ?? [];
      expect(first?.from).toBeLessThanOrEqual(Math.max(minutes[1] + 4, 2 * minutes[0] + 2));
      // The last start may be skipped.
      expect(first?.until ?? MINUTES).toBeGreaterThan(MINUTES - 4);
      expect(more).toEqual([]);
    }
  });

  it('no alarm notifies twice', () => {
    for (const rung of byPhase) expect(rung.get(NEEDS_YOU)).toHaveLength(1);
  });
});

it.each(ONCE)('$heading rings with starts that are late and skipped', ({ heading, minutes }) => {
  for (const phase of PHASES) {
    const [first] = ringings(LATE_AND_SKIPPED, phase).get(heading) ?? [];
    expect(first?.from).toBeLessThanOrEqual(Math.max(minutes[1] + 6, 2 * minutes[0] + 2));
  }
});
