/**
 * For how long runners were idle although tasks wait, which tells launches that find no task from those of a healthy fleet. Pure.
 */

import type { PollHistory } from './claims.ts';

/** For how long a healthy runner is idle while tasks wait, in seconds at most: from its arrival to its claim. */
const COMING_SECONDS = 8;
/**
 * And from the end of its task until it has left. It is 5 to 9 s (userdata/leave-group.sh) if AWS answers at once; a call that is
 * throttled and made again takes longer.
 */
export const LEAVING_SECONDS = 20;
export const HEALTHY_SECONDS = COMING_SECONDS + LEAVING_SECONDS;
/** A runner that was idle for so much longer, in seconds, found no task. It is so for each `idleTimeout` from 30 s on. */
export const UNUSED_SECONDS = 8;
/** So much longer even if claims were seen: they were those of other runners. */
export const SURELY_UNUSED_SECONDS = 40;
/**
 * A poll stands for no more seconds than this: with few polls, runners that leave at the same time would count too long. An
 * unused one is idle at three polls or more, because `idleTimeout` is longer than three times `pollInterval`.
 */
const LONGEST_POLL = 14;

/** What the execution before has left. */
interface Before extends Pick<Idleness, 'idleSeconds' | 'risen'> {
  running: number;
  idlersNow?: number | undefined;
}

/** The launches that an execution counts. */
export interface Launches {
  /** Launches that came into service since the last execution. */
  came: number;
  /** Whether more may have come than were read. Default: no. */
  moreCame?: boolean | undefined;
  /** How many polls the execution made. */
  polls: number;
}

/** For how long runners were idle since the record began, in seconds, beyond what healthy ones are. */
export interface Idleness {
  /** Until the execution before the last one, and how many were idle at its last poll. */
  settled: { idleSeconds: number; idlersNow: number };
  /** Until now, if as many members have come and left as the counts tell. */
  estimated: { idleSeconds: number; idlersNow: number };
  /** How many members at most came into service in the last execution, as far as the counts tell. */
  coming: number;
  /** How many more members were in service at its end than at its beginning; 0 if not more. */
  risen: number;
  /** Until now, if all that were in service in the last execution have stayed: what is on record. */
  idleSeconds: number;
}

/**
 * While tasks wait, a healthy runner is idle only for seconds, when it comes and before it leaves. So in a healthy fleet
 * these seconds stay near 0, whatever the load is, and each runner that finds no task adds its idle time.
 *
 * How many came in an execution, and so how many left, is known in the next one. Until then, each task that ended stands for
 * a member that left. Of runners that are reused that is too many, for one execution.
 */
export function idlenessAfter(
  before: Before | undefined,
  { running, claimed, idleSum = 0, inService = 0, inServiceFirst = inService, idlersNow = 0 }: PollHistory,
  { came, moreCame = false, polls }: Launches,
): Idleness {
  // Of those that were counted, some came after the last poll, so what is theirs is still to come.
  const toCome = 0 - HEALTHY_SECONDS * came;
  const replaced = Math.max(came - (before?.risen ?? 0), 0);
  // If more came than were read, the last execution alone tells.
  const settled =
    before === undefined || moreCame
      ? toCome
      : Math.max(before.idleSeconds - HEALTHY_SECONDS * replaced, toCome);
  const idle = idleSum * Math.min(SECONDS_OF_AN_EXECUTION / polls, LONGEST_POLL);
  const risen = Math.max(inService - inServiceFirst, 0);
  const fallen = Math.max(inServiceFirst - inService, 0);
  const healthy = COMING_SECONDS * risen + LEAVING_SECONDS * fallen;
  const idleSeconds = bounded(Math.round(settled + idle - healthy));
  const ended = before === undefined ? 0 : claimed - (running - before.running);
  const others = Math.max(ended - fallen, 0);
  return {
    settled: { idleSeconds: settled, idlersNow: before?.idlersNow ?? 0 },
    estimated: { idleSeconds: idleSeconds - HEALTHY_SECONDS * others, idlersNow },
    coming: risen + others,
    risen,
    idleSeconds,
  };
}

const SECONDS_OF_AN_EXECUTION = 60;

/** How many launches found no task, by their idle seconds. Those that are idle now may be about to leave after a task. */
export const idleTooLong = ({ settled, estimated }: Idleness, each = UNUSED_SECONDS) =>
  Math.max(
    ...[settled, estimated].map(({ idleSeconds, idlersNow }) =>
      Math.floor((idleSeconds - LEAVING_SECONDS * idlersNow) / each),
    ),
    0,
  );

/** The steps refuse larger counts in their input, see `Count` in contracts.ts. */
export const MOST_COUNTED = 1_000_000;

export const atMost = (counted: number) => Math.min(counted, MOST_COUNTED);
export const bounded = (seconds: number) => Math.max(atMost(seconds), -MOST_COUNTED);
