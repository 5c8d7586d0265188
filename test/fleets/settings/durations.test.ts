import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FleetsInvalid } from '../../../fleets/load.ts';
import {
  complaintsAbout,
  expectAccepted,
  expectRefused,
  fleetsOf,
  minimalWith,
} from '../../support/fleets.ts';

describe('settings that are durations', () => {
  const TIME = 'a number of seconds, or numbers with units as in 90s, 1h30m or 2d';

  it.each([
    { given: 'recycleAfter: 168h', becomes: { recycleAfter: 604_800 } },
    { given: 'recycleAfter: 7d', becomes: { recycleAfter: 604_800 } },
    { given: 'maxRunTime: 1h30m', becomes: { maxRunTime: 5_400 } },
    { given: 'scaleDownDelay: 1m', becomes: { scaleDownDelay: 60 } },
    { given: 'pollInterval: 5', becomes: { pollInterval: 5 } },
    { given: 'pollInterval: 10s', becomes: { pollInterval: 10 } },
    { given: 'pollInterval: 1m', becomes: { pollInterval: 60 } },
    { given: 'idleTimeout: 30', becomes: { idleTimeout: 30 } },
    { given: 'idleTimeout: 24 h', becomes: { idleTimeout: 86_400 } },
    { given: 'maxRunTime: 90m', becomes: { maxRunTime: 5_400 } },
    { given: 'bootTimeout: 2m', becomes: { bootTimeout: 120 } },
    { given: 'bootTimeout: 7200', becomes: { bootTimeout: 7_200 } },
  ])('$given is accepted', expectAccepted);

  it.each([
    { given: 'pollInterval: 0', said: `pollInterval: must be an interval from 1s to 1m: ${TIME}, got 0` },
    {
      given: 'pollInterval: 61s',
      said: `pollInterval: must be an interval from 1s to 1m: ${TIME}, got "61s"`,
    },
    {
      given: 'pollInterval: 2.5',
      said: `pollInterval: must be an interval from 1s to 1m: ${TIME}, got 2.5`,
    },
    {
      given: 'pollInterval: 1.5s',
      said: `pollInterval: must be an interval from 1s to 1m: ${TIME}, got "1.5s"`,
    },
    {
      given: 'pollInterval: "5"',
      said: `pollInterval: must be an interval from 1s to 1m: ${TIME}, got "5"`,
    },
    { given: 'idleTimeout: 29s', said: `idleTimeout: must be a time from 30s to 1d: ${TIME}, got "29s"` },
    { given: 'idleTimeout: 2d', said: `idleTimeout: must be a time from 30s to 1d: ${TIME}, got "2d"` },
    {
      given: 'idleTimeout: 25h',
      said: `idleTimeout: must be a time from 30s to 1d: ${TIME}, got "25h"`,
    },
    { given: 'maxRunTime: 59', said: `maxRunTime: must be a time from 1m to 5d: ${TIME}, got 59` },
    { given: 'maxRunTime:', said: `maxRunTime: must be a time from 1m to 5d: ${TIME}, got nothing` },
    {
      given: 'bootTimeout: 119',
      said: `bootTimeout: must be a time from 2m to 2h: ${TIME}, got 119`,
    },
    {
      given: 'bootTimeout: 121m',
      said: `bootTimeout: must be a time from 2m to 2h: ${TIME}, got "121m"`,
    },
  ])('$given is refused', expectRefused);
});

describe('durations', () => {
  const UNITS = { s: 1, m: 60, h: 3_600 };
  const bounds = { pollInterval: [1, 60], maxRunTime: [60, 432_000], bootTimeout: [120, 7_200] } as const;

  it('mean the same in any unit', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(bounds)),
        fc.constantFrom(...Object.keys(UNITS)),
        fc.integer({ min: 0, max: 500_000 }),
        (setting, unit, number) => {
          const [least, most] = bounds[setting as keyof typeof bounds];
          const seconds = number * UNITS[unit as keyof typeof UNITS];
          const given = minimalWith('idleTimeout: 1h', `${setting}: ${number}${unit}`);
          if (seconds < least || seconds > most) {
            expect(() => fleetsOf(given)).toThrow(FleetsInvalid);
          } else {
            expect(fleetsOf(given)[0]).toHaveProperty(setting, seconds);
            expect(fleetsOf(minimalWith('idleTimeout: 1h', `${setting}: ${seconds}`))).toEqual(
              fleetsOf(given),
            );
          }
        },
      ),
    );
  });
});

describe('settings that depend on each other', () => {
  it.each([
    {
      given: ['scaleDownDelay: 301s'],
      said: 'scaleDownDelay: must be at most idleTimeout (5m), got "301s"',
    },
    { given: ['scaleDownDelay: 5m'], said: undefined },
    { given: ['scaleDownDelay: 0s'], said: undefined },
    { given: ['scaleDownDelay: 10m', 'idleTimeout: 10m'], said: undefined },
    { given: ['recycleAfter: 299'], said: 'recycleAfter: must be at least idleTimeout (5m), got 299' },
    { given: ['recycleAfter: 5m'], said: undefined },
    { given: ['idleTimeout: 2h'], said: undefined },
  ])('$given: $said', ({ given, said }) => {
    if (said === undefined) expect(fleetsOf(minimalWith(...given))).toHaveLength(1);
    else expect(complaintsAbout(minimalWith(...given))).toBe(`fleets.yaml has a fault:\n  linux.${said}`);
  });

  it.each([
    { idleTimeout: '30s', pollInterval: '10s', sound: false },
    { idleTimeout: '31s', pollInterval: '10s', sound: true },
    { idleTimeout: '3m', pollInterval: '1m', sound: false },
    { idleTimeout: '181s', pollInterval: '1m', sound: true },
  ])('idleTimeout $idleTimeout with pollInterval $pollInterval: sound is $sound', (example) => {
    const given = minimalWith(`idleTimeout: ${example.idleTimeout}`, `pollInterval: ${example.pollInterval}`);
    if (example.sound) expect(fleetsOf(given)).toHaveLength(1);
    else {
      expect(complaintsAbout(given)).toMatch(
        /linux\.idleTimeout: must be longer than three times pollInterval \(\d+[sm]\), or runners leave before they are needed, got "/,
      );
    }
  });
});
