import { Command } from 'commander';
import { capacityOf, idleTimes } from '../fleets/effective.ts';
import { type FleetConfig, FleetsInvalid, loadFleets } from '../fleets/load.ts';
import { largestMaximum } from '../functions/lib/schedules.ts';
import { sandboxFleet } from '../sandbox/fleet.ts';
import { DURATIONS } from '../sandbox/group/durations.ts';
import { type News, Sandbox } from '../sandbox/sandbox.ts';
import { asJson, type Summary, summarise } from '../sandbox/summary.ts';
import {
  firstHours,
  type Job,
  readTrace,
  SANDBOX_START,
  TraceInvalid,
  workingDay,
} from '../sandbox/trace.ts';
import type { Execution, Visit } from '../sandbox/workflow.ts';
import { numberOption, UsageError } from './command-line/arguments.ts';
import type { CliCommand, Shell } from './command-line/run.ts';
import { listState } from './deployed/listing.ts';
import type { Progress, Terminal } from './terminal/terminal.ts';

interface Options {
  trace?: string;
  hours?: number;
  fleet?: string;
  fleets: string;
  poll?: number;
  quietPoll?: number;
  max?: number;
  boot: number;
  warm?: number;
  warmBoot: number;
  reuse?: number;
  seed: number;
  json?: boolean;
}

const define = ({ terminal }: Shell) =>
  new Command('npm start --')
    .description(
      'Runs a fleet over a trace of jobs: the real workflow and the real functions, against an embedded\nCircleCI and an embedded Auto Scaling group, on a virtual clock. Nothing leaves this machine.\nA trace begins on Monday, 2026-01-05, at 08:00 UTC: the schedules of the fleet are in force by that calendar.',
    )
    .option(
      '--trace <file>',
      'CSV with the columns queued_at_s,duration_s (default: a generated working day)',
    )
    .option(
      '--hours <h>',
      'only the first hours of arrivals',
      numberOption('the hours', 0.01, 100_000, 'any'),
    )
    .option('--fleet <name>', 'a fleet of the fleets file (default: the first)')
    .option('--fleets <file>', 'the fleets file', 'fleets.yaml')
    .option(
      '--poll <s>',
      "seconds between polls (default: the fleet's pollInterval)",
      numberOption('the poll interval', 1, 60),
    )
    .option(
      '--quiet-poll <s>',
      "the most seconds between polls of a quiet fleet (default: the fleet's\nquietPollInterval)",
      numberOption('the quiet poll interval', 1, 60),
    )
    .option(
      '--max <n>',
      "the most instances, whatever schedules say (default: the fleet's maxReplicas)",
      numberOption('the most instances', 1, 1_000_000),
    )
    .option('--boot <s>', 'seconds from pending to ready', numberOption('the boot time', 0, 3_600, 'any'), 90)
    .option(
      '--warm <n>',
      "instances that stand by, stopped, in a warm pool (default: the fleet's warmPool)",
      numberOption('the size of the warm pool', 0, 10_000),
    )
    .option(
      '--warm-boot <s>',
      'seconds from pending to ready of an instance of the warm pool',
      numberOption('the warm boot time', 0, 3_600, 'any'),
      DURATIONS.warmBoot,
    )
    .option(
      '--reuse <s>',
      "seconds that a runner waits for its next job; 0 for a new instance for each job\n(default: the fleet's reuse)",
      numberOption('the time', 0, 86_400),
    )
    .option('--seed <n>', 'seed of the generated working day', numberOption('the seed', 0, 2_147_483_647), 1)
    .option('--json', 'print one JSON object and nothing else')
    .allowExcessArguments(false)
    .action((options: Options) => run(options, terminal));

async function run(options: Options, terminal: Terminal): Promise<void> {
  const { colours } = terminal;
  const fleet = changed(chooseFleet(options.fleets, options.fleet), options);
  const jobs = chooseJobs(options);
  const sandbox = await Sandbox.open({ keepExecutions: 1, keepMetrics: false });
  try {
    const { name, resourceClass } = fleet;
    const world = sandbox.addFleet({ name, resourceClass, ...sandboxFleet(fleet, options) }, jobs);
    if (!options.json) {
      terminal.print(
        `Fleet ${colours.bold(name)}: ${jobs.length} jobs, at most ${largestMaximum(fleet)} instances, a poll every ${fleet.pollInterval} s`,
      );
      const levers = describeLevers(fleet);
      terminal.print(levers.length > 0 ? `With ${levers.join(', ')}\n` : '');
      sandbox.watch = showBeginning(terminal);
    }
    const progress = showProgress(sandbox, jobs.length, world.queue, terminal);
    await sandbox.drain(jobs.length).finally(progress.stop);
    const summary = summarise(world);
    if (options.json) terminal.print(JSON.stringify(asJson(summary)));
    else {
      const paths = world.executions.map((execution) => describePath(execution, colours));
      // The figures come last: a terminal with 24 lines shows them together with its prompt.
      terminal.print(`\n${paths.join('\n')}\n\n${describe(summary, colours)}`);
    }
  } finally {
    sandbox.close();
  }
}

