import { GetAccountSettingsCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { functionsAtOnce } from '../../fleets/own-second.ts';
import { AWS_CLIENT } from '../aws/client.ts';
import { bad, type Check, type Finding, ok } from './check.ts';

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
