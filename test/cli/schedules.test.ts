import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { localTime, timetable } from '../../fleets/timetable.ts';
import { effectiveSettings } from '../../functions/lib/schedules.ts';
import { runInProcess } from '../support/in-process.ts';

const FLEETS = `
linux:
  resourceClass: acme/linux
  instanceTypes: [m7i.large]
  maxReplicas: 20
  headroom: 20%
  schedules:
    - {name: working hours, start: 0 8 * * MON-FRI, end: 0 18 * * MON-FRI, timezone: Europe/Berlin, minReplicas: 4}
    - {start: 0 17 * * *, end: 0 20 * * *, timezone: Europe/Berlin, headroom: 2, maxSurge: 5}
    - {name: new year, start: 0 0 1 1 *, end: 0 0 2 1 *, maxReplicas: 1}
plain:
  resourceClass: acme/plain
  instanceTypes: [m7i.large]
  maxReplicas: 9
`;

let folder: string;
let file: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'schedules-test-'));
  file = join(folder, 'fleets.yaml');
  writeFileSync(file, FLEETS);
});

afterAll(() => rmSync(folder, { recursive: true }));

const schedules = (...words: string[]) => runInProcess('schedules', ['--fleets', file, ...words]);

describe('npm run schedules', () => {
  it('says how many instances maxHourlyCost allows', async () => {
    const limited = join(folder, 'limited.yaml');
    writeFileSync(limited, `${FLEETS}  maxHourlyCost: 0.5\n`);
    const { stdout } = await runInProcess('schedules', ['plain', '--fleets', limited]);
    expect(stdout).toContain('always minReplicas 0, maxReplicas 9; maxHourlyCost allows 4 instances\n');
  });

  it('shows changes across daylight-saving time, hidden schedules, schedules never in force, and gaps', async () => {
    const { stdout } = await schedules('linux', '--from', '2026-03-28T16:30:00Z', '--days', '2');
    // Without a terminal there are no colours.
    expect(stdout).toBe(stripVTControlCharacters(stdout));
    expect(stdout.split('\n').map((line) => line.trimEnd())).toEqual([
      'Fleet linux',
      'local time                           UTC               in force                   min  max  headroom  maxSurge',
      'Sat 2026-03-28 17:30  Europe/Berlin  2026-03-28 16:30  schedule 2                   0   20         2         5',
      'Sat 2026-03-28 20:00  Europe/Berlin  2026-03-28 19:00  no schedule                  0   20       20%         -',
      'Sun 2026-03-29 17:00  Europe/Berlin  2026-03-29 15:00  schedule 2                   0   20         2         5',
      'Sun 2026-03-29 20:00  Europe/Berlin  2026-03-29 18:00  no schedule                  0   20       20%         -',
      'Mon 2026-03-30 08:00  Europe/Berlin  2026-03-30 06:00  schedule 1, working hours    4   20       20%         -',
      'Mon 2026-03-30 17:00  Europe/Berlin  2026-03-30 15:00  schedule 1, working hours    4   20       20%         -  hides schedule 2',
      'Mon 2026-03-30 18:00  Europe/Berlin  2026-03-30 16:00  schedule 2                   0   20         2         5',
      'Overlap: schedule 2 is hidden for 1 h by schedule 1, working hours.',
      'Never: schedule 3, new year is not in force in this time.',
      "Gaps: for 32 h of 48 h, no schedule is in force, and the fleet's own settings apply.",
      '',
    ]);
  });

  it('fit a terminal of 80 columns, and keep one of the times', async () => {
    const words = ['--fleets', file, '--from', '2026-03-29T16:30:00Z', '--days', '2'];
    const { stdout } = await runInProcess('schedules', words, { columns: 80, isTTY: true });
    const lines = stripVTControlCharacters(stdout).split('\n');
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(lines.slice(0, 8).map((line) => line.trimEnd())).toEqual([
      'Fleet linux, times of Europe/Berlin',
      'local time            in force                   min  max  headroom  maxSurge',
      'Sun 2026-03-29 18:30  schedule 2                   0   20         2         5',
      'Sun 2026-03-29 20:00  no schedule                  0   20       20%         -',
      'Mon 2026-03-30 08:00  schedule 1, working hours    4   20       20%         -',
      'Mon 2026-03-30 17:00  schedule 1, working hours    4   20       20%         -',
      '    hides schedule 2',
      'Mon 2026-03-30 18:00  schedule 2                   0   20         2         5',
    ]);
  });

  it('shows the constant settings of a fleet without schedules, and all fleets by default', async () => {
    const { stdout } = await schedules('--from', '2026-01-05');
    expect(stdout).toContain('Fleet linux\n');
    expect(stdout).toContain('\n\nFleet plain: no schedules, always minReplicas 0, maxReplicas 9\n');
  });

  it('prints one JSON object, with schedules counted from 1', async () => {
    const { stdout } = await schedules('linux', '--json', '--from', '2026-01-05T15:59:59Z', '--days', '1');
    const { from, to, fleets } = JSON.parse(stdout);
    expect({ from, to }).toEqual({ from: '2026-01-05T15:59:00Z', to: '2026-01-06T15:59:00Z' });
    expect(fleets).toEqual([
      {
        fleet: 'linux',
        schedules: expect.arrayContaining([expect.objectContaining({ name: 'new year' })]),
        periods: expect.any(Array),
      },
    ]);
    const [{ periods }] = fleets;
    expect(periods[0]).toEqual({
      from: '2026-01-05T15:59:00Z',
      to: '2026-01-05T16:00:00Z',
      local: 'Mon 2026-01-05 16:59',
      timezone: 'Europe/Berlin',
      schedule: 1,
      hidden: [],
      minReplicas: 4,
      maxReplicas: 20,
      headroom: '20%',
    });
    expect(periods.map(({ schedule, hidden }: Record<string, unknown>) => [schedule, hidden])).toEqual([
      [1, []],
      [1, [2]],
      [2, []],
      [null, []],
      [1, []],
    ]);
  });

  it('shows seven days from now by default', async () => {
    const { stdout } = await schedules('plain', '--json');
    const { from, to } = JSON.parse(stdout);
    expect(Date.parse(to) - Date.parse(from)).toBe(7 * 86_400_000);
    expect(Math.abs(Date.parse(from) - Date.now())).toBeLessThan(120_000);
  });

  it.each([
    { words: ['macos'], said: 'The fleet must be one of ', and: '(linux, plain), got "macos"' },
    {
      words: ['--days', '0'],
      said: 'It must be a whole number from 1 to 366.',
      and: '--help',
    },
    {
      words: ['--from', '2026-01-05T08:00'],
      said: 'It must be a date, or a time with its offset',
      and: '--help',
    },
    { words: ['--from', '2026-02-31'], said: 'It must be a date, or a time with its offset', and: '--help' },
    { words: ['--from', 'tomorrow'], said: 'It must be a date, or a time with its offset', and: '--help' },
    { words: ['--fleets', 'nowhere.yaml'], said: 'nowhere.yaml cannot be read', and: 'ENOENT' },
    { words: ['linux', 'plain'], said: 'too many arguments', and: '--help' },
  ])('refuses $words with exit code 2', async ({ words, said, and }) => {
    const { status, stdout, stderr } = await schedules(...words);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(said);
    expect(stderr).toContain(and);
  });

  it.each(['2026-01-05T08:00Z', '2026-01-05T09:00+01:00', '2026-01-05T08:00:00.999Z'])(
    'takes %s for what it is, whatever the time zone here',
    async (from) => {
      const { stdout } = await schedules('plain', '--json', '--from', from);
      expect(JSON.parse(stdout).from).toBe('2026-01-05T08:00:00Z');
    },
  );

  it('has a help text', async () => {
    const { stdout } = await schedules('--help');
    for (const part of ['[fleet]', '--days', '--from', '--fleets', '--json']) expect(stdout).toContain(part);
  });
});

