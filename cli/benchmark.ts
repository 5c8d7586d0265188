import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { WORKING_DAYS } from '../simulator/month.ts';
import { LIST_PRICES } from '../simulator/prices.ts';
import { ReplayStalled } from '../simulator/replay.ts';
import { TraceInvalid } from '../simulator/traces/trace.ts';
import { WORKLOADS, type WorkloadName } from '../simulator/workloads.ts';
import { WORLD } from '../simulator/world.ts';
import { UsageError } from './command-line/arguments.ts';
import { checkOutFile } from './command-line/out-file.ts';
import type { CliCommand, Shell } from './command-line/run.ts';
import {
  type BenchmarkedTrace,
  FAULT_REPLAYS,
  faultsSection,
  fromFile,
  generated,
  REPLAYS,
  replayAll,
  summaryTable,
  traceSection,
} from './replays/benchmark-page.ts';
import { goalsTable, goalsText, type ReachedGoal, reachGoals } from './replays/goals.ts';
import type { Terminal } from './terminal/terminal.ts';

const TRACES = '../shared/traces';
const PAGE = 'docs/benchmark.md';

const define = ({ terminal }: Shell) =>
  new Command('npm run benchmark --')
    .description(
      'Replays generated traces, and the CSV traces of a folder, under every policy with its settings. Replays one trace with faults, and searches settings for goals on all of them. Writes the tables to a page. Takes some minutes.',
    )
    .option('--traces <dir>', `folder of traces (default: ${TRACES}, if it exists)`)
    .option(
      '--only <names>',
      'names of traces, or faults or goals, separated by commas; goals alone are those of all traces (default: all)',
    )
    .option('--out <file>', 'file to write', PAGE)
    .allowExcessArguments(false)
    .action((options: Options) => run(options, terminal));

interface Options {
  traces?: string;
  only?: string;
  out: string;
}

/** The parts of the page that are not about one trace. */
const WITH_FAULTS = 'faults';
const OF_GOALS = 'goals';

async function run({ traces, only, out }: Options, terminal: Terminal): Promise<void> {
  checkOutFile('--out', out, 'benchmark.md');
  const names = Object.keys(WORKLOADS) as WorkloadName[];
  const read = await Promise.all(files(traces, terminal).map(fromFile));
  const all = [...read, ...names.map(generated)];
  const parts = choose(only, [...all.map(({ name }) => name), WITH_FAULTS, OF_GOALS]);
  const chosen = all.filter(({ name }) => parts.includes(name));
  const replays = [
    ...chosen.map(({ trace }) => trace.jobs.length * REPLAYS),
    parts.includes(WITH_FAULTS) ? WORKLOADS.weekly.generate(1).length * FAULT_REPLAYS : 0,
  ];
  const progress = terminal.progress('jobs', { total: replays.reduce((sum, some) => sum + some, 0) });
  let before = 0;
  const report = (ended: number) => progress.to(before + ended);
  const replayed: BenchmarkedTrace[] = [];
  let faults = '';
  const reached: ReachedGoal[] = [];
  try {
    for (const [index, jobs] of chosen.entries()) {
      replayed.push({ jobs, rows: await replayAll(jobs, report) });
      before += replays[index] ?? 0;
    }
    if (parts.includes(WITH_FAULTS)) faults = await faultsSection(report);
  } finally {
    progress.stop();
  }
  const withGoals = chosen.length > 0 ? chosen : all;
  const searched = parts.includes(OF_GOALS) ? withGoals : [];
  const searches = terminal.progress('traces searched for goals', { total: searched.length });
  try {
    for (const [index, jobs] of searched.entries()) {
      reached.push(...(await reachGoals(jobs)));
      searches.to(index + 1);
    }
  } finally {
    searches.stop();
  }
  writeFileSync(out, page(replayed, faults, reached));
  terminal.printProse(`${out} now has: ${parts.join(', ')}.`);
}

/** @throws UsageError */
function choose(only: string | undefined, known: readonly string[]): readonly string[] {
  if (only === undefined) return known;
  const names = only.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return names;
  throw new UsageError(
    `--only must list some of ${known.join(', ')}, separated by commas, got ${JSON.stringify(unknown)}`,
  );
}

function files(folder: string | undefined, terminal: Terminal): string[] {
  const from = folder ?? TRACES;
  if (!existsSync(from)) {
    if (folder !== undefined)
      throw new UsageError(`--traces must be a folder with CSV traces, got ${JSON.stringify(folder)}`);
    terminal.note(
      `There is no folder ${TRACES}, so the page has only generated traces. --traces DIR takes another folder.`,
    );
    return [];
  }
  const found = readdirSync(from).filter((name) => name.endsWith('.csv'));
  if (found.length === 0)
    throw new UsageError(`--traces must be a folder with CSV traces; ${JSON.stringify(from)} has none`);
  return found.toSorted().map((name) => join(from, name));
}

