import type { FleetConfig } from '../fleets/load.ts';

/** The fleets of an app in their order, to which fleets are added until the app is complete. */
export class AllFleets {
  private readonly added: FleetConfig[] = [];
  private waiting: ((fleets: FleetConfig[]) => void)[] = [];

  add(fleet: FleetConfig): void {
    this.added.push(fleet);
  }

  /** Has something done as soon as all fleets are known. */
  whenComplete(act: (fleets: FleetConfig[]) => void): void {
    this.waiting.push(act);
  }

  /** Says that no fleet comes any more. Gives all of them. */
  complete(): FleetConfig[] {
    const { added, waiting } = this;
    this.waiting = [];
    for (const act of waiting) act(added);
    return added;
  }
}