describe('the timetable', () => {
  const settings = {
    minReplicas: 0,
    maxReplicas: 9,
    schedules: [
      { start: '0 8 * * 1-5', end: '0 18 * * *', timezone: 'America/New_York', minReplicas: 2 },
      { start: '30 2 * * *', end: '0 12 * * *', timezone: 'Europe/Berlin', maxReplicas: 3 },
    ],
  };

  it.each(['2026-03-07', '2026-03-28', '2026-10-24', '2026-10-31'])(
    'from %s on is without holes, and right at any minute',
    (day) => {
      const [from, to] = [Date.parse(day), Date.parse(day) + 3 * 86_400_000];
      const periods = timetable(settings, from, to);
      expect(periods[0]?.from).toBe(from);
      expect(periods.at(-1)?.to).toBe(to);
      for (const [index, period] of periods.entries()) {
        expect(periods[index + 1]?.from ?? to).toBe(period.to);
        for (let at = period.from; at < period.to; at += 7 * 60_000) {
          expect(effectiveSettings(settings, at)).toMatchObject({
            inForce: period.inForce,
            schedule: period.schedule,
          });
        }
      }
    },
  );

  it('of a fleet without schedules is one period', () => {
    expect(timetable({ minReplicas: 1, maxReplicas: 9 }, 0, 1)).toEqual([
      {
        from: 0,
        to: 1,
        inForce: { minReplicas: 1, maxReplicas: 9 },
        schedule: undefined,
        hidden: [],
        timezone: 'UTC',
      },
    ]);
  });

  it('has midnight as the first hour of a day', () => {
    expect(localTime(Date.parse('2026-01-05T00:00:00Z'), 'UTC')).toBe('Mon 2026-01-05 00:00');
  });
});
