/**
 * Settings of each client of AWS that a command makes, so that a dead endpoint ends the command within seconds: the SDK
 * itself sets no deadline. A read may be tried again, because a person waits for it and throttling is usual.
 */
export const AWS_CLIENT = {
  requestHandler: {
    connectionTimeout: 3_000,
    requestTimeout: 10_000,
    throwOnRequestTimeout: true,
  },
};
