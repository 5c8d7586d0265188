/**
 * A property that holds without being tried once so many milliseconds have passed. `interruptAfterTimeLimit` of
 * fast-check would let the run that is under way go on in the background, where it disturbs the next test.
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
