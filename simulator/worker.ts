import { parentPort } from 'node:worker_threads';
import { ReplayStalled } from './replay.ts';
import { samplesOf } from './report/samples.ts';
import { simulateOne } from './simulate.ts';
import type { ReplayTask, TaskResults, WorkerMessage, WorkerRequest } from './task.ts';

/** The code of a thread, which performs one task after the other. See `threads.ts`. */

/** How often it reports its progress, in milliseconds. */
const REPORT_EVERY = 100;

const answer = (message: WorkerMessage) => parentPort?.postMessage(message);

parentPort?.on('message', ({ id, task }: WorkerRequest) => {
  let reportedAt = performance.now();
  const progress = (ended: number) => {
    const now = performance.now();
    if (now - reportedAt < REPORT_EVERY) return;
    reportedAt = now;
    answer({ id, ended });
  };
  try {
    answer({ id, result: perform(task, progress) });
  } catch (error) {
    if (!(error instanceof ReplayStalled)) throw error;
    answer({ id, stalled: error.message });
  }
});

function perform(
  { kind, jobs, choice, world, faults, priced, detailed }: ReplayTask,
  progress: (ended: number) => void,
): TaskResults[typeof kind] {
  if (kind === 'samples') return samplesOf(jobs, choice, world, { faults, progress, priced, detailed });
  return simulateOne(jobs, choice, world, { faults, priced, progress });
}
