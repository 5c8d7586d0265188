import { CloudWatchLogsClient, FilterLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { GetExecutionHistoryCommand, type HistoryEvent, type SFNClient } from '@aws-sdk/client-sfn';
import { AWS_CLIENT } from '../aws/client.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { listState } from './listing.ts';

/** One state that a deployed execution went through. */
export interface StateVisit {
  state: string;
  type: string;
  /** Milliseconds since the epoch. */
  enteredAt: number;
  exitedAt?: number;
  output?: unknown;
}

/** An event of an execution, from its history or from the execution log. */
interface Event {
  type: string;
  name: string | undefined;
  at: number;
  output: string | undefined;
}

/** How long to wait for the execution log in CloudWatch Logs. */
const LOG_SECONDS = 20;

/**
 * The states of an Express execution, in the order in which they were entered. AWS keeps no history of Express
 * executions, so this reads the execution log. An emulator may have the history instead.
 *
 * @returns An empty list if neither has them in time.
 */
export async function readSteps(
  sfn: SFNClient,
  executionArn: string,
  logGroupName: string,
  startedAt: Date,
): Promise<StateVisit[]> {
  const events =
    (await fromHistory(sfn, executionArn)) ?? (await fromLog(executionArn, logGroupName, startedAt));
  const steps: StateVisit[] = [];
  for (const event of events) {
    if (event.name === undefined) continue;
    if (event.type.endsWith('StateEntered')) {
      steps.push({ state: event.name, type: event.type.replace('StateEntered', ''), enteredAt: event.at });
    }
    if (event.type.endsWith('StateExited')) {
      const step = steps.findLast((candidate) => candidate.state === event.name);
      if (step === undefined) continue;
      step.exitedAt = event.at;
      if (event.output !== undefined) step.output = JSON.parse(event.output);
    }
  }
  return steps;
}

async function fromHistory(sfn: SFNClient, executionArn: string): Promise<Event[] | undefined> {
  const events: HistoryEvent[] = [];
  let nextToken: string | undefined;
  try {
    do {
      const page = await sfn.send(
        new GetExecutionHistoryCommand({ executionArn, maxResults: 1_000, nextToken }),
      );
      events.push(...(page.events ?? []));
      nextToken = page.nextToken;
    } while (nextToken !== undefined);
  } catch {
    return undefined;
  }
  return events.map((event) => ({
    type: event.type ?? '',
    name: event.stateEnteredEventDetails?.name ?? event.stateExitedEventDetails?.name,
    at: event.timestamp?.getTime() ?? 0,
    output: event.stateExitedEventDetails?.output,
  }));
}

/** https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html */
async function fromLog(executionArn: string, logGroupName: string, startedAt: Date): Promise<Event[]> {
  const logs = new CloudWatchLogsClient(AWS_CLIENT);
  for (let waited = 0; ; waited += 2) {
    const lines = await logLines(logs, executionArn, logGroupName, startedAt);
    const ended = lines.some((line) => /^Execution(Succeeded|Failed|TimedOut|Aborted)$/.test(line.type));
    if (ended || waited >= LOG_SECONDS) return lines;
    await new Promise((resolve) => setTimeout(resolve, 2_000));
  }
}

async function logLines(
  logs: CloudWatchLogsClient,
  executionArn: string,
  logGroupName: string,
  startedAt: Date,
): Promise<Event[]> {
  const found: { id: number; event: Event }[] = [];
  let nextToken: string | undefined;
  do {
    const page = await logs.send(
      new FilterLogEventsCommand({
        logGroupName,
        startTime: startedAt.getTime() - 1_000,
        filterPattern: `{ $.execution_arn = "${executionArn}" }`,
        nextToken,
      }),
    );
    for (const { message } of page.events ?? []) {
      const line = JSON.parse(message ?? '{}');
      const event = {
        type: String(line.type),
        name: line.details?.name,
        at: Number(line.event_timestamp),
        output: line.details?.output,
      };
      found.push({ id: Number(line.id), event });
    }
    nextToken = page.nextToken;
  } while (nextToken !== undefined);
  return found.sort((a, b) => a.id - b.id).map(({ event }) => event);
}

/** The steps as the Step Functions console lists them. */
export function describeSteps(steps: StateVisit[], startedAt: number, colours: Terminal['colours']): string {
  return steps
    .map(({ state, type, enteredAt, exitedAt }) =>
      listState(state, type, enteredAt - startedAt, exitedAt === undefined ? 'Failed' : undefined, colours),
    )
    .join('\n');
}
