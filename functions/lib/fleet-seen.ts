import type { Inventory } from './inventory.ts';

/** What was read of a fleet to find what it has left behind. */

/** A member of the group. Times are milliseconds since the epoch. */
export interface SeenMember {
  id: string;
  lifecycleState: string;
  /** When its last scaling activity began. Without it, the activities do not go back that far, or were not read. */
  since?: number | undefined;
}

/** An EC2 instance of the fleet, by its tags, in any state. */
export interface SeenInstance {
  id: string;
  state: string;
  /** When it was started last. */
  launchedAt: number;
  /** When it was stopped, if it is stopped and EC2 says so. */
  stoppedAt?: number | undefined;
  /** Whether it has the tag by which EC2 says that the fleet's launch template launched it. Nobody else can set it. */
  fromTemplate: boolean;
  /** The version of the launch template, which has the resource class and the name of its token's secret. */
  templateVersion: string | undefined;
  /** Whether a person tagged it to be left alone. */
  kept: boolean;
}

export interface SeenVolume {
  id: string;
  createdAt: number;
  /** Since when it is known to be detached; `undefined` if a repair has not marked it yet. */
  detachedAt: number | undefined;
  gib: number;
  kept: boolean;
}

/** All that was read of a fleet. What could not be read is `undefined`. */
export interface FleetSeen {
  members: SeenMember[];
  instances: SeenInstance[] | undefined;
  /** Instances of the fleet that are no members, and are in another group or in a warm pool. */
  inOtherGroups: ReadonlySet<string> | undefined;
  inventory: Inventory;
  /** Instances of this account and region that are not of the fleet, and whose id is the name of a runner. */
  foreign: ReadonlySet<string> | undefined;
  /** When the resource class token, which instances read when they start, was stored. */
  tokenStoredAt: number | undefined;
  /** Volumes of the fleet that are attached to no instance. */
  volumes: SeenVolume[] | undefined;
  /** Network interfaces with the fleet's security groups that are attached to no instance. */
  interfaces: string[] | undefined;
  /** Versions of the launch template that nothing uses, of those that may be deleted, the oldest first. */
  versions: { template: string; unused: number[] } | undefined;
}
