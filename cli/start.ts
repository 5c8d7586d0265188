import { existsSync } from 'node:fs';
import { Command, Option } from 'commander';
import { formatDuration } from '../fleets/duration.ts';
import { capacityOf, idleTimes, quietPollIntervalOf } from '../fleets/effective.ts';
import { type FleetConfig, FleetsInvalid, loadFleets } from '../fleets/load.ts';
import { largestMaximum } from '../functions/lib/schedules.ts';
import { sandboxFleet } from '../sandbox/fleet.ts';
import { DURATIONS } from '../sandbox/group/durations.ts';
import { Sandbox, type SandboxEvent } from '../sandbox/sandbox.ts';
import { asJson, type Summary, summarise } from '../sandbox/summary.ts';
import { firstHours, SANDBOX_START } from '../sandbox/trace.ts';
import type { EndedExecution, Visit } from '../sandbox/workflow.ts';
import { plainFleet } from '../simulator/plain-fleet.ts';
import { loadTrace } from '../simulator/traces/load.ts';
import { describeNotes, type Trace, TraceInvalid } from '../simulator/traces/trace.ts';
import { generatedTrace } from '../simulator/workloads.ts';
import { durationOption, numberOption, refuseVain, UsageError } from './command-line/arguments.ts';
import { namedFleet } from './command-line/fleets.ts';
import type { CliCommand, Shell } from './command-line/run.ts';
import { listState } from './deployed/listing.ts';
import type { Progress, Terminal } from './terminal/terminal.ts';

const FLEETS_FILE = 'fleets.yaml';

/** The `maxReplicas` of a fleet that no file describes: as many instances as the example of fleets.yaml may have. */
const PLAIN_MAXIMUM = 20;

interface Options {
  trace?: string;
  hours?: number;
  fleet?: string;
  fleets?: string;
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
      'Runs a trace of jobs through the real workflow and the real functions, on a virtual clock, with an embedded CircleCI and an embedded Auto Scaling group. Sends nothing to other machines. The schedules of the fleet follow the dates of the trace. A trace without dates begins on Monday, 2026-01-05, at 08:00 UTC.',
    )
    .option(
      '--trace <file>',
      'what simulate --trace reads: CSV with the columns queued_at_s,duration_s, or an export of jobs from a CI service (default: a generated working day)',
    )
    .option('--hours <h>', 'only the jobs of the first hours', numberOption(0.01, 100_000, 'any'))
    .option('--fleet <name>', 'a fleet of the fleets file (default: the first)')
    .option(
      '--fleets <file>',
      `the fleets file (default: ${FLEETS_FILE}; without that file, a fleet with default settings)`,
    )
    .option('--poll <time>', "time between polls (default: the fleet's pollInterval)", durationOption(1, 60))
    .option(
      '--quiet-poll <time>',
      "maximum time between polls of an idle fleet (default: the fleet's quietPollInterval)",
      durationOption(1, 60),
    )
    .option(
      '--max <n>',
      "maximum number of instances, also during schedules (default: the fleet's maxReplicas)",
      numberOption(1, 1_000_000),
    )
    .addOption(
      new Option('--boot <time>', 'time from pending to ready, such as 90s or 2m')
        .argParser(durationOption(0, 3_600, 'any'))
        .default(90, formatDuration(90)),
    )
    .option(
      '--warm <n>',
      "number of stopped instances in a warm pool (default: the fleet's warmPool)",
      numberOption(0, 10_000),
    )
    .addOption(
      new Option('--warm-boot <time>', 'time from pending to ready for an instance of the warm pool')
        .argParser(durationOption(0, 3_600, 'any'))
        .default(DURATIONS.warmBoot, formatDuration(DURATIONS.warmBoot)),
    )
    .option(
      '--reuse <time>',
      "how long a runner waits for its next job; 0 starts a new instance for each job (default: the fleet's reuse)",
      durationOption(0, 86_400),
    )
    .option('--seed <n>', 'seed of the generated working day', numberOption(0, 2_147_483_647), 1)
    .option('--json', 'print only one JSON object')
    .allowExcessArguments(false)
    .action((options: Options, command: Command) => {
      refuseVain(command, { seed: { isThere: options.trace === undefined, needs: 'a generated day' } });
      return run(options, terminal);
    });

