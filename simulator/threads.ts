import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { ReplayStalled } from './replay.ts';
import type { ReplayTask, TaskResults, WorkerMessage } from './task.ts';

/** Threads are worth their start once a process replays more jobs than this. */
const FEW_JOBS = 50_000;

/** One per core. They start when they are first needed, and live as long as the process. */
let workers: Promise<Worker[]> | undefined;

let replayedHere = 0;

let orders = 0;

/**
 * Whether to replay this many more jobs in threads. Bundling and starting threads takes as long as replaying 50,000
 * jobs. A process that has replayed that many is likely to replay more.
 */
export function areMany(jobs: number): boolean {
  if (workers !== undefined) return true;
  replayedHere += jobs;
  return replayedHere > FEW_JOBS;
}

/**
 * Performs tasks on all cores. The results are in the order of the tasks, and do not depend on the number of cores.
 *
 * @param progress Reports how many jobs have ended, over all tasks.
 * @throws ReplayStalled
 */
export async function inThreads<Kind extends keyof TaskResults>(
  tasks: readonly ReplayTask<Kind>[],
  progress: (ended: number) => void,
): Promise<TaskResults[Kind][]> {
  workers ??= startWorkers();
  const ended = tasks.map(() => 0);
  const results: TaskResults[Kind][] = [];
  const waiting = [...tasks.entries()];
  const work = async (worker: Worker) => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, task] = next;
      const count = (number: number) => {
        ended[index] = number;
        progress(ended.reduce((sum, some) => sum + some, 0));
      };
      results[index] = await perform(worker, task, count);
      count(task.jobs.length);
    }
  };
  await Promise.all((await workers).map(work));
  return results;
}

async function startWorkers(): Promise<Worker[]> {
  // The package has the bundle. In the repository there is none.
  const prebuilt = new URL('./worker.cjs', import.meta.url);
  const code = existsSync(prebuilt) ? readFileSync(prebuilt, 'utf8') : await bundleWorker();
  return Array.from({ length: availableParallelism() }, () => {
    const worker = new Worker(code, { eval: true });
    // An idle thread does not keep the process alive.
    worker.unref();
    return worker;
  });
}

/** Bundles the code of the threads, because loading TypeScript in each of them takes longer than many replays. */
export async function bundleWorker(): Promise<string> {
  // Imported here, so that replays of few jobs do not load the bundler.
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('./worker.ts', import.meta.url))],
    bundle: true,
    write: false,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    external: ['esbuild'],
    logLevel: 'silent',
  });
  return outputFiles[0]?.text ?? '';
}

function perform<Kind extends keyof TaskResults>(
  worker: Worker,
  task: ReplayTask<Kind>,
  progress: (ended: number) => void,
): Promise<TaskResults[Kind]> {
  orders += 1;
  const id = orders;
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => {
      worker.off('message', onMessage).off('error', onError).off('exit', onExit).unref();
      end();
    };
    const onMessage = (message: WorkerMessage<Kind>) => {
      if (message.id !== id) return;
      if ('ended' in message) progress(message.ended);
      else if ('result' in message) settle(() => resolve(message.result));
      else settle(() => reject(new ReplayStalled(message.stalled)));
    };
    const onError = (error: unknown) => settle(() => reject(error));
    const onExit = (code: number) =>
      settle(() => reject(new Error(`The thread for ${task.choice.name} ended with ${code}`)));
    worker.on('message', onMessage).on('error', onError).on('exit', onExit).ref();
    worker.postMessage({ id, task });
  });
}
