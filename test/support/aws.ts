import { beforeEach } from 'vitest';
import { Aws, type AwsClients } from '../../sandbox/aws.ts';

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
