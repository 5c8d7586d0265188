import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CapacitySettings, ScalingSchedule, ScalingSettings } from '../../functions/lib/contracts.ts';
import {
  effectiveSettings,
  faultOfCron,
  firesBetween,
  isInForce,
  isTimeZone,
  largestMaximum,
  nextFire,
} from '../../functions/lib/schedules.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;

const at = (text: string) => Date.parse(text);

describe('effectiveSettings', () => {
  const all = { start: '0 0 * * *', end: '0 12 * * *', timezone: 'UTC' };

  it.each<{ rule: string; settings: CapacitySettings; when: string; inForce: ScalingSettings }>([
    {
      rule: 'a schedule can take everything to nothing',
      settings: {
        minReplicas: 5,
        maxReplicas: 9,
        headroom: 3,
        schedules: [{ ...all, minReplicas: 0, headroom: 0 }],
      },
      when: '2026-01-05T06:00:00Z',
      inForce: { minReplicas: 0, maxReplicas: 9, headroom: 0 },
    },
    {
      rule: 'the later one counts once the first has ended',
      settings: {
        minReplicas: 0,
        maxReplicas: 9,
        schedules: [
          { ...all, end: '0 2 * * *', minReplicas: 2 },
          { ...all, minReplicas: 4 },
        ],
      },
      when: '2026-01-05T06:00:00Z',
      inForce: { minReplicas: 4, maxReplicas: 9 },
    },
    {
      rule: "one that sets nothing keeps the fleet's own settings against those after it",
      settings: { minReplicas: 1, maxReplicas: 9, schedules: [all, { ...all, minReplicas: 4 }] },
      when: '2026-01-05T06:00:00Z',
      inForce: { minReplicas: 1, maxReplicas: 9 },
    },
  ])('$rule', ({ settings, when, inForce }) => {
    expect(effectiveSettings(settings, at(when)).inForce).toEqual(inForce);
  });

  it('names the one in force in the reasons, with what it sets', () => {
    const working = { ...all, name: 'working hours', minReplicas: 20, maxReplicas: 50, headroom: 5 };
    const settings = { minReplicas: 3, maxReplicas: 10, schedules: [working] };
    expect(effectiveSettings(settings, at('2026-01-05T06:00:00Z'))).toMatchObject({
      schedule: 0,
      reasons: [
        'schedule 1, working hours (0 0 * * * UTC) is in force: minReplicas 20, maxReplicas 50, headroom 5',
      ],
    });
    expect(effectiveSettings(settings, at('2026-01-05T20:00:00Z'))).toMatchObject({
      schedule: undefined,
      reasons: [],
    });
  });
});

describe('the reasons', () => {
  const always = { start: '0 0 1 1 *', end: '0 0 1 7 *', timezone: 'UTC' };
  const past = { start: '0 0 1 7 *', end: '0 0 1 8 *', timezone: 'UTC' };
  const reasons = (...schedules: ScalingSchedule[]) =>
    effectiveSettings({ minReplicas: 0, maxReplicas: 9, schedules }, at('2026-03-05T06:00:00Z'));

  it('name a schedule without a name by its place in the list', () => {
    expect(reasons(past, { ...always, maxReplicas: 4 })).toMatchObject({
      schedule: 1,
      reasons: ['schedule 2 (0 0 1 1 * UTC) is in force: maxReplicas 4'],
    });
  });

  it("say if a schedule keeps the fleet's own settings", () => {
    expect(reasons({ ...always, headroom: undefined }).reasons).toEqual([
      "schedule 1 (0 0 1 1 * UTC) is in force: the fleet's own settings",
    ]);
  });
});

