/** One CircleCI task: a job, or one of the parallel parts of a job. Times are seconds on the agenda's scale. */
export interface Task {
  queuedAt: number;
  durationSeconds: number;
  startedAt?: number;
  endedAt?: number;
  /** The machine it ran on was taken away before it was done. */
  killed?: boolean;
}

/** The tasks of one resource class, as CircleCI sees them: first queued, first claimed. */
export class TaskQueue {
  readonly tasks: Task[] = [];
  #firstWaiting = 0;
  #running = 0;
  #ended = 0;

  get unclaimed(): number {
    return this.tasks.length - this.#firstWaiting;
  }

  get running(): number {
    return this.#running;
  }

  get ended(): number {
    return this.#ended;
  }

  add(task: Task): void {
    this.tasks.push(task);
  }

  /** The task that has waited longest goes to a runner; `undefined` if none waits. */
  claim(now: number): Task | undefined {
    const task = this.tasks[this.#firstWaiting];
    if (task === undefined) return undefined;
    this.#firstWaiting += 1;
    this.#running += 1;
    task.startedAt = now;
    return task;
  }

  end(task: Task, now: number, outcome: 'done' | 'killed'): void {
    this.#running -= 1;
    this.#ended += 1;
    task.endedAt = now;
    if (outcome === 'killed') task.killed = true;
  }
}
