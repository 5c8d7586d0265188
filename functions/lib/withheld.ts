/**
 * Whether CircleCI hands out as many tasks as runners could run. If tasks wait while runners are idle, it does not: the
 * plan's concurrency may be used up, the class paused, or the runner token of another class. More instances would change
 * nothing. So the fleet keeps as many members as tasks ran while runners were idle, the level, and launches one canary
 * at a time beyond it. Pure: its memory is a tag of the group.
 */

import { type PollHistory, ranNothing, settledSurplus } from './claims.ts';
import {
  atMost,
  bounded,
  HEALTHY_SECONDS,
  type Idleness,
  idlenessAfter,
  idleTooLong,
  type Launches,
  LEAVING_SECONDS,
  MOST_COUNTED,
  SURELY_UNUSED_SECONDS,
  UNUSED_SECONDS,
} from './idleness.ts';

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
  /** Launches that came into service, unless they are counted or a claim was seen for each. */
  came: number;
  /** How many of the running tasks run on no member in service; explained in claims.ts. */
  outside: number;
  /** Tasks that were claimed in the last execution. */
  claimed: number;
  /** When a claim was last seen, or the record began, in seconds since the epoch. */
  claimedAt: number;
  /** For how long runners were idle, in seconds, beyond what healthy ones are, if none of these left; explained at `Idleness`. */
  idleSeconds: number;
  /** How many instances were in service at the last poll. */
  inService: number;
  /** How many more these were than at the last poll of the execution before; 0 if not more. */
  risen: number;
  /** The most tasks that ran at a poll of the last execution. */
  mostRunning: number;
  /** How many instances were idle at the last poll; not there if none was in service. */
  idlersNow?: number | undefined;
}

const FIRST_CANARY_SECONDS = 120;
const LAST_CANARY_SECONDS = 1_800;

/** After this time without a claim, in seconds, launches that came and left while nothing ran were not for the tasks that wait. */
const CLAIMLESS_SECONDS = 180;
/** The same of launches while tasks run outside the group. */
const LONG_CLAIMLESS_SECONDS = 600;

/** With fewer polls in an execution, most claims are seen by none, so launches of earlier executions may have run tasks. */
const FEW_POLLS = 2;

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
    inService: withheld.inService,
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
const secondsWithoutClaim = (
  { claimedAt }: Pick<Withheld, 'claimedAt'>,
  { claimed }: PollHistory,
  at: number,
) => (claimed > 0 ? 0 : at - claimedAt);

/**
 * How many launches at most found no task, by what was seen beside their idle seconds. No task ran and none was claimed for a
 * while, so they are idle, or have left before a poll. Or tasks run outside the group, which hide idle runners, and no claim
 * was seen for long. Or more members are idle at all polls than came or left.
 */
function idleOtherwise(
  before: Withheld,
  seen: PollHistory,
  { came, polls }: Pick<Execution, 'came' | 'polls'>,
  { coming }: Pick<Idleness, 'coming'>,
  at: number,
): number {
  const { idlers = 0, idlePolls, mostRunning, running, outside = 0 } = seen;
  const claimless = secondsWithoutClaim(before, seen, at);
  const idleSeen = idlePolls >= 2 && Math.max(mostRunning, before.mostRunning) === 0;
  const hidden = outside > 0 ? LONG_CLAIMLESS_SECONDS : Number.POSITIVE_INFINITY;
  const needed = idleSeen || ranNothing(seen, polls) ? CLAIMLESS_SECONDS : hidden;
  if (claimless >= needed) return Math.max(idlers, came);
  const enough = polls >= FEW_POLLS || Math.max(mostRunning, before.mostRunning) === 0;
  return enough && idlePolls >= 2 && idlers > Math.max(came, coming) + mostRunning - running ? idlers : 0;
}

/** What an execution knows of the group. */
interface Execution extends Launches {
  /** Members that launch or are in service, at the last poll. */
  present: number;
}