function chooseFleet(file: string, name: string | undefined): FleetConfig {
  const fleets = loadFleets(file);
  const fleet = name === undefined ? fleets[0] : fleets.find((candidate) => candidate.name === name);
  if (fleet !== undefined) return fleet;
  const names = fleets.map((candidate) => candidate.name).join(', ');
  throw new UsageError(`--fleet must be a fleet of ${file} (${names}), got ${JSON.stringify(name)}`);
}

/** The fleet with what the options say in place of its settings. */
function changed(fleet: FleetConfig, options: Options): FleetConfig {
  const pollInterval = options.poll ?? fleet.pollInterval;
  const quietPollInterval = options.quietPoll ?? Math.max(pollInterval, fleet.quietPollInterval);
  if (quietPollInterval < pollInterval) {
    throw new UsageError(
      `--quiet-poll must be at least the poll interval (${pollInterval} s), got ${options.quietPoll}`,
    );
  }
  return {
    ...fleet,
    ...changedMaximum(fleet, options.max),
    ...changedPool(fleet, options),
    ...changedReuse(options.reuse, pollInterval),
    pollInterval,
    quietPollInterval,
  };
}

/** `--max` is in place of each maxReplicas. */
function changedMaximum(fleet: FleetConfig, max: number | undefined): Partial<FleetConfig> {
  if (max === undefined) return {};
  const schedules = fleet.schedules.map(({ maxReplicas: _, ...schedule }) => schedule);
  const kept = Math.max(fleet.minReplicas, ...schedules.map(({ minReplicas = 0 }) => minReplicas));
  if (max < kept)
    throw new UsageError(`--max must be at least minReplicas of fleet ${fleet.name} (${kept}), got ${max}`);
  return { maxReplicas: max, schedules };
}

function changedPool(fleet: FleetConfig, { warm, max }: Options): Partial<FleetConfig> {
  const most = max ?? fleet.maxReplicas;
  const { size = 0 } = fleet.warmPool ?? {};
  if (warm === undefined) {
    if (size === 'auto' || size <= most) return {};
    throw new UsageError(
      `--max must be at least the size of the warm pool of fleet ${fleet.name} (${size}), got ${max}`,
    );
  }
  if (warm > most) throw new UsageError(`--warm must be at most the most instances (${most}), got ${warm}`);
  if (fleet.spot !== undefined && warm > 0)
    throw new UsageError(
      `--warm must be left out, because fleet ${fleet.name} has Spot capacity, got ${warm}`,
    );
  return { warmPool: { size: warm, state: 'stopped' } };
}

/** Whether runners take more than one job, and how long they wait for the next one. */
function changedReuse(seconds: number | undefined, pollInterval: number): Partial<FleetConfig> {
  if (seconds === undefined) return {};
  if (seconds === 0) return { reuse: 'single-task' };
  if (seconds <= 3 * pollInterval) {
    throw new UsageError(
      `--reuse must be 0, or longer than three times the poll interval (${pollInterval} s), got ${seconds}`,
    );
  }
  return { reuse: 'continuous', idleTimeout: seconds, recycleAfter: seconds };
}

/** The levers of the fleet that are not as they are unless told. */
function describeLevers(fleet: FleetConfig): string[] {
  const { warmPool, reuse, spot } = fleet;
  const { maxReplicas: _, schedules = [], ...own } = capacityOf(fleet);
  const levers = Object.entries(own)
    .filter(([, value]) => value !== 0)
    .map(([name, value]) => `${name} ${value}`);
  if (schedules.length > 0) levers.push(`${schedules.length} schedule${schedules.length === 1 ? '' : 's'}`);
  if (warmPool?.size === 'auto') levers.push('a warm pool that is sized by its launches');
  else if (warmPool !== undefined) levers.push(`a warm pool of ${warmPool.size}`);
  if (reuse === 'continuous') levers.push(`runners reused until idle for ${idleTimes(fleet).seconds} s`);
  if (spot !== undefined) levers.push(`${spot.percentage} % Spot`);
  if (spot !== undefined && spot.onDemandBase > 0) levers.push(`${spot.onDemandBase} On-Demand first`);
  return levers;
}

