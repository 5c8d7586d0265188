import { Logger, type LogItem } from '@aws-lambda-powertools/logger';
import {
  FLEET_STANDING,
  LAMBDA_GB,
  type MeasuredUsage,
  type MonthlyCost,
  meanDelay,
  monthlyCost,
  PRICES,
  type Spell,
  STACK_STANDING,
  STEP_MILLISECONDS,
  standingCost,
  type Usage,
} from '../sandbox/cost.ts';
import { EVENT_OVERHEAD_BYTES, executionLogBytes } from '../sandbox/execution-log.ts';
import { Sandbox } from '../sandbox/sandbox.ts';
import { FAILURES } from '../statemachine/failures.ts';

const DEFAULT_POLL = 5;
const DEFAULT_QUIET_POLL = 60;

/**
 * What shares of a month a fleet is busy, and has been quiet for so long, in order: up to 40 minutes, an hour, 2
 * hours, 4 hours, and longer. In office hours: 9 hours on 22 days. Half the time: 42 days of an open-source
 * project's 16,376 jobs.
 */
const SHARES = {
  office: [198, 11, 22 / 3, 22, 44, 730 - 198 - 22 * (0.5 + 1 / 3 + 1 + 2)].map((hours) => hours / 730),
  project: [0.493, 0.09, 0.047, 0.099, 0.118, 0.153],
  always: [1, 0, 0, 0, 0, 0],
};
type Shares = (typeof SHARES)[keyof typeof SHARES];

/** The shortest interval of the polls in these spells, up to `quietPollInterval`: functions/lib/pacing.ts. */
const QUIET_POLLS = [5, 10, 15, 30, 60];

/** How much longer that project's jobs wait on average for `quietPollInterval`, by its trace, in seconds. */
const PROJECT_WAITS_LONGER = new Map([
  [5, 0],
  [15, 0.36],
  [30, 1.14],
  [60, 2.03],
]);

/** The functions wait for answers, which on the virtual clock take no time. */
const POLL_SECONDS = 0.3;

interface Measured extends Usage {
  polledAt: number[];
  executionLogBytesWithoutData: number;
}

/**
 * Runs a fleet in the sandbox and measures its executions: busy, with a job a minute of four minutes each, or
 * quiet, with none.
 */
async function measure(pollIntervalSeconds: number, kind: 'busy' | 'quiet'): Promise<Measured> {
  const quiet = kind === 'quiet';
  const log = new CountedLog();
  const sandbox = await Sandbox.open({ log });
  const jobs = Array.from({ length: quiet ? 0 : 15 }, (_, minute) => ({
    queuedAt: minute * 60 + 7,
    durationSeconds: 240,
  }));
  const fleet = { name: 'linux', resourceClass: 'acme/linux', minReplicas: 0, maxReplicas: 40 };
  const intervals = quiet
    ? { pollIntervalSeconds: 1, quietPollIntervalSeconds: pollIntervalSeconds }
    : { pollIntervalSeconds };
  const world = sandbox.addFleet({ ...fleet, ...intervals }, jobs);
  const bytes = () => log.bytes + sandbox.workflow.publishedBytes;
  await sandbox.runUntil(300);
  const before = { executions: world.executions.length, bytes: bytes() };
  await sandbox.runUntil(900);
  const executions = world.executions.slice(before.executions);
  const mean = (of: (execution: (typeof executions)[number]) => number) =>
    executions.reduce((sum, execution) => sum + of(execution), 0) / executions.length;
  const tasks = executions.flatMap(({ path }) => path.filter(({ type }) => type === 'Task'));
  const invocations: Record<string, number> = {};
  for (const { state } of tasks) invocations[state] = (invocations[state] ?? 0) + 1 / executions.length;
  const [first] = executions;
  return {
    seconds: mean(({ startedAt, endedAt }) => (endedAt - startedAt) / 1_000) + POLL_SECONDS,
    invocations,
    executionLogBytes: mean((execution) => executionLogBytes(execution)),
    executionLogBytesWithoutData: mean((execution) => executionLogBytes(execution, { data: false })),
    functionLogBytes: (bytes() - before.bytes) / executions.length,
    metrics: new Set(sandbox.workflow.metrics.map(({ name }) => name)).size,
    polledAt: (first?.path ?? [])
      .filter(({ state }) => state === 'Observe')
      .map(({ at }) => Math.floor((at - (first?.startedAt ?? 0)) / 1_000)),
  };
}