/**
 * What is on record after an execution. A record begins when tasks waited at every poll of an execution and a runner was
 * idle, or tasks run outside the group and could hide an idle one, or runners came and nothing ran. It limits nothing yet.
 * From then on, launches that came into service count, less the claims that were seen, up to the number of runners that were
 * idle for too long. The record ends when no task waits, and when more tasks run than the level.
 *
 * @param seen What all polls of the execution have seen.
 * @param now Milliseconds since the epoch.
 */
export function withheldAfter(
  before: Withheld | undefined,
  seen: PollHistory,
  execution: Execution,
  failures: number,
  now: number,
): Withheld | undefined {
  if (!seen.waiting) return undefined;
  const at = Math.floor(now / 1_000);
  const { idlePolls, idlersNow = 0 } = seen;
  const outside = Math.max(seen.outside ?? 0, settledSurplus(seen));
  const known = before === undefined || isForged(before, now) ? undefined : before;
  const idleness = idlenessAfter(known, seen, execution);
  const last = lastSeen(known, seen, outside, idleness, at);
  const begun = begin(last, execution, at);
  if (known === undefined) {
    const cameForNothing = execution.came > 0 && ranNothing(seen, execution.polls);
    return idlePolls >= 2 || idlersNow > 0 || outside > 0 || cameForNothing ? begun : undefined;
  }
  if (isLifted(known, seen)) return outside > 0 ? begun : undefined;
  const ended = { before: known, last, seen, execution, idleness, at };
  return known.unused >= failures ? countInForce(ended) : count(ended);
}

/** An execution of a record that goes on. */
interface Ended {
  before: Withheld;
  last: LastSeen;
  seen: PollHistory;
  execution: Execution;
  idleness: Idleness;
  at: number;
}

/** What a record has of the last execution alone. */
type LastSeen = Omit<Withheld, 'since' | 'unused' | 'canaries' | 'lastAt' | 'level' | 'came'>;

function lastSeen(
  before: Withheld | undefined,
  seen: PollHistory,
  outside: number,
  { idleSeconds, risen }: Pick<Idleness, 'idleSeconds' | 'risen'>,
  at: number,
): LastSeen {
  const { unclaimed, running, mostRunning, idlersNow, claimed, inService = 0 } = seen;
  const claimedAt = before === undefined || claimed > 0 ? at : before.claimedAt;
  return {
    unclaimed,
    running,
    outside,
    claimed,
    claimedAt,
    idleSeconds,
    inService,
    risen,
    mostRunning,
    idlersNow,
  };
}

/** Launches of the execution before may run the tasks that run now. */
const begin = (last: LastSeen, { came }: Pick<Execution, 'came'>, at: number): Withheld => ({
  since: at,
  unused: 0,
  canaries: 0,
  lastAt: at,
  level: last.mostRunning,
  came: Math.max(came - last.mostRunning, 0),
  ...last,
});

/** Counts launches that found no task, before launches are held. */
function count(ended: Ended): Withheld {
  const { before, last, seen, execution, idleness, at } = ended;
  const tooLong = idleTooLong(idleness);
  const idle = Math.max(idleOtherwise(before, seen, execution, idleness, at), tooLong);
  // The launches came before this execution, so the claims that were seen until then were theirs.
  const came = Math.max(before.came + execution.came - before.claimed, 0);
  // Claims may also be those of older runners. As many as were idle at all polls, and for too long, are sure.
  const idleForGood = seen.idle
    ? Math.min(seen.idlers ?? 0, idleTooLong(idleness, SURELY_UNUSED_SECONDS))
    : 0;
  const sure = Math.min(before.came + execution.came, idleForGood);
  const unused = Math.max(Math.min(Math.max(came - last.claimed, 0), idle), sure);
  return {
    ...withUnused(ended, unused),
    level: fallen(ended, { idle, tooLong, unused }) ?? before.level,
    came: Math.min(Math.max(came - unused, 0), execution.polls < FEW_POLLS ? execution.came : MOST_COUNTED),
  };
}

