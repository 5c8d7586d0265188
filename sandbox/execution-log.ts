import type { EndedExecution, Visit } from './workflow.ts';

/**
 * How many bytes an Express execution writes to its log at level ALL with execution data. The Step Functions console
 * reads this log. The events of each kind of state, and their JSON, follow
 * https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html and
 * https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
 */

/** What CloudWatch Logs adds to each event when it bills: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html */
export const EVENT_OVERHEAD_BYTES = 26;

const ACCOUNT = '111122223333';
const UUID = '01234567-89ab-cdef-0123-456789abcdef';
const EXECUTION_ARN = `arn:aws:states:eu-west-1:${ACCOUNT}:express:circleci-runners:${UUID}:${UUID}`;
const ROLE_ARN = `arn:aws:iam::${ACCOUNT}:role/circleci-runners.roles/workflow/circleci-runners-WorkflowStateMachineRole-0123456789AB`;

/**
 * Bytes of an execution's log that CloudWatch Logs bills.
 *
 * @param options.data Whether the log includes execution data. Default: true.
 */
export function executionLogBytes(execution: EndedExecution, options: { data?: boolean } = {}): number {
  const events = [
    { type: 'ExecutionStarted', ...io('input', execution.path[0]?.input), roleArn: ROLE_ARN },
    ...execution.path.flatMap(visitEvents),
    { type: 'ExecutionSucceeded', ...io('output', execution.path.at(-1)?.input) },
  ];
  const lines = events.map(({ type, input, output, ...details }) =>
    line(type, options.data === false ? details : { ...details, ...input, ...output }),
  );
  return lines.reduce((sum, text) => sum + Buffer.byteLength(text) + EVENT_OVERHEAD_BYTES, 0);
}

interface Event {
  type: string;
  input?: Data;
  output?: Data;
  [detail: string]: unknown;
}

/** The log has state data as a string of JSON within JSON. */
type Data = Record<string, unknown>;

const io = (key: 'input' | 'output', value: unknown): { input?: Data; output?: Data } => ({
  [key]: { [key]: JSON.stringify(value ?? null), [`${key}Details`]: { truncated: false } },
});

function visitEvents(visit: Visit): Event[] {
  const { state: name, type } = visit;
  const entered = { type: `${type}StateEntered`, name, ...io('input', visit.input) };
  const exited = { type: `${type}StateExited`, name, ...io('output', visit.output ?? visit.input) };
  if (type === 'Parallel') {
    return [entered, { type: 'ParallelStateStarted' }, { type: 'ParallelStateSucceeded' }, exited];
  }
  if (type !== 'Task') return [entered, exited];
  const step = name.toLowerCase().replaceAll(' ', '-');
  const resource = `arn:aws:lambda:eu-west-1:${ACCOUNT}:function:circleci-runners-${step}`;
  return [
    entered,
    {
      type: 'LambdaFunctionScheduled',
      resource,
      timeoutInSeconds: '8',
      ...io('input', visit.parameters),
    },
    { type: 'LambdaFunctionStarted' },
    { type: 'LambdaFunctionSucceeded', ...io('output', visit.answer) },
    exited,
  ];
}

/** One line of the log; ids have three digits in most executions. */
const line = (type: string, details: Data): string =>
  JSON.stringify({
    id: '100',
    type,
    details,
    redrive_count: '0',
    previous_event_id: '100',
    event_timestamp: '1767600000000',
    execution_arn: EXECUTION_ARN,
  });
