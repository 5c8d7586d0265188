import {
  EC2Client,
  GetEbsDefaultKmsKeyIdCommand,
  GetEbsEncryptionByDefaultCommand,
} from '@aws-sdk/client-ec2';
import { AWS_CLIENT } from '../aws/client.ts';
import { bootstrapVersion } from '../aws/place.ts';
import { bad, type Check, type Finding, ok } from './check.ts';

/** The oldest version that the CDK of this project can deploy with: https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html */
const OLDEST_BOOTSTRAP = 6;

/** From this version on, deployments upload to buckets of the own account only: https://github.com/aws/aws-cdk/issues/31885 */
const SAFE_BOOTSTRAP = 21;

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
    : version < SAFE_BOOTSTRAP
      ? [
          bad(
            'warn',
            `the bootstrap of the CDK is version ${version}: before ${SAFE_BOOTSTRAP}, whoever takes the name of its deleted bucket gets what is deployed`,
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
