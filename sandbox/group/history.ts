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

function stateAt(
  then: number,
  { readyAt, standbyAt, leftAt }: Pick<Instance, 'readyAt' | 'standbyAt' | 'leftAt'>,
) {
  if (leftAt <= then) return 'Terminating';
  if (standbyAt <= then) return 'Standby';
  return readyAt <= then ? 'InService' : 'Pending';
}

/** The states of a group in the last minute, from its events. */
export class GroupHistory {
  readonly #desires = new Fifo<{ at: number; desired: number }>();
  readonly #ended = new Fifo<Instance>();

  /** Call this with each event of the group. */
  add(kind: EventKind, at: number, instance: Instance | undefined, value: number): void {
    const forgotten = at - REMEMBERED_SECONDS;
    if (kind === 'desired') {
      this.#desires.push({ at, desired: value });
      while ((this.#desires.second?.at ?? at) < forgotten) this.#desires.shift();
    }
    if (kind === 'ends' && instance !== undefined) {
      this.#ended.push(instance);
      while ((this.#ended.first?.goneAt ?? at) < forgotten) this.#ended.shift();
    }
  }

  /**
   * The group at an earlier time, at most `REMEMBERED_SECONDS` ago.
   *
   * @param billed The current members, and instances that are terminating.
   */
  at(then: number, billed: Iterable<Instance>): GroupView {
    const desires = this.#desires.toArray();
    const desire = desires.findLast(({ at }) => at <= then) ?? desires[0];
    return {
      desired: desire?.desired ?? 0,
      instances: [...this.#ended.toArray(), ...billed]
        .filter(
          ({ pendingAt, detachedAt, goneAt }) => pendingAt <= then && detachedAt > then && goneAt > then,
        )
        .map(({ id, protectedFromScaleIn, readyAt, standbyAt, leftAt }) => ({
          id,
          state: stateAt(then, { readyAt, standbyAt, leftAt }),
          protectedFromScaleIn,
        })),
    };
  }
}
