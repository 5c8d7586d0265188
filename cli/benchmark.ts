import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { TraceInvalid } from '../sandbox/trace.ts';
import { LIST_PRICES } from '../simulator/prices.ts';
import { ReplayStalled } from '../simulator/replay.ts';
import { WORKLOADS, type WorkloadName } from '../simulator/workloads.ts';
import { WORLD } from '../simulator/world.ts';
import { UsageError } from './command-line/arguments.ts';
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
      'Replays generated traces, and the CSV traces of a folder, under every policy with its settings. Replays one trace with faults. Writes the tables to a page. Takes a few minutes.',
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
  if (!existsSync(dirname(out)))
    throw new UsageError(`--out must be a file in an existing folder, got ${JSON.stringify(out)}`);
  const names = Object.keys(WORKLOADS) as WorkloadName[];
  const all = [...files(traces, terminal).map(fromFile), ...names.map(generated)];
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
) => `# This project and the others, replayed

\`npm run benchmark\` wrote this page. Every policy replays the same jobs in the same world, so that what differs is the
policy: this project's (\`ours\`) with the code that decides in production, and what teams use instead, each as its
documentation and its source describe it. \`npm run simulate -- --help\` says which those are, and what their parameters
mean; with the words that stand under a heading, and \`--policies\` and \`--set\`, it replays any line of a table again.

${summaryTable(replayed)}

## How to read it

- **mean**, **p50**, **p95**, **p99**: seconds from when a job is queued until a runner claims it.
- **hours**: of instances, booting and leaving included. **overhead**: those over the hours of work. Below zero, jobs
  were killed before they had ended.
- **USD a month**: for 730 hours of jobs like these: instances of one type, m7i.large (${LIST_PRICES.source}), and their
  volumes of 30 GB. What the scaler costs is included for ours alone, 7 to 13 dollars: the others look cheaper by
  theirs, which are a server, a Lambda function, or hosted.
- **launches**; **unused**: launches of instances that left without a job; **killed**: jobs that the scaler, or EC2, ended.
- **lower bound**: no scaler can do better. *No wait*: an instance has just booted whenever a job comes, and its boot is paid.
  *Clean*: a launch at the very moment at which a job is queued, for that job alone. *Reactive*: the same for jobs that
  no runner takes at once, and runners stay for ever.

The world: a boot takes ${WORLD.boot} s, from a warm pool ${WORLD.warmBoot} s; EC2 lists an instance ${WORLD.request} s after it was asked for, and has ended it
${WORLD.leave} s after its runner has; an idle runner claims within ${WORLD.idleClaim} s; EC2 bills ${WORLD.minimumBilling} s at least. \`schedules:
minReplicas=5\` is five runners from 8 to 18 o'clock on weekdays, and a real trace is taken to begin at 8 on a Monday.

## What a replay cannot say

- It is open loop: jobs come when they came, whatever they waited. A team that waits less pushes more, and a pipeline's
  later jobs would have come sooner. Comparing policies is fair; a wait in seconds is less so.
- Jobs that were cancelled while they were queued are in none of these traces, one job is one runner, and all runners
  are alike.
- EC2 has the instances that are asked for, at once and without limit, and nobody's quota is reached, but where a fault says so.
- Of the others the policy is replayed, not the code: their bugs, and their own outages, are not counted against them.
- The boot times are assumptions. \`--boot\` and \`--warm-boot\` take yours.

## Traces

${replayed.map(traceSection).join('\n\n')}

## Faults

The generated week again, while something is wrong: on its second day from 10 to 12 o'clock, or all the time.
Nothing else is changed, so the first table is what to compare with. A runner whose boot fails leaves by itself
under ours and under policies whose instances end themselves; where nobody notices it, somebody ends it after ${WORLD.tidyUp / 3_600} hours.

${faults}
`;

export const benchmark: CliCommand = { define, usageErrors: [TraceInvalid], expectedErrors: [ReplayStalled] };
