/** Fleets that a person has paused, or lets drain. Pure. */

import type { Situation } from './capacity.ts';

/** Whether a person has paused the fleet, or lets it drain. */
export const isPaused = ({ paused = 'false' }: Pick<Situation, 'paused'>) => paused !== 'false';

/**
 * For how many minutes the fleet has been paused, and at least 1, which rings the alarm. Its notification quotes the values.
 *
 * @param pausedAt As the tag has it, which a person may have written.
 */
export function minutesPaused(pausedAt: string | undefined, now: number): number {
  const minutes = Math.floor((now - Date.parse(pausedAt ?? '')) / 60_000);
  return Number.isFinite(minutes) ? Math.max(minutes, 1) : 1;
}
