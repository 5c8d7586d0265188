import { type Alarm, NEEDS_YOU, OUTAGE } from '../sandbox/alarms.ts';
import {
  BACKLOGS,
  BEGINS,
  type FaultOutcome,
  faultOutcomeOf,
  JOB_EVERY,
  LASTS,
} from '../sandbox/fault-outcomes.ts';
import type { Fault } from '../sandbox/faults/fault.ts';
import { FAULTS } from '../sandbox/faults/faults.ts';

const INTRODUCTION = `# What a fleet does when something is wrong

Each row is a run in the sandbox: the real workflow and the real functions on a virtual clock, and a fleet that gets a
job every ${JOB_EVERY} seconds. The fault begins after ${BEGINS} minutes and lasts for ${LASTS} minutes, unless the row says otherwise. The alarms are those of the stack,
evaluated from the metrics of the run as CloudWatch does. CloudWatch's own delay, mostly less than a minute, comes on
top. \`npm run generate\` writes this page, and a test compares it with the runs.

- **What the workflow does**: a failed execution leaves the capacity as it is, so that running jobs go on.
- **Alarm, after** and **notified by**: minutes from the start of the fault. The alarms in the second column send the
  notifications; [operations.md](operations.md) has a section for each.
- **Served again after**: minutes from the end of the fault until a runner has claimed the last job that was queued
  before that end. Without a fault, this takes as long as a boot.
- **Lost**: jobs that were killed or never ran.
- **With a larger backlog**: the same fault with \`maxReplicas: ${BACKLOGS.above.maxReplicas}\` instead of ${BACKLOGS.below.maxReplicas}, and with ${BACKLOGS.above.burst} more jobs queued
  when the fault begins. The column shows alarms and notifications that differ.
`;

/** All faults and their outcomes, as Markdown. */
export async function faultMatrix(): Promise<string> {
  const rows: string[] = [];
  for (const fault of FAULTS) rows.push(await matrixRow(fault));
  return matrixPage(rows);
}

/** The page with these rows. */
export function matrixPage(rows: readonly string[]): string {
  const head = [
    'fault',
    'what the workflow does',
    'alarm, after',
    'notified by',
    'served again after',
    'lost',
    'with a larger backlog',
  ];
  const table = [cells(head), cells(head.map(() => '---')), ...rows].join('\n');
  return `${INTRODUCTION}\n${table}\n`;
}

/** Runs a fault, unless it has run in this process, and describes its outcomes. */
export async function matrixRow(fault: Fault): Promise<string> {
  return row(fault, await faultOutcomeOf(fault, 'below'), await faultOutcomeOf(fault, 'above'));
}

const cells = (texts: string[]) => `| ${texts.join(' | ')} |`;

function row(fault: Fault, outcome: FaultOutcome, above: FaultOutcome): string {
  const { servedAfter } = outcome;
  const { rang, notified, lost } = describeOutcome(outcome);
  const larger = describeOutcome(above);
  const notes = [fault.late, fault.ringsAgain && `again when ${fault.ringsAgain}`].filter(Boolean);
  const changes = [
    ...(larger.rang === rang ? [] : [larger.rang || 'no alarm']),
    ...(larger.notified === notified ? [] : [`notified by ${larger.notified}`]),
    ...(larger.lost === lost ? [] : [larger.lost]),
  ];
  return cells([
    fault.name,
    whatHappens(fault, outcome),
    [rang || 'none', ...(notes.length > 0 ? [`(${notes.join('; ')})`] : [])].join(' '),
    notified,
    `${Math.max(servedAfter, 0).toFixed(1)} min`,
    lost,
    changes.join('; ') || 'the same',
  ]);
}

function describeOutcome({
  alarms,
  messages,
  jobs,
}: FaultOutcome): Record<'rang' | 'notified' | 'lost', string> {
  const notifying = alarms.filter(({ heading }) => heading === NEEDS_YOU || heading === OUTAGE);
  const rang = alarms
    .filter((alarm) => !notifying.includes(alarm))
    .toSorted((a, b) => firstMinute(a) - firstMinute(b));
  const direct = rang.filter(({ route }) => route === 'direct').map(({ heading }) => heading);
  const sent = messages > 0 ? [`${messages} messages`] : [];
  const notified = [...notifying.map(describeRinging), ...direct, ...sent];
  const lost = [
    ...(jobs.killed > 0 ? [`${jobs.killed} killed`] : []),
    ...(jobs.neverRun > 0 ? [`${jobs.neverRun} never ran`] : []),
  ];
  return {
    rang: rang.map(describeRinging).join(', '),
    notified: notified.join(', ') || 'nobody',
    lost: lost.join(', ') || 'nothing',
  };
}

function whatHappens(fault: Fault, outcome: FaultOutcome): string {
  const { executions, failed, states, errors, launches } = outcome;
  const retries = ['', ', a retry', ', 2 retries'][outcome.retries] ?? `, ${outcome.retries} retries`;
  if (executions === 0) return 'nothing';
  if (fault.ofLaunches) {
    return `opens the breaker: ${launches.all} launches fail, ${launches.breakerOpen} of them with it open`;
  }
  if (fault.waits) return `waits, which is no failure: the fleet "${fault.waits}"`;
  if (failed === 0) return `goes on${fault.says ? `: "${fault.says}"` : ''}${retries}`;
  const why = `${states.join(', ')}: ${errors.map((error) => `\`${error}\``).join(', ')}${retries}`;
  return failed === executions ? why : `${why}; ${failed} of ${executions} fail, ${fault.unsteady}`;
}

const firstMinute = ({ ringings: [first] }: Alarm) => first?.from ?? Number.POSITIVE_INFINITY;

function describeRinging(alarm: Alarm): string {
  const again = alarm.ringings.length - 1;
  return `${alarm.heading} ${firstMinute(alarm) - BEGINS} min${again > 0 ? `, and ${again} times more` : ''}`;
}
