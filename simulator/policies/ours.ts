import { decideCapacity } from '../../functions/lib/capacity.ts';
import type { Poll } from '../../functions/lib/contracts.ts';
import { pace, pollInterval, pollTimeout, quietSeconds } from '../../functions/lib/pacing.ts';
import type { FleetConfig } from '../../infra/config.ts';
import { idleFor, PLAIN, type Policy, type Polls, type Sight } from '../policy.ts';

/** The settings of a fleet that make a difference in a replay; seconds and instances, as in fleets.yaml. */
export type OursSettings = Pick<
  FleetConfig,
  'pollInterval' | 'quietPollInterval' | 'idleTimeout' | 'minReplicas' | 'maxReplicas'
>;

/** How often the schedule starts an execution, in seconds. */
const EXECUTION_SECONDS = 60;

/**
 * This project: the decision of functions/lib/capacity.ts and the polls of functions/lib/pacing.ts, called as
 * they are. What it leaves out is what only failures bring about; `--workflow` replays the state machine itself.
 */
export function ours(settings: OursSettings): Policy {
  const { idleTimeout, minReplicas, maxReplicas } = settings;
  return {
    ...PLAIN,
    name: 'ours',
    scaler: {
      kind: 'polls',
      polls: new Executions(settings),
      wish: (sight) => decideCapacity({ ...sight, minReplicas, maxReplicas }),
      requests: { ci: 2, aws: 1, write: 2, start: 1 },
      startedEvery: EXECUTION_SECONDS,
    },
    leavesAt: idleFor(idleTimeout),
    minReplicas,
    maxReplicas,
  };
}

/** The polls of the executions that a schedule starts each minute, the more seldom the longer nothing happens. */
class Executions implements Polls {
  readonly #settings: OursSettings;
  readonly #intervals: Parameters<typeof pollInterval>[1];
  #at = 0;
  /** When the execution started, in seconds; its first poll is due then. */
  #startedAt = 0;
  /** When the group's last activity ended, as the execution read it at its start: in whole seconds. */
  #activityAt = Number.NEGATIVE_INFINITY;

  constructor(settings: OursSettings) {
    this.#settings = settings;
    this.#intervals = {
      pollIntervalSeconds: settings.pollInterval,
      quietPollIntervalSeconds: settings.quietPollInterval,
    };
  }

  get at(): number {
    return this.#at;
  }

  made(sight: Sight, wrote: boolean): void {
    this.#begin(sight);
    const interval = this.#interval(this.#isQuiet(sight));
    if (!wrote) {
      this.#next(interval);
      return;
    }
    // A write takes its time from the execution's, so that it may be the last of its polls.
    const poll: Poll = {
      number: 1,
      executionStartedAt: instant(this.#startedAt),
      dueAt: instant(this.#at),
      timeoutSeconds: 1,
    };
    const { again, next } = pace(poll, interval, this.#at * 1_000, { write: true });
    this.#at = again ? Date.parse(next.dueAt) / 1_000 : this.#startedAt + EXECUTION_SECONDS;
  }

  skip(sight: Sight, until: number): number {
    const quiet = this.#isQuiet(sight);
    let skipped = 0;
    for (; this.#at < until; skipped += 1) {
      this.#begin(sight);
      this.#next(this.#interval(quiet));
    }
    return skipped;
  }

  /** The first poll of an execution: what the group did before is read, once. */
  #begin({ lastActivityAt }: Sight): void {
    const startedAt = Math.floor(this.#at / EXECUTION_SECONDS) * EXECUTION_SECONDS;
    if (this.#at !== startedAt) return;
    this.#startedAt = startedAt;
    this.#activityAt = Math.floor(lastActivityAt);
  }

  /** For how long is the difference of two numbers: dates for each poll would take more time than all the rest. */
  #isQuiet(sight: Sight): boolean {
    return quietSeconds({ ...sight, minReplicas: this.#settings.minReplicas }, null, 0) > 0;
  }

  #interval(quiet: boolean): number {
    return pollInterval(quiet ? Math.max(this.#at - this.#activityAt, 0) : 0, this.#intervals);
  }

  /** The first point of the grid after this poll, or the next execution if no poll has room there. */
  #next(interval: number): void {
    const elapsed = (Math.floor((this.#at - this.#startedAt) / interval) + 1) * interval;
    this.#at = this.#startedAt + (pollTimeout(elapsed) >= 1 ? elapsed : EXECUTION_SECONDS);
  }
}

const instant = (seconds: number) => new Date(seconds * 1_000).toISOString();
