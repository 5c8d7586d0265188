import { Command, Option } from 'commander';
import { formatDuration } from '../fleets/duration.ts';
import { WAITING_COST } from '../fleets/effective.ts';
import { FleetsInvalid } from '../fleets/load.ts';
import type { Faults } from '../sandbox/group/faults.ts';
import { asJson } from '../sandbox/summary.ts';
import { pricedBy } from '../simulator/cost.ts';
import { lowerBoundsOf } from '../simulator/lower-bounds.ts';
import { monthRuleFor } from '../simulator/month.ts';
import { LIST_PRICES, PricesInvalid, readPrices } from '../simulator/prices.ts';
import { ReplayStalled } from '../simulator/replay.ts';
import { intervalOfChange } from '../simulator/resampling.ts';
import { simulate } from '../simulator/simulate.ts';
import { describeNotes, type Trace, TraceInvalid } from '../simulator/traces/trace.ts';
import { WORKLOADS } from '../simulator/workloads.ts';
import { WORLD, type World } from '../simulator/world.ts';
import {
  durationOption,
  numberOption,
  refuseVain,
  stackOption,
  timeOption,
  timeZoneOption,
  UsageError,
} from './command-line/arguments.ts';
import { wrappedHelp } from './command-line/help.ts';
import { checkOutFile } from './command-line/out-file.ts';
import type { CliCommand, Shell } from './command-line/run.ts';
import {
  ComparisonInvalid,
  compareWith,
  describeComparison,
  fingerprintOf,
  givenBy,
  type OtherRun,
  readOtherRun,
} from './replays/comparison.ts';
import { describeCosts, describeMonth, monthOfParts } from './replays/costs.ts';
import { chooseFaults, describeLateFaults, faultRows, untilLastJob } from './replays/faults.ts';
import { type FiguresRow, SEARCH_COLUMNS, table } from './replays/figures-table.ts';
import { imageBootOption, imageWarmBootOption } from './replays/image-boots.ts';
import { describeInterval, describeIntervalOfChange, withInterval } from './replays/intervals.ts';
import { type Boots, bootOption, chooseBoots, NotMeasured } from './replays/measured-boot.ts';
import {
  chooseGoal,
  describeAnswer,
  findSettings,
  GOAL_OPTIONS,
  type GoalOptions,
} from './replays/optimise.ts';
import { choosePolicies, policyRows } from './replays/policies.ts';
import type { Replay } from './replays/report.ts';
import { chooseTrace, describeSource, describeTrace, type TraceOptions } from './replays/source.ts';
import { afterLearning, describeLearning, type LearnedBefore, learnedOption } from './replays/warm.ts';

interface Options extends GoalOptions, TraceOptions {
  fleet?: string;
  set?: string[];
  policies?: string;
  boot: number | 'measured';
  warmBoot: number;
  imageBoot: number;
  imageWarmBoot: number;
  stack: string;
  fault?: string[];
  timeZone: string;
  prices?: string;
  learned: LearnedBefore;
  workflow?: boolean;
  json?: boolean;
  compare?: string;
  report?: string;
}

