/**
 * Whether CircleCI hands out tasks at all: tasks wait, runners are idle, and none claims a task. The plan's concurrency
 * may be used up, the class paused, or the runner token of another class. More instances would change nothing, so
 * nothing launches but one canary at a time. Pure: its memory is a tag of the group, which says what happened since
 * the last claim.
 */

import type { PollHistory } from './claims.ts';

/** What happened since runners were found idle while tasks waited. No task was claimed since. */
export interface Withheld {
  /** Since when, in seconds since the epoch. */
  since: number;
  /** Launches that came into service and ran no task. */
  unused: number;
  /** Launches of these that were canaries. */
  canaries: number;
  /** When the last of them was counted, in seconds since the epoch. */
  lastAt: number;
  /** Counts of the last poll. */
  unclaimed: number;
  running: number;
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
    // Nothing is on record of it, so the polls of this execution decide.
    elsewhere: Number.POSITIVE_INFINITY,
  };

/**
 * How many launches are allowed while tasks are withheld: one if a canary is due and no runner is idle or launching,
 * else none. `undefined` if tasks are not withheld: any number.
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
  if (seen.unclaimed === 0 || seen.claimed > 0) return undefined;
  // A runner that is idle is as good as a canary.
  const due = now / 1_000 >= withheld.lastAt + restOf(withheld);
  return due && pending === 0 && inService <= seen.running ? 1 : 0;
}

const restOf = ({ canaries }: Withheld) =>
  Math.min(FIRST_CANARY_SECONDS * 2 ** canaries, LAST_CANARY_SECONDS);

/**
 * What is on record after an execution. It begins when tasks waited at every poll of an execution, members in service
 * were idle at two or more of them and never all busy, and no task was claimed. From then on, each launch that comes
 * into service without a claim counts: a healthy runner claims within seconds. Idle members do not count, because a
 * runner that has finished its task is in service until its instance has left. The record ends with the first claim,
 * and when no task waits.
 *
 * @param seen What all polls of the execution have seen.
 * @param came Launches that came into service since the last execution.
 * @param now Milliseconds since the epoch.
 */
export function withheldAfter(
  before: Withheld | undefined,
  seen: PollHistory,
  came: number,
  failures: number,
  now: number,
): Withheld | undefined {
  if (!seen.waiting || seen.claimed > 0) return undefined;
  const at = Math.floor(now / 1_000);
  const { unclaimed, running } = seen;
  if (before === undefined || isForged(before, now)) {
    // One poll may see a runner that is about to claim.
    if ((seen.idlePolls ?? 0) < 2) return undefined;
    return { since: at, unused: 0, canaries: 0, lastAt: at, unclaimed, running };
  }
  return {
    since: before.since,
    unused: before.unused + came,
    canaries: before.canaries + (before.unused >= failures ? came : 0),
    lastAt: came > 0 ? at : before.lastAt,
    unclaimed,
    running,
  };
}

/** As the tag of the group has it; AWS allows few characters in tags. */
export const formatWithheld = ({ since, unused, canaries, lastAt, unclaimed, running }: Withheld) =>
  [since, unused, canaries, lastAt, unclaimed, running].join(' ');

/** Reads the tag; `undefined` if somebody wrote something else there. */
export function parseWithheld(tag: string): Withheld | undefined {
  if (!/^\d{1,12}( \d{1,12}){5}$/.test(tag)) return undefined;
  const [since = 0, unused = 0, canaries = 0, lastAt = 0, unclaimed = 0, running = 0] = tag
    .split(' ')
    .map(Number);
  return { since, unused, canaries, lastAt, unclaimed, running };
}
