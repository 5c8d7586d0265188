import { DURATIONS, type GroupDurations } from '../sandbox/group/durations.ts';
import { SANDBOX_START } from '../sandbox/trace.ts';

/** The replayed world. One world for every policy, so that what differs is the policy. */
export interface World extends GroupDurations {
  /** What second 0 of the trace is, in milliseconds since the epoch: schedules are in force by it. */
  startsAt: number;
}

const { idleTimeout: _, idleSpread: __, ...durations } = DURATIONS;

/** The reference model: the sandbox's durations. */
export const WORLD: World = { startsAt: SANDBOX_START.getTime(), ...durations };
