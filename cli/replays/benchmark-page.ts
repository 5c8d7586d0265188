import { basename } from 'node:path';
import { pricedBy } from '../../simulator/cost.ts';
import { lowerBoundsOf } from '../../simulator/lower-bounds.ts';
import { monthRuleFor, WORKING_DAYS } from '../../simulator/month.ts';
import type { Outcome } from '../../simulator/outcome.ts';
import { PEERS } from '../../simulator/peers.ts';
import { LIST_PRICES } from '../../simulator/prices.ts';
import { paretoFront } from '../../simulator/report/recommend.ts';
import { simulate } from '../../simulator/simulate.ts';
import { loadTrace } from '../../simulator/traces/load.ts';
import type { Trace } from '../../simulator/traces/trace.ts';
import { generatedTrace, WORKLOADS, type WorkloadName } from '../../simulator/workloads.ts';
import { WORLD } from '../../simulator/world.ts';
import { chooseFaults } from './faults.ts';
import { choosePolicies } from './policies.ts';

/** A trace that all policies are replayed on. */
export interface BenchmarkTrace {
  name: string;
  about: string;
  /** The options of `npm run simulate` for the same jobs. */
  words: string;
  trace: Trace;
}

/** The results of a trace. */
export interface BenchmarkedTrace {
  jobs: BenchmarkTrace;
  rows: readonly BenchmarkRow[];
}

/** A policy and its settings, in the form of `--policies` and `--set`. */
interface PolicySetting {
  policy: string;
  set: readonly string[];
}

export interface BenchmarkRow extends PolicySetting {
  outcome: Outcome;
}

const set = (policy: string, ...settings: string[]): PolicySetting => ({ policy, set: settings });

const REUSE = ['reuse=continuous', 'idleTimeout=120s'];

const IMAGE = ['image.build=weekly'];

const OFFICE_HOURS =
  'schedules=[{start: "0 8 * * MON-FRI", end: "0 18 * * MON-FRI", timezone: UTC, minReplicas: 5}]';

/** Ours with the defaults, and with each setting. */
const OUR_SETTINGS: readonly PolicySetting[] = [
  set('ours'),
  set('ours', 'quietPollInterval=5s'),
  set('ours', 'pollInterval=15s'),
  set('ours', 'pollInterval=60s'),
  set('ours', 'headroom=1'),
  set('ours', 'headroom=10%'),
  set('ours', 'headroom=25%'),
  set('ours', 'minReplicas=1'),
  set('ours', 'minReplicas=5'),
  set('ours', OFFICE_HOURS),
  set('ours', 'maxSurge=5'),
  set('ours', 'spot.percentage=100'),
  set('ours', 'warmPool.size=20'),
  set('ours', 'warmPool.size=50'),
  set('ours', 'warmPool.size=200'),
  set('ours', 'warmPool.size=auto'),
  set('ours', 'spareRunners=auto'),
  set('ours', 'spareRunners=auto', 'warmPool.size=auto'),
  set('ours', ...IMAGE),
  set('ours', ...IMAGE, 'warmPool.size=auto'),
  set('ours', ...IMAGE, 'spareRunners=auto'),
  set('ours', 'reuse=continuous', 'idleTimeout=60s'),
  set('ours', ...REUSE),
  set('ours', 'reuse=continuous', 'idleTimeout=600s'),
  set('ours', ...REUSE, 'warmPool.size=200'),
  set('ours', ...REUSE, 'warmPool.size=auto'),
  set('ours', ...IMAGE, ...REUSE, 'warmPool.size=auto'),
];

/** Parameters of the peers that the benchmark also tries. */
const PARAMETERS_OF_PEERS: Record<string, readonly string[]> = {
  'circleci-tutorial': ['idleTimeout=300'],
  mro: ['headroom=5', 'minReplicas=5'],
  buildkite: ['idleTimeout=120'],
  webhook: ['delay=0', 'ephemeral=1'],
  'runs-on': ['pool=20'],
  gitlab: ['idle=5', 'factor=0.25'],
};

/** What teams use instead: with its defaults, and with each of these parameters. */
const RIVALS = PEERS.flatMap(({ name }) => [
  set(name),
  ...(PARAMETERS_OF_PEERS[name] ?? []).map((parameter) => set(name, `${name}.${parameter}`)),
]);

interface TitledFault {
  words: readonly string[];
  title: string;
}

/** Faults in the form of `--fault`: on the second day from 10:00 to 12:00, or all the time. */
const FAULTS: TitledFault[] = [
  { words: [], title: 'No fault' },
  { words: ['outage=34h..36h'], title: 'No counts and no webhooks for two hours' },
  { words: ['shortage=34h..36h'], title: 'EC2 lacks capacity for two hours' },
  { words: ['boot-failures=100%@34h..36h'], title: 'All boots fail for two hours' },
  { words: ['boot-failures=10%'], title: '10 % of the boots fail' },
  { words: ['read-gap=0.5s'], title: 'The two counts are read half a second apart' },
  { words: ['foreign-runners=3'], title: 'Three runners outside the group also take jobs' },
];

