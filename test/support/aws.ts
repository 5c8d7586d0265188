import { beforeAll, beforeEach } from 'vitest';
import { Aws } from '../../sandbox/aws.ts';

let secretNumber = 0;

/** A name that no test used before: the functions keep what they read for minutes. */
export const newSecretName = () => `circleci-runner-autoscaler/linux-${++secretNumber}/scaler`;

/** Points the functions' AWS clients at the embedded AWS for all tests of a file, and clears its faults before each. */
export function embeddedAws(): Aws {
  const aws = new Aws();
  beforeAll(() => aws.install());
  beforeEach(() => {
    aws.fault = () => undefined;
    aws.calls.clear();
  });
  return aws;
}
