import type { EventKind } from './events.ts';
import type { Instance } from './instance.ts';

/** CircleCI removes a runner from the list when it has sent nothing for this time, in seconds. */
const LISTED_SECONDS = 12 * 3_600;

interface Connected {
  name: string;
  firstConnected: number;
  /** Infinity while it is connected. */
  disconnected: number;
  lastUsed: number | undefined;
}

/**
 * The runners that have connected to CircleCI, from a group's events. A runner whose token is of another resource class
 * never connects.
 */
export class ConnectedRunners {
  readonly #runners = new Map<string, Connected>();

  /** Call this with each event of the group. */
  add(kind: EventKind, at: number, instance: Instance | undefined): void {
    if (instance === undefined || instance.inPool || instance.deaf) return;
    const { id } = instance;
    if (kind === 'ready') {
      const connected = {
        name: id,
        firstConnected: at,
        disconnected: Number.POSITIVE_INFINITY,
        lastUsed: undefined,
      };
      this.#runners.set(id, connected);
    }
    const runner = this.#runners.get(id);
    if (runner === undefined) return;
    if (kind === 'claims') runner.lastUsed = at;
    if (kind === 'leaves') runner.disconnected = at;
  }

  /** The runners that are listed at a time. Those that are listed no more are forgotten. */
  at(now: number): (Omit<Connected, 'disconnected'> & { lastConnected: number })[] {
    for (const [id, { disconnected }] of this.#runners)
      if (disconnected < now - LISTED_SECONDS) this.#runners.delete(id);
    return [...this.#runners.values()].map(({ name, firstConnected, lastUsed, disconnected }) => ({
      name,
      firstConnected,
      lastUsed,
      lastConnected: Math.min(disconnected, now),
    }));
  }
}
