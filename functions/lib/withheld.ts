/**
 * Whether CircleCI hands out as many tasks as runners could run. If tasks wait while runners are idle, it does not: the
 * plan's concurrency may be used up, the class paused, or the runner token of another class. More instances would change
 * nothing. So the fleet keeps as many members as tasks ran while runners were idle, the level, and launches one canary
 * at a time beyond it. Pure: its memory is a tag of the group.
 */

import type { PollHistory } from './claims.ts';

/** What happened since runners were found idle while tasks waited. Since then, no more tasks ran than the level. */
export interface Withheld {
  /** Since when, in seconds since the epoch. */
  since: number;
  /** Launches that came into service while runners were idle. */
  unused: number;
  /** Launches of these that were canaries. */
  canaries: number;
  /** When the last of them was counted, in seconds since the epoch. */
  lastAt: number;
  /** Counts of the last poll. */
  unclaimed: number;
  running: number;
  /** The most tasks that ran while runners were idle. CircleCI lets no more run. */
  level: number;
  /** Launches that the last execution found in service, unless they are counted. */
  came: number;
}

const FIRST_CANARY_SECONDS = 120;
const LAST_CANARY_SECONDS = 1_800;

/** The clocks of functions may differ by this, in seconds. */
const CLOCKS_DIFFER = 60;

/** Whether somebody else wrote the record. From the future, it would keep all canaries from launching. */
const isForged = ({ since, lastAt }: Withheld, now: number) =>
  Math.max(since, lastAt) > now / 1_000 + CLOCKS_DIFFER;

/** What the polls have seen before the first one of an execution: the counts of the last execution, if they are on record. */
export const seenBefore = (withheld: Withheld | undefined): PollHistory | undefined =>
  withheld && {
    unclaimed: withheld.unclaimed,
    running: withheld.running,
    claimed: 0,
    waiting: true,
    idle: true,
    idlePolls: 0,
    mostRunning: 0,
    // Nothing is on record of it, so the polls of this execution decide.
    elsewhere: Number.POSITIVE_INFINITY,
  };

/**
 * How many launches are allowed while tasks are withheld: as many as the level lacks members, and one more if a canary
 * is due and no runner is idle. `undefined` if tasks are not withheld: any number.
 *
 * @param withheld As the execution before left it.
 * @param seen What the polls of this execution have seen, this one included.
 * @param failures How many launches may come to nothing before.
 * @param now Milliseconds since the epoch.
 */
export function withheldLimit(
  withheld: Withheld | undefined,
  seen: PollHistory,
  { pending, inService }: { pending: number; inService: number },
  failures: number,
  now: number,
): number | undefined {
  if (withheld === undefined || withheld.unused < failures || isForged(withheld, now)) return undefined;
  if (seen.unclaimed === 0 || isLifted(withheld, seen)) return undefined;
  // A runner that is idle is as good as a canary.
  const due = now / 1_000 >= withheld.lastAt + restOf(withheld) && inService <= seen.running;
  return Math.max(withheld.level + Number(due) - pending - inService, 0);
}

const restOf = ({ canaries }: Withheld) =>
  Math.min(FIRST_CANARY_SECONDS * 2 ** canaries, LAST_CANARY_SECONDS);

/** Whether more tasks run than the level. A short task may begin and end between two polls. */
const isLifted = ({ level }: Withheld, { claimed, mostRunning }: PollHistory) =>
  mostRunning > level || (level === 0 && claimed > 0);

/**
 * How many runners found no task in an execution in which tasks waited. A member is also idle for some seconds before its
 * first task, and after its last one until it has left. So while tasks run, idle runners count only if they are more than
 * half of the members that came or left: each of these is idle for less than half of the execution.
 */
function idleRunners({ idlers = 0, claimed, mostRunning, running }: PollHistory, came: number): number {
  // All that came are idle, or have left.
  if (mostRunning === 0 && claimed === 0) return Math.max(idlers, came);
  return 2 * idlers > came + mostRunning - running ? idlers : 0;
}

/**
 * What is on record after an execution. It begins when tasks waited at every poll of an execution and runners were idle,
 * at two or more polls. From then on, launches count that came into service since the execution before the last one, up to
 * the number of idle runners. The record ends when no task waits, and when more tasks run than the level.
 *
 * @param seen What all polls of the execution have seen.
 * @param present Members that launch or are in service, at the last poll.
 * @param came Launches that came into service since the last execution.
 * @param now Milliseconds since the epoch.
 */
export function withheldAfter(
  before: Withheld | undefined,
  seen: PollHistory,
  present: number,
  came: number,
  failures: number,
  now: number,
): Withheld | undefined {
  if (!seen.waiting) return undefined;
  const at = Math.floor(now / 1_000);
  const { unclaimed, running, mostRunning } = seen;
  const idle = idleRunners(seen, came);
  if (before === undefined || isForged(before, now)) {
    // One poll may see a runner that is about to claim.
    if (seen.idlePolls < 2 || idle === 0) return undefined;
    return { since: at, unused: 0, canaries: 0, lastAt: at, unclaimed, running, level: mostRunning, came: 0 };
  }
  if (isLifted(before, seen)) return undefined;
  const unused = Math.min(before.came + came, idle);
  const inForce = before.unused >= failures;
  return {
    since: before.since,
    unused: before.unused + unused,
    canaries: before.canaries + (inForce ? unused : 0),
    lastAt: unused > 0 ? at : before.lastAt,
    unclaimed,
    running,
    level:
      idle > 0 && seen.idle ? mostRunning : before.level + Number(inForce && isTooLow(before, seen, present)),
    came: idle > 0 ? 0 : came,
  };
}

/**
 * Whether a canary is there and fewer tasks run than the level, with no runner idle. So tasks end before the instances
 * of other members have booted, and more members than the level are needed to run as many.
 */
const isTooLow = ({ level }: Withheld, { mostRunning }: PollHistory, present: number) =>
  mostRunning < level && present > level;

/** As the tag of the group has it; AWS allows few characters in tags. */
export const formatWithheld = (withheld: Withheld) =>
  [
    withheld.since,
    withheld.unused,
    withheld.canaries,
    withheld.lastAt,
    withheld.unclaimed,
    withheld.running,
    withheld.level,
    withheld.came,
  ].join(' ');

/** Reads the tag; `undefined` if somebody wrote something else there, or an older version fewer numbers. */
export function parseWithheld(tag: string): Withheld | undefined {
  if (!/^\d{1,12}( \d{1,12}){7}$/.test(tag)) return undefined;
  const [since = 0, unused = 0, canaries = 0, lastAt = 0, unclaimed = 0, running = 0, level = 0, came = 0] =
    tag.split(' ').map(Number);
  return { since, unused, canaries, lastAt, unclaimed, running, level, came };
}
