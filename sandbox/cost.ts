/**
 * The costs of the autoscaler itself, without the instances: list prices of us-east-1 in US dollars, November 2026,
 * without free tiers. Pure.
 */
export const PRICES = {
  /** Express workflows: https://aws.amazon.com/step-functions/pricing/ */
  expressRequest: 1 / 1e6,
  expressGbSecond: 0.00001667,
  /** An execution's memory is billed in chunks of 64 MB; ours needs one. */
  expressGb: 64 / 1_024,
  /** arm64: https://aws.amazon.com/lambda/pricing/ */
  lambdaRequest: 0.2 / 1e6,
  lambdaGbSecond: 0.0000133334,
  /** https://aws.amazon.com/cloudwatch/pricing/ */
  logGb: 0.5,
  metricMonth: 0.3,
  alarmMonth: 0.1,
  compositeAlarmMonth: 0.5,
  /** https://aws.amazon.com/eventbridge/pricing/ */
  schedulerInvocation: 1 / 1e6,
  /** https://aws.amazon.com/secrets-manager/pricing/ */
  secretMonth: 0.4,
  secretRequest: 0.05 / 1e4,
} as const;

/** 365 days in 12 months. */
const MINUTES_PER_MONTH = 43_800;
const BYTES_PER_GB = 1024 ** 3;

/** Memory of each function. */
export const LAMBDA_GB = 256 / 1_024;

/**
 * How long each step's warm function runs, in milliseconds: estimates of its wait for CircleCI or AWS, and its own time
 * from `npm run bench`. Nothing here was measured in an account.
 */
export const STEP_MILLISECONDS: Record<string, number> = {
  'Read Settings': 40,
  'Describe Activities': 80,
  'Count Unclaimed': 180,
  'Count Running': 180,
  'Describe Group': 60,
  'Compute Capacity': 5,
  'Update Group': 120,
};

/** An execution that looks for what is left behind, every 10 minutes: estimates, as above. */
const RECONCILE = { minutes: 10, seconds: 2, functionSeconds: 1.5, logBytes: 4_096, secretRequests: 2 };

/** Dollars a month for the executions that look for what is left behind. */
function reconcileCost(): number {
  const { minutes, seconds, functionSeconds, logBytes, secretRequests } = RECONCILE;
  const execution =
    PRICES.expressRequest +
    seconds * PRICES.expressGb * PRICES.expressGbSecond +
    PRICES.lambdaRequest +
    functionSeconds * LAMBDA_GB * PRICES.lambdaGbSecond +
    (logBytes / BYTES_PER_GB) * PRICES.logGb +
    secretRequests * PRICES.secretRequest +
    PRICES.schedulerInvocation;
  return (MINUTES_PER_MONTH / minutes) * execution;
}

/** What an execution of one minute uses, on average. */
export interface Usage {
  /** Seconds from its start to its end, its waits included. */
  seconds: number;
  /** Invocations of the function behind each Task state. */
  invocations: Record<string, number>;
  executionLogBytes: number;
  functionLogBytes: number;
  /** Custom metrics in use; CloudWatch bills them by the hour. */
  metrics: number;
}

/** Measured executions of one minute: of a busy fleet with a poll every 5 s, and of an idle fleet with one poll. */
export interface MeasuredUsage {
  busy: Usage & { polls: number };
  idle: Usage & { polls: number };
}

/** What a fleet has, busy or idle. */
export interface Standing {
  /** Metrics that alarms watch: CloudWatch bills an alarm over three metrics as three. */
  alarms: number;
  compositeAlarms: number;
  secrets: number;
}

/** Of a fleet, and of the stack that all fleets share. */
export const FLEET_STANDING: Standing = { alarms: 22, compositeAlarms: 1, secrets: 2 };
export const STACK_STANDING: Standing = { alarms: 7, compositeAlarms: 1, secrets: 0 };

/** Dollars a month that do not depend on use. */
export const standingCost = ({ alarms, compositeAlarms, secrets }: Standing) => ({
  alarms: alarms * PRICES.alarmMonth + compositeAlarms * PRICES.compositeAlarmMonth,
  secrets: secrets * PRICES.secretMonth,
});

/** Dollars a month, by purpose. */
export interface MonthlyCost {
  stepFunctions: number;
  lambda: number;
  executionLog: number;
  functionLogs: number;
  metrics: number;
  alarms: number;
  secrets: number;
  scheduler: number;
  /** Looking for what is left behind. */
  reconcile: number;
  total: number;
}

/** A share of the time, from 0 to 1, and what the fleet uses in it. */
export interface UsageShare {
  share: number;
  usage: Usage;
}

/**
 * What a fleet's part of the autoscaler costs in a month of 730 hours.
 *
 * @param shares All of the month: their shares add up to 1.
 */
export function monthlyCost(shares: UsageShare[], standing: Standing = FLEET_STANDING): MonthlyCost {
  const average = (of: (usage: Usage) => number) =>
    shares.reduce((sum, { share, usage }) => sum + share * of(usage), 0);
  const aMonth = (of: (usage: Usage) => number) => average(of) * MINUTES_PER_MONTH;
  const perInvocation = (step: string) =>
    PRICES.lambdaRequest + ((STEP_MILLISECONDS[step] ?? 0) / 1_000) * LAMBDA_GB * PRICES.lambdaGbSecond;
  const lambdaOf = ({ invocations }: Usage) =>
    Object.entries(invocations).reduce((sum, [step, times]) => sum + times * perInvocation(step), 0);
  const log = (bytes: (usage: Usage) => number) => (aMonth(bytes) / BYTES_PER_GB) * PRICES.logGb;
  const secretRequests = aMonth(
    ({ invocations }) => (invocations['Read Settings'] ?? 0) + cachedReads(invocations),
  );
  const stands = standingCost(standing);

  const parts = {
    stepFunctions: aMonth(
      ({ seconds }) =>
        PRICES.expressRequest + (Math.ceil(seconds * 10) / 10) * PRICES.expressGb * PRICES.expressGbSecond,
    ),
    lambda: aMonth(lambdaOf),
    executionLog: log((usage) => usage.executionLogBytes),
    functionLogs: log((usage) => usage.functionLogBytes),
    metrics: average(({ metrics }) => metrics) * PRICES.metricMonth,
    alarms: stands.alarms,
    secrets: stands.secrets + secretRequests * PRICES.secretRequest,
    scheduler: MINUTES_PER_MONTH * PRICES.schedulerInvocation,
    reconcile: reconcileCost(),
  };
  return { ...parts, total: Object.values(parts).reduce((sum, part) => sum + part, 0) };
}

/** The functions that count tasks keep a secret for 5 minutes. Each of them then reads it again. */
const CACHED_MINUTES = 5;

/** How often the functions that count tasks read a secret in a minute, if each runs in one container. */
const cachedReads = (invocations: Usage['invocations']) =>
  ['Count Unclaimed', 'Count Running'].reduce(
    (reads, step) => reads + Math.min(invocations[step] ?? 0, 1 / CACHED_MINUTES),
    0,
  );

/** How long a task waits for a poll on average, in seconds, if polls start at these seconds of each minute. */
export function meanDelay(polledAt: number[]): number {
  const gaps = polledAt.map((at, index) => (polledAt[index + 1] ?? 60 + (polledAt[0] ?? 0)) - at);
  return gaps.reduce((sum, gap) => sum + gap * gap, 0) / 120;
}
