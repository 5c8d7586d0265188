import type { Faults } from '../sandbox/group/faults.ts';
import type { Priced } from './cost.ts';
import type { JobTable } from './job-table.ts';
import type { Outcome } from './outcome.ts';
import type { PolicyChoice } from './peers.ts';
import type { Samples } from './report/model.ts';
import type { World } from './world.ts';

/** What a replay in a thread can come to: figures, or what a report draws. */
export interface TaskResults {
  outcome: Outcome;
  samples: Samples;
}

/** One replay for a thread. */
export interface Task<Kind extends keyof TaskResults = keyof TaskResults> {
  kind: Kind;
  jobs: JobTable;
  choice: PolicyChoice;
  world: World;
  faults: Faults;
  priced?: Priced | undefined;
}

/** A task as a thread gets it. */
export interface WorkerRequest {
  /** A thread may still be at work for a caller that has given up: its answers name what they answer. */
  id: number;
  task: Task;
}

/** What a thread answers: how many jobs have ended, and at last the result, or why there is none. */
export type WorkerMessage<Kind extends keyof TaskResults = keyof TaskResults> = { id: number } & (
  | { ended: number }
  | { result: TaskResults[Kind] }
  | { stalled: string }
);
