import * as z from 'zod';
import { at, type Machine, type State, state, successors, type Task } from './definition.ts';

/** What the timeouts of a definition depend on: the state data, as far as the walk has come. */
export type Data = Record<string, unknown>;

export function attempts(task: Task): number {
  return task.Retry.reduce((sum, { MaxAttempts }) => sum + MaxAttempts, 1);
}

/** The longest that a task waits between its attempts; jitter only ever shortens that. */
export function delays(task: Task): number {
  return task.Retry.reduce((sum, { IntervalSeconds, BackoffRate, MaxAttempts, MaxDelaySeconds }) => {
    const waits = Array.from({ length: MaxAttempts }, (_, retry) => IntervalSeconds * BackoffRate ** retry);
    return sum + waits.reduce((total, wait) => total + Math.min(wait, MaxDelaySeconds ?? wait), 0);
  }, 0);
}

const Seconds = z.number();
const WholeSeconds = z.int().min(1);

export function timeout(task: Task, data: Data): number {
  return task.TimeoutSecondsPath === undefined
    ? Seconds.parse(task.TimeoutSeconds)
    : WholeSeconds.parse(at(data, task.TimeoutSecondsPath));
}

/** The longest that a state takes, whether or not it succeeds in the end; not what its failure leads to. */
export function longest(each: State, data: Data): number {
  if (each.Type === 'Task') return attempts(each) * timeout(each, data) + delays(each);
  if (each.Type !== 'Parallel') return 0;
  const chain = (branch: Machine, name: string): number => {
    const step = state(branch, name);
    const next = 'Next' in step && step.Next !== undefined ? chain(branch, step.Next) : 0;
    return longest(step, data) + next;
  };
  return Math.max(...each.Branches.map((branch) => chain(branch, branch.StartAt)));
}

/**
 * The longest from the moment at which a state has failed for good until its machine has ended; 0 if the machine
 * goes on as if it had succeeded.
 */
export function failing(machine: Machine, each: State, data: Data): number {
  const ending = (name: string): number => {
    const next = state(machine, name);
    return longest(next, data) + Math.max(0, ...successors(next).map(ending));
  };
  const inside =
    each.Type === 'Parallel'
      ? each.Branches.flatMap((branch) =>
          Object.values(branch.States).map((step) => failing(branch, step, data)),
        )
      : [];
  const caught =
    'Catch' in each
      ? each.Catch.filter(({ Next }) => Next !== each.Next).map(({ Next }) => ending(Next))
      : [];
  return Math.max(0, ...inside) + Math.max(0, ...caught);
}
