import { type FleetWorld, Sandbox, type SandboxFleet, type SandboxOptions } from '../../sandbox/sandbox.ts';
import type { TaskQueue } from '../../sandbox/task-queue.ts';
import type { EndedExecution, Metric, Visit } from '../../sandbox/workflow.ts';
import { FAILURES } from '../../statemachine/failures.ts';

/** A fleet as the tests have it unless they say otherwise. */
export const LINUX: SandboxFleet = {
  name: 'linux',
  resourceClass: 'acme/linux',
  minReplicas: 0,
  maxReplicas: 10,
  pollIntervalSeconds: 5,
};

export const openSandbox = (options: SandboxOptions = {}): Promise<Sandbox> => Sandbox.open(options);

/** A burst: `number` jobs that are queued at the same time. */
export const jobs = (number: number, durationSeconds = 600, queuedAt = 0) =>
  Array.from({ length: number }, () => ({ queuedAt, durationSeconds }));

/** Opens a sandbox with one fleet and this many jobs in its queue. */
export async function oneFleet(
  options: SandboxOptions & { fleet?: Partial<SandboxFleet>; queued?: number } = {},
): Promise<{ sandbox: Sandbox; world: FleetWorld; execute: () => Promise<EndedExecution> }> {
  const { fleet, queued = 0, ...rest } = options;
  const sandbox = await openSandbox(rest);
  const world = sandbox.addFleet({ ...LINUX, ...fleet }, jobs(queued));
  sandbox.catchUp();
  return { sandbox, world, execute: () => sandbox.execute(world.name) };
}

/** What CircleCI would count, and how many tasks have ended. */
export const counts = ({ unclaimed, running, ended }: TaskQueue) => ({ unclaimed, running, ended });

export const visits = (execution: EndedExecution, state: string): Visit[] =>
  execution.path.filter((visit) => visit.state === state);

/** When an execution's polls began, in whole seconds into it. */
export const polledAt = (execution: EndedExecution): number[] =>
  visits(execution, 'Observe').map(({ at }) => Math.floor((at - execution.startedAt) / 1_000));

export const secondsTaken = ({ startedAt, endedAt }: EndedExecution): number => (endedAt - startedAt) / 1_000;

/** Retries of all steps of an execution. */
export const retriesOf = ({ path }: EndedExecution): number =>
  path.reduce((sum, { retries }) => sum + retries, 0);

/** The failures that were counted, of what the steps measure nothing. */
export const failuresIn = (metrics: Metric[]) =>
  metrics.filter(({ name }) => name in FAILURES).map(({ at: _, ...metric }) => metric);

/** What is counted of an execution that failed in a step. */
export const counted = (failure: string, step: string, fleet = 'linux') =>
  [{ Fleet: fleet }, { Fleet: fleet, Step: step }].map((dimensions) => ({
    namespace: 'CircleCIRunnerAutoscaler/circleci-runners',
    name: failure,
    dimensions,
    value: 1,
  }));

/** Where docs/operations.md describes a failure, by its state. */
export const seeOperations = (state: string) =>
  ` See docs/operations.md#${state.toLowerCase().replaceAll(' ', '-')}`;
