/** How long things take around a group of runners, in seconds; all are at least 0. */
export interface GroupDurations {
  /** From asking for an instance until EC2 lists it as pending, which is when billing starts. */
  request: number;
  /** From pending until the runner is ready. */
  boot: number;
  /** The same for an instance of the warm pool, which is started and has nothing left to install. */
  warmBoot: number;
  /** From the end of its first boot until an instance of the warm pool is stopped, and can be launched. */
  warmStop: number;
  /** Until an idle runner's next request for work finds a job; a runner that has just booted asks at once. */
  idleClaim: number;
  /**
   * From the runner's exit until its instance is gone, and no longer billed. Desired capacity falls at the end of it,
   * as in the reference replay; on AWS it falls as soon as the instance asks to be terminated.
   */
  leave: number;
  /** Until a group notices that an instance has stopped, and replaces it: two missed status checks. */
  notice: number;
  /** The shortest time EC2 bills. */
  minimumBilling: number;
  /** How long a group waits for a launching instance's sign of life before it replaces it. */
  launchHook: number;
  /** How soon a group tries again after EC2 refused a launch. */
  relaunch: number;
  /** Until a group has noticed that a launching instance ended as it started. */
  endsAtStart: number;
  /** How soon it tries another zone, if the zone never has the type. */
  otherZone: number;
  /** How long an instance stays that never became a runner and does not leave by itself, until somebody ends it. */
  tidyUp: number;
}

/** The durations of the sandbox's groups: those of every group, and how long their runners wait. */
export interface Durations extends GroupDurations {
  /** How long a runner waits for a task before it exits. */
  idleTimeout: number;
  /** The most by which an instance's number shortens that. */
  idleSpread: number;
}

/** `warmBoot`: 15 to 25 s are realistic from a stopped warm pool; 90 s is a boot that installs what jobs need. */
export const DURATIONS: Durations = {
  request: 3,
  boot: 90,
  warmBoot: 25,
  warmStop: 30,
  idleClaim: 2.5,
  leave: 15,
  notice: 60,
  idleTimeout: 300,
  idleSpread: 0,
  minimumBilling: 60,
  launchHook: 600,
  relaunch: 60,
  endsAtStart: 30,
  otherZone: 1,
  tidyUp: 8 * 3_600,
};
