import { availableParallelism } from 'node:os';
import { setImmediate as giveWay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { type Faults, NO_FAULTS } from '../sandbox/group/faults.ts';
import type { Priced } from './cost.ts';
import { type Jobs, type JobTable, tableOf } from './job-table.ts';
import { type Outcome, outcomeOf } from './outcome.ts';
import { type PolicyChoice, policyOf } from './peers.ts';
import { type ReplayOptions, ReplayStalled, replay } from './replay.ts';
import type { World } from './world.ts';

/** What a worker is given. */
export interface WorkerTask {
  jobs: JobTable;
  choice: PolicyChoice;
  world: World;
  faults: Faults;
  priced: Priced | undefined;
}

/** What a worker says: how many jobs have ended, and at last the outcome, or why there is none. */
export type WorkerMessage = { ended: number } | { outcome: Outcome } | { stalled: string };

/** So few jobs, over all policies, are replayed before a worker would have started. */
const FEW_JOBS = 50_000;

/** Replays the jobs under one policy. */
export function simulateOne(
  jobs: Jobs,
  choice: PolicyChoice,
  world: World,
  { priced, ...options }: Pick<ReplayOptions, 'faults' | 'progress'> & { priced?: Priced | undefined } = {},
): Outcome {
  const table = tableOf(jobs);
  return outcomeOf(
    choice.name,
    table,
    replay(table, policyOf(choice, world.startsAt), world, options),
    priced,
  );
}

/**
 * Replays the jobs under each policy, over all cores if there is much to do. The outcomes are in the order of the
 * policies, and the same whatever the number of cores.
 *
 * @param options.progress Told how many jobs have ended, of all policies together.
 * @throws ReplayStalled
 */
export async function simulate(
  jobs: Jobs,
  choices: readonly PolicyChoice[],
  world: World,
  {
    faults = NO_FAULTS,
    priced,
    progress = () => undefined,
  }: { faults?: Faults; priced?: Priced; progress?: (ended: number) => void } = {},
): Promise<Outcome[]> {
  if (jobs.length * choices.length <= FEW_JOBS) {
    const few: Outcome[] = [];
    for (const choice of choices) {
      few.push(simulateOne(jobs, choice, world, { faults, priced }));
      progress(few.length * jobs.length);
      // Node.js handles Ctrl-C between two turns of its event loop.
      await giveWay();
    }
    return few;
  }
  const table = tableOf(jobs);
  const ended = choices.map(() => 0);
  const outcomes: Outcome[] = [];
  const waiting = [...choices.entries()];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, choice] = next;
      outcomes[index] = await inWorker({ jobs: table, choice, world, faults, priced }, (number) => {
        ended[index] = number;
        progress(ended.reduce((sum, some) => sum + some, 0));
      });
    }
  };
  const workers = Math.min(availableParallelism(), choices.length);
  await Promise.all(Array.from({ length: workers }, work));
  return outcomes;
}

function inWorker(task: WorkerTask, progress: (ended: number) => void): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./worker.mjs', import.meta.url), { workerData: task });
    worker.on('message', (message: WorkerMessage) => {
      if ('ended' in message) progress(message.ended);
      else if ('outcome' in message) resolve(message.outcome);
      else reject(new ReplayStalled(message.stalled));
    });
    worker.on('error', reject);
    worker.on('exit', (code) => reject(new Error(`The worker for ${task.choice.name} ended with ${code}`)));
  });
}
