import { DURATIONS } from '../sandbox/auto-scaling-group.ts';

/**
 * How long things take in the replayed world, in seconds; all of them 0 or more. One world for every policy, so
 * that what differs is the policy.
 */
export interface World {
  /** From asking for an instance until EC2 lists it as pending, which is when billing starts. */
  request: number;
  /** From pending until the runner is ready. */
  boot: number;
  /** The same for an instance that stood by, stopped, in a warm pool. */
  warmBoot: number;
  /** From the end of its first boot until an instance of the warm pool is stopped, and can be launched. */
  warmStop: number;
  /** Until an idle runner's next request for work finds a job; a runner that has just booted asks at once. */
  idleClaim: number;
  /** From the runner's exit until its instance is gone, and no longer billed. */
  leave: number;
  /** Until a group notices that an instance has stopped, and replaces it: two missed status checks. */
  notice: number;
  /** The shortest time EC2 bills. */
  minimumBilling: number;
}

/**
 * The reference model: where the sandbox has a duration, the sandbox's.
 * `warmBoot`: 15 to 25 s are realistic from a stopped warm pool; 90 s is a boot that installs what jobs need.
 */
export const WORLD: World = {
  request: DURATIONS.request,
  boot: DURATIONS.boot,
  warmBoot: 25,
  warmStop: 30,
  idleClaim: DURATIONS.idleClaim,
  leave: DURATIONS.leave,
  notice: 60,
  minimumBilling: DURATIONS.minimumBilling,
};
