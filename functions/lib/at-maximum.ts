/** Whether tasks wait for nothing but what the fleet's settings allow. Pure. */

import { type Decision, largestSize, presentIn, type Situation } from './capacity.ts';

/**
 * Whether tasks wait for nothing but `maxReplicas`, or `affordable` if that is less. The supply decides, not the demand: a
 * backlog that is larger than `maxReplicas` says nothing about whether instances come and work.
 *
 * - Tasks wait, and with those that run they are more than `maxReplicas`.
 * - The desired capacity is `maxReplicas` after this poll, and the members were as many as the desired capacity
 *   before it. They are compared with that, because each instance that leaves lowers both until the next poll.
 * - Tasks run on at least half of the members in service. The others may have booted a moment ago, or be about to leave.
 *
 * The plan's concurrency is such a maximum, too: if as many tasks run as it leaves to the fleet, the others wait for it.
 */
export function isAtMaximum(
  situation: Situation,
  { from, desired }: Pick<Decision, 'from' | 'desired'>,
): boolean {
  const { unclaimed, running, members, concurrency = Number.POSITIVE_INFINITY } = situation;
  // What the plan lets run, runs.
  if (unclaimed > 0 && running >= concurrency) return true;
  const working = running > 0 && 2 * running >= members.inService;
  return working && isFull(situation, { from, desired });
}

/** Whether tasks wait, and the group has all members that it may have, whatever they do. */
function isFull(situation: Situation, { from, desired }: Pick<Decision, 'from' | 'desired'>): boolean {
  const { unclaimed, running, members } = situation;
  const largest = largestSize(situation);
  const limited = unclaimed > 0 && unclaimed + running > largest;
  return limited && desired >= largest && presentIn(members) >= Math.min(from, largest);
}

/** Longer than almost any boot, and shorter than the alarm Saturated takes to ring, in seconds. */
const LONG_BOOT = 420;

/**
 * Whether a fleet is at its maximum with all its members that run no task booting, for no longer than boots take, after a
 * launch that succeeded. Few members may all end their tasks at the same time.
 *
 * @param bootSeconds For how long the oldest one boots; `undefined` if the last launch failed.
 */
export const bootsAtMaximum = (
  situation: Situation,
  decision: Pick<Decision, 'from' | 'desired'>,
  { bootSeconds }: { bootSeconds?: number | undefined },
): boolean =>
  situation.members.pending > 0 &&
  situation.members.inService <= situation.running &&
  bootSeconds !== undefined &&
  bootSeconds < LONG_BOOT &&
  isFull(situation, decision);
