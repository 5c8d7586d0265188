import { Command } from 'commander';
import { capacityOf } from '../fleets/effective.ts';
import { type FleetConfig, FleetsInvalid, loadFleets } from '../fleets/load.ts';
import { localTime, type Period, timetable } from '../fleets/timetable.ts';
import { numberOption, timeOption } from './command-line/arguments.ts';
import { namedFleet } from './command-line/fleets.ts';
import type { CliCommand, Shell } from './command-line/run.ts';
import type { Terminal } from './terminal/terminal.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

interface Options {
  days: number;
  from?: number;
  fleets: string;
  json?: boolean;
}

const define = ({ terminal }: Shell) =>
  new Command('npm run schedules --')
    .description(
      'Shows which settings of fleets.yaml will be in force in the next days: each change with its time and its schedule, and the schedules that an earlier one in the list hides. The command reads only the file; no deployment is needed.',
    )
    .argument('[fleet]', 'a fleet of fleets.yaml (default: all fleets)')
    .option('--days <n>', 'number of days', numberOption(1, 366), 7)
    .option(
      '--from <time>',
      'start time, such as 2026-01-05 or 2026-01-05T08:00:00Z (default: now)',
      timeOption,
    )
    .option('--fleets <file>', 'the fleets file', 'fleets.yaml')
    .option('--json', 'print only one JSON object')
    .allowExcessArguments(false)
    .action((fleet: string | undefined, options: Options) => showSchedules(fleet, options, terminal));

function showSchedules(name: string | undefined, options: Options, terminal: Terminal): void {
  const from = Math.floor((options.from ?? Date.now()) / MINUTE) * MINUTE;
  const to = from + options.days * DAY;
  const fleets = chooseFleets(name, options.fleets).map((fleet) => ({
    fleet,
    periods: timetable(capacityOf(fleet), from, to),
  }));
  if (options.json) {
    const shown = fleets.map(({ fleet, periods }) => ({
      fleet: fleet.name,
      schedules: fleet.schedules,
      periods: periods.map(plainPeriod),
    }));
    terminal.print(JSON.stringify({ from: iso(from), to: iso(to), fleets: shown }));
    return;
  }
  terminal.printProse(
    fleets
      .map(({ fleet, periods }) => describeFleet(fleet, periods, terminal.widest, terminal.colours))
      .join('\n\n'),
  );
}

function chooseFleets(name: string | undefined, file: string): FleetConfig[] {
  return name === undefined ? loadFleets(file) : [namedFleet(file, name)];
}

const iso = (at: number) => new Date(at).toISOString().replace('.000Z', 'Z');

/** A period in the JSON. Schedules are counted from 1, as in the reasons of decisions. */
const plainPeriod = ({ from, to, inForce, schedule, hidden, timezone }: Period) => ({
  from: iso(from),
  to: iso(to),
  local: localTime(from, timezone),
  timezone,
  schedule: schedule === undefined ? null : schedule + 1,
  hidden: hidden.map((index) => index + 1),
  ...inForce,
});

/** Columns of the table by their place. */
const LOCAL = 0;
const TIMEZONE = 1;
const UTC = 2;

const COLUMNS = ['local time', '', 'UTC', 'in force', 'min', 'max', 'headroom', 'maxSurge'];

/** @param columns The width of the text. If the table is wider, it has only one of its two times. */
function describeFleet(
  fleet: FleetConfig,
  periods: Period[],
  columns: number,
  colours: Terminal['colours'],
): string {
  const { schedules } = fleet;
  const title = `Fleet ${colours.bold(fleet.name)}`;
  const called = (index: number) => {
    const name = schedules[index]?.name;
    return `schedule ${index + 1}${name === undefined ? '' : `, ${name}`}`;
  };
  if (schedules.length === 0) {
    const { affordable, ...shown } = capacityOf(fleet);
    const settings = Object.entries(shown).map(([name, value]) => `${name} ${value}`);
    const limit = affordable === undefined ? '' : `; maxHourlyCost allows ${affordable} instances`;
    return `${title}: no schedules, always ${settings.join(', ')}${limit}`;
  }
  const rows = periods.map(({ from, inForce, schedule, timezone }) => [
    localTime(from, timezone),
    timezone,
    iso(from).slice(0, 16).replace('T', ' '),
    schedule === undefined ? 'no schedule' : called(schedule),
    `${inForce.minReplicas}`,
    `${inForce.maxReplicas}`,
    `${inForce.headroom ?? 0}`,
    `${inForce.maxSurge ?? '-'}`,
  ]);
  const widths = COLUMNS.map((_, column) =>
    Math.max(...[COLUMNS, ...rows].map((row) => row[column]?.length ?? 0)),
  );
  const timezones = new Set(periods.map(({ timezone }) => timezone));
  const isNarrow = widths.reduce((sum, width) => sum + width + 2, -2) > columns;
  const leftOut = !isNarrow ? [] : timezones.size === 1 ? [TIMEZONE, UTC] : [LOCAL, TIMEZONE];
  const line = (row: string[]) =>
    row
      .map((cell, column) =>
        column < 4 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .filter((_, column) => !leftOut.includes(column));
  const table = rows.map((row, index) => {
    const hidden = periods[index]?.hidden.map(called) ?? [];
    const text = line(row).join('  ');
    const shown = row[3] === 'no schedule' ? colours.dim(text) : text;
    if (hidden.length === 0) return shown;
    const hides = `hides ${hidden.join('; ')}`;
    const isTooLong = text.length + 2 + hides.length > columns;
    return `${shown}${isTooLong ? '\n    ' : '  '}${colours.yellow(hides)}`;
  });
  const times = !isNarrow
    ? ''
    : timezones.size === 1
      ? `, times of ${[...timezones].join()}`
      : ', times of UTC';
  return [
    `${title}${times}`,
    colours.bold(line(COLUMNS).join('  ')),
    ...table,
    ...remarks(fleet, periods, called),
  ].join('\n');
}

/** Remarks on schedules that others hide, schedules that are never in force, and times without a schedule. */
function remarks({ schedules }: FleetConfig, periods: Period[], called: (index: number) => string): string[] {
  const hours = (of: (period: Period) => boolean) => {
    const total = periods.filter(of).reduce((sum, { from, to }) => sum + to - from, 0) / HOUR;
    return `${Number(total.toFixed(1))} h`;
  };
  const overlaps = schedules.flatMap((_, index) => {
    const hiding = (period: Period) => period.hidden.includes(index);
    const by = [...new Set(periods.filter(hiding).map(({ schedule = 0 }) => called(schedule)))];
    return by.length === 0
      ? []
      : [`Overlap: ${called(index)} is hidden for ${hours(hiding)} by ${by.join(' and ')}.`];
  });
  const idle = schedules.flatMap((_, index) =>
    periods.some(({ schedule, hidden }) => schedule === index || hidden.includes(index))
      ? []
      : [`Never: ${called(index)} is not in force in this time.`],
  );
  const without = ({ schedule }: Period) => schedule === undefined;
  const gaps = periods.some(without)
    ? [
        `Gaps: for ${hours(without)} of ${hours(() => true)}, no schedule is in force, and the fleet's own settings apply.`,
      ]
    : [];
  return [...overlaps, ...idle, ...gaps];
}

export const schedules: CliCommand = { define, usageErrors: [FleetsInvalid] };
