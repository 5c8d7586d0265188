/**
 * How many of the running tasks run on no member in service. CircleCI's counts do not say which runner runs a task, so idle
 * members hide tasks that run elsewhere, and others would launch to be idle beside them. They hide nothing as long as more
 * tasks run than members are in service. That is remembered, for as long as none of those tasks can have ended. Pure: its
 * memory is a tag of the group.
 */

import { type PollHistory, settledSurplus } from './claims.ts';

/** What the last poll of an execution has left on record. */
export interface TasksOutside {
  /** How many of the running tasks ran on no member in service. */
  outside: number;
  running: number;
}

/** A single poll may see a task on a member that is not in service yet, or that CircleCI still counts. */
const FEWEST_POLLS = 2;

/** How many tasks are still known to run outside, once `running` tasks run: each that ended may have been one of them. */
export const stillOutside = (before: TasksOutside | undefined, running: number) =>
  before === undefined
    ? 0
    : Math.max(Math.min(before.outside, before.running) - Math.max(before.running - running, 0), 0);

/**
 * What is to be on record after an execution; `undefined` for nothing. A fleet that keeps no runner without a task needs no
 * record: without a task, its members leave.
 *
 * @param before What was on record before it.
 * @param seen What all polls of the execution have seen.
 * @param spare How many runners without a task the fleet keeps.
 * @param polls How many polls the execution made.
 */
export function outsideAfter(
  before: TasksOutside | undefined,
  seen: PollHistory,
  spare: number,
  polls: number,
): TasksOutside | undefined {
  // The record of tasks that are not handed out takes a single poll's word for tasks outside; this one does not.
  const still = Math.min(seen.outside ?? 0, before?.outside ?? 0);
  const outside = Math.max(still, polls >= FEWEST_POLLS ? settledSurplus(seen) : 0);
  return outside > 0 && spare > 0 ? { outside, running: seen.running } : undefined;
}

/** As the tag of the group has it. */
export const formatOutside = ({ outside, running }: TasksOutside) => `${outside} ${running}`;

/** Reads the tag; `undefined` if somebody wrote something else there. */
export function parseOutside(tag: string): TasksOutside | undefined {
  if (!/^\d{1,6} \d{1,6}$/.test(tag)) return undefined;
  const [outside = 0, running = 0] = tag.split(' ').map(Number);
  return { outside, running };
}
