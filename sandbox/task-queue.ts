import { JobQueue, NO_JOB } from './group/job-queue.ts';

/** One CircleCI task: a job, or one of the parallel parts of a job. Times are seconds on the agenda's scale. */
export interface Task {
  queuedAt: number;
  durationSeconds: number;
  /** When it was first claimed. */
  startedAt?: number;
  endedAt?: number;
  /** The machine it ran on was taken away before it was done. */
  killed?: boolean;
}

/** The tasks of one resource class, as CircleCI sees them, with the outcome of each. */
export class TaskQueue extends JobQueue {
  readonly tasks: Task[];

  constructor() {
    const tasks: Task[] = [];
    super((job) => tasks[job]?.durationSeconds ?? 0);
    this.tasks = tasks;
  }

  add(task: Task): void {
    this.tasks.push(task);
    this.enqueue();
  }

  /** The task that has waited longest goes to a runner; `undefined` if none waits. */
  claim(now: number): Task | undefined {
    const job = this.take(now);
    return job === NO_JOB ? undefined : this.tasks[job];
  }

  end(task: Task, now: number, outcome: 'done' | 'killed'): void {
    task.endedAt = now;
    if (outcome === 'killed') task.killed = true;
    this.countEnd();
  }

  /** Somebody cancels the tasks that wait. */
  cancelWaiting(now: number): void {
    for (let task = this.claim(now); task !== undefined; task = this.claim(now)) this.end(task, now, 'done');
  }

  override take(now: number): number {
    const job = super.take(now);
    const task = this.tasks[job];
    if (task !== undefined) task.startedAt ??= now;
    return job;
  }

  override finish(job: number, now: number, outcome: 'done' | 'killed'): void {
    const task = this.tasks[job];
    if (task !== undefined) this.end(task, now, outcome);
  }
}