describe('a schedule is in force', () => {
  const inForce = (start: string, end: string, timezone: string, when: string) =>
    isInForce({ start, end, timezone }, at(when));

  it.each([
    { case: 'over midnight', start: '0 22 * * *', end: '0 6 * * *', when: '2026-01-06T01:00:00Z', is: true },
    {
      case: 'not after its end',
      start: '0 22 * * *',
      end: '0 6 * * *',
      when: '2026-01-06T06:00:00Z',
      is: false,
    },
    {
      case: 'over a weekend',
      start: '0 18 * * FRI',
      end: '0 8 * * MON',
      when: '2026-01-11T12:00:00Z',
      is: true,
    },
    {
      case: 'for a month of the year',
      start: '0 0 1 12 *',
      end: '0 0 1 1 *',
      when: '2026-12-31T23:59:00Z',
      is: true,
    },
    {
      case: 'not for the others',
      start: '0 0 1 12 *',
      end: '0 0 1 1 *',
      when: '2026-06-01T00:00:00Z',
      is: false,
    },
    {
      case: 'on, if both fire at once',
      start: '0 0 * * 1-5',
      end: '0 0 * * 2-6',
      when: '2026-01-06T00:00:00Z',
      is: true,
    },
    {
      case: 'through the day that follows',
      start: '0 0 * * 1-5',
      end: '0 0 * * 2-6',
      when: '2026-01-06T09:00:00Z',
      is: true,
    },
    {
      case: 'until an end that no start follows',
      start: '0 0 * * 1-5',
      end: '0 0 * * 2-6',
      when: '2026-01-10T00:00:00Z',
      is: false,
    },
    {
      case: 'from one start to the end, whatever starts between',
      start: '*/10 8-10 * * *',
      end: '0 9 * * *',
      when: '2026-01-06T08:55:00Z',
      is: true,
    },
    {
      case: 'again, if a start follows the end',
      start: '*/10 8-10 * * *',
      end: '5 9 * * *',
      when: '2026-01-06T09:10:00Z',
      is: true,
    },
    {
      case: 'by names of days and months',
      start: '0 8 1 jan *',
      end: '0 8 * FEB *',
      when: '2026-01-31T08:00:00Z',
      is: true,
    },
    {
      case: 'on either day, if both days are given',
      start: '0 8 13 * FRI',
      end: '0 9 * * *',
      when: '2026-01-13T08:30:00Z',
      is: true,
    },
    {
      case: 'on the 29th of February, years later',
      start: '0 0 29 2 *',
      end: '0 0 1 3 *',
      when: '2027-02-28T00:00:00Z',
      is: false,
    },
    {
      case: 'on the 29th of February',
      start: '0 0 29 2 *',
      end: '0 0 1 3 *',
      when: '2028-02-29T13:00:00Z',
      is: true,
    },
  ])('$case: $start to $end at $when is $is', ({ start, end, when, is }) => {
    expect(inForce(start, end, 'UTC', when)).toBe(is);
  });

  // Berlin: 2026-03-29 02:00 becomes 03:00 (01:00 UTC); 2026-10-25 03:00 becomes 02:00 (01:00 UTC).
  // New York: 2026-03-08 02:00 becomes 03:00 (07:00 UTC); 2026-11-01 02:00 becomes 01:00 (06:00 UTC).
  const BERLIN = 'Europe/Berlin';
  const NEW_YORK = 'America/New_York';
  it.each([
    {
      zone: BERLIN,
      case: 'before the change, 08:00 is 07:00 UTC',
      start: '0 8 * * *',
      end: '0 18 * * *',
      from: '2026-03-28T07:00:00Z',
      to: '2026-03-28T17:00:00Z',
    },
    {
      zone: BERLIN,
      case: 'after the change, 08:00 is 06:00 UTC',
      start: '0 8 * * *',
      end: '0 18 * * *',
      from: '2026-03-29T06:00:00Z',
      to: '2026-03-29T16:00:00Z',
    },
    {
      zone: BERLIN,
      case: 'a night is an hour shorter in spring',
      start: '0 22 * * *',
      end: '0 6 * * *',
      from: '2026-03-28T21:00:00Z',
      to: '2026-03-29T04:00:00Z',
    },
    {
      zone: BERLIN,
      case: 'a night is an hour longer in autumn',
      start: '0 22 * * *',
      end: '0 6 * * *',
      from: '2026-10-24T20:00:00Z',
      to: '2026-10-25T05:00:00Z',
    },
    {
      zone: BERLIN,
      case: 'a start within the skipped hour comes as it is skipped',
      start: '30 2 * * *',
      end: '0 8 * * *',
      from: '2026-03-29T01:00:00Z',
      to: '2026-03-29T06:00:00Z',
    },
    {
      zone: BERLIN,
      case: 'so does one of several starts',
      start: '15,30 2 * * *',
      end: '0 8 * * *',
      from: '2026-03-29T01:00:00Z',
      to: '2026-03-29T06:00:00Z',
    },
    {
      zone: BERLIN,
      case: 'an end within the skipped hour comes as it is skipped',
      start: '0 1 * * *',
      end: '30 2 * * *',
      from: '2026-03-29T00:00:00Z',
      to: '2026-03-29T01:00:00Z',
    },
    {
      zone: BERLIN,
      case: 'an end in the doubled hour comes in the first of the two',
      start: '0 1 * * *',
      end: '30 2 * * *',
      from: '2026-10-24T23:00:00Z',
      to: '2026-10-25T00:30:00Z',
    },
    {
      zone: BERLIN,
      case: 'a start in the doubled hour comes in the first of the two',
      start: '30 2 * * *',
      end: '0 4 * * *',
      from: '2026-10-25T00:30:00Z',
      to: '2026-10-25T03:00:00Z',
    },
    {
      zone: BERLIN,
      case: 'both in the doubled hour are in the first of the two',
      start: '10 2 * * *',
      end: '50 2 * * *',
      from: '2026-10-25T00:10:00Z',
      to: '2026-10-25T00:50:00Z',
    },
    {
      zone: NEW_YORK,
      case: 'before the change, 08:00 is 13:00 UTC',
      start: '0 8 * * *',
      end: '0 18 * * *',
      from: '2026-03-07T13:00:00Z',
      to: '2026-03-07T23:00:00Z',
    },
    {
      zone: NEW_YORK,
      case: 'after the change, 08:00 is 12:00 UTC',
      start: '0 8 * * *',
      end: '0 18 * * *',
      from: '2026-03-08T12:00:00Z',
      to: '2026-03-08T22:00:00Z',
    },
    {
      zone: NEW_YORK,
      case: 'a start within the skipped hour comes as it is skipped',
      start: '30 2 * * SUN',
      end: '0 8 * * SUN',
      from: '2026-03-08T07:00:00Z',
      to: '2026-03-08T12:00:00Z',
    },
    {
      zone: NEW_YORK,
      case: 'an end within the skipped hour comes as it is skipped',
      start: '0 22 * * SAT',
      end: '30 2 * * SUN',
      from: '2026-03-08T03:00:00Z',
      to: '2026-03-08T07:00:00Z',
    },
    {
      zone: NEW_YORK,
      case: 'an end in the doubled hour comes in the first of the two',
      start: '0 22 * * SAT',
      end: '30 1 * * SUN',
      from: '2026-11-01T02:00:00Z',
      to: '2026-11-01T05:30:00Z',
    },
    {
      zone: NEW_YORK,
      case: 'a start in the doubled hour comes in the first of the two',
      start: '30 1 * * SUN',
      end: '0 8 * * SUN',
      from: '2026-11-01T05:30:00Z',
      to: '2026-11-01T13:00:00Z',
    },
    {
      zone: 'Asia/Kolkata',
      case: 'half hours of zones count',
      start: '0 9 * * *',
      end: '0 10 * * *',
      from: '2026-01-05T03:30:00Z',
      to: '2026-01-05T04:30:00Z',
    },
  ])('in $zone: $case', ({ zone, start, end, from, to }) => {
    for (const { when, is } of [
      { when: at(from) - 1, is: false },
      { when: at(from), is: true },
      { when: at(from) + MINUTE, is: true },
      { when: at(to) - 1, is: true },
      { when: at(to), is: false },
      { when: at(to) + 30 * MINUTE, is: false },
      { when: at(to) + 90 * MINUTE, is: false },
    ]) {
      const said = `at ${new Date(when).toISOString()}`;
      expect(isInForce({ start, end, timezone: zone }, when), said).toBe(is);
    }
  });
});

