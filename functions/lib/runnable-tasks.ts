/** Which waiting tasks of a fleet need a share of the plan's concurrency. Pure. */

import { type Decision, largestSize, presentIn, type Situation } from './capacity.ts';
import { levelsToWrite } from './concurrency.ts';
import type { Group } from './contracts.ts';
import { isPaused } from './paused.ts';

/**
 * How many of the waiting tasks the fleet has runners for, or may launch them. The other fleets of the plan keep nothing free
 * for the rest, such as tasks beyond `maxReplicas`, of a fleet that drains, or behind an open breaker.
 */
export function runnableTasks(
  situation: Omit<Situation, 'desired' | 'minReplicas' | 'launchProcess'>,
): number {
  const { unclaimed, running, members, otherRunners = 0 } = situation;
  const { launchLimit = Number.POSITIVE_INFINITY, withheldLimit = Number.POSITIVE_INFINITY } = situation;
  const launches = isPaused(situation) ? 0 : Math.min(launchLimit, withheldLimit);
  const present = presentIn(members);
  const size = Math.max(Math.min(present + launches, largestSize(situation)), present);
  const elsewhere = Math.max(running - members.inService, 0);
  const idleElsewhere = Math.max(otherRunners + members.standby - elsewhere, 0);
  return Math.min(unclaimed, size - Math.min(running, members.inService) + idleElsewhere);
}

/** Adds to the last decision of an execution what the other fleets of the plan are to read. */
export function withLevels(
  decision: Decision,
  { levels }: Pick<Group, 'levels'>,
  situation: Situation,
  now: number,
): Decision {
  const written = levelsToWrite(levels, { ...situation, unclaimed: runnableTasks(situation) }, now);
  return written === undefined ? decision : { ...decision, change: true, levels: written };
}
