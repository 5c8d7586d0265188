import { LAST_HOUR } from '../sandbox/group/hourly.ts';
import { figure, percentile } from '../sandbox/summary.ts';
import { type Priced, paidFor } from './cost.ts';
import type { JobTable } from './job-table.ts';
import { monthOf } from './month.ts';
import type { ReplayResult } from './replay.ts';

/** The figures of one day of a replay. */
export interface Day {
  /** Its date, or its number from 1 if the trace has no dates. */
  day: string | number;
  /** The replayed hours of it. The first and the last day may be shorter or longer than 24. */
  hours: number;
  /** Jobs queued on that day. */
  jobs: number;
  /** The waits of these jobs; `null` if there are none. */
  waitSeconds: { mean: number; p95: number } | null;
  /** Hours of instances that were billed on that day. */
  instanceHours: number;
  /** What that day cost, in US dollars. Unknown like the cost of a month. */
  cost?: number;
}

/** Figures of longer traces are not split by days. */
export const MOST_DAYS = 1_000;

/**
 * The figures of each day, from the first to the last on which a job is queued. What happens later counts for the last
 * one, so that all policies have the same days.
 *
 * @param byTime What costs the same on each day, in US dollars a month.
 */
export function daysOf(
  { queuedAt, length }: JobTable,
  {
    startedAt,
    endedAt,
    calendar,
    hourly,
  }: Pick<ReplayResult, 'startedAt' | 'endedAt' | 'calendar' | 'hourly'>,
  byTime: number,
  priced: Priced | undefined,
): Day[] {
  const month = monthOf(priced?.month, endedAt / 3_600);
  const first = calendar.clockOf(0).day;
  const lastHour = calendar.hourAt(queuedAt[length - 1] ?? 0);
  const endHour = Math.max(calendar.hourAt(endedAt), lastHour);
  const count = calendar.clockOf(lastHour).day - first + 1;
  if (count > MOST_DAYS || endHour >= LAST_HOUR) return [];
  const days = Array.from({ length: count }, () => ({
    seconds: 0,
    waits: [] as number[],
    billed: 0,
    spot: 0,
    stopped: 0,
  }));
  const ofHour = Array.from({ length: endHour + 1 }, (_, hour) =>
    Math.min(calendar.clockOf(hour).day - first, count - 1),
  );
  for (const [hour, day] of ofHour.entries()) {
    const of = days[day];
    if (of === undefined) continue;
    of.seconds += Math.max(
      Math.min(calendar.startOf(hour + 1), endedAt) - Math.max(calendar.startOf(hour), 0),
      0,
    );
  }
  for (const kind of ['billed', 'spot', 'stopped'] as const) {
    hourly?.[kind].forEach((seconds, hour) => {
      const of = days[ofHour[hour] ?? count - 1];
      if (of !== undefined) of[kind] += seconds;
    });
  }
  for (let job = 0; job < length; job += 1) {
    const at = queuedAt[job] ?? 0;
    days[ofHour[calendar.hourAt(at)] ?? count - 1]?.waits.push((startedAt[job] ?? at) - at);
  }
  return days.map(({ seconds, waits, ...times }, index): Day => {
    const hours = seconds / 3_600;
    const paid = priced?.instanceHour === undefined ? undefined : paidFor(times, priced);
    waits.sort((a, b) => a - b);
    return {
      day: calendar.nameOf(first + index),
      hours: figure(hours),
      jobs: waits.length,
      waitSeconds:
        waits.length === 0
          ? null
          : {
              mean: figure(waits.reduce((sum, wait) => sum + wait, 0) / waits.length),
              p95: percentile(waits, 0.95),
            },
      instanceHours: figure(times.billed / 3_600),
      ...(paid && { cost: figure(paid.instances + paid.volumes + (byTime * hours) / month.hours) }),
    };
  });
}
