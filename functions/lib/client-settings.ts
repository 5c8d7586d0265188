/**
 * Settings of every AWS SDK client: one attempt with a deadline, because retries live in the workflow
 * (two layers of retries multiply, and the time a step may take could not be computed any more).
 */
export const clientSettings = {
  maxAttempts: 1,
  requestHandler: { connectionTimeout: 1_000, requestTimeout: 3_000, throwOnRequestTimeout: true },
};
