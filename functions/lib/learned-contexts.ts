/** What a fleet with `spareRunners: auto` has learned, for those who read it. Pure. */

import { leadTime, type Memory, SILENCES, STEPS, sum } from './spare-runners.ts';

/** What has followed in the times of a context. */
export interface LearnedContext {
  /** Tasks in the lead time before, or for how long there was none, in seconds. */
  before:
    | { tasks: readonly [least: number, most: number] }
    | { silence: readonly [from: number, to: number] };
  /** How often it was seen. What is older counts for less. */
  times: number;
  /** In how many of these times at least this number of tasks came within the lead time; the largest number comes last. */
  atLeast: readonly (readonly [tasks: number, times: number])[];
}

/** What a fleet has learned, context by context: the busiest first. */
export function learnedContexts(memory: Memory): { leadSeconds: number; contexts: LearnedContext[] } {
  const leadSeconds = leadTime(memory);
  const contexts = Object.entries(memory.seen).map(([name, seen]) => {
    const number = Number(name.slice(1));
    const edge = (index: number) =>
      leadSeconds * (index < 0 ? 1 : (SILENCES[index] ?? Number.POSITIVE_INFINITY));
    const before: LearnedContext['before'] = name.startsWith('a')
      ? { tasks: [2 ** (number - 1), 2 ** number - 1] }
      : { silence: [edge(number - 1), edge(number)] };
    const atLeast = seen.flatMap((times, step): [number, number][] =>
      step === 0 || times === 0 ? [] : [[STEPS[step] ?? 0, sum(seen.slice(step))]],
    );
    return { name, before, times: sum(seen), atLeast };
  });
  const rank = (name: string) => (name.startsWith('a') ? -1 : 1) * Number(name.slice(1));
  return {
    leadSeconds,
    contexts: contexts
      .toSorted((a, b) => rank(a.name) - rank(b.name))
      .map(({ name: _, ...context }) => context),
  };
}
