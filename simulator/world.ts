import { DURATIONS } from '../sandbox/auto-scaling-group.ts';
import { SANDBOX_START } from '../sandbox/trace.ts';

/**
 * The replayed world: mostly how long things take, in seconds, all of them 0 or more. One world for every policy,
 * so that what differs is the policy.
 */
export interface World {
  /** What second 0 of the trace is, in milliseconds since the epoch: schedules are in force by it. */
  startsAt: number;
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
  /** How soon a group tries again after EC2 refused a launch. */
  relaunch: number;
  /** How long an instance stands there whose boot failed and which does not leave by itself, until somebody ends it. */
  tidyUp: number;
}

/**
 * The reference model: where the sandbox has a duration, the sandbox's.
 * `warmBoot`: 15 to 25 s are realistic from a stopped warm pool; 90 s is a boot that installs what jobs need.
 */
export const WORLD: World = {
  startsAt: SANDBOX_START.getTime(),
  request: DURATIONS.request,
  boot: DURATIONS.boot,
  warmBoot: 25,
  warmStop: 30,
  idleClaim: DURATIONS.idleClaim,
  leave: DURATIONS.leave,
  notice: 60,
  minimumBilling: DURATIONS.minimumBilling,
  relaunch: DURATIONS.relaunch,
  tidyUp: 8 * 3_600,
};
