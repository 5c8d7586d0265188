import { AutoScalingClient, DescribeAccountLimitsCommand } from '@aws-sdk/client-auto-scaling';
import { GetServiceQuotaCommand, ServiceQuotasClient } from '@aws-sdk/client-service-quotas';
import type { FleetConfig } from '../../fleets/load.ts';
import { vCpusOf } from '../../fleets/prices.ts';
import { rootVolumeOf } from '../../fleets/settings/image.ts';
import { largestMaximum } from '../../functions/lib/schedules.ts';
import { AWS_CLIENT } from '../aws/client.ts';
import { bad, type Check, type Finding, ok } from './check.ts';
import { initializationFindings, mostPooled } from './initialization.ts';

/** Running instances of the standard families, in vCPUs: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-on-demand-instances.html#ec2-on-demand-instances-limits */
export const QUOTAS = { 'On-Demand': 'L-1216C47A', Spot: 'L-34B43A08' } as const;
type Market = keyof typeof QUOTAS;

/** The most vCPUs that fleets ask for in a market, if the types say it. A Spot fleet may fall back to On-Demand. */
export function vCpusWanted(
  fleets: Pick<FleetConfig, 'spot' | 'instanceTypes' | 'maxReplicas' | 'schedules'>[],
  market: Market,
): number {
  const buyers = fleets.filter(({ spot }) => market === 'On-Demand' || spot !== undefined);
  return buyers.reduce((sum, fleet) => {
    const each = Math.max(0, ...(fleet.instanceTypes ?? []).map((type) => vCpusOf(type) ?? 0));
    return sum + each * largestMaximum(fleet);
  }, 0);
}

export function quotaFindings(market: Market, wanted: number, quota: number): Finding[] {
  if (wanted <= quota)
    return [ok(`${market} quota of ${quota} vCPUs; all fleets at maxReplicas use ${wanted}`)];
  return [
    bad(
      'warn',
      `all fleets at maxReplicas use ${wanted} vCPUs, and the ${market} quota is ${quota}`,
      `raise the quota ${QUOTAS[market]} of EC2 in Service Quotas, or lower maxReplicas`,
    ),
  ];
}

/** Storage of all gp3 volumes in a region, in TiB: https://docs.aws.amazon.com/ebs/latest/userguide/ebs-resource-quotas.html */
const STORAGE_QUOTA = 'L-7A658B76';

const GIB_IN_TIB = 1_024;

/** The storage of all fleets at their maximum sizes with their warm pools, in GiB. */
export function storageWanted(
  fleets: Pick<FleetConfig, 'rootVolume' | 'rootVolumeSize' | 'maxReplicas' | 'schedules' | 'warmPool'>[],
): number {
  return fleets.reduce((sum, fleet) => {
    return sum + (largestMaximum(fleet) + mostPooled(fleet)) * rootVolumeOf(fleet).size;
  }, 0);
}

export function storageFindings(wantedGiB: number, quotaTiB: number): Finding[] {
  const wanted = `${Math.ceil((10 * wantedGiB) / GIB_IN_TIB) / 10} TiB`;
  return wantedGiB <= quotaTiB * GIB_IN_TIB
    ? [ok(`EBS quota of ${quotaTiB} TiB of gp3 volumes; all fleets at maxReplicas use ${wanted}`)]
    : [
        bad(
          'warn',
          `all fleets at maxReplicas use ${wanted} of gp3 volumes, and the EBS quota is ${quotaTiB} TiB`,
          `raise the quota ${STORAGE_QUOTA} of EBS in Service Quotas, or lower maxReplicas or rootVolume.size`,
        ),
      ];
}

/** @param added Groups that the next deployment makes. */
export function groupQuotaFindings(added: number, used: number, quota: number): Finding[] {
  const more = `${added} more ${added === 1 ? 'is' : 'are'} needed`;
  return used + added <= quota
    ? [ok(`EC2 Auto Scaling quota of ${quota} groups; ${used} are in use, and ${more}`)]
    : [
        bad(
          'fail',
          `${used} of ${quota} Auto Scaling groups are in use, and ${more}`,
          'raise the quota of Auto Scaling groups in Service Quotas, or delete groups that nobody uses',
        ),
      ];
}

/** A quota as Service Quotas has it for this account and region. */
async function quotaOf(ServiceCode: string, QuotaCode: string): Promise<number> {
  const client = new ServiceQuotasClient(AWS_CLIENT);
  const { Quota } = await client.send(new GetServiceQuotaCommand({ ServiceCode, QuotaCode }));
  return Quota?.Value ?? Number.POSITIVE_INFINITY;
}

export const quotas: Check = {
  name: 'quotas',
  run: async ({ fleets }) => {
    const markets: Market[] = ['On-Demand', 'Spot'];
    const findings = await Promise.all(
      markets.map(async (market) => {
        const wanted = vCpusWanted(fleets, market);
        if (wanted === 0) return [];
        return quotaFindings(market, wanted, await quotaOf('ec2', QUOTAS[market]));
      }),
    );
    return findings.flat();
  },
};

export const storageQuota: Check = {
  name: 'storage',
  run: async ({ fleets }) => {
    if (fleets.length === 0) return [];
    return [
      ...storageFindings(storageWanted(fleets), await quotaOf('ebs', STORAGE_QUOTA)),
      ...(await initializationFindings(fleets)),
    ];
  },
};

export const groupQuota: Check = {
  name: 'groups',
  run: async ({ fleets, groups }) => {
    if (fleets.length === 0) return [];
    const added = fleets.filter(({ name }) => !groups.some(({ fleet }) => fleet === name)).length;
    // Unlike Service Quotas, it also says how many are in use.
    const limits = await new AutoScalingClient(AWS_CLIENT).send(new DescribeAccountLimitsCommand({}));
    const { MaxNumberOfAutoScalingGroups: quota, NumberOfAutoScalingGroups: used = 0 } = limits;
    return groupQuotaFindings(added, used, quota ?? Number.POSITIVE_INFINITY);
  },
};
