import { parentPort, workerData } from 'node:worker_threads';
import { ReplayStalled } from './replay.ts';
import { simulateOne, type WorkerMessage, type WorkerTask } from './simulate.ts';

/** One replay in a thread of its own. */

/** How often it tells how far it is, in milliseconds. */
const TELL_EVERY = 100;

const say = (message: WorkerMessage) => parentPort?.postMessage(message);

const { jobs, choice, world, faults, priced } = workerData as WorkerTask;
let toldAt = 0;
try {
  const progress = (ended: number) => {
    const now = performance.now();
    if (now - toldAt < TELL_EVERY) return;
    toldAt = now;
    say({ ended });
  };
  const outcome = simulateOne(jobs, choice, world, { faults, priced, progress });
  say({ outcome });
} catch (error) {
  if (!(error instanceof ReplayStalled)) throw error;
  say({ stalled: error.message });
}