/** Counts the bytes that the functions log, in place of writing them to standard output. */
class CountedLog extends Logger {
  bytes = 0;

  constructor() {
    super({ logLevel: 'INFO' });
  }

  protected override printLog(_: number, item: LogItem): void {
    this.bytes += Buffer.byteLength(`${JSON.stringify(item.getAttributes())}\n`) + EVENT_OVERHEAD_BYTES;
  }
}

const dollars = (amount: number) => amount.toFixed(2);
const kilobytes = (bytes: number) => `${(bytes / 1_024).toFixed(0)} KB`;
const percent = (share: number) => `${Math.round(share * 100)} %`;
const row = (...cells: (string | number)[]) => `| ${cells.join(' | ')} |`;
const table = (head: string[], rows: string[]) => [row(...head), row(...head.map(() => '---')), ...rows];

/** Measures, computes, and tells: the document, and the usage that replays are priced by. */
export async function costReport(): Promise<{ document: string; usage: MeasuredUsage }> {
  const busy = new Map<number, Measured>();
  for (const poll of [5, 10, 15, 60]) busy.set(poll, await measure(poll, 'busy'));
  const quiet = new Map<number, Measured>();
  for (const poll of QUIET_POLLS) quiet.set(poll, await measure(poll, 'quiet'));
  const spells = (poll: number, quietPoll: number, [busyShare = 0, ...quietShares]: Shares): Spell[] => [
    { share: busyShare, usage: of(busy, poll) },
    ...QUIET_POLLS.map((slower, index) => ({
      share: quietShares[index] ?? 0,
      usage: of(quiet, Math.max(poll, Math.min(slower, quietPoll))),
    })),
  ];
  const cost = (poll: number, quietPoll: number, shares: Shares): MonthlyCost =>
    monthlyCost(spells(poll, quietPoll, shares));
  const usual = of(busy, DEFAULT_POLL);
  const resting = of(quiet, DEFAULT_QUIET_POLL);
  const byDefault = {
    office: cost(DEFAULT_POLL, DEFAULT_QUIET_POLL, SHARES.office),
    project: cost(DEFAULT_POLL, DEFAULT_QUIET_POLL, SHARES.project),
    always: cost(DEFAULT_POLL, DEFAULT_QUIET_POLL, SHARES.always),
  };
  const without = (amount: MonthlyCost) => amount.total - standingCost(FLEET_STANDING).secrets;
  const shared = standingCost(STACK_STANDING).alarms;
  const inOffice = spells(DEFAULT_POLL, DEFAULT_QUIET_POLL, SHARES.office);
  const logOf = (bytes: (usage: Measured) => number) =>
    (inOffice.reduce((sum, { share, usage }) => sum + share * bytes(usage as Measured), 0) *
      43_800 *
      PRICES.logGb) /
    1024 ** 3;
  const bareLog = logOf((usage) => usage.executionLogBytesWithoutData);
  const firstDelay = (quietPoll: number) => meanDelay(of(quiet, quietPoll).polledAt);
  const ownMetrics = usual.metrics;

  const parts: [keyof MonthlyCost, string][] = [
    ['stepFunctions', 'Step Functions: requests, and the time that executions wait for their next poll'],
    ['lambda', 'Lambda'],
    ['executionLog', 'execution log, what the Step Functions console shows'],
    ['functionLogs', "functions' logs, with the metrics in them"],
    ['metrics', 'custom metrics'],
    ['alarms', `${FLEET_STANDING.alarms} alarms and one over them`],
    ['secrets', 'two secrets, and reading one each minute'],
    ['scheduler', 'EventBridge Scheduler'],
    ['total', '**together**'],
  ];

  const document = `${[
    '# What it costs',
    '',
    'Written by `npm run generate` from executions in the sandbox: their requests, the bytes of their logs and their',
    'metrics are measured, the dollars are computed (`sandbox/cost.ts`) from list prices of us-east-1 in November 2026,',
    'without any free tier. The instances are not in it.',
    '',
    '## A month of one fleet',
    '',
    ...table(
      ['US dollars a month', 'office hours', 'half the time', 'always busy'],
      parts.map(([key, what]) =>
        row(
          what,
          dollars(byDefault.office[key]),
          dollars(byDefault.project[key]),
          dollars(byDefault.always[key]),
        ),
      ),
    ),
    '',
    `A fleet is busy while it has a task or an instance, and ten minutes after. "Office hours" is 9 hours on 22 days`,
    `(${percent(SHARES.office[0] ?? 0)} of the time); "half the time" is what 42 days of an open-source project's 16,376 jobs came to (${percent(SHARES.project[0] ?? 0)}).`,
    `Without its two secrets, which its tokens need wherever they are kept, the fleet of office hours costs ${dollars(without(byDefault.office))}.`,
    `All fleets of a stack share ${STACK_STANDING.alarms} more alarms and one over them: ${dollars(shared)}. The dashboard is free (CloudWatch's first three are).`,
    '',
    "AWS's free tier that does not end (10 alarms, 10 custom metrics, 5 GB of logs, a million Lambda requests) covers",
    'most of a first fleet: what is left is Step Functions, the secrets and the alarms over alarms.',
    '',
    '## By poll interval',
    '',
    ...table(
      [
        '`pollInterval`',
        'a queued job is seen after, on average',
        'office hours',
        'half the time',
        'always busy',
      ],
      [...busy.keys()].map((poll) =>
        row(
          `${poll} s`,
          `${meanDelay(of(busy, poll).polledAt).toFixed(1)} s`,
          ...Object.values(SHARES).map((shares) => dollars(cost(poll, DEFAULT_QUIET_POLL, shares).total)),
        ),
      ),
    ),
    '',
    `5 s is the default: ten seconds would save ${dollars(byDefault.office.total - cost(10, DEFAULT_QUIET_POLL, SHARES.office).total)} dollars a month in office hours, and every job would wait`,
    `${(meanDelay(of(busy, 10).polledAt) - meanDelay(usual.polledAt)).toFixed(1)} s longer.`,
    '',
    '## While nothing happens',
    '',
    'A fleet is quiet while it has no task, no instance beyond `minReplicas`, and nothing happens to its group. The longer',
    'it has been, the more seldom it is polled: after an hour every 15 s, after four every 60 s, and never more seldom than',
    '`quietPollInterval`. The first task that is seen ends that at once.',
    '',
    ...table(
      [
        '`quietPollInterval`',
        'after hours of silence, a job is seen after',
        'all jobs wait longer, on average',
        'office hours',
        'half the time',
      ],
      [...PROJECT_WAITS_LONGER].map(([quietPoll, longer]) =>
        row(
          `${quietPoll} s`,
          `${firstDelay(quietPoll).toFixed(1)} s`,
          `${longer.toFixed(1)} s`,
          dollars(cost(DEFAULT_POLL, quietPoll, SHARES.office).total),
          dollars(cost(DEFAULT_POLL, quietPoll, SHARES.project).total),
        ),
      ),
    ),
    '',
    '"All jobs" are that open-source project\'s, which come in bursts: the first push after a silence is a hundred jobs at',
    'once, and all of them wait for the poll that sees them. 60 s is the default: an execution that polls once ends at',
    'once, and what Step Functions charges for is the waiting between polls. A fleet whose mornings matter takes 15 s.',
    '',
    '## The traps, measured',
    '',
    ...table(
      ['lever', 'measured', 'a month, office hours'],
      [
        row(
          'execution log with its data (as deployed)',
          `${kilobytes(usual.executionLogBytes)} a busy minute, ${kilobytes(resting.executionLogBytes)} a quiet one`,
          dollars(logOf((usage) => usage.executionLogBytes)),
        ),
        row(
          'execution log without data: the console shows no counts and no reasons',
          `${kilobytes(usual.executionLogBytesWithoutData)} and ${kilobytes(resting.executionLogBytesWithoutData)}`,
          dollars(bareLog),
        ),
        row(
          'desired capacity, in service and pending as metrics of our own: not published, EC2 Auto Scaling has them for nothing',
          '3 metrics',
          dollars(3 * PRICES.metricMonth * (SHARES.office[0] ?? 0)),
        ),
        row(
          'metrics that are published only when they have something to say',
          `${ownMetrics} in a busy hour, ${resting.metrics} in a quiet one`,
          dollars(byDefault.office.metrics),
        ),
      ],
    ),
    '',
    'What is the same for all polls of an execution is kept out of its state, because each state logs its data twice; and',
    "of Lambda's own lines only warnings are kept. CloudWatch's cheaper log class, Infrequent Access, would halve the",
    'execution log. Whether the Step Functions console reads it is not documented, so it is not used.',
    '',
    '## Below 6 dollars',
    '',
    `A fleet of office hours should cost less than 6 dollars a month, and at list prices it costs ${dollars(byDefault.office.total)}. What is left`,
    'to be saved takes something away, so none of it is the default:',
    '',
    ...table(
      ['lever', 'a month, office hours', 'what it takes away'],
      [
        row(
          '`pollInterval: 15`',
          dollars(cost(15, DEFAULT_QUIET_POLL, SHARES.office).total),
          `every job waits ${(meanDelay(of(busy, 15).polledAt) - meanDelay(usual.polledAt)).toFixed(1)} s longer`,
        ),
        row(
          'an execution log without data',
          dollars(byDefault.office.total - byDefault.office.executionLog + bareLog),
          'the console shows which states an execution went through, and nothing that they saw or decided',
        ),
        row(
          'one alarm for all kinds of failure',
          dollars(byDefault.office.total - (Object.keys(FAILURES).length - 1) * PRICES.alarmMonth),
          'what is wrong, and with it what to do, is not in the alarm but has to be looked up',
        ),
      ],
    ),
    '',
    '## What is assumed',
    '',
    `Lambda functions of ${LAMBDA_GB * 1_024} MB on arm64, and how long they wait for answers, which nobody has measured in an account yet:`,
    `${Object.entries(STEP_MILLISECONDS)
      .map(([step, milliseconds]) => `${step} ${milliseconds} ms`)
      .join(', ')}.`,
    'Were each twice as long, a fleet always busy would cost',
    `${dollars(byDefault.always.lambda - lambdaRequests(usual))} more. Executions are taken to need 64 MB, the least that Step Functions bills.`,
  ].join('\n')}\n`;
  return { document, usage: { busy: usageOf(usual), quiet: usageOf(resting) } };
}

/** The part of Lambda's bill that does not grow with durations. */
function lambdaRequests({ invocations }: Usage): number {
  return Object.values(invocations).reduce((sum, times) => sum + times, 0) * 43_800 * PRICES.lambdaRequest;
}

function of<T>(measured: Map<number, T>, poll: number): T {
  const found = measured.get(poll);
  if (found === undefined) throw new Error(`Nothing was measured for ${poll} s`);
  return found;
}

/** What is asked for to price a replay, in figures that do not change with the next byte of a log line. */
function usageOf(measured: Measured): MeasuredUsage['busy'] {
  const { seconds, invocations, executionLogBytes, functionLogBytes, metrics, polledAt } = measured;
  const invoked = Object.entries(invocations).map(([step, times]) => [step, Math.round(times * 100) / 100]);
  return {
    polls: polledAt.length,
    seconds: Math.round(seconds * 10) / 10,
    invocations: Object.fromEntries(invoked),
    executionLogBytes: Math.round(executionLogBytes / 100) * 100,
    functionLogBytes: Math.round(functionLogBytes / 100) * 100,
    metrics,
  };
}
