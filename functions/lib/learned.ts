/**
 * What a fleet has learned, as a parameter of Systems Manager keeps it from execution to execution. Pure: learned-store.ts
 * reads and writes it. Whatever is lost of it is learned again.
 */

import * as z from 'zod/mini';
import { remember } from './spare-memory.ts';
import type { Arrival, SpareSettings } from './spare-runners.ts';
import { type LaunchDemand, rememberPeak } from './warm-pool.ts';

const Whole = z.int().check(z.minimum(0));
const Times = z.number().check(z.minimum(0));

/** By context: how often numbers of tasks came. */
const Histograms = z.record(
  z.string().check(z.regex(/^[as]\d{1,2}$/)),
  z.readonly(z.array(Times).check(z.maxLength(64))),
);

/** The content of the parameter. Another version of it is nothing that was learned. */
export const Learned = z.object({
  version: z.literal(1),
  /** For `spareRunners: auto`; explained in spare-runners.ts. */
  spares: z.optional(
    z.object({
      at: Whole,
      readySeconds: Whole,
      learnedUntil: Whole,
      fadedAt: Whole,
      arrivals: z.readonly(z.array(z.readonly(z.tuple([Whole, Whole])))),
      counts: z.object({ unclaimed: Whole, running: Whole }),
      seen: Histograms,
      later: z.optional(Histograms),
      laterUntil: z.optional(Whole),
    }),
  ),
  /** For `warmPool: auto`: the largest demand of each of the last days; explained in warm-pool.ts. */
  peaks: z.optional(z.readonly(z.array(z.readonly(z.tuple([Whole, Whole]))).check(z.maxLength(16)))),
});
export type Learned = z.infer<typeof Learned>;

/** Reads the content of the parameter; `undefined` if it has nothing that was learned. */
export function parseLearned(value: string): Learned | undefined {
  try {
    return z.safeParse(Learned, JSON.parse(value)).data;
  } catch {
    return undefined;
  }
}

/** What a fleet learns from: the state after the last poll of an execution. */
interface State {
  poll: {
    arrivals?: readonly Arrival[] | undefined;
    seen?: { unclaimed: number; running: number } | undefined;
  };
  activities: { readySeconds?: number | undefined; launchDemand?: LaunchDemand | undefined };
}

/**
 * What a fleet has learned after the last poll of an execution.
 *
 * @param now Milliseconds since the epoch.
 * @returns The same object if nothing is to be written.
 */
export function learnFrom(
  learned: Learned | undefined,
  { poll: { arrivals = [], seen }, activities: { readySeconds, launchDemand } }: State,
  { spareRunners }: { spareRunners?: Pick<SpareSettings, 'stays'> | undefined },
  now: number,
): Learned | undefined {
  const spares =
    spareRunners === undefined || seen === undefined
      ? learned?.spares
      : remember(
          learned?.spares,
          {
            arrivals,
            counts: { unclaimed: seen.unclaimed, running: seen.running },
            readySeconds,
            stays: spareRunners.stays,
          },
          Math.floor(now / 1_000),
        );
  const peaks = launchDemand === undefined ? learned?.peaks : rememberPeak(learned?.peaks, launchDemand, now);
  if (spares === learned?.spares && peaks === learned?.peaks) return learned;
  return { version: 1, ...(spares && { spares }), ...(peaks && { peaks }) };
}
