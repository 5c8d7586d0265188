import type { LaunchRecord } from '../functions/lib/activities.ts';
import type { FailureKind, Launch } from '../functions/lib/breaker.ts';

/** One scaling activity. Times are milliseconds since the epoch. */
export interface Entry {
  readonly of: 'launch' | 'warm launch' | 'into the warm pool' | 'termination';
  readonly startedAt: number;
  endedAt?: number;
  outcome: 'underway' | 'succeeded' | 'failed' | 'cancelled';
  kind?: FailureKind;
  spot?: boolean;
}

/** How many of the newest are kept, beside those under way. */
const KEPT = 600;

/** How many the workflow reads first, and at most: functions/lib/scaling-activities.ts. */
const FIRST_READ = 100;
const MOST_READ = 500;

/** The record that a group keeps of its launches and terminations, as far as anything is decided by it. */
export class LaunchLog {
  readonly #epoch: (seconds: number) => number;
  #kept: Entry[] = [];
  #crowded = 2 * KEPT;
  #forgotten = false;
  /** Changes with every change of the log. */
  version = 0;
  /** Whether any launch has failed. */
  hasFailures = false;
  /** When the last activity began or ended, in milliseconds since the epoch; -Infinity if there was none. */
  lastAt = Number.NEGATIVE_INFINITY;

  /** @param startsAt What second 0 is, in milliseconds since the epoch. */
  constructor(startsAt: number) {
    this.#epoch = (seconds) => Math.round(startsAt + seconds * 1_000);
  }

  begin(of: Entry['of'], now: number): Entry {
    const startedAt = this.#epoch(now);
    const entry: Entry = { of, startedAt, outcome: 'underway' };
    this.#kept.push(entry);
    this.lastAt = Math.max(this.lastAt, startedAt);
    this.version += 1;
    if (this.#kept.length > this.#crowded) {
      const newest = this.#kept.length - KEPT;
      this.#kept = this.#kept.filter(({ endedAt }, index) => endedAt === undefined || index >= newest);
      this.#crowded = this.#kept.length + KEPT;
      this.#forgotten = true;
    }
    return entry;
  }

  /** Ends are told in whole seconds. */
  end(
    entry: Entry,
    now: number,
    outcome: 'succeeded' | 'failed',
    why: Pick<Entry, 'kind' | 'spot'> = {},
  ): void {
    entry.endedAt = Math.floor(this.#epoch(now) / 1_000) * 1_000;
    entry.outcome = outcome;
    Object.assign(entry, why);
    this.lastAt = Math.max(this.lastAt, entry.endedAt);
    this.version += 1;
    if (outcome === 'failed') this.hasFailures = true;
  }

  /** It never began. */
  forget(entry: Entry): void {
    entry.outcome = 'cancelled';
    entry.endedAt = entry.startedAt;
    this.version += 1;
  }

  /** As Describe Activities reads it. @param all As many as it ever reads. */
  record(all: boolean): LaunchRecord {
    const known = this.#kept.filter(({ outcome }) => outcome !== 'cancelled').reverse();
    const underway = known.filter(({ endedAt }) => endedAt === undefined);
    const newest = [...underway, ...known.filter(({ endedAt }) => endedAt !== undefined)];
    let read = MOST_READ;
    for (let page = FIRST_READ; !all && page < MOST_READ; page += FIRST_READ) {
      if (!newest.slice(page - FIRST_READ, page).some((entry) => asLaunch(entry)?.outcome === 'succeeded'))
        continue;
      read = page;
      break;
    }
    const entries = newest.slice(0, read);
    return {
      launches: entries.flatMap((entry) => asLaunch(entry) ?? []),
      boots: entries.flatMap(({ of, outcome, startedAt, endedAt }) =>
        of !== 'warm launch' && of !== 'termination' && outcome === 'succeeded' && endedAt !== undefined
          ? [{ startedAt, endedAt: Math.max(endedAt, startedAt) }]
          : [],
      ),
      complete: newest.length <= read && !this.#forgotten,
      lastAt: this.lastAt === Number.NEGATIVE_INFINITY ? undefined : this.lastAt,
    };
  }
}

/** A launch into the warm pool counts only if it failed, as in functions/lib/scaling-activities.ts. */
function asLaunch({ of, startedAt, endedAt, outcome, kind, spot }: Entry): Launch | undefined {
  if (of === 'termination') return undefined;
  if (outcome === 'failed' && endedAt !== undefined && kind !== undefined) {
    const ended = Math.max(endedAt, startedAt);
    return { outcome, startedAt, endedAt: ended, kind, ...(spot && { spot }), reason: kind };
  }
  if (of === 'into the warm pool') return undefined;
  if (outcome === 'succeeded' && endedAt !== undefined)
    return { outcome, startedAt, endedAt: Math.max(endedAt, startedAt) };
  return { outcome: 'underway', startedAt };
}
