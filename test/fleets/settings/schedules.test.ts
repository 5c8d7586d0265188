import { describe, expect, it } from 'vitest';
import { complaintsAbout, fleetsOf, minimalWith } from '../../support/fleets.ts';

describe('schedules', () => {
  const scheduled = (...schedules: string[]) => minimalWith(`schedules: [${schedules.join(', ')}]`);
  const HOURS = 'start: 0 8 * * MON-FRI, end: 0 18 * * MON-FRI';

  it('have the default time zone UTC', () => {
    const [fleet] = fleetsOf(
      scheduled(`{${HOURS}, minReplicas: 4}`, `{${HOURS}, name: w, timezone: Europe/Berlin, headroom: 50%}`),
    );
    const hours = { start: '0 8 * * MON-FRI', end: '0 18 * * MON-FRI' };
    expect(fleet?.schedules).toEqual([
      { ...hours, timezone: 'UTC', minReplicas: 4 },
      { ...hours, name: 'w', timezone: 'Europe/Berlin', headroom: '50%' },
    ]);
  });

  it('may raise both bounds at once, or keep one of them', () => {
    for (const schedule of ['minReplicas: 30, maxReplicas: 50', 'minReplicas: 20', 'maxReplicas: 1'])
      expect(fleetsOf(scheduled(`{${HOURS}, ${schedule}}`))).toHaveLength(1);
  });

  const CRON = 'must be a cron of five fields such as "0 8 * * MON-FRI", when the schedule';
  it.each([
    {
      schedule: 'start: 0 8 * * *, end: 0 24 * * *',
      said: `1.end: ${CRON} ends (Invalid value for hour: 24), got "0 24 * * *"`,
    },
    {
      schedule: 'start: "@daily", end: 0 8 * * *',
      said: `1.start: ${CRON} starts (it has not five fields of numbers, *, lists, ranges and steps), got "@daily"`,
    },
    {
      schedule: 'start: 0 8 30 2 *, end: 0 8 * * *',
      said: `1.start: ${CRON} starts (it never fires), got "0 8 30 2 *"`,
    },
    { schedule: 'start: 8, end: 0 8 * * *', said: `1.start: ${CRON} starts, got 8` },
    { schedule: 'start: 0 8 * * *', said: `1.end: ${CRON} ends, got nothing` },
    {
      schedule: 'start: 0 8 * * *, end: 0 8 * * *',
      said: '1.end: must differ from start, or the schedule never ends, got "0 8 * * *"',
    },
    {
      schedule: `${HOURS}, timezone: Berlin`,
      said: '1.timezone: must be the name of a time zone of the IANA database, such as Europe/Berlin or UTC, got "Berlin"',
    },
    {
      schedule: `${HOURS}, timezone: "+02:00"`,
      said: '1.timezone: must be the name of a time zone of the IANA database, such as Europe/Berlin or UTC, got "+02:00"',
    },
    {
      schedule: `${HOURS}, minReplicas: 21`,
      said: '1.minReplicas: must be at most maxReplicas of the fleet (20), got 21',
    },
    {
      schedule: `${HOURS}, minReplicas: 3, maxReplicas: 2`,
      said: '1.maxReplicas: must be at least minReplicas (3) while it is in force, got 2',
    },
    {
      schedule: `${HOURS}, maxSurge: 0`,
      said: '1.maxSurge: must be a whole number from 1 to 10000, the maximum number of launches that one poll adds; for no limit, leave it out, got 0',
    },
    {
      schedule: `${HOURS}, scaleDownDelay: 5m`,
      said: '1.scaleDownDelay: cannot be scheduled, because an instance gets its idle time (idleTimeout, recycleAfter) when it launches, got "5m"',
    },
    {
      schedule: `${HOURS}, minReplica: 3`,
      said: '1.minReplica: is not a setting; the nearest one is minReplicas',
    },
  ])('$schedule is refused', ({ schedule, said }) => {
    expect(complaintsAbout(scheduled(`{${schedule}}`))).toBe(
      `fleets.yaml has a fault:\n  linux.schedule ${said}`,
    );
  });

  it('are reported beside all other faults, each by its place in the list', () => {
    const said = complaintsAbout(
      `${scheduled(`{${HOURS}, timezone: Berlin, minReplicas: 21}`, `{${HOURS}, maxReplicas: 0}`, '5', `{${HOURS}, minReplicas: 22}`)}  maxSurge: -1\n`,
    );
    expect(said.split('\n  ').map((line) => line.split(':')[0])).toEqual([
      'fleets.yaml has 6 faults',
      'linux.maxSurge',
      'linux.schedule 1.timezone',
      'linux.schedule 2.maxReplicas',
      'linux.schedule 3',
      'linux.schedule 1.minReplicas',
      'linux.schedule 4.minReplicas',
    ]);
  });

  it('are a list of at most 20', () => {
    expect(complaintsAbout(minimalWith('schedules: {}'))).toContain('must be a list of schedules, got a map');
    expect(complaintsAbout(scheduled(...Array(21).fill(`{${HOURS}}`)))).toContain(
      'must be at most 20 schedules',
    );
    expect(fleetsOf(scheduled(...Array(20).fill(`{${HOURS}}`)))).toHaveLength(1);
  });
});
