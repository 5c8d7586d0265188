import { GetAccountSettingsCommand, LambdaClient } from '@aws-sdk/client-lambda';
import type { FleetConfig } from '../../fleets/load.ts';
import { LIMITS, spreadSeconds } from '../../functions/lib/pacing.ts';
import { AWS_CLIENT } from '../aws/client.ts';
import { bad, type Check, type Finding, ok } from './check.ts';

/** Count Unclaimed, Count Running and Describe Group run at the same time. */
const FUNCTIONS_AT_ONCE = 3;

/**
 * How many functions the fleets run in the same second at most, if their schedules start in the same second: each fleet
 * polls from a second of its own.
 */
export function functionsAtOnce(fleets: Pick<FleetConfig, 'name' | 'pollInterval'>[]): number {
  const inSecond = new Map<number, number>();
  for (const { name, pollInterval } of fleets) {
    const from = spreadSeconds(name, pollInterval);
    for (let at = 0; at <= LIMITS.lastPollSeconds; at += pollInterval)
      inSecond.set(from + at, (inSecond.get(from + at) ?? 0) + FUNCTIONS_AT_ONCE);
  }
  return Math.max(0, ...inSecond.values());
}

/** @param left The account's concurrent executions that no function has reserved. */
export function concurrencyFindings(needed: number, left: number): Finding[] {
  if (needed <= left)
    return [ok(`Lambda can run ${left} functions at once; all fleets that poll together need ${needed}`)];
  return [
    bad(
      'warn',
      `all fleets that poll together need ${needed} functions at once, and Lambda can run ${left}`,
      'raise the quota of concurrent executions of AWS Lambda, docs/operations.md#functions-throttled',
    ),
  ];
}

export const lambdaConcurrency: Check = {
  name: 'concurrency',
  run: async ({ fleets }) => {
    if (fleets.length === 0) return [];
    const { AccountLimit } = await new LambdaClient(AWS_CLIENT).send(new GetAccountSettingsCommand({}));
    const left = AccountLimit?.UnreservedConcurrentExecutions ?? Number.POSITIVE_INFINITY;
    return concurrencyFindings(functionsAtOnce(fleets), left);
  },
};
