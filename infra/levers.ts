import type { CapacitySettings } from '../functions/lib/contracts.ts';
import type { FleetSettings } from './fleet-settings.ts';

/** How long an idle runner of a fleet that keeps some stays, unless the fleet says otherwise, in seconds. */
const RECYCLE_SECONDS = 3_600;

/** A fleet's settings of its capacity as Compute Capacity reads them, with nothing that makes no difference. */
export function capacityOf({
  minReplicas,
  maxReplicas,
  headroom,
  maxSurge,
  schedules,
}: Pick<
  FleetSettings,
  'minReplicas' | 'maxReplicas' | 'headroom' | 'maxSurge' | 'schedules'
>): CapacitySettings {
  return {
    minReplicas,
    maxReplicas,
    ...(headroom !== 0 && { headroom }),
    ...(maxSurge !== undefined && { maxSurge }),
    ...(schedules.length > 0 && { schedules }),
  };
}

/**
 * How long a fleet's runners wait for a task before they leave, in seconds. Which of them `minReplicas` keeps, no
 * instance knows, so if it keeps any, at any time, all of them wait as long as those.
 */
export function idleSeconds({
  minReplicas,
  schedules,
  idleTimeout,
  recycleAfter,
}: Pick<FleetSettings, 'minReplicas' | 'schedules' | 'idleTimeout' | 'recycleAfter'>): number {
  const keepsRunners = minReplicas > 0 || schedules.some((schedule) => (schedule.minReplicas ?? 0) > 0);
  return keepsRunners ? (recycleAfter ?? Math.max(RECYCLE_SECONDS, idleTimeout)) : idleTimeout;
}
