/** The status of fleets as text: a line for each fleet, or all about one. Pure. */

import { wrapped } from '../../functions/lib/fold.ts';
import { describeBootTimes } from '../deployed/boots.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { type FleetStatus, shortTime } from './fleet-status.ts';

type Colours = Terminal['colours'];

/** The widths of the columns; the first and the last one take what is left. */
const HEADS = ['queue', 'run', 'desired', 'up', 'boot', 'warm', 'polled', 'USD'] as const;
const WIDTHS = [5, 4, 7, 4, 4, 4, 6, 6];

/** The column of warm pools, which is shown only if a fleet has one. */
const WARM = HEADS.indexOf('warm');
const NAME = { least: 5, most: 16 };

const cut = (text: string, width: number) =>
  text.length <= width ? text : `${text.slice(0, Math.max(width - 3, 0))}...`;

/** One line for each fleet, in at most this many columns. */
export function statusTable(fleets: FleetStatus[], columns: number, colours: Colours): string[] {
  const width = Math.min(Math.max(NAME.least, ...fleets.map(({ fleet }) => fleet.length)), NAME.most);
  const hasPool = fleets.some(({ warmPool }) => warmPool !== null);
  const shown = <T>(columnsOf: readonly T[]) => columnsOf.filter((_, index) => hasPool || index !== WARM);
  const widths = shown(WIDTHS);
  const numbers = widths.reduce((sum, each) => sum + each + 1, 0);
  const room = columns - width - numbers - 2;
  const line = (name: string, cells: string[], note: string) =>
    `${cut(name, width).padEnd(width)} ${shown(cells)
      .map((cell, index) => cell.padStart(widths[index] ?? 0))
      .join(' ')}  ${cut(note, room)}`.trimEnd();
  const head = colours.bold(line('fleet', [...HEADS], 'state'));
  const rows = fleets.map((fleet) => {
    const { members, decision, monthCost } = fleet;
    const cells = [
      known(fleet.queue),
      known(fleet.running),
      `${fleet.desired}`,
      `${members.inService}`,
      `${members.pending}`,
      fleet.warmPool === null ? '-' : `${fleet.warmPool.size}`,
      decision === null ? '-' : shortTime(decision.secondsAgo),
      monthCost === null ? '-' : monthCost.toFixed(monthCost < 1_000 ? 2 : 0),
    ];
    const { text, level } = noteOf(fleet);
    return colourOf(level, colours)(line(fleet.fleet, cells, text));
  });
  return [head, ...rows];
}

const known = (count: number | null) => (count === null ? '-' : `${count}`);

type Level = 'bad' | 'warning' | 'good';

const colourOf = (level: Level, { red, yellow }: Colours): ((text: string) => string) =>
  ({ bad: red, warning: yellow, good: (text: string) => text })[level];

interface Note {
  text: string;
  level: Level;
}

/** What a person must know first about a fleet: that somebody paused it, and what is wrong all the same. */
export function noteOf(fleet: FleetStatus): Note {
  const wrong = whatIsWrong(fleet);
  if (fleet.paused === null) return wrong ?? whatHolds(fleet);
  const how = fleet.paused.how === 'drain' ? 'drains' : 'paused';
  return wrong === undefined ? { text: how, level: 'warning' } : { ...wrong, text: `${how}, ${wrong.text}` };
}

function whatIsWrong({ alarms, breaker, waits, fails, decision, undecided }: FleetStatus): Note | undefined {
  if (alarms.length > 0)
    return { text: `! ${alarms[0]}${alarms.length > 1 ? ` +${alarms.length - 1}` : ''}`, level: 'bad' };
  if (breaker === 'open') return { text: 'breaker open', level: 'bad' };
  if (waits !== null) return { text: 'waits for its tokens', level: 'warning' };
  if (fails !== null) return { text: 'executions fail', level: 'bad' };
  if (decision !== null) return undefined;
  return undecided === null
    ? { text: 'no decision in 2 min', level: 'bad' }
    : { text: undecided, level: 'warning' };
}