async function run(options: Options, terminal: Terminal): Promise<void> {
  const { colours } = terminal;
  const fleet = changed(chooseFleet(options.fleets, options.fleet), options);
  const trace = await chooseTrace(options);
  const { jobs, startsAt = SANDBOX_START.getTime() } = trace;
  const sandbox = await Sandbox.open({
    keepExecutions: 1,
    keepMetrics: false,
    passOverIdleHours: true,
    // Executions start in whole seconds.
    startsAt: Math.floor(startsAt / 1_000) * 1_000,
  });
  const { name, resourceClass } = fleet;
  const world = sandbox.addFleet({ name, resourceClass, ...sandboxFleet(fleet, options) }, jobs);
  if (!options.json) {
    terminal.print(
      `Fleet ${colours.bold(name)}: ${jobs.length} jobs, at most ${largestMaximum(fleet)} instances, a poll every ${fleet.pollInterval} s`,
    );
    const settings = describeSettings(fleet);
    terminal.print(settings.length > 0 ? `With ${settings.join(', ')}\n` : '');
    sandbox.watch = showBeginning(terminal, startsAt);
  }
  const progress = showProgress(sandbox, jobs.length, world.queue, terminal);
  await sandbox.drain(jobs.length).finally(progress.stop);
  for (const note of describeNotes(trace)) terminal.note(note);
  if (sandbox.hoursPassedOver > 0) terminal.note(describePassedOver(sandbox.hoursPassedOver));
  const summary = summarise(world);
  if (options.json) terminal.print(JSON.stringify(asJson(summary)));
  else {
    const paths = world.executions.map((execution) => describePath(execution, colours));
    // The figures come last: a terminal with 24 lines shows them together with its prompt.
    terminal.print(`\n${paths.join('\n')}\n\n${describe(summary, colours)}`);
  }
}

function chooseFleet(given: string | undefined, name: string | undefined): FleetConfig {
  const file = given ?? FLEETS_FILE;
  if (name !== undefined) return namedFleet(file, name, '--fleet');
  if (given === undefined && !existsSync(file)) return plainFleet({ maxReplicas: PLAIN_MAXIMUM });
  const [first] = loadFleets(file);
  if (first === undefined) throw new Error(`${file} has no fleet`);
  return first;
}

/** The fleet, with its settings overridden by the options. */
function changed(fleet: FleetConfig, options: Options): FleetConfig {
  const pollInterval = options.poll ?? fleet.pollInterval;
  const pool = changedPool(fleet, options);
  const quietPollInterval = options.quietPoll ?? quietPollIntervalOf({ ...fleet, ...pool, pollInterval });
  if (quietPollInterval < pollInterval) {
    throw new UsageError(
      `--quiet-poll must be at least the poll interval (${pollInterval} s), got ${options.quietPoll}`,
    );
  }
  return {
    ...fleet,
    ...changedMaximum(fleet, options.max),
    ...pool,
    ...changedReuse(options.reuse, pollInterval),
    pollInterval,
    quietPollInterval,
  };
}

/** `--max` overrides each maxReplicas, of the fleet and of its schedules. */
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
  if (warm > most)
    throw new UsageError(`--warm must be at most the maximum number of instances (${most}), got ${warm}`);
  if (fleet.spot !== undefined && warm > 0)
    throw new UsageError(
      `--warm must be 0 or left out, because fleet ${fleet.name} has Spot capacity, got ${warm}`,
    );
  return { warmPool: { size: warm, state: 'stopped' } };
}

/** Whether runners take more than one job, and how long they wait for the next one. */
function changedReuse(seconds: number | undefined, pollInterval: number): Partial<FleetConfig> {
  if (seconds === undefined) return {};
  if (seconds === 0) return { reuse: 'single-task' };
  if (seconds <= 3 * pollInterval) {
    throw new UsageError(
      `--reuse must be 0, or longer than three poll intervals of ${pollInterval} s, got ${seconds} s`,
    );
  }
  return { reuse: 'continuous', idleTimeout: seconds, recycleAfter: seconds };
}

