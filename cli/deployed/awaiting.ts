import type { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import * as z from 'zod';
import { readLines } from './decisions.ts';

/** An execution that waited for the fleet's tokens or failed at them, as the function of Read Settings logs it. */
export interface AwaitingRecord {
  /** Milliseconds since the epoch. */
  at: number;
  fleet: string;
  /** What it waits for, and what to do; `undefined` if it failed. */
  waits: string | undefined;
  /** The error; `undefined` if it waits. */
  failure?: { name: string; message: string } | undefined;
}

const Line = z.object({
  fleet: z.string(),
  waits: z.optional(z.string()),
  error: z.optional(z.object({ name: z.string().default('Error'), message: z.string().default('') })),
});

/**
 * Reads which executions of a time waited for the tokens of their fleet or failed at them, in their order. Such executions
 * have no decision.
 *
 * @param query.fleet Only those of a fleet.
 */
export async function readAwaiting(
  { app, from, to, fleet }: { app: string; from: number; to: number; fleet?: string },
  logs: CloudWatchLogsClient,
  signal?: AbortSignal,
): Promise<AwaitingRecord[]> {
  const ofFleet = fleet === undefined ? '' : ` && $.fleet = "${fleet}"`;
  const pattern = `{ $.message = "Read Settings"${ofFleet} }`;
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
      if (data === undefined || (fleet !== undefined && data.fleet !== fleet)) return [];
      const { waits, error } = data;
      if (waits === undefined && error === undefined) return [];
      return [{ at, fleet: data.fleet, waits, failure: error && loggedError(error) }];
    })
    .sort((a, b) => a.at - b.at);
}

/** An error as a step logs it: some texts of an error begin with its name. */
export function loggedError({ name, message }: { name: string; message: string }) {
  return { name, message: message.startsWith(`${name}: `) ? message.slice(name.length + 2) : message };
}

type Seen = { awaiting: AwaitingRecord[]; decisions: { fleet: string; at: number }[] };

/** The last execution of a fleet, if it got no further than to its tokens. */
function lastWithout(fleet: string, { awaiting, decisions }: Seen): AwaitingRecord | undefined {
  const last = awaiting.findLast((record) => record.fleet === fleet);
  const decided = decisions.findLast((decision) => decision.fleet === fleet);
  return last !== undefined && last.at > (decided?.at ?? 0) ? last : undefined;
}

/** Since when a fleet waits, and for what: its last execution did, and none has decided anything since. */
export function awaitingNow(fleet: string, seen: Seen): { at: number; waits: string } | undefined {
  const { at = 0, waits } = lastWithout(fleet, seen) ?? {};
  return waits === undefined ? undefined : { at, waits };
}

/** The error at which a fleet fails now: its last execution failed at its settings or tokens. */
export const failureNow = (fleet: string, seen: Seen): AwaitingRecord['failure'] =>
  lastWithout(fleet, seen)?.failure;
