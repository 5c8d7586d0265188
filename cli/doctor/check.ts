import type { FleetConfig } from '../../fleets/load.ts';
import type { DeployedSettings } from '../../functions/lib/contracts.ts';
import type { FleetGroup } from '../deployed/groups.ts';

/** What a check has found, as one line. */
export interface Finding {
  level: 'ok' | 'warn' | 'fail';
  /** The fleet that it is about; without it, the account or the app. */
  fleet?: string;
  says: string;
  /** What to do. */
  remedy?: string;
}

/** What all checks look at. */
export interface CheckContext {
  app: string;
  /** The fleets of fleets.yaml; empty with `--deployed-only`. */
  fleets: FleetConfig[];
  /** The names of all fleets of fleets.yaml; `undefined` with `--deployed-only`. */
  inFile: string[] | undefined;
  /** The groups of deployed fleets; empty before the first deployment. */
  groups: FleetGroup[];
  /** The settings of deployed fleets. */
  settings: Map<string, DeployedSettings>;
  /** When those were deployed, in milliseconds since the epoch, as far as AWS says it. */
  deployedAt: ReadonlyMap<string, number>;
  /** Milliseconds since the epoch. */
  now: number;
}

/** One check: a small module reads from AWS or CircleCI, and a pure function makes findings of it. */
export interface Check {
  /** Names it in the output, such as `schedules`. */
  name: string;
  run: (surroundings: CheckContext) => Promise<Finding[]>;
}

export const ok = (says: string, fleet?: string): Finding => ({
  level: 'ok',
  says,
  ...(fleet !== undefined && { fleet }),
});

export const bad = (level: 'warn' | 'fail', says: string, remedy: string, fleet?: string): Finding => ({
  level,
  says,
  remedy,
  ...(fleet !== undefined && { fleet }),
});
