import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  SetDesiredCapacityCommand,
} from '@aws-sdk/client-auto-scaling';
import { type Task, TaskQueue } from '../../sandbox/task-queue.ts';

/**
 * Jobs that arrive in real time, and runners for them. The instances of the local AWS do not boot. So each member of the
 * group counts as a runner of one task, which then leaves and lowers the desired capacity.
 */
export class LocalRunners {
  readonly queue = new TaskQueue();
  readonly #autoScaling: AutoScalingClient;
  readonly #groupName: string;
  readonly #busy = new Set<{ task: Task; until: number }>();

  constructor(groupName: string, endpoint: string) {
    this.#groupName = groupName;
    this.#autoScaling = new AutoScalingClient({ endpoint, maxAttempts: 1 });
  }

  arrive(jobs: number, durationSeconds: () => number): void {
    const now = Date.now() / 1_000;
    for (let job = 0; job < jobs; job += 1)
      this.queue.add({ queuedAt: now, durationSeconds: durationSeconds() });
  }

  /** Simulates one second: runners finish, leave and claim. */
  async tick(): Promise<{ desired: number; members: number }> {
    const now = Date.now() / 1_000;
    const done = [...this.#busy].filter(({ until }) => until <= now);
    for (const work of done) {
      this.queue.end(work.task, now, 'done');
      this.#busy.delete(work);
    }
    const before = await this.#describe();
    const desired = Math.max(before.desired - done.length, 0);
    if (desired < before.desired) {
      await this.#autoScaling.send(
        new SetDesiredCapacityCommand({ AutoScalingGroupName: this.#groupName, DesiredCapacity: desired }),
      );
    }
    const members = Math.max(before.members - done.length, 0);
    while (this.#busy.size < members) {
      const task = this.queue.claim(now);
      if (task === undefined) break;
      this.#busy.add({ task, until: now + task.durationSeconds });
    }
    return { desired, members };
  }

  async #describe(): Promise<{ desired: number; members: number }> {
    const answer = await this.#autoScaling.send(
      new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [this.#groupName] }),
    );
    const group = answer.AutoScalingGroups?.[0];
    return { desired: group?.DesiredCapacity ?? 0, members: group?.Instances?.length ?? 0 };
  }
}
