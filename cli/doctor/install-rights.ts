import type { FleetConfig } from '../../fleets/load.ts';
import { arnsOf } from '../../fleets/settings/rights.ts';
import { bad, type Finding, ok } from './check.ts';

const placeOf = (caller: string) => {
  const [, partition = 'aws', , , account = ''] = caller.split(':');
  return { partition, account };
};

/**
 * Whether a role of this account may have a managed policy: one of AWS, or of the account itself.
 *
 * @param caller The ARN of whoever runs the command.
 */
export function mayBeAttached(arn: string, caller: string): boolean {
  const { partition, account } = placeOf(caller);
  const [, ofPartition, , , ofAccount = ''] = arn.split(':');
  return ofPartition === partition && ['aws', account].includes(ofAccount);
}

/**
 * Whether what the install script may do is of the place that is deployed to.
 *
 * @param caller The ARN of whoever runs the command, which names the partition and the account.
 */
export function installRightsFindings(fleet: FleetConfig, caller: string): Finding[] {
  const given = arnsOf(fleet);
  if (given.length === 0) return [];
  const { partition, account } = placeOf(caller);
  const inPartition = ({ arn }: { arn: string }) => arn.startsWith(`arn:${partition}:`);
  const others = given.filter((each) => !inPartition(each));
  const ofAccount = (arn: string) => ['aws', account].includes(arn.split(':')[4] ?? '');
  const foreign = (fleet.roles?.instance ?? []).filter((arn) => !ofAccount(arn));
  const findings = [
    ...others.map(({ setting, arn }) =>
      bad(
        'fail',
        `${arn} is of another partition than the account, ${partition}`,
        `correct ${setting} in fleets.yaml`,
        fleet.name,
      ),
    ),
    ...foreign.map((arn) =>
      bad(
        'fail',
        `${arn} is of another account, and a role takes policies of AWS and of its own account (${account}) only`,
        'correct roles.instance in fleets.yaml',
        fleet.name,
      ),
    ),
  ];
  return findings.length > 0
    ? findings
    : [ok('what the install script may do is of this partition and account', fleet.name)];
}
