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

/**
 * How an AWS SDK client connects, with its deadlines in milliseconds. The SDK has agents of its own, and of those only Node's
 * global one uses the proxy of the environment by itself (https://nodejs.org/docs/latest-v24.x/api/http.html#built-in-proxy-support).
 */
export const connection = (connectionTimeout: number, requestTimeout: number, environment = process.env) => ({
  connectionTimeout,
  requestTimeout,
  throwOnRequestTimeout: true,
  ...(environment.NODE_USE_ENV_PROXY === '1' && { httpsAgent: { proxyEnv: environment } }),
});

/** How every AWS SDK client connects. */
export const connectionSettings = { requestHandler: connection(1_000, 3_000) };

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