/** Only our policy supports Spot Instances. */
const ON_SPOT: TitledFault = {
  words: ['spot-interruptions=0.05'],
  title: 'EC2 takes a Spot Instance back after 20 hours on average',
};

export const generated = (name: WorkloadName): BenchmarkTrace => ({
  name,
  about: WORKLOADS[name].about,
  words: `--workload ${name}`,
  trace: generatedTrace(name, 1),
});

/** The sources of traces, by the names of their files. */
const SOURCES: Record<string, string> = {
  'bitcoin_core.csv':
    'GitHub Actions jobs of bitcoin/bitcoin in September and October 2025, from willcl-ark/bitcoin-core-ci-stats at 1d280fec (MIT)',
  'firefox_b_linux.csv':
    "one pool of Firefox's CI in August 2020, from taskcluster/taskcluster-provisioning-simulator at fdff8304 (MPL-2.0)",
};

/**
 * A trace in a file.
 *
 * @throws TraceInvalid
 */
export async function fromFile(file: string): Promise<BenchmarkTrace> {
  const name = basename(file);
  return { name, about: SOURCES[name] ?? 'a trace', words: `--trace ${name}`, trace: await loadTrace(file) };
}

async function rows(
  { trace }: BenchmarkTrace,
  settings: readonly PolicySetting[],
  { faults = [], progress }: { faults?: readonly string[]; progress?: ((ended: number) => void) | undefined },
): Promise<BenchmarkRow[]> {
  const chosen = settings.map(({ policy, set: words }) =>
    choosePolicies({ policies: policy, set: [...words] }),
  );
  const [first] = chosen;
  if (first === undefined) return [];
  const choices = chosen.flatMap((one) => one.choices);
  const world = { ...WORLD, startsAt: trace.startsAt ?? WORLD.startsAt };
  const outcomes = await simulate(trace.jobs, choices, world, {
    faults: chooseFaults(faults, 1),
    priced: pricedOn(trace, first.fleet),
    ...(progress && { progress }),
  });
  return settings.flatMap((setting, index) => {
    const outcome = outcomes[index];
    return outcome === undefined ? [] : [{ ...setting, outcome }];
  });
}

/** List prices, with a month of this trace. */
const pricedOn = ({ jobs }: Trace, fleet: Parameters<typeof pricedBy>[1]) => ({
  ...pricedBy(LIST_PRICES, fleet),
  month: monthRuleFor(jobs),
});

/** How many days a month of a trace has, if it does not have all hours. */
const daysOfMonth = ({ jobs }: Trace) =>
  monthRuleFor(jobs).repeats === 'day' ? `${WORKING_DAYS} days` : undefined;

/** The number of replays of one trace. */
export const REPLAYS = OUR_SETTINGS.length + RIVALS.length;

/** Replays a trace under every policy with every setting, and computes the lower bounds. */
export async function replayAll(
  jobs: BenchmarkTrace,
  progress?: (ended: number) => void,
): Promise<BenchmarkRow[]> {
  const { fleet } = choosePolicies({});
  const all = await rows(jobs, [...OUR_SETTINGS, ...RIVALS], { progress });
  const lowerBounds = lowerBoundsOf(jobs.trace.jobs, WORLD, { priced: pricedOn(jobs.trace, fleet) });
  return [...all, ...lowerBounds.map((outcome) => ({ policy: outcome.policy, set: [], outcome }))];
}

/** The heading of a trace, its description, and the table of all rows. */
export function traceSection({ jobs: { name, about, words, trace }, rows: all }: BenchmarkedTrace): string {
  const { jobs } = trace;
  const hours = jobs.reduce((sum, { durationSeconds }) => sum + durationSeconds, 0) / 3_600;
  const days = ((jobs.at(-1)?.queuedAt ?? 0) / 86_400).toFixed(1);
  return [
    `### ${name}`,
    `${capital(about)}. ${figure(jobs.length)} jobs, ${figure(hours)} hours of work in ${days} days; \`${words}\`.`,
    ...(daysOfMonth(trace) === undefined
      ? []
      : [
          `A month is ${daysOfMonth(trace)} like this one, without the hours between them (nights, weekends).`,
        ]),
    table(all),
    `The Pareto front of mean wait and cost, among the policies that kill no job, cheapest first: ${front(all).map(named).join('; ')}.`,
  ].join('\n\n');
}

const figure = (value: number) =>
  value.toLocaleString('en-GB', { maximumFractionDigits: value < 10 ? 1 : 0 });

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

const named = (setting: PolicySetting) =>
  setting.set.length === 0 ? setting.policy : `${setting.policy} with \`${shown(setting)}\``;

/** Settings without the name of their policy, and without the times of a schedule. */
const shown = ({ policy, set: settings }: PolicySetting) =>
  settings
    .map((each) => (each === OFFICE_HOURS ? 'schedules: minReplicas=5' : each.replace(`${policy}.`, '')))
    .join(' ');

