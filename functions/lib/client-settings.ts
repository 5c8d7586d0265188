import type { AutoScalingClientConfig } from '@aws-sdk/client-auto-scaling';
import { isLost } from './lost-connections.ts';

type RetryStrategy = Extract<
  NonNullable<AutoScalingClientConfig['retryStrategy']>,
  { refreshRetryTokenForRetry: unknown }
>;

const attempt = (retries: number) => ({ getRetryCount: () => retries, getRetryDelay: () => 0 });

/**
 * Sends a request once more, at once, if its connection was lost while Lambda had the function frozen. The SDK's own
 * strategy treats such an error as a timeout, and with one attempt it does not retry it. What the functions write may be
 * written twice.
 */
const onceMoreIfLost: RetryStrategy = {
  acquireInitialRetryToken: async () => attempt(0),
  refreshRetryTokenForRetry: async (token, { error }) => {
    if (token.getRetryCount() > 0 || !isLost(error)) throw error;
    return attempt(1);
  },
  recordSuccess: () => {},
};

/** How every AWS SDK client connects. */
export const connectionSettings = {
  requestHandler: { connectionTimeout: 1_000, requestTimeout: 3_000, throwOnRequestTimeout: true },
};

/**
 * Settings of every AWS SDK client of a step: one attempt with a deadline, because retries live in the workflow
 * (two layers of retries multiply, and the time a step may take could not be computed any more). Only a lost connection
 * is opened again, which takes no time.
 */
export const clientSettings = {
  ...connectionSettings,
  maxAttempts: 1,
  retryStrategy: onceMoreIfLost,
};