describe('whatever the schedules', () => {
  const field = (most: number, least = 0) => fc.integer({ min: least, max: most }).map(String);
  const crons = fc
    .tuple(
      field(59),
      field(23),
      fc.constantFrom('*', '1', '15'),
      fc.constantFrom('*', '1-5', 'SUN', 'TUE,THU'),
    )
    .map(([minute, hour, day, weekday]) => `${minute} ${hour} ${day} * ${weekday}`);
  const zones = fc.constantFrom(
    'UTC',
    'Europe/Berlin',
    'America/New_York',
    'Australia/Lord_Howe',
    'Africa/Cairo',
  );
  const schedules = fc.record({ start: crons, end: crons, timezone: zones });
  const times = fc.integer({ min: at('2026-01-01'), max: at('2027-01-01') });

  it('one is in force exactly if, of all fires of the year before, a start was the last', () => {
    fc.assert(
      fc.property(schedules, times, (schedule, when) => {
        const last = (cron: string) =>
          firesBetween(cron, schedule.timezone, when - 366 * DAY, when + 1).at(-1) ?? 0;
        expect(isInForce(schedule, when)).toBe(
          last(schedule.start) > 0 && last(schedule.start) >= last(schedule.end),
        );
      }),
      { numRuns: 60 },
    );
  });

  it('nothing changes between two fires', () => {
    fc.assert(
      fc.property(fc.array(schedules, { maxLength: 3 }), times, (list, when) => {
        const settings = { minReplicas: 0, maxReplicas: 5, schedules: list };
        const fires = list.flatMap(({ start, end, timezone }) =>
          [start, end].flatMap((cron) => firesBetween(cron, timezone, when + 1, when + DAY)),
        );
        const next = Math.min(when + DAY, ...fires);
        expect(effectiveSettings(settings, next - 1)).toEqual(effectiveSettings(settings, when));
      }),
      { numRuns: 60 },
    );
  });
});

describe('firesBetween', () => {
  it('has the first instant, and not the last', () => {
    expect(firesBetween('0 8 * * *', 'UTC', at('2026-01-05T08:00:00Z'), at('2026-01-07T08:00:00Z'))).toEqual([
      at('2026-01-05T08:00:00Z'),
      at('2026-01-06T08:00:00Z'),
    ]);
  });
});

