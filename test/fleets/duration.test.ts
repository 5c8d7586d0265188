import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DURATION_WITH_UNITS, formatDuration, parseDuration } from '../../fleets/duration.ts';

describe('a duration', () => {
  it.each([
    { given: '90s', seconds: 90 },
    { given: '5m', seconds: 300 },
    { given: '24 h', seconds: 86_400 },
    { given: '2d', seconds: 172_800 },
    { given: '1h30m', seconds: 5_400 },
    { given: '1d 2h 3m 4s', seconds: 93_784 },
    { given: '1.5h', seconds: 5_400 },
    { given: '1.1h', seconds: 3_960 },
    { given: '0.5s', seconds: 0.5 },
    { given: '0s', seconds: 0 },
    { given: ' 90 ', seconds: 90 },
    { given: '0.25', seconds: 0.25 },
  ])('reads $given as $seconds s', ({ given, seconds }) => {
    expect(parseDuration(given)).toBe(seconds);
  });

  it.each([
    '',
    ' ',
    's',
    '5 minutes',
    '5M',
    '30m1h',
    '1h1h',
    '-5m',
    '5m..1h',
    '1e3',
    '.5s',
    '5.s',
    '1w',
    'h5',
  ])('refuses %j', (given) => {
    expect(parseDuration(given)).toBeUndefined();
  });

  it('has units in a setting of fleets.yaml, where a number without one is not a text', () => {
    expect(DURATION_WITH_UNITS.test('1h30m')).toBe(true);
    expect(DURATION_WITH_UNITS.test('90')).toBe(false);
  });

  it.each([
    { seconds: 0, formatted: '0s' },
    { seconds: 90, formatted: '90s' },
    { seconds: 300, formatted: '5m' },
    { seconds: 5_400, formatted: '90m' },
    { seconds: 129_600, formatted: '36h' },
    { seconds: 604_800, formatted: '7d' },
  ])('of $seconds s is written $formatted', ({ seconds, formatted }) => {
    expect(formatDuration(seconds)).toBe(formatted);
  });

  it('is read as it is written', () => {
    fc.assert(
      fc.property(fc.nat(10_000_000), (seconds) => parseDuration(formatDuration(seconds)) === seconds),
    );
  });

  it('is the sum of its parts', () => {
    const part = fc.nat(1_000);
    fc.assert(
      fc.property(part, part, part, part, (d, h, m, s) => {
        expect(parseDuration(`${d}d${h}h${m}m${s}s`)).toBe(d * 86_400 + h * 3_600 + m * 60 + s);
      }),
    );
  });
});
