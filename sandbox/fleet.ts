import {
  capacityOf,
  idleTimes,
  onDemandPercentage,
  quietPollIntervalOf,
  spareSettingsOf,
} from '../fleets/effective.ts';
import type { FleetConfig } from '../fleets/load.ts';
import type { CapacitySettings } from '../functions/lib/contracts.ts';
import type { Durations } from './group/durations.ts';
import type { SandboxFleet } from './sandbox.ts';

/** The settings of a fleet that make a difference in the sandbox; seconds and instances, as in fleets.yaml. */
export type SandboxSettings = Pick<
  FleetConfig,
  | keyof CapacitySettings
  | 'pollInterval'
  | 'quietPollInterval'
  | 'idleTimeout'
  | 'recycleAfter'
  | 'reuse'
  | 'warmPool'
  | 'spot'
  | 'breaker'
  | 'bootTimeout'
  | 'unsafeRetries'
  | 'concurrency'
  | 'spareRunners'
  | 'waitingCost'
  | 'instanceTypes'
  | 'hourlyPrice'
>;

/** A fleet of fleets.yaml, with all its settings, as the sandbox runs it. */
export function sandboxFleet(
  settings: SandboxSettings,
  boots: Pick<Durations, 'boot' | 'warmBoot'>,
): Omit<SandboxFleet, 'name' | 'resourceClass'> {
  const { breaker, spot, warmPool, concurrency } = settings;
  const idle = idleTimes(settings);
  const spareRunners = spareSettingsOf(settings);
  return {
    ...capacityOf(settings),
    pollIntervalSeconds: settings.pollInterval,
    quietPollIntervalSeconds: quietPollIntervalOf(settings),
    breaker: { failures: breaker.failures, windowSeconds: breaker.window },
    reuse: settings.reuse,
    ...(warmPool !== undefined && { warmPoolSize: warmPool.size }),
    ...(spot !== undefined && {
      onDemandBase: spot.onDemandBase,
      onDemandPercentage: onDemandPercentage(settings),
    }),
    ...(concurrency !== undefined && { concurrency }),
    ...(spareRunners !== undefined && { spareRunners }),
    retries: settings.unsafeRetries,
    durations: {
      ...boots,
      launchHook: settings.bootTimeout,
      idleTimeout: idle.seconds,
      idleSpread: idle.spread,
    },
  };
}
