import { channel } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import type { SecretsProvider } from '@aws-lambda-powertools/parameters/secrets';
import type { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import type { StateMachine } from 'aws-local-stepfunctions';
import { STACK_NAME } from '../fleets/names.ts';
import { handler as computeCapacity } from '../functions/compute-capacity.ts';
import { handler as countRunning } from '../functions/count-running.ts';
import { handler as countUnclaimed } from '../functions/count-unclaimed.ts';
import { handler as describeActivities } from '../functions/describe-activities.ts';
import { handler as describeGroup } from '../functions/describe-group.ts';
import { ownApp } from '../functions/lib/advice.ts';
import type { ExecutionInput } from '../functions/lib/contracts.ts';
import type { LearnedStore } from '../functions/lib/learned-store.ts';
import { metricNamespace } from '../functions/lib/metric-namespace.ts';
import type { Surroundings } from '../functions/lib/step.ts';
import type { ZeroMemory } from '../functions/lib/zero-check.ts';
import { handler as readSettings } from '../functions/read-settings.ts';
import { handler as updateGroup } from '../functions/update-group.ts';
import type { VirtualClock } from './clock.ts';
import { loadEngine } from './engine.ts';
import { KeptMetrics, type MetricLine } from './kept-metrics.ts';
import { throughJson } from './through-json.ts';

type Handler = (input: unknown) => Promise<unknown>;
type Json = Parameters<StateMachine['run']>[0];

/** What the functions call in the sandbox in place of AWS, CircleCI and the machine's clock. */
export interface FunctionsWorld extends Surroundings {
  autoScaling: AutoScalingClient;
  secrets: SecretsProvider;
  fetch: typeof fetch;
  timeout: (milliseconds: number) => AbortSignal;
  memory: ZeroMemory;
  learned: LearnedStore;
  metrics: KeptMetrics;
}

/** A log that drops everything. */
export const SILENT: Surroundings['log'] = {
  debug: () => undefined,
  error: () => undefined,
  info: () => undefined,
};

/** A handler in place of a real one. It can call the real one. */
export type Replacement = (input: unknown, real: Handler) => Promise<unknown>;

/** The real definition, and the function of each of its Task states. */
export const DEFINITION = new URL('../statemachine/autoscale.asl.json', import.meta.url);

export const HANDLERS: Record<string, { with: (world: FunctionsWorld) => Handler }> = {
  'Read Settings': readSettings,
  'Describe Activities': describeActivities,
  'Count Unclaimed': countUnclaimed,
  'Count Running': countRunning,
  'Describe Group': describeGroup,
  'Compute Capacity': computeCapacity,
  'Update Group': updateGroup,
};

/** The stack's topic, and a fleet's own. */
export const STACK_TOPIC = 'arn:aws:sns:eu-west-1:000000000000:alarms';
export const FLEET_TOPIC = 'arn:aws:sns:eu-west-1:000000000000:fleet-alarms';

/** A state in an execution's path, as the Step Functions console lists it. */
export interface Visit {
  state: string;
  type: string;
  /** Milliseconds since the epoch. */
  at: number;
  input: unknown;
  output?: unknown;
  /** Of a Task state: the parameters and the answer of the last attempt. */
  parameters?: unknown;
  answer?: unknown;
  /** The error of the last attempt, if it failed. */
  error?: string;
  retries: number;
}

/** One attempt of a Task state. */
type Call = Pick<Visit, 'parameters' | 'answer'>;

export interface EndedExecution {
  name: string;
  status: 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT';
  startedAt: number;
  endedAt: number;
  error?: string;
  cause?: string;
  path: Visit[];
}

/** A metric that the workflow put, or that a function published in its log. */
export interface Metric {
  namespace: string;
  name: string;
  dimensions: Record<string, string>;
  value: number;
  at: number;
}

/** A message that the workflow sent to a topic. */
export interface Message {
  topicArn: string;
  subject: string;
  message: string;
  at: number;
}

export interface WorkflowOptions {
  clock: VirtualClock;
  /** Draws the jitter of retries: at least 0 and less than 1. */
  random: () => number;
  /** What the functions call. The workflow itself keeps their metrics. */
  functions: Omit<FunctionsWorld, 'metrics' | 'advised'>;
  /** Handlers in place of the real ones, by state name: for faults around a function. */
  replace?: Record<string, Replacement> | undefined;
  /** Whether each fleet waits for its own second. Without, all fleets poll from the start of their executions. */
  spread: boolean;
}

/** The states of the definition in which a fleet waits for its own second, without the wait. */
const NO_SPREAD = Object.fromEntries(
  ['Wait 1 Second', 'Wait 2 Seconds', 'Wait 3 Seconds', 'Wait 4 Seconds'].map((state) => [state, 0]),
);

/** The channel of `node:diagnostics_channel` that has each request of a state to AWS: service, operation and input. */
export const WORKFLOW_REQUESTS = 'circleci-runners:workflow-requests';
const requests = channel(WORKFLOW_REQUESTS);

/** Runs `statemachine/autoscale.asl.json` on a virtual clock, with the real functions behind its Task states. */
export class Workflow {
  /** The metrics of the workflow's own states and of the functions, in the order of time. */
  readonly metrics: Metric[] = [];
  readonly messages: Message[] = [];
  /** Called before each call of a Task state's resource; `undefined` means no fault. */
  fault: (state: string) => Error | 'hang' | undefined = () => undefined;
  /** The length of all log lines in which the functions published metrics. */
  publishedBytes = 0;
  readonly #clock: VirtualClock;
  readonly #engine: ReturnType<typeof loadEngine>;
  readonly #machine: StateMachine;
  readonly #tasks: Record<string, Handler>;
  readonly #waits: Record<string, number>;

  constructor({ clock, random, functions, replace = {}, spread }: WorkflowOptions) {
    this.#clock = clock;
    this.#waits = spread ? {} : NO_SPREAD;
    this.#engine = loadEngine({ ...clock, random });
    const arn = 'arn:aws:lambda:eu-west-1:000000000000:function:$1';
    const definition = readFileSync(DEFINITION, 'utf8')
      .replaceAll(/\$\{(\w+)FunctionArn\}/g, arn)
      .replaceAll(/\$\{SnsPublishArn\}/g, 'arn:aws:states:::sns:publish')
      .replaceAll(/\$\{CloudWatchPutMetricDataArn\}/g, 'arn:aws:states:::aws-sdk:cloudwatch:putMetricData')
      .replaceAll(/\$\{AlarmTopicArn\}/g, STACK_TOPIC)
      .replaceAll(/\$\{StackName\}/g, STACK_NAME)
      .replaceAll(/\$\{MetricNamespace\}/g, metricNamespace(STACK_NAME));
    // A test validates the definition. Doing it here would take 0.1 s each time.
    const validationOptions = { noValidate: true };
    this.#machine = new this.#engine.StateMachine(JSON.parse(definition), { validationOptions });
    const metrics = new KeptMetrics(functions.now, (line) => this.#keep(line));
    const world = { ...functions, metrics, advised: ownApp({}) };
    const tasks: Record<string, Handler> = {
      'Count Failure': async (input) => this.#putMetricData(input),
      'Count Outage': async (input) => this.#putMetricData(input),
      'Announce Failure': async (input) => this.#publish(input),
      'Announce Breaker': async (input) => this.#publish(input),
    };
    for (const [state, step] of Object.entries(HANDLERS)) tasks[state] = step.with(world);
    for (const [state, replacement] of Object.entries(replace)) {
      const real = tasks[state] ?? unknownState(state);
      tasks[state] = (input) => replacement(input, real);
    }
    this.#tasks = tasks;
  }

  /** The resources of the Task states for one execution. Each call is recorded with its parameters and answer. */
  #calling(calls: Map<string, Call[]>): Record<string, (input: Json) => Promise<Json>> {
    return Object.fromEntries(
      Object.entries(this.#tasks).map(([state, handler]) => [
        state,
        async (parameters: Json) => {
          const call: Call = { parameters };
          calls.set(state, [...(calls.get(state) ?? []), call]);
          const fault = this.fault(state);
          if (fault === 'hang') return new Promise<never>(() => {});
          const answer = await asLambda(fault ? () => Promise.reject(fault) : handler, parameters);
          call.answer = answer;
          return answer;
        },
      ]),
    );
  }

  /** Starts one execution and waits until it has ended. A failed execution is a result, not an exception. */
  async run(name: string, input: ExecutionInput): Promise<EndedExecution> {
    const startedAt = this.#clock.now();
    const path: Visit[] = [];
    const calls = new Map<string, Call[]>();
    const run = this.#machine.run(input as unknown as Json, {
      overrides: { taskResourceLocalHandlers: this.#calling(calls), waitTimeOverrides: this.#waits },
      context: { Execution: { Name: name, Input: input } } as never,
    });
    const listening = follow(run.eventLogs, path);
    const ending = await run.result.then(
      () => ({ status: 'SUCCEEDED' as const }),
      (error: unknown) => this.#describeEnding(error),
    );
    await listening;
    // The engine reports its states later than it calls their functions, so the two are joined at the end.
    for (const visit of path) {
      const attempts = calls.get(visit.state)?.splice(0, visit.retries + 1) ?? [];
      Object.assign(visit, attempts.at(-1));
    }
    return { name, startedAt, endedAt: this.#clock.now(), path, ...ending };
  }

  #describeEnding(error: unknown): Pick<EndedExecution, 'status' | 'error' | 'cause'> {
    const { ExecutionError, ExecutionTimeoutError } = this.#engine;
    if (error instanceof ExecutionTimeoutError)
      return { status: 'TIMED_OUT', error: 'States.Timeout', cause: '' };
    if (!(error instanceof ExecutionError)) throw error;
    const cause = error.cause as Error & { cause?: string };
    return { status: 'FAILED', error: cause.name, cause: cause.cause ?? cause.message };
  }

  /** Records what a function published, as CloudWatch reads it from the log. */
  #keep(line: MetricLine): void {
    const { _aws, ...values } = line;
    this.publishedBytes += Buffer.byteLength(JSON.stringify(line));
    for (const { Namespace, Dimensions, Metrics } of _aws.CloudWatchMetrics) {
      const [names = []] = Dimensions;
      const dimensions = Object.fromEntries(names.map((name) => [name, String(values[name])]));
      for (const { Name } of Metrics) {
        this.metrics.push({
          namespace: Namespace,
          name: Name,
          dimensions,
          value: Number(values[Name]),
          at: _aws.Timestamp,
        });
      }
    }
  }

  /** The call of CloudWatch by the state itself: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html */
  #putMetricData(input: unknown): object {
    requests.publish({ service: 'monitoring', operation: 'PutMetricData', input });
    const { Namespace, MetricData } = input as {
      Namespace: string;
      MetricData: { MetricName: string; Value: number; Dimensions: { Name: string; Value: string }[] }[];
    };
    for (const { MetricName, Value, Dimensions } of MetricData) {
      const dimensions = Object.fromEntries(Dimensions.map(({ Name, Value }) => [Name, Value]));
      this.metrics.push({
        namespace: Namespace,
        name: MetricName,
        dimensions,
        value: Value,
        at: this.#clock.now(),
      });
    }
    return {};
  }

  /** https://docs.aws.amazon.com/sns/latest/api/API_Publish.html */
  #publish(input: unknown): object {
    requests.publish({ service: 'sns', operation: 'Publish', input });
    const { TopicArn, Subject, Message } = input as { TopicArn: string; Subject: string; Message: string };
    this.messages.push({ topicArn: TopicArn, subject: Subject, message: Message, at: this.#clock.now() });
    return { MessageId: String(this.messages.length) };
  }
}

/** As Lambda: JSON in and out, and an error as its type and the JSON that Step Functions shows as the cause. */
async function asLambda(handler: Handler, input: Json): Promise<Json> {
  try {
    return throughJson((await handler(throughJson(input))) ?? null) as Json;
  } catch (error) {
    // Lambda's own errors about an invocation have plain text.
    if (!(error instanceof Error) || error.name.startsWith('Lambda.')) throw error;
    const cause = { errorType: error.name, errorMessage: error.message, trace: [] };
    throw Object.assign(new Error(JSON.stringify(cause)), { name: error.name });
  }
}

function unknownState(state: string): never {
  throw new Error(`The definition has no Task state ${state}`);
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
