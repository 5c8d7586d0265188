import { AutoScalingClient, DescribeScalingActivitiesCommand } from '@aws-sdk/client-auto-scaling';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { EC2Client } from '@aws-sdk/client-ec2';
import { SSMClient } from '@aws-sdk/client-ssm';
import * as z from 'zod';
import type { Launch } from '../../functions/lib/breaker.ts';
import type { Learned } from '../../functions/lib/learned.ts';
import { learnedStore } from '../../functions/lib/learned-store.ts';
import { partialReads } from '../../functions/lib/partial-reads.ts';
import { Activity, asLaunch } from '../../functions/lib/scaling-activities.ts';
import { functionsOfWorkflow } from '../../statemachine/definition.ts';
import { AWS_CLIENT } from '../aws/client.ts';
import { type AwaitingRecord, loggedError, readAwaiting } from '../deployed/awaiting.ts';
import { type BootTimes, readBootTimes } from '../deployed/boots.ts';
import { type DecisionRecord, readDecisions, readLines } from '../deployed/decisions.ts';
import { type FleetGroup, fleetGroups } from '../deployed/groups.ts';
import { launchTimes } from '../status/reads.ts';

/** An error that a step has logged. */
export interface FailureRecord {
  /** Milliseconds since the epoch. */
  at: number;
  step: string;
  execution: string;
  error: string;
  message: string;
}

/** What happened to a fleet in a time, as AWS has it on record. */
export interface FleetHistory {
  group: FleetGroup;
  /** When each member was launched, in milliseconds since the epoch. */
  launchedAt: Map<string, number>;
  decisions: DecisionRecord[];
  /** Executions that waited for the tokens of the fleet. */
  awaiting: AwaitingRecord[];
  failures: FailureRecord[];
  /** Launches that began or ended in the time, the oldest first. */
  launches: Launch[];
  /** What the fleet has learned; `undefined` if it learns nothing. */
  learned: Learned | undefined;
  /** How long the boots of the day before its end took. */
  boots: BootTimes;
  /** What could not be read, with the reason. */
  missing: string[];
}

/** What the decisions are called in `missing`. */
export const DECISIONS = 'the decisions';

/** How long all reads may take, in milliseconds. */
const DEADLINE = 20_000;

/** Boots are published in one hour of three, and an hour may have none. */
const DAY = 86_400_000;

/** 100 activities a page: a thousand launches, more than a fleet has in an hour. */
const MOST_PAGES = 10;

/** The logs of the time did not come. */
export class HistoryUnread extends Error {
  override readonly name = 'HistoryUnread';
}

/**
 * Reads what happened to a fleet.
 *
 * @returns The fleets of the app; `undefined` for the history if the fleet is none of them.
 * @throws HistoryUnread
 */
export async function readHistory(
  app: string,
  fleet: string,
  { from, to }: { from: number; to: number },
): Promise<{ fleets: string[]; history: FleetHistory | undefined }> {
  const autoScaling = new AutoScalingClient(AWS_CLIENT);
  const groups = await fleetGroups(app, autoScaling);
  const group = groups.find((each) => each.fleet === fleet);
  const fleets = groups.map((each) => each.fleet);
  if (group === undefined) return { fleets, history: undefined };
  const logs = new CloudWatchLogsClient(AWS_CLIENT);
  const signal = AbortSignal.timeout(DEADLINE);
  const { missing, unless } = partialReads(() => {
    if (signal.aborted)
      throw new HistoryUnread(
        `CloudWatch Logs did not give this time within ${DEADLINE / 1_000} s. Ask for a shorter time with --last or --at.`,
      );
  });
  const [decisions, awaiting, failures, launches, launchedAt, learned, boots] = await Promise.all([
    unless(DECISIONS, [], readDecisions({ app, from, to, fleet }, logs, signal)),
    unless('what it waited for', [], readAwaiting({ app, from, to, fleet }, logs, signal)),
    unless('the errors', [], readFailures(app, fleet, { from, to }, logs, signal)),
    unless('the launches', [], readLaunches(group.group, { from, to }, autoScaling)),
    unless('the instances', new Map(), launchTimes(group.members, new EC2Client(AWS_CLIENT))),
    unless('what was learned', undefined, readLearned(app, fleet)),
    unless(
      'the boots',
      {},
      readBootTimes(app, fleet, { from: to - DAY, to }, new CloudWatchClient(AWS_CLIENT)),
    ),
  ]);
  return {
    fleets,
    history: { group, launchedAt, decisions, awaiting, failures, launches, learned, boots, missing },
  };
}

async function readLearned(app: string, fleet: string): Promise<Learned | undefined> {
  const read = await learnedStore(app, new SSMClient(AWS_CLIENT)).read(fleet);
  if (read instanceof Error) throw read;
  return read.learned;
}

const ErrorLine = z.object({
  message: z.string(),
  fleet: z.string(),
  execution: z.string().default(''),
  error: z.object({ name: z.string().default('Error'), message: z.string().default('') }),
});

async function readFailures(
  app: string,
  fleet: string,
  { from, to }: { from: number; to: number },
  logs: CloudWatchLogsClient,
  signal: AbortSignal,
): Promise<FailureRecord[]> {
  const pattern = `{ $.level = "ERROR" && $.fleet = "${fleet}" }`;
  const found = await Promise.all(
    functionsOfWorkflow().map((step) =>
      readLines({ logGroup: `/aws/lambda/${app}-${step}`, from, to, pattern }, logs, signal).catch(
        (error) => {
          // A function that never ran on an emulator has no log group.
          if ((error as Error).name === 'ResourceNotFoundException') return [];
          throw error;
        },
      ),
    ),
  );
  return found
    .flat()
    .flatMap(({ at, line }) => {
      const { data } = ErrorLine.safeParse(line);
      if (data === undefined || data.fleet !== fleet) return [];
      const { name: error, message } = loggedError(data.error);
      return [{ at, step: data.message, execution: data.execution, error, message }];
    })
    .sort((a, b) => a.at - b.at);
}

async function readLaunches(
  group: string,
  { from, to }: { from: number; to: number },
  client: AutoScalingClient,
): Promise<Launch[]> {
  const launches: Launch[] = [];
  let NextToken: string | undefined;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer = await client.send(
      new DescribeScalingActivitiesCommand({ AutoScalingGroupName: group, MaxRecords: 100, NextToken }),
    );
    const parsed = z.array(z.unknown()).parse(answer.Activities ?? []);
    const activities = parsed.flatMap((each) => z.safeParse(Activity, each).data ?? []);
    launches.push(...activities.flatMap((activity) => asLaunch(activity) ?? []));
    NextToken = answer.NextToken;
    // The newest come first.
    const oldest = activities.at(-1)?.StartTime.getTime() ?? 0;
    if (NextToken === undefined || oldest < from) break;
  }
  return launches
    .filter((launch) => launch.startedAt <= to && ('endedAt' in launch ? launch.endedAt : to) >= from)
    .sort((a, b) => a.startedAt - b.startedAt);
}
