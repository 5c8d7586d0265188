/**
 * Whether waiting tasks are being claimed, told from the counts of one execution's polls. Pure.
 *
 * Between two polls `c` tasks are claimed, `a` arrive and `e` end: unclaimed tasks change by `a - c`, running
 * ones by `c - e`. So at least the fall of the one, or the rise of the other, was claimed. That misses a claim
 * only if, within the same few seconds, another task ended and another one arrived.
 */

/** What the polls of an execution have seen so far. */
export interface PollHistory {
  /** Counts of the last poll. */
  unclaimed: number;
  running: number;
  /** Tasks that were claimed from poll to poll. */
  claimed: number;
  /** Whether tasks waited at every poll that a runner may claim. */
  waiting: boolean;
  /** Whether more instances were in service at every poll than tasks running, so that some did nothing. */
  idle: boolean;
  /** At how many polls that was so. */
  idlePolls: number;
  /** The fewest idle instances at a poll; only polls with instances in service count. Not there without such a poll. */
  idlers?: number | undefined;
  /** The most running tasks at a poll. */
  mostRunning: number;
  /** How many tasks at least ran on no member of the group at every poll; not there if at any poll there was none. */
  elsewhere?: number | undefined;
}

/**
 * Adds a poll's counts to what was seen before; `undefined` before the first poll.
 *
 * @param members How many tasks can run on members of the group in any state, or on other runners that are known;
 *   without it, any number.
 * @returns What is seen now, and how many tasks were claimed since the poll before.
 */
export function addPoll(
  before: PollHistory | undefined,
  {
    unclaimed,
    running,
    inService,
    concurrency = Number.POSITIVE_INFINITY,
    members = Number.POSITIVE_INFINITY,
  }: Pick<PollHistory, 'unclaimed' | 'running'> & {
    inService: number;
    concurrency?: number | undefined;
    members?: number;
  },
): { seen: PollHistory; claimedNow: number } {
  const waiting = unclaimed > 0 && running < concurrency;
  const idle = inService > running;
  const idlersNow = inService === 0 ? undefined : Math.max(inService - running, 0);
  const idlers = Math.min(idlersNow ?? Number.POSITIVE_INFINITY, before?.idlers ?? Number.POSITIVE_INFINITY);
  const elsewhereBefore = before === undefined ? Number.POSITIVE_INFINITY : (before.elsewhere ?? 0);
  const elsewhere = Math.min(Math.max(running - members, 0), elsewhereBefore);
  const counted = {
    idlePolls: (before?.idlePolls ?? 0) + Number(idle),
    ...(Number.isFinite(idlers) && { idlers }),
    mostRunning: Math.max(before?.mostRunning ?? 0, running),
    ...(elsewhere > 0 && { elsewhere }),
  };
  if (before === undefined)
    return { seen: { unclaimed, running, claimed: 0, waiting, idle, ...counted }, claimedNow: 0 };
  const claimedNow = Math.max(running - before.running, before.unclaimed - unclaimed, 0);
  const seen = {
    unclaimed,
    running,
    claimed: before.claimed + claimedNow,
    waiting: before.waiting && waiting,
    idle: before.idle && idle,
    ...counted,
  };
  return { seen, claimedNow };
}
