import { createHash } from 'node:crypto';
import { LIMITS } from '../functions/lib/pacing.ts';

/** What decides when a fleet runs its functions. */
export interface Polling {
  name: string;
  /** In seconds. */
  pollInterval: number;
}

/** Count Unclaimed, Count Running and Describe Group run at the same time. */
const FUNCTIONS_AT_ONCE = 3;

/**
 * The second after the start of its executions in which a fleet's first function runs. The workflow computes the same
 * from the input of the execution, before it has read anything: see "Own Second?" in autoscale.asl.json.
 */
export function firstSecond(fleet: string): number {
  const fifths = ['33333333', '66666666', '99999999', 'cccccccc'];
  const hash = createHash('sha256').update(JSON.stringify({ fleet })).digest('hex');
  return fifths.filter((end) => hash >= end).length;
}

/**
 * The second after the start of its executions from which each fleet polls. Schedules that were deployed together start in
 * the same second. Each fleet takes, from its first second on, the one in which those before it in the file run the fewest
 * functions. So another fleet at the end of the file changes nothing for them. The gaps between the polls of a fleet stay
 * the same, so no job waits longer. A fleet waits only as long as it must: Step Functions bills it.
 */
export const spreadOf = (fleets: readonly Polling[]): Map<string, number> => spread(fleets).seconds;

/** How many functions the fleets run in the same second at most, if their schedules start in the same second. */
export const functionsAtOnce = (fleets: readonly Polling[]): number =>
  Math.max(0, ...spread(fleets).busy.values());

function spread(fleets: readonly Polling[]): { seconds: Map<string, number>; busy: Map<number, number> } {
  const { secondOf, busy } = spreading();
  return { seconds: new Map(fleets.map((fleet) => [fleet.name, secondOf(fleet)])), busy };
}

/** The same for fleets that come one after the other: `secondOf` gives the second of the next one. */
export function spreading(): { secondOf: (fleet: Polling) => number; busy: Map<number, number> } {
  const busy = new Map<number, number>();
  const functionsIn = (second: number) => busy.get(second) ?? 0;
  const secondOf = ({ name, pollInterval }: Polling): number => {
    const first = firstSecond(name);
    const last = Math.min(LIMITS.spreadSeconds, first + pollInterval - 1);
    let best = { from: first, most: Number.POSITIVE_INFINITY };
    for (let from = first; from <= last; from += 1) {
      const most = Math.max(...pollsFrom(from, pollInterval).map(functionsIn));
      if (most < best.most) best = { from, most };
    }
    if (best.from > first) busy.set(first, functionsIn(first) + 1);
    for (const at of pollsFrom(best.from, pollInterval)) busy.set(at, functionsIn(at) + FUNCTIONS_AT_ONCE);
    return best.from;
  };
  return { secondOf, busy };
}

/** The seconds in which a fleet polls. */
function pollsFrom(from: number, pollInterval: number): number[] {
  const seconds: number[] = [];
  for (let at = 0; at <= LIMITS.lastPollSeconds; at += pollInterval) seconds.push(from + at);
  return seconds;
}
