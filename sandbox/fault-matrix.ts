import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Fleet } from '../fleets/fleet.ts';
import type { FleetConfig } from '../fleets/load.ts';
import { FAILURES } from '../statemachine/failures.ts';
import { type Alarm, alarmsOver, NEEDS_YOU, OUTAGE } from './alarms.ts';
import { calm, FAULTS, type Fault } from './faults.ts';
import { Sandbox } from './sandbox.ts';
import { SANDBOX_START } from './trace.ts';
import type { Execution } from './workflow.ts';

/** What becomes of a fleet while something is wrong, generated. */
export const FAULT_MATRIX_FILE = new URL('../docs/fault-matrix.md', import.meta.url);

/** When a fault begins and ends, and when a run does at the latest: minutes from its start. */
export const BEGINS = 10;
export const ENDS = 40;
const LAST = 85;

const MINUTE = 60;

/** Often enough that each execution has something to do, and at another second of each minute. */
const JOB_EVERY = 47;
const JOBS = Array.from({ length: Math.ceil(((ENDS + 2) * MINUTE) / JOB_EVERY) }, (_, number) => ({
  queuedAt: number * JOB_EVERY,
  durationSeconds: 120,
}));

/**
 * Each fault is played twice: with a maximum that the backlog never reaches, and with a burst of jobs, as the fault
 * begins, that is more than the maximum. An outage must look the same in both.
 */
export const BACKLOGS = {
  below: { maxReplicas: 60, burst: 0 },
  above: { maxReplicas: 30, burst: 40 },
} as const;
export type Backlog = keyof typeof BACKLOGS;

const configOf = (backlog: Backlog): FleetConfig => ({
  ...Fleet.parse({
    resourceClass: 'acme/linux',
    instanceTypes: ['m7g.large'],
    maxReplicas: BACKLOGS[backlog].maxReplicas,
  }),
  name: 'linux',
  quietPollInterval: 30,
  installFile: undefined,
});

const jobsOf = (backlog: Backlog) => [
  ...JOBS,
  ...Array.from({ length: BACKLOGS[backlog].burst }, () => ({
    queuedAt: BEGINS * MINUTE,
    durationSeconds: 120,
  })),
];

export interface Outcome {
  /** Executions that began during the fault. */
  executions: number;
  failed: number;
  /** The states in which they failed, and the errors. */
  states: string[];
  errors: string[];
  /** The most retries that one step of theirs had. */
  retries: number;
  /** Those that rang. */
  alarms: Alarm[];
  /** Messages that the workflow sent itself. */
  messages: number;
  /** Launches begun during the fault, and those of them with the breaker open. */
  launches: { all: number; breakerOpen: number };
  /** Minutes from the end of the fault until a runner had claimed every job that was queued before it. */
  servedAfter: number;
  jobs: { killed: number; neverRun: number; launchesForNone: number };
}

const outcomes = { below: new Map<Fault, Promise<Outcome>>(), above: new Map<Fault, Promise<Outcome>>() };

/** What came of a fault; it is run once with each backlog. */
export function outcomeOf(fault: Fault, backlog: Backlog): Promise<Outcome> {
  const outcome = outcomes[backlog].get(fault) ?? run(fault, backlog);
  outcomes[backlog].set(fault, outcome);
  return outcome;
}

