import { type FailureKind, PASSING } from './launch-failures.ts';

/**
 * The breaker: when launch after launch never becomes a runner, it stops launching but for one canary at a
 * time. Pure: its memory is the group's scaling activities, so it needs no store and no reset.
 */

/**
 * One launch of an instance. Times are milliseconds since the epoch. `noInstance`: EC2 has given none, or not yet. A
 * refusal shows at once, a success only a boot later, so the two are never compared: see `unansweredRefusals`.
 */
export type Launch = { startedAt: number; noInstance?: boolean } & (
  | { outcome: 'underway' }
  | { outcome: 'succeeded'; endedAt: number }
  | FailedLaunch
);

export interface FailedLaunch {
  outcome: 'failed';
  startedAt: number;
  endedAt: number;
  kind: FailureKind;
  noInstance?: boolean;
  /** Whether it was Spot capacity that failed. */
  spot?: boolean;
  /** What EC2 Auto Scaling said. */
  reason: string;
}

export interface BreakerSettings {
  /** How many launches must have failed, */
  failures: number;
  /** in how many seconds, without a success between them, to open the breaker. */
  windowSeconds: number;
}

export type BreakerState =
  | { open: false }
  | {
      open: true;
      /** Launches that have failed since the last success. */
      failures: number;
      /** Of the last failure. */
      kind: FailureKind;
      /** Of the last failure. */
      reason: string;
      lastFailureAt: number;
      /** When the failure ended that opened it, as far as is known. */
      openedAt: number;
      /** When the next canary may launch, if nothing is launching. */
      canaryAt: number;
    };

const FIRST_CANARY_SECONDS = 120;
const FIRST_CANARY = FIRST_CANARY_SECONDS * 1_000;
const LAST_CANARY_SECONDS = 1_800;

/** Launches belong to one burst if they begin within this time, in milliseconds. */
const BURST = 30_000;

/**
 * Whether the breaker is open. It opens for one of two reasons, and stays open until a launch succeeds:
 *
 * - `failures` instances within `windowSeconds` never came into service, with no success between them. As long as more
 *   launches of the same burst are still under way than have failed, it waits for them: a boot that fails may end
 *   before one that succeeds.
 * - EC2 refused `failures` launches within `windowSeconds`, and gave no instance in their place. As long as an instance
 *   boots that was launched before, it waits: EC2 Auto Scaling tries other zones by itself unless `Launch` is suspended.
 *
 * The first canary may launch 2 minutes after the last failure; each one that fails doubles that, up to 30
 * minutes. After a failure that passes by itself, such as a shortage, it stays at 2 minutes: trying costs nothing.
 *
 * @param complete Whether these are all launches that are on record. If not, and none of these succeeded, it
 * was opened by one that is older.
 */
export function judgeLaunches(launches: Launch[], settings: BreakerSettings, complete = true): BreakerState {
  let lastSuccessAt = Number.NEGATIVE_INFINITY;
  for (const launch of launches)
    if (launch.outcome === 'succeeded') lastSuccessAt = Math.max(lastSuccessAt, launch.endedAt);
  // Activities end in whole seconds. If a success and a failure end in the same one, the success counts as the later.
  const failedSince = (launch: Launch): launch is FailedLaunch =>
    launch.outcome === 'failed' && launch.endedAt > lastSuccessAt;
  const streak = launches
    .filter(failedSince)
    .sort((a, b) => a.endedAt - b.endedAt || a.startedAt - b.startedAt);
  if (streak.length < settings.failures) return { open: false };
  const openedBefore = !complete && lastSuccessAt === Number.NEGATIVE_INFINITY;
  const booting = launches.filter(({ outcome, noInstance }) => outcome === 'underway' && !noInstance);
  const refusals = unansweredRefusals(streak, launches);
  const failed = streak.filter((failure) => !failure.noInstance || refusals.includes(failure));

  const boots = streak.filter(({ noInstance }) => !noInstance);
  const ofBoots = openingOf(boots, settings, openedBefore);
  if (ofBoots !== undefined) {
    const sameBurst = booting.filter(({ startedAt }) => startedAt <= ofBoots.startedAt + BURST);
    if (sameBurst.length <= boots.length) return opened(failed, ofBoots);
  }
  const ofRefusals = openingOf(refusals, settings, openedBefore);
  if (ofRefusals !== undefined) {
    const others = booting.filter(({ startedAt }) => startedAt < ofRefusals.endedAt + FIRST_CANARY);
    if (others.length === 0) return opened(failed, ofRefusals);
  }
  return { open: false };
}

/** For how long after its canary was due an open breaker still concerns somebody, in milliseconds. */
const LAST_TRIED = 1_800_000;

/**
 * Whether the fleet has tried to launch recently with the breaker open. If its canary has been due for half an hour,
 * nothing has wanted an instance since.
 */
export const isTrying = ({ canaryAt }: { canaryAt: number }, now: number) => now < canaryAt + LAST_TRIED;

/**
 * The refusals that no launch made up for, in the same zone or another. EC2 Auto Scaling tries again within seconds, or
 * the next launch does. Whatever launches later may be the breaker's canary, and must succeed first.
 */
export function unansweredRefusals(failures: FailedLaunch[], launches: Launch[]): FailedLaunch[] {
  const answers = launches.filter(({ noInstance }) => !noInstance).map(({ startedAt }) => startedAt);
  return failures.filter(
    ({ noInstance, startedAt, endedAt }) =>
      noInstance && !answers.some((at) => at >= startedAt && at < endedAt + FIRST_CANARY),
  );
}

/** The failure that is the last of `failures` within `windowSeconds`; the first of all if it was opened before. */
function openingOf(
  streak: FailedLaunch[],
  { failures, windowSeconds }: BreakerSettings,
  openedBefore: boolean,
): FailedLaunch | undefined {
  if (openedBefore && streak.length >= failures) return streak[0];
  return streak.find((failure, index) => {
    const first = streak[index - failures + 1];
    return first !== undefined && failure.endedAt - first.endedAt <= windowSeconds * 1_000;
  });
}

function opened(streak: FailedLaunch[], opening: FailedLaunch): BreakerState {
  const last = streak.at(-1) ?? opening;
  // Those that were under way when it opened, or that the group tried again at once, are no canaries.
  let canaries = 0;
  let before = opening;
  for (const failure of streak) {
    const sinceBefore = failure.startedAt - before.startedAt;
    if (failure.startedAt <= before.endedAt || sinceBefore < FIRST_CANARY) continue;
    canaries += 1;
    before = failure;
  }
  const rest = PASSING.includes(last.kind)
    ? FIRST_CANARY_SECONDS
    : Math.min(FIRST_CANARY_SECONDS * 2 ** canaries, LAST_CANARY_SECONDS);
  return {
    open: true,
    failures: streak.length,
    kind: last.kind,
    reason: last.reason,
    lastFailureAt: last.endedAt,
    openedAt: opening.endedAt,
    canaryAt: last.endedAt + rest * 1_000,
  };
}
