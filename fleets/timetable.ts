import type { CapacitySettings, InForceSettings } from '../functions/lib/contracts.ts';
import { effectiveSettings, firesBetween, isInForce } from '../functions/lib/schedules.ts';

/** A time through which the same settings are in force. */
export interface Period {
  /** Milliseconds since the epoch; the second one is the first that is not part of it. */
  from: number;
  to: number;
  inForce: InForceSettings;
  /** The schedule in force, by its place in the list, from 0; `undefined` for the fleet's own settings. */
  schedule: number | undefined;
  /** Schedules that are in force too, and do not count because that one comes first. */
  hidden: number[];
  /** In which time zone people think of it: the schedule's, or that of the one that was in force before. */
  timezone: string;
}

/** What a fleet's settings are from one time to another. */
export function timetable(settings: CapacitySettings, from: number, to: number): Period[] {
  const { schedules = [] } = settings;
  const fires = schedules.flatMap(({ start, end, timezone }) =>
    [start, end].flatMap((cron) => firesBetween(cron, timezone, from, to)),
  );
  const periods: Period[] = [];
  for (const at of [...new Set([from, ...fires])].sort((a, b) => a - b)) {
    const { inForce, schedule } = effectiveSettings(settings, at);
    const hidden = schedules.flatMap((each, index) =>
      index > (schedule ?? index) && isInForce(each, at) ? [index] : [],
    );
    const last = periods.at(-1);
    if (last !== undefined && last.schedule === schedule && last.hidden.join() === hidden.join()) continue;
    if (last !== undefined) last.to = at;
    const { timezone } = schedules[schedule ?? 0] ?? { timezone: 'UTC' };
    const before = schedule === undefined ? last?.timezone : undefined;
    periods.push({ from: at, to, inForce, schedule, hidden, timezone: before ?? timezone });
  }
  return periods;
}

/** A time on the clocks of a time zone, to the minute: `Mon 2026-01-05 09:00`. */
export function localTime(at: number, timezone: string): string {
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone: timezone,
    weekday: 'short',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(at);
  const part = (type: string) => parts.find((each) => each.type === type)?.value;
  return `${part('weekday')} ${part('year')}-${part('month')}-${part('day')} ${part('hour')}:${part('minute')}`;
}