/** Runs a fleet that has work, with a fault from minute 10 to minute 40, until all is well again. */
async function run(fault: Fault, backlog: Backlog): Promise<Outcome> {
  const config = configOf(backlog);
  const jobs = jobsOf(backlog);
  const sandbox = await Sandbox.open();
  const world = sandbox.addFleet(
    {
      name: config.name,
      resourceClass: config.resourceClass,
      minReplicas: config.minReplicas,
      maxReplicas: config.maxReplicas,
      pollIntervalSeconds: config.pollInterval,
      quietPollIntervalSeconds: config.quietPollInterval,
      breaker: { failures: config.breaker.failures, windowSeconds: config.breaker.window },
      ...(fault.spot && { onDemandPercentage: 0 }),
      durations: { idleTimeout: config.idleTimeout, launchHook: config.bootTimeout },
    },
    jobs,
  );
  const launchedAt: number[] = [];
  sandbox.watch = ({ at, happening }) => {
    if (happening === 'launches' || happening === 'refused') launchedAt.push(at / MINUTE);
  };
  sandbox.agenda.plan(BEGINS * MINUTE, () => fault.begin({ sandbox, world }));
  sandbox.agenda.plan(ENDS * MINUTE, () => calm({ sandbox, world }));

  const startedAt = SANDBOX_START.getTime();
  const { metrics, messages } = sandbox.workflow;
  let minutes = ENDS + 5;
  let alarms: Alarm[];
  do {
    await sandbox.runUntil(minutes * MINUTE);
    alarms = alarmsOver([config], { metrics, executions: world.executions, startedAt, minutes });
    minutes += 1;
  } while (minutes <= LAST && (world.queue.ended < jobs.length || alarms.some(ringsStill)));

  const minuteOf = (at: number) => (at - startedAt) / (MINUTE * 1_000);
  const during = (minute: number) => minute >= BEGINS && minute < ENDS;
  const hit = world.executions.filter((execution) => during(minuteOf(execution.startedAt)));
  const failed = hit.filter(({ status }) => status !== 'SUCCEEDED');
  const opened = metrics.find(({ name }) => name === 'BreakerOpen')?.at ?? Number.POSITIVE_INFINITY;
  const launches = launchedAt.filter(during);
  const { tasks } = world.queue;
  const claimedAt = tasks
    .filter(({ queuedAt }) => queuedAt < ENDS * MINUTE)
    .map((task) => (task.startedAt ?? Number.POSITIVE_INFINITY) / MINUTE);
  return {
    executions: hit.length,
    failed: failed.length,
    states: distinct(failed.map(failureState)),
    errors: distinct(failed.map(({ error }) => error ?? '')),
    retries: Math.max(0, ...hit.flatMap(({ path }) => path.map(({ retries }) => retries))),
    alarms: alarms.filter(({ ringings }) => ringings.length > 0),
    messages: messages.filter(({ at }) => during(minuteOf(at))).length,
    launches: {
      all: launches.length,
      breakerOpen: launches.filter((minute) => minute >= minuteOf(opened)).length,
    },
    servedAfter: Math.max(...claimedAt) - ENDS,
    jobs: {
      killed: tasks.filter(({ killed }) => killed).length,
      neverRun: tasks.filter(({ endedAt }) => endedAt === undefined).length,
      launchesForNone: world.group.totals.unusedLaunches,
    },
  };
}

const ringsStill = ({ ringings }: Alarm) => ringings.some(({ until }) => until === undefined);

const HEADINGS: readonly string[] = Object.values(FAILURES);

/** The state that names what an execution failed of; without one, it failed of nothing that has a name. */
const failureState = ({ path, status }: Execution): string =>
  path.findLast(({ state }) => HEADINGS.includes(state))?.state ?? status;

const distinct = (texts: string[]) => [...new Set(texts)];

const INTRODUCTION = `# What becomes of a fleet when something is wrong

Each line was run in the sandbox: the real workflow and the real functions, on a virtual clock, with a fleet that
gets a job every ${JOB_EVERY} seconds. The fault begins after ${BEGINS} minutes, goes on for ${ENDS - BEGINS}, and ends. The alarms are those
of the stack, worked out from the metrics of the run as CloudWatch does it; its own delay, mostly below a minute,
comes on top. \`npm run generate\` wrote this page, and a test runs all of it again and compares.

- **What the workflow does**: a failed execution leaves the capacity as it is, so that jobs which run go on.
- **Alarm, after** and **told by**: minutes from the beginning of the fault. The alarms on the right are those that
  send a notification; [operations.md](operations.md) has a part for each.
- **Served again after**: minutes from the end of the fault until a runner had claimed the last job that was queued
  before it. Without a fault that takes as long as an instance takes to boot.
- **Lost**: jobs that were killed, or never ran.
- **With a larger backlog**: the same fault again, with \`maxReplicas: ${BACKLOGS.above.maxReplicas}\` in place of ${BACKLOGS.below.maxReplicas}, and ${BACKLOGS.above.burst} jobs
  more that are queued as the fault begins. The column has the alarms that differ, and who told them.
`;