const price = ({ outcome }: BenchmarkRow) => outcome.cost?.total ?? Number.POSITIVE_INFINITY;
const isLowerBound = ({ policy }: BenchmarkRow) => policy.startsWith('lower bound');

/** The Pareto front of mean wait and cost, cheapest first. Lower bounds and policies that kill jobs are left out. */
export const front = (all: readonly BenchmarkRow[]): BenchmarkRow[] =>
  paretoFront(
    all.filter((row) => !isLowerBound(row) && row.outcome.jobsKilled === 0),
    'US dollars a month',
  );

const COLUMNS: { head: string; cell: (row: BenchmarkRow) => string }[] = [
  { head: 'policy', cell: ({ policy }) => policy },
  { head: 'set', cell: (row) => (row.set.length === 0 ? '' : `\`${shown(row)}\``) },
  { head: 'mean', cell: ({ outcome }) => outcome.waitSeconds.mean.toFixed(1) },
  { head: 'p50', cell: ({ outcome }) => outcome.waitSeconds.p50.toFixed(0) },
  { head: 'p95', cell: ({ outcome }) => outcome.waitSeconds.p95.toFixed(0) },
  { head: 'p99', cell: ({ outcome }) => outcome.waitSeconds.p99.toFixed(0) },
  { head: 'hours', cell: ({ outcome }) => outcome.instanceHours.toFixed(0) },
  {
    head: 'overhead',
    cell: ({ outcome: { overhead } }) => (overhead === null ? '-' : `${(overhead * 100).toFixed(1)} %`),
  },
  { head: 'USD a month', cell: ({ outcome }) => outcome.cost?.total.toFixed(0) ?? '' },
  { head: 'launches', cell: ({ outcome }) => `${outcome.launches}` },
  { head: 'unused', cell: ({ outcome }) => `${outcome.unusedLaunches}` },
  { head: 'killed', cell: ({ outcome }) => `${outcome.jobsKilled}` },
];

function table(all: readonly BenchmarkRow[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    line(COLUMNS.map(({ head }) => head)),
    line(COLUMNS.map((_, index) => (index < 2 ? '---' : '---:'))),
    ...all.map((row) => line(COLUMNS.map(({ cell }) => cell(row)))),
  ].join('\n');
}

/** The number of replays of the faults. */
export const FAULT_REPLAYS = FAULTS.length * (PEERS.length + 1) + 3;

/** A week under each fault: ours and the peers, with their defaults. */
export async function faultsSection(progress?: (ended: number) => void): Promise<string> {
  const week = generated('weekly');
  const jobs = week.trace.jobs.length;
  const plain = [set('ours'), ...PEERS.map(({ name }) => set(name))];
  const spot = [
    set('ours'),
    set('ours', 'spot.percentage=100'),
    set('ours', 'spot.percentage=100', 'unsafeRetries=true'),
  ];
  const cases = [...FAULTS.map((fault) => ({ ...fault, settings: plain })), { ...ON_SPOT, settings: spot }];
  const parts: string[] = [];
  let replays = 0;
  for (const { words, title, settings } of cases) {
    const before = replays * jobs;
    const all = await rows(week, settings, {
      faults: words,
      progress: (ended) => progress?.(before + ended),
    });
    replays += settings.length;
    const fault = words.length === 0 ? '' : `: \`${words.map((word) => `--fault ${word}`).join(' ')}\``;
    parts.push(`### ${title}`, `\`${week.words}\`${fault}`, table(all));
  }
  return parts.join('\n\n');
}

/** The policies of the first table, with their settings. */
const SUMMARY: readonly PolicySetting[] = [
  set('circleci-tutorial'),
  set('mro'),
  set('buildkite'),
  set('webhook'),
  set('ours'),
  set('ours', 'warmPool.size=auto'),
  set('ours', ...IMAGE, 'warmPool.size=auto'),
  set('ours', ...REUSE, 'warmPool.size=auto'),
];

/** The first table of the page: a row for each trace. */
export function summaryTable(replayed: readonly BenchmarkedTrace[]): string {
  const cell = (all: readonly BenchmarkRow[], { policy, set: settings }: PolicySetting) => {
    const row = all.find((one) => one.policy === policy && one.set.join() === settings.join());
    return row === undefined ? '' : `${row.outcome.waitSeconds.mean.toFixed(0)} s, $${price(row).toFixed(0)}`;
  };
  return [
    `| mean wait, US dollars a month | ${SUMMARY.map(named).join(' | ')} |`,
    `| --- |${' ---: |'.repeat(SUMMARY.length)}`,
    ...replayed.map(
      ({ jobs, rows: all }) =>
        `| ${[jobs.name, ...(daysOfMonth(jobs.trace) === undefined ? [] : [`(${daysOfMonth(jobs.trace)})`])].join(' ')} | ${SUMMARY.map((setting) => cell(all, setting)).join(' | ')} |`,
    ),
  ].join('\n');
}