/** Counts canaries that found no task. While launches are held, one launches at a time. */
function countInForce(ended: Ended): Withheld {
  const { before, last, seen, execution, idleness, at } = ended;
  const tooLong = idleTooLong(idleness);
  const idle = Math.max(idleOtherwise(before, seen, execution, idleness, at), Math.min(tooLong, 1));
  const unused = Math.min(before.came + execution.came, idle);
  const risen = before.level + Number(isTooLow(before, seen, execution.present));
  const counted = withUnused(ended, unused);
  const healthy =
    LEAVING_SECONDS * (last.idlersNow ?? 0) + HEALTHY_SECONDS * (idleness.coming - idleness.risen);
  return {
    ...counted,
    canaries: atMost(before.canaries + unused),
    level: fallen(ended, { idle, tooLong, unused }) ?? risen,
    came: idle > 0 ? 0 : execution.came,
    idleSeconds: Math.min(counted.idleSeconds, healthy + UNUSED_SECONDS),
  };
}

/** The record with launches that count. Their idle seconds are used up. */
const withUnused = ({ before, last, at }: Ended, unused: number): Omit<Withheld, 'level' | 'came'> => ({
  ...last,
  since: before.since,
  unused: atMost(before.unused + unused),
  canaries: before.canaries,
  lastAt: unused > 0 ? at : before.lastAt,
  idleSeconds: bounded(last.idleSeconds - unused * UNUSED_SECONDS),
});

/**
 * The level after an execution that has seen that it is too high; `undefined` if it has not. It falls to what ran in the last two
 * executions, because a task may have ended a moment ago, and another one begins when its runner has come.
 */
function fallen(
  { before: { level, mostRunning, claimedAt }, seen, at }: Ended,
  { idle, tooLong, unused }: { idle: number; tooLong: number; unused: number },
): number | undefined {
  const ran = Math.max(seen.mostRunning, mostRunning);
  const claimless = secondsWithoutClaim({ claimedAt }, seen, at) >= CLAIMLESS_SECONDS;
  if ((idle > 0 && seen.idle) || (unused > 0 && claimless)) return ran;
  return tooLong > 0 && (seen.idleSum ?? 0) > 0 ? Math.max(ran, level - tooLong) : undefined;
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
    withheld.idleSeconds,
    withheld.inService,
    withheld.risen,
    withheld.mostRunning,
    ...(withheld.idlersNow === undefined ? [] : [withheld.idlersNow]),
  ].join(' ');

/**
 * Reads the tag; `undefined` if somebody wrote something else there, or an older version fewer numbers. More tasks outside
 * than tasks that run would keep all canaries from launching.
 */
export function parseWithheld(tag: string): Withheld | undefined {
  if (!/^\d{1,12}( \d{1,12}){10} -?\d{1,12}( \d{1,12}){3,4}$/.test(tag)) return undefined;
  const [since = 0, unused = 0, canaries = 0, lastAt = 0, unclaimed = 0, running = 0, ...others] = tag
    .split(' ')
    .map(Number);
  const [level = 0, came = 0, outside = 0, claimed = 0, claimedAt = 0, ...more] = others;
  const [idleSeconds = 0, inService = 0, risen = 0, mostRunning = 0, idlersNow] = more;
  const tasks = { unclaimed, running, level, outside, claimed, mostRunning };
  const counts = { unused, canaries, came, inService, risen, ...tasks };
  if (Math.max(...Object.values(counts), Math.abs(idleSeconds), idlersNow ?? 0) > MOST_COUNTED)
    return undefined;
  if (outside > running) return undefined;
  return { since, lastAt, claimedAt, idleSeconds, ...counts, ...(idlersNow !== undefined && { idlersNow }) };
}
