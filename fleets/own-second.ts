import { createHash } from 'node:crypto';

/** A fleet with at least this `pollInterval`, in seconds, is spread over as many seconds. Others are spread over half. */
const LONG_INTERVAL_SECONDS = 10;

/**
 * The second after the start of its executions in which a fleet's first function runs. The workflow computes the same
 * from the input of the execution, before it has read anything: see "Own Second?" in autoscale.asl.json.
 */
export function firstSecond(fleet: string): number {
  const fifths = ['33333333', '66666666', '99999999', 'cccccccc'];
  const hash = hashOf(fleet);
  return fifths.filter((end) => hash >= end).length;
}

/**
 * The second after the start of its executions from which a fleet polls. Schedules that were deployed together start in
 * the same second. The gaps between the polls of a fleet stay the same, so no job waits longer. A longer wait would cost:
 * Step Functions bills it.
 */
export function spreadSeconds(fleet: string, pollIntervalSeconds: number): number {
  const later = pollIntervalSeconds >= LONG_INTERVAL_SECONDS && /[13579bdf]$/.test(hashOf(fleet));
  return firstSecond(fleet) + (later ? LONG_INTERVAL_SECONDS / 2 : 0);
}

const hashOf = (fleet: string) => createHash('sha256').update(JSON.stringify({ fleet })).digest('hex');