/** A drain suspends launches itself, so this is about a fleet that follows its queue. */
function whatHolds({ suspended, suspendedForDrain, decision, queue, schedule }: FleetStatus): Note {
  if (suspendedForDrain) return { text: 'resumes with the next poll', level: 'warning' };
  if (suspended.length > 0) return { text: `suspended: ${suspended.join(', ')}`, level: 'warning' };
  const held = decision?.reasons.find((reason) => /^(capped|held|the breaker)/.test(reason));
  if (held !== undefined && (queue ?? 0) > 0) return { text: held, level: 'warning' };
  return {
    text: schedule === null ? 'ok' : (/^schedule \d+(, [^(]*?)?(?= \()/.exec(schedule)?.[0] ?? 'ok'),
    level: 'good',
  };
}

const LABEL = 12;

/** All about one fleet, in at most this many columns. */
export function statusDetails(
  fleet: FleetStatus,
  columns: number,
  colours: Colours,
  advise: (text: string) => string = (text) => text,
): string[] {
  const row = (label: string, text: string) => wrapped(`${label.padEnd(LABEL)}${text}`, columns, LABEL);
  const { members, limits, decision, paused } = fleet;
  const none = 'not known';
  const counts = [
    `${members.inService} in service`,
    ...(members.pending > 0 ? [`${members.pending} booting`] : []),
    ...(members.leaving > 0 ? [`${members.leaving} leaving`] : []),
    ...(members.standby > 0 ? [`${members.standby} in standby`] : []),
  ];
  const busy =
    fleet.busy === null || members.inService === 0
      ? ''
      : `; by CircleCI's count, ${fleet.busy} of them busy and ${members.inService - fleet.busy} idle`;
  return [
    `${colours.bold(`Fleet ${fleet.fleet}`)}${fleet.resourceClass === null ? '' : `, resource class ${fleet.resourceClass}`}`,
    ...row('Queue', fleet.queue === null ? none : `${fleet.queue} waiting, ${fleet.running ?? 0} running`),
    ...row(
      'Capacity',
      `desired ${fleet.desired}${limits === null ? '' : `, minReplicas ${limits.minReplicas}, maxReplicas ${limits.maxReplicas}`}`,
    ),
    ...row('Members', `${counts.join(', ')}${busy}`),
    ...fleet.instances.map(({ instance, doing }) => cut(`  ${instance}  ${doing}`, columns)),
    ...poolLines(fleet.warmPool, columns, row),
    ...row(
      'Decision',
      fleet.waits !== null
        ? `none: the fleet ${fleet.waits}`
        : fleet.fails !== null
          ? `none: executions fail. ${fleet.fails}`
          : decision === null
            ? advise(noDecision(fleet))
            : `${shortTime(decision.secondsAgo)} ago: desired capacity ${decision.desired}`,
    ),
    ...(decision?.reasons ?? []).flatMap((reason) => wrapped(`  ${reason}`, columns, 4)),
    ...fleet.notChecked.flatMap((source) => row('Not checked', `a count of 0, against ${source}`)),
    ...row('Schedule', fleet.schedule ?? "none in force; the fleet's own settings apply"),
    ...row('Breaker', fleet.breaker === 'open' ? colours.red('open') : 'closed'),
    ...row(
      'Paused',
      paused === null
        ? 'no'
        : `${paused.how === 'drain' ? 'drains' : 'yes'}${paused.since === null ? '' : ` since ${paused.since}`}`,
    ),
    ...(fleet.suspended.length > 0 ? row('Suspended', suspendedText(fleet)) : []),
    ...row(
      'Next poll',
      fleet.nextPollSeconds === null
        ? none
        : fleet.nextPollSeconds === 0
          ? 'due'
          : `in about ${shortTime(fleet.nextPollSeconds)}`,
    ),
    ...row('Alarms', fleet.alarms.length === 0 ? 'none' : colours.red(fleet.alarms.join(', '))),
    ...row('Boots', (fleet.boots && describeBootTimes(fleet.boots)) ?? 'none measured in the last 24 hours'),
    ...(fleet.image === null ? [] : row('Image', imageText(fleet.image, colours))),
    ...row(
      'Cost',
      fleet.monthCost === null
        ? 'not known: it needs the group metrics and the list price of each type'
        : `${fleet.monthCost.toFixed(2)} dollars this month, at the On-Demand list price of the most expensive type`,
    ),
  ];
}

const suspendedText = ({ suspended, suspendedForDrain, paused }: FleetStatus): string =>
  suspended
    .map((name) =>
      name === 'Launch' && suspendedForDrain
        ? `Launch (for the drain${paused === null ? '; the next poll resumes it' : ''})`
        : name,
    )
    .join(', ');

function poolLines(
  pool: FleetStatus['warmPool'],
  columns: number,
  row: (label: string, text: string) => string[],
): string[] {
  if (pool === null) return [];
  return [
    ...row('Warm pool', `${pool.size} ${pool.size === 1 ? 'instance' : 'instances'}`),
    ...(pool.instances ?? []).map(({ instance, doing }) => cut(`  ${instance}  ${doing}`, columns)),
  ];
}

const noDecision = ({ fleet, undecided }: FleetStatus): string =>
  undecided === 'first execution due'
    ? 'none yet: the fleet is new, and its first execution is due'
    : undecided === 'decisions not read'
      ? 'not known: the log of the decisions was not read'
      : `none in the last 2 min: npm run explain -- ${fleet} says why`;

function imageText({ id, since, lastBuild }: NonNullable<FleetStatus['image']>, { red }: Colours): string {
  const inUse = `${id} since ${minute(since)}`;
  if (lastBuild === null) return `${inUse}; nothing was built yet`;
  const last = `last build ${lastBuild.build} ${lastBuild.status}${lastBuild.created === null ? '' : ` of ${minute(lastBuild.created)}`}`;
  return `${inUse}; ${lastBuild.status === 'FAILED' ? `${red(last)}, see the runbook, "Image Build Failed"` : last}`;
}

const minute = (time: string) => `${time.slice(0, 16).replace('T', ' ')} UTC`;
