import * as z from 'zod';
import { securityGroupIds, subnetIds, vpcId } from './network.ts';

/** https://docs.aws.amazon.com/lambda/latest/api/API_VpcConfig.html */
const MOST_SUBNETS = 16;
const MOST_SECURITY_GROUPS = 5;

/** Where the functions of the workflows run. All fleets share them. */
export const Scaler = z.strictObject(
  {
    vpcId: vpcId(),
    subnetIds: subnetIds(MOST_SUBNETS).describe(
      'Subnets of the VPC, from which CircleCI and AWS can be reached. Take subnets of two zones.',
    ),
    securityGroupIds: securityGroupIds(MOST_SECURITY_GROUPS)
      .optional()
      .describe(
        'Security groups of the VPC for the functions. They must allow outbound HTTPS. Default: a new security group that allows no inbound traffic.',
      ),
  },
  { error: 'must be a map of vpcId, subnetIds and perhaps securityGroupIds' },
);
export type Scaler = z.infer<typeof Scaler>;
