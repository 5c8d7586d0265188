import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  SetDesiredCapacityCommand,
} from '@aws-sdk/client-auto-scaling';
import type { ListedRunner } from '../../functions/lib/inventory.ts';
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
  /** The members as CircleCI lists them, by instance. */
  readonly #listed = new Map<string, ListedRunner>();

  constructor(groupName: string, endpoint: string) {
    this.#groupName = groupName;
    this.#autoScaling = new AutoScalingClient({ endpoint, maxAttempts: 1 });
  }

  arrive(jobs: number, durationSeconds: () => number): void {
    const now = Date.now() / 1_000;
    for (let job = 0; job < jobs; job += 1)
      this.queue.add({ queuedAt: now, durationSeconds: durationSeconds() });
  }

  /** The runners that CircleCI lists. */
  listed(): ListedRunner[] {
    return [...this.#listed.values()].map((runner) => ({ ...runner, lastConnected: Date.now() }));
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
    const members = Math.max(before.instances.length - done.length, 0);
    this.#connect(before.instances);
    while (this.#busy.size < members) {
      const task = this.queue.claim(now);
      if (task === undefined) break;
      this.#busy.add({ task, until: now + task.durationSeconds });
      const idle = [...this.#listed.values()].find(({ lastUsed }) => lastUsed === undefined);
      if (idle !== undefined) idle.lastUsed = now * 1_000;
    }
    return { desired, members };
  }

  #connect(instances: string[]): void {
    for (const name of this.#listed.keys()) if (!instances.includes(name)) this.#listed.delete(name);
    for (const name of instances)
      if (!this.#listed.has(name))
        this.#listed.set(name, { name, firstConnected: Date.now(), lastConnected: Date.now() });
  }

  async #describe(): Promise<{ desired: number; instances: string[] }> {
    const answer = await this.#autoScaling.send(
      new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [this.#groupName] }),
    );
    const group = answer.AutoScalingGroups?.[0];
    return {
      desired: group?.DesiredCapacity ?? 0,
      instances: (group?.Instances ?? []).flatMap(({ InstanceId }) => InstanceId ?? []),
    };
  }
}
