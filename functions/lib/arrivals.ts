/** What the polls of a fleet that learns how many spare runners to keep see of its tasks. Pure. */

import type { Situation } from './capacity.ts';
import type { PollSettings, PollState } from './contracts.ts';
import { arrivedBetween, lastCounts, sparesThatPay } from './spare-runners.ts';

/** Adds what arrived since the poll before, if the fleet learns from it. */
export function withArrivals(
  state: PollState,
  { unclaimed, running }: Pick<Situation, 'unclaimed' | 'running'>,
  { desired, members }: Pick<Situation, 'desired' | 'members'>,
  { spareRunners, learned }: Pick<PollSettings, 'spareRunners' | 'learned'>,
  now: number,
): PollState {
  if (spareRunners === undefined) return state;
  const { poll } = state;
  const at = Math.floor(now / 1_000);
  const before = poll.seen ?? lastCounts(learned?.spares, at);
  const tasks = arrivedBetween(before, { unclaimed, running, desired, members });
  return tasks === 0
    ? state
    : { ...state, poll: { ...poll, arrivals: [...(poll.arrivals ?? []), [at, tasks] as const] } };
}

/** How many spare runners to keep, if the fleet learns that. */
export const sparesOf = (
  { poll }: PollState,
  { spareRunners, learned }: Pick<PollSettings, 'spareRunners' | 'learned'>,
  now: number,
) =>
  spareRunners && sparesThatPay(learned?.spares, poll.arrivals ?? [], spareRunners, Math.floor(now / 1_000));
