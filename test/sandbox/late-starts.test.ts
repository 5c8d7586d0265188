import { describe, expect, it } from 'vitest';
import { ringingMinutes } from '../../sandbox/alarms.ts';
import { alarmsOfFleet } from '../../statemachine/alarms.ts';
import { fleetsWith } from '../support/fleets.ts';

/** When an execution publishes what it has found, in seconds after its start: at its end. */
const ENDS_AFTER = 53;
const MINUTES = 300;

/** In which order starts come, by how late each is, in seconds. Without one, it is skipped; with two, it is doubled. */
const STARTS: Record<string, (minute: number) => number[]> = {
  'on time': () => [0],
  doubled: () => [0, 1],
  'skipped now and then': (minute) => (minute % 10 === 9 ? [] : [0]),
  'late by 59 s and on time, in turn': (minute) => [minute % 2 === 0 ? 59 : 0],
  'late by another time each minute': (minute) => [(minute * 37) % 60],
};

/** After how many minutes an alarm rings if every execution publishes that something is wrong; `undefined` if it never does. */
function ringsAfter(
  minutes: [bad: number, of: number],
  lateness: (minute: number) => number[],
  phase: number,
): number | undefined {
  const published: (number | undefined)[] = Array.from({ length: MINUTES }, () => undefined);
  for (let minute = 0; minute < MINUTES; minute += 1)
    for (const late of lateness(minute)) {
      const at = Math.floor((minute * 60 + phase + late + ENDS_AFTER) / 60);
      if (at < MINUTES) published[at] = 1;
    }
  const first = ringingMinutes({ minutes, bad: 'any' }, published).indexOf(true);
  return first < 0 ? undefined : first + 1;
}

const [config] = fleetsWith({ linux: {} });
if (config === undefined) throw new Error('There is no fleet');
/** The alarms over what an execution publishes once. */
const ONCE = Object.entries(alarmsOfFleet(config)).filter(
  ([kind, { bad }]) => bad === 'any' && kind !== 'Saturated',
);
/** They need a value in most minutes, because fewer could be jobs that are claimed now and then. */
const MOST_MINUTES = ['Starving', 'TasksElsewhere', 'SpotUnavailable'];

describe.each(Object.entries(STARTS))('with starts that are %s', (order, lateness) => {
  const ringing = ONCE.filter(([kind]) => !order.startsWith('late') || !MOST_MINUTES.includes(kind));
  it.each(ringing)('%s rings, and hardly later than with starts on time', (_, { minutes }) => {
    for (let phase = 0; phase < 60; phase += 1) {
      const after = ringsAfter(minutes, lateness, phase);
      expect(after).toBeDefined();
      expect(after).toBeLessThanOrEqual(2 * minutes[1] + 2);
    }
  });
});

describe('starts that are late by 59 s and on time, in turn', () => {
  it.each(MOST_MINUTES)('keep %s from ringing, because every other minute has no value', (kind) => {
    const minutes = alarmsOfFleet(config)[kind]?.minutes ?? [0, 0];
    const inTurn = STARTS['late by 59 s and on time, in turn'] ?? (() => []);
    expect(ringsAfter(minutes, inTurn, 30)).toBeUndefined();
  });
});
