import { describe, expect, it } from 'vitest';
import { alarmsOver, NEEDS_YOU, type Run } from '../../sandbox/alarms.ts';
import type { Starts } from '../../sandbox/schedule.ts';
import {
  type AlarmSettings,
  alarmsOfFleet,
  OUTAGE_FAILURES,
  STACK_ALARMS,
} from '../../statemachine/alarms.ts';
import { firstStepsOf } from '../../statemachine/first-steps.ts';
import { fleetsWith } from '../support/fleets.ts';
import { LATE_AND_SKIPPED, STARTS } from '../support/starts.ts';

/** When an execution publishes what it has found, in seconds after its start: at its end. */
const ENDS_AFTER = 53;
const MINUTES = 300;
/** Seconds after the full minute. Executions of the phase 6 end within their minute, those of the phase 9 in the next one. */
const PHASES = Array.from({ length: 20 }, (_, number) => 3 * number);

/** With all alarms that a fleet can have. */
const [config] = fleetsWith({ linux: { maxHourlyCost: '0.5' } });
if (config === undefined) throw new Error('There is no fleet');
/** The alarms over what an execution publishes once. */
const ONCE = Object.values(alarmsOfFleet(config)).filter(({ bad }) => bad === 'any');

it('tries every alarm that the runbook describes for a fleet', () => {
  const all = Object.keys(firstStepsOf('linux')).filter((kind) => kind !== 'NeedsYou');
  expect(Object.keys(alarmsOfFleet(config)).toSorted()).toEqual(all.toSorted());
});

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

describe('Scaler Not Running', () => {
  /** Whether it rings while each execution counts a poll at its end. */
  const rings = (starts: Starts, phase: number, minutes = MINUTES) => {
    const metrics = Array.from({ length: minutes }, (_, minute) =>
      starts(minute).map((late) => ({
        namespace: '',
        name: 'PollDuration',
        dimensions: { Fleet: 'linux' },
        value: 1,
        at: (minute * 60 + phase + late + ENDS_AFTER) * 1_000,
      })),
    ).flat();
    const run = { metrics, executions: [], startedAt: 0, minutes: MINUTES };
    return alarmsOver([config as NonNullable<typeof config>], run).find(
      ({ heading }) => heading === 'Scaler Not Running',
    )?.ringings;
  };

  it.each(Object.entries({ ...STARTS, 'late and skipped': LATE_AND_SKIPPED }))(
    'does not ring with starts that are %s, and rings soon after the last of them',
    (_, starts) => {
      for (const phase of PHASES) {
        const until = MINUTES / 2;
        const [first, ...more] = rings(starts, phase, until) ?? [];
        expect(first?.from).toBeGreaterThanOrEqual(until);
        // Five minutes without a poll, after a last execution that may have been late, and one that was skipped.
        expect(first?.from).toBeLessThanOrEqual(until + 10);
        expect(more).toEqual([]);
      }
    },
  );
});

describe('the alarms of all fleets', () => {
  const soonest = (heading: string, run: Partial<Run>) =>
    alarmsOver([config as NonNullable<typeof config>], {
      metrics: [],
      executions: [],
      startedAt: 0,
      minutes: MINUTES,
      ...run,
    }).find((alarm) => alarm.heading === heading)?.ringings;

  it.each(Object.entries({ ...STARTS, 'late and skipped': LATE_AND_SKIPPED }))(
    'ring once while all executions fail or are timed out, with starts that are %s',
    (name, starts) => {
      for (const phase of PHASES.filter((phase) => phase % 9 === 0)) {
        const endings = Array.from({ length: MINUTES }, (_, minute) =>
          starts(minute).map((late) => (minute * 60 + phase + late + ENDS_AFTER) * 1_000),
        ).flat();
        const executions = (status: 'FAILED' | 'TIMED_OUT') => ({
          executions: endings.map((endedAt) => ({ status, endedAt })),
        });
        const outages = {
          metrics: endings.map((at) => ({
            namespace: '',
            name: OUTAGE_FAILURES.metric,
            dimensions: { [OUTAGE_FAILURES.dimension]: 'circleci-runners' },
            value: 1,
            at,
          })),
        };
        for (const rung of [
          soonest('Executions Failed', outages),
          soonest('Executions Failed', executions('FAILED')),
          soonest('Executions Timed Out', executions('TIMED_OUT')),
        ]) {
          // Three bad minutes of five; if every second start is skipped, and others are late, the alarm may come and go.
          expect(rung?.[0]?.from).toBeLessThanOrEqual(10);
          if (name !== 'late and skipped') expect(rung).toHaveLength(1);
        }
      }
    },
  );
});

describe('an alarm over executions every 10 minutes', () => {
  /** When each execution ends, in seconds: EventBridge Scheduler has a window of 5 minutes, and a precision of one. */
  const ENDINGS: Record<string, (number: number) => number[]> = {
    'on time': (number) => [number * 600],
    'late by another time each': (number) => [number * 600 + ((number * 137) % 360)],
    'late by 6 minutes and on time, in turn': (number) => [number * 600 + (number % 2) * 359],
    doubled: (number) => [number * 600, number * 600 + 1],
    'skipped every fourth time': (number) =>
      number % 4 === 3 ? [] : [number * 600 + ((number * 137) % 360)],
    'skipped once an hour': (number) => (number % 6 === 5 ? [] : [number * 600 + ((number * 137) % 360)]),
  };
  const leftBehind = alarmsOfFleet(config).LeftBehind;
  const rings = (endings: (number: number) => number[], phase: number, settings: AlarmSettings) => {
    const minutes = 600;
    const bad = new Set<number>();
    for (let number = 0; number < 60; number += 1)
      for (const at of endings(number)) bad.add(Math.floor((at + phase) / 60));
    const [most, of] = settings.minutes;
    const ringing = Array.from(
      { length: minutes },
      (_, minute) =>
        Array.from({ length: of }, (_, back) => minute - back).filter((at) => bad.has(at)).length >= most,
    );
    const from = ringing.indexOf(true);
    return { from, until: ringing.indexOf(false, from), minutes };
  };

  it.each(Object.entries(ENDINGS))('rings once with executions that are %s', (_, endings) => {
    for (const settings of [leftBehind, STACK_ALARMS.ReconcileFailed]) {
      if (settings === undefined) throw new Error('There is no such alarm');
      for (const phase of PHASES) {
        const { from, until, minutes } = rings(endings, phase, settings);
        expect(from).toBeGreaterThanOrEqual(0);
        // Not at the first one, and within an hour, even if one of them is skipped.
        expect(from).toBeLessThanOrEqual(60);
        expect(from).toBeGreaterThanOrEqual(10 * (Number(settings.minutes[0]) - 2));
        expect(until === -1 ? minutes : until).toBeGreaterThan(minutes - 15);
      }
    }
  });
});
