/**
 * A property that passes without being checked once the time is over. `interruptAfterTimeLimit` of fast-check would
 * leave the current run in the background, where it disturbs the next test.
 */
export function tryFor<Values extends unknown[]>(
  milliseconds: number,
  holds: (...values: Values) => Promise<void>,
): (...values: Values) => Promise<void> {
  const startedAt = performance.now();
  return async (...values) => {
    if (performance.now() - startedAt < milliseconds) await holds(...values);
  };
}
