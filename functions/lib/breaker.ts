/**
 * The breaker: when launch after launch never becomes a runner, it stops launching but for one canary at a
 * time. Pure: its memory is the group's scaling activities, so it needs no store and no reset.
 */

/** Why a launch failed: EC2 has no capacity for it, EC2 refused it for another reason, or it launched and never came into service. */
export type FailureKind = 'shortage' | 'refused' | 'boot';

/** One launch of an instance. Times are milliseconds since the epoch. */
export type Launch = { startedAt: number } & (
  | { outcome: 'underway' }
  | { outcome: 'succeeded'; endedAt: number }
  | FailedLaunch
);

export interface FailedLaunch {
  outcome: 'failed';
  startedAt: number;
  endedAt: number;
  kind: FailureKind;
  /** Whether it was Spot capacity that was short. */
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
      /** From when on one canary may launch, if nothing is launching. */
      canaryAt: number;
    };

const FIRST_CANARY_SECONDS = 120;
const LAST_CANARY_SECONDS = 1_800;

/**
 * Whether the breaker is open. It opens at the failure that is the last of `failures` within `windowSeconds`
 * with no success between them, and stays open until a launch succeeds.
 *
 * The first canary may launch 2 minutes after the last failure; each one that fails doubles that, up to 30
 * minutes. A launch that EC2 has no capacity for costs nothing, so after a shortage it stays at 2 minutes.
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
  const neverSucceeded = lastSuccessAt === Number.NEGATIVE_INFINITY;
  const openedBefore = !complete && neverSucceeded && streak.length >= settings.failures;
  const opening = streak.find((failure, index) => {
    if (openedBefore) return true;
    const first = streak[index - settings.failures + 1];
    return first !== undefined && failure.endedAt - first.endedAt <= settings.windowSeconds * 1_000;
  });
  if (opening === undefined) return { open: false };
  const last = streak.at(-1) ?? opening;

  // Those that were under way when it opened, or that the group tried again at once, are no canaries.
  let canaries = 0;
  let before = opening;
  for (const failure of streak) {
    const sinceBefore = failure.startedAt - before.startedAt;
    if (failure.startedAt <= before.endedAt || sinceBefore < FIRST_CANARY_SECONDS * 1_000) continue;
    canaries += 1;
    before = failure;
  }
  const rest =
    last.kind === 'shortage'
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
