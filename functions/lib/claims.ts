/**
 * Whether waiting tasks are being claimed, computed from the counts of one execution's polls. Pure.
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
  /** Whether more instances were in service at every poll than tasks that may run on them, so that some did nothing. */
  idle: boolean;
  /** At how many polls that was so. */
  idlePolls: number;
  /** The fewest idle instances at a poll; only polls with instances in service count. Not there without such a poll. */
  idlers?: number | undefined;
  /** How many instances were idle at the last poll; not there if none was in service. */
  idlersNow?: number | undefined;
  /** The idle instances of all polls, added up. */
  idleSum?: number | undefined;
  /** How many instances were in service at the last poll. */
  inService?: number | undefined;
  /** How many instances were in service at the first of these polls; not there if as many as at the last. */
  inServiceFirst?: number | undefined;
  /** The most running tasks at a poll. */
  mostRunning: number;
  /**
   * How many of the running tasks run on no member in service, as far as is known: on other runners, or on none. Each end
   * that was seen may be of one of them. Default: 0.
   */
  outside?: number | undefined;
  /** How many more tasks than members in service at least ran at every poll; not there if at any poll there was none. */
  surplus?: number | undefined;
  /** How many tasks at least ran on no member of the group at every poll; not there if at any poll there was none. */
  elsewhere?: number | undefined;
}

interface Counts extends Pick<PollHistory, 'unclaimed' | 'running'> {
  inService: number;
  concurrency?: number | undefined;
  members?: number;
  outside?: number | undefined;
}

/**
 * Adds a poll's counts to what was seen before; `undefined` before the first poll.
 *
 * @param members How many tasks can run on members of the group in any state, or on other runners that are known;
 *   without it, any number.
 * @param outside How many tasks are known to run on no member in service. Only before the first poll; default: 0.
 * @returns What is seen now, and how many tasks were claimed since the poll before.
 */
export function addPoll(
  before: PollHistory | undefined,
  counts: Counts,
): { seen: PollHistory; claimedNow: number } {
  const { unclaimed, running, concurrency = Number.POSITIVE_INFINITY } = counts;
  const waiting = unclaimed > 0 && running < concurrency;
  if (before === undefined) {
    return {
      seen: addIdle({ unclaimed, running, claimed: 0, waiting }, undefined, counts, 0),
      claimedNow: 0,
    };
  }
  const claimedNow = Math.max(running - before.running, before.unclaimed - unclaimed, 0);
  const ended = claimedNow - (running - before.running);
  const claims = {
    unclaimed,
    running,
    claimed: before.claimed + claimedNow,
    waiting: before.waiting && waiting,
  };
  return { seen: addIdle(claims, before, counts, ended), claimedNow };
}

/**
 * Adds what the members of the group did.
 *
 * @param ended How many tasks at least have ended since the poll before.
 */
function addIdle(
  { unclaimed, claimed, waiting }: Pick<PollHistory, 'unclaimed' | 'running' | 'claimed' | 'waiting'>,
  before: PollHistory | undefined,
  { running, inService, members = Number.POSITIVE_INFINITY, outside: known = 0 }: Counts,
  ended: number,
): PollHistory {
  const outside = before === undefined ? known : Math.max((before.outside ?? 0) - ended, 0);
  const idlersNow =
    inService === 0 ? undefined : Math.min(Math.max(inService + outside - running, 0), inService);
  const idlers = Math.min(idlersNow ?? Number.POSITIVE_INFINITY, before?.idlers ?? Number.POSITIVE_INFINITY);
  const surplus = atEveryPoll(before, before?.surplus, running - inService);
  const elsewhere = atEveryPoll(
    before,
    before?.elsewhere,
    Math.max(running - members, outside - (members - inService)),
  );
  const idle = (idlersNow ?? 0) > 0;
  const seen: PollHistory = {
    unclaimed,
    running,
    claimed,
    waiting,
    idle: (before?.idle ?? true) && idle,
    idlePolls: (before?.idlePolls ?? 0) + Number(idle),
    mostRunning: Math.max(before?.mostRunning ?? 0, running),
  };
  if (Number.isFinite(idlers)) seen.idlers = idlers;
  if (idlersNow !== undefined) seen.idlersNow = idlersNow;
  const idleSum = (before?.idleSum ?? 0) + (idlersNow ?? 0);
  if (idleSum > 0) seen.idleSum = idleSum;
  if (inService > 0) seen.inService = inService;
  const inServiceFirst = before === undefined ? inService : (before.inServiceFirst ?? before.inService ?? 0);
  if (inServiceFirst !== inService) seen.inServiceFirst = inServiceFirst;
  if (outside > 0) seen.outside = outside;
  if (surplus > 0) seen.surplus = surplus;
  if (elsewhere > 0) seen.elsewhere = elsewhere;
  return seen;
}

/** The fewest at any poll, and at least 0. */
const atEveryPoll = (before: PollHistory | undefined, fewest: number | undefined, now: number) =>
  Math.min(Math.max(now, 0), before === undefined ? Number.POSITIVE_INFINITY : (fewest ?? 0));

/** An execution that makes at least 10 polls makes them about 5 s apart. Jobs of a second every 15 s hide between polls of 15 s. */
const SEVERAL_POLLS = 10;

/**
 * Whether an execution with several polls saw no task run and none claimed. With few polls, short jobs may run between them,
 * and if as many arrive as are claimed, the counts are the same at each poll.
 *
 * @param polls How many polls the execution made.
 */
export const ranNothing = ({ mostRunning, claimed }: PollHistory, polls: number) =>
  polls >= SEVERAL_POLLS && mostRunning === 0 && claimed === 0;

/**
 * How many tasks ran outside all the time: more than members were in service at every poll. A member may claim a task some
 * seconds before it is in service, so tasks that were claimed meanwhile do not count.
 */
export const settledSurplus = ({ running, inService = 0, claimed, surplus = 0 }: PollHistory) =>
  Math.max(Math.min(surplus, running - inService - claimed), 0);
