import { describe, expect, it } from 'vitest';
import { chooseFaults, FAULT_OPTIONS, untilLastJob } from '../../cli/replays/faults.ts';
import { type Faults, NO_FAULTS } from '../../sandbox/group/faults.ts';
import { simulateOne } from '../../simulator/simulate.ts';
import { generatedTrace } from '../../simulator/workloads.ts';
import { WORLD } from '../../simulator/world.ts';
import { ours } from '../simulator/choices.ts';

const HOUR = 3_600;

describe('--fault', () => {
  it.each<{ given: string[]; faults: Partial<Faults> }>([
    { given: [], faults: {} },
    { given: ['outage=2h..2h30m'], faults: { outages: [{ from: 2 * HOUR, to: 2.5 * HOUR }] } },
    {
      given: ['outage=0..90s', 'outage=1d..1.5d'],
      faults: {
        outages: [
          { from: 0, to: 90 },
          { from: 24 * HOUR, to: 36 * HOUR },
        ],
      },
    },
    { given: ['zero-counts=1h..2h'], faults: { zeroCounts: [{ from: HOUR, to: 2 * HOUR }] } },
    { given: ['shortage=60..120'], faults: { shortages: [{ from: 60, to: 120 }] } },
    { given: ['spot-shortage=1h..1d'], faults: { spotShortages: [{ from: HOUR, to: 24 * HOUR }] } },
    {
      given: ['no-spot-role=1h..2h', 'no-addresses=2h..3h', 'throttled=3h..4h', 'volume-key=4h..5h'],
      faults: {
        spotRoleMissing: [{ from: HOUR, to: 2 * HOUR }],
        addressShortages: [{ from: 2 * HOUR, to: 3 * HOUR }],
        throttled: [{ from: 3 * HOUR, to: 4 * HOUR }],
        keyFailures: [{ from: 4 * HOUR, to: 5 * HOUR }],
      },
    },
    {
      given: ['zone-refusals=17%'],
      faults: { zoneRefusals: [{ from: 0, to: Number.POSITIVE_INFINITY, share: 0.17 }] },
    },
    {
      given: ['boot-failures=2.5%'],
      faults: { bootFailures: [{ from: 0, to: Number.POSITIVE_INFINITY, share: 0.025 }] },
    },
    {
      given: ['boot-failures=100%@1h..3h'],
      faults: { bootFailures: [{ from: HOUR, to: 3 * HOUR, share: 1 }] },
    },
    {
      given: ['dead-instances=5%', 'dead-instances=100%@1h..2h'],
      faults: {
        deadInstances: [
          { from: 0, to: Number.POSITIVE_INFINITY, share: 0.05 },
          { from: HOUR, to: 2 * HOUR, share: 1 },
        ],
      },
    },
    {
      given: ['lost-instances=10%', 'deaf-runners=50%@0..1h'],
      faults: {
        lostInstances: [{ from: 0, to: Number.POSITIVE_INFINITY, share: 0.1 }],
        deafRunners: [{ from: 0, to: HOUR, share: 0.5 }],
      },
    },
    {
      given: ['spot-interruptions=0.05', 'read-gap=0.5s', 'foreign-runners=3'],
      faults: { spotInterruptions: 0.05, readGap: 0.5, foreignRunners: 3 },
    },
    {
      given: ['claims-refused=1h..3h', 'task-limit=5', 'task-limit=0@4h..5h', 'phantom-tasks=4@0..2h'],
      faults: {
        taskLimits: [
          { from: HOUR, to: 3 * HOUR, count: 0 },
          { from: 0, to: Number.POSITIVE_INFINITY, count: 5 },
          { from: 4 * HOUR, to: 5 * HOUR, count: 0 },
        ],
        phantomTasks: [{ from: 0, to: 2 * HOUR, count: 4 }],
      },
    },
    {
      given: ['running-lags=10'],
      faults: { runningLags: [{ from: 0, to: Number.POSITIVE_INFINITY, count: 10 }] },
    },
    {
      given: ['maximum-size=10@1h..3h'],
      faults: { maximumSizes: [{ from: HOUR, to: 3 * HOUR, count: 10 }] },
    },
  ])('$given', ({ given, faults }) => {
    expect(chooseFaults(given, 7)).toEqual({ ...NO_FAULTS, seed: 7, ...faults });
  });

  it.each([
    { given: 'phantom-tasks=4', windows: [{ from: 0, to: 5 * HOUR, count: 4 }] },
    { given: 'phantom-tasks=4@1h..3h', windows: [{ from: HOUR, to: 3 * HOUR, count: 4 }] },
    { given: 'phantom-tasks=4@1h..9h', windows: [{ from: HOUR, to: 5 * HOUR, count: 4 }] },
    { given: 'phantom-tasks=4@5h..9h', windows: [] },
  ])('$given ends with the last job, if that is queued after 5 hours', ({ given, windows }) => {
    const faults = chooseFaults([given, 'task-limit=5'], 7);
    expect(untilLastJob(faults, 5 * HOUR)).toEqual({ ...faults, phantomTasks: windows });
  });

  it.each([
    { given: 'outages=1h..2h', says: 'the nearest one is outage' },
    { given: 'outage', says: '--fault outage must be a time from and to' },
    { given: 'outage=2h..1h', says: 'such as outage=10h..10h30m, got "outage=2h..1h"' },
    { given: 'outage=2h', says: 'a time from and to' },
    { given: 'outage=1h..2h..3h', says: 'a time from and to' },
    { given: 'outage=1w..2w', says: 'a time from and to' },
    { given: 'boot-failures=0.3', says: 'a share of the boots' },
    { given: 'boot-failures=100%', says: 'up to 95%' },
    { given: 'boot-failures=101%@1h..2h', says: 'a share of the boots' },
    { given: 'dead-instances=5', says: 'a share of the instances that boot' },
    { given: 'lost-instances=5%@1h', says: 'takes back while they boot' },
    { given: 'deaf-runners=100%', says: 'up to 95%' },
    { given: 'spot-interruptions=-1', says: 'times an instance-hour' },
    { given: 'read-gap=2m', says: 'up to 60s' },
    { given: 'claims-refused=5', says: 'CircleCI hands out no job' },
    { given: 'claims-refused=5@1h..2h', says: 'CircleCI hands out no job' },
    { given: 'task-limit=0', says: 'at least 1, or any number with @' },
    { given: 'task-limit=1.5@1h..2h', says: 'how many jobs CircleCI lets run' },
    { given: 'maximum-size=ten', says: 'the maximum size of the group' },
    { given: 'foreign-runners=1.5', says: 'how many runners' },
  ])('$given is refused', ({ given, says }) => {
    expect(() => chooseFaults([given], 1)).toThrow(says);
  });

  /** The first day of the trace that npm run simulate replays by default. */
  const monday = generatedTrace('weekly', 1).jobs.filter(({ queuedAt }) => queuedAt < 24 * HOUR);
  const SPOT = { spot: { percentage: 100, onDemandBase: 0 } };
  /** Faults that change nothing without these settings. */
  const NEEDS: Record<string, Parameters<typeof ours>[0]> = {
    'spot-shortage': SPOT,
    'no-spot-role': SPOT,
    'spot-interruptions': SPOT,
    'phantom-tasks': { reuse: 'continuous', headroom: '30%' },
  };

  it.each(FAULT_OPTIONS)('$name has an example that changes a replay: $example', ({ name, example }) => {
    const choice = ours(NEEDS[name]);
    const replayed = (faults: Faults) => {
      const { waitSeconds, instanceHours, unusedLaunches } = simulateOne(monday, choice, WORLD, { faults });
      return { waitSeconds, instanceHours, unusedLaunches };
    };
    expect(replayed(chooseFaults([example], 1))).not.toEqual(replayed({ ...NO_FAULTS, seed: 1 }));
  });

  it('has valid examples', () => {
    for (const { example } of FAULT_OPTIONS)
      expect(chooseFaults([example], 1)).not.toEqual({ ...NO_FAULTS, seed: 1 });
  });
});