const page = (
  replayed: readonly BenchmarkedTrace[],
  faults: string,
  reached: readonly ReachedGoal[],
) => `# This project and other scalers, replayed

\`npm run benchmark\` wrote this page. Every policy replays the same jobs in the same world, so only the policies differ.
\`ours\` is this project, with the code that decides in production. The others are scalers that teams use, as their
documentation and their source describe them. \`npm run simulate -- --help\` lists them with their parameters. To replay
a row again, use the options under its heading, with \`--policies\` and \`--set\`.

${summaryTable(replayed)}

## How to read it

- **mean**, **p50**, **p95**, **p99**: seconds from when a job is queued until a runner claims it.
- **hours**: instance-hours, including booting and leaving. **overhead**: how much more than the hours of work they are. If
  it is negative, jobs were killed before their end.
- **USD a month**: the cost of 730 hours of such jobs. A trace of less than 24 hours is not stretched over nights and weekends:
  its month is ${WORKING_DAYS} days like it, as its row and its section say. The costs are those of instances of one type, m7i.large
  (${LIST_PRICES.source}), with volumes of
  30 GB. Only for ours, this includes the cost of the scaler in the whole month, 7 to 13 dollars. The other scalers cost something as well: a
  server, a Lambda function, or a hosted service.
- **launches**; **unused**: launches of instances that left without a job; **killed**: jobs that the scaler or EC2 ended.
- **lower bound**: no scaler can do better. *No wait*: an instance is ready whenever a job is queued, and its boot is paid.
  *Clean*: an instance launches for each job at the moment when it is queued. *Reactive*: the same, but only for jobs that no
  idle runner takes, and runners stay forever.

The world: a boot takes ${WORLD.boot} s, or ${WORLD.warmBoot} s from a warm pool. With \`image.build=weekly\`, these are ${WORLD.imageBoot} s and ${WORLD.imageWarmBoot} s, and
builds and snapshots are part of the cost; only ours builds images, although others can boot one of their own. EC2 lists an instance ${WORLD.request} s after the request, and has ended it ${WORLD.leave} s after
its runner. An idle runner claims a job within ${WORLD.idleClaim} s. EC2 bills at least ${WORLD.minimumBilling} s. \`schedules: minReplicas=5\` keeps five
runners from 8:00 to 18:00 on weekdays. Real traces start on a Monday at 8:00.

## What a replay cannot show

- The replay is open loop: jobs are queued at the times of the trace, however long earlier ones waited. A team that waits
  less pushes more, and the later jobs of a pipeline would start sooner. So the comparison of policies is fair; the waits in
  seconds are less exact.
- The traces lack jobs that were cancelled while they were queued. One job needs one runner, and all runners are alike.
- EC2 has every instance that a policy requests, at once and without a limit, except during faults.
- For the other scalers, the policy is replayed, not the code. Their bugs and outages do not count.
- The boot times are assumptions. Use \`--boot\` and \`--warm-boot\` for yours, \`--image-boot\` and \`--image-warm-boot\` with an image.
  The 35 s are 26 s from the request until SSH answers ([measured by others](https://github.com/brevdev/ec2-coldboot-research)),
  1.2 s of our boot unit ([measured](images.md#what-a-build-does)), and what a volume needs to load.

## Goals

What the search reaches. It finds settings on the first half of each trace, where it aims at nine tenths of the wait and one
point of overhead less, or at as much less as it can reach: with nothing learned, and again with what the fleet has learned
there. The table has what they do on the rest, with what the fleet has learned on the first half. Each goal has two limits:

${goalsText()}

- **mean wait**: as a share of that with CircleCI's tutorial, on the same half. **overhead**: in points above ours with the
  defaults. **of Buildkite**: as a share of Buildkite's overhead.
- **reached**: *yes* if both limits hold on the rest.
- **reactive, at least**: what any scaler needs that launches for jobs that are queued, and for none before. With a clean machine
  for each job, a job waits for a boot, or for a resume from a warm pool. So a short mean wait needs many resumes, and each
  of them is a stop and a second boot that is paid for: the figure is about that overhead, or the shortest wait if none is short
  enough. With reuse, the figure is the wait of the lower bound *reactive*, at any cost.

${goalsTable(reached)}

## Traces

${replayed.map(traceSection).join('\n\n')}

## Faults

The generated week with a fault: from 10:00 to 12:00 on its second day, or all the time. Nothing else differs, so compare
with the first table. If a boot fails, the instance leaves by itself under ours and under policies whose instances end
themselves. Under the other policies, somebody ends it after ${WORLD.tidyUp / 3_600} hours.

${faults}
`;

export const benchmark: CliCommand = { define, usageErrors: [TraceInvalid], expectedErrors: [ReplayStalled] };