describe('a fire within a second', () => {
  const eight = at('2026-01-05T08:00:00Z');

  it('is before the rest of that second', () => {
    expect(firesBetween('0 8 * * *', 'UTC', eight + 500, eight + 2 * DAY)).toEqual([eight + DAY]);
    const schedule = { start: '0 8 * * *', end: '0 9 * * *', timezone: 'UTC' };
    expect(isInForce(schedule, eight + 500)).toBe(true);
    expect(isInForce(schedule, eight - 500)).toBe(false);
  });
});

describe('nextFire', () => {
  const nights = { start: '0 20 * * *', end: '0 6 * * *', timezone: 'UTC' };
  const yearly = { start: '0 0 1 7 *', end: '0 0 1 8 *', timezone: 'UTC' };

  it.each([
    { case: 'an end', after: '2026-01-05T05:00:00Z', next: '2026-01-05T06:00:00Z' },
    { case: 'a start', after: '2026-01-05T07:00:00Z', next: '2026-01-05T20:00:00Z' },
    { case: 'not the one at that time itself', after: '2026-01-05T06:00:00Z', next: '2026-01-05T20:00:00Z' },
  ])('is the first of all schedules: $case', ({ after, next }) => {
    expect(nextFire([yearly, nights], at(after))).toBe(at(next));
    expect(nextFire([nights, yearly], at(after))).toBe(at(next));
  });

  it('is never, without schedules', () => {
    expect(nextFire([], at('2026-01-05T05:00:00Z'))).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('largestMaximum', () => {
  const nights = { start: '0 0 * * *', end: '0 6 * * *', timezone: 'UTC' };

  it.each([
    { maxReplicas: 5, schedules: undefined, largest: 5 },
    { maxReplicas: 5, schedules: [{ ...nights, maxReplicas: 50 }], largest: 50 },
    { maxReplicas: 60, schedules: [{ ...nights, maxReplicas: 50 }], largest: 60 },
    { maxReplicas: 5, schedules: [nights], largest: 5 },
    { maxReplicas: 5, schedules: [{ ...nights, maxReplicas: 50 }], affordable: 12, largest: 12 },
    { maxReplicas: 5, schedules: undefined, affordable: 12, largest: 5 },
  ])('of $maxReplicas and what its schedules say is $largest', ({ largest, ...settings }) => {
    expect(largestMaximum(settings)).toBe(largest);
  });
});

describe('a cron', () => {
  it.each([
    '0 8 * * MON-FRI',
    '0 8 * * mon,wed',
    '*/15 8-18/2 1,15 JAN-MAR 0-7',
    '59 23 31 12 *',
    '0  8 * * *',
  ])('%s is one', (cron) => expect(faultOfCron(cron)).toBeUndefined());

  it.each([
    '',
    '@daily',
    '0 8 * *',
    '0 8 * * * *',
    '60 8 * * *',
    '0 24 * * *',
    '0 8 0 * *',
    '0 8 * 13 *',
    '0 8 * * 8',
    '0 8 * * FOO',
    '0 8 * * FRI-MON',
    '0 8 L * *',
    '0 8 * * 5#2',
    '? 8 * * *',
    '0 8 30 2 *',
    '0 8 * * MON-',
    '*/0 8 * * *',
    'eight in the morning',
  ])('%j is none', (cron) => expect(faultOfCron(cron)).toEqual(expect.any(String)));
});

describe('what is wrong with a cron is said:', () => {
  it.each(['', '@daily', '0 8 * *', '0 8 * * * *', ' 0 8 * * *', '0 8 * * * ', '0 8 L * *'])(
    '%j has not five fields',
    (cron) => expect(faultOfCron(cron)).toBe('it has not five fields of numbers, *, lists, ranges and steps'),
  );

  it('a day that no month has', () => {
    expect(faultOfCron('0 8 30 2 *')).toBe('it never fires');
  });

  it('what the parser says, without its own name', () => {
    expect(faultOfCron('60 8 * * *')).toMatch(/^Invalid value for minute/);
  });

  it('nothing of fields of any length, with any number of spaces between them', () => {
    expect(faultOfCron('10,20  8-18  10,20  JAN-MAR  MON-FRI')).toBeUndefined();
    expect(faultOfCron('10,20   8-18   10,20   1-12   1-5')).toBeUndefined();
  });
});

describe('a time zone', () => {
  it.each(['UTC', 'Europe/Berlin', 'America/New_York', 'America/Argentina/Buenos_Aires'])(
    '%s is one',
    (name) => expect(isTimeZone(name)).toBe(true),
  );

  it.each(['', 'Berlin', 'Europe/Berlln', '+02:00', 'GMT+25', 'Local'])('%j is none', (name) =>
    expect(isTimeZone(name)).toBe(false),
  );
});
