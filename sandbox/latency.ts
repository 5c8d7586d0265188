import { setTimeout as pause } from 'node:timers/promises';

/** How long a request travels, and then its answer, in seconds. */
export type Latency = readonly [request: number, answer: number];

export const NO_LATENCY: Latency = [0, 0];

/** Resolves after this many seconds. */
export type Sleep = (seconds: number) => Promise<void>;

/** On the machine's own clock. */
export const sleepReally: Sleep = (seconds) => pause(seconds * 1_000);

/** Sleeps, and rejects as `fetch` does if the signal aborts before. */
export async function sleepUnlessAborted(
  sleep: Sleep,
  seconds: number,
  signal: AbortSignal | null | undefined,
): Promise<void> {
  if (seconds > 0) await Promise.race([sleep(seconds), rejectedOnAbort(signal)]);
  signal?.throwIfAborted();
}

/** Never resolves. */
export function rejectedOnAbort(signal: AbortSignal | null | undefined): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** Steps of the golden ratio: they look random, and are the same in each sandbox. */
export function evenlySpread(): () => number {
  let draws = 0;
  return () => (++draws * 0.618_033_988_75) % 1;
}
