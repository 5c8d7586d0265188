// Before anything else: the SDK and the logger read these when they are loaded.
import './quiet.ts';
import { Command, Option } from 'commander';
import { FleetsInvalid } from '../infra/config.ts';
import type { Summary } from '../sandbox/summary.ts';
import { TraceInvalid } from '../sandbox/trace.ts';
import { ReplayStalled } from '../simulator/replay.ts';
import { simulate } from '../simulator/simulate.ts';
import { loadTrace, type Trace } from '../simulator/traces.ts';
import { WORKLOADS, type WorkloadName } from '../simulator/workloads.ts';
import { WORLD } from '../simulator/world.ts';
import { numberOption, runCommand, UsageError } from './arguments.ts';
import { choosePolicies, describePolicies } from './choices.ts';
import { colours } from './colours.ts';
import { progressBar } from './progress.ts';

interface Options {
  trace?: string;
  workload?: WorkloadName;
  seed: number;
  fleet?: string;
  set?: string[];
  policies?: string;
  boot: number;
  warmBoot: number;
  workflow?: boolean;
  json?: boolean;
}

const command = new Command('npm run simulate --')
  .description(
    'Replays a trace of jobs under this project and under what others use instead: what each lets jobs wait, and what it costs. Jobs come when they came, whatever they waited. Nothing leaves this machine.',
  )
  .option(
    '--trace <file>',
    "CSV with the columns queued_at_s,duration_s, or an export of jobs: CircleCI's (usage CSV, API or Insights JSON), GitHub Actions' or Buildkite's (JSON)",
  )
  .addOption(
    new Option('--workload <name>', 'a generated trace instead (default: working-day)')
      .choices(Object.keys(WORKLOADS))
      .conflicts('trace'),
  )
  .option('--seed <n>', 'seed of the generated trace', numberOption('the seed', 0, 2_147_483_647), 1)
  .option(
    '--fleet <name>',
    'a fleet of fleets.yaml; its maxReplicas is for all policies (default: the defaults of all settings, and 10000 instances at most)',
  )
  .option('--set <key=value...>', 'settings as in fleets.yaml for ours, or policy.lever=number for another')
  .option('--policies <names>', 'which policies, with commas between them (default: all)')
  .option(
    '--boot <s>',
    'seconds from pending to ready',
    numberOption('the boot time', 0, 3_600, 'any'),
    WORLD.boot,
  )
  .option(
    '--warm-boot <s>',
    'the same for an instance of a warm pool',
    numberOption('the warm boot time', 0, 3_600, 'any'),
    WORLD.warmBoot,
  )
  .option('--workflow', 'run ours through the real state machine as well, which takes minutes for weeks')
  .option('--json', 'print one JSON object and nothing else')
  .addHelpText(
    'after',
    () => `\nPolicies, and the levers of each with what it has unless set:\n${describePolicies()}`,
  )
  .allowExcessArguments(false)
  .action(run);

async function run(options: Options): Promise<void> {
  const { fleet, choices } = choosePolicies(options);
  const { source, trace } = chooseTrace(options);
  const world = { ...WORLD, boot: options.boot, warmBoot: options.warmBoot };
  const { jobs } = trace;
  const replays = progressBar(jobs.length * choices.length, 'jobs');
  const outcomes: Row[] = await simulate(jobs, choices, world, { progress: replays.to }).finally(
    replays.stop,
  );
  if (options.workflow === true) {
    // Only here: the state machine and the SDK take longer to load than most replays take.
    const { throughWorkflow } = await import('../simulator/through-workflow.ts');
    const states = progressBar(jobs.length, 'jobs through the workflow');
    outcomes.push(await throughWorkflow(jobs, fleet, world, states.to).finally(states.stop));
  }
  const about = describeTrace(source, trace);
  if (options.json) {
    console.log(JSON.stringify({ trace: about, policies: outcomes }));
    return;
  }
  const hours = `${about.jobHours} h of work in ${about.spanHours} h`;
  console.log(
    `${colours.bold(source)}: ${about.jobs} jobs, ${hours}; at most ${fleet.maxReplicas} instances\n`,
  );
  console.log(`${table(outcomes)}\n`);
  console.log(
    colours.dim('Wait in s from queued to claimed; hours of instances, and what they are over the work.'),
  );
  for (const note of notes(trace)) console.error(note);
}

/** What a replay and a run through the workflow both have. */
type Row = Summary & { policy: string };

function chooseTrace({ trace: file, workload, seed }: Options): { source: string; trace: Trace } {
  if (file !== undefined) return { source: file, trace: loadTrace(file) };
  const name = workload ?? 'working-day';
  const jobs = WORKLOADS[name].generate(seed);
  if (jobs.length === 0)
    throw new UsageError(`--seed ${seed}: the workload ${name} has no job with that seed`);
  return { source: `${name}, seed ${seed}`, trace: { jobs, form: 'generated', leftOut: [] } };
}

function describeTrace(source: string, { jobs, form, leftOut, caution }: Trace) {
  const work = jobs.reduce((sum, { durationSeconds }) => sum + durationSeconds, 0);
  const span = (jobs.at(-1)?.queuedAt ?? 0) - (jobs[0]?.queuedAt ?? 0);
  const hours = (seconds: number) => Math.round(seconds / 360) / 10;
  return {
    source,
    form,
    jobs: jobs.length,
    jobHours: hours(work),
    spanHours: hours(span),
    leftOut,
    ...(caution !== undefined && { caution }),
  };
}

const COLUMNS: { head: string; width: number; cell: (row: Row) => string }[] = [
  { head: 'mean', width: 8, cell: ({ waitSeconds }) => waitSeconds.mean.toFixed(1) },
  { head: 'p50', width: 8, cell: ({ waitSeconds }) => waitSeconds.p50.toFixed(1) },
  { head: 'p95', width: 8, cell: ({ waitSeconds }) => waitSeconds.p95.toFixed(1) },
  { head: 'p99', width: 8, cell: ({ waitSeconds }) => waitSeconds.p99.toFixed(1) },
  { head: 'hours', width: 9, cell: ({ instanceHours }) => instanceHours.toFixed(1) },
  { head: 'over', width: 6, cell: ({ overhead }) => `${Math.round(overhead * 100)}%` },
  { head: 'ghosts', width: 7, cell: ({ ghostLaunches }) => `${ghostLaunches}` },
  { head: 'killed', width: 7, cell: ({ jobsKilled }) => `${jobsKilled}` },
];

function table(rows: Row[]): string {
  const width = Math.max(...rows.map(({ policy }) => policy.length));
  const line = (name: string, cell: (column: (typeof COLUMNS)[number]) => string) =>
    name.padEnd(width) + COLUMNS.map((column) => cell(column).padStart(column.width)).join('');
  return [
    colours.dim(line('policy', ({ head }) => head)),
    ...rows.map((row) => line(row.policy, ({ cell }) => cell(row))),
  ].join('\n');
}

function notes({ leftOut, caution }: Trace): string[] {
  return [
    ...leftOut.map(({ reason, count, first }) => `Left out: ${count} ${reason} (the first: ${first}).`),
    ...(caution === undefined ? [] : [caution]),
  ];
}

await runCommand(command, { wrongInput: [FleetsInvalid, TraceInvalid], failure: [ReplayStalled] });
