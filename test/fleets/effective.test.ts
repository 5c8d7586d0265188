import { describe, expect, it } from 'vitest';
import { capacityOf, idleTimes, spareSettingsOf } from '../../fleets/effective.ts';
import { fleetsOf, minimalWith } from '../support/fleets.ts';

const HOURS = 'start: 0 8 * * *, end: 0 18 * * *';

/** The one fleet with these settings. */
function fleet(...settings: string[]) {
  const [only] = fleetsOf(minimalWith(...settings));
  if (only === undefined) throw new Error('There is no fleet');
  return only;
}

describe('the capacity settings for Compute Capacity', () => {
  it('leave out what a fleet does not set', () => {
    expect(capacityOf(fleet())).toEqual({ minReplicas: 0, maxReplicas: 20 });
    expect(capacityOf(fleet('headroom: 0', 'schedules: []', 'recycleAfter: 2h'))).toEqual({
      minReplicas: 0,
      maxReplicas: 20,
    });
  });

  it('have all that a fleet sets, with the names of fleets.yaml', () => {
    const set = fleet(
      'minReplicas: 1',
      'headroom: 20%',
      'maxSurge: 3',
      `schedules: [{${HOURS}, maxSurge: 9}]`,
    );
    expect(capacityOf(set)).toEqual({
      minReplicas: 1,
      maxReplicas: 20,
      headroom: '20%',
      maxSurge: 3,
      schedules: [{ start: '0 8 * * *', end: '0 18 * * *', timezone: 'UTC', maxSurge: 9 }],
    });
  });
});

describe('a runner waits for a task', () => {
  it.each([
    { case: 'for idleTimeout', settings: [], seconds: 300 },
    { case: 'for idleTimeout', settings: ['idleTimeout: 20m'], seconds: 1_200 },
    { case: 'for twice idleTimeout, with headroom', settings: ['headroom: 2'], seconds: 600 },
    {
      case: 'for twice idleTimeout, with headroom as a share',
      settings: ['headroom: 20%', 'idleTimeout: 3m'],
      seconds: 360,
    },
    {
      case: 'for twice idleTimeout, with headroom in a schedule',
      settings: [`schedules: [{${HOURS}, headroom: 1}]`],
      seconds: 600,
    },
    {
      case: 'for three times idleTimeout, with spareRunners',
      settings: ['spareRunners: auto'],
      seconds: 900,
    },
    { case: 'for idleTimeout, with a headroom of 0', settings: ['headroom: 0%'], seconds: 300 },
    {
      case: 'for idleTimeout, with headroom and reuse',
      settings: ['headroom: 2', 'reuse: continuous'],
      seconds: 300,
    },
    {
      case: 'for an hour, with headroom and minReplicas',
      settings: ['headroom: 2', 'minReplicas: 1'],
      seconds: 3_600,
    },
    {
      case: 'for idleTimeout, which scaleDownDelay is no more than',
      settings: ['scaleDownDelay: 1m'],
      seconds: 300,
    },
    {
      case: 'for idleTimeout, if nothing keeps it for recycleAfter',
      settings: ['recycleAfter: 4h'],
      seconds: 300,
    },
    { case: 'for an hour, if some are kept', settings: ['minReplicas: 1'], seconds: 3_600 },
    {
      case: 'for an hour, if a schedule keeps some',
      settings: [`schedules: [{${HOURS}, minReplicas: 1}]`],
      seconds: 3_600,
    },
    {
      case: 'for idleTimeout, if no schedule keeps any',
      settings: [`schedules: [{${HOURS}, minReplicas: 0}]`],
      seconds: 300,
    },
    {
      case: 'for idleTimeout, if that is longer',
      settings: ['minReplicas: 1', 'idleTimeout: 2h'],
      seconds: 7_200,
    },
    { case: 'for recycleAfter', settings: ['minReplicas: 1', 'recycleAfter: 24h'], seconds: 86_400 },
    { case: 'for recycleAfter, be it short', settings: ['minReplicas: 1', 'recycleAfter: 6m'], seconds: 360 },
  ])('$case: $settings', ({ settings, seconds }) => {
    expect(idleTimes(fleet(...settings)).seconds).toBe(seconds);
  });

  it.each([
    { case: 'none, if none is kept', settings: [], spread: 0 },
    { case: 'a quarter', settings: ['minReplicas: 1'], spread: 900 },
    { case: 'a quarter', settings: ['minReplicas: 1', 'recycleAfter: 24h'], spread: 21_600 },
    { case: 'a quarter', settings: ['spareRunners: auto'], spread: 225 },
    { case: 'none, with reuse', settings: ['spareRunners: auto', 'reuse: continuous'], spread: 0 },
    { case: 'what a shell can draw', settings: ['minReplicas: 1', 'recycleAfter: 168h'], spread: 32_767 },
    { case: 'no less than idleTimeout', settings: ['minReplicas: 1', 'recycleAfter: 6m'], spread: 60 },
    { case: 'none, if it is no longer', settings: ['minReplicas: 1', 'idleTimeout: 2h'], spread: 0 },
  ])('less by $case: $settings', ({ settings, spread }) => {
    expect(idleTimes(fleet(...settings)).spread).toBe(spread);
  });

  it.each([
    { case: 'half of the random part less than the longest', settings: [], stays: 788 },
    { case: 'idleTimeout, with reuse', settings: ['reuse: continuous'], stays: 300 },
    { case: 'an hour at most', settings: ['minReplicas: 1', 'recycleAfter: 24h'], stays: 3_600 },
  ])('on average $case, for spareRunners: $settings', ({ settings, stays }) => {
    expect(spareSettingsOf(fleet('spareRunners: auto', ...settings))?.stays).toBe(stays);
  });
});
