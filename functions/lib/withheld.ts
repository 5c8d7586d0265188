/**
 * Whether CircleCI hands out as many tasks as runners could run. If tasks wait while runners are idle, it does not: the
 * plan's concurrency may be used up, the class paused, or the runner token of another class. More instances would change
 * nothing. So the fleet keeps as many members as tasks ran while runners were idle, the level, and launches one canary
 * at a time beyond it. Pure: its memory is a tag of the group.
 */

import { type PollHistory, ranNothing } from './claims.ts';

/** What happened since runners may have been idle while tasks waited. Since then, no more tasks ran than the level. */
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
  /** The most tasks that ran while runners were idle, those outside included. CircleCI lets no more run. */
  level: number;
  /** Launches that the last execution found in service, unless they are counted. */
  came: number;
  /** How many of the running tasks run on no member in service; explained in claims.ts. */
  outside: number;
  /** Tasks that were claimed in the last execution. */
  claimed: number;
  /** When a claim was last seen, or the record began, in seconds since the epoch. */
  claimedAt: number;
  /** At how many polls of the last execution runners were idle. */
  idlePolls: number;
  /** How many instances were idle at the last poll; not there if none was in service. */
  idlersNow?: number | undefined;
}

const FIRST_CANARY_SECONDS = 120;
const LAST_CANARY_SECONDS = 1_800;

/** After this time without a claim, in seconds, launches that came into service were not for the tasks that wait. */
const CLAIMLESS_SECONDS = 180;
/** The same while tasks run outside the group. */
const LONG_CLAIMLESS_SECONDS = 600;

/** The clocks of functions may differ by this, in seconds. */
const CLOCKS_DIFFER = 60;

/**
 * Whether somebody else wrote the record. From the future, it would keep all canaries from launching, or keep launches
 * that find no task from being counted.
 */
const isForged = ({ since, lastAt, claimedAt }: Withheld, now: number) =>
  Math.max(since, lastAt, claimedAt) > now / 1_000 + CLOCKS_DIFFER;

/**
 * What the polls have seen before the first one of an execution: the last poll of the last execution, if it is on record.
 * So an execution with a single poll sees claims, and runners that stay idle, as well as one with many.
 */
export const seenBefore = (withheld: Withheld | undefined): PollHistory | undefined =>
  withheld && {
    unclaimed: withheld.unclaimed,
    running: withheld.running,
    claimed: 0,
    waiting: true,
    idle: true,
    idlePolls: Number((withheld.idlersNow ?? 0) > 0),
    ...(withheld.idlersNow !== undefined && { idlers: withheld.idlersNow }),
    mostRunning: 0,
    outside: withheld.outside,
    // Nothing is on record of these, so the polls of this execution decide.
    surplus: Number.POSITIVE_INFINITY,
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
  const { running, outside = 0 } = seen;
  // A runner that is idle is as good as a canary.
  const due = now / 1_000 >= withheld.lastAt + restOf(withheld) && inService + outside <= running;
  return Math.max(Math.max(withheld.level - outside, 0) + Number(due) - pending - inService, 0);
}

const restOf = ({ canaries }: Withheld) =>
  Math.min(FIRST_CANARY_SECONDS * 2 ** canaries, LAST_CANARY_SECONDS);

/** Whether more tasks run than the level. A short task may begin and end between two polls. */
const isLifted = ({ level }: Withheld, { claimed, mostRunning }: PollHistory) =>
  mostRunning > level || (level === 0 && claimed > 0);

/** For how long no claim was seen, in seconds. */
const secondsWithoutClaim = ({ claimedAt }: Withheld, { claimed }: PollHistory, at: number) =>
  claimed > 0 ? 0 : at - claimedAt;

/**
 * How many runners found no task in an execution in which tasks waited. A member is also idle for some seconds before its
 * first task, and after its last one until it has left. So idle runners count only if they are more than half of the
 * members that came or left, at two polls or more: each of these is idle for less than half of the execution. If no claim
 * was seen for a while, all launches that came meanwhile are idle, or have left.
 */
function idleRunners(
  before: Withheld,
  seen: PollHistory,
  { came, polls }: Pick<Execution, 'came' | 'polls'>,
  at: number,
): number {
  const { idlers = 0, idlePolls, mostRunning, running, outside = 0 } = seen;
  // Between two polls, an end and an arrival can hide a claim, so there must be a sign of idle runners as well: idle ones
  // that were seen, or no running task although runners came, which may have left before a poll. Tasks that
  // run outside hide such signs. Then more polls without a claim must do.
  const signs = before.idlePolls + idlePolls >= 2 || ranNothing(seen, polls);
  const claimless = secondsWithoutClaim(before, seen, at);
  if (signs ? claimless >= CLAIMLESS_SECONDS : outside > 0 && claimless >= LONG_CLAIMLESS_SECONDS)
    return Math.max(idlers, came);
  return idlePolls >= 2 && 2 * idlers > came + mostRunning - running ? idlers : 0;
}