const define = (shell: Shell) =>
  new Command('npm run simulate --')
    .description(
      'Replays a trace of jobs under this project and under the scalers that others use. Shows how long jobs wait under each, and what it costs. Jobs are queued at the times of the trace, however long they wait. Sends nothing to other machines, except that --boot measured reads from your account.',
    )
    .option(
      '--trace <file>',
      'CSV with the columns queued_at_s,duration_s, or an export of jobs: from CircleCI (usage CSV, API or Insights JSON), GitHub Actions or Buildkite (JSON)',
    )
    .addOption(
      new Option('--workload <name>', 'a generated trace (default: weekly, a week with nights and a weekend)')
        .choices(Object.keys(WORKLOADS))
        .conflicts('trace'),
    )
    .option('--seed <n>', 'seed of the generated trace and of the faults', numberOption(0, 2_147_483_647), 1)
    .option(
      '--fleet <name>',
      'a fleet of fleets.yaml; its maxReplicas applies to all policies (default: a fleet with default settings and maxReplicas 10000)',
    )
    .option(
      '--set <key=value...>',
      'settings as in fleets.yaml for ours, or policy.parameter=value for another',
    )
    .option('--policies <names>', 'names of policies, separated by commas (default: all)')
    .addOption(bootOption())
    .addOption(
      new Option('--warm-boot <time>', 'the same for an instance of a warm pool')
        .argParser(durationOption(0, 3_600, 'any'))
        .default(WORLD.warmBoot, formatDuration(WORLD.warmBoot)),
    )
    .addOption(imageBootOption())
    .addOption(imageWarmBootOption())
    .addOption(stackOption())
    .option('--fault <name=value...>', 'faults for every policy; --seed sets their random numbers')
    .addOption(
      new Option(
        '--starts-at <time>',
        'when a trace without dates begins, such as 2026-01-05 or 2026-01-05T08:00:00+01:00; decides which hours are nights and weekends, and which schedules apply',
      ).argParser(timeOption),
    )
    .addOption(
      new Option(
        '--time-zone <name>',
        'time zone of the report, and of the midnight between two days: a name of the IANA database, such as Europe/Berlin',
      )
        .argParser(timeZoneOption)
        .default('UTC'),
    )
    .option('--prices <file>', 'YAML or JSON with prices (default: list prices)')
    .option('--workflow', 'also run ours through the real state machine; a trace of weeks takes minutes')
    .option(
      '--optimise',
      'search settings for ours on the first part of the trace, and replay the result on the rest; settings of --set stay fixed',
    )
    .option(
      '--waiting-cost <usd>',
      `with --optimise: find the settings with the lowest cost if an hour that a job waits costs this many dollars (default: waitingCost of the fleet, or ${WAITING_COST})`,
      numberOption(0, 1e6, 'any'),
    )
    .option(
      '--max-wait-mean <time>',
      'with --optimise: only settings with which jobs wait at most this long on average; alone, the cheapest',
      durationOption(0, 86_400, 'any'),
    )
    .option(
      '--max-wait-p95 <time>',
      'with --optimise: only settings with which 95 % of the jobs wait at most this long; alone, the cheapest',
      durationOption(0, 86_400, 'any'),
    )
    .option(
      '--max-cost <usd>',
      'with --optimise: only settings that cost at most this many dollars a month; alone, those with the shortest wait',
      numberOption(0, 1e9, 'any'),
    )
    .option(
      '--max-overhead <percent>',
      'with --optimise: only settings whose instance-hours exceed the work by at most this much; alone, those with the shortest wait',
      numberOption(0, 1e6, 'any'),
    )
    .addOption(
      new Option(
        '--isolation <kind>',
        'with --optimise: job for a machine of its own for each job, runner to try reuse as well (default: job, or as the fleet has it)',
      ).choices(['job', 'runner']),
    )
    .option(
      '--train <share>',
      'with --optimise: the share of the trace that is searched, or with --learned warm, learned from; from 0.05 to 0.95',
      numberOption(0.05, 0.95, 'any'),
      0.5,
    )
    .addOption(learnedOption())
    .option('--json', 'print only one JSON object')
    .addOption(
      new Option(
        '--compare <file>',
        'also compare with another run of the same jobs: what --json printed for it',
      ).conflicts('optimise'),
    )
    .option(
      '--report <file>',
      'also write a report: one HTML file that shows the effect of each setting of ours and recommends settings',
    )
    .addHelpText(
      'after',
      wrappedHelp(() => [
        { heading: 'Policies, and the parameters of each with their defaults:', rows: policyRows() },
        { heading: 'Faults:', rows: faultRows() },
        {
          heading:
            'A file for --prices has instanceHour; the other keys are optional. All are in US dollars:',
          rows: [
            ['instanceHour', 'a map of prices an hour, by instance type'],
            ['spotShare', 'Spot price as a share of the On-Demand price, from 0 to 1'],
            ['volumeGbMonth', 'each GB of a volume, a month'],
            ['volumeIopsMonth', 'each IOPS above the baseline of gp3, a month'],
            ['volumeThroughputMonth', 'each MiB/s above the baseline of gp3, a month'],
            ['source', 'text: where the prices come from, and their date'],
          ],
        },
      ]),
    )
    .allowExcessArguments(false)
    .action((options: Options, command: Command) => run(options, command, shell));

