import { isDeepStrictEqual } from 'node:util';
import type { FleetConfig } from '../fleets/load.ts';
import {
  type AlarmRoute,
  type AlarmSettings,
  alarmsOfFleet,
  badFrom,
  OUTAGE_FAILURES,
  STACK_ALARMS,
  type StackAlarm,
} from '../statemachine/alarms.ts';
import type { EndedExecution, Metric } from './workflow.ts';

/**
 * Evaluates the project's alarms over the metrics of a run, minute by minute, as CloudWatch does. Pure.
 *
 * CloudWatch gets a metric some seconds, rarely minutes, after it was published. Here it has it at once.
 */

/** The results of a run. Times are milliseconds since the epoch. */
export interface Run {
  metrics: Metric[];
  /** Of all fleets. */
  executions: Pick<EndedExecution, 'status' | 'endedAt'>[];
  startedAt: number;
  /** How many minutes from then are evaluated. */
  minutes: number;
}

/** When an alarm rang, in minutes from the run's start. Without an end, it still rings at the end of the run. */
export interface Ringing {
  from: number;
  until?: number;
}

export interface Alarm {
  /** The heading of its section in docs/operations.md. */
  heading: string;
  fleet?: string;
  /** Which alarm notifies; a composite alarm notifies directly. */
  route: AlarmRoute;
  ringings: Ringing[];
}

/** The statistic of a metric's values in the period that ends with a minute; `undefined` if there was none. */
type Datapoint = number | undefined;

const MINUTE = 60_000;

/**
 * How many periods CloudWatch evaluates beyond those of an alarm, to replace missing ones. It documents 2 for alarms
 * over 3 of them: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
 */
const MORE_PERIODS = 2;

/** An alarm, and the minutes at whose end it rings. */
interface Rung extends Omit<Alarm, 'ringings'> {
  rings: boolean[];
}

/** All alarms of these fleets, composite alarms included, and when each rang. */
export function alarmsOver(fleets: FleetConfig[], run: Run): Alarm[] {
  const stack = ofStack(run, fleets.length);
  const outage: Rung = {
    heading: OUTAGE,
    route: 'direct',
    rings: anyOf(
      run,
      stack.filter(({ route }) => route === 'Outage').map(({ rings }) => rings),
    ),
  };
  const alarms = fleets.flatMap((config) => ofFleet(config, run, outage.rings));
  return [outage, ...alarms, ...stack].map(({ rings, ...alarm }) => ({
    ...alarm,
    ringings: ringings(rings),
  }));
}

/** A fleet's alarms, after the composite alarm of those that need you. */
function ofFleet(config: FleetConfig, run: Run, outage: boolean[]): Rung[] {
  const fleet = config.name;
  const alarms = Object.values(alarmsOfFleet(config)).map(({ metric, statistic, ...settings }): Rung => {
    const values = run.metrics.filter(
      ({ name, dimensions }) => name === metric && isDeepStrictEqual(dimensions, { Fleet: fleet }),
    );
    const datapoints = byTheMinute(run, values, STATISTICS[statistic], settings.period);
    const rings = ringingMinutes(settings, datapoints);
    return { heading: settings.heading, fleet, route: settings.route, rings };
  });
  const ofYours = alarms.flatMap(({ route, rings }) => {
    if (route === 'NeedsYou') return [rings];
    if (route !== 'NeedsYou unless Outage') return [];
    return [rings.map((ringing, minute) => ringing && !outage[minute])];
  });
  return [{ heading: NEEDS_YOU, fleet, route: 'direct', rings: anyOf(run, ofYours) }, ...alarms];
}

