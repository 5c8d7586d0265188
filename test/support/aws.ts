import { beforeEach } from 'vitest';
import { Agenda } from '../../sandbox/agenda.ts';
import { AutoScalingGroup } from '../../sandbox/auto-scaling-group.ts';
import { Aws, type AwsClients } from '../../sandbox/aws.ts';
import { DURATIONS } from '../../sandbox/group/durations.ts';
import { TaskQueue } from '../../sandbox/task-queue.ts';

let secretNumber = 0;

/** A name that no test used before: the functions cache for minutes what they read. */
export const newSecretName = () => `circleci-runner-autoscaler/linux-${++secretNumber}/scaler`;

/** Embedded AWS for all tests of a file, with clients for it. Its faults are cleared before each test. */
export async function embeddedAws(): Promise<AwsClients & { aws: Aws }> {
  const aws = new Aws();
  beforeEach(() => {
    aws.fault = () => undefined;
    aws.calls.clear();
  });
  return { aws, ...(await aws.clients()) };
}

/** An empty group of that name, which is the only one in the embedded AWS, and the agenda of its events. */
export function embeddedGroup(aws: Aws, name: string): { agenda: Agenda; group: AutoScalingGroup } {
  const agenda = new Agenda();
  const group = new AutoScalingGroup(
    { name, minSize: 0, maxSize: 10, durations: DURATIONS, newInstancesProtectedFromScaleIn: true },
    agenda,
    new TaskQueue(),
  );
  aws.groups.clear();
  aws.groups.set(name, group);
  return { agenda, group };
}
