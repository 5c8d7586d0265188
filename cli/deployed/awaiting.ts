import type { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import * as z from 'zod';
import { readLines } from './decisions.ts';

/** An execution that waited for the fleet's tokens, as the function of Read Settings logs it. */
export interface AwaitingRecord {
  /** Milliseconds since the epoch. */
  at: number;
  fleet: string;
  /** What it waits for, and what to do. */
  waits: string;
}

const Line = z.object({ fleet: z.string(), waits: z.string() });

/**
 * Reads which executions of a time waited for the tokens of their fleet, in their order. Such executions have no decision.
 *
 * @param query.fleet Only those of a fleet.
 */
export async function readAwaiting(
  { app, from, to, fleet }: { app: string; from: number; to: number; fleet?: string },
  logs: CloudWatchLogsClient,
  signal?: AbortSignal,
): Promise<AwaitingRecord[]> {
  const ofFleet = fleet === undefined ? '' : ` && $.fleet = "${fleet}"`;
  const pattern = `{ $.message = "Read Settings" && $.level = "INFO"${ofFleet} }`;
  const lines = await readLines(
    { logGroup: `/aws/lambda/${app}-read-settings`, from, to, pattern },
    logs,
    signal,
  ).catch((error) => {
    // A function that never ran on an emulator has no log group.
    if ((error as Error).name === 'ResourceNotFoundException') return [];
    throw error;
  });
  return lines
    .flatMap(({ at, line }) => {
      const { data } = Line.safeParse(line);
      return data === undefined || (fleet !== undefined && data.fleet !== fleet) ? [] : [{ at, ...data }];
    })
    .sort((a, b) => a.at - b.at);
}

/** Whether a fleet waits now: its last execution did, and none has decided anything since. */
export function awaitingNow(
  fleet: string,
  { awaiting, decisions }: { awaiting: AwaitingRecord[]; decisions: { fleet: string; at: number }[] },
): AwaitingRecord | undefined {
  const last = awaiting.findLast((record) => record.fleet === fleet);
  const decided = decisions.findLast((decision) => decision.fleet === fleet);
  return last !== undefined && last.at > (decided?.at ?? 0) ? last : undefined;
}
