import { LAST_HOUR } from '../../sandbox/group/hourly.ts';
import type { Calendar } from '../calendar.ts';
import { type Cost, costByTime, type Priced, paidFor } from '../cost.ts';
import type { JobTable } from '../job-table.ts';
import { monthOf } from '../month.ts';
import type { ReplayResult } from '../replay.ts';
import type { PartOfWeek } from './model.ts';

/** From Monday to Friday, from this hour until that one. */
export const WORKING = { from: 8, until: 18 };

const NAMES = ['working hours', 'nights', 'weekends'] as const;

/** The number of a period in `NAMES`. */
function periodAt(calendar: Calendar, hour: number): number {
  const clock = calendar.clockOf(hour);
  if (calendar.weekdayOf(clock.day) >= 5) return 2;
  return clock.hour >= WORKING.from && clock.hour < WORKING.until ? 0 : 1;
}

/** The figures of working hours, nights and weekends. A job belongs to the period in which it is queued. */
export function periodsOf(
  { queuedAt, length }: JobTable,
  { startedAt, endedAt, calendar, hourly }: ReplayResult,
  priced: Priced | undefined,
  cost: Cost | undefined,
): PartOfWeek[] {
  if (!calendar.dated || calendar.hourAt(endedAt) >= LAST_HOUR) return [];
  const periods = NAMES.map(() => ({ seconds: 0, jobs: 0, waited: 0, billed: 0, spot: 0, stopped: 0 }));
  const last = calendar.hourAt(endedAt);
  const month = monthOf(priced?.month, endedAt / 3_600);
  for (let hour = 0; hour <= last; hour += 1) {
    const period = periods[periodAt(calendar, hour)];
    if (period === undefined) continue;
    period.seconds += Math.min(calendar.startOf(hour + 1), endedAt) - Math.max(calendar.startOf(hour), 0);
    for (const kind of ['billed', 'spot', 'stopped'] as const) period[kind] += hourly?.[kind][hour] ?? 0;
  }
  for (let job = 0; job < length; job += 1) {
    const at = queuedAt[job] ?? 0;
    const period = periods[periodAt(calendar, calendar.hourAt(at))];
    if (period === undefined) continue;
    period.jobs += 1;
    period.waited += (startedAt[job] ?? at) - at;
  }
  return periods.map(({ seconds, jobs, waited, ...times }, index) => {
    const paid = cost === undefined || priced === undefined ? undefined : paidFor(times, priced);
    const byTime = (costByTime(cost) * seconds) / 3_600 / month.hours;
    return {
      name: NAMES[index] ?? '',
      hours: seconds / 3_600,
      jobs,
      waitMean: jobs === 0 ? null : waited / jobs,
      instanceHours: times.billed / 3_600,
      cost: paid === undefined ? null : paid.instances + paid.volumes + byTime,
    };
  });
}

/** How many hours a week has. */
export const HOURS_A_WEEK = 168;

/** The mean wait of the jobs that are queued in each hour of the week, from Monday 00:00; `null` without jobs. */
export function weekOf(
  { queuedAt, length }: JobTable,
  { startedAt, calendar }: Pick<ReplayResult, 'startedAt' | 'calendar'>,
): (number | null)[] {
  const hours = Array.from({ length: HOURS_A_WEEK }, () => ({ jobs: 0, waited: 0 }));
  for (let job = 0; job < length; job += 1) {
    const at = queuedAt[job] ?? 0;
    const hour = hours[hourOfWeek(calendar, calendar.hourAt(at))];
    if (hour === undefined) continue;
    hour.jobs += 1;
    hour.waited += (startedAt[job] ?? at) - at;
  }
  return hours.map(({ jobs, waited }) => (jobs === 0 ? null : Math.round((waited / jobs) * 10) / 10));
}

/** How many jobs are queued in each hour of the week, on average over its weeks; `null` for hours outside the trace. */
export function demandOf({ queuedAt, length }: JobTable, calendar: Calendar): (number | null)[] {
  const hours = Array.from({ length: HOURS_A_WEEK }, () => ({ jobs: 0, times: 0 }));
  // Centuries of hours are on average like the first years.
  const last = Math.min(calendar.hourAt(queuedAt[length - 1] ?? 0), LAST_HOUR);
  for (let hour = 0; hour <= last; hour += 1) {
    const of = hours[hourOfWeek(calendar, hour)];
    if (of !== undefined) of.times += 1;
  }
  for (let job = 0; job < length; job += 1) {
    const hour = calendar.hourAt(queuedAt[job] ?? 0);
    const of = hour > last ? undefined : hours[hourOfWeek(calendar, hour)];
    if (of !== undefined) of.jobs += 1;
  }
  return hours.map(({ jobs, times }) => (times === 0 ? null : Math.round((jobs / times) * 10) / 10));
}

function hourOfWeek(calendar: Calendar, number: number): number {
  const { day, hour } = calendar.clockOf(number);
  return calendar.weekdayOf(day) * 24 + hour;
}