/** What an execution knows of the group. */
interface Execution {
  /** Members that launch or are in service, at the last poll. */
  present: number;
  /** Launches that came into service since the last execution. */
  came: number;
  /** How many polls it made. */
  polls: number;
}

/**
 * What is on record after an execution. A record begins when tasks waited at every poll of an execution and a runner was
 * idle, or tasks run outside the group and could hide an idle one, or runners came and nothing ran. It limits nothing yet. From then on, launches count that
 * came into service since the execution before the last one and cannot have claimed a task, up to the number of idle
 * runners. The record ends when no task waits, and when more tasks run than the level.
 *
 * @param seen What all polls of the execution have seen.
 * @param now Milliseconds since the epoch.
 */
export function withheldAfter(
  before: Withheld | undefined,
  seen: PollHistory,
  { present, came, polls }: Execution,
  failures: number,
  now: number,
): Withheld | undefined {
  if (!seen.waiting) return undefined;
  const at = Math.floor(now / 1_000);
  const { unclaimed, running, mostRunning, idlePolls, idlersNow, surplus = 0, claimed } = seen;
  const outside = Math.max(seen.outside ?? 0, surplus);
  const isNew = before === undefined || isForged(before, now);
  const claimedAt = isNew || claimed > 0 ? at : before.claimedAt;
  const last = { unclaimed, running, outside, claimed, claimedAt, idlePolls, idlersNow };
  const begun = { since: at, unused: 0, canaries: 0, lastAt: at, level: mostRunning, came, ...last };
  if (isNew) {
    const cameForNothing = came > 0 && ranNothing(seen, polls);
    return idlePolls >= 2 || (idlersNow ?? 0) > 0 || outside > 0 || cameForNothing ? begun : undefined;
  }
  if (isLifted(before, seen)) return outside > 0 ? begun : undefined;
  const idle = idleRunners(before, seen, { came, polls }, at);
  const inForce = before.unused >= failures;
  const useful = inForce ? 0 : before.claimed + claimed;
  const unused = Math.min(Math.max(before.came + came - useful, 0), idle);
  const isIdle =
    (idle > 0 && seen.idle) || (unused > 0 && secondsWithoutClaim(before, seen, at) >= CLAIMLESS_SECONDS);
  return {
    since: before.since,
    unused: Math.min(before.unused + unused, MOST_COUNTED),
    canaries: Math.min(before.canaries + (inForce ? unused : 0), MOST_COUNTED),
    lastAt: unused > 0 ? at : before.lastAt,
    level: isIdle ? mostRunning : before.level + Number(inForce && isTooLow(before, seen, present)),
    came: idle > 0 ? 0 : came,
    ...last,
  };
}

/**
 * Whether a canary is there, tasks are claimed, and fewer run than the level, with no runner idle. So tasks end before the instances
 * of other members have booted, and more members than the level are needed to run as many.
 */
const isTooLow = ({ level }: Withheld, { claimed, mostRunning, outside = 0 }: PollHistory, present: number) =>
  claimed > 0 && mostRunning < level && present > level - outside;

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
    withheld.outside,
    withheld.claimed,
    withheld.claimedAt,
    withheld.idlePolls,
    ...(withheld.idlersNow === undefined ? [] : [withheld.idlersNow]),
  ].join(' ');

/** The steps refuse larger counts in their input, see `Count` in contracts.ts. */
const MOST_COUNTED = 1_000_000;

/**
 * Reads the tag; `undefined` if somebody wrote something else there, or an older version fewer numbers. More tasks outside
 * than tasks that run would keep all canaries from launching.
 */
export function parseWithheld(tag: string): Withheld | undefined {
  if (!/^\d{1,12}( \d{1,12}){11,12}$/.test(tag)) return undefined;
  const [since = 0, unused = 0, canaries = 0, lastAt = 0, unclaimed = 0, running = 0, ...others] = tag
    .split(' ')
    .map(Number);
  const [level = 0, came = 0, outside = 0, claimed = 0, claimedAt = 0, idlePolls = 0, idlersNow] = others;
  const counts = { unused, canaries, unclaimed, running, level, came, outside, claimed, idlePolls };
  if (Math.max(...Object.values(counts), idlersNow ?? 0) > MOST_COUNTED || outside > running)
    return undefined;
  return { since, lastAt, claimedAt, ...counts, ...(idlersNow !== undefined && { idlersNow }) };
}
