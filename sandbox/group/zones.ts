import type { RefusedLaunch } from './faults.ts';

/** How many zones a group has. Its instances are all shown in the first one. */
const ZONES = 3;

/**
 * The tries in other zones, after a zone refused a launch because it lacks the instance type. A group tries its zones one
 * after the other, as `balanced-best-effort` does:
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-availability-zone-balanced.html
 */
export class Zones {
  /** Launches that are about to be tried in another zone. */
  changing = 0;
  /** Launches that are tried in another zone now. */
  #elsewhere = 0;
  /** How many zones have refused since the last round of tries began. */
  #refused = 0;

  /** Whether the launch that is drawn now is a try in another zone. */
  isElsewhere(): boolean {
    const elsewhere = this.#elsewhere > 0;
    this.#elsewhere = Math.max(this.#elsewhere - 1, 0);
    return elsewhere;
  }

  /** A launch is about to be tried in another zone. */
  leave(): void {
    this.changing += 1;
  }

  /** It is tried there. */
  arrive(): void {
    this.changing -= 1;
    this.#elsewhere += 1;
  }

  /** Whether a zone is left, for a launch that was refused for this reason. */
  oneIsLeft(fault: RefusedLaunch): boolean {
    if (fault !== 'no-type') return false;
    this.#refused = (this.#refused + 1) % ZONES;
    return this.#refused > 0;
  }
}