/** All faults and what came of them, as Markdown. */
export async function faultMatrix(): Promise<string> {
  const rows: string[] = [];
  for (const fault of FAULTS) {
    rows.push(row(fault, await outcomeOf(fault, 'below'), await outcomeOf(fault, 'above')));
  }
  const head = [
    'fault',
    'what the workflow does',
    'alarm, after',
    'told by',
    'served again after',
    'lost',
    'with a larger backlog',
  ];
  const table = [cells(head), cells(head.map(() => '---')), ...rows].join('\n');
  return `${INTRODUCTION}\n${table}\n`;
}

const cells = (texts: string[]) => `| ${texts.join(' | ')} |`;

function row(fault: Fault, outcome: Outcome, above: Outcome): string {
  const { servedAfter } = outcome;
  const { rang, told, lost } = describeOutcome(outcome);
  const larger = describeOutcome(above);
  const changes = [
    ...(larger.rang === rang ? [] : [larger.rang || 'no alarm']),
    ...(larger.told === told ? [] : [`told by ${larger.told}`]),
    ...(larger.lost === lost ? [] : [larger.lost]),
  ];
  return cells([
    fault.name,
    whatHappens(fault, outcome),
    (rang || 'none') + (fault.late ? ` (${fault.late})` : ''),
    told,
    `${servedAfter.toFixed(1)} min`,
    lost,
    changes.join('; ') || 'the same',
  ]);
}

function describeOutcome({ alarms, messages, jobs }: Outcome): Record<'rang' | 'told' | 'lost', string> {
  const tellers = alarms.filter(({ heading }) => heading === NEEDS_YOU || heading === OUTAGE);
  const rang = alarms
    .filter((alarm) => !tellers.includes(alarm))
    .toSorted((a, b) => firstMinute(a) - firstMinute(b));
  const told = [...tellers.map(describeRinging), ...(messages > 0 ? [`${messages} messages`] : [])];
  const lost = [
    ...(jobs.killed > 0 ? [`${jobs.killed} killed`] : []),
    ...(jobs.neverRun > 0 ? [`${jobs.neverRun} never ran`] : []),
  ];
  return {
    rang: rang.map(describeRinging).join(', '),
    told: told.join(', ') || 'nobody',
    lost: lost.join(', ') || 'nothing',
  };
}

function whatHappens(fault: Fault, outcome: Outcome): string {
  const { executions, failed, states, errors, launches } = outcome;
  const retries = ['', ', a retry', ', 2 retries'][outcome.retries] ?? `, ${outcome.retries} retries`;
  if (executions === 0) return 'nothing';
  if (fault.ofLaunches) {
    return `opens the breaker: ${launches.all} launches fail, ${launches.breakerOpen} of them with it open`;
  }
  if (failed === 0) return `goes on${retries}`;
  const why = `${states.join(', ')}: ${errors.map((error) => `\`${error}\``).join(', ')}${retries}`;
  return failed === executions ? why : `${why}; ${failed} of ${executions} fail, ${fault.unsteady}`;
}

const firstMinute = ({ ringings: [first] }: Alarm) => first?.from ?? Number.POSITIVE_INFINITY;

function describeRinging(alarm: Alarm): string {
  const again = alarm.ringings.length - 1;
  return `${alarm.heading} ${firstMinute(alarm) - BEGINS} min${again > 0 ? `, and ${again} times more` : ''}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(FAULT_MATRIX_FILE, await faultMatrix());
