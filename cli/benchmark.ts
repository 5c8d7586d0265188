import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
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
import type { Terminal } from './terminal/terminal.ts';

const TRACES = '../shared/traces';
const PAGE = 'docs/benchmark.md';

const define = ({ terminal }: Shell) =>
  new Command('npm run benchmark --')
    .description(
      'Replays generated traces, and the CSV traces of a folder, under every policy with its settings. Replays one trace with faults. Writes the tables to a page. Takes about a minute.',
    )
    .option('--traces <dir>', `folder of traces (default: ${TRACES}, if it exists)`)
    .option('--only <names>', 'names of traces, or faults, separated by commas (default: all)')
    .option('--out <file>', 'file to write', PAGE)
    .allowExcessArguments(false)
    .action((options: Options) => run(options, terminal));

interface Options {
  traces?: string;
  only?: string;
  out: string;
}

/** The part of the page that is not about a trace. */
const WITH_FAULTS = 'faults';

async function run({ traces, only, out }: Options, terminal: Terminal): Promise<void> {
  checkOutFile('--out', out, 'benchmark.md');
  const names = Object.keys(WORKLOADS) as WorkloadName[];
  const read = await Promise.all(files(traces, terminal).map(fromFile));
  const all = [...read, ...names.map(generated)];
  const parts = choose(only, [...all.map(({ name }) => name), WITH_FAULTS]);
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
  try {
    for (const [index, jobs] of chosen.entries()) {
      replayed.push({ jobs, rows: await replayAll(jobs, report) });
      before += replays[index] ?? 0;
    }
    if (parts.includes(WITH_FAULTS)) faults = await faultsSection(report);
  } finally {
    progress.stop();
  }
  writeFileSync(out, page(replayed, faults));
  terminal.print(`${out} now has: ${parts.join(', ')}.`);
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
- **USD a month**: the cost of 730 hours of such jobs: instances of one type, m7i.large (${LIST_PRICES.source}), with volumes of
  30 GB. Only for ours, this includes the cost of the scaler, 7 to 13 dollars. The other scalers cost something as well: a
  server, a Lambda function, or a hosted service.
- **launches**; **unused**: launches of instances that left without a job; **killed**: jobs that the scaler or EC2 ended.
- **lower bound**: no scaler can do better. *No wait*: an instance is ready whenever a job is queued, and its boot is paid.
  *Clean*: an instance launches for each job at the moment when it is queued. *Reactive*: the same, but only for jobs that no
  idle runner takes, and runners stay forever.

The world: a boot takes ${WORLD.boot} s, or ${WORLD.warmBoot} s from a warm pool. EC2 lists an instance ${WORLD.request} s after the request, and has ended it ${WORLD.leave} s after
its runner. An idle runner claims a job within ${WORLD.idleClaim} s. EC2 bills at least ${WORLD.minimumBilling} s. \`schedules: minReplicas=5\` keeps five
runners from 8:00 to 18:00 on weekdays. Real traces start on a Monday at 8:00.

## What a replay cannot show

- The replay is open loop: jobs are queued at the times of the trace, however long earlier ones waited. A team that waits
  less pushes more, and the later jobs of a pipeline would start sooner. So the comparison of policies is fair; the waits in
  seconds are less exact.
- The traces lack jobs that were cancelled while they were queued. One job needs one runner, and all runners are alike.
- EC2 has every instance that a policy requests, at once and without a limit, except during faults.
- For the other scalers, the policy is replayed, not the code. Their bugs and outages do not count.
- The boot times are assumptions. Use \`--boot\` and \`--warm-boot\` for yours.

## Traces

${replayed.map(traceSection).join('\n\n')}

## Faults

The generated week with a fault: from 10:00 to 12:00 on its second day, or all the time. Nothing else differs, so compare
with the first table. If a boot fails, the instance leaves by itself under ours and under policies whose instances end
themselves. Under the other policies, somebody ends it after ${WORLD.tidyUp / 3_600} hours.

${faults}
`;

export const benchmark: CliCommand = { define, usageErrors: [TraceInvalid], expectedErrors: [ReplayStalled] };
