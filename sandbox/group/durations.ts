import type { LaunchFault } from './faults.ts';

/** Durations around a group of runners, in seconds of at least 0. */
export interface GroupDurations {
  /** From the request for an instance until EC2 lists it as pending, which is when billing starts. */
  request: number;
  /** From pending until the runner is ready. */
  boot: number;
  /** The same for an instance of the warm pool, which has nothing left to install. */
  warmBoot: number;
  /** From the end of its first boot until an instance of the warm pool is stopped and can be launched. */
  warmStop: number;
  /** Until an idle runner's next request for work. A runner that has just booted asks immediately. */
  idleClaim: number;
  /**
   * From the runner's exit until its instance calls `TerminateInstanceInAutoScalingGroup`, which lowers desired capacity.
   * userdata/leave-group.sh ships the last log lines and waits 3 s before the call. At most `leave`.
   */
  leaveCall: number;
  /** From the runner's exit until its instance is gone and no longer billed. */
  leave: number;
  /** Until a group notices that an instance has stopped and replaces it: two failed status checks. */
  notice: number;
  /** The minimum time that EC2 bills. */
  minimumBilling: number;
  /** The timeout of the launch lifecycle hook, after which the group replaces a silent instance. */
  launchHook: number;
  /** The time between a refused launch and the group's next attempt. */
  relaunch: number;
  /** Until a group notices that an instance terminated while it was launching. */
  endsAtStart: number;
  /** The time until the group tries another zone, if a zone lacks the instance type. */
  otherZone: number;
  /**
   * How long an instance stays that never became a runner and does not leave by itself, until a person terminates it.
   */
  tidyUp: number;
}

/** The durations of the sandbox's groups, with the idle times of their runners. */
export interface Durations extends GroupDurations {
  /** How long an idle runner waits for a task before it exits. */
  idleTimeout: number;
  /** The maximum by which an instance's number shortens `idleTimeout`. */
  idleSpread: number;
}

/**
 * `boot` includes the installation of what jobs need. A realistic `warmBoot` from a stopped warm pool is 15 to 25 s.
 */
export const DURATIONS: Durations = {
  request: 3,
  boot: 90,
  warmBoot: 25,
  warmStop: 30,
  idleClaim: 2.5,
  leaveCall: 5,
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

/** The seconds from pending until a boot has succeeded or failed. */
export function bootSeconds(
  { durations, failedBoot }: { durations: GroupDurations; failedBoot: 'leaves' | 'stays' },
  warm: boolean,
  fault: LaunchFault | undefined,
): number {
  const boot = warm ? durations.warmBoot : durations.boot;
  if (fault === 'failing') return boot / 3;
  if (fault === 'lost') return boot / 2;
  if (fault === 'no-key') return durations.endsAtStart;
  return fault === 'dead' && failedBoot === 'leaves' ? durations.launchHook : boot;
}
