import { Cron } from 'croner';
import type { CapacitySettings, InForceSettings, ScalingSchedule, ScalingSettings } from './contracts.ts';

/**
 * Which settings a fleet's capacity is decided with at a time. Pure: the time is an argument, in milliseconds
 * since the epoch.
 *
 * A schedule is in force from a fire of its `start` until the next fire of its `end`; of several, the first in
 * the list. What it does not set is the fleet's own. Names and rules are those of CircleCI's Machine Runner
 * Orchestrator: https://circleci.com/docs/guides/execution-runner/machine-runner-orchestrator/#scaling-schedules
 *
 * Crons are of the clocks of their time zone. Where those skip an hour, what would fire within it fires as the
 * hour is skipped; where they show an hour twice, it fires in the first. Crons with a `*` or a step in their
 * minutes or hours recur soon anyway: they leave out the hour that is skipped, and fire in both that are shown.
 */

/** The settings that are in force, and whose they are. */
export interface EffectiveSettings {
  inForce: InForceSettings;
  /** The schedule that is in force, by its place in the list, from 0; `undefined` for the fleet's own settings. */
  schedule: number | undefined;
  /** Names the schedule, for a decision's reasons; empty for the fleet's own settings. */
  reasons: string[];
}

/** The settings of a fleet at that time. */
export function effectiveSettings(settings: CapacitySettings, at: number): EffectiveSettings {
  // A replay asks this at each poll, and making an object without a key is slow.
  if (settings.schedules === undefined) return { inForce: settings, schedule: undefined, reasons: [] };
  const { schedules, ...own } = settings;
  const first = schedules.findIndex((schedule) => isInForce(schedule, at));
  const schedule = schedules[first];
  if (schedule === undefined) return { inForce: own, schedule: undefined, reasons: [] };
  return {
    inForce: { ...own, ...settingsOf(schedule) },
    schedule: first,
    reasons: [describeSchedule(schedule, first)],
  };
}

/** The most instances that the fleet or one of its schedules ever allows: what the group must allow. */
export const largestMaximum = ({
  maxReplicas,
  schedules = [],
  affordable = Number.POSITIVE_INFINITY,
}: Pick<CapacitySettings, 'maxReplicas' | 'schedules' | 'affordable'>) =>
  Math.min(Math.max(maxReplicas, ...schedules.map((schedule) => schedule.maxReplicas ?? 0)), affordable);

/** Whether the last fire of `start` is no earlier than the last one of `end`. If both fire at the same time, the schedule starts again. */
export function isInForce({ start, end, timezone }: ScalingSchedule, at: number): boolean {
  const startedAt = lastFire(start, timezone, at);
  return startedAt !== undefined && startedAt >= (lastFire(end, timezone, at) ?? Number.NEGATIVE_INFINITY);
}

/** The schedule as a decision's reasons name it, with the settings that are its own. */
function describeSchedule(schedule: ScalingSchedule, index: number): string {
  const own = Object.entries(settingsOf(schedule)).map(([name, value]) => `${name} ${value}`);
  const { name, start, timezone } = schedule;
  const which = `schedule ${index + 1}${name === undefined ? '' : `, ${name}`} (${start} ${timezone})`;
  return `${which} is in force: ${own.length === 0 ? "the fleet's own settings" : own.join(', ')}`;
}

/** When a cron fires from one time to another, that one not included. */
export function firesBetween(cron: string, timezone: string, from: number, to: number): number[] {
  const fires: number[] = [];
  const parsed = parseCron(cron, timezone);
  // What it is asked for comes after a time, and it looks at whole seconds.
  for (let at = from - 1_000; ; ) {
    const next = parsed.nextRun(new Date(at))?.getTime();
    if (next === undefined || next >= to) return fires;
    if (next >= from) fires.push(next);
    at = next;
  }
}

/** When one of the schedules begins or ends next after a time, both in milliseconds; Infinity if none ever does. */
export function nextFire(schedules: readonly ScalingSchedule[], after: number): number {
  const fires = schedules.flatMap(({ start, end, timezone }) =>
    [start, end].map((cron) => parseCron(cron, timezone).nextRun(new Date(after))?.getTime()),
  );
  return fires.reduce<number>((next, at) => Math.min(next, at ?? next), Number.POSITIVE_INFINITY);
}

/** When a cron fired last, that time included; `undefined` if it never did. */
function lastFire(cron: string, timezone: string, at: number): number | undefined {
  // What it is asked for comes before a time, and crons fire in whole seconds.
  const after = Math.floor(at / 1_000) * 1_000 + 1_000;
  return parseCron(cron, timezone).previousRuns(1, new Date(after))[0]?.getTime();
}

/** Minute, hour, day of the month, month, day of the week: numbers and names, lists, ranges and steps. */
const FIVE_FIELDS = /^[\d*,/-]+ +[\d*,/-]+ +[\d*,/-]+ +[\d*,/A-Za-z-]+ +[\d*,/A-Za-z-]+$/;

/** What is wrong with a cron, or `undefined` if it can fire. Extensions of the five fields are wrong. */
export function faultOfCron(cron: string): string | undefined {
  if (!FIVE_FIELDS.test(cron)) return 'it has not five fields of numbers, *, lists, ranges and steps';
  try {
    return parseCron(cron, 'UTC').nextRun() === null ? 'it never fires' : undefined;
  } catch (error) {
    return (error as Error).message.replace(/^CronPattern: /, '');
  }
}

/** A name of the time zone database. Not an offset: that has no daylight-saving time. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) !== undefined;
  } catch {
    return false;
  }
}

const parseCron = (cron: string, timezone: string) =>
  new Cron(cron, { timezone, mode: '5-part', fixedTimeRule: 'no-wildcard' });

/** What a schedule sets: all that it has beside its name and its times. */
function settingsOf({ name, start, end, timezone, ...settings }: ScalingSchedule): Partial<ScalingSettings> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}
