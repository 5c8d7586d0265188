import { Logger, type LogItem } from '@aws-lambda-powertools/logger';
import { listPrice } from '../fleets/prices.ts';
import { HOURS_BETWEEN_BOOTS, UNTIL_RUNNER } from '../functions/lib/boots.ts';
import {
  FLEET_STANDING,
  LAMBDA_GB,
  type MeasuredUsage,
  type MonthlyCost,
  meanDelay,
  monthlyCost,
  PRICES,
  STACK_STANDING,
  STEP_MILLISECONDS,
  standingCost,
  type Usage,
  type UsageShare,
} from '../sandbox/cost.ts';
import { EVENT_OVERHEAD_BYTES, executionLogBytes } from '../sandbox/execution-log.ts';
import { Sandbox } from '../sandbox/sandbox.ts';
import { IMAGE_ASSUMED, imageCost } from '../simulator/cost.ts';
import { FAILURES } from '../statemachine/failures.ts';

const DEFAULT_POLL = 5;
const DEFAULT_QUIET_POLL = 60;

/**
 * Shares of a month: busy, then idle for up to 40 minutes, 1 hour, 2 hours, 4 hours, and longer. Office hours: 9 hours
 * on 22 days. Half the time: 42 days with 16,376 jobs of an open-source project.
 */
const SHARES = {
  never: [0, 0, 0, 0, 0, 1],
  office: [198, 11, 22 / 3, 22, 44, 730 - 198 - 22 * (0.5 + 1 / 3 + 1 + 2)].map((hours) => hours / 730),
  project: [0.493, 0.09, 0.047, 0.099, 0.118, 0.153],
  always: [1, 0, 0, 0, 0, 0],
};
type Shares = (typeof SHARES)[keyof typeof SHARES];

/** The poll interval in each of these idle periods, up to `quietPollInterval`: functions/lib/pacing.ts. */
const IDLE_POLLS = [5, 10, 15, 30, 60];

/** Additional mean wait of that project's jobs by `quietPollInterval`, in seconds, from its trace. */
const PROJECT_WAITS_LONGER = new Map([
  [5, 0],
  [15, 0.36],
  [30, 1.14],
  [60, 2.03],
]);

/** The parts of a boot, which another workflow publishes in one hour of three: functions/find-leftovers.ts. */
const BOOT_METRICS = (UNTIL_RUNNER.length + 1) / HOURS_BETWEEN_BOOTS;

/** The functions wait for answers, which on the virtual clock take no time. */
const POLL_SECONDS = 0.3;

/** How long an execution of an average fleet waits for its own second: 0 to 4 s, see fleets/own-second.ts. */
const SPREAD_SECONDS = 2;

interface Measured extends Usage {
  polledAt: number[];
  executionLogBytesWithoutData: number;
}

/**
 * Runs a fleet in the sandbox and measures its executions: busy, with a job a minute of four minutes each, or
 * idle, with none.
 */
