import { quietPollIntervalOf } from '../fleets/effective.ts';
import { Fleet } from '../fleets/fleet.ts';
import type { FleetConfig } from '../fleets/load.ts';
import type { Decision } from '../functions/lib/capacity.ts';
import { FAILURES } from '../statemachine/failures.ts';
import { type Alarm, alarmsOver } from './alarms.ts';
import { calm, type Fault } from './faults/fault.ts';
import { Sandbox } from './sandbox.ts';
import { ON_TIME, type Starts } from './schedule.ts';
import { SANDBOX_START } from './trace.ts';
import type { EndedExecution } from './workflow.ts';

/** When a fault begins, in minutes from the start of a run, and for how many it lasts unless it says otherwise. */
export const BEGINS = 10;
export const LASTS = 30;
/** How many minutes after the fault a run ends at the latest. */
const LAST = 45;

/** When a fault ends, in minutes from the start of its run. */
export const endOf = ({ lasts = LASTS }: Pick<Fault, 'lasts'>) => BEGINS + lasts;

const MINUTE = 60;

/** Often enough that each execution has something to do, and at another second of each minute. */
export const JOB_EVERY = 47;
const JOBS = Array.from({ length: Math.ceil(((BEGINS + LASTS + 2) * MINUTE) / JOB_EVERY) }, (_, number) => ({
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
  image: 'ubuntu',
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

export interface FaultOutcome {
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
  /** What decisions gave as reasons during the fault. */
  reasons: string[];
  /** What executions said that waited for something and decided nothing. */
  waits: string[];
  /** Minutes from the end of the fault until a runner had claimed every job that was queued before it. */
  servedAfter: number;
  jobs: { killed: number; neverRun: number; launchesForNone: number };
}

const outcomes = {
  below: new Map<Fault, Promise<FaultOutcome>>(),
  above: new Map<Fault, Promise<FaultOutcome>>(),
};

/** What came of a fault; it is run once with each backlog. */
export function faultOutcomeOf(fault: Fault, backlog: Backlog): Promise<FaultOutcome> {
  const outcome = outcomes[backlog].get(fault) ?? playFault(fault, backlog);
  outcomes[backlog].set(fault, outcome);
  return outcome;
}

/** Runs a fleet that has work, with a fault from minute 10 on, until all is well again. */
export async function playFault(
  fault: Fault,
  backlog: Backlog,
  starts: Starts = ON_TIME,
): Promise<FaultOutcome> {
  const config = configOf(backlog);
  const jobs = jobsOf(backlog);
  const sandbox = await Sandbox.open();
  sandbox.schedule.usual = starts;
  sandbox.schedule.starts = starts;
  const world = sandbox.addFleet(
    {
      name: config.name,
      resourceClass: config.resourceClass,
      minReplicas: config.minReplicas,
      maxReplicas: config.maxReplicas,
      pollIntervalSeconds: config.pollInterval,
      quietPollIntervalSeconds: quietPollIntervalOf(config),
      breaker: { failures: config.breaker.failures, windowSeconds: config.breaker.window },
      ...(fault.spot && { onDemandPercentage: 0 }),
      durations: { idleTimeout: config.idleTimeout, launchHook: config.bootTimeout },
    },
    jobs,
  );
  const launchedAt: number[] = [];
  sandbox.watch = ({ at, kind }) => {
    if (kind === 'launches' || kind === 'refused') launchedAt.push(at / MINUTE);
  };
  sandbox.agenda.plan(BEGINS * MINUTE, () => fault.begin({ sandbox, world }));
  const ends = endOf(fault);
  sandbox.agenda.plan(ends * MINUTE, () => calm({ sandbox, world }));

  const startedAt = SANDBOX_START.getTime();
  const { metrics, messages } = sandbox.workflow;
  let minutes = ends + 5;
  let alarms: Alarm[];
  do {
    await sandbox.runUntil(minutes * MINUTE);
    alarms = alarmsOver([config], { metrics, executions: world.executions, startedAt, minutes });
    minutes += 1;
  } while (minutes <= ends + LAST && (world.queue.ended < world.queue.queued || alarms.some(ringsStill)));

  const minuteOf = (at: number) => (at - startedAt) / (MINUTE * 1_000);
  const during = (minute: number) => minute >= BEGINS && minute < ends;
  const hit = world.executions.filter((execution) => during(minuteOf(execution.startedAt)));
  const failed = hit.filter(({ status }) => status !== 'SUCCEEDED');
  const opened = metrics.find(({ name }) => name === 'BreakerOpen')?.at ?? Number.POSITIVE_INFINITY;
  const launches = launchedAt.filter(during);
  const { tasks } = world.queue;
  const claimedAt = tasks
    .filter(({ queuedAt }) => queuedAt < ends * MINUTE)
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
    reasons: distinct(hit.flatMap(reasonsOf)),
    waits: distinct(hit.flatMap(waitsOf)),
    servedAfter: Math.max(...claimedAt) - ends,
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
const failureState = ({ path, status }: EndedExecution): string =>
  path.findLast(({ state }) => HEADINGS.includes(state))?.state ?? status;

function reasonsOf({ path }: EndedExecution): string[] {
  const decided = path.filter(({ state }) => state === 'Compute Capacity').map(({ output }) => output);
  return decided.flatMap(
    (output) => (output as { decision?: Pick<Decision, 'reasons'> })?.decision?.reasons ?? [],
  );
}

const waitsOf = ({ path }: EndedExecution): string[] =>
  path.flatMap(({ state, output }) => {
    const { waits } = Object(Object(output).settings);
    return state === 'Waits For Tokens' && typeof waits === 'string' ? [waits] : [];
  });

const distinct = (texts: string[]) => [...new Set(texts)];
