import type { Faults } from '../sandbox/group/faults.ts';
import type { Priced } from './cost.ts';
import type { JobTable } from './job-table.ts';
import type { Outcome } from './outcome.ts';
import type { PolicyChoice } from './peers.ts';
import type { Samples } from './report/model.ts';
import type { World } from './world.ts';

/** The results of a replay in a thread: figures, or the data of a report's charts. */
export interface TaskResults {
  outcome: Outcome;
  samples: Samples;
}

/** One replay for a thread. */
export interface ReplayTask<Kind extends keyof TaskResults = keyof TaskResults> {
  kind: Kind;
  jobs: JobTable;
  choice: PolicyChoice;
  world: World;
  faults: Faults;
  priced?: Priced | undefined;
  /** For samples: whether to keep the days of a long trace in detail. */
  detailed?: boolean;
}

/** A message to a thread. */
export interface WorkerRequest {
  /** Answers carry the same id, because a thread may still work on a task whose caller has given up. */
  id: number;
  task: ReplayTask;
}

/** A message from a thread: how many jobs have ended, and finally the result, or why there is none. */
export type WorkerMessage<Kind extends keyof TaskResults = keyof TaskResults> = { id: number } & (
  | { ended: number }
  | { result: TaskResults[Kind] }
  | { stalled: string }
);
