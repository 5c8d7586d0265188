/** The error of the AWS SDK, which Powertools wraps in one of its own. */
export const sdkError = (error: unknown): Error =>
  error instanceof Error && error.cause instanceof Error ? error.cause : (error as Error);
