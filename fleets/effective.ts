import * as z from 'zod/mini';
import { CapacitySettings } from '../functions/lib/contracts.ts';
import type { FleetSettings } from './fleet.ts';

/** How long an idle runner of a fleet that keeps some stays, unless the fleet says otherwise, in seconds. */
const RECYCLE_SECONDS = 3_600;

/** The largest number that the shell of an instance draws. */
const MOST_RANDOM = 32_767;

/** A fleet's settings of its capacity as Compute Capacity reads them, without those that make no difference. */
export function capacityOf({ minReplicas, maxReplicas, ...others }: CapacitySettings): CapacitySettings {
  const set = Object.entries(others).filter(([, value]) => makesDifference(value));
  // The contract leaves out whatever else a fleet has.
  return z.parse(CapacitySettings, { minReplicas, maxReplicas, ...Object.fromEntries(set) });
}

/** An optional setting that is 0, or an empty list, is as if it were left out. */
const makesDifference = (value: unknown) =>
  value !== undefined && value !== 0 && !(Array.isArray(value) && value.length === 0);

/** How much of a fleet is On-Demand beyond its base; below 100 for one with Spot capacity. */
export const onDemandPercentage = ({ spot }: Pick<FleetSettings, 'spot'>) => 100 - (spot?.percentage ?? 0);

/**
 * How long a fleet's runners wait for a task before they leave, in seconds, and by how much less each of them may, by
 * chance. Which of them `minReplicas` keeps, no instance knows, so if it keeps any, at any time, all of them wait as
 * long as those; and as many of those come at once, they are spread so as not to leave at once.
 */
export function idleTimes({
  minReplicas,
  schedules,
  idleTimeout,
  recycleAfter,
}: Pick<FleetSettings, 'minReplicas' | 'schedules' | 'idleTimeout' | 'recycleAfter'>): {
  seconds: number;
  spread: number;
} {
  const keepsRunners = minReplicas > 0 || schedules.some((schedule) => (schedule.minReplicas ?? 0) > 0);
  if (!keepsRunners) return { seconds: idleTimeout, spread: 0 };
  const seconds = recycleAfter ?? Math.max(RECYCLE_SECONDS, idleTimeout);
  return { seconds, spread: Math.min(Math.floor(seconds / 4), seconds - idleTimeout, MOST_RANDOM) };
}
