import {
  EC2Client,
  GetEbsDefaultKmsKeyIdCommand,
  GetEbsEncryptionByDefaultCommand,
} from '@aws-sdk/client-ec2';
import { GetServiceQuotaCommand, ServiceQuotasClient } from '@aws-sdk/client-service-quotas';
import type { FleetConfig } from '../../fleets/load.ts';
import { vCpusOf } from '../../fleets/prices.ts';
import { largestMaximum } from '../../functions/lib/schedules.ts';
import { AWS_CLIENT } from '../aws/client.ts';
import { bootstrapVersion } from '../aws/place.ts';
import { bad, type Check, type Finding, ok } from './check.ts';

/** The oldest version that the CDK of this project can deploy with: https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html */
const OLDEST_BOOTSTRAP = 6;

export function bootstrapFindings(version: number | undefined): Finding[] {
  if (version === undefined)
    return [bad('fail', 'the CDK is not bootstrapped in this account and region', 'npx cdk bootstrap')];
  return version < OLDEST_BOOTSTRAP
    ? [
        bad(
          'fail',
          `the bootstrap of the CDK is version ${version}, and deployments need ${OLDEST_BOOTSTRAP}`,
          'npx cdk bootstrap',
        ),
      ]
    : [ok(`the CDK is bootstrapped, version ${version}`)];
}

export const bootstrap: Check = {
  name: 'bootstrap',
  run: async ({ fleets }) => (fleets.length === 0 ? [] : bootstrapFindings(await bootstrapVersion())),
};

/** https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html */
export function ebsFindings({ encrypted, key }: { encrypted: boolean; key: string }): Finding[] {
  if (!encrypted || key.startsWith('alias/aws/')) return [ok('volumes need no key of yours')];
  return [
    bad(
      'warn',
      `volumes are encrypted with the key ${key}, which EC2 Auto Scaling must be allowed to use`,
      'docs/operations.md#let-ec2-auto-scaling-use-the-key-of-the-volumes',
    ),
  ];
}

export const ebsKey: Check = {
  name: 'volume key',
  run: async () => {
    const ec2 = new EC2Client(AWS_CLIENT);
    const [{ EbsEncryptionByDefault = false }, { KmsKeyId = 'alias/aws/ebs' }] = await Promise.all([
      ec2.send(new GetEbsEncryptionByDefaultCommand({})),
      ec2.send(new GetEbsDefaultKmsKeyIdCommand({})),
    ]);
    return ebsFindings({ encrypted: EbsEncryptionByDefault, key: KmsKeyId });
  },
};

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

export const quotas: Check = {
  name: 'quotas',
  run: async ({ fleets }) => {
    const client = new ServiceQuotasClient(AWS_CLIENT);
    const markets: Market[] = ['On-Demand', 'Spot'];
    const findings = await Promise.all(
      markets.map(async (market) => {
        const wanted = vCpusWanted(fleets, market);
        if (wanted === 0) return [];
        const { Quota } = await client.send(
          new GetServiceQuotaCommand({ ServiceCode: 'ec2', QuotaCode: QUOTAS[market] }),
        );
        return quotaFindings(market, wanted, Quota?.Value ?? Number.POSITIVE_INFINITY);
      }),
    );
    return findings.flat();
  },
};
