import type { EventKind } from './events.ts';
import { Fifo } from './fifo.ts';
import type { Instance, InstanceState } from './instance.ts';

/** How long a group's past is kept, in seconds. */
export const REMEMBERED_SECONDS = 60;

/** A group as `DescribeAutoScalingGroups` shows it. */
export interface GroupView {
  desired: number;
  /** Members that EC2 lists. */
  instances: { id: string; state: InstanceState; protectedFromScaleIn: boolean }[];
}

/** The states of a group in the last minute, from its events. */
export class History {
  readonly #desires = new Fifo<{ at: number; desired: number }>();
  readonly #left = new Fifo<Instance>();

  /** Call this with each event of the group. */
  add(kind: EventKind, at: number, instance: Instance | undefined, value: number): void {
    const forgotten = at - REMEMBERED_SECONDS;
    if (kind === 'desired') {
      this.#desires.push({ at, desired: value });
      while ((this.#desires.second?.at ?? at) < forgotten) this.#desires.shift();
    }
    if (kind === 'leaves' && instance !== undefined && !instance.inPool) {
      this.#left.push(instance);
      while ((this.#left.first?.leftAt ?? at) < forgotten) this.#left.shift();
    }
  }

  /**
   * The group at an earlier time, at most `REMEMBERED_SECONDS` ago.
   *
   * @param members The current members.
   */
  at(then: number, members: Iterable<Instance>): GroupView {
    const desires = this.#desires.toArray();
    const desire = desires.findLast(({ at }) => at <= then) ?? desires[0];
    return {
      desired: desire?.desired ?? 0,
      instances: [...this.#left.toArray(), ...members]
        .filter(({ pendingAt, leftAt }) => pendingAt <= then && leftAt > then)
        .map(({ id, protectedFromScaleIn, readyAt }) => ({
          id,
          state: readyAt <= then ? 'InService' : 'Pending',
          protectedFromScaleIn,
        })),
    };
  }
}