function chooseJobs(options: Options): Job[] {
  const jobs = options.trace === undefined ? workingDay(options.seed) : readTrace(options.trace);
  const chosen = options.hours === undefined ? jobs : firstHours(jobs, options.hours);
  if (chosen.length === 0) throw new UsageError(`--hours ${options.hours}: no job arrives in that time`);
  return chosen;
}

/** Prints the first happenings of each kind, so that one sees a fleet come to life, and then no more. */
function showBeginning(terminal: Terminal): (news: News) => void {
  const { colours } = terminal;
  const shown = new Map<string, number>();
  return ({ at, subject, happening }) => {
    const times = (shown.get(happening) ?? 0) + 1;
    shown.set(happening, times);
    if (times > 2) return;
    const clock = new Date(SANDBOX_START.getTime() + at * 1_000).toISOString().slice(11, 19);
    terminal.print(
      `${colours.dim(clock)}  ${happening === 'queued' ? 'a job is queued' : `${subject} ${happening}`}`,
    );
  };
}

/** How many jobs have ended, and the time of day in the sandbox. */
function showProgress(
  sandbox: Sandbox,
  jobs: number,
  queue: { readonly ended: number },
  terminal: Terminal,
): Progress {
  const progress = terminal.progress('jobs', { total: jobs, atOnce: true });
  sandbox.ended = () => {
    const clock = new Date(sandbox.clock.now()).toISOString().slice(0, 16).replace('T', ' ');
    progress.to(queue.ended, clock);
  };
  return progress;
}

function describe(summary: Summary, colours: Terminal['colours']): string {
  const { waitSeconds: wait, executions } = summary;
  const rows = [
    ['Jobs', `${summary.jobs}, ${summary.jobHours.toFixed(1)} h of work, ${summary.jobsKilled} killed`],
    [
      'Queue wait',
      `mean ${wait.mean.toFixed(1)} s, p50 ${wait.p50.toFixed(1)} s, p95 ${wait.p95.toFixed(1)} s, p99 ${wait.p99.toFixed(1)} s`,
    ],
    [
      'Instance-hours',
      `${summary.instanceHours.toFixed(1)}, ${(summary.overhead * 100).toFixed(1)} % over the work itself`,
    ],
    [
      'Launches',
      `${summary.launches}, ${summary.unusedLaunches} of them for no job${summary.warmLaunches > 0 ? `, ${summary.warmLaunches} from the warm pool` : ''}${summary.spotLaunches === undefined ? '' : `, ${summary.spotLaunches} Spot`}`,
    ],
    ['Executions', `${executions.succeeded} succeeded, ${executions.failed} failed`],
  ];
  return rows.map(([name = '', value]) => `${colours.bold(name.padEnd(14))}  ${value}`).join('\n');
}

/** The states of an execution; polls that went alike are shown once, with their number. */
function describePath(execution: Execution, colours: Terminal['colours']): string {
  const polls: { names: string; visits: Visit[]; count: number }[] = [];
  for (const visit of execution.path) {
    const last = polls.at(-1);
    if (visit.state === 'Observe' || last === undefined) polls.push({ names: '', visits: [visit], count: 1 });
    else last.visits.push(visit);
  }
  const groups: typeof polls = [];
  for (const poll of polls) {
    poll.names = poll.visits.map((visit) => `${visit.state} ${visit.error ?? ''}`).join();
    const last = groups.at(-1);
    if (last?.names === poll.names) last.count += 1;
    else groups.push(poll);
  }
  const rows = groups.flatMap(({ visits, count }) => [
    ...visits.map(({ state, type, at, error }) =>
      listState(state, type, at - execution.startedAt, error, colours),
    ),
    ...(count > 1
      ? [colours.dim(`  ... and ${count - 1} more ${count === 2 ? 'poll' : 'polls'} alike`)]
      : []),
  ]);
  const seconds = ((execution.endedAt - execution.startedAt) / 1_000).toFixed(1);
  return [`Last execution, ${execution.name}: ${execution.status} in ${seconds} s`, ...rows].join('\n');
}

export const start: CliCommand = { define, wrongInput: [FleetsInvalid, TraceInvalid] };