async function run(options: Options, command: Command, shell: Shell): Promise<void> {
  const { terminal } = shell;
  const policies = choosePolicies(options);
  const { fleet } = policies;
  refuseVain(command, neededBy(options));
  const { source, trace } = await chooseTrace(options);
  const lastQueuedAt = trace.jobs.at(-1)?.queuedAt ?? 0;
  const faults = untilLastJob(chooseFaults(options.fault ?? [], options.seed), lastQueuedAt);
  if (options.workflow === true) checkWorkflowFaults(faults);
  const prices = options.prices === undefined ? LIST_PRICES : readPrices(options.prices);
  const priced = { ...pricedBy(prices, fleet), month: monthRuleFor(trace.jobs) };
  const boots = await chooseBoots(options, fleet.imageBuild !== undefined, command, terminal);
  const world = worldOf(trace, options.timeZone, boots);
  // Loaded only for a report, because the bundler takes long to load.
  const report = options.report === undefined ? undefined : await import('./replays/report.ts');
  if (options.report !== undefined) checkOutFile('--report', options.report, 'report.html');
  const other = options.compare === undefined ? undefined : readOtherRun(options.compare, trace);
  const costs = describeCosts(fleet, priced, prices);
  const learning = describeLearning(options);
  const given = { options, shell, policies, source, trace, world, faults, priced, costs };
  const found = options.optimise === true ? await optimised(given) : undefined;
  const { outcomes, comparison } =
    found === undefined
      ? await replayed(afterLearning(given), other)
      : { outcomes: [], comparison: undefined };
  const notes = [
    ...describeNotes(trace),
    ...(learning === undefined ? [] : [learning]),
    ...describeLateFaults(options.fault ?? [], lastQueuedAt),
    ...describeUnusedBoots(command, options, fleet.imageBuild !== undefined),
  ];
  if (options.json !== true) for (const note of notes) terminal.note(note);
  if (options.report !== undefined) {
    await report?.writeReport(
      options.report,
      { ...given, outcomes, found, comparison, notes: describeNotes(trace) },
      shell,
    );
  }
}

/** The options that do nothing without another one, or beside another one. */
function neededBy({ optimise, learned, trace, fault, boot }: Options) {
  const isSearch = optimise === true;
  const search = { isThere: isSearch, needs: '--optimise' };
  const replay = { isThere: !isSearch, needs: 'a replay without --optimise' };
  const measured = { isThere: boot === 'measured', needs: '--boot measured' };
  return {
    ...Object.fromEntries(Object.keys(GOAL_OPTIONS).map((key) => [key, search])),
    train: { isThere: isSearch || learned === 'warm', needs: '--optimise or --learned warm' },
    seed: { isThere: trace === undefined || fault !== undefined, needs: 'a generated trace or --fault' },
    policies: replay,
    workflow: replay,
    stack: measured,
    region: measured,
  };
}

/** Says that boot times of images do nothing, unless a replay or a search has an image. */
function describeUnusedBoots(command: Command, { optimise, report }: Options, hasImage: boolean): string[] {
  if (hasImage || optimise === true || report !== undefined) return [];
  const unused = [imageBootOption(), imageWarmBootOption()].filter(
    (option) => command.getOptionValueSource(option.attributeName()) === 'cli',
  );
  return unused.map(
    ({ long }) => `${long} changes nothing, because no image is built: add --set image.build=weekly.`,
  );
}

const worldOf = ({ startsAt }: Trace, zone: string, boots: Boots): World => ({
  ...WORLD,
  ...boots,
  ...(startsAt !== undefined && { startsAt, zone }),
});

/** A replay, with the command line that asked for it. */
interface ReplayCommand extends Replay {
  options: Options;
  shell: Shell;
}