/** The alarms of what all fleets share. */
function ofStack(run: Run, fleets: number): Rung[] {
  const ended = (as: EndedExecution['status']) =>
    run.executions.map(({ status, endedAt }) => ({ at: endedAt, value: Number(status === as) }));
  const counted = run.metrics.filter(({ name }) => name === OUTAGE_FAILURES.metric);
  const sums = (values: { at: number; value: number }[]) => byTheMinute(run, values, STATISTICS.Sum);
  const outages = sums(counted);
  const uncounted = sums([...ended('FAILED'), ...counted.map(({ at }) => ({ at, value: -1 }))]);
  // The sandbox has no throttled or undeliverable executions.
  const watched: Partial<Record<StackAlarm, Datapoint[]>> = {
    ExecutionsFailed: uncounted
      .map((value = 0, minute) => Math.max(value, outages[minute] ?? 0))
      .map((value) => (value > 0 ? value : undefined)),
    ExecutionsTimedOut: sums(ended('TIMED_OUT')),
  };
  return (Object.keys(STACK_ALARMS) as StackAlarm[]).map((kind) => {
    const { heading, route, ...settings } = STACK_ALARMS[kind];
    const datapoints = watched[kind] ?? sums([]);
    return { heading, route, rings: ringingMinutes(settings, datapoints, badFrom(kind, fleets)) };
  });
}

/** Headings of the alarms over others. */
export const NEEDS_YOU = 'Fleet Needs You';
export const OUTAGE = 'Outage';

const STATISTICS = {
  Sum: (values: number[]) => values.reduce((sum, value) => sum + value, 0),
  Maximum: (values: number[]) => Math.max(...values),
  Minimum: (values: number[]) => Math.min(...values),
  SampleCount: (values: number[]) => values.length,
};

function byTheMinute(
  { startedAt, minutes }: Run,
  values: { at: number; value: number }[],
  statistic: (values: number[]) => number,
  period = 1,
): Datapoint[] {
  const inMinute: number[][] = Array.from({ length: minutes }, () => []);
  for (const { at, value } of values) inMinute[Math.floor((at - startedAt) / MINUTE)]?.push(value);
  return inMinute.map((_, minute) => {
    const inPeriod = inMinute.slice(Math.max(minute + 1 - period, 0), minute + 1).flat();
    return inPeriod.length === 0 ? undefined : statistic(inPeriod);
  });
}

/**
 * The minutes after which an alarm rings. CloudWatch evaluates the newest periods that have data, and counts missing ones
 * only if it has fewer of them than the alarm needs. Periods before the run count as good.
 *
 * @param datapoints Of the period that ends with each minute.
 */
export function ringingMinutes(
  { minutes: [bad, of], period = 1, bad: badIs }: Pick<AlarmSettings, 'minutes' | 'period' | 'bad'>,
  datapoints: Datapoint[],
  threshold = 1,
): boolean[] {
  const isBad = (value: number) => (badIs === 'any' ? value >= threshold : value < threshold);
  const periods = of / period;
  return datapoints.map((_, minute) => {
    const ends = Array.from({ length: periods + MORE_PERIODS }, (_, before) => minute - before * period);
    const judged = ends.map((end) => {
      const value = datapoints[end];
      if (end < 0) return false;
      return value === undefined ? undefined : isBad(value);
    });
    const counted = judged.filter((isBad) => isBad !== undefined).slice(0, periods);
    const missing = badIs === 'none' ? periods - counted.length : 0;
    return counted.filter(Boolean).length + missing >= bad / period;
  });
}

const anyOf = ({ minutes }: Run, alarms: boolean[][]): boolean[] =>
  Array.from({ length: minutes }, (_, minute) => alarms.some((rings) => rings[minute]));

/** A minute is evaluated at its end. */
function ringings(rings: boolean[]): Ringing[] {
  const spells: Ringing[] = [];
  rings.forEach((ringing, minute) => {
    const last = spells.at(-1);
    const ringsAlready = last !== undefined && last.until === undefined;
    if (ringing && !ringsAlready) spells.push({ from: minute + 1 });
    if (!ringing && ringsAlready) last.until = minute + 1;
  });
  return spells;
}
