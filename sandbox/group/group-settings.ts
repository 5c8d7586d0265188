import type { LaunchFault } from './faults.ts';
import type { RunnerSettings } from './runners.ts';

/** How an instance leaves: who lowers the desired capacity, and when. */
export type Leaving =
  /** The instance terminates itself in its group, which lowers the desired capacity at once. It is gone seconds later. */
  | 'decrements'
  /** The instance detaches itself immediately, which lowers the desired capacity, and then terminates. */
  | 'detaches'
  /** The instance stops. The group notices it later, and replaces it if the desired capacity still counts it. */
  | 'stops';

export interface GroupModelSettings extends RunnerSettings {
  /** The date of second 0 of the agenda, in milliseconds since the epoch. Activities have dates. */
  startsAt: number;
  /** Leaving instances do not lower the desired capacity below this. */
  minSize: number;
  /** Whether a lower desired capacity cancels only launches that have not started. */
  protectedFromScaleIn: boolean;
  /** The number of instances that are On-Demand, and the On-Demand percentage of the others. */
  onDemand: { base: number; percentage: number };
  leaving: Leaving;
  /**
   * Whether an instance that never becomes a runner leaves: by itself if its boot fails, by its launch hook if it never
   * reports. Otherwise it stays until a person terminates it.
   */
  failedBoot: 'leaves' | 'stays';
  /** The size of the warm pool, which is full at the start. */
  warmPool: number;
  /** Called once per launch for its fault. Launches into the warm pool are On-Demand. */
  launchFault: (now: number, onDemand: boolean) => LaunchFault | undefined;
  /** Called once per Spot instance for the seconds until EC2 takes it back; Infinity if it never does. */
  interruptedAfter: () => number;
}
