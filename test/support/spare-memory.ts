import type { Memory, SpareSettings } from '../../functions/lib/spare-runners.ts';

/** A fleet that has just begun to learn. */

/** Seconds since the epoch. */
export const NOW = Date.parse('2026-01-05T08:00:00Z') / 1_000;

/** In seconds. */
export const DAY = 24 * 3_600;

/** An idle runner costs as much as waiting: a runner is kept if it is needed half of the times. */
export const EVEN: SpareSettings = { idleCost: 1, waitingCost: 1 };

export const COUNTS = { unclaimed: 0, running: 0 };

/** The lead time is 100 s. */
export const MEMORY: Memory = {
  at: NOW,
  readySeconds: 92,
  learnedUntil: NOW,
  fadedAt: NOW,
  arrivals: [],
  counts: COUNTS,
  seen: {},
};
