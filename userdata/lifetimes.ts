import type { FleetConfig } from '../fleets/load.ts';
import { type SettingsWithScripts, sshSessionSeconds } from './environment.ts';

/** Time after the longest possible life of its runner when an instance leaves by itself, in seconds. */
export const AGE_MARGIN_SECONDS = 900;

/**
 * Maximum age of a reused runner, in seconds. Then systemd sends it a TERM. It finishes its task and takes no other, and
 * its instance leaves.
 */
export const REUSE_SECONDS = 86_400;

/**
 * How long an instance of a fleet, and what it runs, may last, in seconds.
 *
 * @param fleet.idleTimeout How long its runners really wait: `idleTimes` of fleets/effective.ts.
 */
export function lifetimesOf(
  fleet: Pick<FleetConfig, 'bootTimeout' | 'idleTimeout' | 'maxRunTime' | 'reuse'> & SettingsWithScripts,
  reuseSeconds = REUSE_SECONDS,
) {
  const { bootTimeout, idleTimeout } = fleet;
  // The runner has one limit for a task and the SSH session that keeps it open.
  const runSeconds = fleet.maxRunTime + sshSessionSeconds(fleet);
  const reused = fleet.reuse === 'continuous';
  return {
    bootSeconds: bootTimeout,
    idleSeconds: idleTimeout,
    runSeconds,
    // At that age, every task has had all its time: the only one, or the last of many.
    ageLimitSeconds:
      bootTimeout +
      (reused ? reuseSeconds : idleTimeout) +
      runSeconds +
      (reused ? 2 : 1) * AGE_MARGIN_SECONDS,
  };
}
