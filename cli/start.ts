// Before anything else: the SDK and the logger read these when they are loaded.
import './quiet.ts';
import { SingleBar } from 'cli-progress';
import { Command } from 'commander';
import type { CapacitySettings } from '../functions/lib/contracts.ts';
import { largestMaximum } from '../functions/lib/schedules.ts';
import { type FleetConfig, FleetsInvalid, loadFleets } from '../infra/config.ts';
import { capacityOf, idleTimes } from '../infra/levers.ts';
import { DURATIONS, type Reuse } from '../sandbox/auto-scaling-group.ts';
import { type News, Sandbox } from '../sandbox/sandbox.ts';
import { type Summary, summarise } from '../sandbox/summary.ts';
import {
  firstHours,
  type Job,
  readTrace,
  SANDBOX_START,
  TraceInvalid,
  workingDay,
} from '../sandbox/trace.ts';
import type { Execution, Visit } from '../sandbox/workflow.ts';
import { numberOption, runCommand, UsageError } from './arguments.ts';
import { colours } from './colours.ts';
import { listState } from './listing.ts';

interface Options {
  trace?: string;
  hours?: number;
  fleet?: string;
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

const command = new Command('npm start --')
  .description(
    'Runs a fleet over a trace of jobs: the real workflow and the real functions, against an embedded\nCircleCI and an embedded Auto Scaling group, on a virtual clock. Nothing leaves this machine.\nA trace begins on Monday, 2026-01-05, at 08:00 UTC: the schedules of the fleet are in force by that calendar.',
  )
  .option('--trace <file>', 'CSV with the columns queued_at_s,duration_s (default: a generated working day)')
  .option('--hours <h>', 'only the first hours of arrivals', numberOption('the hours', 0.01, 100_000, 'any'))
  .option('--fleet <name>', 'a fleet of fleets.yaml (default: the first)')
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
  .action(start);

async function start(options: Options): Promise<void> {
  const fleet = chooseFleet(options.fleet);
  const capacity = chooseCapacity(fleet, options.max);
  const pollInterval = options.poll ?? fleet.pollInterval;
  if (options.quietPoll !== undefined && options.quietPoll < pollInterval) {
    throw new UsageError(
      `--quiet-poll must be at least the poll interval (${pollInterval} s), got ${options.quietPoll}`,
    );
  }
  if (options.warm !== undefined && options.warm > capacity.maxReplicas) {
    throw new UsageError(
      `--warm must be at most the most instances (${capacity.maxReplicas}), got ${options.warm}`,
    );
  }
  const reuse = chooseReuse(options.reuse, fleet, pollInterval);
  const warmPoolSize = options.warm ?? fleet.warmPool?.size;
  const jobs = chooseJobs(options);
  const sandbox = await Sandbox.open({ keepExecutions: 1, keepMetrics: false });
  try {
    const world = sandbox.addFleet(
      {
        name: fleet.name,
        resourceClass: fleet.resourceClass,
        ...capacity,
        pollIntervalSeconds: pollInterval,
        quietPollIntervalSeconds: options.quietPoll ?? Math.max(pollInterval, fleet.quietPollInterval),
        breaker: { failures: fleet.breaker.failures, windowSeconds: fleet.breaker.window },
        reuse: reuse.mode,
        ...(warmPoolSize !== undefined && { warmPoolSize }),
        durations: {
          boot: options.boot,
          warmBoot: options.warmBoot,
          idleTimeout: reuse.idleTimeout,
          idleSpread: reuse.idleSpread,
        },
      },
      jobs,
    );
    if (!options.json) {
      console.log(
        `Fleet ${colours.bold(fleet.name)}: ${jobs.length} jobs, at most ${largestMaximum(capacity)} instances, a poll every ${world.input.pollIntervalSeconds} s\n`,
      );
      sandbox.watch = showBeginning();
    }
    const progress = showProgress(sandbox, jobs.length, world.queue);
    await sandbox.drain(jobs.length).finally(progress.stop);
    const summary = summarise(world);
    if (options.json) console.log(JSON.stringify(summary));
    else console.log(`\n${describe(summary)}\n\n${world.executions.map(describePath).join('\n')}`);
  } finally {
    sandbox.close();
  }
}

function chooseFleet(name: string | undefined): FleetConfig {
  const fleets = loadFleets('fleets.yaml');
  const fleet = name === undefined ? fleets[0] : fleets.find((candidate) => candidate.name === name);
  if (fleet !== undefined) return fleet;
  const names = fleets.map((candidate) => candidate.name).join(', ');
  throw new UsageError(`--fleet must be a fleet of fleets.yaml (${names}), got ${JSON.stringify(name)}`);
}

/** The fleet's settings; `--max` is in place of each maxReplicas. */
function chooseCapacity(fleet: FleetConfig, max: number | undefined): CapacitySettings {
  const capacity = capacityOf(fleet);
  if (max === undefined) return capacity;
  const schedules = fleet.schedules.map(({ maxReplicas: _, ...schedule }) => schedule);
  const kept = Math.max(fleet.minReplicas, ...schedules.map(({ minReplicas = 0 }) => minReplicas));
  if (max < kept)
    throw new UsageError(`--max must be at least minReplicas of fleet ${fleet.name} (${kept}), got ${max}`);
  return { ...capacity, maxReplicas: max, ...(schedules.length > 0 && { schedules }) };
}

/** Whether runners take more than one job, and how long they wait for the next one. */
function chooseReuse(
  seconds: number | undefined,
  fleet: FleetConfig,
  pollInterval: number,
): { mode: Reuse; idleTimeout: number; idleSpread: number } {
  const idle = idleTimes(fleet);
  const own = { idleTimeout: idle.seconds, idleSpread: idle.spread };
  if (seconds === undefined) return { mode: fleet.reuse, ...own };
  if (seconds === 0) return { mode: 'single-task', ...own };
  if (seconds <= 3 * pollInterval) {
    throw new UsageError(
      `--reuse must be 0, or longer than three times the poll interval (${pollInterval} s), got ${seconds}`,
    );
  }
  return { mode: 'continuous', idleTimeout: seconds, idleSpread: 0 };
}

function chooseJobs(options: Options): Job[] {
  const jobs = options.trace === undefined ? workingDay(options.seed) : readTrace(options.trace);
  const chosen = options.hours === undefined ? jobs : firstHours(jobs, options.hours);
  if (chosen.length === 0) throw new UsageError(`--hours ${options.hours}: no job arrives in that time`);
  return chosen;
}

/** Prints the first happenings of each kind, so that one sees a fleet come to life, and then no more. */
function showBeginning(): (news: News) => void {
  const shown = new Map<string, number>();
  return ({ at, subject, happening }) => {
    const times = (shown.get(happening) ?? 0) + 1;
    shown.set(happening, times);
    if (times > 2) return;
    const clock = new Date(SANDBOX_START.getTime() + at * 1_000).toISOString().slice(11, 19);
    console.log(
      `${colours.dim(clock)}  ${happening === 'queued' ? 'a job is queued' : `${subject} ${happening}`}`,
    );
  };
}

/** A progress bar on standard error, where it is a terminal. */
function showProgress(
  sandbox: Sandbox,
  jobs: number,
  queue: { readonly ended: number },
): { stop: () => void } {
  if (!process.stderr.isTTY) return { stop: () => undefined };
  const bar = new SingleBar({
    format: '{bar} {percentage} % | {value} of {total} jobs | {clock}',
    barsize: 30,
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
  });
  bar.start(jobs, 0, { clock: '' });
  sandbox.ended = () => {
    const clock = new Date(sandbox.clock.now()).toISOString().slice(0, 16).replace('T', ' ');
    bar.update(queue.ended, { clock });
    bar.render();
  };
  return { stop: () => bar.stop() };
}

function describe(summary: Summary): string {
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
      `${summary.launches}, ${summary.ghostLaunches} of them for no job${summary.warmLaunches > 0 ? `, ${summary.warmLaunches} from the warm pool` : ''}`,
    ],
    ['Executions', `${executions.succeeded} succeeded, ${executions.failed} failed`],
  ];
  return rows.map(([name = '', value]) => `${colours.bold(name.padEnd(14))}  ${value}`).join('\n');
}

/** The states of an execution; polls that went alike are shown once, with their number. */
function describePath(execution: Execution): string {
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
    ...visits.map(({ state, type, at, error }) => listState(state, type, at - execution.startedAt, error)),
    ...(count > 1
      ? [colours.dim(`  ... and ${count - 1} more ${count === 2 ? 'poll' : 'polls'} alike`)]
      : []),
  ]);
  const seconds = ((execution.endedAt - execution.startedAt) / 1_000).toFixed(1);
  return [`Last execution, ${execution.name}: ${execution.status} in ${seconds} s`, ...rows].join('\n');
}

await runCommand(command, { wrongInput: [FleetsInvalid, TraceInvalid] });
