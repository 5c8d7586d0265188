import { DURATIONS, type GroupDurations } from '../sandbox/group/durations.ts';
import { SANDBOX_START } from '../sandbox/trace.ts';

/** The replayed world, the same for every policy. */
export interface World extends GroupDurations {
  /** The date of second 0, in milliseconds since the epoch. Schedules depend on it. */
  startsAt: number;
}

const { idleTimeout: _, idleSpread: __, ...durations } = DURATIONS;

/** The reference model: the sandbox's durations. */
export const WORLD: World = { startsAt: SANDBOX_START.getTime(), ...durations };