/** The settings of the fleet that differ from their defaults. */
function describeSettings(fleet: FleetConfig): string[] {
  const { warmPool, reuse, spot } = fleet;
  const { maxReplicas: _, schedules = [], ...own } = capacityOf(fleet);
  const settings = Object.entries(own)
    .filter(([, value]) => value !== 0)
    .map(([name, value]) => `${name} ${value}`);
  if (schedules.length > 0) settings.push(`${schedules.length} schedule${schedules.length === 1 ? '' : 's'}`);
  if (warmPool?.size === 'auto') settings.push('a warm pool that is sized by its launches');
  else if (warmPool !== undefined) settings.push(`a warm pool of ${warmPool.size}`);
  if (reuse === 'continuous') settings.push(`runners reused until idle for ${idleTimes(fleet).seconds} s`);
  if (spot !== undefined) settings.push(`${spot.percentage} % Spot`);
  if (spot !== undefined && spot.onDemandBase > 0) settings.push(`${spot.onDemandBase} On-Demand first`);
  return settings;
}

/** The trace, with only the jobs of the first hours. */
async function chooseTrace({ trace: file, hours, seed }: Options): Promise<Trace> {
  const trace = file === undefined ? generatedTrace('working-day', seed) : await loadTrace(file);
  const jobs = hours === undefined ? trace.jobs : firstHours(trace.jobs, hours);
  if (jobs.length === 0)
    throw new UsageError(`--hours must include a job of the trace; no job is queued in the first ${hours} h`);
  return { ...trace, jobs };
}

const describePassedOver = (hours: number) =>
  `Passed over: ${hours} h without a task, an instance or a change of settings. Their executions are counted.`;

/** Prints the first two events of each kind, to show how a fleet starts. */
function showBeginning(terminal: Terminal, startsAt: number): (event: SandboxEvent) => void {
  const { colours } = terminal;
  const shown = new Map<string, number>();
  return ({ at, subject, kind }) => {
    const times = (shown.get(kind) ?? 0) + 1;
    shown.set(kind, times);
    if (times > 2) return;
    const clock = new Date(startsAt + at * 1_000).toISOString().slice(11, 19);
    terminal.print(`${colours.dim(clock)}  ${kind === 'queued' ? 'a job is queued' : `${subject} ${kind}`}`);
  };
}

/** Shows how many jobs have ended, and the time of day in the sandbox. */
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
    ['Instance-hours', `${summary.instanceHours.toFixed(1)}, ${describeOverhead(summary)}`],
    [
      'Launches',
      `${summary.launches}, ${summary.unusedLaunches} of them unused${summary.warmLaunches > 0 ? `, ${summary.warmLaunches} from the warm pool` : ''}${summary.spotLaunches === undefined ? '' : `, ${summary.spotLaunches} Spot`}`,
    ],
    ['Executions', `${executions.succeeded} succeeded, ${executions.failed} failed`],
  ];
  return rows.map(([name = '', value]) => `${colours.bold(name.padEnd(14))}  ${value}`).join('\n');
}

const describeOverhead = ({ overhead }: Summary) =>
  overhead === null
    ? 'for jobs that took no time'
    : `${(overhead * 100).toFixed(1)} % more than the jobs need`;

/** The states of an execution. Successive polls with the same states are shown once, with their number. */
function describePath(execution: EndedExecution, colours: Terminal['colours']): string {
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
      ? [colours.dim(`  ... and ${count - 1} more ${count === 2 ? 'poll' : 'polls'} with the same states`)]
      : []),
  ]);
  const seconds = ((execution.endedAt - execution.startedAt) / 1_000).toFixed(1);
  return [`Last execution, ${execution.name}: ${execution.status} in ${seconds} s`, ...rows].join('\n');
}

export const start: CliCommand = { define, usageErrors: [FleetsInvalid, TraceInvalid] };
