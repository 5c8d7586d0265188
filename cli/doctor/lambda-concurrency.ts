import { GetAccountSettingsCommand, LambdaClient } from '@aws-sdk/client-lambda';
import type { FleetConfig } from '../../fleets/load.ts';
import { firstSecond, spreadSeconds } from '../../fleets/own-second.ts';
import { LIMITS } from '../../functions/lib/pacing.ts';
import { AWS_CLIENT } from '../aws/client.ts';
import { bad, type Check, type Finding, ok } from './check.ts';

/** Count Unclaimed, Count Running and Describe Group run at the same time. */
const FUNCTIONS_AT_ONCE = 3;

/**
 * How many functions the fleets run in the same second at most, if their schedules start in the same second. Each fleet
 * reads its settings in a second of its own, and polls from then on, or some seconds later.
 */
export function functionsAtOnce(fleets: Pick<FleetConfig, 'name' | 'pollInterval'>[]): number {
  const inSecond = new Map<number, number>();
  const add = (second: number, functions: number) =>
    inSecond.set(second, (inSecond.get(second) ?? 0) + functions);
  for (const { name, pollInterval } of fleets) {
    const [first, from] = [firstSecond(name), spreadSeconds(name, pollInterval)];
    if (first < from) add(first, 1);
    for (let at = 0; at <= LIMITS.lastPollSeconds; at += pollInterval) add(from + at, FUNCTIONS_AT_ONCE);
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
