import type { Instance } from './instance.ts';

/**
 * Instances that are billed and are no capacity of their group.
 *
 * A person may move a member to standby, or detach it. Its runner goes on. The group replaces it unless the desired
 * capacity falls with it. When it leaves later, the desired capacity does not fall again: AWS counts it no more. A detached
 * instance powers off.
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-enter-exit-standby.html
 * https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-detach-attach-instances.html
 *
 * Left out: that an instance comes back into service, or is attached again.
 */
export class Outside {
  /** They have terminated themselves in the group, and are not gone. */
  readonly terminating = new Set<Instance>();
  readonly standby = new Set<Instance>();
  readonly detached = new Set<Instance>();

  /** Adds a member that a person takes out. */
  add(instance: Instance, to: 'standby' | 'detached', now: number): void {
    this[to].add(instance);
    instance[`${to}At`] = now;
  }

  delete(instance: Instance): void {
    this.terminating.delete(instance);
    this.standby.delete(instance);
    this.detached.delete(instance);
  }

  get all(): Instance[] {
    return [...this.terminating, ...this.standby, ...this.detached];
  }
}