/** Searches settings, and prints the result. */
async function optimised({
  options,
  shell,
  policies,
  source,
  trace,
  world,
  faults,
  priced,
  costs,
}: ReplayCommand) {
  const { terminal } = shell;
  const goal = chooseGoal(options, priced, policies.fleet);
  const share = options.train;
  const { isolation, learned } = options;
  const search = { share, isolation, learned, world, faults, priced, policies, terminal };
  const { answer, tried } = await findSettings(trace, goal, search);
  if (!answer.met.training) shell.exitCode = 1;
  const about = describeTrace(source, trace);
  if (options.json) {
    const { training, rest } = answer;
    const rows = (results: typeof rest) => results.map(withInterval).map(asJson);
    const [before, after] = rest;
    const change = before && after && intervalOfChange(before, after);
    const optimised = {
      ...answer,
      training: rows(training),
      rest: rows(rest),
      intervalOfChange: change ?? null,
    };
    terminal.print(JSON.stringify({ trace: about, optimised }));
  } else {
    terminal.printProse(`${describeSource(source, trace, policies.fleet, terminal)}\n`);
    terminal.print(
      `On the first ${Math.round(share * 100)} % of the trace:\n${table(answer.training, terminal, SEARCH_COLUMNS)}\n`,
    );
    terminal.print(`On the rest:\n${table(answer.rest, terminal, SEARCH_COLUMNS)}\n`);
    terminal.printProse(`${describeAnswer(answer)}\n`);
    const [before, after] = answer.rest;
    if (before !== undefined && after !== undefined) {
      const sure =
        answer.set.length === 0 ? describeInterval(after) : describeIntervalOfChange(before, after);
      terminal.printProse(`On the rest: ${sure}\n`);
    }
    terminal.printProse(terminal.colours.dim([costs, ...monthOfParts(answer.rest)].join(' ')));
  }
  return { answer, tried };
}

/** Replays each policy, and prints its figures. */
async function replayed(
  { options, shell, policies, source, trace, world, faults, priced, costs }: ReplayCommand,
  other: OtherRun | undefined,
) {
  const { terminal } = shell;
  const { fleet, choices } = policies;
  const { jobs } = trace;
  const about = describeTrace(source, trace);
  const replays = terminal.progress('jobs', { total: jobs.length * choices.length });
  const outcomes = await simulate(jobs, choices, world, {
    faults,
    priced,
    progress: replays.to,
  }).finally(replays.stop);
  const lowerBounds = lowerBoundsOf(jobs, world, { priced });
  const rows: FiguresRow[] = [...outcomes];
  if (options.workflow === true) {
    // Loaded only here, because the state machine and the SDK take longer to load than most replays run.
    const { throughWorkflow } = await import('../simulator/through-workflow.ts');
    const states = terminal.progress('jobs through the workflow', { total: jobs.length });
    const given = options.fault === undefined ? undefined : faults;
    rows.push(await throughWorkflow(jobs, fleet, world, states.to, given).finally(states.stop));
  }
  const given = givenBy(fleet, world, options.fault, priced);
  const comparison = other && compareWith(options.compare ?? '', other, given, outcomes);
  if (options.json) {
    const { format, ...assumed } = given;
    terminal.print(
      JSON.stringify({
        format,
        trace: { ...about, fingerprint: fingerprintOf(trace) },
        ...assumed,
        policies: rows.map(withInterval).map(asJson),
        lowerBounds: lowerBounds.map(asJson),
        ...(comparison && { comparison }),
      }),
    );
  } else {
    terminal.printProse(`${describeSource(source, trace, fleet, terminal)}\n`);
    terminal.print(`${table([...rows, ...lowerBounds], terminal)}\n`);
    terminal.printProse(
      terminal.colours.dim(
        `Wait: seconds from queued to claimed. Hours: instance-hours; over: how much more than the work they are.\n${[costs, ...describeMonth(outcomes), ...outcomes.slice(0, 1).map(describeInterval)].join(' ')}`,
      ),
    );
  }
  if (comparison && options.json !== true)
    terminal.printProse(`\n${describeComparison(comparison, terminal)}`);
  return { outcomes, comparison };
}

/** The workflow reads the two counts itself, so the fault cannot set the gap between them. */
function checkWorkflowFaults({ readGap }: Faults): void {
  if (readGap === 0) return;
  throw new UsageError('--workflow cannot be combined with --fault read-gap: leave out one of them');
}

export const simulateCommand: CliCommand = {
  define,
  usageErrors: [ComparisonInvalid, FleetsInvalid, PricesInvalid, TraceInvalid],
  expectedErrors: [ReplayStalled, NotMeasured],
  aws: 'optional',
  failsIf: 'it failed, or no setting meets the goal of --optimise',
};
