import { type CloudWatchLogsClient, FilterLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
import * as z from 'zod';

/** A poll as the function of Compute Capacity logs it: the counts, the group, and the decision with its reasons. */
export interface DecisionRecord {
  /** Milliseconds since the epoch. */
  at: number;
  fleet: string;
  execution: string;
  poll: number;
  /** `undefined` if CircleCI allowed no request. */
  unclaimed: number | undefined;
  running: number | undefined;
  members: { pending: number; inService: number; leaving: number; standby: number };
  decision: { from: number; desired: number; change: boolean; reasons: string[] };
}

const count = z.number();

const Line = z.object({
  fleet: z.string(),
  execution: z.string().default(''),
  poll: z.number().default(1),
  unclaimed: count.optional(),
  running: count.optional(),
  members: z.object({ pending: count, inService: count, leaving: count, standby: count }),
  decision: z.object({
    from: count,
    desired: count,
    change: z.boolean(),
    reasons: z.array(z.string()),
  }),
});

/** The log of the function that decides. */
export const decisionLog = (app: string) => `/aws/lambda/${app}-compute-capacity`;

/**
 * Reads the decisions of a time from the function's log, in their order. It needs one call for about 600 of them.
 *
 * @param query.fleet Only those of a fleet.
 */
export async function readDecisions(
  { app, from, to, fleet }: { app: string; from: number; to: number; fleet?: string },
  logs: CloudWatchLogsClient,
  signal?: AbortSignal,
): Promise<DecisionRecord[]> {
  const ofFleet = fleet === undefined ? '' : ` && $.fleet = "${fleet}"`;
  const lines = await readLines(
    { logGroup: decisionLog(app), from, to, pattern: `{ $.message = "Compute Capacity"${ofFleet} }` },
    logs,
    signal,
  );
  return lines
    .flatMap(({ at, line }) => {
      const { data } = Line.safeParse(line);
      return data === undefined || (fleet !== undefined && data.fleet !== fleet)
        ? []
        : [{ at, unclaimed: undefined, running: undefined, ...data }];
    })
    .sort((a, b) => a.at - b.at);
}

/** Reads the JSON lines of a log group that fit a filter pattern. */
export async function readLines(
  { logGroup, from, to, pattern }: { logGroup: string; from: number; to: number; pattern: string },
  logs: CloudWatchLogsClient,
  signal?: AbortSignal,
): Promise<{ at: number; line: unknown }[]> {
  const found: { at: number; line: unknown }[] = [];
  let nextToken: string | undefined;
  do {
    const page = await logs.send(
      new FilterLogEventsCommand({
        logGroupName: logGroup,
        startTime: from,
        endTime: to,
        filterPattern: pattern,
        nextToken,
      }),
      signal === undefined ? {} : { abortSignal: signal },
    );
    for (const { timestamp = 0, message = '' } of page.events ?? []) {
      const line = parseJson(message);
      if (line !== undefined) found.push({ at: timestamp, line });
    }
    nextToken = page.nextToken;
  } while (nextToken !== undefined);
  return found;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The runtime writes lines of its own.
    return undefined;
  }
}
