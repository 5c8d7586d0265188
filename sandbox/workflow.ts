import { readFileSync } from 'node:fs';
import { ExecutionError, ExecutionTimeoutError, StateMachine } from 'aws-local-stepfunctions';
import { handler as computeCapacity } from '../functions/compute-capacity.ts';
import { handler as countRunning } from '../functions/count-running.ts';
import { handler as countUnclaimed } from '../functions/count-unclaimed.ts';
import { handler as describeGroup } from '../functions/describe-group.ts';
import { handler as readSecrets } from '../functions/read-secrets.ts';
import { handler as updateGroup } from '../functions/update-group.ts';

type Handler = (input: unknown) => Promise<unknown>;
type Json = Parameters<StateMachine['run']>[0];

/** The real definition, and the function behind each of its Task states. */
export const DEFINITION = new URL('../statemachine/autoscale.asl.json', import.meta.url);

export const HANDLERS: Record<string, Handler> = {
  'Read Secrets': readSecrets,
  'Count Unclaimed': countUnclaimed,
  'Count Running': countRunning,
  'Describe Group': describeGroup,
  'Compute Capacity': computeCapacity,
  'Update Group': updateGroup,
};

/** What each schedule hands to an execution. */
export interface ExecutionInput {
  fleet: string;
  resourceClass: string;
  circleciUrl: string;
  scalerSecretName: string;
  groupName: string;
  minReplicas: number;
  maxReplicas: number;
  pollIntervalSeconds: number;
}

/** One state that an execution went through, as the Step Functions console would list it. */
export interface Visit {
  state: string;
  type: string;
  /** Milliseconds since the epoch. */
  at: number;
  input: unknown;
  output?: unknown;
  /** The error that the state, or its last attempt, ended in. */
  error?: string;
  retries: number;
}

export interface Execution {
  name: string;
  status: 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT';
  startedAt: number;
  endedAt: number;
  error?: string;
  cause?: string;
  path: Visit[];
}

/** A metric that an alarm state put. */
export interface Metric {
  namespace: string;
  name: string;
  dimensions: Record<string, string>;
  at: number;
}

// The engine is written for Node 22; this is all that it misses on Node 20.
Promise.withResolvers ??= function withResolvers<T>() {
  let resolve!: (value: T | PromiseLike<T>) => void;
  let reject!: (reason?: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
};

/** Runs `statemachine/autoscale.asl.json` in this process, with the real functions behind its Task states. */
export class Workflow {
  readonly metrics: Metric[] = [];
  readonly #machine: StateMachine;
  readonly #tasks: Record<string, (input: Json) => Promise<Json>>;

  /** @param replace Handlers in place of the real ones, by state name: for faults around a function. */
  constructor(replace: Record<string, Handler> = {}) {
    const arn = 'arn:aws:lambda:eu-west-1:000000000000:function:$1';
    const definition = readFileSync(DEFINITION, 'utf8').replaceAll(/\$\{(\w+)FunctionArn\}/g, arn);
    // Validating takes a tenth of a second each time, and a test does it.
    this.#machine = new StateMachine(JSON.parse(definition), { validationOptions: { noValidate: true } });
    const alarm: Handler = async (input) => this.#putMetricData(input);
    const alarms = Object.fromEntries(Object.keys(HANDLERS).map((state) => [`${state} Alarm`, alarm]));
    this.#tasks = Object.fromEntries(
      Object.entries({ ...HANDLERS, ...alarms, ...replace }).map(([state, handler]) => [
        state,
        (input) => asLambda(handler, input),
      ]),
    );
  }

  /** Starts one execution and waits until it has ended; a failed execution is an answer, not an exception. */
  async run(name: string, input: ExecutionInput): Promise<Execution> {
    const startedAt = Date.now();
    const run = this.#machine.run(input as unknown as Json, {
      overrides: { taskResourceLocalHandlers: this.#tasks },
      context: { Execution: { Name: name } } as never,
    });
    const path: Visit[] = [];
    const listening = follow(run.eventLogs, path);
    const ending = await run.result.then(
      () => ({ status: 'SUCCEEDED' as const }),
      (error: unknown) => describeEnding(error),
    );
    await listening;
    return { name, startedAt, endedAt: Date.now(), path, ...ending };
  }

  /** The states' own call of CloudWatch: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html */
  #putMetricData(input: unknown): object {
    const { Namespace, MetricData } = input as {
      Namespace: string;
      MetricData: { MetricName: string; Dimensions: { Name: string; Value: string }[] }[];
    };
    for (const { MetricName, Dimensions } of MetricData) {
      const dimensions = Object.fromEntries(Dimensions.map(({ Name, Value }) => [Name, Value]));
      this.metrics.push({ namespace: Namespace, name: MetricName, dimensions, at: Date.now() });
    }
    return {};
  }
}

/** Lambda's own wire: JSON in, JSON out, and an error as its type and the JSON that Step Functions shows as the cause. */
async function asLambda(handler: Handler, input: Json): Promise<Json> {
  try {
    return JSON.parse(JSON.stringify((await handler(JSON.parse(JSON.stringify(input)))) ?? null));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const cause = { errorType: error.name, errorMessage: error.message, trace: [] };
    throw Object.assign(new Error(JSON.stringify(cause)), { name: error.name });
  }
}

function describeEnding(error: unknown): Pick<Execution, 'status' | 'error' | 'cause'> {
  if (error instanceof ExecutionTimeoutError)
    return { status: 'TIMED_OUT', error: 'States.Timeout', cause: '' };
  if (!(error instanceof ExecutionError)) throw error;
  const cause = error.cause as Error & { cause?: string };
  return { status: 'FAILED', error: cause.name, cause: cause.cause ?? cause.message };
}

async function follow(events: ReturnType<StateMachine['run']>['eventLogs'], path: Visit[]): Promise<void> {
  for await (const event of events) {
    if (event.type === 'StateEntered') {
      const { name, type, input } = event.state;
      path.push({ state: name, type, at: event.timestamp, input, retries: 0 });
    }
    if (!('state' in event)) continue;
    const visit = path.findLast((candidate) => candidate.state === event.state.name);
    if (visit === undefined) continue;
    if (event.type === 'StateExited') visit.output = event.state.output;
    if (event.type === 'StateFailed') visit.error = event.Error ?? '';
    if (event.type === 'StateRetried') visit.retries += 1;
  }
}