async function measure(pollIntervalSeconds: number, kind: 'busy' | 'idle'): Promise<Measured> {
  const idle = kind === 'idle';
  const log = new CountedLog();
  const sandbox = await Sandbox.open({ log });
  const jobs = Array.from({ length: idle ? 0 : 15 }, (_, minute) => ({
    queuedAt: minute * 60 + 7,
    durationSeconds: 240,
  }));
  const fleet = { name: 'linux', resourceClass: 'acme/linux', minReplicas: 0, maxReplicas: 40 };
  const intervals = idle
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
    seconds: mean(({ startedAt, endedAt }) => (endedAt - startedAt) / 1_000) + POLL_SECONDS + SPREAD_SECONDS,
    invocations,
    executionLogBytes: mean((execution) => executionLogBytes(execution)),
    executionLogBytesWithoutData: mean((execution) => executionLogBytes(execution, { data: false })),
    functionLogBytes: (bytes() - before.bytes) / executions.length,
    metrics: new Set(sandbox.workflow.metrics.map(({ name }) => name)).size + (idle ? 0 : BOOT_METRICS),
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
  const idle = new Map<number, Measured>();
  for (const poll of IDLE_POLLS) idle.set(poll, await measure(poll, 'idle'));
  const usageShares = (
    poll: number,
    quietPoll: number,
    [busyShare = 0, ...idleShares]: Shares,
  ): UsageShare[] => [
    { share: busyShare, usage: of(busy, poll) },
    ...IDLE_POLLS.map((slower, index) => ({
      share: idleShares[index] ?? 0,
      usage: of(idle, Math.max(poll, Math.min(slower, quietPoll))),
    })),
  ];
  const cost = (poll: number, quietPoll: number, shares: Shares): MonthlyCost =>
    monthlyCost(usageShares(poll, quietPoll, shares));
  const usual = of(busy, DEFAULT_POLL);
  const resting = of(idle, DEFAULT_QUIET_POLL);
  const byDefault = {
    never: cost(DEFAULT_POLL, DEFAULT_QUIET_POLL, SHARES.never),
    office: cost(DEFAULT_POLL, DEFAULT_QUIET_POLL, SHARES.office),
    project: cost(DEFAULT_POLL, DEFAULT_QUIET_POLL, SHARES.project),
    always: cost(DEFAULT_POLL, DEFAULT_QUIET_POLL, SHARES.always),
  };
  const without = (amount: MonthlyCost) => amount.total - standingCost(FLEET_STANDING).secrets;
  const shared = standingCost(STACK_STANDING).alarms;
  const inOffice = usageShares(DEFAULT_POLL, DEFAULT_QUIET_POLL, SHARES.office);
  const logOf = (bytes: (usage: Measured) => number) =>
    (inOffice.reduce((sum, { share, usage }) => sum + share * bytes(usage as Measured), 0) *
      43_800 *
      PRICES.logGb) /
    1024 ** 3;
  const bareLog = logOf((usage) => usage.executionLogBytesWithoutData);
  const firstDelay = (quietPoll: number) => meanDelay(of(idle, quietPoll).polledAt);
  const ownMetrics = usual.metrics;

  const parts: [keyof MonthlyCost, string][] = [
    ['stepFunctions', 'Step Functions: requests, and the time that executions wait for their next poll'],
    ['lambda', 'Lambda'],
    ['executionLog', 'execution log, what the Step Functions console shows'],
    ['functionLogs', "functions' logs, with the metrics in them"],
    ['metrics', 'custom metrics'],
    ['alarms', `${FLEET_STANDING.alarms} alarms and one composite alarm`],
    ['secrets', 'two secrets, one of them read each minute, and by both counting functions every 5 minutes'],
    ['scheduler', 'EventBridge Scheduler'],
    ['reconcile', 'looking every 10 minutes for what is left behind'],
    ['total', '**total**'],
  ];

  const document = `${[
    '# What it costs',
    '',
    '`npm run generate` writes this page. It measures requests, log bytes and metrics of executions in the sandbox.',
    '`sandbox/cost.ts` computes the costs, in US dollars, at list prices of us-east-1 in November 2026, without a free tier.',
    'The costs do not include the instances.',
    '',
    '## A month of one fleet',
    '',
    ...table(
      ['US dollars a month', 'no job', 'office hours', 'half the time', 'always busy'],
      parts.map(([key, what]) =>
        row(
          what,
          dollars(byDefault.never[key]),
          dollars(byDefault.office[key]),
          dollars(byDefault.project[key]),
          dollars(byDefault.always[key]),
        ),
      ),
    ),
    '',
    'A fleet is busy while it has a task or an instance, and for ten minutes after that. "Office hours" are 9 hours on 22 days',
    `(${percent(SHARES.office[0] ?? 0)} of the time). "Half the time" is an open-source project with 16,376 jobs in 42 days (${percent(SHARES.project[0] ?? 0)} of the time).`,
    '',
    `- Without its two secrets, the fleet of office hours costs ${dollars(without(byDefault.office))}. Its tokens cost something in any other store, too.`,
    `- Fleets that [share a scaler secret](security.md#one-personal-api-token-for-all-fleets) pay ${dollars(PRICES.secretMonth)} for it together.`,
    `- All fleets of an app share alarms over ${STACK_STANDING.alarms} more metrics and one composite alarm: ${dollars(shared)}. The dashboard is free, because the first three of an account are.`,
    "- AWS's permanent free tier (10 alarms, 10 custom metrics, 5 GB of logs, a million Lambda requests) covers most of a first",
    '  fleet. It does not cover Step Functions, the secrets and the composite alarms.',
    '',
    '## By poll interval',
    '',
    ...table(
      [
        '`pollInterval`',
        'mean time until a poll notices a queued job',
        'no job',
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
    `The default is 5 s. 10 s would save ${dollars(byDefault.office.total - cost(10, DEFAULT_QUIET_POLL, SHARES.office).total)} dollars a month in office hours, and every job would wait`,
    `${(meanDelay(of(busy, 10).polledAt) - meanDelay(usual.polledAt)).toFixed(1)} s longer.`,
    '',
    '## While nothing happens',
    '',
    'A fleet is idle while it has no task, no instance beyond `minReplicas`, and no new scaling activity. Idle fleets are polled',
    'less often: every 15 s after an hour, every 60 s after four hours, but at least every `quietPollInterval`. The first task',
    'that a poll notices ends this.',
    '',
    ...table(
      [
        '`quietPollInterval`',
        'mean time until a poll notices the first job after idle hours',
        'additional mean wait of all jobs',
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
    '"All jobs" are the jobs of that open-source project, which come in bursts. The first push after an idle period starts a',
    'hundred jobs, and all of them wait for the poll that notices them. The default is 60 s: an execution with one poll ends at',
    'once, and Step Functions charges for the time between polls. With a warm pool the default is 15 s, because a late poll',
    'would take back much of what the pool saves. If the first job of the morning must not wait, use 15 s without one as well.',
    '',
    '## What is expensive',
    '',
    ...table(
      ['item', 'measured', 'a month, office hours'],
      [
        row(
          'execution log with its data (as deployed)',
          `${kilobytes(usual.executionLogBytes)} a busy minute, ${kilobytes(resting.executionLogBytes)} an idle minute`,
          dollars(logOf((usage) => usage.executionLogBytes)),
        ),
        row(
          'execution log without data: the console shows no counts and no reasons',
          `${kilobytes(usual.executionLogBytesWithoutData)} and ${kilobytes(resting.executionLogBytesWithoutData)}`,
          dollars(bareLog),
        ),
        row(
          'desired capacity, in service and pending as custom metrics; not published, because EC2 Auto Scaling publishes them for free',
          '3 metrics',
          dollars(3 * PRICES.metricMonth * (SHARES.office[0] ?? 0)),
        ),
        row(
          'metrics that are published only when they have something to say',
          `${ownMetrics} in a busy hour, ${resting.metrics} in an idle hour`,
          dollars(byDefault.office.metrics),
        ),
      ],
    ),
    '',
    '`BootSeconds` has six metrics, seven with a warm pool. It is published in one hour of three, and counted above as two.',
    `Replays and the report leave it out: ${dollars(BOOT_METRICS * PRICES.metricMonth)} dollars a month at most.`,
    '',
    'Each state logs its data twice. So values that are the same for all polls of an execution are not part of its state. Of',
    "Lambda's own log lines, only warnings are kept. CloudWatch's cheaper log class, Infrequent Access, would halve the execution",
    'log. AWS does not document whether the Step Functions console can read it, so this project does not use it there. The log',
    'of instances (`logs: true`) has that class: 0.25 dollars a GB instead of 0.50.',
    '',
    '## Below 6 dollars',
    '',
    `The goal was less than 6 dollars a month for a fleet of office hours. At list prices it costs ${dollars(byDefault.office.total)}. Each further`,
    'saving has a disadvantage, so none is the default:',
    '',
    ...table(
      ['change', 'a month, office hours', 'disadvantage'],
      [
        row(
          '`pollInterval: 15`',
          dollars(cost(15, DEFAULT_QUIET_POLL, SHARES.office).total),
          `every job waits ${(meanDelay(of(busy, 15).polledAt) - meanDelay(usual.polledAt)).toFixed(1)} s longer`,
        ),
        row(
          'an execution log without data',
          dollars(byDefault.office.total - byDefault.office.executionLog + bareLog),
          'the console shows only the states of an execution, not their counts and decisions',
        ),
        row(
          'one alarm for all kinds of failure',
          dollars(byDefault.office.total - (Object.keys(FAILURES).length - 1) * PRICES.alarmMonth),
          'the alarm does not name the kind of failure, so you must look it up',
        ),
      ],
    ),
    '',
    ...imageSection(),
    '## What is assumed',
    '',
    `Lambda functions have ${LAMBDA_GB * 1_024} MB on arm64. They wait for answers as follows; nobody has measured these times in an account yet:`,
    `${Object.entries(STEP_MILLISECONDS)
      .map(([step, milliseconds]) => `${step} ${milliseconds} ms`)
      .join(', ')}.`,
    `If each time were twice as long, a fleet that is always busy would cost ${dollars(byDefault.always.lambda - lambdaRequests(usual))} more. Executions use 64 MB, the minimum`,
    `that Step Functions bills. An execution waits up to ${2 * SPREAD_SECONDS} s before its first function runs, so that not all fleets run theirs`,
    `in the same second: ${dollars(SPREAD_SECONDS * 43_800 * PRICES.expressGb * PRICES.expressGbSecond)} for an average fleet.`,
    '',
    'With `spareRunners` or `warmPool: { size: auto }`, an execution calls Systems Manager twice more: it reads what the fleet has',
    'learned, and writes it if tasks arrived or ended. Both are free for standard parameters with standard throughput. If a call takes',
    `20 ms, a fleet that is always busy pays ${dollars(2 * 0.02 * 43_800 * LAMBDA_GB * PRICES.lambdaGbSecond)} more for Lambda.`,
  ].join('\n')}\n`;
  const replayed = { ...usual, metrics: usual.metrics - BOOT_METRICS };
  return { document, usage: { busy: usageOf(replayed), idle: usageOf(resting) } };
}

/** An image that is built each week, with the defaults. */
const IMAGE = { build: 'weekly', timezone: 'UTC', keep: 3 };
const BUILDER = 'm7i.large';

function imageSection(): string[] {
  const { builds, snapshots, total } = imageCost(IMAGE, listPrice(BUILDER) ?? Number.NaN);
  return [
    '## An image that is built',
    '',
    'Only fleets with [`image: { build }`](images.md) pay this, and fleets with the same image once:',
    '',
    ...table(
      ['item', 'US dollars a month'],
      [
        row(
          `a build each week, ${IMAGE_ASSUMED.minutes} minutes of ${BUILDER} for building and testing (assumed)`,
          dollars(builds),
        ),
        row(
          `snapshots of ${IMAGE.keep} images of ${IMAGE_ASSUMED.snapshotGb} GB each (assumed)`,
          dollars(snapshots),
        ),
        row('**total**', dollars(total)),
      ],
    ),
    '',
    'EC2 Image Builder itself, the parameters, the events and the function that publishes images cost nothing to speak of. A',
    'snapshot costs as much as its blocks that hold data: what your install script adds counts.',
    '',
  ];
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
